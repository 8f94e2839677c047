"""Two networks asked about the same pictures: how much better one is, and whether that could be chance.

What both get right, or both wrong, says nothing of the difference; so it is judged by the pictures where they disagree.
The interval of the difference is Tango's: it asks which differences the score test does not refuse, so it goes with
McNemar's test, needs nothing but the counts, and stays good where one of them is 0 or the difference is near 1.  How
often it holds the truth, beside Newcombe's and the plain one: benchmarks/results/paired_intervals.json.  With fewer
disagreements than LEAST it holds it too often for what it promises, and none is shown.  Differences of other scores
than top-1 are in :mod:`dojang.metrics.differences`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dojang.errors import ConfigError, many
from dojang.metrics.intervals import Score, quantile

#: rows that only one of the two gets right, for an interval: of fewer, whatever falls on one side, equally good
#: networks are never told apart (of four they are too often), so it would hold the truth nearly always
LEAST = 5


def difference(first_only: int, second_only: int, n: int, level: float = 0.95) -> Score:
    """How much more often the second is right than the first, with Tango's score interval.

    Args:
        first_only: Rows that the first gets right and the second wrong.
        second_only: The other way round.
        n: All rows, those where they agree too.
        level: The share of repetitions in which the interval is to hold the truth.

    Returns:
        From -1 to 1; above 0 the second is better. No interval for fewer than LEAST rows that only one gets right.

    Raises:
        ConfigError: C220 for counts that do not fit each other, or a level outside (0, 1).

    Source: Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17, 1998, equations (15) and (22).  Recommended in Fagerland, Lydersen and Laake,
    Statistics in Medicine 33, 2014.

    Example:
        >>> found = difference(16, 6, 161)
        >>> round(found.value, 4), round(found.low, 4), round(found.high, 4)
        (-0.0621, -0.124, -0.0054)
    """
    _check(first_only, second_only, n)
    z = quantile(level)
    if n == 0:
        return Score(math.nan, math.nan, math.nan, 0, "no pictures")
    value = (second_only - first_only) / n
    if why := too_few(first_only + second_only):
        return Score(value, math.nan, math.nan, n, why)
    return Score(value, *tango_of(first_only, second_only, n, z), n)


def too_few(alone: int) -> str:
    """Why there is no interval where only one is right on so few rows, or nothing.

    >>> too_few(2), too_few(5)
    ('2 pictures tell them apart, fewer than 5', '')
    """
    if alone == 0:
        return "no picture tells them apart"
    tell = "tells" if alone == 1 else "tell"
    return f"{many(alone, 'picture')} {tell} them apart, fewer than {LEAST}" if alone < LEAST else ""


def tango_of(first_only: float, second_only: float, n: float, z: float) -> tuple[float, float]:
    """Tango's interval of counts that need not be whole.

    Args:
        first_only, second_only: From 0; together at most n.
        n: Above 0.
        z: The normal quantile of the level.
    """
    if first_only > second_only:
        # by mirroring, so that exchanged networks have exactly the same ends
        low, high = tango_of(second_only, first_only, n, z)
        return -high, -low
    value = (second_only - first_only) / n

    def end(outer: float) -> float:
        inside = value
        for _ in range(200):
            middle = (inside + outer) / 2
            if middle in (inside, outer):
                break
            if abs(_score(first_only, second_only, n, middle)) <= z:
                inside = middle
            else:
                outer = middle
        return inside

    high = end(1.0)
    return -high if first_only == second_only else end(-1.0), high


def _score(first_only: float, second_only: float, n: float, delta: float) -> float:
    """The score statistic of the difference ``delta``: about normal if that is the true one."""
    gap = second_only - first_only - n * delta
    if gap == 0:
        return 0.0
    # the share of rows that only the first gets right, most likely if the difference is delta
    b = -(second_only + first_only) + (2 * n - second_only + first_only) * delta
    c = -first_only * delta * (1 - delta)
    share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * share + delta * (1 - delta))
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap)


def mcnemar(first_only: int, second_only: int) -> float:
    """The probability of so uneven a disagreement, or a more uneven one, between two that are equally good.

    The exact test: of the rows where they disagree each is right in half, so the smaller count is binomial.

    Args:
        first_only: Rows that the first gets right and the second wrong.
        second_only: The other way round.

    Returns:
        The two-sided p-value; 1 where they never disagree.

    Raises:
        ConfigError: C220 for counts that are none.

    Source: McNemar, Psychometrika 12, 1947; Dietterich, "Approximate statistical tests for comparing supervised
    classification learning algorithms", Neural Computation 10, 1998, for its use here.

    Example:
        >>> round(mcnemar(16, 6), 6)
        0.052479
    """
    _check(first_only, second_only, int(first_only) + int(second_only))
    total, least = int(first_only) + int(second_only), min(int(first_only), int(second_only))
    # by logarithms: 2 to the power of ten thousand is no float
    log = math.lgamma(total + 1) - total * math.log(2)
    tail = math.fsum(math.exp(log - math.lgamma(k + 1) - math.lgamma(total - k + 1)) for k in range(least + 1))
    return min(1.0, 2 * tail)


def holm(values: Sequence[float]) -> list[float]:
    """P-values of several comparisons, corrected so that one in twenty *families* has a false one below 0.05.

    Args:
        values: From 0 to 1, one a comparison.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.

    Example:
        >>> [round(value, 3) for value in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(values, kind="stable").tolist()
    found, largest = [0.0] * len(values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - place) * values[index]))
        found[index] = largest
    return found


def _check(first_only: int, second_only: int, n: int) -> None:
    for count in (first_only, second_only, n):
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 0:
            raise ConfigError("C220", f"paired: {first_only!r} and {second_only!r} of {n!r}; expected whole numbers.")
    if first_only + second_only > n:
        raise ConfigError("C220", f"paired: {first_only} and {second_only} rows of {n}; together they are more.")
