"""What an evaluation left in a run folder, read back: every picture's answer, and which pictures lie behind a count."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dojang import files
from dojang.data.manifest import pasted, plain, readable
from dojang.errors import DataError, did_you_mean
from dojang.evaluate import answered
from dojang.evaluate.evaluate import confused
from dojang.metrics import scores

#: splits in the order in which they tell how good a network is
JUDGING = ("test", "out_of_fold", "val", "train")


@dataclass(frozen=True)
class Kept:
    """The answers to the pictures of one split, as predictions.csv holds them.

    Args:
        split: Its name.
        labels: Names of the classes, in the network's order.
        paths: Of the pictures, as splits.csv names them.
        true, predicted: int64 (n,), ids of labels.
        probability: float64 (n,), of the answer that was given.
        worst: Paths of wrong answers as worst.csv lists them: of equally sure ones it knows which gave the truth less.
    """

    split: str
    labels: tuple[str, ...]
    paths: tuple[str, ...]
    true: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray
    worst: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def names(self) -> list[str]:
        """The labels as they are shown."""
        return [plain(name) for name in readable(self.labels)]

    @property
    def matrix(self) -> np.ndarray:
        """Confusion matrix (c, c), int64, rows are the true classes."""
        return scores.confusion_matrix(self.true, self.predicted, len(self.labels))

    def cell(self, true: int, predicted: int) -> np.ndarray:
        """The rows behind a cell of the matrix, int64: wrong answers the surest first, right ones the least sure first.

        Either way the pictures worth looking at come first.
        """
        if true != predicted:
            order = self._surest
            wrong: np.ndarray = order[(self.true[order] == true) & (self.predicted[order] == predicted)]
            return wrong
        rows = np.flatnonzero((self.true == true) & (self.predicted == predicted))
        found: np.ndarray = rows[np.argsort(self.probability[rows], kind="stable")]
        return found

    def wrong(self, most: int | None = None) -> np.ndarray:
        """The rows with wrong answers, int64, the surest first: where a label is wrong, it is found here."""
        return self._surest[:most]

    @cached_property
    def _surest(self) -> np.ndarray:
        place = {path: i for i, path in enumerate(self.worst)}
        rows = np.flatnonzero(self.true != self.predicted)
        listed = np.array([place.get(self.paths[row], len(place)) for row in rows.tolist()], np.int64)
        # what is listed was rounded when it was written; sureness alone decides before its order does
        found: np.ndarray = rows[np.lexsort((rows, listed, -self.probability[rows]))]
        return found

    def confused(self) -> list[tuple[int, int, int]]:
        """(true, predicted, count) of every confusion that happened, in the order of metrics.json."""
        matrix = self.matrix
        return [(true, predicted, n) for true, predicted, n, _ in confused(matrix, matrix.size)]


def read(folder: Path, split: str | None = None) -> Kept | None:
    """The answers in a run folder; None where it has none.

    Args:
        split: None takes the split that judges best: test, else out-of-fold answers, else val.

    Raises:
        ConfigError: C221 where they cannot be read, C223 where they are not as dojang wrote them.
        DataError: D121 where there are answers, and none to this split.
    """
    if not (folder / "predictions.csv").exists():
        return None
    rows = answered.answers(folder)
    there = {row.split for row in rows}
    chosen = split if split is not None else next((name for name in JUDGING if name in there), None)
    rows = [row for row in rows if row.split == chosen]
    if chosen is None or not rows:
        if split is not None and there:
            raise DataError(
                "D121",
                f"this run has no answers to {split!r} pictures; it has those to {plain(', '.join(sorted(there)))}."
                f"{did_you_mean(split, sorted(there))}",
                fix=f"dojang val {pasted(str(folder))} --split {pasted(split)}, if its data has such a part.",
            )
        return None
    labels = _labels(folder, chosen, rows)
    place = {name: i for i, name in enumerate(labels)}
    return Kept(
        chosen,
        labels,
        tuple(row.path for row in rows),
        np.array([place[row.true] for row in rows], np.int64),
        np.array([place[row.predicted] for row in rows], np.int64),
        np.array([row.probability for row in rows]),
        tuple(row["path"] for row in _rows(folder / "worst.csv") if row.get("split") == chosen and row.get("path")),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table that may be gone; it is a help, and nothing is missing without it."""
    try:
        return list(csv.DictReader(io.StringIO(files.read_text(path), newline="")))
    except (OSError, ValueError, csv.Error):
        return []


def _labels(folder: Path, split: str, rows: list[answered.Answer]) -> tuple[str, ...]:
    """The network's labels in its order; where per_class.csv is gone, the names that occur, sorted."""
    told = _rows(folder / "per_class.csv")
    named = [row["class"] for row in told if row.get("split") == split and row.get("class")]
    occur = sorted({label for row in rows for label in (row.true, row.predicted)} - set(named))
    return (*named, *occur)
