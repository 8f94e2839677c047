"""The example notebooks hold no output, and run from top to bottom; what their cells show, they can show."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import dojang

BOOKS = sorted((Path(__file__).parents[2] / "examples" / "notebooks").glob("*.ipynb"))


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def show(value: Any) -> str:
    """What a notebook would show of the value of a cell: its HTML, else its repr."""
    return value._repr_html_() if hasattr(value, "_repr_html_") else repr(value)


def run_cell(source: str, names: dict[str, Any]) -> str:
    """Run a cell as a notebook does: its last expression is what it shows."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    if last is None:
        return ""
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return "" if value is None else show(value)


def test_there_are_three() -> None:
    assert len(BOOKS) == 3


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = json.loads(path.read_text("utf-8"))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    monkeypatch.chdir(tmp_path)
    train = dojang.Model.train

    def short(self: dojang.Model, data: Any, **options: Any) -> dojang.Run:
        return train(self, data, **options | {"epochs": 1, "threads": 1})

    monkeypatch.setattr(dojang.Model, "train", short)
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            shown.append(run_cell("".join(cell["source"]), names))
    page = "\n".join(shown)
    # each of them ends in scores, a matrix and pictures
    assert "95 % interval" in page and "rows are the true classes" in page and "data:image/png;base64," in page
    assert names["run"].metrics["test"]["n"] > 0


def test_a_cell_shows_its_last_expression() -> None:
    names: dict[str, Any] = {}
    assert run_cell("x = 2\nx + 1", names) == "3"
    assert run_cell("y = x", names) == ""
    assert names["y"] == 2
