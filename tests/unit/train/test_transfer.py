"""Weights that were trained before: the head first, then all layers, earlier ones less; resumed to the bit."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from dojang.errors import ConfigError, TrainError
from dojang.models import convert, pretrained, weights
from dojang.models.build import build
from dojang.runs import recipe, train
from dojang.train import loop, optimizers, transfer
from dojang.train.log import Silent
from dojang.train.options import TrainOptions

OPTIONS: dict[str, Any] = {
    "model": "resnet20",
    "epochs": 2,
    "batch_size": 20,
    "val": 10,
    "threads": 1,
    "head_epochs": 3,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights for colour pictures of 10 x 10 and four classes."""
    folder = tmp_path_factory.mktemp("trained")
    net = build("resnet20", in_channels=3, classes=4, image_size=(10, 10), seed=7)
    with torch.no_grad():
        # norms that have seen something
        net.train()(torch.randn(64, 3, 10, 10, generator=torch.Generator().manual_seed(0)))
    torch.save(net.state_dict(), folder / "net.pth")
    convert.convert(folder / "net.pth", folder / "net.safetensors", model="resnet20", labels=tuple("abcd"), imgsz=10)
    return folder / "net.safetensors"


class Notes(Silent):
    """What is said; and a user who presses Ctrl-C after a step."""

    def __init__(self, at: int = 0) -> None:
        self.said: list[str] = []
        self.at = at

    def note(self, sentence: str) -> None:
        self.said.append(sentence)

    def step(self, step: int, *rest: Any) -> None:
        if step == self.at:
            os.kill(os.getpid(), signal.SIGINT)


def begin(data: Path, project: Path, reporter: Notes | None = None, **options: Any) -> Path:
    given = OPTIONS | {"project": str(project)} | options
    layer = recipe.read_layer({name: value for name, value in given.items() if value is not None}, "test")
    return train.begin(str(data), [layer], reporter=reporter)


def test_what_is_adapted_is_said_and_the_rest_is_taken(stripes: Path, tmp_path: Path, trained: Path) -> None:
    notes = Notes()
    folder = begin(stripes, tmp_path, notes, pretrained=str(trained))
    said = "\n".join(notes.said)
    assert "pretrained: conv1.weight: filters for 3 channels summed and shared out to 1" in said
    assert "pretrained: fc.weight: 4 classes before, 3 now; it starts afresh" in said
    assert "head: 3 epochs on features of 80 pictures" in said
    card = weights.load(folder / "weights/last.safetensors")[1]
    # the mean of three colours, as the weights know it
    assert card.preprocess["mean"] == [pytest.approx((0.485 + 0.456 + 0.406) / 3)]
    options = recipe.load(folder / "args.yaml")[0]
    assert options.train.optimizer == "adamw" and options.train.early_lr == 0.1


def test_the_head_alone_learns_first(stripes: Path, tmp_path: Path, trained: Path) -> None:
    """With rates of nothing afterwards, all but the head is as it was."""
    folder = begin(stripes, tmp_path, pretrained=str(trained), epochs=1, lr=1e-30, weight_decay=0.0, head_epochs=5)
    found = weights.load(folder / "weights/last.safetensors")[0]
    began, _, _ = pretrained.adapted(trained, in_channels=1, labels=tuple("012"), image_size=(10, 10))
    for name, parameter in began.named_parameters():
        same = bool((found[name] - parameter).abs().max() < 1e-20)
        assert same != name.startswith("fc."), name


