"""`dojang export` from the shell: what it says, and how it ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dojang
from dojang.cli.main import main
from dojang.export import export as exporting
from dojang.export.int8 import Cost
from dojang.runs.exported import Exported

HOSTILE = "=cmd()\x1b[31m<script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two classes, one of which would paint a terminal."""
    data = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(0)
    for label, level in ((HOSTILE, 0), ("light", 120)):
        for i in range(30):
            (data / label).mkdir(exist_ok=True)
            pixels = draw.integers(level, level + 100, (9 + i % 2, 12, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(data / label / f"{i}.png")
    known: dict[str, Any] = {"conv_dims": (3, 4), "hidden_dims": (6,), "epochs": 2, "batch": 10, "threads": 1}
    made = dojang.Model("mnist-cnn").train(data=str(data), project=str(tmp_path_factory.mktemp("runs")), **known)
    return made.path


def test_what_it_prints(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(run), "--int8", "--out", "net.onnx"]) == 0
    told = capsys.readouterr()
    out = told.out.splitlines()
    assert max(map(len, out)) <= 80 and "\x1b" not in told.out + told.err
    size = Path("net.onnx").stat().st_size
    assert out[:2] == ["file    net.onnx", f"format  onnx opset 20, {size / 1000:,.0f} kB"]
    assert out[2] == "takes   uint8 RGB pictures (batch, height, width, 3) of any size"
    assert out[3] == "gives   probabilities (batch, 2) float32; labels in its metadata"
    record = json.loads(Path("net.onnx.json").read_text("utf-8"))
    near, cost = record["parity"], record["int8"]
    text = " ".join(" ".join(out).split())
    counts = ", ".join(f"{n} {split}" for split, n in near["pictures"].items())
    assert (
        f"parity in float32, before 8 bits: all {near['n']} answers are the network's, on real pictures ({counts})"
        in text
    )
    assert f"largest probability difference {near['largest_probability_difference']:.1e} int8" in text
    assert "(there at 12 x 9)" in text or "(there at 12 x 10)" in text
    assert f"{cost['top1_before']['value']:.4f} before, {cost['top1_after']['value']:.4f} after" in text
    # class by class, names inert
    start = next(i for i, line in enumerate(out) if line.split()[:2] == ["class", "before"])
    rows = {line.split()[0]: line.split()[1:] for line in out[start + 1 : start + 3]}
    assert set(rows) == {r"=cmd()\x1b[31m<script>", "light"}
    for row in cost["per_class"]:
        shown = rows[row["label"].replace("\x1b", r"\x1b")]
        assert shown == [f"{row['accuracy_before']:.4f}", f"{row['accuracy_after']:.4f}", str(row["n"])]
    assert json.loads(Path("net.onnx.json").read_text("utf-8"))["labels"][0] == HOSTILE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net.onnx.json"]


def test_as_json(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run), "--format", "torch-export", "--out", str(tmp_path / "a.pt2"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("path") == str(tmp_path / "a.pt2")
    assert told == json.loads((tmp_path / "a.pt2.json").read_text("utf-8"))


def test_a_missing_library(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", str(run)]) == 2
    told = capsys.readouterr()
    assert told.out == "" and 'Fix: pip install "dojang[export]"' in told.err


def test_a_file_that_is_there(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pt2").write_bytes(b"mine")
    words = ["export", str(run), "--format", "torch-export", "--out", str(tmp_path / "a.pt2")]
    assert main(words) == 2
    assert "is there already; nothing is overwritten" in capsys.readouterr().err
    assert (tmp_path / "a.pt2").read_bytes() == b"mine"
    assert main([*words, "--exist-ok"]) == 0
    assert (tmp_path / "a.pt2").stat().st_size > 1000


def test_words_that_are_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path)]) == 2
    assert "C215" in capsys.readouterr().err
    assert main(["export"]) == 2
    assert main(["export", str(tmp_path), "--format", "onxn"]) == 2


def test_hundreds_of_classes_are_not_all_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The largest losses come first, long names are cut, and a class without pictures is left out."""
    labels = tuple(f"a class with quite a long name, number {i:03}" for i in range(300))
    n = np.full(300, 10)
    n[7] = 0
    after = np.where(n, 9, 0)
    after[299] = 2
    cost = Cost("val", labels, n, np.where(n, 9, 0), after, 7, 0, 2980, 0.7, 200, 0.002)
    near = {
        "n": 256, "pictures": {"val": 256}, "batches": [1, 7, 32], "largest_probability_difference": 1e-6, "ties": 2,
        "sizes": 256, "batched_at": [375, 500], "seconds_a_picture": 0.01, "at": [375, 500],
    }  # fmt: skip
    record = {
        "export": "onnx", "opset": 20, "parity": near, "int8": cost.as_dict(), "labels": labels, "threads": 2,
        "files": {"a.onnx": {"bytes": 45_000_000}},
    }  # fmt: skip
    monkeypatch.setattr(exporting, "export", lambda *words, **options: Exported(tmp_path / "a.onnx", record))
    assert main(["export", str(tmp_path)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert max(map(len, out[1:])) <= 80
    assert out[1] == "format  onnx opset 20, 45.0 MB"
    assert "2 ties aside (there at 500 x 375)" in " ".join(" ".join(out).split())
    rows = [line for line in out if line.startswith("        a class with")]
    assert len(rows) == 20 and rows[0].split()[-3:] == ["0.9000", "0.2000", "10"] and "..." in rows[0]
    assert out[-2] == "        and 279 more, in the record beside the file"
    assert out[-1] == "time    2.00 ms a picture (500 x 375, one by one, 2 threads)"
