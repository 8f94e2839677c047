"""The loop: its losses against a plain one in torch, and when it validates, saves and keeps."""

from __future__ import annotations

import csv
import inspect
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F

from dojang import seeds
from dojang.models import build
from dojang.predict.predictor import Predictor
from dojang.runs import recipe, train
from dojang.runs.session import Session
from dojang.train import loop
from dojang.train.log import Silent, read_table
from dojang.train.state import Keeper, State

# 80 of 90 pictures to train on
TINY: dict[str, Any] = {
    "model": "mnist-cnn",
    "conv_dims": "3,4",
    "hidden_dims": "6",
    "conv_dropout": 0,
    "epochs": 1,
    "batch_size": 10,
    "val": 10,
    "optimizer": "sgd",
    "lr": 0.03,
    "threads": 1,
    "precision": "fp32",
}
SCORES = ("loss", "top1", "balanced_accuracy", "macro_f1")


def begin(data: Path, project: Path, reporter: Silent | None = None, **options: Any) -> Path:
    layer = recipe.read_layer(TINY | {"project": str(project)} | options, "test")
    return train.begin(str(data), [layer], reporter=reporter)


def numbers(folder: Path) -> list[dict[str, float]]:
    return [{name: float(value) for name, value in row.items()} for row in read_table(folder / "results.csv")]


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that end with training: no pictures, no intervals."""
    monkeypatch.setattr(Session, "finish", lambda self: {})


# The arithmetic


def idx(path: Path) -> np.ndarray:
    data = path.read_bytes()
    sizes = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(sizes)


def plain_losses(data: Path, splits: Path, steps: int, total: int, o: Mapping[str, float]) -> list[float]:
    """Three steps of the teaching material's loop, in float64: only the order of the pictures is dojang's."""
    images, labels = (idx(data / f"train-{name}-ubyte") for name in ("images-idx3", "labels-idx1"))
    with splits.open(newline="") as file:
        rows = [int(r["path"].partition("#")[2]) for r in csv.DictReader(file) if r["split"] == "train"]
    share = images[rows].astype(np.float64) / 255
    inputs = torch.from_numpy((share - share.mean()) / share.std())[:, None]
    targets = torch.from_numpy(labels[rows].astype(np.int64))
    model = build.build(
        "mnist-cnn",
        in_channels=1,
        classes=3,
        image_size=(10, 10),
        seed=0,
        options={"conv_dims": (3, 4), "hidden_dims": (6,), "conv_dropout": 0.0},
    ).double()
    order = seeds.permutation(seeds.key(0, "order", 0), len(rows))
    velocity = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    found = []
    for step in range(steps):
        batch = torch.from_numpy(order[10 * step : 10 * step + 10])
        loss = F.cross_entropy(model(inputs[batch]), targets[batch], label_smoothing=o["label_smoothing"])
        loss = loss + o["l1"] * sum(p.abs().sum() for p in model.parameters() if p.ndim >= 2)
        found.append(float(loss.detach()))
        model.zero_grad()
        loss.backward()
        progress = step / total
        if progress < o["warmup"]:
            lr = o["lr"] * progress / o["warmup"]
        else:
            lr = o["lr"] * 0.5 * (1 + math.cos(math.pi * (progress - o["warmup"]) / (1 - o["warmup"])))
        gradients = [p.grad for p in model.parameters()]
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        scale = min(1.0, o["clip"] / norm)
        with torch.no_grad():
            for name, p in model.named_parameters():
                g = p.grad * scale + (5e-4 * p if p.ndim >= 2 else 0)
                velocity[name] = 0.9 * velocity[name] + g
                p -= lr * (g + 0.9 * velocity[name])
    return found


@pytest.mark.usefixtures("unscored")
@pytest.mark.parametrize(
    "options",
    [{}, {"label_smoothing": 0.2, "l1": 1e-3, "clip": 0.3, "warmup": 0.25}],
    ids=["plain", "penalties"],
)
def test_losses_equal_those_of_a_plain_loop(stripes: Path, tmp_path: Path, options: dict[str, float]) -> None:
    folder = begin(stripes, tmp_path, **options)
    defaults = {"lr": 0.03, "label_smoothing": 0.0, "l1": 0.0, "clip": math.inf, "warmup": 0.0}
    expected = plain_losses(stripes, folder / "splits.csv", 3, 8, defaults | options)
    found = [float(row["loss"]) for row in read_table(folder / "steps.csv")]
    assert len(found) == 8
    # float32 against float64, over a few hundred terms
    assert found[:3] == pytest.approx(expected, rel=2e-5)
    assert max(expected) - min(expected) > 1e-3


@pytest.mark.usefixtures("unscored")
def test_rates_in_steps_csv_follow_the_schedule(stripes: Path, tmp_path: Path) -> None:
    folder = begin(stripes, tmp_path, epochs=2, schedule="linear", final_lr=0.1)
    rows = read_table(folder / "steps.csv")
    assert [int(row["step"]) for row in rows] == list(range(1, 17))
    assert [int(row["epoch"]) for row in rows] == [0] * 8 + [1] * 8
    assert [float(row["progress"]) for row in rows] == pytest.approx([i / 16 for i in range(16)])
    assert [float(row["lr"]) for row in rows] == pytest.approx([0.03 * (0.1 + 0.9 * (1 - i / 16)) for i in range(16)])


# When it validates


@pytest.mark.usefixtures("unscored")
def test_columns_of_results(stripes: Path, tmp_path: Path) -> None:
    folder = begin(stripes, tmp_path, epochs=2)
    rows = numbers(folder)
    scores = [f"{part}/{score}" for part in ("train", "val") for score in SCORES]
    assert list(rows[0]) == ["step", "epoch", "time", "lr", *scores]
    assert [(row["step"], row["epoch"]) for row in rows] == [(8, 1), (16, 2)]
    assert 0 < rows[0]["time"] < rows[1]["time"]
    for row in rows:
        assert 0 <= row["val/top1"] <= 1
        assert row["val/top1"] * 10 == pytest.approx(round(row["val/top1"] * 10))


@pytest.mark.usefixtures("unscored")
@pytest.mark.parametrize(("every", "steps"), [(None, [8, 16]), (5, [5, 10, 15, 16]), (4, [4, 8, 12, 16]), (100, [16])])
def test_validate_every(stripes: Path, tmp_path: Path, every: int | None, steps: list[int]) -> None:
    rows = numbers(begin(stripes, tmp_path, epochs=2, validate_every=every))
    assert [row["step"] for row in rows] == steps
    assert [row["epoch"] for row in rows] == [math.ceil(step / 8) for step in steps]


def test_without_validation_the_last_weights_are_kept(stripes: Path, tmp_path: Path) -> None:
    folder = begin(stripes, tmp_path, val="none", train_sample=0)
    assert list(numbers(folder)[0]) == ["step", "epoch", "time", "lr"]
    assert sorted(path.name for path in (folder / "weights").iterdir()) == ["last.safetensors"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert sorted(metrics) == ["calibration", "format", "test", "training", "weights"]
    assert metrics["training"]["weights"] == "last.safetensors"
    # all 90 pictures were trained on
    assert len(read_table(folder / "steps.csv")) == 9


class Told(Silent):
    """A reporter that remembers what it was told, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def begin(self, steps: int | None, seconds: float | None, done: int) -> None:
        self.calls.append(("begin", steps, seconds, done))

    def step(self, step: int, epoch: int, progress: float, loss: float, pictures: int) -> None:
        self.calls.append(("step", step, epoch, progress, loss, pictures))

    def validated(self, row: Mapping[str, float]) -> None:
        self.calls.append(("validated", dict(row)))

    def end(self) -> None:
        self.calls.append(("end",))


