"""Scores that are means over classes or belong to one class, from the confusion matrix, with their intervals.

What is meant by the truth: the score that endlessly many more pictures would give, of the classes that have pictures
here. The intervals take the pictures for independent draws, in which a class comes up as often as it happens to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dojang.metrics import influence, scores
from dojang.metrics.arrays import counts
from dojang.metrics.intervals import Score, quantile, wilson_of

#: rows that a class has in the mean, for an interval of a mean over classes: with fewer, classes are judged by a row
#: or two, and no interval was found that holds what it promises
LEAST = 5
# rows that are added to each class where its spread is estimated, so that a class without a mistake has one
_ADDED = 2.0


@dataclass(frozen=True)
class Ends:
    """The ends of the intervals of one score, arrays of shape (c,); nan where a class has nothing to judge by."""

    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class ClassEnds:
    """Intervals of what :func:`dojang.metrics.scores.per_class` gives."""

    precision: Ends
    recall: Ends
    f1: Ends


def per_class(matrix: Any, level: float = 0.95) -> ClassEnds:
    """The intervals of each class's precision, recall and F1; all are Wilson's.

    Precision and recall are shares of rows. F1 is no share, but F1 = 2 J / (1 + J), where J is one: of all rows that
    are of the class or taken for it, those that are both. So the ends of J's interval give those of F1's. A share of a
    single row has no interval, nor has a class without rows.

    Args:
        matrix: From :func:`dojang.metrics.scores.confusion_matrix`, shape (c, c).

    Raises:
        ConfigError: C220 for what is no square table of counts, or a level outside (0, 1).

    Example:
        >>> ends = per_class([[8, 2], [0, 10]])
        >>> ends.recall.low.round(3).tolist(), ends.f1.high.round(3).tolist()
        ([0.49, 0.722], [0.971, 0.976])
    """
    matrix, z = counts(matrix), quantile(level)
    right, support, predicted = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)

    def ends(n: np.ndarray) -> Ends:
        low, high = wilson_of(right / np.maximum(n, 1), np.maximum(n, 1), z)
        # of one row it would be from 0 to .79 or from .21 to 1
        told = (n > 1) & (support > 0)
        return Ends(*(np.where(told, end, np.nan) for end in (low, high)))

    either = ends(support + predicted - right)
    return ClassEnds(
        precision=ends(predicted),
        recall=ends(support),
        f1=Ends(2 * either.low / (1 + either.low), 2 * either.high / (1 + either.high)),
    )


def balanced_accuracy(matrix: Any, level: float = 0.95) -> Score:
    """The mean recall over the classes that have rows, with its interval.

    The variance is that of independent shares, each with two rows added that share out as all rows do; Wilson's form
    for the effective number of rows that this variance names.

    Args:
        matrix: From :func:`dojang.metrics.scores.confusion_matrix`, shape (c, c).

    Raises:
        ConfigError: C220 for what is no square table of counts, or a level outside (0, 1).

    Example:
        >>> score = balanced_accuracy([[45, 5], [2, 8]])
        >>> round(score.value, 3), round(score.low, 3), round(score.high, 3)
        (0.85, 0.679, 0.938)
    """
    matrix = counts(matrix)
    value, n = scores.balanced_accuracy(matrix), int(matrix.sum())
    support = matrix.sum(axis=1)
    there = support > 0
    if why := _nothing(matrix, there):
        return Score(value, math.nan, math.nan, n, why)
    k, size = int(there.sum()), support[there]
    smooth = (np.diagonal(matrix)[there] + _ADDED * _pooled(matrix, k)) / (size + _ADDED)
    variance = float(np.sum(smooth * (1 - smooth) / size)) / k**2
    middle = float(smooth.mean())
    return influence.share(value, value, middle * (1 - middle) / variance, n, level)


def macro_f1(matrix: Any, level: float = 0.95) -> Score:
    """The mean F1 over the classes that occur, with its interval.

    There is no interval where rows are taken for a class that has none: that class counts as 0, and whether it would
    with more rows cannot be told.

    The mean F1 of few rows lies below that of many: by F (1 - F) / (support + predicted) a class, to the order 1/n
    (the second term of its expansion in the counts). The interval is laid around the value without that bias. The
    variance is that of the influence of each cell of the matrix, after two rows are added to each class.

    Args:
        matrix: From :func:`dojang.metrics.scores.confusion_matrix`, shape (c, c).

    Raises:
        ConfigError: C220 for what is no square table of counts, or a level outside (0, 1).

    Example:
        >>> score = macro_f1([[45, 5], [2, 8]])
        >>> round(score.value, 3), round(score.low, 3), round(score.high, 3)
        (0.812, 0.665, 0.909)
    """
    matrix = counts(matrix)
    value, n = scores.macro_f1(matrix), int(matrix.sum())
    support = matrix.sum(axis=1)
    there = support > 0
    why = _nothing(matrix, there)
    if not why and (matrix.sum(axis=0) > 0)[~there].any():
        why = "a class without pictures was answered"
    if why:
        return Score(value, math.nan, math.nan, n, why)
    k = int(there.sum())
    f1, seen = scores.per_class(matrix).f1, support + matrix.sum(axis=0)
    centre = value + float(np.sum((f1 * (1 - f1))[there] / seen[there])) / k

    smooth = _smoothed(matrix, there, k)
    seen = smooth.sum(axis=1) + smooth.sum(axis=0)
    f1 = np.where(there, 2 * np.diagonal(smooth) / np.where(there, seen, 1), 0.0)
    each = np.where(there, 1 / np.where(there, seen, 1), 0.0)
    # a row of class t taken for p lowers the F1 of both, a right one raises that of its class
    moves = -((f1 * each)[:, None] + (f1 * each)[None, :])
    np.fill_diagonal(moves, (2 - 2 * f1) * each)
    variance = float(np.sum(smooth * moves**2)) / k**2
    middle = float(f1[there].mean())
    return influence.share(value, centre, middle * (1 - middle) / variance, n, level)


def _nothing(matrix: np.ndarray, there: np.ndarray) -> str:
    """Why there is no interval, or nothing."""
    if len(matrix) == 1:
        return "one class only"
    n = int(matrix.sum())
    if n == 0:
        return "no pictures"
    return f"fewer than {LEAST} pictures a class" if n < LEAST * there.sum() else ""


def _pooled(matrix: np.ndarray, k: int) -> float:
    """The share of right answers that is expected of a class before it is looked at.

    Classes are alike to the degree that there are many to tell it from: of k classes (k - 2) / k of it is the share of
    all rows together, as in the estimator of James and Stein, and the rest is one half.
    """
    alike = max(k - 2, 0) / k
    return alike * (float(np.trace(matrix)) + 0.5) / (float(matrix.sum()) + 1) + (1 - alike) * 0.5


def _smoothed(matrix: np.ndarray, there: np.ndarray, k: int) -> np.ndarray:
    """The matrix with two rows added to each class and its support kept; float64 (c, c).

    Of what is added, the wrong part goes to the classes that wrong answers go to.
    """
    c, right = len(matrix), _pooled(matrix, k)
    taken = matrix.sum(axis=0) - np.diagonal(matrix) + 1 / c
    added = np.tile(taken, (c, 1)).astype(np.float64)
    np.fill_diagonal(added, 0.0)
    added *= (1 - right) / added.sum(axis=1, keepdims=True)
    np.fill_diagonal(added, right)
    support = matrix.sum(axis=1, keepdims=True)
    smooth: np.ndarray = np.where(there[:, None], (matrix + _ADDED * added) * (support / (support + _ADDED)), 0.0)
    return smooth
