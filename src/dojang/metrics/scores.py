"""Scores of answers: confusion matrix, top-k, per class, balanced, F1, log loss, Brier.

Labels are class ids 0 to c-1. Everything that depends on counts alone is computed from the confusion matrix, and
matrices of batches add up, so a score over uneven batches is the score over all rows and never a mean of means.

Source: the definitions are scikit-learn's (``sklearn.metrics``, with ``zero_division=0``); tests hold them equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dojang.errors import ConfigError
from dojang.metrics.arrays import counts, distributions, ids, numbers, rows


def confusion_matrix(true: Any, predicted: Any, n_classes: int) -> np.ndarray:
    """How often each class was taken for each other: rows are the true class, columns the predicted one.

    Args:
        true: Class ids, whole numbers of shape (n,).
        predicted: Class ids of shape (n,).
        n_classes: c; ids go from 0 to c-1.

    Returns:
        int64 of shape (c, c); its sum is n, so zero rows give zeros.

    Raises:
        ConfigError: C220 for shapes that differ, ids outside 0 to c-1, or ids that are no whole numbers.

    Example:
        >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
        [[1, 1], [0, 1]]
    """
    if isinstance(n_classes, bool) or not isinstance(n_classes, (int, np.integer)) or n_classes < 1:
        raise ConfigError("C220", f"confusion_matrix: n_classes is {n_classes!r}; expected a whole number from 1.")
    c = int(n_classes)
    true, predicted = ids(true, "true", c), ids(predicted, "predicted", c)
    if true.shape != predicted.shape:
        raise ConfigError(
            "C220",
            f"confusion_matrix: true has shape {true.shape} and predicted has shape {predicted.shape}; "
            "expected one prediction a row.",
        )
    return np.bincount(true * c + predicted, minlength=c * c).reshape(c, c).astype(np.int64, copy=False)


def top_k_accuracy(true: Any, probabilities: Any, k: int) -> float:
    """The share of rows whose true class is among the k most probable ones; k = 1 is plain accuracy.

    Ties: classes stand in the order of ``argsort(-probability, kind="stable")``, of two equal ones the lower id first.
    So top-1 is exactly "argmax is right", and the answer depends on no sort's whim.

    Args:
        true: Class ids of shape (n,).
        probabilities: Shape (n, c); logits serve as well, as only their order counts.
        k: From 1 to c.

    Returns:
        A number in [0, 1]; nan for zero rows.

    Raises:
        ConfigError: C220 for shapes or ids that do not fit, nan among the probabilities, or k outside 1 to c.

    Example:
        >>> top_k_accuracy([2, 0], [[0.5, 0.2, 0.3], [0.1, 0.8, 0.1]], k=2)
        1.0
    """
    true, table = rows(true, probabilities, "top_k_accuracy")
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= table.shape[1]:
        raise ConfigError(
            "C220",
            f"top_k_accuracy: k is {k!r} and probabilities has shape {table.shape}; "
            f"expected k from 1 to {table.shape[1]}.",
        )
    if not len(true):
        return float("nan")
    own = np.take_along_axis(table, true[:, None], axis=1)
    earlier = np.arange(table.shape[1]) < true[:, None]
    # the place of the true class in the stable order, without sorting the others
    place = np.sum((table > own) | ((table == own) & earlier), axis=1)
    return float(np.mean(place < k))


@dataclass(frozen=True)
class PerClass:
    """One number a class, each an array of shape (c,); ``support`` counts the true rows of the class (int64).

    A share with nothing in its denominator (no row of the class, or none predicted as it) is 0, as with
    scikit-learn's ``zero_division=0``; a support of 0 tells such a class apart.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def per_class(matrix: Any) -> PerClass:
    """Precision, recall, F1 and support of each class.

    Args:
        matrix: From :func:`confusion_matrix`, shape (c, c).

    Raises:
        ConfigError: C220 for what is no square table of counts.

    Example:
        >>> per_class([[1, 1], [0, 1]]).recall.tolist()
        [0.5, 1.0]
    """
    matrix = counts(matrix)
    right, support, predicted = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return PerClass(
        precision=_share(right, predicted),
        recall=_share(right, support),
        f1=_share(2 * right, support + predicted),
        support=support,
    )


def balanced_accuracy(matrix: Any) -> float:
    """The mean recall over the classes that have rows; use it where classes differ much in size.

    Args:
        matrix: From :func:`confusion_matrix`, shape (c, c).

    Returns:
        A number in [0, 1]; nan for zero rows. 1/c is what guessing gives.

    Raises:
        ConfigError: C220 for what is no square table of counts.

    Example:
        >>> balanced_accuracy([[98, 0], [2, 0]])
        0.5
    """
    scores = per_class(matrix)
    return _mean(scores.recall[scores.support > 0])


