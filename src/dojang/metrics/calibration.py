"""Whether a probability means what it says: of the answers given with .8, are 80 % right?

The calibration error (ECE) is biased upward: with few pictures a perfectly calibrated network has one, too. An interval
around it held the truth in .11 of repetitions, so there is none here. Beside it stands what chance alone would make of
it, and an estimate without the bias.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dojang import seeds
from dojang.metrics.arrays import distributions, rows
from dojang.metrics.intervals import quantile, wilson_of

BINS = 15
_DRAWS = 200


@dataclass(frozen=True)
class Calibration:
    """The confidence of answers beside how often they are right, in bins of equal width.

    Args:
        ece: Expected calibration error: the mean over answers of |share right - mean confidence| of their bin.
        by_chance: The ECE of a perfectly calibrated network with these confidences, in the mean.
        by_chance_high: What such a network stays under in 95 % of repetitions.
        rms_debiased: The root mean square of the same differences, without the part that chance adds; 0 where chance
            explains all of it. Bins of one answer are left out.
        counts: Answers in each bin, int64 (bins,).
        confidence, accuracy: Their mean confidence and the share of right ones; nan for an empty bin.
        low, high: The 95 % interval of that share.
    """

    ece: float
    by_chance: float
    by_chance_high: float
    rms_debiased: float
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; empty bins are left out."""
        width = 1 / len(self.counts)
        columns = {name: getattr(self, name) for name in ("confidence", "accuracy", "low", "high")}
        return {
            **{
                name: None if math.isnan(value := getattr(self, name)) else value
                for name in ("ece", "by_chance", "by_chance_high", "rms_debiased")
            },
            "bins": [
                {"from": i * width, "to": (i + 1) * width, "n": int(n)}
                | {name: float(column[i]) for name, column in columns.items()}
                for i, n in enumerate(self.counts)
                if n
            ],
        }


def calibration(true: Any, probabilities: Any, bins: int = BINS, draws: int = _DRAWS) -> Calibration:
    """Confidence against accuracy.

    The confidence of an answer is the probability of the class that is answered. Bins are (0, 1/15], (1/15, 2/15] and
    so on.

    Args:
        true: Class ids of shape (n,).
        probabilities: Shape (n, c), each row a distribution.
        bins: Their number; ECEs of different numbers do not compare.
        draws: Repetitions of a calibrated network, for what chance alone makes; 0 leaves that out.

    Raises:
        ConfigError: C220 for shapes or ids that do not fit, and for rows that are no distribution.

    Source: the ECE with 15 bins, Guo et al., arXiv:1706.04599; its bias and the estimate without it, Kumar, Liang and
    Ma, arXiv:1909.10155, definition 4.1; what a calibrated forecast would show, Bröcker and Smith, "Increasing the
    reliability of reliability diagrams", Weather and Forecasting 22, 2007.

    Example:
        >>> found = calibration([0, 0, 0, 1], [[0.8, 0.2]] * 4)
        >>> round(found.ece, 3), found.by_chance > 0.1
        (0.05, True)
    """
    true, table = rows(true, probabilities, "calibration")
    distributions(table, "calibration")
    n = len(true)
    if n == 0:
        empty = np.full(bins, np.nan)
        return Calibration(*(math.nan,) * 4, np.zeros(bins, np.int64), empty, empty, empty, empty)
    best = table.argmax(axis=1)
    sure = table[np.arange(n), best].astype(np.float64)
    right = best == true
    place = _place(sure, bins)
    counts = np.bincount(place, minlength=bins)
    some = np.maximum(counts, 1)
    confidence, accuracy = (np.bincount(place, each, minlength=bins) / some for each in (sure, right))
    gap = accuracy - confidence
    chance = _by_chance(place, sure, bins, draws) if draws else np.array([np.nan])
    several = counts > 1
    noise = accuracy * (1 - accuracy) / np.maximum(counts - 1, 1)
    square = float(np.sum((counts * (gap**2 - noise))[several])) / max(int(counts[several].sum()), 1)
    low, high = wilson_of(accuracy, some, quantile(0.95))
    shown = [np.where(counts > 0, column, np.nan) for column in (confidence, accuracy, low, high)]
    return Calibration(
        float(counts @ np.abs(gap)) / n,
        float(chance.mean()),
        float(np.quantile(chance, 0.95)),
        math.sqrt(max(square, 0.0)),
        counts,
        *shown,
    )


def expected_error(right: Any, sure: Any, bins: int = BINS) -> float:
    """The ECE alone, from whether answers are right and how sure they were; the same number as :func:`calibration` has.

    Args:
        right: bool (n,).
        sure: The probability of each answer (n,).

    Example:
        >>> round(expected_error([True, True, False, True], [0.9, 0.9, 0.9, 0.9]), 3)
        0.15
    """
    right, sure = np.asarray(right), np.asarray(sure, np.float64)
    gaps = np.bincount(_place(sure, bins), right.astype(np.float64) - sure, bins)
    return float(np.abs(gaps).sum() / len(right)) if len(right) else math.nan


def _place(sure: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each; an upper end is inside."""
    found: np.ndarray = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], sure)
    return found


def _by_chance(place: np.ndarray, sure: np.ndarray, bins: int, draws: int) -> np.ndarray:
    """The ECE of networks that are right exactly as often as they say, (draws,)."""
    n = len(sure)
    order = np.argsort(place, kind="stable")
    sure, starts = sure[order], np.searchsorted(place[order], np.arange(bins + 1))
    used = starts[:-1][starts[:-1] < starts[1:]]
    key, counters = seeds.key(0, "calibration"), np.arange(n, dtype=np.int64)
    found = np.empty(draws)
    for draw in range(draws):
        away = (seeds.uniform(key, counters + draw * n) < sure) - sure
        found[draw] = np.abs(np.add.reduceat(away, used)).sum() / n
    return found
