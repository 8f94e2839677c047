"""Several recipes with the same seeds: which is best, and which cannot be told from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dojang.metrics.intervals import student, within
from dojang.metrics.paired import holm


@dataclass(frozen=True)
class Against:
    """A recipe against the best one, over the seeds that both have.

    Args:
        difference: Mean of its score less the best one's.
        low, high: The 95 % interval; nan for fewer than two seeds, or where all differences are equal.
        p: Of so large a difference, or a larger one, between equals; nan where it cannot be told.
        corrected: The same, for all that are compared with the best (Holm).
    """

    difference: float
    low: float
    high: float
    p: float
    corrected: float = math.nan

    @property
    def told_apart(self) -> bool:
        """Whether chance alone would seldom make the difference."""
        return self.corrected < 0.05


def paired(values: Sequence[float], best: Sequence[float], level: float = 0.95) -> Against:
    """Student's paired t of two recipes whose runs have the same seeds.

    Args:
        values, best: A score of each seed, in one order.

    Source: Student, "The probable error of a mean", Biometrika 6, 1908.

    Example:
        >>> found = paired([0.90, 0.91, 0.92], [0.93, 0.95, 0.94])
        >>> round(found.difference, 3), round(found.low, 3), round(found.high, 3), round(found.p, 3)
        (-0.03, -0.055, -0.005, 0.035)
    """
    apart = np.asarray(values, np.float64) - np.asarray(best, np.float64)
    n = len(apart)
    mean = float(apart.mean()) if n else math.nan
    # equal differences, but for rounding, name no spread
    error = float(apart.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    if error <= 1e-12 * max(1.0, abs(mean)) or math.isnan(mean):
        return Against(mean, math.nan, math.nan, 1.0 if n > 1 and mean == 0 else math.nan)
    half = student(level, n - 1) * error
    return Against(mean, mean - half, mean + half, 1 - within(abs(mean) / error, n - 1))


def all_against(several: Sequence[Mapping[int, float]], best: int) -> list[Against | None]:
    """Each of several recipes against the best one, over the seeds that both have.

    The best was chosen because it was the best, so it is a little better here than it is: recipes near to it may be
    called different in a few more than 5 of 100 studies.  What is not told apart is not known to be equal.

    Args:
        several: Of each recipe a score by seed.
        best: The number of the best.

    Returns:
        None for the best, and for those that share no seed with it.
    """
    found: list[Against | None] = []
    for i, values in enumerate(several):
        both = [seed for seed in values if seed in several[best]]
        theirs = [several[best][seed] for seed in both]
        found.append(paired([values[seed] for seed in both], theirs) if both and i != best else None)
    known = [one.p for one in found if one is not None and not math.isnan(one.p)]
    corrected = iter(holm(known))
    return [one if one is None or math.isnan(one.p) else replace(one, corrected=next(corrected)) for one in found]
