"""What a run leaves, that it can be run again from what it left, and what it never touches."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from dojang.cli.main import main
from dojang.errors import ConfigError
from dojang.runs import environment, recipe, train, validate
from dojang.runs import folder as names
from dojang.runs.session import Session

TINY: dict[str, Any] = {
    "model": "mnist-cnn",
    "conv_dims": "3,4",
    "hidden_dims": "6",
    "epochs": 2,
    "batch_size": 20,
    "val": 10,
    "lr": 0.01,
    "threads": 1,
}
FINISH = Session.finish
FILES = [
    ".lock",
    "args.yaml",
    "confusion_matrix.csv",
    "confusion_matrix.png",
    "env.json",
    "metrics.json",
    "per_class.csv",
    "predictions.csv",
    "reliability.png",
    "results.csv",
    "results.png",
    "splits.csv",
    "state/step-4.safetensors",
    "state/step-8.safetensors",
    "steps.csv",
    "weights/best.safetensors",
    "weights/last.safetensors",
    "worst.csv",
]
# only where an answer was wrong
SOMETIMES = "worst.png"


def begin(data: Any, project: Path, **options: Any) -> Path:
    layer = recipe.read_layer(TINY | {"project": str(project)} | options, "test")
    return train.begin(str(data) if isinstance(data, Path) else data, [layer])


def inside(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(name for name in found if name != SOMETIMES)


def digests(folder: Path) -> dict[str, tuple[str, int]]:
    """Everything about a folder's files that writing could change."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        facts = path.lstat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (hashlib.sha256(data).hexdigest(), facts.st_mtime_ns)
    return found