def macro_f1(matrix: Any) -> float:
    """The mean F1 over the classes that occur, as truth or as prediction; each class weighs the same.

    Args:
        matrix: From :func:`confusion_matrix`, shape (c, c).

    Returns:
        A number in [0, 1]; nan for zero rows. As scikit-learn's ``f1_score(average="macro")`` with its default labels:
        a class that has no rows counts as 0 where a row is taken for it, and not at all where none is.

    Raises:
        ConfigError: C220 for what is no square table of counts.

    Example:
        >>> macro_f1([[2, 0, 0], [0, 2, 0], [0, 0, 0]])
        1.0
    """
    matrix = counts(matrix)
    occurs = matrix.sum(axis=0) + matrix.sum(axis=1) > 0
    return _mean(per_class(matrix).f1[occurs])


def weighted_f1(matrix: Any) -> float:
    """The mean F1 in which each class weighs as many rows as it has.

    Args:
        matrix: From :func:`confusion_matrix`, shape (c, c).

    Returns:
        A number in [0, 1]; nan for zero rows.

    Raises:
        ConfigError: C220 for what is no square table of counts.

    Example:
        >>> weighted_f1([[3, 0], [1, 0]]) == 6 / 7 * 3 / 4
        True
    """
    scores = per_class(matrix)
    rows = int(scores.support.sum())
    return float(scores.f1 @ scores.support / rows) if rows else float("nan")


def log_loss(true: Any, probabilities: Any) -> float:
    """The mean of -ln(probability of the true class), in nats: it punishes wrong answers given with confidence.

    Probabilities are clipped to [eps, 1 - eps] of float64, as scikit-learn does, so one probability of zero costs 36
    nats and not infinity.

    Args:
        true: Class ids of shape (n,).
        probabilities: Shape (n, c), each row a distribution.

    Returns:
        A number from 0; ln(c) is what guessing gives; nan for zero rows.

    Raises:
        ConfigError: C220 for shapes or ids that do not fit, and for rows that are no distribution (logits, say).

    Example:
        >>> round(log_loss([0, 1], [[0.9, 0.1], [0.2, 0.8]]), 6)
        0.164252
    """
    return _mean(log_losses(true, probabilities))


def log_losses(true: Any, probabilities: Any) -> np.ndarray:
    """The log loss of each row, float64 (n,); their mean is :func:`log_loss`, which says the rest."""
    true, table = rows(true, probabilities, "log_loss")
    distributions(table, "log_loss")
    eps = np.finfo(np.float64).eps
    own = table[np.arange(len(true)), true].astype(np.float64)
    losses: np.ndarray = -np.log(np.clip(own, eps, 1 - eps))
    return losses


def brier(true: Any, probabilities: Any) -> float:
    """The mean over rows of the squared distance between the probabilities and the truth, summed over all classes.

    It is a proper score like the log loss, but a wrong answer costs at most 2, however sure it was.

    Args:
        true: Class ids of shape (n,).
        probabilities: Shape (n, c), each row a distribution.

    Returns:
        A number from 0 to 2 (Brier's own definition; tools that print half of it for two classes count one of them);
        (c - 1) / c is what guessing gives; nan for zero rows.

    Raises:
        ConfigError: C220 as :func:`log_loss`.

    Source: Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78, 1950.

    Example:
        >>> round(brier([0, 1], [[0.9, 0.1], [0.2, 0.8]]), 6)
        0.05
    """
    return _mean(briers(true, probabilities))


def briers(true: Any, probabilities: Any) -> np.ndarray:
    """The squared distance of each row, float64 (n,); their mean is :func:`brier`, which says the rest."""
    true, table = rows(true, probabilities, "brier")
    distributions(table, "brier")
    away = table.astype(np.float64)
    away[np.arange(len(true)), true] -= 1
    squares: np.ndarray = np.einsum("rc,rc->r", away, away)
    return squares


def softmax(logits: Any) -> np.ndarray:
    """Probabilities from logits over the last axis, in float64; large logits do not overflow.

    Args:
        logits: Finite numbers of shape (..., c).

    Returns:
        float64 of the same shape; zero rows give zero rows.

    Raises:
        ConfigError: C220 for nan or infinity, or no classes.

    Example:
        >>> softmax([[1000.0, 1000.0]]).tolist()
        [[0.5, 0.5]]
    """
    table = numbers(logits, "logits").astype(np.float64)
    if table.ndim == 0 or table.shape[-1] == 0:
        raise ConfigError("C220", f"softmax: logits has shape {table.shape}; expected at least one class.")
    if not np.isfinite(table).all():
        raise ConfigError("C220", f"softmax: logits of shape {table.shape} holds nan or infinity.")
    powers = np.exp(table - table.max(axis=-1, keepdims=True))
    probabilities: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    shares: np.ndarray = np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
    return shares


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