@pytest.mark.usefixtures("unscored")
def test_the_reporter_is_told_of_everything_in_order(stripes: Path, tmp_path: Path) -> None:
    told = Told()
    folder = begin(stripes, tmp_path, told, batch_size=30, validate_every=2)
    kinds = [call[0] for call in told.calls]
    assert kinds == ["begin", "step", "step", "validated", "step", "validated", "end"]
    assert told.calls[0] == ("begin", 3, None, 0)
    steps = [call for call in told.calls if call[0] == "step"]
    assert [call[5] for call in steps] == [30, 30, 20]
    assert [call[4] for call in steps] == [float(row["loss"]) for row in read_table(folder / "steps.csv")]
    rows = [call[1] for call in told.calls if call[0] == "validated"]
    for row, written in zip(rows, numbers(folder), strict=True):
        assert written == pytest.approx(row, rel=1e-5)


# What it saves


@pytest.mark.usefixtures("unscored")
@pytest.mark.parametrize(("every", "expected"), [(None, [0, 8, 16]), (3, [0, 3, 6, 8, 9, 12, 15, 16]), (8, [0, 8, 16])])
def test_save_every(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int | None, expected: list[int]
) -> None:
    saved: list[int] = []
    save = Keeper.save

    def noted(self: Keeper, state: State) -> None:
        save(self, state)
        saved.append(state.counters.step)

    monkeypatch.setattr(Keeper, "save", noted)
    folder = begin(stripes, tmp_path, epochs=2, save_every=every)
    assert saved == expected
    assert sorted(path.name for path in (folder / "state").iterdir()) == sorted(
        f"step-{step}.safetensors" for step in expected[-2:]
    )


