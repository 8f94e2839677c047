"""`dojang conv`: calculators, demonstrations and filters from the shell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dojang.cli.main import main
from dojang.convolution.demonstrations import DEMONSTRATIONS, Graph
from dojang.convolution.pictures import draw


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["conv", *words]) == 0
    return capsys.readouterr().out


def test_what_a_layer_costs(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--input", "32x32x3", "--filters", "64", "--kernel", "5"]
    text = said(words, capsys)
    assert "= 4,800 weights + 64 biases = 4,864" in text and "32,113 times as many" in text
    found = json.loads(said([*words, "--json"], capsys))
    assert found == {
        "output": [64, 28, 28],
        "weights": 4800,
        "biases": 64,
        "mult_adds": 3_763_200,
        "dense_weights": 154_140_672,
    }
    assert json.loads(said([*words, "--json", "--no-bias"], capsys))["biases"] == 0
    series = ["--input", "100x1", "--filters", "2", "--kernel", "3", "--padding", "same", "--stride", "2", "--json"]
    assert json.loads(said(series, capsys))["output"] == [2, 50]


def test_comparisons(capsys: pytest.CaptureFixture[str]) -> None:
    assert "18 / 25 = 0.72" in said(["--stacked", "3x2"], capsys)
    assert "8.5 times fewer" in said(["--bottleneck", "256x64"], capsys)
    assert said(["--windows", "3x1,2x2,3x1"], capsys).splitlines()[-1] == "4 + (3 - 1) x 2 = 8, stride 2"
    assert json.loads(said(["--windows", "3x1,2x2,3x1", "--json"], capsys))["result"] == 8


def test_columns_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert "output: the row in the form of the places, 2 x 2" in said(["--show", "columns", "--stride", "2"], capsys)
    assert "padded" not in said(["--show", "columns", "--padding", "valid"], capsys)


@pytest.mark.parametrize("name", list(DEMONSTRATIONS))
def test_demonstrations(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(["--show", name], capsys)
    shown = DEMONSTRATIONS[name]()
    assert text.strip() == str(shown).strip()
    assert max(map(len, text.splitlines())) <= 80
    assert shown._repr_html_().startswith("<")
    found = json.loads(said(["--show", name, "--json"], capsys))
    if isinstance(shown, Graph):
        assert found["lines"] == text.splitlines()
    else:
        assert [(one["title"], one["array"]) for one in found["steps"]] == [(s.title, s.array.tolist()) for s in shown]
    if not isinstance(shown, Graph):
        drawn = draw(shown)
        numbers = sum(step.array.size for step in shown)
        assert drawn.count("<rect") == numbers + 1


def test_a_picture_behind_every_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    levels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(levels).save("noise.png")
    assert "drawn  noise-filters.png" in said(["--picture", "noise.png"], capsys)
    with Image.open("noise-filters.png") as sheet:
        # small pictures are shown larger, so that names have room
        assert sheet.size == (4 * 130 + 10, 2 * 108 + 10)
        # the first is the picture itself
        assert np.array_equal(np.asarray(sheet)[26:106:2, 10:130:2], levels)
    assert main(["conv", "--picture", "noise.png"]) == 2
    assert "is there already" in capsys.readouterr().err
    found = said(["--picture", "noise.png", "--out", "other.png", "--json"], capsys)
    assert json.loads(found) == {"drawn": "other.png"} and Path("other.png").exists()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], "C200", "conv needs one question"),
        (["--show", "modes", "--stacked", "3x2"], "C200", "conv needs one question"),
        (["--show", "mode"], "C203", "Did you mean 'modes'?"),
        (["--input", "32"], "C202", "--input cannot be '32'"),
        (["--input", "32x32x0"], "C202", "--input cannot be"),
        (["--input", "4x4x3", "--kernel", "5"], "C251", "5 x 5"),
        (["--input", "4x4x3", "--padding", "sam"], "C252", "there is no padding 'sam'"),
        (["--input", "4x4x3", "--groups", "2"], "C251", "2 groups"),
        (["--input", "4x4x3", "--padding", "-1"], "C202", "--padding cannot be -1"),
        (["--input", "4x4x3", "--padding", "9" * 5000], "C202", "--padding cannot be 9"),
        (["--show", "columns", "--padding", "99999999"], "C202", "a number from 0 to 3"),
        (["--input", "4x4x3", "--filters", "9" * 320], "C200", "--filters"),
        (["--windows", "1\u0663x2"], "C202", "--windows cannot be"),
        (["--picture", "columns", "--stride", "2"], "C200", "--stride has no meaning with --picture"),
        (["--picture", "a.png", "--out", "a.jpg"], "C202", "does not end so"),
        (["--bottleneck", "256"], "C202", "--bottleneck cannot be '256'"),
        (["--bottleneck", "256x64", "--kernel", "5"], "C200", "--kernel has no meaning with --bottleneck"),
        (["--show", "modes", "--stride", "2"], "C200", "--stride has no meaning with --show"),
        (["--input", "4x4x3", "--out", "a.png"], "C200", "--out has no meaning with --input"),
        (["--show", "graph", "--no-bias"], "C200", "--bias has no meaning with --show"),
    ],
)
def test_mistakes(words: list[str], code: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conv", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"ConfigError[{code}]: ") and text in err
