"""Which folders can be compared: those of runs and of scores on other data; refusals name a way that works."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dojang
from dojang.cli.main import main

TINY = ["model=mnist-cnn", "conv_dims=3,4", "hidden_dims=6", "epochs=1", "batch_size=12", "lr=0.01"]
TINY += ["threads=1", "workers=0", "--no-check"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw(place: Path, seed: int, each: int = 12) -> Path:
    numbers = np.random.default_rng(seed)
    for name in ("ant", "bee"):
        (place / name).mkdir(parents=True)
        for i in range(each):
            Image.fromarray(numbers.integers(0, 256, (10, 10), np.uint8)).save(place / name / f"{i}.png")
    return place


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one division, ``a`` and ``b``, and a cross-validation, beside their ``data``."""
    place = tmp_path_factory.mktemp("made")
    data = str(draw(place / "data", 0))
    for name, more in (("a", []), ("b", ["seed=0", "hidden_dims=5"]), ("folds", ["--folds", "2"])):
        assert main(["train", data, *TINY, *more, f"project={place}", f"name={name}"]) == 0
    return place


def test_two_networks_on_the_same_other_pictures(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    other = str(draw(tmp_path / "other", 1))
    for run in ("a", "b/weights/best.safetensors"):
        assert main(["val", str(made / run), other]) == 0
    capsys.readouterr()
    both = ["runs/classify/val", "runs/classify/val2"]
    header = (tmp_path / both[0] / "splits.csv").read_text().splitlines()
    assert len(header) == 25 and all(len(line.rpartition(",")[2]) == 64 for line in header[1:])
    assert main(["compare", *both, "--html", "page.html", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["split"] == "test" and found["n"] == 24
    assert all(one["milliseconds"] > 0 and one["bytes"] > 0 and one["learned"] == 0 for one in found["runs"])
    (pair,) = found["comparisons"]
    only = len(pair["first_only_right"]) + len(pair["second_only_right"])
    assert (tmp_path / "page.html").read_text().count("<img ") == only
    # weights that are gone leave no time, and the answers stay
    shutil.copytree("runs/classify/val", "lost")
    facts = json.loads(Path("lost/val.json").read_text())
    Path("lost/val.json").write_text(json.dumps(facts | {"weights": "/nowhere"}))
    assert main(["compare", "lost", both[1], "--json"]) == 0
    assert [one["milliseconds"] is None for one in json.loads(capsys.readouterr().out)["runs"]] == [True, False]
    # other pictures are refused, with what would help
    draw(tmp_path / "third", 2)
    assert main(["val", str(made / "a"), "third"]) == 0
    capsys.readouterr()
    assert main(["compare", both[0], "runs/classify/val3"]) == 3
    assert "D141" in capsys.readouterr().err


def test_leaks_are_counted_where_a_folder_has_no_training_part(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for run in "ab":
        assert main(["val", str(made / run), str(made / "data")]) == 0
    capsys.readouterr()
    assert main(["compare", "runs/classify/val", "runs/classify/val2", "--json"]) == 0
    told = json.loads((tmp_path / "runs/classify/val/metrics.json").read_text())["test"]["leaked"]
    assert [one["learned"] for one in json.loads(capsys.readouterr().out)["runs"]] == [told, told] and told > 0


def test_a_page_of_pictures_that_have_moved(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for run in "ab":
        shutil.copytree(made / run, tmp_path / run)
        args = tmp_path / run / "args.yaml"
        args.write_text(args.read_text().replace(str(made / "data"), "/nowhere"))
    assert main(["compare", "a", "b", "--html", "one.html"]) == 0
    out, err = capsys.readouterr()
    assert "page  one.html" in out and "Without pictures: there is no file or folder" in err and "--data PLACE" in err
    assert "Without pictures: " in (tmp_path / "one.html").read_text()
    assert main(["compare", "a", "b", "--html", "two.html", "--data", str(made / "data"), "--split", "val"]) == 0
    text = (tmp_path / "two.html").read_text()
    assert "Without pictures" not in text and "another one today" not in text
    assert main(["compare", "a", "b", "--html", "three.html", "--data", "/nowhere"]) == 3
    assert "D100" in capsys.readouterr().err and not (tmp_path / "three.html").exists()
    assert main(["compare", "a", "b", "--data", "x"]) == 2


def test_refusals_name_a_way_that_works(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, folds = str(made / "a"), str(made / "folds")
    assert main(["compare", a, str(made / "b"), "--split", "tset"]) == 3
    err = capsys.readouterr().err
    assert "D121]: no run has answers to 'tset' pictures; there are those to test, val. Did you mean 'test'?" in err
    assert err.endswith("  Fix: --split test\n")
    assert main(["compare", a, folds, "--json"]) == 3
    error = json.loads(capsys.readouterr().out)
    assert error["what"] == (
        f"'{folds}' is a cross-validation, and has no answers but out_of_fold; '{a}' has none of those."
    )
    assert main([*shlex.split(error["fix"])[1:], f"project={tmp_path}", "name=more", "--json"]) == 0
    more = json.loads(capsys.readouterr().out)["run"]
    assert main(["compare", folds, more]) == 0
    capsys.readouterr()
    # a fold is asked about test, and its val is not there
    assert main(["compare", folds, more, "--split", "test"]) == 3
    assert "Fix: --split out_of_fold\n" in capsys.readouterr().err
    shutil.copytree(made / "a", tmp_path / "a")
    (tmp_path / "a" / "splits.csv").unlink()
    assert main(["compare", a, str(tmp_path / "a")]) == 2
    err = capsys.readouterr().err
    assert "C221" in err and "Where dojang divided the data itself, dojang val RUN writes it again." in err
    assert main(["val", str(tmp_path / "a")]) == 0
    assert main(["compare", a, str(tmp_path / "a")]) == 0


def test_in_python(made: Path) -> None:
    found = dojang.compare([dojang.Run(made / "a"), str(made / "b")], seconds=0)
    assert found.split == "test" and [one.run for one in found.entrants] == [str(made / "a"), str(made / "b")]
    assert "compare" in dir(dojang)
