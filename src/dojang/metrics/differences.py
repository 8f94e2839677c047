"""Differences of two networks asked about the same pictures, in scores that are no share of all rows; with intervals.

Top-1 is in :mod:`dojang.metrics.paired`. As there, only rows that tell the two apart say anything of the difference,
so an interval comes from what each row moves it by. Exchanged networks have exactly the same interval with another
sign. The truth that is meant is that of :mod:`dojang.metrics.classes`: endlessly many more pictures of the classes that
are here. How often the intervals hold it: ``benchmarks/paired_intervals.py``, and docs/compare.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dojang.errors import ConfigError
from dojang.metrics import classes, influence, paired, scores
from dojang.metrics.arrays import ids, numbers
from dojang.metrics.intervals import Score, quantile, student

#: rows in equal classes that a mean over classes must be worth, for an interval: with fewer, how often the two differ
#: in a rare class is known from so few rows that no interval was found that holds what it promises
LEAST_ROWS = 40
# rows that are added to each class where its spread is estimated: half a row for each of what two answers can be, right
# and right, right and wrong, ...
_ADDED = 2.0
# the same of macro F1, to whose spread other classes' rows add, too
_ADDED_F1 = 0.5


@dataclass(frozen=True)
class _Told:
    """Answers of two networks, checked.

    Args:
        true, first, second: int64 (n,).
        there: Classes that have rows, bool (c,).
        size: Rows of each of these, float64 (k,).
        first_only, second_only: Rows of each that only one gets right, int64 (k,).
        why: Why there can be no interval, or nothing.
    """

    true: np.ndarray
    first: np.ndarray
    second: np.ndarray
    there: np.ndarray
    size: np.ndarray
    first_only: np.ndarray
    second_only: np.ndarray
    why: str


def balanced_accuracy(true: Any, first: Any, second: Any, n_classes: int, level: float = 0.95) -> Score:
    """How much better the second is than the first in balanced accuracy, the mean recall over classes.

    The variance is that of independent differences, one a class, each with two rows added that share out as all rows
    do; Tango's interval for the number of rows that this variance names. Where all classes have the same size it is
    close to that of top-1.

    Args:
        true: Class ids of shape (n,).
        first, second: What the two networks answer, class ids of shape (n,).
        n_classes: Ids go from 0 to n_classes - 1.
        level: The share of repetitions in which the interval is to hold the truth.

    Returns:
        Second less first, above 0 the second is better. No interval, and the reason, for one class, fewer rows than
        five a class, fewer than five that only one gets right, and classes so unequal that they are worth fewer than
        LEAST_ROWS.

    Raises:
        ConfigError: C220 for arrays that do not fit each other, or a level outside (0, 1).

    Source: Agresti and Min, "Simple improved confidence intervals for comparing matched proportions", Statistics in
    Medicine 24, 2005, for the rows that are added; Tango, ibid. 17, 1998.

    Example:
        >>> true = [0] * 40 + [1] * 40
        >>> second = [0] * 38 + [1] * 42
        >>> first = [0] * 32 + [1] * 8 + [0] * 2 + [1] * 38
        >>> found = balanced_accuracy(true, first, second, 2)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (0.1, 0.048, 0.185)
    """
    told = _told(true, first, second, n_classes, level)
    n, k = len(told.true), max(len(told.size), 1)
    more = told.second_only - told.first_only
    value = float(np.sum(more / told.size)) / k if n else math.nan
    if told.why:
        return Score(value, math.nan, math.nan, n, told.why)
    alone = told.first_only + told.second_only
    share = (alone + _ADDED * (alone.sum() + 0.5) / (n + 1)) / (told.size + _ADDED)
    gain = more / (told.size + _ADDED)
    variance = _variance(share, gain, told.size, _ADDED)
    return _around(value, value, float(share.mean()), float(gain.mean()), variance, n, level)


def macro_f1(true: Any, first: Any, second: Any, n_classes: int, level: float = 0.95) -> Score:
    """How much better the second is than the first in macro F1, the mean F1 over classes.

    A row moves the difference by what its cell moves the F1 of the second's matrix, less what its cell moves that of
    the first's. The variance is that of these moves within classes, each class with half a row added that moves as
    the rows of all classes do. The interval is laid around the value without the bias of few rows, which
    :func:`dojang.metrics.classes.macro_f1` tells of; Tango's, as in :func:`balanced_accuracy`.

    Args:
        true: Class ids of shape (n,).
        first, second: What the two networks answer, class ids of shape (n,).
        n_classes: Ids go from 0 to n_classes - 1.
        level: The share of repetitions in which the interval is to hold the truth.

    Returns:
        Second less first, above 0 the second is better. No interval, and the reason, where :func:`balanced_accuracy`
        has none, and where one of the two answers a class that has no rows.

    Raises:
        ConfigError: C220 for arrays that do not fit each other, or a level outside (0, 1).

    Example:
        >>> true = [0] * 40 + [1] * 40
        >>> second = [0] * 38 + [1] * 42
        >>> first = [0] * 32 + [1] * 8 + [0] * 2 + [1] * 38
        >>> found = macro_f1(true, first, second, 2)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (0.101, 0.048, 0.186)
    """
    told = _told(true, first, second, n_classes, level)
    n, k = len(told.true), len(told.size)
    one, other = _F1(told.true, told.first, n_classes), _F1(told.true, told.second, n_classes)
    value, centre = other.value - one.value, (other.value - one.value) + (other.bias - one.bias)
    why = told.why
    if not why and not told.there[np.concatenate([told.first, told.second])].all():
        why = "a class without pictures was answered"
    if why:
        return Score(value, math.nan, math.nan, n, why)
    size = np.bincount(told.true, minlength=n_classes)
    # over what a row can move by its own class's recall
    moves = (other.moves - one.moves) * size[told.true]
    sums, squares = (np.bincount(told.true, of, minlength=n_classes)[told.there] for of in (moves, moves * moves))
    share = (squares + _ADDED_F1 * (squares.sum() + 0.5) / (n + 1)) / (told.size + _ADDED_F1)
    variance = _variance(share, sums / (told.size + _ADDED_F1), told.size, _ADDED_F1)
    gain = centre * n / (n + _ADDED_F1 * k)
    return _around(value, centre, min(float(share.mean()), 1.0), gain, variance, n, level)


def mean(first: Any, second: Any, level: float = 0.95) -> Score:
    """How much larger the second's mean of one number a row is, such as the log loss: below 0 the second is better.

    Student's t with effective degrees of freedom, seen through Hall's transformation, as
    :func:`dojang.metrics.influence.mean`; but of two networks that are about as good the differences are as often
    large on one side as on the other, and what skewness a few hundred rows show is mostly chance. So as much of it is
    taken off as chance explains.

    Args:
        first, second: Finite, shape (n,).
        level: The share of repetitions in which the interval is to hold the truth.

    Raises:
        ConfigError: C220 for shapes that differ, numbers that are not finite, or a level outside (0, 1).

    Source: James and Stein, "Estimation with quadratic loss", 1961, for how much; Hall, JRSS B 54, 1992.

    Example:
        >>> found = mean([0.1, 0.2, 0.3, 0.4] * 5, [0.1, 0.1, 0.3, 0.1] * 5)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (-0.1, -0.163, -0.048)
    """
    columns = [numbers(values, name) for values, name in ((first, "first"), (second, "second"))]
    a, b = (column.astype(np.float64) for column in columns)
    if a.ndim != 1 or a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ConfigError(
            "C220", f"mean: first has shape {a.shape} and second has shape {b.shape}; expected finite (n,) of both."
        )
    n = len(a)
    quantile(level)
    rows = b - a
    if n == 0:
        return Score(math.nan, math.nan, math.nan, 0, "no pictures")
    value = float(rows.mean())
    away = rows - value
    unit = float(np.abs(away).max())
    # rounding alone tells values apart that are all the same
    if n == 1 or unit <= 1e-12 * max(abs(value), float(np.abs(a).max())):
        return Score(value, math.nan, math.nan, n, "one picture" if n == 1 else "the same for every picture")
    away /= unit
    # as products: a power of -x may differ from that of x in its last bit
    square = away * away
    variance, third = float(np.mean(square)), float(np.mean(square * away))
    # the square of how many of its standard errors the skewness is from 0
    sure = n * third**2 / float(np.mean(square * square * square))
    skew = third / variance**1.5 / math.sqrt(n) * (1 - 1 / sure if sure > 1 else 0.0)
    error, t = unit * math.sqrt(variance / (n - 1)), student(level, max(influence.freedom(away), 3.0))
    low, high = (value - error * influence.unskewed(end, skew) for end in (t, -t))
    return Score(value, low, high, n)


def _variance(square: np.ndarray, mean: np.ndarray, size: np.ndarray, added: float) -> float:
    """Of the mean over classes, from the mean square and the mean of each class's rows, ``added`` ones among them."""
    # over one row less than there are: the mean is that of the same rows
    each = (square - mean**2) * (size + added) / (size + added - 1)
    return float(np.sum(each / size)) / len(size) ** 2


