"""A run that is finished, extended, or killed at its very end: nothing is lost, and nothing is said that is not so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dojang.errors import ConfigError, TrainError
from dojang.models import weights
from dojang.models.convert import read_state
from dojang.runs import recipe, train
from dojang.runs.session import Session

TINY: dict[str, Any] = {
    "model": "mnist-cnn",
    "conv_dims": "3,4",
    "hidden_dims": "6",
    "epochs": 2,
    "batch_size": 15,
    "lr": 0.01,
    "threads": 1,
    "val": 60,
}


class Killed(BaseException):
    """What no code catches."""


def begin(data: Path, project: Path, **more: Any) -> Path:
    return train.begin(str(data), [recipe.read_layer(TINY | more | {"project": str(project)}, "test")])


def left(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def made(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begin(stripes, tmp_path_factory.mktemp("finished"))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "train"))


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [({}, TrainError, "T321"), ({"epochs": 2}, TrainError, "T321"), ({"epochs": 1}, ConfigError, "C219")],
)
def test_a_refused_resume_changes_nothing(folder: Path, changes: dict[str, Any], error: type, match: str) -> None:
    before = left(folder)
    assert weights.read(folder / "weights" / "best.safetensors")[2]
    with pytest.raises(error, match=match):
        train.resume(folder, changes)
    assert left(folder) == before


@pytest.mark.parametrize("where", ["settle", "finish"])
def test_an_extension_killed_at_its_end_can_be_finished(
    folder: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path(shutil.copytree(folder, tmp_path / "whole"))
    train.resume(whole, {"epochs": 4})

    def dies(*args: Any, **options: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Session, where, dies)
        with pytest.raises(Killed):
            train.resume(folder, {"epochs": 4})
    # of the run as it was before; it must not be taken for finished
    assert json.loads((folder / "metrics.json").read_text())["training"]["steps"] < 16
    train.resume(folder)
    metrics, expected = (json.loads((place / "metrics.json").read_text()) for place in (folder, whole))
    assert metrics["training"]["steps"] == expected["training"]["steps"]
    assert {name: metrics[name] for name in ("calibration", "val")} == {
        name: expected[name] for name in ("calibration", "val")
    }
    for name in ("best", "last"):
        path = Path("weights", f"{name}.safetensors")
        assert (folder / path).read_bytes() == (whole / path).read_bytes()
    with pytest.raises(TrainError, match="T321"):
        train.resume(folder)


def test_what_lies_beside_the_weights_is_no_part_of_their_network(folder: Path) -> None:
    path = folder / "weights" / "best.safetensors"
    tensors, _, beside = weights.read(path)
    assert beside and set(read_state(path)) == set(tensors)


def test_a_convolutional_head_is_trained_to_the_end(stripes: Path, tmp_path: Path) -> None:
    options = {name: value for name, value in TINY.items() if name not in ("conv_dims", "hidden_dims")}
    layer = recipe.read_layer(options | {"model": "lenet-bn-fcn", "imgsz": 28, "project": str(tmp_path)}, "test")
    done = train.begin(str(stripes), [layer])
    assert "training" in json.loads((done / "metrics.json").read_text())


def test_files_of_the_user_stay(stripes: Path, tmp_path: Path) -> None:
    mine = tmp_path / "train"
    mine.mkdir()
    for name in ("worst.csv", "legend.csv", "worst.png"):
        (mine / name).write_text("mine")
    with pytest.raises(ConfigError, match=r"C202.*worst.csv.*worst.png.*legend.csv") as caught:
        begin(stripes, tmp_path, exist_ok=True)
    assert "mv " in caught.value.fix and {path.read_text() for path in mine.iterdir() if path.suffix} == {"mine"}
    for name in ("worst.csv", "legend.csv", "worst.png"):
        (mine / name).rename(mine / f"my-{name}")
    folder = begin(stripes, tmp_path, exist_ok=True)
    # made anew, what dojang made goes
    begin(stripes, tmp_path, exist_ok=True)
    assert (folder / "my-worst.csv").read_text() == "mine"
