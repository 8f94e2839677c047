"""A run on a data set by name finds it again, whatever lies where the command is given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dojang.cli.main import main
from dojang.data import scan
from dojang.errors import DataError
from dojang.runs import train, validate
from dojang.runs.pictures import Pictures
from dojang.runs.recipe import read_layer


def test_a_folder_of_the_sets_name_is_another_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"model": "mnist-cnn", "epochs": 1, "train_sample": 200, "project": "runs", "name": "digits", "threads": 1}
    run = train.begin("digits", [read_layer(given, "test")])
    # what a copy of a run is often called
    Path(run).rename(tmp_path / "digits")
    assert main(["val", "digits"]) == 0
    own = Pictures(Path("digits"))
    assert not own.missing and not own.strange
    assert main(["explain", "digits", "digits/results.png", "--nearest", "2", "--project", "why"]) == 0
    # what a user says is another matter: there, what is on the disk wins
    with pytest.raises(DataError):
        scan.find("digits")
    assert scan.recorded("digits").classes == tuple("0123456789")


def test_scores_on_a_folder_of_a_sets_name_are_of_that_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of other data it is written down what somebody gave, and there what is on the disk wins."""
    monkeypatch.chdir(tmp_path)
    given = {"model": "mnist-cnn", "epochs": 1, "train_sample": 200, "project": "runs", "name": "run", "threads": 1}
    run = train.begin("digits", [read_layer(given, "test")])
    for label in range(10):
        place = tmp_path / "mnist" / str(label)
        place.mkdir(parents=True)
        for number in range(3):
            Image.fromarray(np.full((8, 8), 20 * label + number, np.uint8)).save(place / f"{number}.png")
    scored = validate.score(run, "mnist")
    assert json.loads((scored.folder / "val.json").read_text())["data"] == "mnist"
    own = Pictures(scored.folder)
    assert not own.missing and not own.strange and own.read(own.rows[0].path) is not None
