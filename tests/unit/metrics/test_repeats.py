"""Scores over several runs: against SciPy, by hand, and whether the interval holds what it promises."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from dojang.errors import ConfigError
from dojang.metrics.repeats import CORRECTED, PLAIN, of_runs, repeats


def test_by_hand() -> None:
    found = repeats([0.7, 0.8, 0.9], shared=0.5)
    assert found.mean == pytest.approx(0.8) and found.sd == pytest.approx(0.1)
    # 4.3027 is t with two degrees of freedom: 4.3027 x 0.1 x sqrt(1/3 + 1/2)
    assert 0.8 - found.low == pytest.approx(0.392781, abs=1e-5) and found.high == 1.0
    assert found.method == CORRECTED
    alone = repeats([0.7, 0.8, 0.9], bounds=(0.0, math.inf))
    low, high = stats.t.interval(0.95, 2, 0.8, 0.1 / math.sqrt(3))
    assert (alone.low, alone.high) == pytest.approx((low, high)) and high > 1 and alone.method == PLAIN


def test_runs_that_agree_to_the_last_bit_say_nothing_of_the_spread() -> None:
    found = repeats([1.0, 1.0, 1.0], shared=0.5)
    assert math.isnan(found.low) and math.isnan(found.high)
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["low"] is None


def test_one_run_has_no_spread() -> None:
    with pytest.raises(ConfigError, match=r"C220\]: repeats: 1 value; a spread is that of two or more"):
        repeats([0.5])


@pytest.mark.parametrize(("n", "d", "apart", "folds"), [(100, 20, 0.6, 5), (100, 50, 0.6, 10)])
def test_the_corrected_interval_holds_and_the_plain_one_does_not(n: int, d: int, apart: float, folds: int) -> None:
    """The nearest mean of two clouds of points, cross-validated 500 times; the truth is known in closed form."""
    draw, repetitions = np.random.default_rng(0), 500
    scores, truths = np.empty((repetitions, folds)), np.empty((repetitions, folds))
    labels = np.arange(n) % 2
    for repetition in range(repetitions):
        points = draw.normal(size=(n, d))
        points[:, 0] += apart * (2 * labels - 1)
        fold = np.empty(n, int)
        for label in (0, 1):
            fold[labels == label] = draw.permutation(n // 2) % folds
        for k in range(folds):
            learns, asked = fold != k, fold == k
            ones, others = (points[learns & (labels == label)].mean(axis=0) for label in (1, 0))
            weights, bias = ones - others, -(ones + others) @ (ones - others) / 2
            scores[repetition, k] = ((points[asked] @ weights + bias > 0) == labels[asked]).mean()
            ends = np.array([apart * weights[0] + bias, apart * weights[0] - bias]) / np.linalg.norm(weights)
            truths[repetition, k] = stats.norm.cdf(ends).mean()
    truth = truths.mean()
    held = {}
    for name, shared in (("plain", 0.0), ("corrected", 1 / (folds - 1))):
        found = [repeats(row.tolist(), shared=shared) for row in scores]
        held[name] = np.mean([one.low <= truth <= one.high for one in found])
    # of 500 repetitions: two standard errors of .95 are .02
    assert held["corrected"] >= 0.93 > held["plain"]


def test_bounds_and_equal_values() -> None:
    found = of_runs(
        [
            {"log_loss": {"value": 0.05}, "brier": {"value": 1.9}},
            {"log_loss": {"value": 0.08}, "brier": {"value": 1.99}},
        ]
    )
    assert found["log_loss"]["low"] == 0.0 and found["log_loss"]["high"] > 0.08
    assert found["brier"]["high"] == 2.0 and 0 < found["brier"]["low"] < 1.9
    # three tenths do not sum to .3 in binary
    same = repeats([0.1] * 3)
    assert same.sd == 0 and same.mean == 0.1 and math.isnan(same.low) and math.isnan(same.high)
    # what one run cannot say has no mean
    assert of_runs([{"roc_auc": {"value": None}, "n": 3}, {"roc_auc": {"value": 0.5}, "n": 3}]) == {}
