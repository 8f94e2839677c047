"""How far a score can be trusted: Wilson's interval for shares of rows, and the bootstrap for any score at all.

At n = 180 and a true accuracy of .97, Wilson's 95 % interval holds the truth in .950 of repetitions and the percentile
bootstrap in .900 (tests/unit/metrics/test_intervals.py computes both); so plain accuracies take Wilson, and the
bootstrap here is the corrected one. The scores that ``dojang val`` shows have closer intervals of their own, in
:mod:`dojang.metrics.influence` and :mod:`dojang.metrics.classes`; the bootstrap is for what has none. An interval takes
the rows for independent draws from what the model will meet; it does not know the spread between training runs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

from dojang import seeds
from dojang.errors import ConfigError

_NORMAL = NormalDist()
_GROUPS = 200


@dataclasses.dataclass(frozen=True)
class Score:
    """A score, the interval it is trusted to lie in, and the number of rows it was computed on.

    Args:
        why: Where there is no interval, the reason.
    """

    value: float
    low: float
    high: float
    n: int
    why: str = ""

    def as_dict(self) -> dict[str, float | int | str | None]:
        """Plain values for JSON, which has no nan: what is undefined becomes None.

        >>> Score(0.9, 0.8, float("nan"), 10).as_dict()
        {'value': 0.9, 'low': 0.8, 'high': None, 'n': 10}
        """
        values = {name: getattr(self, name) for name in ("value", "low", "high", "n")}
        found = {name: None if math.isnan(value) else value for name, value in values.items()}
        return found | ({"why": self.why} if self.why else {})


def wilson(successes: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of a share of rows, such as accuracy; good also near 0 and 1 and for small n.

    Args:
        successes: How many of the rows, from 0 to n.
        n: The number of rows; zero rows say nothing, so their interval is (0, 1).
        level: The share of repetitions in which the interval is to hold the truth.

    Returns:
        Low and high, in [0, 1]; the low end is exactly 0 at no success and the high end exactly 1 at n.

    Raises:
        ConfigError: C220 for counts that do not fit each other or a level outside (0, 1).

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927; equation
    (4) of Newcombe, Statistics in Medicine 17, 1998.

    Example:
        >>> [round(end, 4) for end in wilson(97, 100)]
        [0.9155, 0.9897]
    """
    z = quantile(level)
    for count in (successes, n):
        if isinstance(count, bool) or not isinstance(count, (int, np.integer)):
            raise ConfigError("C220", f"wilson: {successes!r} successes of {n!r}; expected whole numbers.")
    if not 0 <= successes <= n:
        raise ConfigError("C220", f"wilson: {successes} successes of {n} rows; expected from 0 to the number of rows.")
    if n == 0:
        return 0.0, 1.0
    low, high = wilson_of(int(successes) / int(n), int(n), z)
    return float(low), float(high)


