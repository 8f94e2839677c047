"""The finder: the losses of a plain loop, no look at validation or test, nothing kept; what it says on the terminal."""

from __future__ import annotations

import copy
import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import dojang
from dojang.cli.main import main
from dojang.errors import ConfigError, DataError, TrainError
from dojang.runs import lr_find, recipe, train
from dojang.runs.lr_find import Found, find
from dojang.runs.session import Session
from dojang.tasks.classify.task import Classify
from dojang.train import optimizers
from dojang.train.guard import Stop, Stopped
from dojang.train.log import Silent
from dojang.train.range_test import rates

TINY: dict[str, Any] = {
    "model": "mnist-cnn",
    "conv_dims": "3,4",
    "hidden_dims": "6",
    "conv_dropout": 0,
    "batch_size": 10,
    "val": 10,
    "optimizer": "sgd",
    "momentum": 0.9,
    "nesterov": False,
    "threads": 1,
    "precision": "fp32",
}


def layer(**options: Any) -> dict[str, Any]:
    return recipe.read_layer(TINY | options, "test")


def words(**options: Any) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in (TINY | {"nesterov": None} | options).items()
            if value is not None]  # fmt: skip


@pytest.fixture
def began(monkeypatch: pytest.MonkeyPatch) -> list[tuple[nn.Module, Session]]:
    """The network as the first step found it, and what trained it."""
    seen: list[tuple[nn.Module, Session]] = []
    real = lr_find.range_test

    def noting(task: Any, state: Any, *args: Any, **options: Any) -> Any:
        seen.append((copy.deepcopy(state.model), state))
        return real(task, state, *args, **options)

    monkeypatch.setattr(lr_find, "range_test", noting)
    return seen


