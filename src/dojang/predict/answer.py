"""The one answer: what a network says of a picture. CSV, JSON and page are all made of it."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from typing import Any


@functools.lru_cache(8)
def _names(labels: tuple[str, ...]) -> list[str]:
    return [json.dumps(label) for label in labels]


@dataclass(frozen=True)
class Answer:
    """A label and how probable each one is.

    Args:
        source: The picture's name.
        label: The most probable label.
        probabilities: One a label, in the order of ``labels``; they sum to 1.
        labels: The names of the classes, as the weights file has them.
        unknown: Whether the picture seems to be none of these; the label is then only the likest of them.
        familiarity: The share of validation pictures that lie at least as far from all classes; None where nobody asked
            for it.
    """

    source: str
    label: str
    probabilities: tuple[float, ...]
    labels: tuple[str, ...]
    unknown: bool = False
    familiarity: float | None = None

    @property
    def probability(self) -> float:
        """Of the label."""
        return self.probabilities[self.labels.index(self.label)]

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The k most probable labels with their probabilities, best first."""
        pairs = zip(self.labels, self.probabilities, strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])[:k]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "source": self.source,
            "label": self.label,
            "probability": self.probability,
            "unknown": self.unknown,
            "familiarity": self.familiarity,
            "probabilities": dict(zip(self.labels, self.probabilities, strict=True)),
        }

    def as_json(self) -> str:
        """:meth:`as_dict` as JSON, the same letters as the standard library's and sooner: a server says many of them.

        Raises:
            ValueError: Where a number is not finite.

        >>> one = Answer("a.png", "cat", (0.75, 0.25), ("cat", 'a "dog"'))
        >>> one.as_json() == json.dumps(one.as_dict())
        True
        """
        if not math.isfinite(sum(self.probabilities)) or len(set(self.labels)) < len(self.labels):
            return json.dumps(self.as_dict(), allow_nan=False)
        # a float of NumPy's calls itself by another name
        say, names, best = float.__repr__, _names(self.labels), self.labels.index(self.label)
        shares = ", ".join([f"{name}: {say(p)}" for name, p in zip(names, self.probabilities, strict=True)])
        unknown = "true" if self.unknown else "false"
        familiarity = "null" if self.familiarity is None else say(self.familiarity)
        return (
            f'{{"source": {json.dumps(self.source)}, "label": {names[best]}, "probability": '
            f'{say(self.probabilities[best])}, "unknown": {unknown}, "familiarity": {familiarity}, '
            f'"probabilities": {{{shares}}}}}'
        )

    def __str__(self) -> str:
        named = f"unknown, most like {self.label}" if self.unknown else self.label
        return f"{self.source}: {named} ({self.probability:.3f})"
