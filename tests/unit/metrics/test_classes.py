"""Intervals of class scores, against SciPy, against repetitions, and by properties; seeds and tolerances are stated."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang.errors import ConfigError
from dojang.metrics import classes, scores


@st.composite
def matrices(draw, most: int = 12):
    c = draw(st.integers(1, 6))
    cells = draw(st.lists(st.integers(0, most), min_size=c * c, max_size=c * c))
    return np.array(cells, dtype=np.int64).reshape(c, c)


def wilson(successes: int, n: int) -> tuple[float, float]:
    found = scipy.stats.binomtest(int(successes), int(n)).proportion_ci(method="wilson")
    return found.low, found.high


@settings(max_examples=40, deadline=None)
@given(matrices())
def test_a_class_has_wilsons_intervals(matrix):
    found, each = classes.per_class(matrix), scores.per_class(matrix)
    for k in range(len(matrix)):
        right, have, said = matrix[k, k], matrix[k].sum(), matrix[:, k].sum()
        for ends, n in ((found.recall, have), (found.precision, said)):
            expected = wilson(right, n) if n > 1 and have else (math.nan, math.nan)
            assert (ends.low[k], ends.high[k]) == pytest.approx(expected, nan_ok=True, abs=1e-12)
        if have and have + said - right > 1:
            # of all rows that are or are called k, those that are both; F1 is 2 J / (1 + J)
            low, high = wilson(right, have + said - right)
            expected = 2 * low / (1 + low), 2 * high / (1 + high)
            assert (found.f1.low[k], found.f1.high[k]) == pytest.approx(expected, abs=1e-12)
            assert found.f1.low[k] - 1e-12 <= each.f1[k] <= found.f1.high[k] + 1e-12
        else:
            assert math.isnan(found.f1.low[k])


@settings(max_examples=40, deadline=None)
@given(matrices())
def test_means_over_classes_have_an_interval_around_them_or_a_reason(matrix):
    n, there = matrix.sum(), (matrix.sum(axis=1) > 0).sum()
    for ours, plain in ((classes.balanced_accuracy, scores.balanced_accuracy), (classes.macro_f1, scores.macro_f1)):
        score = ours(matrix)
        assert score.value == pytest.approx(plain(matrix), nan_ok=True, abs=1e-15)
        if len(matrix) == 1 or n == 0 or n < 5 * there:
            few = "fewer than 5 pictures a class" if n else "no pictures"
            assert score.why == ("one class only" if len(matrix) == 1 else few)
            assert math.isnan(score.low) and math.isnan(score.high)
        elif plain is scores.macro_f1 and matrix[:, matrix.sum(axis=1) == 0].any():
            assert score.why == "a class without pictures was answered" and math.isnan(score.low)
        else:
            assert 0 <= score.low <= score.value <= score.high <= 1
            assert score.low < score.high


@settings(max_examples=40, deadline=None)
@given(matrices(), st.randoms(use_true_random=False))
def test_neither_the_order_of_classes_nor_an_empty_one_counts(matrix, random):
    order = list(range(len(matrix)))
    random.shuffle(order)
    for ours in (classes.balanced_accuracy, classes.macro_f1):
        one, other = ours(matrix), ours(matrix[np.ix_(order, order)])
        assert (one.low, one.high) == pytest.approx((other.low, other.high), nan_ok=True, rel=1e-9, abs=1e-9)
    if len(matrix) > 1:
        one, other = classes.balanced_accuracy(matrix), classes.balanced_accuracy(np.pad(matrix, (0, 1)))
        assert (one.low, one.high) == pytest.approx((other.low, other.high), nan_ok=True, rel=1e-9)


def test_more_pictures_narrow_it_by_their_root():
    matrix = np.array([[40, 8, 2], [5, 30, 5], [1, 2, 27]])
    for ours in (classes.balanced_accuracy, classes.macro_f1):
        few, many = ours(matrix * 4), ours(matrix * 400)
        assert (few.high - few.low) / (many.high - many.low) == pytest.approx(10, rel=0.03)


def test_no_mistake_is_no_certainty():
    score = classes.macro_f1(np.eye(10, dtype=int) * 18)
    assert score.value == score.high == 1
    # Wilson's low end of 180 of 180 is .979
    assert 0.93 < score.low < 0.98
    assert 0.93 < classes.balanced_accuracy(np.eye(10, dtype=int) * 18).low < 0.98


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A matrix's shares, and many matrices of 2,000 pictures drawn from them, classes redrawn, too."""
    draws = np.random.default_rng(seed)
    shares = np.diag([0.4, 0.3, 0.1]) + np.array([[0, 0.05, 0.01], [0.02, 0, 0.04], [0.03, 0.05, 0]])
    shares /= shares.sum()
    return shares, draws.multinomial(2000, shares.ravel(), size=4000).reshape(-1, 3, 3)


@pytest.mark.parametrize(
    ("ours", "plain"),
    [(classes.balanced_accuracy, scores.balanced_accuracy), (classes.macro_f1, scores.macro_f1)],
)
def test_the_variance_is_that_of_repetitions(ours, plain):
    # of 4,000 repetitions the standard error is known to 1.1 %; of rows that are added, 2 of about 600, less than 1 %
    shares, many = drawn(0)
    seen = np.array([plain(matrix) for matrix in many])
    score = ours(np.round(shares * 2000).astype(int))
    assert (score.high - score.low) / 2 / 1.96 == pytest.approx(seen.std(), rel=0.05)


def test_the_bias_of_macro_f1_is_taken_out(monkeypatch):
    # 40 pictures of three classes; the mean of 20,000 repetitions is known to .0006
    shares, _ = drawn(0)
    draws = np.random.default_rng(1)
    many = draws.multinomial(40, shares.ravel(), size=20_000).reshape(-1, 3, 3)
    many = many[(many.sum(axis=2) > 0).all(axis=1)]
    truth = scores.macro_f1(np.round(shares * 10**9).astype(np.int64))
    plain, without = [], []
    for matrix in many:
        each, seen = scores.per_class(matrix).f1, matrix.sum(axis=0) + matrix.sum(axis=1)
        plain.append(each.mean())
        without.append((each + each * (1 - each) / seen).mean())
    assert np.mean(plain) - truth < -0.004
    monkeypatch.setattr(classes.influence, "share", lambda value, centre, *rest: centre)
    assert classes.macro_f1(many[0]) == pytest.approx(without[0], abs=1e-12)
    assert abs(np.mean(without) - truth) < 0.002


@pytest.mark.parametrize("call", [classes.per_class, classes.balanced_accuracy, classes.macro_f1])
def test_what_is_no_matrix_is_refused(call):
    with pytest.raises(ConfigError, match=r"C220\]: matrix has shape \(1, 2\) and least value 0; expected a confusion"):
        call([[0, 1]])
    with pytest.raises(ConfigError, match="level is 95"):
        call([[9, 1], [1, 9]], level=95)
