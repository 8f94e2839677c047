"""The range test's arithmetic: its average, its rules on curves whose answers are known, noise that is no fall."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dojang.train import range_test
from dojang.train.range_test import Curve, Smooth, falls, lowest, rates, steepest, suggestions, tenth, third
from dojang.train.schedules import RISING, rate


def curve_of(losses: np.ndarray, low: float = 1e-6, high: float = 10.0, window: float = 10.0) -> Curve:
    smooth = Smooth(window)
    return Curve(rates(low, high, len(losses)), losses, np.array([smooth(one) for one in losses]), window, "steps")


def fall(at: float, width: float, up: float, noise: float, seed: int = 0, steps: int = 400) -> Curve:
    """From 2.3 to 0.3 around a rate, and up again from another."""
    u = np.log10(rates(1e-6, 10.0, steps))
    losses = 0.3 + 2 / (1 + np.exp((u - math.log10(at)) / width)) + np.exp(4 * (u - math.log10(up)))
    return curve_of(losses + noise * np.random.default_rng(seed).standard_normal(steps), window=2.0)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30), st.floats(1, 20))
def test_the_average_is_the_weighted_mean(values: list[float], window: float) -> None:
    smooth = Smooth(window)
    found = [smooth(value) for value in values]
    keeps = 1 - 1 / window
    weights = [keeps ** (len(values) - 1 - i) for i in range(len(values))]
    expected = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    assert found[-1] == pytest.approx(expected, abs=1e-9)
    # of one value it is that value: the start is not drawn towards 0
    assert found[0] == pytest.approx(values[0], abs=1e-12)


def test_its_average_is_that_of_adam() -> None:
    # m / (1 - beta^t), Kingma and Ba's corrected moment
    smooth, mean = Smooth(10), 0.0
    for step, value in enumerate((2.3, 2.2, 2.4, 1.0), 1):
        mean = 0.9 * mean + 0.1 * value
        assert smooth(value) == pytest.approx(mean / (1 - 0.9**step))


def test_the_rising_schedule_goes_up_in_equal_ratios() -> None:
    found = [rate(RISING, p / 4, final=1e-4) for p in range(5)]
    assert found == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0], rel=1e-12)
    # warming up is no part of it
    assert rate(RISING, 0.25, warmup=0.5, final=1e-4) == pytest.approx(1e-3)
    assert rate(RISING, -1, final=0.1) == pytest.approx(0.1) and rate(RISING, 2, final=0.1) == 1


@pytest.mark.parametrize("at", [1e-3, 1e-2, 3e-2])
def test_rules_find_a_fall_that_is_known(at: float) -> None:
    found = fall(at, 0.2, 100 * at, 0.0)
    # a step is 2 % of a power of ten, and the average of two steps lags behind by one
    assert math.log10((steepest(found) or 0) / at) == pytest.approx(0, abs=0.05)
    lowest_by_hand = found.rates[10 + np.argmin(found.smoothed[10:])]
    assert tenth(found) == pytest.approx(lowest_by_hand / 10, rel=1e-12)
    assert third(found) == pytest.approx(lowest_by_hand / 3, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_some_noise_moves_them_little(seed: int) -> None:
    u = np.log10(rates(1e-6, 10.0, 200))
    losses = 0.3 + 2 / (1 + np.exp((u + 2) / 0.2)) + np.exp(6 * (u - 0.5))
    found = curve_of(losses + 0.1 * np.random.default_rng(seed).standard_normal(200))
    # ten steps of the average are a third of a power of ten
    assert abs(math.log10((steepest(found) or 0) / 1e-2)) < 0.5


def test_what_comes_behind_the_lowest_loss_is_not_looked_at() -> None:
    # the steepest fall of all is back from a hill
    losses = np.concatenate([np.full(50, 2.3), np.linspace(2.3, 0.5, 100), [40.0, 30.0, 1.0, 0.9, 0.8]])
    found = curve_of(losses, window=1.0)
    assert lowest(found) == 149
    assert found.rates[50] <= (steepest(found) or 0) <= found.rates[149]


def test_noise_alone_is_no_fall() -> None:
    draws = np.random.default_rng(0)
    said = [falls(curve_of(2.3 + 0.05 * draws.standard_normal(200))) for _ in range(1000)]
    assert sum(said) <= 2
    rising = curve_of(2.3 + np.linspace(0, 5, 200) + 0.05 * draws.standard_normal(200))
    assert [one.rate for one in suggestions(rising)] == [None] * 3
    # a fall of a tenth, which such noise does not make, is one
    assert falls(curve_of(2.3 - 0.23 / (1 + np.exp(-np.linspace(-20, 5, 200))) + 0.05 * draws.standard_normal(200)))


def test_a_curve_of_too_few_steps_says_nothing() -> None:
    for steps in (1, 2, range_test.FEWEST + 1):
        assert [one.rate for one in suggestions(curve_of(np.linspace(2, 1, steps)))] == [None] * 3


def test_the_rules_have_names_and_an_order() -> None:
    found = suggestions(fall(1e-2, 0.2, 1.0, 0.01))
    assert [one.rule for one in found] == ["lowest / 3", "lowest / 10", "steepest"]
    assert all(one.rate and one.about for one in found)
