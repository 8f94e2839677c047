"""One number that makes probabilities mean what they say: the temperature by which all scores are divided.

Networks that learn long are surer than they are right.  Dividing their scores by one number changes no answer, only how
sure it is; the number is the one with which the validation pictures are least surprising.
Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from dojang.errors import many
from dojang.metrics.calibration import expected_error

LOW, HIGH = 0.05, 20.0
"""Between these it is looked for: a temperature beyond them says that something else is wrong."""
FEWEST, WRONG = 50, 5
"""Pictures, and wrong answers among them, from which on it is fitted. See benchmarks/results/calibration.json."""

# numbers that are worked on at once: a table of 50,000 rows and 1,000 classes would be 400 MB as float64
_MOST = 2**22


@dataclass(frozen=True)
class Temperature:
    """What was found on validation pictures.

    Args:
        value: Scores are divided by it; 1 changes nothing.
        n: Pictures that it was fitted on.
        log_loss: Of them, before and after.
        calibration_error: Of them, before and after.
        why: Why it was not fitted; "" where it was.
    """

    value: float
    n: int
    log_loss: tuple[float, float] | None = None
    calibration_error: tuple[float, float] | None = None
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for metrics.json."""
        found: dict[str, Any] = {"method": "temperature" if not self.why else "none", "temperature": self.value}
        if self.why:
            return found | {"why": self.why}
        assert self.log_loss and self.calibration_error  # of what was fitted
        scores = {"log_loss": self.log_loss, "calibration_error": self.calibration_error}
        val = {name: {"before": before, "after": after} for name, (before, after) in scores.items()}
        return found | {"n": self.n, "val": val}

    def __str__(self) -> str:
        if self.why:
            return f"calibration: temperature 1: {self.why}"
        assert self.log_loss and self.calibration_error
        loss, error = self.log_loss, self.calibration_error
        end = {LOW: ", the lowest that is looked for", HIGH: ", the highest that is looked for"}.get(self.value, "")
        return (
            f"calibration: temperature {self.value:.4g}{end}, by {many(self.n, 'validation picture')}; log loss "
            f"{loss[0]:.4f} -> {loss[1]:.4f}, calibration error {error[0]:.4f} -> {error[1]:.4f}"
        )


def fit(true: Int64[np.ndarray, " n"], scores: Float[np.ndarray, "n c"]) -> Temperature:
    """The temperature with which the log loss of some pictures is least.

    It stays 1 where the pictures cannot say: fewer than 50 of them, or fewer than 5 wrong answers among them.  With no
    wrong answer at all the loss falls for ever as the temperature does, and a handful says little more; how sure a
    network may be is learned from its mistakes.  The value is between 0.05 and 20, and has six digits.

    The log loss is convex in 1 / temperature: its derivative is the mean of the score that the softmax expects less the
    score of the true class, and its second derivative the mean of the scores' variance under the softmax.  Newton's
    steps, and a halving of the bracket where one would leave it, find the only zero of the first.

    Args:
        true: Class ids.
        scores: Logits, undivided.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> scores = draw.normal(size=(2000, 3))
        >>> true = (scores + draw.gumbel(size=scores.shape)).argmax(axis=1)  # drawn by their softmax
        >>> round(fit(true, 3 * scores).value)
        3
    """
    n = len(true)
    if n == 0:
        return Temperature(1.0, 0, why="no validation part")
    if n < FEWEST:
        return Temperature(1.0, n, why=f"{many(n, 'validation picture')}, fewer than {FEWEST}")
    wrong = int((scores.argmax(axis=1) != true).sum())
    if wrong < WRONG:
        why = f"{many(wrong, 'wrong answer')} to {n:,} validation pictures, fewer than {WRONG}"
        return Temperature(1.0, n, why=why)
    if not np.isfinite(scores).all():
        return Temperature(1.0, n, why="scores that are not finite")
    if float(np.ptp(scores, axis=1).max()) <= 1e-9:
        return Temperature(1.0, n, why="the same score for every class")
    value = float(f"{1 / _inverse(true, scores):.6g}")
    before, after = (_of(true, scores, one) for one in (1.0, value))
    return Temperature(value, n, (before[0], after[0]), (before[1], after[1]))


def _inverse(true: np.ndarray, scores: np.ndarray) -> float:
    """Of the temperature."""
    low, high = 1 / HIGH, 1 / LOW
    if _slopes(true, scores, low)[0] >= 0:
        return low
    if _slopes(true, scores, high)[0] <= 0:
        return high
    at = 1.0
    for _ in range(100):
        slope, bend = _slopes(true, scores, at)
        low, high = (at, high) if slope < 0 else (low, at)
        step = at - slope / bend if bend > 0 else 0.0
        # halved as the temperature is read: by its logarithm
        new = step if low < step < high else math.sqrt(low * high)
        if abs(new - at) <= 1e-10 * at:
            return new
        at = new
    return at


def _slopes(true: np.ndarray, scores: np.ndarray, inverse: float) -> tuple[float, float]:
    """First and second derivative of the mean log loss by 1 / temperature."""
    first = second = 0.0
    for z, labels in _parts(true, scores):
        share = np.exp(inverse * z)
        share /= share.sum(axis=1, keepdims=True)
        mean = (share * z).sum(axis=1)
        first += float((mean - z[np.arange(len(z)), labels]).sum())
        second += float((share * (z - mean[:, None]) ** 2).sum())
    return first / len(true), second / len(true)


def _of(true: np.ndarray, scores: np.ndarray, temperature: float) -> tuple[float, float]:
    """Log loss and calibration error at a temperature."""
    total, right, sure = 0.0, [], []
    for z, labels in _parts(true, scores):
        logs = z / temperature
        whole = np.log(np.exp(logs).sum(axis=1))
        total += float((whole - logs[np.arange(len(z)), labels]).sum())
        best = z.argmax(axis=1)
        right.append(best == labels)
        # of the best score the logarithm is 0: the largest was taken off
        sure.append(np.exp(-whole))
    return total / len(true), expected_error(np.concatenate(right), np.concatenate(sure))


def _parts(true: np.ndarray, scores: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows in float64, some at a time, each less its largest score, and their labels."""
    size = max(1, _MOST // scores.shape[1])
    for begin in range(0, len(true), size):
        z = scores[begin : begin + size].astype(np.float64)
        yield z - z.max(axis=1, keepdims=True), true[begin : begin + size]
