"""Muon against its formulas in float64, its groups, and the two plainer kinds of step beside it."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dojang.models import build
from dojang.runs import recipe
from dojang.train.optimizers import Muon, make, orthogonal
from dojang.train.options import TrainOptions

SHAPES = [(6, 4, 3, 3), (6, 4, 3, 3), (40, 4, 3, 3), (5, 7), (9, 2)]


def options(**more: Any) -> TrainOptions:
    return recipe.resolve([{"optimizer": "muon", "precision": "fp32"} | more]).train


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def parameters(shapes: Sequence[tuple[int, ...]] = SHAPES, channels_last: bool = False) -> list[nn.Parameter]:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    found = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    return [nn.Parameter(p.contiguous(memory_format=layout) if p.ndim == 4 else p) for p in found]


def give_gradients(some: Sequence[nn.Parameter], step: int) -> list[Tensor]:
    """The same made-up gradients, in each parameter's own memory order, and given back in float64."""
    for i, p in enumerate(some):
        p.grad = torch.empty_like(p).copy_(numbers(*p.shape, seed=100 * step + i))
    return [p.grad.double() for p in some if p.grad is not None]


def muon(some: Sequence[nn.Parameter], lr: float = 0.05, momentum: float = 0.7, **group: Any) -> Muon:
    work = group.pop("work", torch.float32)
    return Muon([{"params": list(some)} | group], lr, momentum, work)


# The matrices


@pytest.mark.parametrize("shape", [(8, 8), (5, 20), (20, 5), (1, 9), (9, 1)])
@pytest.mark.parametrize(("dtype", "room"), [(torch.float32, 1e-4), (torch.bfloat16, 0.06)])
def test_singular_values_come_near_one_and_vectors_stay(
    shape: tuple[int, int], dtype: torch.dtype, room: float
) -> None:
    """The room is for rounding over five steps, in bf16 half a percent each time."""
    side = min(shape)
    u, _ = torch.linalg.qr(numbers(shape[0], side, seed=1).double())
    v, _ = torch.linalg.qr(numbers(shape[1], side, seed=2).double())
    values = torch.linspace(1, 0.1, side, dtype=torch.float64)
    matrix = u @ values.diag() @ v.T
    found = orthogonal(torch.stack([matrix, -7e3 * matrix, 1e-3 * matrix]).to(dtype), 5).double()
    assert found.shape == (3, *shape)
    # whatever the matrix's length
    for result, sign in zip(found, (1, -1, 1), strict=True):
        core = sign * (u.T @ result @ v)
        # the coefficients let go of exactness for speed: 0.68 to 1.13 by their own polynomial
        assert core.diagonal().min() > 0.65 and core.diagonal().max() < 1.25
        assert (core - core.diagonal().diag()).abs().max() < room
        assert (sign * result - u @ core @ v.T).abs().max() < room


def test_each_singular_value_follows_the_polynomial() -> None:
    """s <- 3.4445 s - 4.775 s^3 + 2.0315 s^5, from s over the length of all."""
    values = torch.tensor([3.0, 1.0, 0.2, 0.01], dtype=torch.float64)
    wanted = values / values.norm()
    for steps in range(6):
        found = orthogonal(values.diag()[None], steps)[0]
        torch.testing.assert_close(found, wanted.diag(), rtol=1e-5, atol=1e-7)
        wanted = 3.4445 * wanted - 4.775 * wanted**3 + 2.0315 * wanted**5


def test_a_stack_is_its_matrices_and_zero_stays_zero() -> None:
    stack = torch.cat([numbers(3, 6, 10, seed=0), torch.zeros(1, 6, 10)])
    together = orthogonal(stack, 5)
    for matrix, found in zip(stack, together, strict=True):
        torch.testing.assert_close(orthogonal(matrix[None], 5)[0], found, rtol=0, atol=1e-5)
    assert not together[3].any()


# Steps


