"""Intervals from influence: the forms against their equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang.metrics import influence
from dojang.metrics.intervals import student, wilson


def test_freedom_is_twice_what_normal_rows_are_worth():
    # 20,000 normal rows have kurtosis 3, so n degrees; noise of the kurtosis: .035
    rows = np.random.default_rng(0).normal(size=20_000)
    assert influence.freedom(rows - rows.mean()) == pytest.approx(20_000, rel=0.06)
    # two rows that count, one each way, among a hundred
    assert influence.freedom(np.array([1.0, -1.0] + [0.0] * 98)) == pytest.approx(2 * 100 / 49)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 50, allow_nan=False), min_size=4, max_size=60), st.sampled_from([0.8, 0.95]))
def test_the_ends_of_a_mean_solve_halls_equation(values, level):
    rows = np.array(values)
    score = influence.mean(rows, bounds=(-math.inf, math.inf), level=level)
    if score.why:
        return
    n, away = len(rows), (rows - rows.mean()) / np.abs(rows).max()
    skew = (away**3).mean() / (away**2).mean() ** 1.5
    t = student(level, max(influence.freedom(away), 3))
    for end, sign in ((score.low, 1), (score.high, -1)):
        # Hall 1992: T + s T^2 / 3 + s^2 T^3 / 27 + s / 6 with s = skewness / sqrt(n) is nearly normal
        error = away.std() / math.sqrt(n - 1) * np.abs(rows).max()
        studentised, s = (rows.mean() - end) / error, skew / math.sqrt(n)
        transformed = studentised + s * studentised**2 / 3 + s**2 * studentised**3 / 27 + s / 6
        assert transformed == pytest.approx(sign * t, rel=1e-4, abs=1e-4)


def test_without_skew_it_is_students_t():
    rows = np.concatenate([np.arange(50.0), -np.arange(50.0)]) + 100
    score = influence.mean(rows)
    t = student(0.95, influence.freedom(rows - 100))
    half = t * rows.std() / math.sqrt(99)
    assert (score.low, score.high) == pytest.approx((100 - half, 100 + half), rel=1e-9)


def test_a_long_tail_reaches_up():
    score = influence.mean([0.01] * 97 + [5.0] * 3)
    assert score.high - score.value > 2 * (score.value - score.low) > 0


@pytest.mark.parametrize(
    ("values", "value", "why"),
    [([], math.nan, "no pictures"), ([2.0], 2.0, "one picture"), ([0.3] * 9, 0.3, "the same for every picture")],
)
def test_rows_that_tell_nothing_of_their_spread(values, value, why):
    score = influence.mean(values)
    assert (score.value, score.why) == (pytest.approx(value, nan_ok=True), why)
    assert math.isnan(score.low) and math.isnan(score.high)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.data())
def test_a_share_of_whole_rows_has_wilsons_interval(n, data):
    right = data.draw(st.integers(0, n))
    score = influence.share(right / n, right / n, n, n)
    assert (score.low, score.high) == pytest.approx(wilson(right, n), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.001, 0.999), st.floats(1e-8, 0.05))
def test_a_logit_interval_is_symmetric_there_and_inside_its_bounds(value, variance):
    score = influence.logit(value, value, variance, 50, 10)
    assert 0 <= score.low <= value <= score.high <= 1
    if score.low > 1e-9 and score.high < 1 - 1e-9:
        low, middle, high = (math.log(p / (1 - p)) for p in (score.low, value, score.high))
        assert high - middle == pytest.approx(middle - low, rel=1e-4, abs=1e-6)
