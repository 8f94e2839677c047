"""Layers as autoencoders: what is learned, what stays, the bound no decoder beats, and runs that are killed within."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dojang import seeds
from dojang.data.loader import Pictures
from dojang.errors import ConfigError, TrainError
from dojang.models.build import build
from dojang.models.mlp import MLP, MLPConfig
from dojang.runs import priming, recipe, train
from dojang.train import autoencoder
from dojang.train.guard import Stop, Stopped
from dojang.train.log import Silent

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 1), np.uint8)


class Task:
    """Pixels between 0 and 1; nothing else is asked of it."""

    def collate(self, pictures: Pictures) -> Any:
        return SimpleNamespace(images=torch.from_numpy(pictures.pixels).permute(0, 3, 1, 2).float() / 255)


class Batches:
    def __init__(self, pixels: np.ndarray = PIXELS, size: int = 20) -> None:
        self.pixels, self.size = pixels, size

    def batches(self) -> Any:
        for first in range(0, len(self.pixels), self.size):
            yield Pictures(self.pixels[first : first + self.size], np.arange(self.size))


def pretrain(model: nn.Module, seed: int = 0, stop: Stop | None = None, **more: Any) -> autoencoder.Reconstruction:
    loader: Any = Batches(**more)
    task: Any = Task()
    return autoencoder.pretrain(task, model, loader, seed, stop or Stop())


def mlp(seed: int = 0, **options: Any) -> nn.Module:
    options = {"hidden_dims": (7, 5), "activation": "tanh", "init": "autoencoder"} | options
    return build("mlp", in_channels=1, classes=3, image_size=(6, 6), seed=seed, options=options)


def bits(model: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def test_it_is_greedy_training_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoencoder, "STEPS", 6)
    model, first = mlp(), mlp().state_dict()
    found = pretrain(model, seed=4)
    names = ["fc1", "fc2"]
    weight = {name: first[f"{name}.weight"].clone().requires_grad_() for name in names}
    bias = {name: first[f"{name}.bias"].clone().requires_grad_() for name in names}
    images = [torch.from_numpy(PIXELS[a : a + 20]).reshape(20, 36).float() / 255 for a in (0, 20)]
    turn, lost = 0, []
    for number, name in enumerate(names):
        torch.manual_seed(seeds.torch_seed(4, "autoencoder", number))
        decoder = nn.Linear(*weight[name].shape)
        parameters = [weight[name], bias[name], decoder.weight, decoder.bias]
        optimizer = torch.optim.Adam(parameters, lr=3e-3)
        for _ in range(6):
            x = images[turn % 2]
            turn += 1
            if number:
                x = torch.tanh(x @ weight["fc1"].T + bias["fc1"]).detach()
            again = decoder(torch.tanh(F.linear(x, weight[name], bias[name])))
            loss = ((again - x) ** 2).mean() / ((x - x.mean()) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        # over the last tenth of the steps: of six, the last one
        lost.append(float(loss.detach()))
    for name in names:
        torch.testing.assert_close(model.get_submodule(name).weight, weight[name], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(model.get_submodule(name).bias, bias[name], rtol=1e-4, atol=1e-6)
    assert found.layers == ("fc1", "fc2") and found.steps == (6, 6)
    np.testing.assert_allclose(found.lost, lost, rtol=1e-4)


def test_no_decoder_beats_principal_components(monkeypatch: pytest.MonkeyPatch) -> None:
    # what a linear decoder of k units gives back lies in k dimensions; a code that is bent reaches the bound nearly
    draw = np.random.default_rng(1)
    mixed = draw.uniform(0, 1, (40, 3)) @ draw.uniform(0, 80, (3, 36)) + draw.uniform(0, 12, (40, 36))
    pixels = mixed.astype(np.uint8).reshape(40, 6, 6, 1)
    rows = torch.from_numpy(pixels.reshape(40, 36)).double() / 255
    values = torch.linalg.svdvals(rows - rows.mean(dim=0)) ** 2
    for units in (1, 3):
        bound = float(values[units:].sum() / ((rows - rows.mean()) ** 2).sum())
        monkeypatch.setattr(autoencoder, "STEPS", 1500)
        found = pretrain(mlp(hidden_dims=(units,)), pixels=pixels, size=40)
        assert bound < found.lost[0] < bound + 0.2, units


def test_what_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoencoder, "STEPS", 3)
    model = mlp(batch_norm=True, dropout=0.5, activation="relu")
    model.get_submodule("drop2").eval()
    before, modes = bits(model), [module.training for module in model.modules()]
    torch.manual_seed(7)
    chance = torch.get_rng_state()
    pretrain(model)
    changed = {name for name, value in bits(model).items() if value != before[name]}
    assert changed == {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"} or changed == {"fc1.weight", "fc2.weight"}
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), chance)


def test_the_same_bits_for_the_same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoencoder, "STEPS", 3)
    made = []
    for seed in (0, 0, 1):
        model = mlp()
        pretrain(model, seed)
        made.append(bits(model))
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize(
    ("name", "options", "trained"),
    [
        ("mnist-cnn", {}, ["conv1", "conv2", "fc1"]),
        # rows at the end that no window reaches
        ("fashion-cnn", {}, ["conv1", "conv2", "conv3", "fc1"]),
        ("lenet-bn-fcn", {}, ["conv1", "conv2", "conv3"]),
        ("lenet-bn", {"activation": "maxout"}, ["conv1", "conv2", "fc1"]),
        ("mnist-cnn", {"kernel_size": 4, "activation": "elu"}, ["conv1", "conv2", "fc1"]),
        ("cifar-vgg", {"conv_dims": (3, 4), "batch_norm": True}, ["conv1", "conv2", "conv3", "conv4", "fc1"]),
    ],
)
def test_convolutions_of_all_kinds(
    name: str, options: dict[str, Any], trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoencoder, "STEPS", 2)
    side = 28 if name != "lenet-bn-fcn" else 20
    options = {"hidden_dims": (5,), "init": "autoencoder"} | options
    model = build(name, in_channels=1, classes=3, image_size=(side, side), seed=0, options=options)
    pixels = np.random.default_rng(0).integers(0, 256, (8, side, side, 1), np.uint8)
    before = bits(model)
    found = pretrain(model, pixels=pixels, size=4)
    assert list(found.layers) == trained == autoencoder.layers(model)
    assert all(np.isfinite(found.lost))
    after = bits(model)
    last = list(before)[-2].rpartition(".")[0]
    for layer in (*trained, last):
        assert (after[f"{layer}.weight"] != before[f"{layer}.weight"]) == (layer != last)


def test_a_convolution_learns_to_give_back(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(2)
    pixels = draw.integers(0, 256, (40, 6, 6, 1), np.uint8)
    options = {"conv_dims": (12,), "hidden_dims": (), "init": "autoencoder"}
    model = build("cnn", in_channels=1, classes=3, image_size=(6, 6), seed=0, options=options)
    monkeypatch.setattr(autoencoder, "STEPS", 10)
    early = pretrain(model, pixels=pixels).lost[0]
    model = build("cnn", in_channels=1, classes=3, image_size=(6, 6), seed=0, options=options)
    monkeypatch.setattr(autoencoder, "STEPS", 300)
    assert pretrain(model, pixels=pixels).lost[0] < 0.4 < 1 < early


@pytest.mark.parametrize("name", ["resnet18", "sprint", "squeezenet1_1"])
def test_networks_that_branch_are_refused(name: str) -> None:
    model = build(name, in_channels=1, classes=3, image_size=(32, 32), seed=0)
    with pytest.raises(ConfigError) as caught:
        autoencoder.layers(model)
    assert str(caught.value) == (
        "ConfigError[C204]: --init autoencoder trains layers that lie in a row, and those of "
        f"{name} do not, or are not dojang's own.\n  Fix: --init he, or --model cnn"
    )


def test_others_that_are_refused() -> None:
    with pytest.raises(ConfigError, match="those of Sequential do not"):
        autoencoder.layers(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)))
    with pytest.raises(ConfigError) as caught:
        autoencoder.layers(MLP(1, 10, (8, 8), MLPConfig(hidden_dims=())))
    assert str(caught.value) == (
        "ConfigError[C204]: --init autoencoder trains every layer but the last, and this network has one layer.\n"
        "  Fix: --init xavier, or --hidden-dims 128"
    )


def test_asked_to_stop_and_out_of_time() -> None:
    with pytest.raises(Stopped):
        pretrain(mlp(), stop=Stop(2))
    loader: Any = Batches()
    task: Any = Task()
    found = autoencoder.pretrain(task, mlp(), loader, 0, Stop(), seconds=-1.0)
    assert found.steps == (0, 0) and str(found) == "autoencoder: layers learned nothing: no time was left"


def test_said_in_words() -> None:
    found = autoencoder.Reconstruction(("conv1", "fc1"), (0.0234, 1.1), (200, 200))
    assert str(found) == "autoencoder: not given back of what a layer is given: conv1 2.3 %, fc1 110 %"
    assert autoencoder.words(mlp()) == "2 layers as autoencoders first, 200 steps of at most 128 pictures each"


# in a run

TINY: dict[str, Any] = {
    "model": "mnist-cnn",
    "conv_dims": "3,4",
    "hidden_dims": "6",
    "init": "autoencoder",
    "epochs": 1,
    "batch_size": 20,
    "threads": 1,
    "val": 30,
    "ema": 0.5,
}


class Hears(Silent):
    def __init__(self) -> None:
        self.said = list[str]()

    def note(self, text: str) -> None:
        self.said.append(text)


class KilledError(BaseException):
    """What no code catches."""


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoencoder, "STEPS", 4)
    monkeypatch.setattr("dojang.evaluate.curves.curves", lambda *tables: b"")
    monkeypatch.setattr("dojang.tasks.classify.pictures.confusion_matrix", lambda *matrix: b"")


def begin(data: Path, project: Path, reporter: Silent | None = None, **options: Any) -> Path:
    layer = recipe.read_layer(TINY | {"project": str(project)} | options, "test")
    return train.begin(str(data), [layer], reporter=reporter)


def left(folder: Path) -> dict[str, bytes]:
    names = ("steps.csv", "predictions.csv", "weights/best.safetensors", "weights/last.safetensors")
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.usefixtures("light")
def test_a_run_says_it_and_ends_with_the_same_bits_after_kills(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Hears()
    whole = left(begin(stripes, tmp_path / "whole", heard))
    assert any("3 layers as autoencoders first, 4 steps" in said for said in heard.said if said.startswith("plan: "))
    (line,) = [said for said in heard.said if said.startswith("autoencoder: ")]
    assert "conv1 " in line and " fc1 " in line and line.endswith(" s")
    assert left(begin(stripes, tmp_path / "he", init="he"))["steps.csv"] != whole["steps.csv"]

    plain, calls = autoencoder._train, list[int]()

    def dies(*arguments: Any) -> Any:
        calls.append(0)
        if len(calls) in (2, 5):
            raise KilledError
        return plain(*arguments)

    monkeypatch.setattr(autoencoder, "_train", dies)
    with pytest.raises(KilledError):
        begin(stripes, tmp_path / "killed")
    with pytest.raises(KilledError):
        train.resume(tmp_path / "killed" / "train")
    assert left(train.resume(tmp_path / "killed" / "train")) == whole


@pytest.mark.usefixtures("light")
def test_stopped_within_and_between_it_and_the_first_step(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = left(begin(stripes, tmp_path / "whole"))
    plain = priming.pretrain

    def stopped(*arguments: Any) -> Any:
        arguments[4].signal = 2
        return plain(*arguments)

    def late(*arguments: Any) -> Any:
        found = plain(*arguments)
        arguments[4].signal = 2
        return found

    for number, way in enumerate((stopped, late)):
        monkeypatch.setattr(priming, "pretrain", way)
        with pytest.raises(TrainError, match="stopped by Ctrl-C after step 0"):
            begin(stripes, tmp_path / str(number))
        monkeypatch.setattr(priming, "pretrain", plain)
        assert left(train.resume(tmp_path / str(number) / "train")) == whole


def test_a_budget_in_time_that_is_spent_before_the_first_step(stripes: Path, tmp_path: Path) -> None:
    heard = Hears()
    layer = {name: value for name, value in TINY.items() if name != "epochs"}
    layer = recipe.read_layer(layer | {"project": str(tmp_path), "time": "0.0001s"}, "test")
    run = train.begin(str(stripes), [layer], reporter=heard)
    assert "autoencoder: layers learned nothing: no time was left" in " ".join(heard.said)
    assert not (run / "steps.csv").exists() and (run / "results.png").exists() and (run / "metrics.json").exists()


@pytest.mark.usefixtures("light")
def test_a_run_of_a_network_that_branches_is_refused(stripes: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="those of resnet20 do not"):
        begin(stripes, tmp_path, model="resnet20", conv_dims=None, hidden_dims=None)
