"""Paired differences: published examples, definitions in loops, scipy, and how often the interval holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest

from dojang.errors import ConfigError
from dojang.metrics.paired import LEAST, difference, holm, mcnemar, tango_of, too_few

TABLES = [(16, 6, 161), (1, 7, 21), (0, 5, 100), (5, 0, 100), (0, 0, 50), (30, 31, 61), (3, 400, 1000)]


@pytest.mark.parametrize(
    ("first_only", "second_only", "n", "digits", "expected"),
    [
        # complete response before and after consolidation therapy, Cavo et al. 2012, and airway hyper-responsiveness,
        # Bentur et al. 2009: Fagerland, Lydersen, Laake, "Statistical Analysis of Contingency Tables", 2017, chapter 8
        (16, 6, 161, 4, [-0.0621, -0.1240, -0.0054]),
        (7, 1, 21, 3, [-0.286, -0.517, -0.026]),
    ],
)
def test_published_intervals(first_only: int, second_only: int, n: int, digits: int, expected: list[float]) -> None:
    found = difference(first_only, second_only, n)
    assert [round(x, digits) for x in (found.value, found.low, found.high)] == expected


def test_published_tests() -> None:
    # the same book: McNemar's exact conditional test
    assert round(mcnemar(16, 6), 6) == 0.052479 and round(mcnemar(1, 7), 4) == 0.0703


def score(b: int, c: int, n: int, delta: float) -> float:
    """Tango's statistic by its definition: the shares maximise the likelihood with their difference held at delta."""

    def loss(share: float) -> float:
        # only the first, only the second, the rest
        shares = share, share + delta, 1 - 2 * share - delta
        if min(shares) < 0:
            return math.inf
        counts = b, c, n - b - c
        return -sum(k * math.log(p) if p > 0 else -math.inf for k, p in zip(counts, shares, strict=True) if k)

    low, high = max(0.0, -delta), (1 - delta) / 2
    best = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-13}).x
    return (c - b - n * delta) / math.sqrt(n * (2 * best + delta - delta**2))


@pytest.mark.parametrize(("b", "c", "n"), [table for table in TABLES if table[0] and table[1]])
def test_at_its_ends_the_score_test_is_just_not_refused(b: int, c: int, n: int) -> None:
    found = difference(b, c, n)
    for end, sign in ((found.low, 1), (found.high, -1)):
        assert score(b, c, n, end) == pytest.approx(sign * 1.959964, abs=1e-3)


@pytest.mark.parametrize(("b", "c", "n"), TABLES)
def test_exchanged_networks_give_the_same_with_another_sign(b: int, c: int, n: int) -> None:
    one, other = difference(b, c, n), difference(c, b, n)
    np.testing.assert_array_equal([one.value, one.low, one.high], [-other.value, -other.high, -other.low])
    assert mcnemar(b, c) == mcnemar(c, b)
    if b + c:
        assert -1 <= one.low <= one.value <= one.high <= 1


def test_of_few_that_tell_them_apart_there_is_no_interval() -> None:
    for alone in range(2 * LEAST):
        for b in range(alone + 1):
            found = difference(b, alone - b, 100)
            assert found.why == too_few(alone) and bool(found.why) == math.isnan(found.low) == (alone < LEAST)
            assert found.value == pytest.approx((alone - 2 * b) / 100)
    assert [too_few(n) for n in (0, 1, 4, 5)] == [
        "no picture tells them apart",
        "1 picture tells them apart, fewer than 5",
        "4 pictures tell them apart, fewer than 5",
        "",
    ]


def test_why_so_few_are_too_few() -> None:
    """How often equally good networks are not told apart, by how many pictures tell: only from five on as promised."""

    def held(alone: int) -> float:
        ends = [tango_of(b, alone - b, 1000, 1.959964) for b in range(alone + 1)]
        kept = [math.comb(alone, b) for b, (low, high) in enumerate(ends) if low <= 0 <= high]
        return sum(kept) / 2**alone

    assert [held(n) for n in (1, 2, 3, 4)] == [1, 1, 1, 0.875]
    assert all(0.92 < held(n) < 0.985 for n in range(LEAST, 60))


def test_ends_by_hand() -> None:
    z2 = 1.959963984540054**2
    assert tango_of(0, 0, 100, math.sqrt(z2)) == pytest.approx((-z2 / (100 + z2), z2 / (100 + z2)))
    assert mcnemar(0, 0) == 1
    none = difference(0, 0, 0)
    assert math.isnan(none.value) and math.isnan(none.low) and none.why == "no pictures"
    assert difference(0, 20, 20).high == 1 and difference(20, 0, 20).low == -1


@pytest.mark.parametrize(("b", "c"), [(0, 1), (3, 9), (10, 10), (120, 80), (5000, 5200)])
def test_the_exact_test_is_the_binomial_one(b: int, c: int) -> None:
    assert mcnemar(b, c) == pytest.approx(binomtest(b, b + c).pvalue, rel=1e-9)


@pytest.mark.parametrize("shares", [(0.05, 0.05), (0.02, 0.08), (0.2, 0.1)])
def test_the_interval_holds_the_truth_as_often_as_it_says(shares: tuple[float, float]) -> None:
    """Exactly: over every table that 60 pictures can give, each by its probability, and that shows an interval."""
    n, (p, q) = 60, shares
    held = shown = total = 0.0
    for b in range(n + 1):
        for c in range(n - b + 1):
            log = math.lgamma(n + 1) - math.lgamma(b + 1) - math.lgamma(c + 1) - math.lgamma(n - b - c + 1)
            chance = math.exp(log + b * math.log(p) + c * math.log(q) + (n - b - c) * math.log(1 - p - q))
            if chance > 1e-7:
                found = difference(b, c, n)
                total += chance
                shown += chance * (not found.why)
                held += chance * (found.low <= q - p <= found.high)
    assert total > 0.999 and 0.93 < held / shown < 0.97


def test_holm_by_its_definition() -> None:
    values = [0.01, 0.04, 0.03, 0.005, 0.2]
    for value, found in zip(values, holm(values), strict=True):
        # the largest, over all that are no larger, of so many as are no smaller times each
        expected = max(sum(v >= one for v in values) * one for one in values if one <= value)
        assert found == pytest.approx(min(1.0, expected))
    assert holm([]) == [] and holm([0.7]) == [0.7] and holm([0.9, 0.8]) == [1.0, 1.0]
    assert np.argsort(holm([0.3, 0.001, 0.02])).tolist() == [1, 2, 0]


def test_counts_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"C220\]: paired: 3 and 4 rows of 6; together they are more"):
        difference(3, 4, 6)
    with pytest.raises(ConfigError, match=r"C220\]: paired: -1 and 2 of 1; expected whole numbers"):
        mcnemar(-1, 2)
    with pytest.raises(ConfigError, match=r"C220\]: level is 2; expected"):
        difference(1, 1, 6, level=2)
