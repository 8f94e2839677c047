"""Optimizers by name: groups, defaults, and single steps against the rules written out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from dojang.errors import ConfigError
from dojang.models import build
from dojang.models.presets import PRESETS
from dojang.runs import recipe
from dojang.train.optimizers import OPTIMIZERS, Muon, make, penalised
from dojang.train.options import OPTIMIZER_DEFAULTS, TrainOptions

CLASSES = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "muon": Muon,
}


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def options(name: str, **more: Any) -> TrainOptions:
    return recipe.resolve([{"optimizer": name} | more]).train


def network() -> nn.Sequential:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


def test_every_name_there_is_can_be_chosen_and_has_its_table() -> None:
    assert set(OPTIMIZERS) == set(OPTIMIZER_DEFAULTS) == set(CLASSES)
    with pytest.raises(ConfigError, match=r"C203\]: unknown optimizer 'sdg'"):
        OPTIMIZERS["sdg"]


# Muon's groups are of another kind: tests/unit/train/test_muon.py
@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"muon"}))
def test_each_is_built_with_its_own_defaults(name: str) -> None:
    optimizer = make(network(), options(name))
    assert type(optimizer) is CLASSES[name]
    lr, momentum, decay = OPTIMIZER_DEFAULTS[name]
    weights, others = optimizer.param_groups
    assert weights["lr"] == others["lr"] == lr
    assert (weights["weight_decay"], others["weight_decay"]) == (decay, 0.0)
    if "betas" in weights:
        assert weights["betas"] == (momentum, 0.999)
    elif "momentum" in weights:
        assert weights["momentum"] == momentum
    else:
        assert momentum == 0.0


def test_the_table() -> None:
    assert OPTIMIZER_DEFAULTS == {
        "sgd": (0.1, 0.9, 5e-4),
        "adam": (1e-3, 0.9, 0.0),
        "adamw": (1e-3, 0.9, 0.01),
        "nadam": (1e-3, 0.9, 0.0),
        "radam": (1e-3, 0.9, 0.0),
        "rmsprop": (1e-3, 0.0, 0.0),
        "adagrad": (1e-2, 0.0, 0.0),
        "muon": (0.02, 0.95, 0.0),
    }


@pytest.mark.parametrize("name", CLASSES)
def test_each_learns(name: str) -> None:
    model = network()[3:]
    optimizer = make(model, options(name, lr=0.05))
    draw = torch.Generator().manual_seed(2)
    inputs, targets = torch.randn(12, 8, generator=draw), torch.arange(12) % 3
    found = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(float(loss.detach()))
    assert found[-1] < 0.8 * found[0]


def test_penalties_act_on_matrices_and_filters_only() -> None:
    model = network()
    names = {id(p): name for name, p in model.named_parameters()}
    assert [names[id(p)] for p in penalised(model)] == ["0.weight", "3.weight"]
    weights, others = make(model, options("sgd")).param_groups
    assert [names[id(p)] for p in weights["params"]] == ["0.weight", "3.weight"]
    assert [names[id(p)] for p in others["params"]] == ["0.bias", "1.weight", "1.bias", "3.bias"]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_parameter_of_every_preset_is_in_one_group(preset: str) -> None:
    model = build.build(preset, in_channels=1, classes=3, image_size=(28, 28), seed=0)
    learned = sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert sorted(id(p) for group in make(model, options("muon")).param_groups for p in group["params"]) == learned
    groups = make(model, options("adamw")).param_groups
    assert sorted(id(p) for group in groups for p in group["params"]) == learned
    for group, decay in zip(groups, (0.01, 0.0), strict=False):
        assert group["weight_decay"] == decay
        assert {p.ndim >= 2 for p in group["params"]} == {decay > 0}


def test_frozen_parameters_are_left_alone() -> None:
    model = network()
    model[0].requires_grad_(False)
    held = [id(p) for group in make(model, options("sgd")).param_groups for p in group["params"]]
    assert set(held) == {id(p) for p in model.parameters() if p.requires_grad}


def test_a_network_without_biases_has_one_group() -> None:
    optimizer = make(nn.Linear(3, 2, bias=False), options("sgd"))
    assert len(optimizer.param_groups) == 1


def gradients(model: nn.Module, step: int) -> dict[str, torch.Tensor]:
    """The same made-up gradient, on the network and given back in float64."""
    draw = torch.Generator().manual_seed(step)
    found = {}
    for name, p in model.named_parameters():
        p.grad = torch.randn(p.shape, generator=draw)
        found[name] = p.grad.double()
    return found


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("nesterov", [True, False])
def test_three_steps_of_sgd_by_hand(nesterov: bool, fused: bool) -> None:
    """v = m v + (g + d w); w -= lr (g + d w + m v) with Nesterov's momentum, lr v without. Sutskever et al., 2013."""
    lr, m = 0.05, 0.8
    model = network()
    optimizer = make(model, options("sgd", lr=lr, momentum=m, weight_decay=0.1, nesterov=nesterov, fused=fused))
    w = {name: p.detach().double() for name, p in model.named_parameters()}
    v = {name: torch.zeros_like(value) for name, value in w.items()}
    for step in range(3):
        g = gradients(model, step)
        optimizer.step()
        for name in w:
            d = 0.1 if w[name].ndim >= 2 else 0.0
            whole = g[name] + d * w[name]
            v[name] = whole if step == 0 else m * v[name] + whole
            w[name] = w[name] - lr * (whole + m * v[name] if nesterov else v[name])
    for name, p in model.named_parameters():
        assert torch.allclose(p.detach().double(), w[name], rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize("decoupled", [True, False])
def test_three_steps_of_adam_by_hand(decoupled: bool) -> None:
    """Algorithm 1 of arXiv:1412.6980; weight decay in the gradient, or (AdamW, arXiv:1711.05101) on the weight."""
    lr, b1, b2, d = 0.02, 0.7, 0.999, 0.1
    model = network()
    name_of = "adamw" if decoupled else "adam"
    optimizer = make(model, options(name_of, lr=lr, momentum=b1, weight_decay=d))
    w = {name: p.detach().double() for name, p in model.named_parameters()}
    first = {name: torch.zeros_like(value) for name, value in w.items()}
    second = {name: torch.zeros_like(value) for name, value in w.items()}
    for t in range(1, 4):
        g = gradients(model, t)
        optimizer.step()
        for name in w:
            decay = d if w[name].ndim >= 2 else 0.0
            gradient = g[name]
            if decoupled:
                w[name] = w[name] * (1 - lr * decay)
            else:
                gradient = gradient + decay * w[name]
            first[name] = b1 * first[name] + (1 - b1) * gradient
            second[name] = b2 * second[name] + (1 - b2) * gradient**2
            rate = lr * math.sqrt(1 - b2**t) / (1 - b1**t)
            w[name] = w[name] - rate * first[name] / (second[name].sqrt() + 1e-8 * math.sqrt(1 - b2**t))
    for name, p in model.named_parameters():
        assert torch.allclose(p.detach().double(), w[name], rtol=1e-5, atol=1e-6), name


def test_sgd_without_momentum_is_plain_and_asks_for_no_nesterov() -> None:
    model = network()
    optimizer = make(model, options("sgd", lr=0.5, momentum=0.0, weight_decay=0.0))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    g = gradients(model, 0)
    optimizer.step()
    for name, p in model.named_parameters():
        assert torch.allclose(p.detach(), before[name] - 0.5 * g[name].float(), atol=1e-6)
    assert not optimizer.param_groups[0]["nesterov"]
