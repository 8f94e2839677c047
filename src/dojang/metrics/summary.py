"""All scores of a set of answers, each with its 95 % interval or the reason why it has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dojang.metrics import calibration as calibrating
from dojang.metrics import classes, influence, scores
from dojang.metrics.arrays import rows
from dojang.metrics.intervals import Score, proportion
from dojang.metrics.ranking import Ranking, ranking
from dojang.metrics.scores import PerClass

#: top-5 is shown of more classes than this: of ten, one who guesses is right half of the time
TOP5_ABOVE = 10


@dataclass(frozen=True)
class Summary:
    """What answers are worth.

    Args:
        scores: By name: top1, top5 (of more than ten classes), balanced_accuracy, macro_f1, roc_auc,
            average_precision, log_loss, brier.
        matrix: The confusion matrix, int64 (c, c).
        per_class: Precision, recall, F1 and support of each class.
        ends: Their intervals.
        ranking: ROC-AUC and average precision of each class.
        calibration: Confidence against accuracy.
    """

    scores: dict[str, Score]
    matrix: np.ndarray
    per_class: PerClass
    ends: classes.ClassEnds
    ranking: Ranking
    calibration: calibrating.Calibration


def summary(true: Any, probabilities: Any) -> Summary:
    """Every score of answers.

    Args:
        true: Class ids of shape (n,).
        probabilities: Shape (n, c), each row a distribution; the answer is the most probable class, of equal ones the
            first.

    Raises:
        ConfigError: C220 for shapes or ids that do not fit, and for rows that are no distribution.

    Example:
        >>> found = summary([0, 0, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
        >>> round(found.scores["top1"].value, 3), found.scores["balanced_accuracy"].why
        (0.667, 'fewer than 5 pictures a class')
    """
    true, table = rows(true, probabilities, "summary")
    n, c = table.shape
    predicted = table.argmax(axis=1) if n else np.zeros(0, np.int64)
    matrix = scores.confusion_matrix(true, predicted, c)
    ranked = ranking(true, table)
    found = {"top1": proportion(int(np.trace(matrix)), n)}
    if c > TOP5_ABOVE:
        hits = round(scores.top_k_accuracy(true, table, 5) * n) if n else 0
        found["top5"] = proportion(hits, n)
    found |= {
        "balanced_accuracy": classes.balanced_accuracy(matrix),
        "macro_f1": classes.macro_f1(matrix),
        "roc_auc": ranked.macro_roc_auc,
        "average_precision": ranked.macro_average_precision,
        "log_loss": influence.mean(scores.log_losses(true, table)),
        "brier": influence.mean(scores.briers(true, table), bounds=(0.0, 2.0)),
    }
    return Summary(
        found,
        matrix,
        scores.per_class(matrix),
        classes.per_class(matrix),
        ranked,
        calibrating.calibration(true, table),
    )
