"""What else was tried to find pictures that belong to no class, with the seeds and pictures of the choice.

    python benchmarks/strangers_others.py --photos FOLDER --weights FILE.safetensors --data-root FOLDER \\
        --cells TAR --streets TAR --seeds 2

As strangers.py, with seeds from 100 on and the other hundred pictures of each of the first seven kinds.  All but
dojang's own measure are fitted on four fifths and asked about the rest, strangers among either.  "length 1": features
are divided by their length.  Kept in benchmarks/results/strangers_others.json.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from strangers import PLANTED, UNSEEN, arguments, features, kinds

import dojang
from dojang.data.pairs import from_pairs
from dojang.data.scan import find
from dojang.doctor import strangers
from dojang.predict.predictor import Predictor

RESULTS = Path(__file__).parent / "results" / "strangers_others.json"
# features and labels to fit on, features to judge -> how strange each is
Fitted = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def unit(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return found


def quadratic(differences: np.ndarray, precision: np.ndarray) -> np.ndarray:
    found: np.ndarray = ((differences @ precision) * differences).sum(axis=-1)
    return found


def mahalanobis(a: np.ndarray, t: np.ndarray, b: np.ndarray) -> np.ndarray:
    """To the nearest class mean, one covariance (Ledoit and Wolf): Lee et al., arXiv:1807.03888."""
    from sklearn.covariance import LedoitWolf

    means = np.stack([a[t == c].mean(axis=0) for c in np.unique(t)])
    precision = LedoitWolf(assume_centered=True).fit(a - means[np.unique(t, return_inverse=True)[1]]).precision_
    found: np.ndarray = np.min([quadratic(b - mean, precision) for mean in means], axis=0)
    return found


def relative(a: np.ndarray, t: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Less the same to the mean of all: Ren et al., arXiv:2106.09022."""
    from sklearn.covariance import LedoitWolf

    return mahalanobis(a, t, b) - quadratic(b - a.mean(axis=0), LedoitWolf().fit(a).precision_)


def residual(a: np.ndarray, t: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What 50 principal components leave: the residual of Wang et al., arXiv:2203.10807."""
    from sklearn.decomposition import PCA

    fitted = PCA(50, random_state=0).fit(a)
    found: np.ndarray = ((b - fitted.inverse_transform(fitted.transform(b))) ** 2).sum(axis=1)
    return found


def energy(a: np.ndarray, t: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of the scores of a linear discriminant: Liu et al., arXiv:2010.03759."""
    from scipy.special import logsumexp
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(a, t)
    found: np.ndarray = -logsumexp(fitted.decision_function(b), axis=1)
    return found


def forest(a: np.ndarray, t: np.ndarray, b: np.ndarray) -> np.ndarray:
    from sklearn.ensemble import IsolationForest

    found: np.ndarray = -IsolationForest(n_estimators=200, random_state=0).fit(a).score_samples(b)
    return found


def neighbours(k: int) -> Fitted:
    def distance(a: np.ndarray, t: np.ndarray, b: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.partition(1 - unit(b) @ unit(a).T, k - 1, axis=1)[:, k - 1]
        return found

    return distance


def of_length_one(measure: Fitted) -> Fitted:
    return lambda a, t, b: measure(unit(a), t, unit(b))


TRIED: dict[str, Fitted] = {
    "Mahalanobis distance": mahalanobis,
    "Mahalanobis distance, length 1": of_length_one(mahalanobis),
    "relative Mahalanobis distance": relative,
    "relative Mahalanobis distance, length 1": of_length_one(relative),
    "residual of 50 components": residual,
    "residual of 50 components, length 1": of_length_one(residual),
    "energy": energy,
    "isolation forest": forest,
    "cosine to the 5th neighbour": neighbours(5),
    "cosine to the 50th neighbour": neighbours(50),
}


def out_of_fold(measure: Fitted, seen: np.ndarray, targets: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    fold = draw.permutation(len(seen)) % 5
    found = np.empty(len(seen))
    for k in range(5):
        found[fold == k] = measure(seen[fold != k], targets[fold != k], seen[fold == k])
    return found


def main() -> None:
    options = arguments(__doc__, RESULTS).parse_args()
    predictor, photos = Predictor.load(options.weights), find(options.photos)
    own, classes = features(predictor, photos).astype(np.float64), len(photos.classes)
    shares: dict[str, dict[str, list[float]]] = {}
    for kind, pictures in kinds(options, first=True).items():
        if kind in UNSEEN:
            continue
        pool = features(predictor, from_pairs([(picture, 0) for picture in pictures], ["any"]))
        for seed in range(100, 100 + options.seeds):
            draw = np.random.default_rng(seed)
            seen = np.concatenate([own, pool[draw.choice(len(pool), PLANTED, replace=False)]])
            targets = np.concatenate([photos.targets, draw.integers(0, classes, PLANTED)])
            judged = {name: out_of_fold(measure, seen, targets, draw) for name, measure in TRIED.items()}
            judged["dojang"] = strangers.apart(seen, targets, classes)
            for name, far in judged.items():
                first = np.argsort(-far, kind="stable")[: round(0.1 * len(far))]
                shares.setdefault(name, {}).setdefault(kind, []).append(float((first >= len(own)).sum()) / PLANTED)
        print(kind, {name: round(statistics.mean(of[kind]), 2) for name, of in shares.items()}, flush=True)
    found: dict[str, Any] = {
        name: {"mean": round(statistics.mean(v for values in of.values() for v in values), 4)}
        | {kind: round(statistics.mean(values), 4) for kind, values in of.items()}
        for name, of in shares.items()
    }
    made = {"in_the_first_tenth": found, "planted": PLANTED, "seeds": options.seeds, "dojang": dojang.__version__}
    options.out.write_text(json.dumps(made, indent=2) + "\n")


if __name__ == "__main__":
    main()