def by_hand(
    values: list[Tensor], gradients: list[list[Tensor]], lr: float, m: float, decay: float, unit: bool, iterations: int
) -> list[Tensor]:
    """v = m v + g; u = g + m v as a matrix, by Newton-Schulz; w -= lr sqrt(max(1, rows / columns)) u."""
    found = []
    for i, first in enumerate(values):
        w = first.double().flatten(1)
        v = torch.zeros_like(w)
        for step in gradients:
            g = step[i].flatten(1)
            v = m * v + g
            x = g + m * v
            x = x / x.norm()
            for _ in range(iterations):
                x = 3.4445 * x - 4.775 * (x @ x.T) @ x + 2.0315 * (x @ x.T) @ (x @ x.T) @ x
            w = w * (w.shape[0] ** 0.5 / w.norm()) if unit else w * (1 - lr * decay)
            w = w - lr * max(1.0, w.shape[0] / w.shape[1]) ** 0.5 * x
        found.append(w.reshape(first.shape))
    return found


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    "group",
    [{}, {"weight_decay": 0.3}, {"unit": True, "iterations": 3}, {"unit": True, "weight_decay": 0.3}],
    ids=["plain", "decay", "sprint", "unit has no decay"],
)
def test_three_steps_by_hand(group: dict[str, Any], channels_last: bool) -> None:
    some = parameters(channels_last=channels_last)
    start = [p.detach().clone() for p in some]
    strides = [p.stride() for p in some]
    optimizer = muon(some, **group)
    given = []
    for step in range(3):
        given.append(give_gradients(some, step))
        optimizer.step()
    unit, decay = group.get("unit", False), group.get("weight_decay", 0.0)
    wanted = by_hand(start, given, 0.05, 0.7, decay, unit, group.get("iterations", 5))
    for p, value, stride in zip(some, wanted, strides, strict=True):
        # fp32, five steps of some hundred products each, small singular values enlarged by up to 3.4^5
        torch.testing.assert_close(p.detach().double(), value, rtol=0, atol=2e-4)
        assert p.stride() == stride
        state = optimizer.state[p]["momentum"]
        assert state.stride() == stride


def test_the_layout_in_memory_changes_nothing() -> None:
    """The order of a matrix's columns has no effect on its nearest orthogonal one."""
    results = []
    for channels_last in (False, True):
        some = parameters(SHAPES[:3], channels_last)
        optimizer = muon(some, unit=True)
        for step in range(3):
            give_gradients(some, step)
            optimizer.step()
        results.append([p.detach() for p in some])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_bf16_work_is_near() -> None:
    results = []
    for work in (torch.float32, torch.bfloat16):
        some = parameters()
        optimizer = muon(some, work=work)
        give_gradients(some, 0)
        optimizer.step()
        results.append([p.detach() - q.detach() for p, q in zip(some, parameters(), strict=True)])
        assert all(p.dtype == torch.float32 and optimizer.state[p]["momentum"].dtype == torch.float32 for p in some)
    for one, other in zip(*results, strict=True):
        assert 0 < float((one - other).norm() / one.norm()) < 0.1


def test_filters_have_unit_norm_before_a_step() -> None:
    """So the step's length alone says how far filters turn: a huge filter bank is shrunk, a tiny one grown."""
    p = nn.Parameter(1e4 * numbers(6, 4, 3, 3, seed=0))
    optimizer = muon([p], lr=1e-9, unit=True)
    give_gradients([p], 0)
    optimizer.step()
    assert float(p.detach().norm()) == pytest.approx(6**0.5, rel=1e-5)


def test_what_has_no_gradient_stays() -> None:
    some = parameters()
    optimizer = muon(some, unit=True)
    give_gradients(some, 0)
    some[0].grad = None
    before = some[0].detach().clone()
    optimizer.step()
    assert torch.equal(some[0].detach(), before)
    assert some[0] not in optimizer.state
    assert not torch.equal(some[1].detach(), parameters()[1].detach())


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_the_sgd_kind_is_torch_s(decay: float) -> None:
    some, others = parameters(), parameters()
    ours = muon(some, lr=0.1, kind="sgd", momentum=0.85, weight_decay=decay)
    theirs = torch.optim.SGD(others, lr=0.1, momentum=0.85, nesterov=True, weight_decay=decay)
    for step in range(4):
        give_gradients(some, step), give_gradients(others, step)
        ours.step(), theirs.step()
    for p, q in zip(some, others, strict=True):
        torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_the_adam_kind_is_torch_s_adamw(decay: float) -> None:
    some, others = parameters(), parameters()
    ours = muon(some, lr=0.02, kind="adam", weight_decay=decay)
    theirs = torch.optim.AdamW(others, lr=0.02, betas=(0.9, 0.999), eps=1e-8, weight_decay=decay)
    for step in range(4):
        give_gradients(some, step), give_gradients(others, step)
        ours.step(), theirs.step()
    for p, q in zip(some, others, strict=True):
        torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["muon", "sgd", "adam"])