@pytest.fixture(scope="module")
def trained(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """A finished run that no test changes; trained by the first that asks."""
    project = tmp_path_factory.mktemp("trained")

    def run() -> Path:
        if not (project / "train").exists():
            # whole, also where the test that asks first is of runs that are not scored
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Session, "finish", FINISH)
                begin(stripes, project)
        return project / "train"

    return run


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that end with training: no pictures, no intervals."""
    monkeypatch.setattr(Session, "finish", lambda self: {})


# What is in it


def test_the_files_of_a_run_are_these_and_no_others(trained: Callable[[], Path]) -> None:
    assert inside(trained()) == FILES


def test_every_data_file_says_its_format(trained: Callable[[], Path]) -> None:
    run = trained()
    assert yaml.safe_load((run / "args.yaml").read_text())["format"] == 1
    for name in ("env.json", "metrics.json"):
        assert json.loads((run / name).read_text())["format"] == 1


def test_args_hold_every_option_resolved(trained: Callable[[], Path], stripes: Path) -> None:
    args = yaml.safe_load((trained() / "args.yaml").read_text())
    assert set(args) == set(recipe.OPTIONS) | set(recipe.FACTS)
    assert args["data"] == str(stripes)
    assert args["segments"] == []
    # decided by the run, and written down so that it is not decided again
    decided = {name: args[name] for name in ("imgsz", "flip", "workers", "train_sample", "threads", "device")}
    assert decided == {"imgsz": 10, "flip": "none", "workers": 0, "train_sample": 80, "threads": 1, "device": "cpu"}
    assert args["momentum"] == 0.9
    loaded, facts = recipe.load(trained() / "args.yaml")
    assert loaded.values() == {name: _tuple(args[name]) for name in recipe.OPTIONS}
    assert facts["data_sha256"] == args["data_sha256"]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def test_splits_list_every_picture_with_its_digest(trained: Callable[[], Path], stripes: Path) -> None:
    with (trained() / "splits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "split", "group", "sha256"]
    assert len(rows) == 120
    counts = {split: sum(row["split"] == split for row in rows) for split in ("train", "val", "test")}
    assert counts == {"train": 80, "val": 10, "test": 30}
    pixels = (stripes / "t10k-images-idx3-ubyte").read_bytes()[16:]
    for row in rows:
        if row["split"] == "test":
            index = int(row["path"].split("#")[1])
            picture = pixels[100 * index : 100 * index + 100]
            assert row["sha256"] == hashlib.sha256(picture).hexdigest()
            assert row["label"] == str(index % 3)


def test_metrics_agree_with_the_predictions_beside_them(trained: Callable[[], Path]) -> None:
    metrics = json.loads((trained() / "metrics.json").read_text())
    assert sorted(metrics) == ["calibration", "format", "test", "training", "val", "weights"]
    assert metrics["weights"] == {"file": "best.safetensors", "chosen_by": "top1", "chosen_on": "val"}
    with (trained() / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for split in ("val", "test"):
        right = [row["true"] == row["predicted"] for row in rows if row["split"] == split]
        assert metrics[split]["n"] == len(right)
        assert metrics[split]["top1"]["value"] == pytest.approx(np.mean(right))
    training = metrics["training"]
    assert training["weights"] == "best.safetensors"
    assert (training["steps"], training["ended"]) == (8, "epochs")
    assert training["seconds"] > 0


def test_the_environment_says_what_decides_the_bits(trained: Callable[[], Path]) -> None:
    import torch

    found = json.loads((trained() / "env.json").read_text())
    assert (found["torch"], found["threads"], found["device"]) == (torch.__version__, 1, "cpu")
    assert {"dojang", "python", "numpy", "pillow", "machine", "cpu", "precision"} <= set(found)


def test_curves_and_matrix_are_pictures(trained: Callable[[], Path]) -> None:
    for name in ("results.png", "confusion_matrix.png"):
        Image.open(trained() / name).verify()


def test_a_run_is_found_from_anything_in_it(trained: Callable[[], Path], tmp_path: Path) -> None:
    run = trained()
    for place in (run, run / "args.yaml", run / "weights/best.safetensors", run / "state"):
        assert names.find(place) == run
    assert names.weights_of(run) == run / "weights/best.safetensors"
    assert names.weights_of(run / "weights/last.safetensors") == run / "weights/last.safetensors"
    with pytest.raises(ConfigError, match=r"C215\]: '.*' is no run folder"):
        names.find(tmp_path / "x/y/z")
    # one that lies further up is somebody else's
    (tmp_path / "args.yaml").write_text("")
    (tmp_path / "a/b/c").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"C215\]"):
        names.find(tmp_path / "a/b/c")
    (tmp_path / "a run").mkdir()
    (tmp_path / "a run/args.yaml").write_text("")
    with pytest.raises(ConfigError, match=r"C216\]: .* has no weights yet") as caught:
        names.weights_of(tmp_path / "a run")
    assert caught.value.fix.startswith(f"dojang train --resume '{tmp_path}/a run'")


# Again, from what it left


def test_a_run_is_repeated_bit_for_bit_from_its_args(
    trained: Callable[[], Path], stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained()
    words = ["train", str(stripes), "--recipe", str(run / "args.yaml"), "--project", str(tmp_path)]
    assert main(words) == 0
    again = tmp_path / "train"
    assert inside(again) == FILES
    for name in ("steps.csv", "splits.csv", "predictions.csv", "per_class.csv", "confusion_matrix.csv"):
        assert (again / name).read_bytes() == (run / name).read_bytes(), name
    for name in ("weights/best.safetensors", "weights/last.safetensors", "confusion_matrix.png"):
        assert (again / name).read_bytes() == (run / name).read_bytes(), name
    scores = [json.loads((folder / "metrics.json").read_text()) for folder in (run, again)]
    assert all(scores[0][split] == scores[1][split] for split in ("val", "test"))
    one, two = (yaml.safe_load((folder / "args.yaml").read_text()) for folder in (run, again))
    assert one | {"project": two["project"]} == two
    # flags win over the recipe
    assert main([*words, "epochs=1", "seed=3"]) == 0
    capsys.readouterr()
    other = yaml.safe_load((tmp_path / "train2/args.yaml").read_text())
    # another seed holds out other pictures, so the data's digest is another
    assert {name for name in two if two[name] != other[name]} == {"epochs", "seed", "data_sha256"}


@pytest.mark.usefixtures("unscored")
def test_a_folder_is_numbered_and_never_written_twice(stripes: Path, tmp_path: Path) -> None:
    first = begin(stripes, tmp_path, epochs=1)
    before = digests(first)
    (tmp_path / "train3").write_text("a file is in the way")
    assert [begin(stripes, tmp_path, epochs=1).name for _ in range(2)] == ["train2", "train4"]
    assert begin(stripes, tmp_path, epochs=1, name="other").name == "other"
    assert digests(first) == before


@pytest.mark.usefixtures("unscored")
@pytest.mark.parametrize("wrong", [{"model": "mnist-cn"}, {"model": "nowhere.py:CNN"}, {"device": "cuda:99"}])
def test_a_mistake_leaves_no_folder(stripes: Path, tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        begin(stripes, tmp_path / "runs", **wrong)
    assert not (tmp_path / "runs").exists()


# What training does not look at


def idx_copy(stripes: Path, to: Path, change: Callable[[np.ndarray], np.ndarray], part: str) -> Path:
    shutil.copytree(stripes, to)
    path = to / f"{part}-images-idx3-ubyte"
    data = path.read_bytes()
    levels = np.frombuffer(data[16:], np.uint8)
    path.write_bytes(data[:16] + change(levels).astype(np.uint8).tobytes())
    return to


@pytest.mark.usefixtures("unscored")
def test_test_pictures_do_not_influence_training(trained: Callable[[], Path], stripes: Path, tmp_path: Path) -> None:
    run = trained()
    other = idx_copy(stripes, tmp_path / "other", lambda levels: 255 - levels, "t10k")
    again = begin(other, tmp_path)
    assert (again / "splits.csv").read_bytes() != (run / "splits.csv").read_bytes()
    for name in ("steps.csv", "weights/best.safetensors", "weights/last.safetensors"):
        assert (again / name).read_bytes() == (run / name).read_bytes(), name
    # and training pictures do
    other = idx_copy(stripes, tmp_path / "third", lambda levels: 255 - levels, "train")
    assert (begin(other, tmp_path) / "steps.csv").read_bytes() != (run / "steps.csv").read_bytes()


# What is never written to


@pytest.mark.usefixtures("unscored")
def test_nothing_is_written_in_data(stripes: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(stripes, data)
    before = digests(data)
    run = begin(data, tmp_path, store="disk", epochs=1)
    validate.validate(run)
    validate.validate(run, str(data), project=str(tmp_path))
    train.resume(run, {"epochs": 2})
    assert digests(data) == before


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="dojang-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_data_that_cannot_be_written_is_enough(stripes: Path, open_folder: Path) -> None:
    data, own = open_folder / "data", open_folder / "own"
    shutil.copytree(stripes, data)
    for path in [*data.iterdir(), data]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    own.mkdir()
    own.chmod(0o777)
    script = Path(__file__).with_name("nobody.py")
    options = json.dumps(TINY | {"epochs": 1})
    done = subprocess.run(
        [sys.executable, str(script), str(data), str(own), str(open_folder), options],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in data.iterdir()) == sorted(path.name for path in stripes.iterdir())
    assert len(inside(own / "train")) == len(FILES)


# A network of one's own, by file

MYNET = """
from neighbour import blocks
from torch import nn


