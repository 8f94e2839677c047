"""A look into layers: held against a forward and backward pass written out, and what is known of depth and starts."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dojang.models.build import build
from dojang.study import layers
from dojang.study.layers import Layer, look

DRAW = torch.Generator().manual_seed(0)
IMAGES = torch.randn(64, 1, 10, 10, generator=DRAW)
TARGETS = torch.arange(64) % 10


def loss(model: nn.Module) -> Tensor:
    return F.cross_entropy(model(IMAGES), TARGETS)


def make(name: str = "mlp", side: int = 10, seed: int = 0, **options: Any) -> nn.Module:
    return build(name, in_channels=1, classes=10, image_size=(side, side), seed=seed, options=options)


def deep(activation: str, init: str, **more: Any) -> list[Layer]:
    return list(look(make(hidden_dims=(100,) * 10, activation=activation, init=init, **more), loss))


def stds(found: list[Layer]) -> list[float]:
    return [one.std for one in found if one.kind == "activation"]


def gradients(found: list[Layer] | tuple[Layer, ...]) -> list[float]:
    return [one.weight_gradient for one in found if one.weight_gradient is not None]


# against loops


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "maxout"])
def test_a_dense_network_written_out(activation: str) -> None:
    model = make(hidden_dims=(6, 5), activation=activation, init="xavier")
    found = look(model, loss)
    state = {name: value.detach().clone().requires_grad_() for name, value in model.state_dict().items()}
    x, given = IMAGES.flatten(1), list[Tensor]()
    for number in (1, 2, 3):
        x = x @ state[f"fc{number}.weight"].T + state[f"fc{number}.bias"]
        given.append(x)
        if number < 3:
            if activation == "maxout":
                half = x.shape[1] // 2
                x = torch.where(x[:, :half] > x[:, half:], x[:, :half], x[:, half:])
            else:
                x = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}[activation](x)
            given.append(x)
    for one in given:
        one.retain_grad()
    F.cross_entropy(x, TARGETS).backward()
    word = activation.replace("-", "_")
    assert [one.name for one in found] == ["fc1", f"{word}1", "fc2", f"{word}2", "fc3"]
    assert [one.kind for one in found] == ["weights", "activation"] * 2 + ["weights"]
    for one, tensor in zip(found, given, strict=True):
        rows = tensor.detach().double().tolist()
        numbers = [value for row in rows for value in row]
        mean = sum(numbers) / len(numbers)
        within = 0.0
        for unit in range(len(rows[0])):
            column = [row[unit] for row in rows]
            own = sum(column) / len(column)
            within += sum((value - own) ** 2 for value in column) / len(column)
        grads = [value for row in tensor.grad.double().tolist() for value in row]  # type: ignore[union-attr]
        expected = {
            "mean": mean,
            "std": math.sqrt(sum((value - mean) ** 2 for value in numbers) / len(numbers)),
            "signal": math.sqrt(within / len(rows[0])),
            "gradient": math.sqrt(sum(value**2 for value in grads) / len(grads)),
        }
        assert one.units == len(rows[0]) and len(one.values) == len(numbers)
        for name, value in expected.items():
            assert getattr(one, name) == pytest.approx(value, rel=1e-4, abs=1e-7), (one.name, name)
        if one.kind == "weights":
            weight = state[f"{one.name}.weight"]
            assert one.weight_gradient == pytest.approx(float(weight.grad.square().mean().sqrt()), rel=1e-4)  # type: ignore[union-attr]
            assert one.weight_std == pytest.approx(float(weight.detach().std(unbiased=False)), rel=1e-5)
            assert one.dead is one.saturated is None
            continue
        dead = [all(row[unit] == 0 for row in rows) for unit in range(len(rows[0]))]
        assert one.dead == pytest.approx(sum(dead) / len(dead))
        if activation == "sigmoid":
            assert one.saturated == pytest.approx(sum(v < 0.01 or v > 0.99 for v in numbers) / len(numbers))
        elif activation == "tanh":
            assert one.saturated == pytest.approx(sum(abs(v) > 0.98 for v in numbers) / len(numbers))
        else:
            assert one.saturated is None


def test_dead_units_of_maps() -> None:
    model = make("cnn", conv_dims=(4,), hidden_dims=(), batch_norm=False)
    conv = model.get_submodule("conv1")
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None
    with torch.no_grad():
        conv.bias[1] = -100.0  # gives 0 everywhere
    (relu,) = [one for one in look(model, loss) if one.kind == "activation"]
    assert relu.dead == 0.25 and relu.units == 4


def test_the_network_is_left_as_it_was() -> None:
    model = make("cnn", dropout=0.5).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    chance = torch.get_rng_state()
    first = look(model, loss)
    assert not model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(layer._forward_hooks for layer in model.modules())
    assert torch.equal(torch.get_rng_state(), chance)
    # dropout is off: the same again
    assert [one.as_dict() for one in look(model, loss)] == [one.as_dict() for one in first]


def test_layers_used_twice_or_overwriting_what_they_are_given() -> None:
    class Own(nn.Module):
        def __init__(self, inplace: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.fc, self.relu = nn.Linear(100, 100), nn.ReLU(inplace=inplace)
            self.last = nn.Linear(100, 10)
            self.fc.weight.requires_grad_(False)

        def forward(self, x: Tensor) -> Tensor:
            x = self.relu(self.fc(x.flatten(1)))
            y: Tensor = self.last(self.relu(self.fc(x)))
            return y

    found = look(Own(True), loss)
    assert [one.as_dict() for one in found] == [one.as_dict() for one in look(Own(False), loss)]
    assert [one.name for one in found] == ["fc", "relu", "fc#2", "relu#2", "last"]
    fc, relu = found[:2]
    # what lies before the activation has negative numbers, whatever is overwritten; a frozen layer has a gradient, too
    assert fc.values.min() < 0 == relu.values.min() and fc.weight_gradient is not None and fc.weight_gradient > 0


def test_many_numbers_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {one.name: one for one in look(make(), loss)}
    monkeypatch.setattr(layers, "SAMPLE", 500)
    for one in look(make(), loss):
        assert len(one.values) == 500 and one.std == whole[one.name].std
        assert set(one.values.tolist()) <= set(whole[one.name].values.tolist())


def test_what_is_not_finite_is_not_written() -> None:
    model = make(hidden_dims=(4,))
    with torch.no_grad():
        model.get_parameter("fc1.weight").fill_(math.inf)
    found = look(model, loss)
    assert found[0].as_dict()["std"] is None
    edges = layers.shared_edges(found)
    assert np.isfinite(edges).all() and (np.diff(edges) > 0).all()


# what is known


@pytest.mark.parametrize("init", ["normal", "default", "xavier"])
def test_gradients_vanish_through_ten_layers_of_sigmoids(init: str) -> None:
    # sigmoid' is at most 1/4, and weights of N(0, .02) shrink what is left
    found = gradients(deep("sigmoid", init))
    assert found[-1] > 100 * found[0]
    assert all(one < other for one, other in pairwise(found[:10]))


def test_all_is_lost_between_pictures_though_units_differ() -> None:
    found = [one for one in deep("sigmoid", "normal") if one.kind == "activation"]
    assert found[-1].std > found[1].std / 3 and found[-1].signal < found[1].signal / 1e5


def test_weights_of_0_to_1_saturate() -> None:
    found = [one for one in deep("sigmoid", "uniform") if one.kind == "activation"]
    # 100 inputs of mean 1/2 and weights of mean 1/2 make 25: sigmoid(25) is 1
    assert all(one.saturated == 1 for one in found[2:])
    scaled = [one for one in deep("sigmoid", "xavier") if one.kind == "activation"]
    assert all(one.saturated is not None and one.saturated < 0.05 for one in scaled)


def test_he_keeps_the_spread_through_relu() -> None:
    found = stds(deep("relu", "he"))
    assert max(found) < 2 * min(found)
    # Xavier's lets half of it go in each layer: 2 ** (10 / 2)
    assert stds(deep("relu", "xavier"))[0] / stds(deep("relu", "xavier"))[-1] > 8


def test_xavier_keeps_the_spread_through_tanh_where_tanh_is_straight() -> None:
    model = make(hidden_dims=(100,) * 10, activation="tanh", init="xavier")
    small = list(look(model, lambda m: F.cross_entropy(m(0.1 * IMAGES), TARGETS)))
    assert max(stds(small)) < 2 * min(stds(small)) and max(gradients(small)[:-1]) < 2 * min(gradients(small)[:-1])
    # of numbers as large as 1 tanh takes a little each time
    large = stds(deep("tanh", "xavier"))
    assert 2 < large[0] / large[-1] < 4
    assert large == sorted(large, reverse=True)


@pytest.mark.parametrize("init", ["uniform", "normal", "default", "xavier", "he"])
def test_batch_norm_keeps_the_spread_whatever_the_start(init: str) -> None:
    found = stds(deep("relu", init, batch_norm=True))
    # weights of one sign make all units alike, and these grow a little
    assert max(found) < (2 if init == "uniform" else 1.1) * min(found)
    # of a normal number, the larger of it and 0 has the deviation sqrt(1/2 - 1/(2 pi))
    assert init == "uniform" or found[-1] == pytest.approx(math.sqrt(0.5 - 0.5 / math.pi), rel=0.06)


def test_shortcuts_keep_the_gradients_of_a_deep_network_alike() -> None:
    def between(shortcut: str) -> float:
        grads = gradients(look(make("resnet56", side=10, shortcut=shortcut), loss))
        # of the 3x3 convolutions with 16 channels: the same shapes, so nothing but depth differs
        return grads[1] / grads[18]

    plain, residual = between("none"), between("simple")
    # behind batch norm the gradient of a plain network grows from layer to layer on its way back
    assert plain > 3 * residual
    assert 0.5 < residual < 4
