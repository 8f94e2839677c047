"""What examples/ and the README show runs as it stands."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import dojang

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_three_file_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """data, model, main, as the teaching material has them; a copy, so that nothing is left in examples/."""
    shutil.copytree(ROOT / "examples/three_files", tmp_path / "three", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path / "three")
    monkeypatch.syspath_prepend(tmp_path / "three")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    # names as plain as these must not be somebody else's, before or after
    for name in ("data", "model"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    try:
        run = runpy.run_path("main.py")["main"](project=str(tmp_path / "runs"), epochs=3)
    finally:
        for name in ("data", "model"):
            sys.modules.pop(name, None)
    assert isinstance(run, dojang.Run)
    assert run.metrics["test"]["n"] == 180
    # three epochs are enough to be far from chance, wherever the network of its own began
    assert run.metrics["test"]["top1"]["low"] > 0.5
    out = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"test top-1 0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", out[0])
    assert re.fullmatch(r"array 0: \d \([01]\.\d{3}\)", out[1])
    assert sorted(path.name for path in (tmp_path / "three").iterdir()) == ["data.py", "main.py", "model.py"]


def blocks() -> list[Any]:
    """Python in the README that begins with ``import dojang``."""
    text = README.read_text("utf-8") if README.exists() else ""
    found = re.findall(r"^```python\n(import dojang\n.*?)^```", text, re.DOTALL | re.MULTILINE)
    return found or [
        pytest.param("", marks=pytest.mark.skip(reason="the README has no Python that imports dojang yet"))
    ]


@pytest.mark.parametrize("code", blocks())
def test_the_readme(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train = dojang.Model.train

    def short(self: dojang.Model, data: Any, **options: Any) -> dojang.Run:
        return train(self, data, **options | {"epochs": 1, "threads": 1})

    monkeypatch.setattr(dojang.Model, "train", short)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