def _around(value: float, centre: float, share: float, gain: float, variance: float, n: int, level: float) -> Score:
    """Tango's interval of as many rows as would give this variance, laid around ``centre``.

    Args:
        share: Of rows on which only one is right, as if each moved the difference as much.
        gain: The difference after rows are added, as they are in ``share`` and ``variance``.
    """
    # the two cannot differ by more than they disagree
    share = max(share, abs(centre))
    worth = (share - gain**2) / variance
    low, high = paired.tango_of(worth * (share - centre) / 2, worth * (share + centre) / 2, worth, quantile(level))
    # the value shown lies in its interval
    return Score(value, min(low, value), max(high, value), n)


class _F1:
    """Macro F1 of one network: its value, its bias of few rows, and how much each row moves it, over n."""

    def __init__(self, true: np.ndarray, said: np.ndarray, c: int) -> None:
        matrix = scores.confusion_matrix(true, said, c)
        there, seen = matrix.sum(axis=1) > 0, matrix.sum(axis=1) + matrix.sum(axis=0)
        k = max(int(there.sum()), 1)
        f1 = np.where(there, scores.per_class(matrix).f1, 0.0)
        each = np.where(there, 1 / np.maximum(seen, 1), 0.0)
        self.value = scores.macro_f1(matrix)
        self.bias = float(np.sum(f1 * (1 - f1) * each)) / k
        # a row of class t taken for p lowers the F1 of both, a right one raises that of its class
        wrong, right = -((f1 * each)[true] + (f1 * each)[said]), ((2 - 2 * f1) * each)[true]
        self.moves = np.where(true == said, right, wrong)


