"""Pictures that belong to no class: outliers by what a trained network sees in them.

For each picture and class the median is taken of the distances (one less the cosine of two rows of features) to the
pictures of that class, and divided by what is usual in it; the class that it is nearest to counts.  The median is what
makes this work on data that holds what is looked for: strangers are often of one kind, each other's nearest neighbours,
and whatever is fitted to the data or looks at a few neighbours takes them for a class of their own.  They are hidden
only where half of a class is like them.
"""

from __future__ import annotations

import numpy as np

from dojang import seeds
from dojang.data.manifest import Manifest, plain
from dojang.doctor.findings import Finding

# of Iglewicz and Hoaglin, "How to detect and handle outliers", 1993: from where on a modified z-score is an outlier's
_FAR = 3.5
# the median absolute deviation of a normal distribution, over its deviation
_NORMAL = 0.6745
# distances that rounding makes of nothing are below it
_ALIKE = 1e-6
# pictures of a class that others are compared with, and rows at once
_MEMBERS, _BLOCK = 500, 1024


def apart(seen: np.ndarray, targets: np.ndarray, classes: int, *, seed: int = 0) -> np.ndarray:
    """How far each picture is from the class that it is nearest to, over what is usual in that class.

    Args:
        seen: float (n, d), features.
        targets: int64 (n,), labels; a few wrong ones do no harm.
        classes: Their number; of a class of more than 500 pictures so many are drawn to compare with.

    Returns:
        float64 (n,); about 1 for a usual picture. 1 for all where no class has two pictures, or all are alike.
    """
    lengths = np.linalg.norm(seen, axis=1, keepdims=True)
    rows = (seen / np.maximum(lengths, 1e-12)).astype(np.float32)
    distances, usual = np.full((len(rows), classes), np.inf), np.full(classes, np.nan)
    for label in range(classes):
        members = np.flatnonzero(targets == label)
        if len(members) > 1:
            distances[:, label] = _medians(rows, members, seeds.key(seed, "strangers", label))
            usual[label] = np.median(distances[members, label])
    # a class of one picture many times has no measure of its own
    real = usual > _ALIKE
    if not real.any():
        return np.ones(len(rows))
    usual[~real] = np.median(usual[real])
    found: np.ndarray = (distances / usual).min(axis=1)
    return found


def _medians(rows: np.ndarray, members: np.ndarray, key: int) -> np.ndarray:
    """The median distance of each row to some rows, itself aside; float64 (n,)."""
    if len(members) > _MEMBERS:
        members = members[np.sort(seeds.permutation(key, len(members))[:_MEMBERS])]
    place = np.full(len(rows), -1)
    place[members] = np.arange(len(members))
    found = np.empty(len(rows))
    middle = (len(members) - 1) // 2, (len(members) - 2) // 2
    for start in range(0, len(rows), _BLOCK):
        block = 1 - rows[start : start + _BLOCK] @ rows[members].T
        own = place[start : start + _BLOCK]
        inside = np.flatnonzero(own >= 0)
        # last of all, and the middle of one fewer
        block[inside, own[inside]] = np.inf
        ordered = np.partition(block, sorted(set(middle)), axis=1)
        found[start : start + _BLOCK] = np.where(own >= 0, ordered[:, middle[1]], ordered[:, middle[0]])
    return np.maximum(found, 0)


def findings(manifest: Manifest, rows: np.ndarray, far: np.ndarray) -> list[Finding]:
    """What is worth a look, the farthest first.

    Args:
        rows: int64 (n,), of the manifest.
        far: (n,), from :func:`apart`.
    """
    if not len(far):
        return []
    middle = float(np.median(far))
    spread = float(np.median(np.abs(far - middle)))
    if spread == 0:
        return []
    scores = _NORMAL * (far - middle) / spread
    targets = manifest.targets
    found = []
    for position in np.argsort(-far, kind="stable").tolist():
        if scores[position] <= _FAR:
            break
        row = int(rows[position])
        label = manifest.classes[int(targets[row])]
        words = f"labelled {plain(label)}, {far[position]:.2f} times the usual distance from any class"
        facts = {"label": label, "distance": round(float(far[position]), 4), "z": round(float(scores[position]), 2)}
        found.append(Finding("stranger", (manifest.paths[row],), words, facts))
    return found
