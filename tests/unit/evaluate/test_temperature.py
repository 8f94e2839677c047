"""The temperature: where the log loss is least, by scipy and by its derivative; when it stays 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from dojang.evaluate import temperature
from dojang.evaluate.temperature import HIGH, LOW, Temperature, fit


def drawn(n: int = 600, classes: int = 5, by: float = 2.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn by the softmax of scores, and the scores times ``by``: too sure by that much."""
    draw = np.random.default_rng(seed)
    scores = draw.normal(size=(n, classes)) * 2
    true = (scores + draw.gumbel(size=scores.shape)).argmax(axis=1)
    return true, (by * scores).astype(np.float32)


def loss(true: np.ndarray, scores: np.ndarray, value: float) -> float:
    """By its definition, a row at a time."""
    total = 0.0
    for label, row in zip(true, scores.astype(np.float64) / value, strict=True):
        total += math.log(sum(math.exp(one - row.max()) for one in row)) - (row[label] - row.max())
    return total / len(true)


@pytest.mark.parametrize("by", [0.2, 1.0, 2.5, 9.0])
def test_no_other_temperature_has_a_smaller_loss(by: float) -> None:
    true, scores = drawn(by=by)
    found = fit(true, scores)
    rows = np.arange(len(true))
    least = minimize_scalar(
        lambda log: -log_softmax(scores.astype(float) / math.exp(log), axis=1)[rows, true].mean(),
        bounds=(math.log(LOW), math.log(HIGH)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert found.value == pytest.approx(math.exp(least.x), rel=1e-5)
    assert found.log_loss is not None and found.log_loss[1] == pytest.approx(least.fun, abs=1e-12)
    for value in (0.99 * found.value, 1.01 * found.value):
        assert loss(true, scores, value) > found.log_loss[1]


def test_losses_are_scikit_learns() -> None:
    true, scores = drawn()
    found = fit(true, scores)
    assert found.log_loss is not None
    for value, said in zip((1.0, found.value), found.log_loss, strict=True):
        shares = np.exp(log_softmax(scores.astype(float) / value, axis=1))
        assert said == pytest.approx(log_loss(true, shares, labels=range(5)), abs=1e-9)
        assert said == pytest.approx(loss(true, scores, value), abs=1e-12)


def test_it_scales_with_the_scores_and_does_not_see_what_is_added_to_a_row() -> None:
    true, scores = drawn()
    value = fit(true, scores).value
    assert fit(true, 2 * scores).value == pytest.approx(2 * value, rel=2e-6)
    moved = scores + np.random.default_rng(1).normal(size=(len(true), 1)) * 100
    assert fit(true, moved).value == pytest.approx(value, rel=1e-4)
    # drawn by a softmax at 2.5
    assert value == pytest.approx(2.5, rel=0.15)


def test_rows_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    true, scores = drawn()
    whole = fit(true, scores)
    monkeypatch.setattr(temperature, "_MOST", 35)
    assert fit(true, scores).value == whole.value


def test_it_is_bounded() -> None:
    true, scores = drawn(by=1)
    assert fit(true, scores * 1e-4).value == LOW
    assert fit(true, scores * 1e4).value == HIGH
    # worse than guessing: no temperature is high enough
    assert fit((scores.argmax(axis=1) + 1) % 5, scores).value == HIGH


def test_when_it_stays_one() -> None:
    true, scores = drawn(200)
    right = scores.argmax(axis=1)
    few = right.copy()
    few[:4] = (few[:4] + 1) % 5
    nan = scores.copy()
    nan[3, 2] = np.nan
    for given, why in (
        (fit(true[:0], scores[:0]), "no validation part"),
        (fit(true[:49], scores[:49]), "49 validation pictures, fewer than 50"),
        (fit(right, scores), "0 wrong answers to 200 validation pictures, fewer than 5"),
        (fit(few, scores), "4 wrong answers to 200 validation pictures, fewer than 5"),
        (fit(true, nan), "scores that are not finite"),
    ):
        assert given.value == 1 and given.why == why
        assert str(given) == f"calibration: temperature 1: {why}"
        assert given.as_dict() == {"method": "none", "temperature": 1.0, "why": why}
    few[4] = (few[4] + 1) % 5
    assert not fit(few, scores).why


def test_what_is_said() -> None:
    found = Temperature(1.5, 500, (0.4, 0.3), (0.09, 0.02))
    assert str(found) == (
        "calibration: temperature 1.5, by 500 validation pictures; log loss 0.4000 -> 0.3000, "
        "calibration error 0.0900 -> 0.0200"
    )
    val = {"log_loss": {"before": 0.4, "after": 0.3}, "calibration_error": {"before": 0.09, "after": 0.02}}
    assert found.as_dict() == {"method": "temperature", "temperature": 1.5, "n": 500, "val": val}


def test_scores_that_say_nothing_name_no_temperature() -> None:
    true = np.arange(90) % 3
    found = fit(true, np.full((90, 3), 0.25))
    assert found.value == 1.0 and found.why == "the same score for every class"


def test_a_bound_is_named() -> None:
    # sure of another class each time: the best is to say nothing
    true = np.arange(90) % 3
    scores = np.eye(3)[(true + 1) % 3] * 9
    found = fit(true, scores)
    assert found.value == HIGH and "temperature 20, the highest that is looked for, by 90" in str(found)