class CNN(nn.Module):
    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.layers = nn.Sequential(*blocks(in_channels), nn.Flatten(), nn.Linear(4 * 5 * 5, num_classes))

    def forward(self, x):
        return self.layers(x)
"""
NEIGHBOUR = """
from torch import nn


def blocks(channels):
    return [nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
"""


def test_a_model_file_trains_scores_predicts_and_resumes(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "mynet.py").write_text(MYNET)
    (code / "neighbour.py").write_text(NEIGHBOUR)
    picture = tmp_path / "p.png"
    Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10)).save(picture)
    monkeypatch.chdir(code)
    words = ["train", str(stripes), "--model", "mynet.py:CNN", "epochs=1", "val=10", "batch=20", "threads=1"]
    assert main([*words, "--project", str(tmp_path)]) == 0
    run = tmp_path / "train"
    assert f"model: {code}/mynet.py:CNN" in (run / "args.yaml").read_text()
    # the folder is the user's: no __pycache__ in it
    assert inside(code) == ["mynet.py", "neighbour.py"]
    # from anywhere
    monkeypatch.chdir("/")
    assert main(["val", str(run)]) == 0
    assert main(["predict", str(run), str(picture)]) == 0
    assert main(["train", "--resume", str(run), "epochs=2"]) == 0
    capsys.readouterr()
    assert json.loads((run / "metrics.json").read_text())["training"]["steps"] == 8
    # a weights file alone does not say where its code is
    moved = tmp_path / "w.safetensors"
    shutil.copy(run / "weights/best.safetensors", moved)
    assert main(["predict", str(moved), str(picture)]) == 2
    assert "ConfigError[C240]" in capsys.readouterr().err
    assert main(["predict", str(moved), str(picture), "--model", f"{code}/mynet.py:CNN"]) == 0
    alone = capsys.readouterr().out
    assert main(["predict", str(run), str(picture)]) == 0
    assert capsys.readouterr().out == alone
    # and code that has gone is an error with a code
    (code / "mynet.py").unlink()
    assert main(["predict", str(run), str(picture)]) == 2
    assert "ConfigError[C208]" in capsys.readouterr().err


def test_an_environment_from_before_the_kernels_had_none() -> None:
    now = {"torch": "2.15.0", "machine": "x86_64 AVX512", "device": "cpu", "threads": 2, "native": False}
    then = {name: value for name, value in now.items() if name != "native"}
    environment.check_same(then, now)
    with pytest.raises(ConfigError, match=r"C217.* began with native None; here it is True"):
        environment.check_same(then, now | {"native": True})


@pytest.mark.parametrize("name", ["../../{}/mine", "a/b", "..", "{absolute}/mine", ""])
def test_a_name_of_a_run_is_no_path(
    stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = digests(stripes)
    name = name.format(stripes.name, absolute=stripes)
    assert main(["train", str(stripes), "--model", "mlp", "--epochs", "1", "--name", name]) == 2
    assert f"C202]: --name is {name!r}; expected the name of a folder, not a path." in capsys.readouterr().err
    assert digests(stripes) == before and list(tmp_path.iterdir()) == []


def test_a_run_never_goes_on_in_the_folder_of_the_pictures(stripes: Path, tmp_path: Path) -> None:
    before = digests(stripes)
    (tmp_path / "linked").symlink_to(stripes)
    for project, name in ((stripes.parent, stripes.name), (tmp_path, "linked")):
        with pytest.raises(ConfigError, match=r"C244.*would lie inside the data"):
            begin(stripes, project, name=name, exist_ok=True)
    assert digests(stripes) == before
    # a fresh folder beside them is none of theirs
    assert begin(stripes, tmp_path, name="linked", epochs=1) == tmp_path / "linked2"
