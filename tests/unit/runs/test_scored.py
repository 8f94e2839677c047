"""Scores in a console and in a notebook, of one run and of several put together; what is asked wrongly is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dojang.errors import ConfigError, DataError
from dojang.evaluate import files, kept
from dojang.evaluate.evaluate import Evaluation, confused
from dojang.files import write_text
from dojang.report.report import Report
from dojang.runs.api import Run
from dojang.runs.shown import Confusion

SCORE = {"value": 0.5, "low": None, "high": None, "why": "fewer than 20 pictures a class"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "args.yaml").write_text("format: 1\n")
    return tmp_path


def with_metrics(folder: Path, **metrics: Any) -> Run:
    (folder / "metrics.json").write_text(json.dumps({"format": 1} | metrics))
    return Run(folder)


def seeds() -> dict[str, Any]:
    score = {"values": [0.85, 0.8833, 0.8667], "mean": 0.8667, "sd": 0.0167, "low": 0.8253, "high": 0.9081}
    runs = [{"name": f"seed-{i}", "n": 180} for i in range(3)]
    scores = {"top1": score, "roc_auc": score}
    return {"split": "test", "runs": runs, "scores": scores, "others": {"val": {"top1": score}}}


@pytest.mark.parametrize("kind", ["seeds", "folds"])
def test_runs_put_together_show_their_mean(kind: str, folder: Path) -> None:
    run = with_metrics(folder, **{kind: seeds()}, weights={"chosen_by": "macro_f1", "chosen_on": "val"})
    for text, between in ((run._repr_html_(), "–"), (repr(run.scores), "to")):
        assert "no scores yet" not in text and "weights chosen by macro F1 on val" in text
        assert all(word in text for word in ("0.8667", "0.0167", f"0.8253 {between} 0.9081", "ROC-AUC", "val"))
    assert f"mean top-1 of 3 {kind} 0.8667; weights chosen by macro F1 on val" in repr(run)


def test_a_console_shows_a_table(folder: Path) -> None:
    top1 = {"value": 0.25, "low": 0.125, "high": 0.5}
    run = with_metrics(folder, test={"n": 1200, "top1": top1, "brier": SCORE, "calibration": {"bins": []}})
    assert repr(run.scores).splitlines() == [
        "test: 1,200 pictures; intervals of 95 %",
        "  top-1                0.2500   0.1250 to 0.5000",
        "  Brier score          0.5000   none: fewer than 20 pictures a class",
    ]
    assert "none: fewer than 20 pictures a class" in run._repr_html_()
    assert repr(with_metrics(folder).scores) == "no scores yet"


def test_weights_chosen_by_another_score_are_said_in_a_notebook(folder: Path) -> None:
    score = {"n": 3, "top1": {"value": 0.25, "low": 0.1, "high": 0.5}}
    run = with_metrics(folder, test=score, weights={"chosen_by": "log_loss", "chosen_on": "val"})
    assert "weights chosen by log loss on val" in run._repr_html_()
    run = with_metrics(folder, test=score, weights={"chosen_by": "top1", "chosen_on": "val"})
    assert "chosen by" not in run._repr_html_() and "chosen by" not in repr(run)


def test_runs_that_lead_elsewhere_are_not_followed(folder: Path) -> None:
    assert with_metrics(folder, seeds={"runs": [{"name": "../x"}, {"name": "/tmp"}]}).runs == []


def answered(folder: Path) -> Evaluation:
    """Answers that are equally sure, so that order is a matter of the rule."""
    draw = np.random.default_rng(3)
    labels = ("a", "b", "c", "d")
    true = draw.integers(0, 4, 40)
    probabilities = np.full((40, 4), 0.05, np.float32)
    said = draw.integers(0, 4, 40)
    probabilities[np.arange(40), said] = 0.7
    probabilities[np.arange(40), draw.permuted(np.tile(np.arange(4), (40, 1)), axis=1)[:, 0]] += 0.15
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    one = Evaluation("test", tuple(f"p{i}" for i in range(40)), true, probabilities, labels)
    write_text(folder / "predictions.csv", files.table([files.PREDICTIONS, *files.answers(one)]))
    rows = [[label, "test", "0", "0", "0", "0"] for label in labels]
    write_text(folder / "per_class.csv", files.table([files.PER_CLASS, *rows]))
    write_text(folder / "worst.csv", files.table([files.WORST, *files._worst(one)]))
    return one


def test_one_order_of_what_is_wrong(folder: Path) -> None:
    one = answered(folder)
    found = kept.read(folder)
    assert found is not None
    assert found.wrong().tolist() == one.worst.tolist()
    assert [row[0] for row in Run(folder).wrong(most=99)] == [one.paths[i] for i in one.worst]
    for (i, j), _ in np.ndenumerate(one.matrix):
        if i != j:
            inside = [row for row in one.worst if (one.true[row], one.predicted[row]) == (i, j)]
            assert found.cell(i, j).tolist() == inside
    # a list of older answers does no harm
    write_text(folder / "worst.csv", files.table([files.WORST, ["gone", "a", "b", "0.9", "0.1", "test"]]))
    assert sorted(kept.read(folder).wrong().tolist()) == sorted(one.worst.tolist())


def test_one_order_of_what_is_confused(folder: Path) -> None:
    one = answered(folder)
    told = [(one.labels[t], one.labels[p], n) for t, p, n, _ in confused(one.matrix)]
    assert Confusion(one.matrix, one.labels, "test").pairs() == told
    found = kept.read(folder).confused()
    assert [(one.labels[t], one.labels[p], n) for t, p, n in found[: len(told)]] == told and len(found) > len(told)


def test_what_there_is_none_of_is_refused(folder: Path) -> None:
    answered(folder)
    with pytest.raises(DataError, match=r"D121.*no answers to 'tset' pictures; it has those to test\. Did you mean"):
        Run(folder).confusion("tset")
    with pytest.raises(DataError, match="D121"):
        Run(folder).wrong("val")
    with pytest.raises(ConfigError, match=r"C202.*most=-1"):
        Run(folder).wrong(most=-1)
    assert len(Run(folder).wrong(most=0)) == 0
    with pytest.raises(ConfigError, match=r"C202.*'kr'"):
        Report(folder, lang="kr")


def test_a_value_of_another_type_is_named_in_a_notebook(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"C223.*metrics\.json"):
        with_metrics(folder, test=None)._repr_html_()
