"""Calibration against loops, scikit-learn's curve, and networks whose calibration is known."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import sklearn.calibration
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang.errors import ConfigError
from dojang.metrics.calibration import calibration, expected_error


def simulated(n: int, seed: int, off: float = 0.0, c: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """(true, table) of a network that is right as often as it says, less ``off``."""
    draws = np.random.default_rng(seed)
    sure = draws.uniform(0.5, 0.99, n)
    table = np.repeat((1 - sure)[:, None] / (c - 1), c, axis=1)
    said = draws.integers(0, c, n)
    table[np.arange(n), said] = sure
    right = draws.uniform(size=n) < sure - off
    return np.where(right, said, (said + 1) % c), table


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(0, 99), st.integers(1, 20))
def test_it_is_its_definition(n, seed, bins):
    true, table = simulated(n, seed)
    # on the edges of bins, too
    table[: n // 2] = np.round(table[: n // 2], 1)
    table /= table.sum(axis=1, keepdims=True)
    found = calibration(true, table, bins)
    sure, right = table.max(axis=1), table.argmax(axis=1) == true
    total = square = several = 0.0
    edges = np.linspace(0, 1, bins + 1)
    for b in range(bins):
        mine = [i for i in range(n) if edges[b] < sure[i] <= edges[b + 1]]
        assert found.counts[b] == len(mine)
        if not mine:
            assert math.isnan(found.accuracy[b])
            continue
        accuracy, confidence = np.mean([right[i] for i in mine]), np.mean([sure[i] for i in mine])
        assert (found.accuracy[b], found.confidence[b]) == pytest.approx((accuracy, confidence), abs=1e-12)
        total += len(mine) * abs(accuracy - confidence)
        if len(mine) > 1:
            several += len(mine)
            noise = accuracy * (1 - accuracy) / (len(mine) - 1)
            square += len(mine) * ((accuracy - confidence) ** 2 - noise)
    assert found.ece == pytest.approx(total / n, abs=1e-12)
    assert found.rms_debiased == pytest.approx(math.sqrt(max(square / several, 0)) if several else 0, abs=1e-9)


def test_the_bins_are_scikit_learns():
    true, table = simulated(500, 0)
    right = table.argmax(axis=1) == true
    accuracy, confidence = sklearn.calibration.calibration_curve(right, table.max(axis=1), n_bins=15)
    found = calibration(true, table)
    there = found.counts > 0
    assert found.accuracy[there] == pytest.approx(accuracy, abs=1e-12)
    assert found.confidence[there] == pytest.approx(confidence, abs=1e-12)


def test_chance_alone_makes_an_error_and_is_told_from_a_real_one():
    # a calibrated network of 300 pictures, 100 times: its ECE is that of chance in the mean (noise .001)
    found = [calibration(*simulated(300, seed)) for seed in range(100)]
    assert np.mean([f.ece for f in found]) > 0.04
    assert np.mean([f.by_chance for f in found]) == pytest.approx(np.mean([f.ece for f in found]), abs=0.004)
    assert np.mean([f.ece > f.by_chance_high for f in found]) < 0.15
    off = [calibration(*simulated(300, seed, off=0.2)) for seed in range(20)]
    assert all(f.ece > f.by_chance_high for f in off)


def test_the_debiased_square_is_right_in_the_mean():
    # 400 repetitions of 200 pictures, off by .1 everywhere: the mean of the squares is known to .0005
    found = [calibration(*simulated(200, seed, off=0.1), draws=0) for seed in range(400)]
    plain = [np.sum(f.counts * np.nan_to_num(f.accuracy - f.confidence) ** 2) / 200 for f in found]
    assert np.mean([f.rms_debiased**2 for f in found]) == pytest.approx(0.01, abs=0.0015)
    assert np.mean(plain) > 0.014


def test_it_is_plain_json_and_the_same_each_time():
    true, table = simulated(50, 3)
    one, two = (json.dumps(calibration(true, table).as_dict(), allow_nan=False) for _ in range(2))
    assert one == two
    told = json.loads(one)
    assert sum(b["n"] for b in told["bins"]) == 50
    assert all(b["from"] < b["confidence"] <= b["to"] and b["low"] <= b["accuracy"] <= b["high"] for b in told["bins"])
    empty = calibration([], np.zeros((0, 3))).as_dict()
    assert empty == {"ece": None, "by_chance": None, "by_chance_high": None, "rms_debiased": None, "bins": []}


def test_logits_are_refused():
    with pytest.raises(ConfigError, match=r"C220\]: calibration: row 0 of probabilities, shape \(1, 2\), sums to 7"):
        calibration([0], [[3.0, 4.0]])


def test_the_error_alone_by_its_definition() -> None:
    draw = np.random.default_rng(0)
    sure = np.concatenate([draw.uniform(0, 1, 500), np.arange(16) / 15])
    right = draw.random(len(sure)) < sure**2
    expected = 0.0
    for k in range(15):
        inside = [i for i, p in enumerate(sure) if k / 15 < p <= (k + 1) / 15 or (k == 0 and p == 0)]
        if inside:
            gap = np.mean([right[i] for i in inside]) - np.mean([sure[i] for i in inside])
            expected += len(inside) / len(sure) * abs(gap)
    assert expected_error(right, sure) == pytest.approx(expected, abs=1e-12)
    assert math.isnan(expected_error(np.zeros(0, bool), np.zeros(0)))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 99))
def test_the_error_alone_is_that_of_the_whole(n, seed):
    true, table = simulated(n, seed)
    found = expected_error(table.argmax(axis=1) == true, table.max(axis=1))
    assert found == pytest.approx(calibration(true, table, draws=0).ece, abs=1e-12)
