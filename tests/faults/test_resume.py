"""T6: a run stopped at any step and resumed ends bit-equal to the run that was never stopped. T5: signals."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from dojang.errors import ConfigError, TrainError
from dojang.runs import recipe, train
from dojang.train.log import Silent

# 80 of 90 pictures to train on, 6 a step: 14 steps an epoch, 42 in all
PLAIN: dict[str, Any] = {"epochs": 3, "batch_size": 6, "val": 10, "optimizer": "sgd", "lr": 0.02, "threads": 1}
EVERYTHING = PLAIN | {
    "model": "cifar-vgg",
    "hidden_dims": "16",
    "conv_dims": "8,8",
    "flip": "both",
    "crop_padding": 2,
    "ema": 0.9,
    "precision": "bf16",
    "label_smoothing": 0.1,
    "clip": 1.0,
    "l1": 1e-5,
    "workers": 2,
    "schedule": "onecycle",
    "monitor": "loss",
}
CASES = {
    "plain": PLAIN | {"model": "mnist-cnn", "conv_dims": "4,4", "hidden_dims": "8"},
    "everything-sgd": EVERYTHING,
    "balanced": EVERYTHING | {"sampler": "balanced", "class_weights": "balanced", "loss": "focal"},
    "augmented": EVERYTHING | {"augment": "strong", "noise": 0.1, "blur": 0.5, "mixup": 0.4, "micro_batch": 4},
    "everything-adam": EVERYTHING | {"optimizer": "adamw", "lr": 1e-3, "workers": 4, "validate_every": 7},
    "permuted": EVERYTHING | {"permute_pixels": True, "augment": "light"},
    "progressive": PLAIN | {"model": "sprint", "conv_dims": "4,4", "progressive": 0.7, "micro_batch": 4},
    "rmsprop": PLAIN | {"model": "cnn", "optimizer": "rmsprop", "lr": 1e-3, "crop_padding": 1},
}


class StopsAt(Silent):
    """A user who presses Ctrl-C right after a step."""

    def __init__(self, at: int, number: int = signal.SIGINT) -> None:
        self.at, self.number = at, number

    def step(self, step: int, epoch: int, progress: float, loss: float, pictures: int) -> None:
        if step == self.at:
            os.kill(os.getpid(), self.number)


def begin(data: Path, project: Path, options: dict[str, Any], **more: Any) -> Path:
    return train.begin(str(data), [recipe.read_layer(options | {"project": str(project)}, "test")], **more)


def left(folder: Path) -> dict[str, bytes]:
    """Everything in a run folder that must be equal to the last byte."""
    files = {name: (folder / name).read_bytes() for name in ("steps.csv", "predictions.csv", "splits.csv")}
    for path in sorted((folder / "weights").iterdir()):
        files[path.name] = path.read_bytes()
    rows = (folder / "results.csv").read_text().splitlines()
    files["results.csv"] = "\n".join(",".join(row.split(",")[:2] + row.split(",")[3:]) for row in rows).encode()
    newest = max((folder / "state").iterdir(), key=lambda path: int(path.stem.split("-")[1]))
    tensors = safetensors.torch.load_file(newest)
    files |= {f"state {name}": value.numpy().tobytes() for name, value in tensors.items() if value.dtype.itemsize > 2}
    return files


@pytest.fixture(scope="module")
def unbroken(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, bytes]]:
    """What the run of a case leaves when nobody stops it; each is trained once."""
    known: dict[str, dict[str, bytes]] = {}

    def of(case: str) -> dict[str, bytes]:
        if case not in known:
            known[case] = left(begin(stripes, tmp_path_factory.mktemp(case), CASES[case]))
        return known[case]

    return of


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("stop", [1, 7, 14, 23, 42])
def test_a_resumed_run_is_bit_equal(
    case: str, stop: int, stripes: Path, tmp_path: Path, unbroken: Callable[[str], dict[str, bytes]]
) -> None:
    with pytest.raises(TrainError, match=f"T320.*Ctrl-C after step {stop};") as caught:
        begin(stripes, tmp_path, CASES[case], reporter=StopsAt(stop))
    assert caught.value.exit_code == 130
    folder = train.resume(tmp_path / "train")
    expected, found = unbroken(case), left(folder)
    assert found.keys() == expected.keys()
    differing = [name for name in expected if found[name] != expected[name]]
    assert not differing


def test_stopped_three_times_with_other_thread_counts(
    stripes: Path, tmp_path: Path, unbroken: Callable[[str], dict[str, bytes]]
) -> None:
    with pytest.raises(TrainError, match="T320"):
        begin(stripes, tmp_path, CASES["everything-sgd"], reporter=StopsAt(3))
    for stop, workers in ((20, 0), (31, 4)):
        with pytest.raises(TrainError, match="T320"):
            train.resume(tmp_path / "train", {"workers": workers}, reporter=StopsAt(stop))
    train.resume(tmp_path / "train")
    assert left(tmp_path / "train") == unbroken("everything-sgd")


def test_stopped_inside_validation(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: Callable[[str], dict[str, bytes]]
) -> None:
    from dojang.tasks.classify import task

    calls = []
    update = task.Scores.update

    def interrupted(self: task.Scores, *args: Any) -> None:
        calls.append(1)
        # the looks before training make one call, each validation at least two: the second validation
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        update(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(task.Scores, "update", interrupted)
        with pytest.raises(TrainError, match=r"T320.*after step 28"):
            begin(stripes, tmp_path, CASES["plain"])
    # the validation that was interrupted has left no row, and is made up for
    assert len((tmp_path / "train/results.csv").read_text().splitlines()) == 2
    train.resume(tmp_path / "train")
    assert left(tmp_path / "train") == unbroken("plain")


def test_termination_saves_and_exits_143(stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="stopped by signal 15 after step 5") as caught:
        begin(stripes, tmp_path, CASES["plain"], reporter=StopsAt(5, signal.SIGTERM))
    assert caught.value.exit_code == 143
    assert (tmp_path / "train/state/step-5.safetensors").exists()


def test_a_second_interrupt_stops_at_once_and_the_old_state_is_good(
    stripes: Path, tmp_path: Path, unbroken: Callable[[str], dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dojang import files

    write = files._write

    def impatient(fd: int, data: memoryview) -> int:
        if armed:
            armed.clear()
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return write(fd, data[:100])

    armed: list[int] = []

    class ThenAgain(StopsAt):
        def step(self, step: int, *rest: Any) -> None:
            if step == self.at:
                armed.append(1)
            super().step(step, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_write", impatient)
        with pytest.raises(KeyboardInterrupt):
            begin(stripes, tmp_path, CASES["plain"], reporter=ThenAgain(20))
    assert not list((tmp_path / "train").rglob("*.dojang-tmp"))
    train.resume(tmp_path / "train")
    assert left(tmp_path / "train") == unbroken("plain")


def test_two_equal_runs_and_one_of_another_seed(
    stripes: Path, tmp_path: Path, unbroken: Callable[[str], dict[str, bytes]]
) -> None:
    """T7."""
    case = CASES["everything-sgd"]
    again = left(begin(stripes, tmp_path, case | {"workers": 0}))
    other = left(begin(stripes, tmp_path, case | {"seed": 1}))
    assert again == unbroken("everything-sgd")
    assert other["last.safetensors"] != again["last.safetensors"]


def test_changed_data_is_refused(stripes: Path, tmp_path: Path) -> None:
    import shutil

    data = tmp_path / "data"
    shutil.copytree(stripes, data)
    with pytest.raises(TrainError, match="T320"):
        begin(data, tmp_path, CASES["plain"], reporter=StopsAt(4))
    images = data / "train-images-idx3-ubyte"
    changed = bytearray(images.read_bytes())
    changed[-1] ^= 1
    images.write_bytes(changed)
    with pytest.raises(ConfigError, match=r"C218\]: the data has changed: its digest was .*, now it is"):
        train.resume(tmp_path / "train")


def test_another_environment_is_refused_by_name(stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="T320"):
        begin(stripes, tmp_path, CASES["plain"], reporter=StopsAt(4))
    path = tmp_path / "train/env.json"
    import torch

    path.write_text(path.read_text().replace(torch.__version__, "1.0.0"))
    with pytest.raises(ConfigError, match=f"C217.*torch '1.0.0'; here it is '{re.escape(torch.__version__)}'"):
        train.resume(tmp_path / "train")
    train.resume(tmp_path / "train", inexact=True)
    assert "inexact: true" in (tmp_path / "train/args.yaml").read_text()


def test_a_finished_run_goes_on_only_with_more_epochs(stripes: Path, tmp_path: Path) -> None:
    folder = begin(stripes, tmp_path, CASES["plain"])
    with pytest.raises(TrainError, match=r"T321.*is finished \(epochs, step 42\)"):
        train.resume(folder)
    with pytest.raises(ConfigError, match=r"C219.*--epochs 2 is already reached"):
        train.resume(folder, {"epochs": 2})
    with pytest.raises(ConfigError, match=r"C219\]: batch_size cannot be changed"):
        train.resume(folder, {"batch_size": 7})
    train.resume(folder, {"epochs": 5})
    assert len((folder / "steps.csv").read_text().splitlines()) == 1 + 5 * 14
    assert "changed: {epochs: 5}" in (folder / "args.yaml").read_text()


def test_a_second_resume_at_the_same_time_is_refused(stripes: Path, tmp_path: Path) -> None:
    from dojang import files

    folder = begin(stripes, tmp_path, CASES["plain"] | {"epochs": 1})
    with (
        files.locked(folder / ".lock", "it"),
        pytest.raises(ConfigError, match=f"C206.*in use by process {os.getpid()}"),
    ):
        train.resume(folder, {"epochs": 2})
