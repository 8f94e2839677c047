"""ROC-AUC and average precision against pairs counted one by one, against scikit-learn to 1e-12, and by properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dojang.errors import ConfigError
from dojang.metrics.ranking import _Curve, ranking

CLOSE = {"rel": 1e-12, "abs": 1e-12}


@st.composite
def tables(draw):
    """(true, values): from few values, so ties are the rule; few rows, so classes without any are, too."""
    c, n = draw(st.integers(2, 5)), draw(st.integers(2, 25))
    levels = draw(st.lists(st.integers(0, 4), min_size=n * c, max_size=n * c))
    true = draw(st.lists(st.integers(0, c - 1), min_size=n, max_size=n))
    return np.array(true), np.array(levels, dtype=np.float64).reshape(n, c) / 4


def many(seed: int, n: int = 400, c: int = 5) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    # the last class has no rows
    true = draws.integers(0, c - 1, n)
    logits = draws.normal(size=(n, c))
    logits[np.arange(n), true] += 1.5
    powers = np.exp(logits)
    return true, (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(tables())
def test_roc_auc_is_the_share_of_pairs(case):
    true, table = case
    found = ranking(true, table).roc_auc
    for k in range(table.shape[1]):
        own, rest = table[true == k, k], table[true != k, k]
        if not len(own) or not len(rest):
            assert math.isnan(found[k])
            continue
        pairs = [(a > b) + (a == b) / 2 for a in own for b in rest]
        assert found[k] == pytest.approx(sum(pairs) / len(pairs), **CLOSE)
        assert found[k] == pytest.approx(sklearn.metrics.roc_auc_score(true == k, table[:, k]), **CLOSE)


@settings(max_examples=40, deadline=None)
@given(tables())
def test_average_precision_is_its_definition(case):
    true, table = case
    found = ranking(true, table).average_precision
    for k in range(table.shape[1]):
        own = table[true == k, k]
        if not 0 < len(own) < len(true):
            assert math.isnan(found[k])
            continue
        shares = [np.mean(true[table[:, k] >= level] == k) for level in own]
        assert found[k] == pytest.approx(np.mean(shares), **CLOSE)
        assert found[k] == pytest.approx(sklearn.metrics.average_precision_score(true == k, table[:, k]), **CLOSE)


@pytest.mark.parametrize("seed", range(3))
def test_means_equal_scikit_learn(seed):
    true, table = many(seed)
    found = ranking(true, table)
    # it has no value where a class has no rows: those that have some are given to it
    some = table[:, :4].astype(np.float64)
    some /= some.sum(axis=1, keepdims=True)
    ours = ranking(true, some)
    expected = sklearn.metrics.roc_auc_score(true, some, multi_class="ovr", average="macro")
    assert ours.macro_roc_auc.value == pytest.approx(expected, **CLOSE)
    expected = sklearn.metrics.average_precision_score(np.eye(4)[true], some, average="macro")
    assert ours.macro_average_precision.value == pytest.approx(expected, **CLOSE)
    assert found.macro_roc_auc.value == pytest.approx(np.nanmean(found.roc_auc), **CLOSE)
    for score in (found.macro_roc_auc, found.macro_average_precision):
        assert 0 < score.low < score.value < score.high < 1
        assert score.n == 400


def test_of_two_classes_the_area_is_that_of_the_second_column():
    true, table = many(0, c=3)
    # columns that are no complements, to tell them apart
    table = table[:, :2]
    expected = sklearn.metrics.roc_auc_score(true, table[:, 1])
    assert ranking(true, table).macro_roc_auc.value == pytest.approx(expected, **CLOSE)


@settings(max_examples=40, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_the_scale_counts(case, random):
    true, table = case
    rows = list(range(len(true)))
    random.shuffle(rows)
    one, other = ranking(true, table), ranking(true[rows], np.exp(3 * table[rows]) - 2)
    assert one.roc_auc == pytest.approx(other.roc_auc, nan_ok=True, **CLOSE)
    assert one.average_precision == pytest.approx(other.average_precision, nan_ok=True, **CLOSE)
    for name in ("macro_roc_auc", "macro_average_precision"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), nan_ok=True, rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(tables(), st.integers(0, 24))
def test_the_influence_of_a_row_is_the_derivative_by_its_weight(case, row):
    true, table = case
    mine = true == 0
    assume(0 < mine.sum() < len(true) and row < len(true))
    curve, step = _Curve(mine, table[:, 0]), 1e-5
    for score, moves in (
        (sklearn.metrics.roc_auc_score, curve.area()[-1]),
        (sklearn.metrics.average_precision_score, curve.precision()[-1]),
    ):
        more, less = np.ones(len(true)), np.ones(len(true))
        more[row], less[row] = 1 + step, 1 - step
        slope = (score(mine, table[:, 0], sample_weight=more) - score(mine, table[:, 0], sample_weight=less)) / step / 2
        assert moves[row] == pytest.approx(len(true) * slope, abs=1e-6 * len(true))
        assert moves.sum() == pytest.approx(0, abs=1e-9)


def test_the_variance_is_that_of_the_bootstrap():
    # 2,000 draws: a standard error to 1.6 %, so 6 % is nearly four times that; classes keep their rows, as assumed
    true, table = many(1, n=600)
    draws = np.random.default_rng(0)
    members = [np.flatnonzero(true == k) for k in range(4)]
    seen = []
    for _ in range(2000):
        rows = np.concatenate([draws.choice(some, len(some)) for some in members])
        seen.append(np.nanmean([_area(true[rows] == k, table[rows, k]) for k in range(4)]))
    score = ranking(true, table).macro_roc_auc
    place = [math.log(p / (1 - p)) for p in (score.low, score.high)]
    error = (place[1] - place[0]) / 2 / 1.965 * score.value * (1 - score.value)
    assert error == pytest.approx(np.std(seen), rel=0.06)


def _area(mine: np.ndarray, values: np.ndarray) -> float:
    own, rest = values[mine], np.sort(values[~mine])
    return float((np.searchsorted(rest, own, "left") + np.searchsorted(rest, own, "right")).mean() / 2 / len(rest))


@pytest.mark.parametrize(
    ("true", "table", "why"),
    [
        ([], np.zeros((0, 3)), "no pictures"),
        ([1, 1], [[0.5, 0.5], [0.2, 0.8]], "pictures of one class only"),
        ([0, 1], [[0.9, 0.1], [0.2, 0.8]], "fewer than 20 pictures a class"),
        ([0] * 25 + [1] * 15, np.eye(2)[[0] * 25 + [1] * 15], "no picture is ranked wrongly"),
        ([0] * 25 + [1] * 15, np.eye(2)[[1] * 25 + [0] * 15], "every picture is ranked wrongly"),
        (
            [0] * 50 + [1] * 50,
            np.array([[0.9, 0.1]] * 49 + [[0.1, 0.9]] + [[0.2, 0.8]] * 50),
            "a handful of pictures decide it",
        ),
    ],
)
def test_where_there_is_no_interval_it_says_why(true, table, why):
    score = ranking(true, table).macro_roc_auc
    assert score.why == score.as_dict()["why"] == why
    assert math.isnan(score.low) and math.isnan(score.high)


def test_few_pictures_of_a_class_bend_the_average_precision():
    true, table = many(0, n=120)
    smallest = np.bincount(true).min()
    score = ranking(true, table).macro_average_precision
    assert score.why == f"a class of {smallest} pictures, fewer than 50"
    assert 0 < score.value < 1 and math.isnan(score.low)


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ([[0.5, math.nan]], "ranking: row 0 of probabilities, shape (1, 2), holds nan."),
        ([0.5, 0.5], "ranking: true has shape (1,) and probabilities has shape (2,); expected (n,) and (n, c)."),
    ],
)
def test_what_is_no_table_is_refused(table, text):
    with pytest.raises(ConfigError) as caught:
        ranking([0], table)
    assert text in str(caught.value)
