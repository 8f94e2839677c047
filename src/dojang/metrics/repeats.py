"""The score of one recipe over several runs: mean, spread, and how far the mean can be trusted.

The runs of a cross-validation share training pictures, so their scores are not independent, and the interval of
Student's t over them is too narrow: where .95 is promised, it holds the truth in .91 of repetitions for 100 points of
two classes in 20 dimensions with five folds, and in .88 in 50 dimensions with ten.  Corrected for what they share it
holds it in .97 of either (benchmarks/results/fold_intervals.json).  No estimate of that variance is without bias:
Bengio and Grandvalet, "No unbiased estimator of the variance of K-fold cross-validation", JMLR 5, 2004.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dojang.errors import ConfigError
from dojang.metrics.intervals import student

#: what the interval of runs that share training pictures is called where it is written down
CORRECTED = "Student's t over the runs, corrected for shared training pictures (Nadeau and Bengio 2003)"
#: what that of independent runs is called
PLAIN = "Student's t over the runs"
# between which scores lie that are no shares
_BOUNDS = {"log_loss": (0.0, math.inf), "brier": (0.0, 2.0)}


@dataclasses.dataclass(frozen=True)
class Repeats:
    """A score over several runs.

    Args:
        values: One a run.
        mean, sd: Of them; the deviation with n - 1.
        low, high: The interval in which the mean over many such runs is trusted to lie; nan where all values are equal.
        method: How the interval was computed.
    """

    values: tuple[float, ...]
    mean: float
    sd: float
    low: float
    high: float
    method: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, which has no nan: what is undefined becomes None."""
        found = dataclasses.asdict(self) | {"values": list(self.values)}
        return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in found.items()}


def repeats(
    values: Sequence[float], *, shared: float = 0.0, bounds: tuple[float, float] = (0.0, 1.0), level: float = 0.95
) -> Repeats:
    """Mean, deviation and interval of a score over several runs of one recipe.

    Args:
        values: Two or more.
        shared: Pictures that judge one run over pictures that it learns from, where the runs are those of a
            cross-validation: 1 / (K - 1) for K folds. 0 for runs that share nothing but the data, as those of several
            seeds: their interval is of the seeds alone.
        bounds: Between which the score lies by its definition; the interval does, too.
        level: The share of repetitions in which the interval is to hold the truth.

    Raises:
        ConfigError: C220 for fewer than two values.

    Source: Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003, equation (9).

    Example:
        >>> found = repeats([0.8, 0.9, 0.85, 0.8, 0.9], shared=1 / 4)
        >>> round(found.mean, 3), round(found.sd, 3), round(found.low, 3), round(found.high, 3)
        (0.85, 0.05, 0.757, 0.943)
    """
    n = len(values)
    if n < 2:
        raise ConfigError("C220", f"repeats: {n} value; a spread is that of two or more.")
    method = CORRECTED if shared else PLAIN
    if min(values) == max(values):
        # rounding would make a spread of it
        return Repeats(tuple(values), float(values[0]), 0.0, math.nan, math.nan, method)
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    half = student(level, n - 1) * sd * math.sqrt(1 / n + shared)
    low, high = mean - half, mean + half
    return Repeats(tuple(values), mean, sd, max(low, bounds[0]), min(high, bounds[1]), method)


def of_runs(runs: Sequence[Mapping[str, Any]], *, shared: float = 0.0) -> dict[str, Any]:
    """Every score that all runs have, over them; plain values for JSON.

    Args:
        runs: What metrics.json says of one split, a run each. A score that is undefined in one of them has no mean.
        shared: As in :func:`repeats`.
    """
    found = {}
    for name in runs[0]:
        scores = [run.get(name) for run in runs]
        values = [one.get("value") if isinstance(one, dict) else None for one in scores]
        if None not in values:
            found[name] = repeats(values, shared=shared, bounds=_BOUNDS.get(name, (0.0, 1.0))).as_dict()  # type: ignore[arg-type]
    return found