def test_losses_are_those_of_a_plain_loop(
    stripes: Path, monkeypatch: pytest.MonkeyPatch, began: list[tuple[nn.Module, Session]]
) -> None:
    batches: list[Any] = []
    real = Classify.loss

    def noting(self: Classify, model: nn.Module, batch: Any) -> Any:
        if model.training:
            batches.append(batch)
        return real(self, model, batch)

    monkeypatch.setattr(Classify, "loss", noting)
    found = find(str(stripes), [layer(weight_decay=0.01)], min_lr=1e-4, max_lr=0.5, steps=40)
    model = began[0][0].train()
    weights = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.SGD([{"params": weights, "weight_decay": 0.01}, {"params": others}], lr=1.0, momentum=0.9)
    losses = []
    for lr, batch in zip(np.geomspace(1e-4, 0.5, 40).tolist(), batches, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = lr
        loss = nn.functional.cross_entropy(model(batch.images), batch.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert found.curve.ended == "steps"
    np.testing.assert_allclose(found.curve.losses, losses, rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(found.curve.rates, rates(1e-4, 0.5, 40), rtol=1e-9)


def changed(stripes: Path, to: Path, rows: list[int], test: bool) -> Path:
    """The same data with other pictures in some rows of train, and in all of test."""
    to.mkdir()
    for path in stripes.iterdir():
        data = bytearray(path.read_bytes())
        if path.name.startswith("t10k") and test:
            data[16 if "images" in path.name else 8 :] = bytes(reversed(data[16 if "images" in path.name else 8 :]))
        if path.name == "train-images-idx3-ubyte":
            for row in rows:
                data[16 + 100 * row : 116 + 100 * row] = bytes(
                    np.random.default_rng(row).integers(0, 256, 100).tolist()
                )
        (to / path.name).write_bytes(bytes(data))
    return to


def test_validation_and_test_are_never_seen(
    stripes: Path, tmp_path: Path, began: list[tuple[nn.Module, Session]]
) -> None:
    run = train.begin(str(stripes), [layer(epochs=1, project=str(tmp_path / "runs"), familiar=False)])
    rows = list(csv.DictReader(io.StringIO((run / "splits.csv").read_text())))
    of = {name: [int(r["path"].partition("#")[2]) for r in rows if r["split"] == name] for name in ("train", "val")}
    asked = {"min_lr": 1e-3, "max_lr": 1.0, "steps": 25}
    notes: list[list[str]] = [[], []]

    class Noting(Silent):
        def note(self, text: str) -> None:
            notes[0].append(text)

    plain = find(str(stripes), [layer()], **asked, reporter=Noting()).curve
    notes.reverse()
    aside = changed(stripes, tmp_path / "a", of["val"], test=True)
    other = find(str(aside), [layer()], **asked, reporter=Noting()).curve
    # nor is the untrained network asked about them
    assert notes[0] == notes[1] and any("before training" in note for note in notes[0])
    assert np.array_equal(plain.losses, other.losses) and np.array_equal(plain.rates, other.rates)
    # and a single other picture of training is seen
    third = find(str(changed(stripes, tmp_path / "b", of["train"][:1], test=False)), [layer()], **asked).curve
    assert not np.array_equal(plain.losses, third.losses)


def test_it_is_the_same_each_time_and_other_with_another_seed(stripes: Path) -> None:
    one, two, other = (find(str(stripes), [layer(seed=seed, conv_dropout=0.5)], steps=30).curve for seed in (0, 0, 1))
    assert np.array_equal(one.losses, two.losses) and not np.array_equal(one.losses, other.losses)


class Net(nn.Module):
    """A network of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(100, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(x)
        return out


def test_a_network_of_ones_own_stays_as_it_is(stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = Net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = dojang.Model(net).lr_find(str(stripes), steps=30, max_lr=1.0, batch_size=10, threads=1, optimizer="adamw")
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters()) and list(tmp_path.iterdir()) == []
    assert found.recipe.train.optimizer == "adamw" and found._repr_png_().startswith(b"\x89PNG")
    assert repr(found).startswith("Found(lowest / 3 ") and found.lr == found.suggestions[0].rate


def test_a_trained_model_begins_with_its_weights(stripes: Path, tmp_path: Path) -> None:
    model = dojang.Model("mnist-cnn")
    given = {name: value for name, value in TINY.items() if name != "model"}
    model.train(str(stripes), epochs=8, project=str(tmp_path), familiar=False, **given | {"lr": 0.1})
    kept = {name for name in TINY if name in ("conv_dims", "hidden_dims", "conv_dropout")}
    again = {name: value for name, value in given.items() if name not in kept}
    found = model.lr_find(str(stripes), steps=25, head_epochs=0, **again)
    fresh = dojang.Model("mnist-cnn").lr_find(str(stripes), steps=25, **given)
    assert found.curve.losses[:5].mean() < 0.7 * fresh.curve.losses[:5].mean()
    own = dojang.Model(Net())
    own.train(str(stripes), epochs=1, project=str(tmp_path), val=10, familiar=False, threads=1)
    with pytest.raises(ConfigError, match=r"C242.*network is one of your own") as caught:
        own.lr_find(str(stripes))
    assert "dojang.Model(module).lr_find(...)" in caught.value.fix


def test_it_ends_where_the_loss_has_risen(stripes: Path) -> None:
    found = find(str(stripes), [layer()], max_lr=1e3, steps=60)
    smoothed = found.curve.smoothed
    assert found.curve.ended in ("risen", "not finite") and len(smoothed) < 60
    if found.curve.ended == "risen":
        assert smoothed[-1] > 4 * smoothed.min() and (smoothed[:-1] <= 4 * np.minimum.accumulate(smoothed)[:-1]).all()
    assert found.ended.startswith("it ended")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The loss is no number from the step on that stands in the list."""
    at = [0]
    real = Classify.loss

    def loss(self: Classify, model: nn.Module, batch: Any) -> Any:
        found, outputs = real(self, model, batch)
        if model.training:
            at[0] -= 1
        return (found * math.nan if at[0] < 0 and model.training else found), outputs

    monkeypatch.setattr(Classify, "loss", loss)
    yield at


def test_a_loss_that_is_no_number_ends_it(stripes: Path, broken: list[int]) -> None:
    broken[0] = 30
    found = find(str(stripes), [layer()], max_lr=0.1, steps=60)
    assert found.curve.ended == "not finite" and len(found.curve.losses) == 30 and np.isfinite(found.curve.losses).all()
    assert "no number any more" in found.ended
    broken[0] = 5
    with pytest.raises(TrainError, match=r"T301.*loss became NaN at epoch 1, step 6") as caught:
        find(str(stripes), [layer()], max_lr=0.1, steps=60)
    assert "the rate is not what is wrong" in caught.value.context and "--init he" in caught.value.fix


def test_all_groups_take_part_to_the_end(stripes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.optim.Optimizer] = []
    real = optimizers.make

    def make(*args: Any) -> torch.optim.Optimizer:
        made.append(real(*args))
        # as muon has it for the stem of the record network
        made[-1].param_groups[0]["until"] = 0.3
        return made[-1]

    monkeypatch.setattr(optimizers, "make", make)
    find(str(stripes), [layer()], max_lr=0.1, steps=30)
    groups = made[0].param_groups
    assert [group["lr"] for group in groups] == pytest.approx([0.1] * len(groups))


def test_it_stops_when_asked(stripes: Path) -> None:
    with pytest.raises(Stopped):
        find(str(stripes), [layer()], stop=Stop(15))


@pytest.mark.parametrize(
    ("given", "options", "code", "said"),
    [
        ({"min_lr": 0.1, "max_lr": 0.2}, {}, "C202", "the rate cannot rise from 0.1 to 0.2; expected ten times"),
        ({"min_lr": 0.0}, {}, "C202", "the rate cannot rise from 0 to 10"),
        ({"max_lr": math.inf}, {}, "C202", "cannot rise from 1e-06 to inf"),
        ({"steps": 5}, {}, "C202", "steps is 5; expected 20 to 100,000."),
        ({"steps": 10**12}, {}, "C202", "steps is 1000000000000; expected 20 to 100,000."),
        ({"max_lr": 1e308}, {}, "C202", "--max-lr is 1e+308; expected 1e-12 to 10000."),
        ({"min_lr": 1e-320}, {}, "C202", "--min-lr is 9.99989e-321; expected 1e-12 to 10000."),
        ({}, {"folds": 3, "val": None}, "C204", "the finder trains one network; --folds is for runs."),
        ({}, {"seeds": 3}, "C204", "the finder trains one network; --seeds is for runs."),
    ],
)
def test_what_cannot_be_asked(
    stripes: Path, given: dict[str, Any], options: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        find(str(stripes), [layer(**options)], **given)
    assert caught.value.code == code and said in str(caught.value)


def test_pictures_that_cannot_be_read(tmp_path: Path) -> None:
    from PIL import Image

    for kind in ("a", "b"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(12):
            grey = Image.new("L", (10, 10), 20 * number)
            grey.save(tmp_path / "data" / kind / f"{number}.png")
    (tmp_path / "data" / "a" / "x.png").write_bytes((tmp_path / "data" / "a" / "3.png").read_bytes()[:40])
    with pytest.raises(DataError, match="D104"):
        find(str(tmp_path / "data"), [layer(val=None, batch_size=4)], steps=20)
    assert isinstance(find(str(tmp_path / "data"), [layer(val=None, batch_size=4, bad="skip")], steps=20), Found)


def test_the_verb(
    stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["lr-find", str(stripes), *words(), "--steps", "80", "--max-lr=3"]
    assert main([*command, "--epochs", "3", "lr=0.1"]) == 0
    told = capsys.readouterr()
    assert "not used by a range test: lr, epochs" in told.err and "epoch 1 " not in told.err
    assert (
        "range test: mnist-cnn, sgd with momentum 0.9, batch 10, fp32 on cpu; lr from 1e-06 to 3 in 80 st" in told.err
    )
    lines = told.out.splitlines()
    assert max(map(len, lines)) <= 80 and lines[-2:] == [
        "files        runs/lr-find/find",
        "             (lr_find.png, lr_find.csv, lr_find.json)",
    ]
    folder = Path("runs/lr-find/find")
    assert {path.name for path in folder.iterdir()} == {"lr_find.png", "lr_find.csv", "lr_find.json"}
    facts = json.loads((folder / "lr_find.json").read_text())
    rows = list(csv.DictReader(io.StringIO((folder / "lr_find.csv").read_text())))
    assert len(rows) == facts["steps"] and float(rows[0]["lr"]) == pytest.approx(1e-6)
    assert [row["step"] for row in rows[:2]] == ["1", "2"]
    # spelled as in Python, with the names of another tool; a number is added, nothing overwritten
    again = ["lr_find", *command[1:-3], "--num-it", "80", "--end-lr=3", "--json"]
    assert main(again) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == "runs/lr-find/find2"
    assert {name: found[name] for name in facts if name not in ("format", "data")} == {
        name: value for name, value in facts.items() if name not in ("format", "data")
    }
    lowest = min((float(row["smoothed"]), float(row["lr"])) for row in rows[10:])
    assert (facts["lowest"]["loss"], facts["lowest"]["lr"]) == pytest.approx(lowest)
    rate = facts["suggestions"]["lowest / 10"]
    assert rate == pytest.approx(lowest[1] / 10) and f"lowest / 10  lr {rate:.2g}" in "\n".join(lines)
    assert f"begin with   --lr {facts['lr']:.2g}" in lines


def test_the_verb_without_a_fall(stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # at such rates nothing is learned
    limits = ["--min-lr", "1e-9", "--max-lr", "1e-8", "--steps", "30"]
    assert main(["lr-find", str(stripes), *words(project=tmp_path), *limits]) == 0
    told = capsys.readouterr().out
    assert "the loss did not fall by more than its noise: there is nothing to suggest" in told and "--lr " not in told
    assert json.loads((tmp_path / "find" / "lr_find.json").read_text())["lr"] is None


def test_the_widest_range_has_rates(stripes: Path) -> None:
    found = find(str(stripes), [layer()], min_lr=lr_find.LEAST, max_lr=lr_find.GREATEST, steps=400)
    assert np.isfinite(found.curve.losses).all() and found.curve.rates[0] == pytest.approx(1e-12)
    assert np.isfinite(rates(lr_find.LEAST, lr_find.GREATEST, 400)).all() and found.picture().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["../../{}/mine", "a/b", "..", "{absolute}/mine"])
def test_a_name_of_a_test_is_no_path(
    stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(stripes.iterdir())
    name = name.format(stripes.name, absolute=stripes)
    assert main(["lr-find", str(stripes), *words(), "--steps", "20", "--name", name]) == 2
    assert f"C202]: --name is {name!r}; expected the name of a folder, not a path." in capsys.readouterr().err
    assert sorted(stripes.iterdir()) == before and list(tmp_path.iterdir()) == []


def test_words_that_are_missing_or_wrong(stripes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lr-find"]) == 2 and "C200]: lr-find needs DATA." in capsys.readouterr().err
    assert main(["lr-find", "digits", "--folds", "3"]) == 2 and "C201" in capsys.readouterr().err
    assert main(["lr-find", str(stripes), "--project", str(stripes / "runs")]) == 2
    assert "C244" in capsys.readouterr().err and not (stripes / "runs").exists()
    assert main(["lr_fnd", "digits"]) == 2 and "Did you mean 'lr-find'?" in capsys.readouterr().err
    file = tmp_path / "mine.yaml"
    file.write_text("epochs: 3\nseeds: 2\n")
    assert main(["lr-find", str(stripes), "--recipe", str(file)]) == 2
    assert "C204]: the finder trains one network" in capsys.readouterr().err
