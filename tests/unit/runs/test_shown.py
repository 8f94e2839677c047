"""What a notebook shows of a run: the right numbers, and no name that does anything."""

from __future__ import annotations

import numpy as np
import pytest

from dojang.evaluate import files
from dojang.evaluate.evaluate import Evaluation
from dojang.files import write_text
from dojang.predict.answer import Answer
from dojang.runs import shown
from dojang.runs.api import Answers, Run

LABELS = ("<script>alert(1)</script>", "b\x1b[1m")


@pytest.fixture
def folder(tmp_path):
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]], np.float32)
    one = Evaluation("test", ("<i>.png", "b", "c"), np.array([0, 0, 1]), probabilities, LABELS)
    write_text(tmp_path / "predictions.csv", files.table([files.PREDICTIONS, *files.answers(one)]))
    rows = [[label, "test", "0", "0", "0", "0"] for label in LABELS]
    write_text(tmp_path / "per_class.csv", files.table([files.PER_CLASS, *rows]))
    score = '{"value": 0.25, "low": 0.125, "high": 0.5, "n": 3}'
    (tmp_path / "metrics.json").write_text(f'{{"format": 1, "test": {{"n": 3, "top1": {score}}}}}')
    (tmp_path / "args.yaml").write_text("format: 1\n")
    return tmp_path


def inert(html: str) -> str:
    assert "<script" not in html and "<i>" not in html and "\x1b" not in html
    return html


def test_a_run(folder) -> None:
    run = Run(folder)
    html = inert(run._repr_html_())
    assert "0.2500" in html and "0.1250 – 0.5000" in html and str(folder) in html
    assert run.scores["test"]["n"] == 3 and list(run.scores) == ["format", "test"] and len(run.scores) == 2


def test_a_run_without_scores(folder) -> None:
    (folder / "metrics.json").unlink()
    assert "no scores yet" in Run(folder)._repr_html_()


def test_a_matrix(folder) -> None:
    found = Run(folder).confusion()
    assert found.matrix.tolist() == [[1, 1], [1, 0]] and repr(found) == "Confusion('test', 2 classes, 3 pictures)"
    html = inert(found._repr_html_())
    assert html.count("<td") == 4 and "&lt;script&gt;" in html and "b\\x1b[1m" in html
    assert {pair[2] for pair in found.pairs()} == {1} and len(found.pairs()) == 2


def test_a_large_matrix_is_told_by_its_confusions() -> None:
    n = 40
    matrix = np.eye(n, dtype=np.int64)
    matrix[3, 5] = 7
    html = shown.Confusion(matrix, tuple(f"k{i}" for i in range(n)), "val")._repr_html_()
    assert html.count("<tr>") == 2 and "k3" in html and ">7<" in html


def test_wrong_pictures(folder) -> None:
    found = Run(folder).wrong(most=1)
    assert (len(found), found.total, repr(found)) == (1, 2, "Wrong(1 of 2 wrong answers)")
    path, true, predicted, probability = found[0]
    assert (path, true, predicted) == ("b", LABELS[0], LABELS[1]) and probability == pytest.approx(0.7)
    # this run has no data: words alone are shown
    html = inert(found._repr_html_())
    assert "<img" not in html and "(0.70), is &lt;script&gt;" in html


def test_no_answers(folder) -> None:
    (folder / "predictions.csv").unlink()
    assert Run(folder).confusion() is None and Run(folder).wrong() is None


def test_answers() -> None:
    several = Answers([Answer("<i>", LABELS[0], (0.75, 0.25), LABELS)] * 60)
    html = inert(several._repr_html_())
    assert "0.750" in html and "and 10 more" in html
