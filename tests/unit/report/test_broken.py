"""Files of a run folder that are gone, or hold what dojang never wrote: said with a command that helps."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from dojang.cli.main import main
from dojang.errors import ConfigError
from dojang.report import page, story
from dojang.report.card import card

HURT = {
    "test: null": {"test": None},
    "value": {"test": {"n": 3, "top1": {"value": "0.9", "low": 0.1, "high": 0.2}}},
    "no value": {"test": {"n": 3, "top1": {}}},
    "n": {"test": {"n": "3", "top1": {"value": 0.9}}},
    "bins": {"test": {"n": 3, "top1": {"value": 0.9}, "calibration": {"ece": 0.1, "bins": [{}]}}},
    "weights": {"weights": "x"},
    "training": {"training": [1]},
    "step": {"training": {"weights": "best.safetensors", "step": None, "steps": "9"}},
    "calibration": {"calibration": {"temperature": "1"}},
    "runs": {"seeds": {"runs": ["x"]}},
    "values": {"seeds": {"runs": [{"name": "seed-0"}], "scores": {"top1": {"values": []}}}},
    "newer": {"format": 2},
}


@pytest.fixture
def folder(make_run) -> Path:
    return make_run(name="my run")


@pytest.mark.parametrize("name", HURT)
def test_a_value_of_another_type_is_named(name: str, folder: Path) -> None:
    path = folder / "metrics.json"
    path.write_text(json.dumps({"format": 1} | HURT[name]))
    with pytest.raises(ConfigError, match=r"C223.*metrics\.json") as caught:
        story.read(folder)
    if name != "newer":
        # the command can be pasted, and the page is made after it
        command = caught.value.fix.partition("or: ")[2]
        assert shlex.split(command)[:3] == ["mv", str(path), f"{path}.broken"] and shlex.quote(str(folder)) in command
        subprocess.run(command.partition(" && ")[0], shell=True, check=True)
        page.make(story.read(folder), threads=0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.csv", "step,epoch,train/loss\n1,x,y\n"),
        ("results.csv", "step,epoch,train/loss\n1,1,y\n"),
        ("results.csv", "step,epoch,train/loss\n1\n"),
        ("results.csv", "a\n1\n"),
        ("steps.csv", "step,lr,loss\n1,,2\n"),
        ("env.json", "[1]"),
        ("env.json", "{"),
    ],
)
def test_a_table_of_something_else_is_named(name: str, text: str, folder: Path) -> None:
    (folder / name).write_text(text)
    with pytest.raises(ConfigError, match=rf"C223.*{name}") as caught:
        page.make(story.read(folder), threads=0)
    command = caught.value.fix.partition("without it: ")[2]
    subprocess.run(command, shell=True, check=True)
    page.make(story.read(folder), threads=0)


def test_losses_that_are_not_finite_are_no_fault(folder: Path) -> None:
    (folder / "results.csv").write_text("step,epoch,train/loss,val/loss\n1,1,nan,inf\n2,2,nan,nan\n3,3,nan,nan\n")
    (folder / "steps.csv").write_text("step,epoch,progress,lr,loss\n1,1,1,0.1,nan\n")
    assert "<h1>" in page.make(story.read(folder), threads=0).html


@pytest.mark.parametrize("name", ["../x", "x", "fold-1/../../x", "fold-", "seed-1\n", "/tmp"])
def test_only_names_that_dojang_gives_are_followed(name: str, make_run) -> None:
    folder, _ = make_run(), make_run(name="x")
    make_run(name="train/x")
    found = {"runs": [{"name": name, "n": 4}], "scores": {}}
    (folder / "metrics.json").write_text(json.dumps({"format": 1, "folds": found}))
    assert story.read(folder).parts == []


def test_a_finished_run_without_scores_is_to_be_scored(folder: Path, capsys) -> None:
    (folder / "metrics.json").unlink()
    lines = (folder / "results.csv").read_text().splitlines()
    (folder / "results.csv").write_text("\n".join([*lines[:-1], lines[-1].replace("3,3,", "3,99,", 1)]) + "\n")
    made = page.make(story.read(folder), threads=0)
    command = f"dojang val {shlex.quote(str(folder))}"
    assert "dojang val" in made.html and command in made.notes[0] and "--resume" not in made.html
    # on the terminal, too
    assert main(["report", str(folder), "--threads", "0"]) == 0
    assert command in capsys.readouterr().out
    text = card(story.read(folder))
    assert "no scores yet" not in text and f"`{command}`" in text


def test_an_unfinished_run_says_its_command_on_the_terminal(folder: Path, capsys) -> None:
    for name in ("metrics.json", "predictions.csv", "results.csv"):
        (folder / name).unlink()
    assert main(["report", str(folder), "--threads", "0"]) == 0
    assert f"dojang train --resume {shlex.quote(str(folder))}" in capsys.readouterr().out


def test_a_page_without_answers_says_so(folder: Path) -> None:
    (folder / "predictions.csv").unlink()
    made = page.make(story.read(folder), threads=0)
    assert "predictions.csv" in made.notes[0] and f"dojang val {shlex.quote(str(folder))}" in made.notes[0]