@pytest.mark.parametrize(("monitor", "sign"), [("top1", 1), ("loss", -1)])
def test_best_is_the_best_row(stripes: Path, tmp_path: Path, monitor: str, sign: int) -> None:
    # a rate that is too high and does not fall: the best is not the last
    folder = begin(stripes, tmp_path, epochs=4, validate_every=3, monitor=monitor, lr=1, schedule="constant", clip=1)
    rows = numbers(folder)
    best = max(rows, key=lambda row: (sign * row[f"val/{monitor}"], -row["val/loss"], -row["step"]))
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["training"]["step"] == best["step"]
    assert metrics["val"]["top1"]["value"] == pytest.approx(best["val/top1"], abs=1e-6)
    # the fp32 single-view answer of the saved weights is what was seen in training
    assert metrics["val"]["log_loss"]["value"] == pytest.approx(best["val/loss"], rel=1e-4)


@pytest.mark.usefixtures("unscored")
def test_averaged_weights_are_what_is_scored_and_shipped(stripes: Path, tmp_path: Path) -> None:
    folder = begin(stripes, tmp_path, epochs=2, ema=0.9)
    newest = max((folder / "state").iterdir(), key=lambda path: int(path.stem.split("-")[1]))
    state = safetensors.torch.load_file(newest)
    last = safetensors.torch.load_file(folder / "weights/last.safetensors")
    assert all(torch.equal(value, state[f"average/{name}"]) for name, value in last.items())
    assert not all(torch.equal(value, state[f"model/{name}"]) for name, value in last.items())
    # the last row of results.csv is the score of these weights, and not of the network that was trained
    predictor = Predictor.load(folder / "weights/last.safetensors")
    images, labels = (idx(stripes / f"train-{name}-ubyte") for name in ("images-idx3", "labels-idx1"))
    with (folder / "splits.csv").open(newline="") as file:
        held_out = [int(r["path"].partition("#")[2]) for r in csv.DictReader(file) if r["split"] == "val"]
    losses = {}
    for prefix in ("average/", "model/"):
        tensors = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        predictor.model.load_state_dict(tensors)
        shares = predictor.probabilities(images[held_out][..., None])
        losses[prefix] = float(-np.log(shares[np.arange(len(held_out)), labels[held_out]]).mean())
    found = numbers(folder)[-1]["val/loss"]
    assert found == pytest.approx(losses["average/"], rel=1e-5)
    assert found != pytest.approx(losses["model/"], rel=1e-3)


def test_the_loop_is_read_in_one_sitting() -> None:
    lines = inspect.getsource(loop).splitlines()
    assert len(lines) < 250
    # it never calls the network itself: that is the task's
    assert not any("model(" in line for line in lines)