def test_the_head_learns_something(stripes: Path, tmp_path: Path, trained: Path) -> None:
    losses = []
    for epochs in (1, 40):
        notes = Notes()
        begin(stripes, tmp_path / str(epochs), notes, pretrained=str(trained), epochs=1, head_epochs=epochs)
        (said,) = [sentence for sentence in notes.said if sentence.startswith("head:")]
        losses.append(float(said.partition("train loss ")[2].partition(",")[0]))
    assert losses[1] < losses[0] - 0.1


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_resumed_bit_equal_also_where_the_weights_are_gone(
    stop: int, stripes: Path, tmp_path: Path, trained: Path
) -> None:
    whole = begin(stripes, tmp_path / "whole", pretrained=str(trained))
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(trained.read_bytes())
    with pytest.raises(TrainError, match="T320"):
        begin(stripes, tmp_path / "broken", Notes(stop), pretrained=str(copy))
    copy.unlink()
    again = train.resume(tmp_path / "broken" / "train")
    for name in ("steps.csv", "predictions.csv", "weights/last.safetensors", "weights/best.safetensors"):
        assert (again / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize("moment", ["features", "head", "first step"])
def test_stopped_before_the_first_step(
    moment: str, stripes: Path, tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head is trained once, whenever somebody stops; the answer is that of a run that nobody stopped."""
    whole = begin(stripes, tmp_path / "whole", pretrained=str(trained))
    with monkeypatch.context() as patch:
        if moment == "first step":
            patch.setattr(loop, "_set_rates", _interrupted)
        else:
            name = "_features" if moment == "features" else "_learn"
            patch.setattr(transfer, name, _interrupted)
        with pytest.raises((TrainError, KeyboardInterrupt)):
            begin(stripes, tmp_path / "broken", pretrained=str(trained))
    notes = Notes()
    again = train.resume(tmp_path / "broken" / "train", reporter=notes)
    assert any(sentence.startswith("head:") for sentence in notes.said) == (moment != "first step")
    for name in ("steps.csv", "predictions.csv", "weights/last.safetensors", "weights/best.safetensors"):
        assert (again / name).read_bytes() == (whole / name).read_bytes(), name


def _interrupted(*args: Any, **options: Any) -> Any:
    raise KeyboardInterrupt


def test_ctrl_c_in_the_head_is_a_stop_that_can_be_resumed(
    stripes: Path, tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = transfer._learn

    def stopped(*args: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return learn(*args)

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "_learn", stopped)
        with pytest.raises(TrainError, match=r"T320\]: stopped by Ctrl-C after step 0; the state is saved"):
            begin(stripes, tmp_path, pretrained=str(trained))
    assert (train.resume(tmp_path / "train") / "metrics.json").exists()


def test_a_budget_in_time_that_the_head_uses_up(stripes: Path, tmp_path: Path, trained: Path) -> None:
    notes = Notes()
    folder = begin(stripes, tmp_path, notes, pretrained=str(trained), epochs=None, time="0.05s", head_epochs=10_000)
    (said,) = [sentence for sentence in notes.said if sentence.startswith("head:")]
    assert int(said.split()[1].replace(",", "")) < 10_000
    assert (folder / "weights/best.safetensors").exists()
    assert len((folder / "results.csv").read_text().splitlines()) >= 2


def test_of_many_pictures_some_of_every_class(
    stripes: Path, tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    learn = transfer._learn

    def watched(task: Any, head: Any, features: Any, targets: torch.Tensor, *rest: Any) -> Any:
        seen.append(targets)
        return learn(task, head, features, targets, *rest)

    monkeypatch.setattr(transfer, "_learn", watched)
    # 64 features of four bytes
    monkeypatch.setattr(transfer, "_MOST", 30 * 64 * 4)
    notes = Notes()
    begin(stripes, tmp_path, notes, pretrained=str(trained), epochs=1, precision="fp32")
    assert any("features of 30 pictures of 80" in sentence for sentence in notes.said)
    assert len(seen[0]) == 30 and len(seen[0].unique()) == 3


def test_networks_of_other_libraries_have_no_head_that_is_known(stripes: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"model": "torchvision:mobilenet_v3_small", "imgsz": 32, "epochs": 1, "head_epochs": None}
    first = begin(stripes, tmp_path / "a", **how)
    second = begin(stripes, tmp_path / "b", **how, pretrained=str(first))
    assert recipe.load(second / "args.yaml")[0].train.head_epochs == 0
    with pytest.raises(ConfigError, match=r"C204\]: --head-epochs is for dojang's own networks"):
        begin(stripes, tmp_path / "c", **how | {"head_epochs": 2}, pretrained=str(first))


def test_the_recipe_of_transfer_is_not_mixed_with_the_family_s() -> None:
    found = recipe.resolve([{"model": "mnist-mlp", "pretrained": "x"}])
    assert (found.train.momentum, found.train.schedule, found.task.loss) == (0.9, "cosine", "cross-entropy")
    assert recipe.resolve([{"model": "sprint", "pretrained": "x"}]).train.momentum == 0.9
    muon = recipe.resolve([{"model": "resnet18", "pretrained": "x", "optimizer": "muon"}])
    assert muon.train.early_lr == 1
    net = build("resnet20", in_channels=3, classes=4, image_size=(32, 32), seed=0)
    with pytest.raises(ConfigError, match=r"C204\]: --early-lr is not for muon"):
        optimizers.make(net, TrainOptions(optimizer="muon", lr=0.1, early_lr=0.5, weight_decay=0.1, momentum=0.9))


def test_a_sprint_keeps_its_stem(stripes: Path, tmp_path: Path) -> None:
    how: dict[str, Any] = {"model": "sprint-s", "imgsz": 28, "epochs": 1, "head_epochs": 0, "tta": "none"}
    first = begin(stripes, tmp_path / "a", **how)
    second = begin(stripes, tmp_path / "b", **how, pretrained=str(first), flip="vertical", val=20)
    stems = [weights.load(run / "weights/last.safetensors")[0]["whiten1.weight"] for run in (first, second)]
    assert torch.equal(*stems)


def test_a_model_that_was_trained_is_trained_on(stripes: Path, tmp_path: Path) -> None:
    import dojang

    model = dojang.Model("mnist-cnn")
    how: dict[str, Any] = {"project": str(tmp_path), "epochs": 1, "threads": 1, "val": 10, "batch_size": 20}
    first = model.train(str(stripes), conv_dims="4,4", hidden_dims="8", **how)
    notes = Notes()
    second = model.train(str(stripes), reporter=notes, **how)
    assert recipe.load(second.path / "args.yaml")[0].model.pretrained == str(first.path)
    assert any(sentence.startswith("head:") for sentence in notes.said)
    third = dojang.Model(str(first.path / "weights/best.safetensors")).train(str(stripes), **how)
    assert (
        weights.load(third.path / "weights/last.safetensors")[0].keys()
        == weights.load(first.path / "weights/last.safetensors")[0].keys()
    )
    with pytest.raises(ConfigError, match=r"C204\]: --pretrained is for networks that dojang builds"):
        dojang.Model(torch.nn.Linear(2, 2)).train(str(stripes), pretrained="auto", **how)


def test_a_run_begins_from_another_run(stripes: Path, tmp_path: Path) -> None:
    """The same classes: the head is kept, too."""
    first = begin(
        stripes, tmp_path, pretrained=None, head_epochs=0, model="mnist-cnn", conv_dims="4,4", hidden_dims="8"
    )
    notes = Notes()
    second = begin(
        stripes, tmp_path, notes, pretrained=str(first / "weights/last.safetensors"), model="auto", head_epochs=0
    )
    assert not [sentence for sentence in notes.said if sentence.startswith("pretrained:")]
    assert recipe.load(second / "args.yaml")[0].model.model == "mnist-cnn"


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"pretrained": "auto", "model": "auto"}, "C204", "--pretrained needs to know of which network"),
    ({"pretrained": "auto"}, "C247", "there are no weights of 'resnet20' in the cache"),
    ({"pretrained": "FILE", "model": "resnet32"}, "C204", "the weights are of resnet20, not of resnet32."),
    ({"pretrained": "FILE", "shortcut": "none"}, "C204", "--shortcut would make another network"),
    ({"pretrained": "net.pth"}, "C247", "dojang convert net.pth --model resnet20 --out net.safetensors"),
    ({"normalize": "weights"}, "C204", "--normalize weights is for weights to start from"),
]


@pytest.mark.parametrize(("options", "code", "said"), MISTAKES, ids=[said for _, _, said in MISTAKES])
def test_mistakes(options: dict[str, Any], code: str, said: str, stripes: Path, tmp_path: Path, trained: Path) -> None:
    options = {name: str(trained) if value == "FILE" else value for name, value in options.items()}
    with pytest.raises(ConfigError) as caught:
        begin(stripes, tmp_path, **options)
    assert caught.value.code == code
    assert said in str(caught.value)


def test_rates_by_depth() -> None:
    net = build("resnet20", in_channels=3, classes=4, image_size=(32, 32), seed=0)
    groups = optimizers.make(net, TrainOptions(lr=1e-3, early_lr=0.01, weight_decay=0.1, momentum=0.9)).param_groups
    shares: dict[str, float] = {}
    decays: dict[str, float] = {}
    names: dict[int, str] = {id(parameter): name for name, parameter in net.named_parameters()}
    for group in groups:
        for parameter in group["params"]:
            shares[names[id(parameter)]] = group["share"]
            decays[names[id(parameter)]] = group["weight_decay"]
    assert set(shares) == set(names.values())
    assert shares["conv1.weight"] == shares["bn1.weight"] == pytest.approx(0.01)
    assert shares["fc.weight"] == shares["fc.bias"] == 1
    assert decays["fc.weight"] == 0.1 and decays["fc.bias"] == decays["bn1.weight"] == 0
    row = [shares[name] for name in names.values()]
    assert row == sorted(row)
    # 20 layers with weights: equal ratios
    ratios = {round(b / a, 6) for a, b in itertools.pairwise(row) if b > a}
    assert ratios == {round(100 ** (1 / 19), 6)}
