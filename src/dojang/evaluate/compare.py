"""Networks compared on the same pictures: how much better one is, whether it could be chance, and where they differ.

Pictures are the same when their bytes are: splits.csv has the digest of each.  Names may differ, and so may the order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dojang.data.manifest import pasted, plain, read_splits
from dojang.errors import DataError, listing, many
from dojang.evaluate import answered
from dojang.metrics import differences, paired
from dojang.metrics.intervals import Score

#: splits in the order in which they tell most of a network that has not learned them
JUDGING = ("test", "out_of_fold", "val")
#: what is compared, and whether higher is better
SCORES = {"top1": True, "balanced_accuracy": True, "macro_f1": True, "log_loss": False}


@dataclass(frozen=True)
class Asked:
    """What one run says of the pictures of a split.

    Args:
        run: Its folder, as the user named it.
        pictures: What tells them apart: their digest and, where two are equal, a number. In the order of all others
            here.
        paths: Their names in this run.
        true, predicted: Labels (n,), by name.
        probability: float64 (n,), of the answer.
        own: float64 (n,), of the true label; None where the run kept no table of probabilities.
        learned: Digests of what it was trained on.
    """

    run: str
    pictures: tuple[tuple[str, int], ...]
    paths: tuple[str, ...]
    true: tuple[str, ...]
    predicted: tuple[str, ...]
    probability: np.ndarray
    own: np.ndarray | None
    learned: frozenset[str]

    @property
    def right(self) -> np.ndarray:
        """bool (n,)."""
        return np.array([a == b for a, b in zip(self.true, self.predicted, strict=True)], bool)

    def keep(self, order: Sequence[int]) -> Asked:
        """Some of the pictures, in this order."""

        def some(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(values[i] for i in order)

        at = np.array(order, np.int64)
        own = None if self.own is None else self.own[at]
        columns = some(self.pictures), some(self.paths), some(self.true), some(self.predicted)
        return Asked(self.run, *columns, self.probability[at], own, self.learned)


@dataclass(frozen=True)
class Pair:
    """A run against the first one, on the same pictures.

    Args:
        first, second: In one order of pictures.
        differences: By score, second less first, with a 95 % interval.
        first_only, second_only, both, neither: How many each gets right.
        p: McNemar's exact test of top-1.
        corrected: The same, for all the runs that are compared with the first.
    """

    first: Asked
    second: Asked
    differences: dict[str, Score]
    first_only: int
    second_only: int
    both: int
    neither: int
    p: float
    corrected: float

    def only(self, second: bool) -> np.ndarray:
        """The rows that only one of the two gets right, int64: those where the other is the surest come first."""
        right, wrong = (self.second, self.first) if second else (self.first, self.second)
        rows = np.flatnonzero(right.right & ~wrong.right)
        found: np.ndarray = rows[np.argsort(-wrong.probability[rows], kind="stable")]
        return found

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "first": self.first.run,
            "second": self.second.run,
            "differences": {name: score.as_dict() for name, score in self.differences.items()},
            "method": {
                "top1": "Tango's paired score interval",
                "balanced_accuracy": "Tango's, for the number of rows that the variance names",
                "macro_f1": "the same, from the influence of each row",
                "log_loss": "Student's t through Hall's transformation",
                "p": "McNemar, exact",
            },
            "p": self.p,
            "p_corrected": self.corrected,
            "both_right": self.both,
            "first_only_right": [self._picture(row) for row in self.only(False)],
            "second_only_right": [self._picture(row) for row in self.only(True)],
            "both_wrong": self.neither,
        }

    def _picture(self, row: int) -> dict[str, Any]:
        return {
            "path": self.first.paths[row],
            "true": self.first.true[row],
            "first": {"label": self.first.predicted[row], "probability": float(self.first.probability[row])},
            "second": {"label": self.second.predicted[row], "probability": float(self.second.probability[row])},
        }


def asked(folder: Path, split: str, run: str | None = None) -> Asked:
    """What a run folder says of a split.

    Raises:
        ConfigError: C221 where predictions.csv or splits.csv cannot be read, C223 where an answer is not as dojang
            wrote it.
        DataError: D121 where it has no answers to that split; D111 for a splits.csv that was changed.
    """
    run = run or str(folder)
    whole = answered.answers(folder)
    rows = [row for row in whole if row.split == split]
    place = folder / "splits.csv"
    if not rows:
        have = _splits(whole)
        # a split that the run has pictures of can be asked for; of any other there is nothing to be said
        can = place.exists() and any(row.split == split for row in read_splits(answered.text(place), str(place)))
        alone = any((folder / "weights").glob("*.safetensors"))
        raise DataError(
            "D121",
            f"{plain(run)!r} has no answers to {plain(split)!r} pictures; it has those to {listing(have) or 'none'}.",
            fix=f"dojang val {pasted(run)} --split {split}" if can and alone else f"--split {(have or ['NAME'])[0]}",
        )
    listed = {row.path: row for row in read_splits(answered.text(place), str(place))}
    shares = answered.shares(folder)
    counts = Counter[str]()
    pictures = []
    for row in rows:
        # what has no digest is known by its name
        digest = listed[row.path].sha256 if row.path in listed else ""
        digest = digest or f"the file {row.path}"
        pictures.append((digest, counts[digest]))
        counts[digest] += 1
    own = [shares.get(row.path, {}).get(row.true) for row in rows]
    return Asked(
        run,
        tuple(pictures),
        tuple(row.path for row in rows),
        tuple(row.true for row in rows),
        tuple(row.predicted for row in rows),
        np.array([row.probability for row in rows]),
        None if None in own else np.array(own, np.float64),
        frozenset(row.sha256 for row in listed.values() if row.split == "train" and row.sha256),
    )


def splits_of(folder: Path) -> list[str]:
    """The splits that a run folder has answers to, those that tell most first."""
    return _splits(answered.answers(folder))


def _splits(rows: Sequence[answered.Answer]) -> list[str]:
    found = {row.split for row in rows}
    return [split for split in JUDGING if split in found] + sorted(found - set(JUDGING))


def compare(runs: Sequence[Asked], split: str, advice: Callable[[int], str] = lambda number: "") -> list[Pair]:
    """Each run against the first.

    Args:
        runs: Two or more.
        split: Its name, for messages.
        advice: The command that would make a run, by its number, comparable with the first.

    Raises:
        DataError: D141 where the pictures are not the same, D142 where their labels are not.
    """
    first = runs[0].keep(sorted(range(len(runs[0].pictures)), key=lambda i: runs[0].pictures[i]))
    others = [_matched(first, run, split, advice(number)) for number, run in enumerate(runs[1:], 1)]
    made = [_pair(first, other) for other in others]
    values = [paired.mcnemar(pair[0], pair[1]) for _, pair in made]
    n = len(first.pictures)
    return [
        Pair(first, other, _differences(first, other, *counts), *counts, n - sum(counts), value, corrected)
        for (other, counts), value, corrected in zip(made, values, paired.holm(values), strict=True)
    ]


def _pair(first: Asked, other: Asked) -> tuple[Asked, tuple[int, int, int]]:
    """Only the first right, only the other, both."""
    a, b = first.right, other.right
    return other, (int((a & ~b).sum()), int((~a & b).sum()), int((a & b).sum()))


def _matched(first: Asked, other: Asked, split: str, advice: str) -> Asked:
    """The other's answers in the order of the first's pictures."""
    place = {picture: i for i, picture in enumerate(other.pictures)}
    shared = sum(picture in place for picture in first.pictures)
    if shared < len(first.pictures) or shared < len(other.pictures):
        learned = sum(digest in other.learned for digest, _ in first.pictures)
        has = f" The second was trained on {learned:,} of the first's." if learned else ""
        raise DataError(
            "D141",
            f"{plain(first.run)!r} and {plain(other.run)!r} were asked about different {split} pictures: "
            f"{len(first.pictures):,} and {len(other.pictures):,}, of which they share {shared:,}.{has}",
            context="A difference between them would be one of pictures, too.",
            fix=advice if shared else "compare runs that were tested on the same data.",
        )
    found = other.keep([place[picture] for picture in first.pictures])
    odd = [i for i, label in enumerate(first.true) if label != found.true[i]]
    if odd:
        i = odd[0]
        raise DataError(
            "D142",
            f"{many(len(odd), 'picture')} of {len(first.true):,} have another label in {plain(other.run)!r}, e.g. "
            f"{plain(first.paths[i])}: {plain(first.true[i])}, and {plain(found.true[i])} there.",
            context="One of the two was scored against other truths.",
            fix=advice,
        )
    return found


def _differences(first: Asked, other: Asked, first_only: int, second_only: int, both: int) -> dict[str, Score]:
    names = {name: i for i, name in enumerate(sorted({*first.true, *first.predicted, *other.predicted}))}
    true, a, b = ([names[label] for label in labels] for labels in (first.true, first.predicted, other.predicted))
    found = {
        "top1": paired.difference(first_only, second_only, len(true)),
        "balanced_accuracy": differences.balanced_accuracy(true, a, b, len(names)),
        "macro_f1": differences.macro_f1(true, a, b, len(names)),
    }
    if first.own is not None and other.own is not None:
        found["log_loss"] = differences.mean(losses(first.own), losses(other.own))
    return found


def losses(own: np.ndarray) -> np.ndarray:
    """The log loss of each picture, from the probability of its label; a probability of 0 costs 27.6."""
    found: np.ndarray = -np.log(np.maximum(own, 1e-12))
    return found
