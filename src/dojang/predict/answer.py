"""The one answer: what a network says of a picture. CSV, JSON and page are all made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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

    def __str__(self) -> str:
        named = f"unknown, most like {self.label}" if self.unknown else self.label
        return f"{self.source}: {named} ({self.probability:.3f})"
