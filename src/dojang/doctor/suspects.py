"""Labels that are probably wrong, by what a trained network sees in the pictures.

The network gives each picture a row of features; a plain classifier of these is fitted on all folds but one and asked
about that one, so no picture is judged by a classifier that has learned its label.  The classifier is a linear
discriminant with the shrinkage of Ledoit and Wolf: hundreds of features of hundreds of pictures, and nothing to choose.
Source of the idea: Northcutt, Jiang, Chuang, "Confident Learning", arXiv:1911.00068.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from dojang.data import division
from dojang.data.ahead import in_order
from dojang.data.manifest import Manifest, plain
from dojang.doctor.findings import Finding
from dojang.errors import ConfigError, DataError
from dojang.models.layers import Network
from dojang.predict.predictor import Predictor, batches

_BATCH = 32
# folds, fewer where a class has fewer pictures
_FOLDS = 5
# the probability of another class, out of fold, from which on a label is named
_SURE = 0.98


@dataclass(frozen=True)
class Suspects:
    """What was judged of each picture.

    Args:
        rows: int64 (n,), of the manifest: those that could be read.
        probabilities: (n, classes), out of fold.
        margin: (n,), the logarithm of the probability of the label over that of the likeliest other class: below 0 the
            other one is likelier.
        suggested: int64 (n,), that other class.
    """

    rows: np.ndarray
    probabilities: np.ndarray
    margin: np.ndarray
    suggested: np.ndarray

    def order(self) -> np.ndarray:
        """Positions from the most suspect label to the surest, int64 (n,)."""
        return np.argsort(self.margin, kind="stable")


def features(
    predictor: Predictor,
    manifest: Manifest,
    *,
    threads: int = 0,
    tick: Callable[[int], None] = lambda done: None,
) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees in each picture that can be read: the mean of its last map.

    Returns:
        Rows int64 (n,) of the manifest, and float32 (n, d).

    Raises:
        ConfigError: C248 for a network of one's own, whose last map dojang does not know.
    """
    model = predictor.model
    if not isinstance(model, Network):
        raise ConfigError("C248", f"{type(model).__name__} is not built by dojang; its features are not known.")

    def load(row: int) -> tuple[int, np.ndarray | None]:
        path = manifest.paths[row]
        try:
            return row, predictor.preprocess.picture(manifest.source.read(path), path)
        except DataError:
            return row, None

    rows, found = [], []
    with torch.inference_mode():
        for several in batches(in_order(load, range(len(manifest)), threads, together=4), _BATCH):
            good = [(row, pixels) for row, pixels in several if pixels is not None]
            if good:
                pixels = torch.from_numpy(np.stack([one for _, one in good])).to(predictor.device)
                maps = model.maps(predictor.preprocess.normalise(pixels))
                found.append(maps.float().flatten(2).mean(dim=2).cpu().numpy() if maps.ndim > 2 else maps.cpu().numpy())
                rows += [row for row, _ in good]
            tick(several[-1][0] + 1)
    return np.array(rows, np.int64), np.concatenate(found) if found else np.zeros((0, 1), np.float32)


def judge(manifest: Manifest, rows: np.ndarray, seen: np.ndarray, *, seed: int = 0) -> Suspects:
    """Probabilities of every picture's classes from features, by classifiers that have not learned its label.

    Args:
        rows: int64 (n,), of the manifest; groups of it stay together.
        seen: float32 (n, d).

    Raises:
        ConfigError: C212 where a class has a single picture, or group.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    part = manifest.keep(rows).replace(splits=("",) * len(rows))
    targets, classes = part.targets, len(part.classes)
    # a group counts as one: it lies in one fold
    units = Counter(
        label for label, _ in {(int(t), g or i) for i, (t, g) in enumerate(zip(targets, part.groups, strict=True))}
    )
    count = min(_FOLDS, *units.values()) if units else 0
    probabilities = np.zeros((len(rows), classes))
    for fold in division.folds(part, max(count, 2), seed):
        held = np.array([split == "val" for split in fold.splits])
        fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(seen[~held], targets[~held])
        probabilities[np.ix_(held, fitted.classes_)] = fitted.predict_proba(seen[held])
    return judged(rows, probabilities, targets)


def judged(rows: np.ndarray, probabilities: np.ndarray, targets: np.ndarray) -> Suspects:
    """What probabilities, out of fold, say of labels."""
    # of what is sure a logarithm would be endless
    logs = np.log(np.maximum(probabilities, 1e-30))
    own = logs[np.arange(len(rows)), targets]
    others = logs.copy()
    others[np.arange(len(rows)), targets] = -np.inf
    return Suspects(rows, probabilities, own - others.max(axis=1), others.argmax(axis=1))


def findings(manifest: Manifest, judged: Suspects) -> list[Finding]:
    """What is worth a look, the most suspect first."""
    found = []
    targets = manifest.targets
    for position in judged.order().tolist():
        row, other = int(judged.rows[position]), int(judged.suggested[position])
        likely = float(judged.probabilities[position, other])
        if judged.margin[position] >= 0 or likely < _SURE:
            continue
        label, suggested = manifest.classes[int(targets[row])], manifest.classes[other]
        words = f"labelled {plain(label)}, looks like {plain(suggested)} ({likely:.2f})"
        facts = {"label": label, "suggested": suggested, "probability": round(likely, 4)}
        found.append(Finding("label", (manifest.paths[row],), words, facts))
    return found
