"""A network's answers to the pictures of a split, and the scores they make."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from dojang.data import leaks
from dojang.data.loader import Loader
from dojang.data.manifest import Manifest, plain
from dojang.data.store import Store
from dojang.errors import DataError, listing, many
from dojang.evaluate import views, worst
from dojang.metrics import intervals, scores
from dojang.metrics.summary import Summary, summary
from dojang.predict.predictor import Predictor

_WORDS = {"train": "training", "val": "validation"}
_CONFUSED = 10


@dataclass(frozen=True)
class Evaluation:
    """Answers and truths of one split.

    Args:
        split: "val", "test" or another name.
        paths: Of the pictures, as splits.csv names them.
        true: int64 (n,), label ids in the order of ``labels``.
        probabilities: float32 (n, classes).
        labels: Names of the classes.
        seconds: That the answers took.
        augmented: As ``probabilities``, with test-time augmentation; None where there was none.
        leaked: How many of the pictures the network has learned, byte for byte.
        pictures: By path, those that are most surely wrong, small: uint8 (h, w, 3).
    """

    split: str
    paths: tuple[str, ...]
    true: np.ndarray
    probabilities: np.ndarray
    labels: tuple[str, ...]
    seconds: float = 0.0
    augmented: np.ndarray | None = None
    leaked: int = 0
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def predicted(self) -> np.ndarray:
        """Label ids (n,), the most probable of each row."""
        best: np.ndarray = self.probabilities.argmax(axis=1)
        return best

    @property
    def matrix(self) -> np.ndarray:
        """Confusion matrix (c, c), int64, rows are the true classes."""
        return scores.confusion_matrix(self.true, self.predicted, len(self.labels))

    @cached_property
    def summary(self) -> Summary:
        """All scores with their 95 % intervals, computed once."""
        return summary(self.true, self.probabilities)

    @cached_property
    def worst(self) -> np.ndarray:
        """Rows that are answered wrongly, the surest first; int64."""
        return worst.order(self.true, self.probabilities)

    def metrics(self) -> dict[str, Any]:
        """The scores with their 95 % intervals, as metrics.json holds them; docs/scores.md says what each is."""
        found = self.summary
        told: dict[str, Any] = {
            "n": len(self.true),
            "classes": {"known": len(self.labels), "with_pictures": int((found.per_class.support > 0).sum())},
        }
        if self.leaked:
            told["leaked"] = self.leaked
        told["top1"] = found.scores["top1"].as_dict()
        if self.augmented is not None:
            right = int((self.true == self.augmented.argmax(axis=1)).sum())
            told["top1_tta"] = intervals.proportion(right, len(self.true)).as_dict()
        told |= {name: score.as_dict() for name, score in found.scores.items()}
        told["calibration"] = found.calibration.as_dict()
        told["confused"] = [
            {"true": self.labels[t], "predicted": self.labels[p], "n": n, "share": share}
            for t, p, n, share in confused(found.matrix)
        ]
        return told


def confused(matrix: np.ndarray, most: int = _CONFUSED) -> list[tuple[int, int, int, float]]:
    """The pairs of classes that are confused most often: true id, answered id, how often, share of the true class.

    Of pairs that are as frequent the larger share comes first. They are the largest of many counts, so on other
    pictures they are fewer.

    >>> confused(np.array([[5, 2, 0], [0, 9, 0], [2, 1, 1]]))
    [(2, 0, 2, 0.5), (0, 1, 2, 0.2857142857142857), (2, 1, 1, 0.25)]
    """
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    true, said = np.nonzero(wrong)
    counts = wrong[true, said]
    shares = counts / matrix.sum(axis=1)[true]
    order = np.lexsort((said, true, -shares, -counts))[:most]
    return [(int(true[i]), int(said[i]), int(counts[i]), float(shares[i])) for i in order]


def evaluate(
    predictor: Predictor,
    store: Store,
    manifest: Manifest,
    split: str,
    *,
    batch_size: int = 250,
    threads: int = 0,
    tta: str = "none",
    learned: Collection[str] = (),
) -> Evaluation:
    """The single-view float32 answers to all pictures of a split, and beside them those with test-time augmentation.

    Args:
        tta: "none", or views of :func:`dojang.evaluate.views.views`.
        store: Made with the predictor's preprocessing.
        manifest: Its classes may be fewer than the predictor's, in another order; they are matched by name.
        learned: Digests of the pictures that the network was trained on.

    Raises:
        DataError: D107 for a class the network does not know; D121 for a split without pictures.
    """
    rows = manifest.rows(split)
    if len(rows) == 0:
        have = [name for name, counts in manifest.counts().items() if name and sum(counts.values())]
        best = next((name for name in ("test", "val", "train") if name in have), "")
        raise DataError(
            "D121",
            f"the data has no {split!r} pictures; it has {', '.join(have) or 'none'}.",
            fix=f"--split {best}" if best else "give data that has pictures.",
        )
    ids = match(manifest, predictor.labels, split)

    def loader(some: np.ndarray) -> Loader:
        return Loader(store, some, predictor.preprocess, batch_size=batch_size, threads=threads)

    began = time.perf_counter()
    answers = np.concatenate([predictor.probabilities(pictures.pixels) for pictures in loader(rows).batches()])
    augmented = None
    if tta != "none":
        augmented, again = answers.copy(), views.doubtful(answers)
        several = [views.ask_again(predictor, pictures.pixels, tta) for pictures in loader(rows[again]).batches()]
        augmented[again] = np.concatenate(several)
    seconds = time.perf_counter() - began
    true = ids[manifest.targets[rows]]
    wrong = rows[worst.order(true, answers)[: worst.SHOWN]]
    return Evaluation(
        split,
        tuple(manifest.paths[row] for row in rows),
        true,
        answers,
        predictor.labels,
        seconds,
        augmented,
        0 if split == "train" else leaks.count(manifest, split, learned),
        {manifest.paths[row]: worst.small(store.picture(int(row))) for row in wrong},
    )


def otherwise_written(classes: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """Classes that are no label as they stand, and the one label that is the same name written otherwise.

    Case, "_" for a space and ImageNet's numbers in front make no other name; where two labels would fit, none does.

    >>> otherwise_written(["n02105641-Old_English_sheepdog", "dingo"], ["Old English sheepdog", "dingo"])
    {'n02105641-Old_English_sheepdog': 'Old English sheepdog'}
    """
    known, asked = dict[str, list[str]](), dict[str, list[str]]()
    for label in labels:
        known.setdefault(_plainly(label), []).append(label)
    for name in classes:
        asked.setdefault(_plainly(name), []).append(name)
    alone = [(names[0], known[key][0]) for key, names in asked.items() if len(names) == len(known.get(key, ())) == 1]
    return {name: label for name, label in alone if name != label}


def _plainly(name: str) -> str:
    return re.sub(r"^n\d{8}[-_ ]", "", name).replace("_", " ").casefold()


def _nearest(name: str, labels: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, labels, n=1, cutoff=0.6)
    return f"; near {near[0]!r}" if near else ""


def match(manifest: Manifest, labels: tuple[str, ...], split: str) -> np.ndarray:
    """For each class of a manifest, the id that the network has for its name; int64 (classes,).

    Raises:
        DataError: D107 when pictures of the split have a class that the network does not know.
    """
    counts = manifest.counts()[split]
    place = {label: i for i, label in enumerate(labels)}
    place |= {name: place[label] for name, label in otherwise_written(manifest.classes, labels).items()}
    unknown = {name: counts[name] for name in manifest.classes if name not in place and counts.get(name, 0)}
    if unknown:
        what = "a class" if len(unknown) == 1 else many(len(unknown), "class", "classes")
        said = [f"{name!r} ({many(n, 'image')}{_nearest(name, labels)})" for name, n in unknown.items()]
        raise DataError(
            "D107",
            f"the {_WORDS.get(split, split)} set has {what} the model does not know: {listing(said, most=20)}. "
            f"Known: {listing(map(plain, labels))}.",
            context=f"Scoring {'it' if len(unknown) == 1 else 'them'} would be meaningless.",
            fix=f"rename the folder{'' if len(unknown) == 1 else 's'}, or retrain with "
            f"{'it' if len(unknown) == 1 else 'them'} in the training set.",
        )
    return np.array([place.get(name, -1) for name in manifest.classes], dtype=np.int64)
