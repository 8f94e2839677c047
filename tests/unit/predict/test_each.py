"""A picture that cannot be read costs its own answer and no other; why an answer is unknown."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dojang.cli import predict as verb
from dojang.cli.main import main
from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError, DataError
from dojang.models import build, weights
from dojang.predict import each
from dojang.predict.answer import Answer
from dojang.predict.each import Bad, answers, why_unknown
from dojang.predict.predictor import Predictor

PLAIN = Preprocess("L", 4, 4, mean=(0.3,), std=(0.2,))
LABELS = ("ant", "bee", "cow")


class Level(nn.Module):
    """Scores by how bright a picture is."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        level = images.mean((1, 2, 3))
        return torch.stack([level, -level, 0 * level], 1)


def png(level: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (4, 4), level).save(out, "PNG")
    return out.getvalue()


def read(name: str) -> bytes:
    if name.startswith("gone"):
        raise DataError("D112", f"cannot read {name!r}.")
    return b"<html>" if name.startswith("bad") else png(int(name))


def told(names: list[str]) -> list[str]:
    found = answers(Predictor(Level(), LABELS, PLAIN), names, read)
    return [f"{one.source} {one.error.code if isinstance(one, Bad) else one.label}" for one in found]


@pytest.mark.parametrize("batch", [2, 3, 64])
def test_the_others_are_answered_in_order(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(each, "_BATCH", batch)
    good = [str(level) for level in range(0, 250, 9)]
    plainly = told(good)
    assert len(plainly) == len(good) and {line.split()[1] for line in plainly} == {"ant", "bee"}
    for at in (0, 1, 5, 11, 27, 28):
        for some in (["bad"], ["gone"], ["bad1", "gone1", "bad2"]):
            found = told([*good[:at], *some, *good[at:]])
            assert found[:at] + found[at + len(some) :] == plainly
            codes = ["D112" if name.startswith("gone") else "D103" for name in some]
            assert found[at : at + len(some)] == [f"{n} {c}" for n, c in zip(some, codes, strict=True)]
    assert told(["bad"] * 40) == ["bad D103"] * 40 and told([]) == []


def test_what_is_wrong_with_the_question_is_raised() -> None:
    with pytest.raises(ConfigError, match="C202"):
        list(answers(Predictor(Level(), LABELS, PLAIN), ["1"], read, unknown_below=2.0))


def answer(probability: float, familiarity: float | None, unknown: bool = True) -> Answer:
    return Answer("x", "ant", (probability, 1 - probability), LABELS[:2], unknown, familiarity)


def test_why_an_answer_is_unknown() -> None:
    assert why_unknown(answer(0.6, None, unknown=False), 0.5) == ""
    assert why_unknown(answer(0.6, None), 0.7) == "unsure"
    assert why_unknown(answer(0.6, 0.01), None) == "far from all classes"
    assert why_unknown(answer(0.6, 0.01), 0.7) == "unsure and far from all classes"


def test_a_line_a_picture_and_on_a_narrow_terminal_a_line_a_label(monkeypatch: pytest.MonkeyPatch) -> None:
    long = Answer("a\nb.png", "x" * 60, (0.6, 0.4), ("x" * 60, "bee"), unknown=True)
    whole = f"a\\nb.png: unknown, unsure  ({'x' * 60} 0.6000  bee 0.4000)"
    assert verb._lines(long, "unsure", 2) == [whole]
    monkeypatch.setattr(verb.sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert verb._lines(long, "unsure", 2) == ["a\\nb.png: unknown, unsure", f"  {'x' * 60} 0.6000", "  bee 0.4000"]
    assert verb._lines(long, "", 1) == [f"a\\nb.png: {'x' * 60} 0.6000"]


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = build.build("cnn", in_channels=1, classes=3, image_size=(4, 4), seed=0, options={"conv_dims": (3,)})
    card = weights.Card(architecture=build.architecture(model), labels=LABELS, preprocess=PLAIN.as_dict())
    (tmp_path / "w.safetensors").write_bytes(weights.dump(model.state_dict(), card))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in "abc":
        Image.fromarray(np.full((4, 4), 40, np.uint8)).save(folder / f"{name}.png")
    (folder / "b.png").write_text("<html>")
    words = ["predict", str(tmp_path / "w.safetensors"), str(folder)]
    assert main([*words, "--unknown-below", "1"]) == 3
    out, err = capsys.readouterr()
    assert [line.split(": ")[0] for line in out.splitlines()] == [str(folder / "a.png"), str(folder / "c.png")]
    assert all(": unknown, unsure  (" in line for line in out.splitlines())
    assert f"DataError[D103]: {str(folder / 'b.png')!r}" in err and "--bad" not in err
    assert err.endswith("1 of 3 pictures without an answer.\n  Fix: replace what cannot be read, or leave it out.\n")
    assert main([*words, "--json"]) == 3
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["source"] for one in found] == [str(folder / f"{name}.png") for name in "abc"]
    assert (found[1]["code"], found[1]["exit_code"]) == ("D103", 3) and "--bad" not in found[1]["fix"]
    (folder / "b.png").unlink()
    assert main(words) == 0
