"""A network's answers to the pictures of a split, and the scores they make."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dojang.data import leaks
from dojang.data.loader import Loader
from dojang.data.manifest import Manifest
from dojang.data.store import Store
from dojang.errors import DataError, did_you_mean, many
from dojang.evaluate import views
from dojang.metrics import intervals, scores
from dojang.predict.predictor import Predictor

_WORDS = {"train": "training", "val": "validation"}


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
    """

    split: str
    paths: tuple[str, ...]
    true: np.ndarray
    probabilities: np.ndarray
    labels: tuple[str, ...]
    seconds: float = 0.0
    augmented: np.ndarray | None = None
    leaked: int = 0

    @property
    def predicted(self) -> np.ndarray:
        """Label ids (n,), the most probable of each row."""
        best: np.ndarray = self.probabilities.argmax(axis=1)
        return best

    @property
    def matrix(self) -> np.ndarray:
        """Confusion matrix (c, c), int64, rows are the true classes."""
        return scores.confusion_matrix(self.true, self.predicted, len(self.labels))

    def metrics(self) -> dict[str, Any]:
        """The scores with their 95 % intervals, as metrics.json holds them.

        top-1 has Wilson's interval; balanced accuracy, macro F1 and log loss have a stratified bootstrap's.
        """
        true, predicted, classes = self.true, self.predicted, len(self.labels)
        n = len(true)
        found: dict[str, Any] = {
            "n": n,
            "top1": intervals.proportion(int((true == predicted).sum()), n).as_dict(),
        }

        def balanced(t: np.ndarray, p: np.ndarray) -> float:
            return scores.balanced_accuracy(scores.confusion_matrix(t, p, classes))

        def macro(t: np.ndarray, p: np.ndarray) -> float:
            return scores.macro_f1(scores.confusion_matrix(t, p, classes))

        if self.leaked:
            found["leaked"] = self.leaked
        if self.augmented is not None:
            right = int((true == self.augmented.argmax(axis=1)).sum())
            found["top1_tta"] = intervals.proportion(right, n).as_dict()
        chosen = -np.log(np.maximum(self.probabilities[np.arange(n), true].astype(np.float64), 1e-12))
        found["balanced_accuracy"] = intervals.bootstrap(balanced, true, predicted, strata=true).as_dict()
        found["macro_f1"] = intervals.bootstrap(macro, true, predicted, strata=true).as_dict()
        found["log_loss"] = intervals.bootstrap(lambda c: float(c.mean()), chosen, strata=true).as_dict()
        return found


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
        raise DataError("D121", f"the data has no {split!r} pictures; it has {', '.join(have) or 'none'}.")
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
    return Evaluation(
        split,
        tuple(manifest.paths[row] for row in rows),
        ids[manifest.targets[rows]],
        answers,
        predictor.labels,
        time.perf_counter() - began,
        augmented,
        0 if split == "train" else leaks.count(manifest, split, learned),
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


def match(manifest: Manifest, labels: tuple[str, ...], split: str) -> np.ndarray:
    """For each class of a manifest, the id that the network has for its name; int64 (classes,).

    Raises:
        DataError: D107 when pictures of the split have a class that the network does not know.
    """
    counts = manifest.counts()[split]
    place = {label: i for i, label in enumerate(labels)}
    place |= {name: place[label] for name, label in otherwise_written(manifest.classes, labels).items()}
    for name in manifest.classes:
        if name not in place and counts.get(name, 0):
            raise DataError(
                "D107",
                f"the {_WORDS.get(split, split)} set has a class the model does not know: "
                f"{name!r} ({many(counts[name], 'image')}). "
                f"Known: {', '.join(labels[:10])}{' ...' if len(labels) > 10 else ''}.",
                context=(did_you_mean(name, labels) + " Scoring it would be meaningless.").strip(),
                fix="rename the folder, or retrain with it in the training set.",
            )
    return np.array([place.get(name, -1) for name in manifest.classes], dtype=np.int64)