def wilson_of(share: Any, n: Any, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of shares, each of a number of rows that need not be whole.

    Args:
        share: In [0, 1], of any shape.
        n: Above 0, of the same shape.
        z: The normal quantile of the level.
    """
    p, n = np.asarray(share, dtype=np.float64), np.asarray(n, dtype=np.float64)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # exactly the end, which rounding may miss
    return np.where(p <= 0, 0.0, centre - half), np.where(p >= 1, 1.0, centre + half)


def proportion(successes: int, n: int, level: float = 0.95) -> Score:
    """A share of rows with its Wilson interval; accuracy is ``proportion(right, n)``.

    Args:
        successes: How many of the rows.
        n: The number of rows; zero rows give the value nan and the interval (0, 1).
        level: As in :func:`wilson`.

    Raises:
        ConfigError: C220 as :func:`wilson`.

    Example:
        >>> proportion(9, 10).value
        0.9
    """
    low, high = wilson(successes, n, level)
    return Score(int(successes) / int(n) if n else float("nan"), low, high, int(n))


def bootstrap(
    statistic: Callable[..., float],
    *arrays: Any,
    strata: Any = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Score:
    """Any score of rows with its bootstrap interval (BCa): balanced accuracy, F1, log loss, differences of two models.

    Rows are drawn anew with replacement, the same rows from every array, and the statistic is computed on each draw.
    The ends are percentiles of those values, corrected for bias (a resample has fewer distinct rows, which lowers F1)
    and for a spread that changes with the value. The draws come from :mod:`dojang.seeds`: the same on every machine.

    Args:
        statistic: Called with the drawn rows of each array; gives one number.
        arrays: Each of n rows along its first axis.
        strata: One value a row, shape (n,); rows are drawn within equal values, so each keeps its count. The true
            labels keep every class in each draw. None draws from all rows.
        level: The share of repetitions in which the interval is to hold the truth.
        resamples: How many draws.
        seed: Of the draws.

    Returns:
        The score of the rows as they are, with its interval. All nan for zero rows. The ends are nan when every draw
        gives the same value, as for a model without an error: no draw shows errors that the rows do not hold.

    Raises:
        ConfigError: C220 for arrays or strata of different length, a level outside (0, 1), fewer than 100 draws, or
            a statistic that is not finite on some draw.

    Source: Efron, "Better bootstrap confidence intervals", JASA 82, 1987; with strata, Davison and Hinkley, "Bootstrap
    methods and their application", 1997, section 5.3.2.

    Example:
        >>> score = bootstrap(np.median, np.arange(101.0))
        >>> score.value, 35 < score.low < 45, 55 < score.high < 65
        (50.0, True, True)
    """
    z = quantile(level)
    rows, order, start, size = _sample(arrays, strata)
    n = len(order)
    if isinstance(resamples, bool) or not isinstance(resamples, (int, np.integer)) or resamples < 100:
        raise ConfigError("C220", f"bootstrap: resamples is {resamples!r}; expected a whole number from 100.")
    if n == 0:
        return Score(float("nan"), float("nan"), float("nan"), 0)

    def score(chosen: np.ndarray) -> float:
        value = float(statistic(*(array[chosen] for array in rows)))
        if not math.isfinite(value):
            raise ConfigError(
                "C220",
                f"bootstrap: the statistic gives {value} on {len(chosen)} rows drawn from {n}.",
                context="A draw can miss every row of a class." if strata is None else "",
                fix="strata=true" if strata is None else "",
            )
        return value

    value = score(np.arange(n))
    key, counters = seeds.key(seed, "bootstrap"), np.arange(n, dtype=np.int64)
    draws = np.array(
        [score(order[start + seeds.integers(key, counters + draw * n, size)]) for draw in range(int(resamples))]
    )
    if draws.min() == draws.max():
        return Score(value, float("nan"), float("nan"), n)
    below = (np.sum(draws < value) + np.sum(draws <= value)) / (2 * len(draws))
    # a value outside all draws would have an infinite correction
    bias = _NORMAL.inv_cdf(min(max(float(below), 0.5 / len(draws)), 1 - 0.5 / len(draws)))
    acceleration = _acceleration(score, order, start, size, seed)
    ends = []
    for tail in (bias - z, bias + z):
        place = _NORMAL.cdf(bias + tail / max(1 - acceleration * tail, 1e-9))
        ends.append(float(np.quantile(draws, place)))
    return Score(value, ends[0], ends[1], n)


def _acceleration(
    score: Callable[[np.ndarray], float], order: np.ndarray, start: np.ndarray, size: np.ndarray, seed: int
) -> float:
    """How fast the spread changes with the value: a sixth of the skewness of the rows' influence, by the jackknife.

    Up to 200 rows are left out one by one. More are left out in about 200 random groups: the correction shrinks with
    the root of n, and the noise of the groups in it stays below .004.
    """
    n, second, third = len(order), 0.0, 0.0
    for first in np.unique(start):
        rows = int(size[first])
        if rows == 1:
            continue
        groups = rows if n <= _GROUPS else min(rows, max(3, _GROUPS * rows // n))
        group = seeds.permutation(seeds.key(seed, "jackknife", int(first)), rows) % groups
        without = np.empty(groups)
        for number in range(groups):
            keep = np.ones(n, dtype=bool)
            keep[first : first + rows] = group != number
            without[number] = score(order[keep])
        influence = (without.mean() - without) * (groups - 1) / groups
        second, third = second + float(np.sum(influence**2)), third + float(np.sum(influence**3))
    return third / (6 * second**1.5) if second > 0 else 0.0


def _sample(arrays: tuple[Any, ...], strata: Any) -> tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """The arrays; the rows in order of their stratum; and for each place in that order, where its stratum starts
    and how many rows it has."""
    rows = [np.asarray(array) for array in arrays]
    labels = [] if strata is None else [np.asarray(strata)]
    shapes = [array.shape for array in rows + labels]
    if not rows or any(not shape or shape[0] != shapes[0][0] for shape in shapes) or any(a.ndim != 1 for a in labels):
        names = [f"array {i}" for i in range(len(rows))] + ["strata"] * len(labels)
        found = " and ".join(f"{name} has shape {shape}" for name, shape in zip(names, shapes, strict=True))
        raise ConfigError(
            "C220", f"bootstrap: {found or 'no array is given'}; expected the same number of rows in each."
        )
    n = shapes[0][0]
    stratum = np.unique(labels[0], return_inverse=True)[1] if labels else np.zeros(n, dtype=np.int64)
    order = np.argsort(stratum, kind="stable")
    sizes = np.bincount(stratum)
    starts = np.cumsum(sizes) - sizes
    return rows, order, starts[stratum[order]], sizes[stratum[order]]


def quantile(level: float) -> float:
    """The normal quantile that leaves (1 - level) / 2 above it.

    Raises:
        ConfigError: C220 for a level outside (0, 1).

    >>> round(quantile(0.95), 3)
    1.96
    """
    if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0 < level < 1:
        raise ConfigError("C220", f"level is {level!r}; expected a number between 0 and 1, such as 0.95.")
    return -_NORMAL.inv_cdf((1 - level) / 2)


def student(level: float, freedom: float) -> float:
    """The value that Student's t keeps within, on either side of 0, with this probability.

    The density is put together over the angle atan(t / sqrt(freedom)), in which it has no tail: it is a power of a
    cosine. The share within is concave in t, so Newton's steps from below, from the normal quantile, do not overshoot.

    Args:
        freedom: Degrees of freedom, 1 or more; they need not be whole.

    Raises:
        ConfigError: C220 for a level outside (0, 1), or less than one degree of freedom.

    Example:
        >>> round(student(0.95, 4), 3), round(student(0.95, 1), 3)
        (2.776, 12.706)
    """
    t = quantile(level)
    if not 1 <= freedom < math.inf:
        raise ConfigError("C220", f"student: freedom is {freedom!r}; expected a number from 1.")
    for _ in range(200):
        step = (level - within(t, freedom)) / _density(t, freedom)
        t += step
        if abs(step) <= 1e-12 * t:
            break
    return t


def within(t: float, freedom: float) -> float:
    """The probability that Student's t lies between -t and t.

    >>> round(within(2.776445, 4), 6)
    0.95
    """
    nodes, weights = np.polynomial.legendre.leggauss(64)
    angle = math.atan(t / math.sqrt(freedom))
    places = angle * (nodes + 1) / 2
    inside = float(np.sum(weights * np.cos(places) ** (freedom - 1)))
    return _scale(freedom) * angle * inside


def _density(t: float, freedom: float) -> float:
    """Of |t|."""
    cosine = math.cos(math.atan(t / math.sqrt(freedom)))
    return float(2 * _scale(freedom) / math.sqrt(freedom) * cosine ** (freedom + 1))


def _scale(freedom: float) -> float:
    return math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
