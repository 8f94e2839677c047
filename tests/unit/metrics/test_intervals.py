"""Intervals against SciPy, against their exact coverage, and by properties; seeds and tolerances are stated."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang.errors import ConfigError
from dojang.metrics.intervals import Score, bootstrap, proportion, student, wilson
from dojang.metrics.scores import balanced_accuracy, confusion_matrix, macro_f1

N, P = 180, 0.97


@given(st.integers(1, 100_000), st.floats(0, 1), st.floats(0.01, 0.999))
def test_wilson_equals_scipy(n, share, level):
    successes = round(share * n)
    expected = scipy.stats.binomtest(successes, n).proportion_ci(confidence_level=level, method="wilson")
    assert wilson(successes, n, level) == pytest.approx((expected.low, expected.high), rel=1e-12, abs=1e-12)


@given(st.integers(1, 2000), st.data())
def test_wilson_ends_solve_their_equation(n, data):
    # the definition: the shares p whose score test just does not reject what was seen
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    z = scipy.stats.norm.ppf(0.975)
    for end, exact in ((low, successes == 0), (high, successes == n)):
        if not exact:
            assert (successes / n - end) ** 2 == pytest.approx(z * z * end * (1 - end) / n, rel=1e-8)
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_wilson_at_the_ends():
    assert wilson(0, 50)[0] == 0
    assert wilson(50, 50)[1] == 1
    assert wilson(0, 0) == (0, 1)
    wide, narrow = wilson(np.int64(9), np.int32(10), 0.99), wilson(9, 10, 0.9)
    assert wide[0] < narrow[0] < 0.9 < narrow[1] < wide[1]


def test_wilson_coverage_simulated():
    # 20,000 repetitions, fixed seed: noise .0016, so .005 is three of them; .948 was measured with 2,000
    seen = np.random.default_rng(0).binomial(N, P, size=20_000)
    ends = np.array([wilson(k, N) for k in range(N + 1)])[seen]
    assert np.mean((ends[:, 0] <= P) & (ends[:, 1] >= P)) == pytest.approx(0.948, abs=0.005)


def test_wilson_coverage_exact_and_the_percentile_bootstrap_it_replaces():
    counts = np.arange(N + 1)
    weight = scipy.stats.binom.pmf(counts, N, P)
    ends = np.array([wilson(int(k), N) for k in counts])
    assert weight @ ((ends[:, 0] <= P) & (ends[:, 1] >= P)) == pytest.approx(0.9497, abs=0.0001)
    # with endless draws the percentile bootstrap of a share is a binomial quantile
    low, high = (scipy.stats.binom.ppf(q, N, counts / N) / N for q in (0.025, 0.975))
    assert weight @ ((low <= P) & (high >= P)) == pytest.approx(0.9000, abs=0.0001)


def test_proportion():
    assert proportion(9, 10) == Score(0.9, *wilson(9, 10), 10)
    none = proportion(0, 0)
    assert math.isnan(none.value)
    assert (none.low, none.high, none.n) == (0, 1, 0)
    assert json.loads(json.dumps(none.as_dict(), allow_nan=False)) == {"value": None, "low": 0, "high": 1, "n": 0}
    assert json.dumps(proportion(np.int64(9), np.int64(10)).as_dict()).startswith('{"value": 0.9, "low": 0.59')


def skewed(n: int = 60) -> np.ndarray:
    return np.random.default_rng(1).lognormal(size=n)


@pytest.mark.parametrize("statistic", [np.mean, np.std, np.median])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_bootstrap_is_scipys_bca(statistic, level):
    # two sets of 4,000 draws: an end moves by about 2 % of the width, 6 % is three times that;
    # the median's draws are few values, so an end may move to the next one
    data = skewed()
    ours = bootstrap(statistic, data, level=level, resamples=4000)
    theirs = scipy.stats.bootstrap(
        (data,), statistic, confidence_level=level, n_resamples=4000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    assert ours.value == statistic(data)
    assert ours.n == 60
    near = (0.25 if statistic is np.median else 0.06) * (theirs.high - theirs.low)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=near)
    # and the correction is seen: the plain percentiles of the mean lie outside that tolerance
    if statistic is np.std:
        plain = scipy.stats.bootstrap(
            (data,), statistic, confidence_level=level, n_resamples=4000, method="percentile", rng=0
        ).confidence_interval
        assert abs(plain.high - ours.high) > near


def test_bootstrap_draws_the_same_rows_of_all_arrays():
    one, other = skewed(), skewed()[::-1].copy()

    def correlation(a, b):
        return np.corrcoef(a, b)[0, 1]

    theirs = scipy.stats.bootstrap(
        (one, one + other), correlation, paired=True, vectorized=False, n_resamples=2000, method="BCa", rng=2
    ).confidence_interval
    ours = bootstrap(correlation, one, one + other, resamples=2000)
    near = 0.1 * (theirs.high - theirs.low)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=near)


def test_groups_of_rows_give_the_ends_of_single_rows():
    # 1,000 rows are left out in 200 groups; SciPy leaves out each
    data = skewed(1000)
    theirs = scipy.stats.bootstrap((data,), np.mean, n_resamples=4000, method="BCa", rng=3).confidence_interval
    ours = bootstrap(np.mean, data, resamples=4000)
    near = 0.06 * (theirs.high - theirs.low)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=near)


def test_strata_keep_their_counts_and_rows_stay_in_them():
    labels = np.array([2, 0, 2, 1, 0, 2, 2, 0])
    seen = []

    def statistic(label, row):
        assert np.array_equal(labels[row], label)
        seen.append(row)
        return float(row.sum())

    bootstrap(statistic, labels, np.arange(8), strata=labels, resamples=200)
    draws = np.array(seen[1:201])
    for label, count in ((0, 3), (1, 1), (2, 4)):
        assert ((labels[draws] == label).sum(axis=1) == count).all()
    # each row of a class is drawn about once a resample: 200 draws of expectation 1, noise .07
    assert np.bincount(draws.ravel(), minlength=8) / 200 == pytest.approx(np.ones(8), abs=0.25)
    without = [sorted(row.tolist()) for row in seen[201:]]
    assert sorted(min(set(range(8)) - set(row)) for row in without) == [0, 1, 2, 4, 5, 6, 7]
    assert {len(row) for row in without} == {7}


def test_strata_are_narrower_where_they_explain_the_values():
    labels = np.repeat(["cat", "dog"], 50)
    values = np.where(labels == "dog", 10.0, 0.0) + np.random.default_rng(4).normal(size=100)
    free, kept = bootstrap(np.mean, values, resamples=500), bootstrap(np.mean, values, strata=labels, resamples=500)
    # standard errors: .5 for the classes' counts and .1 within the classes
    assert free.high - free.low == pytest.approx(2 * 1.96 * 0.51, rel=0.15)
    assert kept.high - kept.low == pytest.approx(2 * 1.96 * 0.1, rel=0.25)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 30))
def test_bootstrap_is_a_function_of_its_seed_and_follows_scale_and_shift(seed, n):
    data = np.random.default_rng(n).integers(-50, 50, n).astype(np.float64)
    one = bootstrap(np.mean, data, resamples=100, seed=seed)
    assert repr(one) == repr(bootstrap(np.mean, data, resamples=100, seed=seed))
    other = bootstrap(np.mean, 4 * data + 8, resamples=100, seed=seed)
    for name in ("value", "low", "high"):
        assert getattr(other, name) == pytest.approx(4 * getattr(one, name) + 8, rel=1e-9, abs=1e-9, nan_ok=True)


def test_another_seed_gives_other_draws():
    assert bootstrap(np.mean, skewed(), resamples=100, seed=0) != bootstrap(np.mean, skewed(), resamples=100, seed=1)


def test_every_answer_right_gives_no_interval():
    true = np.arange(30) % 3
    score = bootstrap(lambda t, p: balanced_accuracy(confusion_matrix(t, p, 3)), true, true, strata=true)
    assert score.value == 1
    assert score.as_dict() == {"value": 1.0, "low": None, "high": None, "n": 30}


def test_zero_rows_call_no_statistic():
    score = bootstrap(lambda rows: 1 / 0, np.zeros(0))
    assert score.as_dict() == {"value": None, "low": None, "high": None, "n": 0}


def test_a_model_worse_than_all_its_draws_still_has_an_interval():
    # the value lies below every draw: the correction is held finite
    score = bootstrap(lambda rows: len(np.unique(rows)) * -1.0, np.arange(40), resamples=100)
    assert score.value == -40
    assert math.isfinite(score.low)
    assert score.low <= score.high


@pytest.mark.slow
@pytest.mark.parametrize("score", [macro_f1, balanced_accuracy])
def test_bootstrap_coverage(score):
    # 18 rows of each of 10 classes at accuracy .97: 400 repetitions, noise .011; the plain percentiles give .897
    c, draws = 10, np.random.default_rng(5)
    truth = np.repeat(np.arange(c), 18)
    chance = np.full((c, c), 0.03 / (c - 1)) + np.eye(c) * (0.97 - 0.03 / (c - 1))
    goal = score(np.round(chance * 1e9).astype(np.int64))
    held = []
    for _ in range(400):
        said = np.array([draws.choice(c, p=chance[label]) for label in truth])
        found = bootstrap(lambda t, p: score(confusion_matrix(t, p, c)), truth, said, strata=truth, resamples=400)
        if not math.isnan(found.low):
            held.append(found.low <= goal <= found.high)
    assert len(held) > 380
    assert np.mean(held) == pytest.approx(0.95, abs=0.033)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: wilson(11, 10), "wilson: 11 successes of 10 rows; expected from 0 to the number of rows."),
        (lambda: wilson(-1, 10), "wilson: -1 successes of 10 rows"),
        (lambda: wilson(0, -1), "wilson: 0 successes of -1 rows"),
        (lambda: wilson(0.5, 1), "wilson: 0.5 successes of 1; expected whole numbers."),
        (lambda: wilson(1, 2, 95), "level is 95; expected a number between 0 and 1, such as 0.95."),
        (lambda: wilson(1, 2, float("nan")), "level is nan; expected a number between 0 and 1"),
        (lambda: proportion(3, 2), "wilson: 3 successes of 2 rows"),
        (
            lambda: bootstrap(np.mean, np.zeros(3), np.zeros((4, 2))),
            "bootstrap: array 0 has shape (3,) and array 1 has shape (4, 2); expected the same number of rows in each.",
        ),
        (
            lambda: bootstrap(np.mean, np.zeros(3), strata=[0, 1]),
            "bootstrap: array 0 has shape (3,) and strata has shape (2,); expected the same number of rows in each.",
        ),
        (lambda: bootstrap(np.mean, np.zeros(3), strata=np.zeros((3, 1))), "strata has shape (3, 1)"),
        (lambda: bootstrap(np.mean), "bootstrap: no array is given"),
        (lambda: bootstrap(np.mean, 1.0), "bootstrap: array 0 has shape ()"),
        (lambda: bootstrap(np.mean, np.zeros(3), resamples=50), "resamples is 50; expected a whole number from 100."),
        (lambda: bootstrap(np.mean, np.zeros(3), level=1), "level is 1; expected a number between 0 and 1"),
        (
            lambda: bootstrap(lambda rows: float("nan"), np.zeros(3)),
            "bootstrap: the statistic gives nan on 3 rows drawn from 3.\n"
            "  A draw can miss every row of a class.\n  Fix: strata=true",
        ),
        (lambda: bootstrap(lambda rows: math.inf, np.zeros(3), strata=[0, 0, 1]), "gives inf on 3 rows drawn from 3."),
    ],
)
def test_what_does_not_fit_is_refused(call, text):
    with pytest.raises(ConfigError) as caught:
        call()
    assert caught.value.code == "C220"
    assert text in str(caught.value)


@given(st.floats(1, 1e6), st.floats(0.01, 0.999))
def test_students_t_is_scipys(freedom: float, level: float) -> None:
    expected = float(scipy.stats.t.ppf((1 + level) / 2, freedom))
    # two logarithms of the gamma function, which grow, are taken from each other
    assert student(level, freedom) == pytest.approx(expected, rel=1e-9 + 1e-12 * freedom)


def test_students_t_by_the_table() -> None:
    table = {1: 12.706, 2: 4.303, 4: 2.776, 10: 2.228, 30: 2.042, 120: 1.980}
    assert {freedom: round(student(0.95, freedom), 3) for freedom in table} == table
    for level, freedom in ((1.0, 4), (0.95, 0), (0.95, math.nan)):
        with pytest.raises(ConfigError, match="C220"):
            student(level, freedom)
