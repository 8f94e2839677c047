"""Intervals from influence: how much each row moves a score, which says how far the score would move with other rows.

The influence of a row is the derivative of the score with respect to the row's weight, times n; the mean over all rows
is 0, and the mean square over n is the variance that a bootstrap of endless draws finds (the infinitesimal jackknife).
So nothing is drawn: an interval is a function of the rows, as fast as the score itself.

What a bootstrap does not see is handled where it arises: few rows that decide a score (effective degrees of freedom),
skewed rows (Hall's transformation), scores near their bounds (Wilson's form, or the logit). How often each interval
holds the truth is measured by ``benchmarks/coverage.py``; what was tried before is told in docs/scores.md.

Source: Efron, "The jackknife, the bootstrap and other resampling plans", 1982, chapter 6; Hampel, "The influence curve
and its role in robust estimation", JASA 69, 1974.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dojang.metrics.intervals import Score, quantile, student, wilson_of

#: fewer effective degrees of freedom, and a handful of rows decide a score: what they say of its spread is no more
#: than a guess
LEAST_FREEDOM = 6


def mean(values: Any, *, bounds: tuple[float, float] = (0.0, math.inf), level: float = 0.95) -> Score:
    """The mean of one number a row, such as the log loss, with an interval that holds for skewed rows too.

    Student's t, with effective degrees of freedom, seen through Hall's transformation: where a few large losses make
    the mean, the interval reaches further up than down.

    Args:
        values: Finite, shape (n,).
        bounds: Between which the mean lies by its definition; the interval does, too.
        level: The share of repetitions in which the interval is to hold the truth.

    Raises:
        ConfigError: C220 for a level outside (0, 1).

    Source: Hall, "On the removal of skewness by transformation", JRSS B 54, 1992, equation (2.2).

    Example:
        >>> score = mean([0.1] * 45 + [2.0] * 5)
        >>> round(score.value, 2), round(score.low, 2), round(score.high, 2)
        (0.29, 0.15, 0.58)
    """
    rows = np.asarray(values, dtype=np.float64)
    n = len(rows)
    if n == 0:
        return Score(math.nan, math.nan, math.nan, 0, "no pictures")
    value = float(rows.mean())
    away = rows - value
    unit = float(np.abs(away).max())
    # rounding alone tells values apart that are all the same
    if n == 1 or unit <= 1e-12 * abs(value):
        return Score(value, math.nan, math.nan, n, "one picture" if n == 1 else "the same for every picture")
    # in units of the largest: the squares of very small numbers are 0
    away /= unit
    variance = float(np.mean(away**2))
    skew = float(np.mean(away**3)) / variance**1.5 / math.sqrt(n)
    error, t = unit * math.sqrt(variance / (n - 1)), student(level, max(freedom(away), 3.0))
    low, high = value - error * unskewed(t, skew), value - error * unskewed(-t, skew)
    return Score(value, max(low, bounds[0]), min(high, bounds[1]), n)


def share(value: float, centre: float, rows: float, n: int, level: float = 0.95) -> Score:
    """A score in [0, 1] that is no share of rows, with Wilson's interval for as many rows as would give its variance.

    Args:
        value: What is shown.
        centre: What the interval is laid around: the value, without its bias.
        rows: centre (1 - centre) / variance, from a variance that is not 0.
        n: The number of rows.

    Source: Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts",
    Survey Methodology 24, 1998, for the effective number of rows.
    """
    low, high = wilson_of(min(max(centre, 0.0), 1.0), rows, quantile(level))
    # the value shown lies in its interval
    return Score(value, min(float(low), value), max(float(high), value), n)


def logit(value: float, centre: float, variance: float, free: float, n: int, level: float = 0.95) -> Score:
    """A score in [0, 1] whose interval is symmetric on the scale of log(p / (1 - p)), with Student's t.

    Args:
        value: What is shown.
        centre: What the interval is laid around, in (0, 1).
        variance: Of the score.
        free: Effective degrees of freedom, from :func:`freedom`.
        n: The number of rows.
    """
    place = math.log(centre / (1 - centre))
    half = student(level, free) * math.sqrt(variance) / (centre * (1 - centre))
    low, high = (1 / (1 + math.exp(min(-place + sign * half, 700.0))) for sign in (1, -1))
    return Score(value, min(low, value), max(high, value), n)


def freedom(influence: np.ndarray) -> float:
    """How many degrees of freedom the variance of rows is worth: 2 n / (kurtosis - 1), about twice the rows that count.

    The relative variance of a mean square of n rows is (kurtosis - 1) / n, that of a chi-square over its degrees of
    freedom is 2 / freedom; equal ones name each other, as in Welch and Satterthwaite.

    Args:
        influence: Of mean 0, shape (n,), not all 0.

    Source: Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2,
    1946.

    >>> round(freedom(np.array([1.0, -1.0] * 50 + [0.0] * 900)))
    222
    """
    square = influence**2
    kurtosis = float(np.mean(square**2)) / float(np.mean(square)) ** 2
    return 2 * len(influence) / max(kurtosis - 1, 2 / len(influence))


def unskewed(t: float, skew: float) -> float:
    """Where Hall's transformation of the studentised mean is t; ``skew`` is the skewness over the root of n."""
    if abs(skew) < 1e-6:
        return t
    return 3 / skew * (float(np.cbrt(1 + skew * (t - skew / 6))) - 1)