def _told(true: Any, first: Any, second: Any, n_classes: int, level: float) -> _Told:
    quantile(level)
    if isinstance(n_classes, bool) or not isinstance(n_classes, (int, np.integer)) or n_classes < 1:
        raise ConfigError("C220", f"n_classes is {n_classes!r}; expected a whole number from 1.")
    c = int(n_classes)
    true, first, second = ids(true, "true", c), ids(first, "first", c), ids(second, "second", c)
    if not true.shape == first.shape == second.shape:
        shapes = f"true has shape {true.shape}, first {first.shape} and second {second.shape}"
        raise ConfigError("C220", f"{shapes}; expected one answer of each a row.")
    whole = np.bincount(true, minlength=c)
    there = whole > 0
    a, b = first == true, second == true
    first_only, second_only = (np.bincount(true[alone], minlength=c)[there] for alone in (a & ~b, b & ~a))
    size = whole[there].astype(np.float64)
    why = _why(c, size, int((a != b).sum()))
    return _Told(true, first, second, there, size, first_only, second_only, why)


def _why(c: int, size: np.ndarray, alone: int) -> str:
    """Why there is no interval, or nothing."""
    if c == 1 or len(size) == 1:
        return "one class only"
    if not len(size):
        return "no pictures"
    if size.sum() < classes.LEAST * len(size):
        return f"fewer than {classes.LEAST} pictures a class"
    if why := paired.too_few(alone):
        return why
    # n rows of equal classes are worth n; each row counts by how much it can move the mean
    worth = float(np.sum(1 / size)) ** 2 / float(np.sum(1 / size**3))
    return f"worth {math.floor(worth)} pictures of equal classes, fewer than {LEAST_ROWS}" if worth < LEAST_ROWS else ""
