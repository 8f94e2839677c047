"""T1 NaN, T8 draws, T12 batches of one, T13 sanity: what can go wrong while training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from dojang.data.augment import Augment
from dojang.errors import ConfigError, TrainError
from dojang.runs import recipe, train
from dojang.train.log import Silent, read_table

TINY: dict[str, Any] = {
    "model": "mnist-cnn",
    "conv_dims": "4,4",
    "hidden_dims": "8",
    "epochs": 2,
    "batch_size": 10,
    "val": 10,
    "threads": 1,
}


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def begin(
    data: Any, project: Path, reporter: Silent | None = None, model: nn.Module | None = None, **more: Any
) -> Path:
    tiny = {name: value for name, value in TINY.items() if name != "epochs" or "time" not in more}
    options = recipe.read_layer(tiny | {"project": str(project)} | more, "test")
    return train.begin(str(data) if isinstance(data, Path) else data, [options], reporter=reporter, model=model)


class Poisoned(nn.Module):
    """A network whose answer, or whose gradient, is not finite from a step on."""

    def __init__(self, at: int, where: str) -> None:
        super().__init__()
        self.layer = nn.Linear(100, 3)
        self.at, self.where, self.steps = at, where, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.steps += self.training
        out: torch.Tensor = self.layer(x.flatten(1))
        if self.training and self.steps == self.at:
            if self.where == "loss":
                return out * math.nan
            out.register_hook(lambda gradient: gradient * math.inf)
        return out


@pytest.mark.parametrize(("where", "words"), [("loss", "loss became NaN"), ("gradient", "the gradient became")])
def test_what_is_not_finite_stops_before_the_step(stripes: Path, tmp_path: Path, where: str, words: str) -> None:
    """T1: weights stay finite, the last good state is named, best is never NaN."""
    model = Poisoned(13, where)
    with pytest.raises(TrainError) as caught:
        begin(stripes, tmp_path, model=model, lr=0.03, precision="fp32")
    text = str(caught.value)
    assert text.startswith(f"TrainError[T301]: {words}")
    assert "at epoch 2, step 13 (last finite loss " in text
    assert "Weights were not updated. Last good: " + str(tmp_path / "train/state/step-8") in text
    assert f"Fix: dojang train --resume {tmp_path / 'train'} --lr 0.003, or --clip 1." in text
    assert all(torch.isfinite(p).all() for p in model.parameters())
    for name in ("best", "last"):
        tensors = safetensors.torch.load_file(tmp_path / f"train/weights/{name}.safetensors")
        assert all(torch.isfinite(value).all() for value in tensors.values())
    # every step before it is on record
    assert [row["step"] for row in read_table(tmp_path / "train/steps.csv")] == [str(n) for n in range(1, 13)]


def test_a_real_divergence_and_the_fix_it_names(stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="T301"):
        begin(stripes, tmp_path, optimizer="sgd", lr=1e30)
    folder = train.resume(tmp_path / "train", recipe.read_layer({"lr": 0.01}, "test"))
    assert "changed: {lr: 0.01}" in (folder / "args.yaml").read_text()


def test_draws_are_all_distinct() -> None:
    """T8: no two samples, epochs or seeds share their draws."""
    rows = np.arange(500)
    augment = Augment("both", 4)
    seen = [augment.draw(seed, epoch, rows) for seed in range(2) for epoch in range(4)]
    values = np.concatenate([np.stack([d.down, d.right]).ravel() for d in seen])
    assert len(np.unique(values)) == len(values)
    flips = np.stack([d.mirrored for d in seen])
    assert abs(flips.mean() - 0.5) < 0.03
    assert len({row.tobytes() for row in flips}) == len(seen)


@pytest.mark.parametrize(("batch_size", "steps"), [(79, 1), (26, 4), (13, 7), (500, 1)])
def test_a_last_batch_of_one(stripes: Path, tmp_path: Path, batch_size: int, steps: int) -> None:
    """T12: it is dropped only when it is 1 and there is batch normalisation, and that is said once."""
    # 80 pictures to train on; 79 leaves one over, 26 two, 13 two, and 500 is more than there are
    notes = Notes()
    folder = begin(stripes, tmp_path, notes, batch_norm=True, batch_size=batch_size, epochs=2)
    assert len(read_table(folder / "steps.csv")) == 2 * steps
    said = [note for note in notes.notes if "batch of 1" in note]
    assert len(said) == (batch_size == 79)


def test_without_batch_norm_nothing_is_dropped(stripes: Path, tmp_path: Path) -> None:
    folder = begin(stripes, tmp_path, batch_size=79, epochs=1)
    assert len(read_table(folder / "steps.csv")) == 2


def test_nothing_left_to_train_on(stripes: Path, tmp_path: Path) -> None:
    """T12: batch normalisation, and batches of one."""
    with pytest.raises(
        TrainError, match=r"T305\]: no batch is left .*: 45 training pictures in batches of 1, and batch"
    ):
        train.begin(
            str(stripes),
            [
                recipe.read_layer(
                    {"model": "mlp", "batch_norm": True, "batch_size": 1, "project": str(tmp_path)}, "test"
                )
            ],
        )


def test_an_answer_that_is_not_finite_is_told_before_training(stripes: Path, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(100, 3))
    with torch.no_grad():
        model[1].weight.fill_(math.inf)
    with pytest.raises(TrainError, match=r"T303\]: the untrained network's answer to random input is not finite"):
        begin(stripes, tmp_path, model=model)


def test_a_device_that_is_not_there(stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"C230\]: device 'cuda:99' cannot be used: .*\n  Fix: --device cpu"):
        begin(stripes, tmp_path, device="cuda:99")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sane_before_the_first_step(stripes: Path, tmp_path: Path, seed: int) -> None:
    """T13: the first loss is near ln C, eight pictures are learned by heart."""
    notes = Notes()
    begin(stripes, tmp_path, notes, seed=seed, epochs=1, check=True)
    line = next(note for note in notes.notes if note.startswith("before training: output (2, 3);"))
    loss = float(line.split("loss ")[1].split()[0])
    assert abs(loss - math.log(3)) < 0.3
    assert "(knowing nothing: 1.099)" in line
    assert "check: the network learns eight pictures by heart" in notes.notes


def test_a_network_that_cannot_learn_is_told(stripes: Path, tmp_path: Path) -> None:
    class Deaf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(100, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(torch.zeros_like(x.flatten(1)))

    with pytest.raises(TrainError, match=r"T304\]: the network cannot learn eight pictures by heart: top-1 0\.\d\d"):
        begin(stripes, tmp_path, model=Deaf(), check=True)


def test_a_network_with_a_wrong_answer_is_told(stripes: Path, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(100, 7))
    with pytest.raises(TrainError, match=r"T302\]: the network answers two pictures with shape \(2, 7\); \(2, 3\)"):
        begin(stripes, tmp_path, model=model)


def test_shuffled_labels_give_chance(tmp_path: Path) -> None:
    """T13: with labels that mean nothing the test score's interval holds chance."""
    draw = np.random.default_rng(0)
    pairs = [(draw.integers(0, 256, (8, 8), dtype=np.uint8), int(label)) for label in draw.integers(0, 3, 400)]
    folder = begin(pairs, tmp_path, epochs=2)
    import json

    top1 = json.loads((folder / "metrics.json").read_text())["test"]["top1"]
    assert top1["low"] < 1 / 3 < top1["high"]


