"""All scores together: which are shown, and that the intervals hold what they promise."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang.errors import ConfigError
from dojang.metrics import scores
from dojang.metrics.scores import brier
from dojang.metrics.summary import summary

RESULTS = Path(__file__).resolve().parents[3] / "benchmarks" / "results" / "coverage.json"
CLOSE = {"rel": 1e-12, "abs": 1e-12}


def answers(n: int, c: int, seed: int = 0, skill: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    true = draws.integers(0, c, n)
    logits = draws.normal(size=(n, c))
    logits[np.arange(n), true] += skill
    return true, scores.softmax(logits)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 999))
def test_brier_is_its_definition_and_scikit_learns(n, c, seed):
    true, table = answers(n, c, seed)
    loops = sum((p - (k == t)) ** 2 for t, row in zip(true, table, strict=True) for k, p in enumerate(row)) / n
    assert brier(true, table) == pytest.approx(loops, **CLOSE)
    expected = sklearn.metrics.brier_score_loss(true, table, labels=range(c), scale_by_half=False)
    assert brier(true, table) == pytest.approx(expected, **CLOSE)
    assert brier(true, np.full((n, c), 1 / c)) == pytest.approx((c - 1) / c, **CLOSE)


def test_brier_refuses_logits():
    with pytest.raises(
        ConfigError, match=r"brier: row 1 of probabilities, shape \(2, 2\), sums to 3 (.|\n)*Fix: brier\("
    ):
        brier([0, 1], [[0.5, 0.5], [1.0, 2.0]])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 80), st.sampled_from([2, 3, 11]), st.integers(0, 999))
def test_each_value_is_that_of_its_own_function(n, c, seed):
    true, table = answers(n, c, seed)
    found = summary(true, table).scores
    assert found["top1"].value == pytest.approx(np.mean(table.argmax(axis=1) == true), **CLOSE)
    assert found["log_loss"].value == pytest.approx(scores.log_loss(true, table), **CLOSE)
    assert found["brier"].value == pytest.approx(brier(true, table), **CLOSE)
    # of ten classes and fewer, five guesses are half the answer
    assert ("top5" in found) == (c > 10)
    if c > 10:
        assert found["top5"].value == pytest.approx(scores.top_k_accuracy(true, table, 5), **CLOSE)
    for score in found.values():
        assert bool(score.why) == np.isnan(score.low) == np.isnan(score.high)
        if not score.why:
            assert score.low <= score.value <= score.high


def test_no_pictures_have_no_scores():
    found = summary([], np.zeros((0, 12)))
    told = {name: score.as_dict() for name, score in found.scores.items()}
    assert {value["value"] for value in told.values()} == {None}
    json.dumps([told, found.calibration.as_dict()], allow_nan=False)


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "brier"])
def test_intervals_hold_the_truth(name, repeated):
    # 150 test sets: noise .018; the measurement is benchmarks/coverage.py, this one sees that nothing is broken
    truth, found = repeated
    inside = [score[name].low <= truth[name] <= score[name].high for score in found if not score[name].why]
    assert len(inside) > 140
    assert np.mean(inside) == pytest.approx(0.95, abs=0.045)


@pytest.fixture(scope="module")
def repeated():
    true, table = answers(60_000, 5, skill=1.5)
    truth = {name: score.value for name, score in summary(true, table).scores.items()}
    draws = np.random.default_rng(7)
    found = []
    for _ in range(150):
        rows = draws.integers(0, len(true), 300)
        found.append(summary(true[rows], table[rows]).scores)
    return truth, found


def test_the_published_coverage_is_within_its_band():
    """What docs/scores.md says of the intervals, read from the measurement."""
    rows = json.loads(RESULTS.read_text())["results"]
    redrawn = [row for row in rows if row["design"] == "redrawn"]
    assert {row["n"] for row in redrawn} == {100, 1_000, 10_000}
    assert {row["test_sets"] for row in redrawn} == {2_000}
    shown = [row for row in redrawn if row["shown"] > 0.01]
    assert {row["score"] for row in shown} >= {
        *("top1", "top5", "balanced_accuracy", "macro_f1", "roc_auc", "average_precision", "log_loss", "brier"),
        *("precision of a class", "recall of a class", "f1 of a class", "accuracy of a reliability bin"),
    }
    assert [row for row in shown if not 0.93 <= row["coverage"] <= 0.97] == []


def test_the_tables_of_the_page_are_those_of_the_measurement():
    benchmark = runpy.run_path(str(RESULTS.parents[1] / "coverage.py"))
    page = (RESULTS.parents[2] / "docs" / "scores.md").read_text("utf-8")
    result = json.loads(RESULTS.read_text())
    for part in ("results", "tried"):
        table = benchmark["markdown"](result, part)
        assert len(table.splitlines()) > 6 and table in page
