"""How often an interval over the folds of a cross-validation holds the truth, where the truth is known.

    python benchmarks/fold_intervals.py

Two clouds of points, told apart by the nearest of their two means; the accuracy of what was fitted is known in closed
form, and the truth is its mean over all data sets: what training on so many points can be expected to reach.  Kept in
benchmarks/results/fold_intervals.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

import dojang
from dojang.metrics.intervals import wilson
from dojang.metrics.repeats import repeats

RESULTS = Path(__file__).parent / "results" / "fold_intervals.json"
# points, dimensions, half the distance of the clouds, folds
SETTINGS = (
    (100, 20, 0.6, 5),
    (100, 20, 1.0, 5),
    (100, 50, 0.6, 10),
    (300, 50, 0.8, 5),
    (60, 5, 0.5, 3),
    (100, 20, 0.6, 10),
)


def scores(n: int, d: int, apart: float, folds: int, draw: np.random.Generator) -> tuple[list[float], list[float], int]:
    """Accuracy measured and true, fold by fold, and how many points were judged right."""
    labels = np.arange(n) % 2
    points = draw.normal(size=(n, d))
    points[:, 0] += apart * (2 * labels - 1)
    fold = np.empty(n, int)
    for label in (0, 1):
        fold[labels == label] = draw.permutation(n // 2) % folds
    measured, true, right = [], [], 0
    for k in range(folds):
        learns, asked = fold != k, fold == k
        ones, others = (points[learns & (labels == label)].mean(axis=0) for label in (1, 0))
        weights, bias = ones - others, -(ones + others) @ (ones - others) / 2
        hits = (points[asked] @ weights + bias > 0) == labels[asked]
        measured.append(float(hits.mean()))
        right += int(hits.sum())
        ends = [(apart * weights[0] + sign * bias) / np.linalg.norm(weights) for sign in (1, -1)]
        true.append(sum(NormalDist().cdf(float(end)) for end in ends) / 2)
    return measured, true, right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    kept = []
    for n, d, apart, folds in SETTINGS:
        draw = np.random.default_rng(0)
        found = [scores(n, d, apart, folds, draw) for _ in range(options.repetitions)]
        truth = float(np.mean([true for _, true, _ in found]))
        ends: dict[str, list[tuple[float, float]]] = {"student": [], "corrected": [], "wilson_pooled": []}
        for measured, _, right in found:
            for name, shared in (("student", 0.0), ("corrected", 1 / (folds - 1))):
                one = repeats(measured, shared=shared)
                ends[name].append((one.low, one.high))
            ends["wilson_pooled"].append(wilson(right, n))
        row: dict[str, Any] = {"points": n, "dimensions": d, "apart": apart, "folds": folds, "truth": round(truth, 4)}
        for name, pairs in ends.items():
            low, high = np.array(pairs).T
            row[name] = {
                "holds": round(float(((low <= truth) & (truth <= high)).mean()), 4),
                "mean_width": round(float(np.nanmean(high - low)), 4),
            }
        kept.append(row)
        print(row, flush=True)
    made = {"promised": 0.95, "repetitions": options.repetitions, "settings": kept, "dojang": dojang.__version__}
    options.out.write_text(json.dumps(made, indent=2) + "\n")


if __name__ == "__main__":
    main()
