"""Recipes beside the best one, against SciPy and statsmodels' definition of Holm's correction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dojang.metrics.against import all_against, paired


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10**6))
def test_the_paired_t_is_scipys(n: int, seed: int) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, n))
    found, expected = paired(a.tolist(), b.tolist()), stats.ttest_rel(a, b)
    low, high = expected.confidence_interval()
    assert found.p == pytest.approx(float(expected.pvalue), rel=1e-7, abs=1e-10)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-7)
    other = paired(b.tolist(), a.tolist())
    assert (other.difference, other.low, other.high) == (-found.difference, -found.high, -found.low)


def test_what_cannot_be_told() -> None:
    alone = paired([0.9], [0.8])
    assert alone.difference == pytest.approx(0.1) and math.isnan(alone.p) and not alone.told_apart
    same = paired([0.9, 0.8], [0.9, 0.8])
    assert same.p == 1.0 and math.isnan(same.low)
    # equal differences name no spread
    assert math.isnan(paired([0.9, 0.8], [0.8, 0.7]).p)
    assert math.isnan(paired([], []).difference)


def test_all_of_them_beside_the_best() -> None:
    draw = np.random.default_rng(0)
    base = draw.normal(0.9, 0.01, 6)
    several = [base - 0.05 + draw.normal(0, 0.002, 6), base, base + draw.normal(0, 0.02, 6) - 0.001, base[::-1] - 0.3]
    best = int(np.argmax([one.mean() for one in several]))
    found = all_against([dict(enumerate(one.tolist())) for one in several], best)
    assert found[best] is None
    others = [i for i in range(4) if i != best]
    p = [float(stats.ttest_rel(several[i], several[best]).pvalue) for i in others]
    # Holm by hand: the smallest times three, the next times two, never falling
    order, largest, corrected = np.argsort(p), 0.0, dict[int, float]()
    for place, k in enumerate(order):
        largest = max(largest, min(1.0, (3 - place) * p[k]))
        corrected[others[k]] = largest
    for i in others:
        one = found[i]
        assert one is not None and one.corrected == pytest.approx(corrected[i], rel=1e-6)
        assert one.told_apart == (corrected[i] < 0.05)


def test_each_is_held_against_the_best_over_the_seeds_that_both_have() -> None:
    best = {0: 0.9, 1: 0.91, 2: 0.93, 3: 0.9}
    one_less, another = {0: 0.8, 2: 0.85, 3: 0.84}, {5: 0.7}
    found = all_against([one_less, best, another, {0: 0.7}], 1)
    assert found[0] is not None and found[0].p == paired([0.8, 0.85, 0.84], [0.9, 0.93, 0.9]).p
    # those without a p are not counted among the comparisons
    assert found[0].corrected == pytest.approx(found[0].p)
    assert found[1] is None and found[2] is None
    assert found[3] is not None and math.isnan(found[3].p) and found[3].difference == pytest.approx(-0.2)