def test_the_callers_random_numbers_are_left_alone(stripes: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    begin(stripes, tmp_path, epochs=1, model=None)
    assert torch.equal(torch.rand(3), expected)


def test_patience_stops_and_says_so(stripes: Path, tmp_path: Path) -> None:
    import json

    folder = begin(stripes, tmp_path, epochs=50, patience=2, lr=1e-9, optimizer="adam")
    training = json.loads((folder / "metrics.json").read_text())["training"]
    assert training["ended"] == "patience"
    assert training["steps"] < 50 * 8


def test_a_time_budget_is_kept_and_resumed(stripes: Path, tmp_path: Path) -> None:
    import json

    folder = begin(stripes, tmp_path, time="1s")
    training = json.loads((folder / "metrics.json").read_text())["training"]
    assert training["ended"] == "time"
    assert training["seconds"] >= 1
    progress = [float(row["progress"]) for row in read_table(folder / "steps.csv")]
    assert progress == sorted(progress)
    assert progress[-1] > 0.5
    train.resume(folder, recipe.read_layer({"time": "0.5s"}, "test"))
    more = [float(row["progress"]) for row in read_table(folder / "steps.csv")]
    assert len(more) > len(progress)
    assert more[len(progress)] < 0.1


def test_best_is_the_validation_that_the_monitor_prefers(stripes: Path, tmp_path: Path) -> None:
    import json

    for monitor, sign in (("top1", 1), ("loss", -1), ("macro_f1", 1)):
        folder = begin(stripes, tmp_path, monitor=monitor, epochs=6, lr=0.02, name=monitor)
        rows = read_table(folder / "results.csv")
        ranked = max(rows, key=lambda row: (sign * float(row[f"val/{monitor}"]), -float(row["val/loss"])))
        training = json.loads((folder / "metrics.json").read_text())["training"]
        assert training["step"] == int(ranked["step"])
        assert training["weights"] == "best.safetensors"


def test_without_validation_the_last_weights_are_scored(stripes: Path, tmp_path: Path) -> None:
    import json

    folder = begin(stripes, tmp_path, val="none", epochs=1)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["training"]["weights"] == "last.safetensors"
    assert "val" not in metrics
    assert metrics["test"]["n"] == 30
    assert not (folder / "weights/best.safetensors").exists()
    assert len(read_table(folder / "steps.csv")) == 9