def test_a_state_put_back_goes_on_to_the_same_bits(kind: str) -> None:
    some = parameters(SHAPES[:3], channels_last=True)
    optimizer = muon(some, kind=kind)
    for step in range(2):
        give_gradients(some, step)
        optimizer.step()
    others = [nn.Parameter(p.detach().clone()) for p in some]
    again = muon(others, kind=kind)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for step in range(2, 4):
        for ps, o in ((some, optimizer), (others, again)):
            give_gradients(ps, step)
            o.step()
    for p, q in zip(some, others, strict=True):
        assert torch.equal(p, q)
        for name, value in optimizer.state[p].items():
            held = again.state[q][name]
            assert held == value if isinstance(value, int) else torch.equal(held, value)


# Groups


def names_of(model: nn.Module, group: dict[str, Any]) -> list[str]:
    names = {id(p): name for name, p in model.named_parameters()}
    return [names[id(p)] for p in group["params"]]


def test_of_any_network_all_weights_but_the_last_are_filters() -> None:
    model = build.build("mnist-cnn", in_channels=1, classes=3, image_size=(10, 10), seed=0)
    optimizer = make(model, options(lr=0.03, weight_decay=0.2))
    assert isinstance(optimizer, Muon)
    filters, others = optimizer.param_groups
    assert names_of(model, filters) == ["conv1.weight", "conv2.weight", "fc1.weight"]
    assert names_of(model, others) == ["conv1.bias", "conv2.bias", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert (filters["kind"], filters["unit"], filters["iterations"]) == ("muon", False, 5)
    assert (filters["share"], filters["weight_decay"], filters["momentum"]) == (1.0, 0.2, 0.95)
    assert (others["kind"], others["share"], others["weight_decay"]) == ("adam", 0.05, 0.0)


def test_a_single_layer_is_adam_s() -> None:
    (group,) = make(nn.Linear(3, 2), options()).param_groups
    assert group["kind"] == "adam" and len(group["params"]) == 2


def test_muon_learns_with_any_network() -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    optimizer = make(model, options())
    for group in optimizer.param_groups:
        group["lr"] = 0.02 * group["share"]
    x, y = numbers(12, 1, 6, 6, seed=1), torch.arange(12) % 3
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("batch", [2000, 64])
def test_groups_of_sprint_are_those_of_the_record_recipe(batch: int) -> None:
    """That one sums its loss over a batch: lr 0.053 for biases, 0.67 / 256 for the head, decay 2e-6 batch / lr."""
    model = build.build("sprint", in_channels=3, classes=10, image_size=(32, 32), seed=0)
    layer = {"model": "sprint", "batch_size": batch, "precision": "fp32"}
    filters, norms, stem, head = make(model, recipe.resolve([layer]).train).param_groups
    assert names_of(model, filters) == [f"conv{i}.weight" for i in range(1, 7)]
    assert names_of(model, norms) == [f"bn{i}.bias" for i in range(1, 7)]
    assert names_of(model, stem) == ["whiten1.bias"] and names_of(model, head) == ["fc1.weight"]
    assert (filters["kind"], filters["unit"], filters["iterations"]) == ("muon", True, 3)
    assert (filters["share"], filters["momentum"], filters["weight_decay"]) == (1.0, 0.6, 0.0)
    rate = recipe.resolve([layer]).train.lr
    assert rate == 0.24
    for group, summed in ((norms, 0.053), (stem, 0.053), (head, 0.67 / 256**2)):
        assert (group["kind"], group["momentum"]) == ("sgd", 0.85)
        assert group["share"] * rate == pytest.approx(summed * batch)
        # decay a step, at the highest rate
        assert group["share"] * rate * group["weight_decay"] == pytest.approx(2e-6 * batch)
    assert [group["until"] for group in (filters, norms, stem, head)] == [1.0, 1.0, 0.375, 1.0]


@pytest.mark.parametrize(("precision", "work"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_matrices_are_made_in_the_precision_of_the_run(precision: str, work: torch.dtype) -> None:
    optimizer = make(nn.Linear(3, 2), options(precision=precision))
    assert isinstance(optimizer, Muon)
    assert optimizer.work == work


def test_torch_s_compiler_stays_out() -> None:
    """Importing it takes a second of every start; sprint needs it nowhere, from the network to the saved state."""
    code = """
import sys, torch
from dojang.models import build
from dojang.train import optimizers
from dojang.train.options import TrainOptions
net = build.build("sprint-s", in_channels=1, classes=3, image_size=(28, 28), seed=0)
build.architecture(net)
optimizer = optimizers.make(net, TrainOptions(optimizer="muon", lr=0.1, momentum=0.6))
net(torch.randn(4, 1, 28, 28)).sum().backward()
optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
optimizer.zero_grad()
print("torch._dynamo" in sys.modules, len(optimizer.state) > 0)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]
