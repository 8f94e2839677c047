"""Rows of layers in one go: the same as one after the other, and only where nobody looks between them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dojang.models import build, fusion
from dojang.native import blocks, compiler, convolution

needs_kernels = pytest.mark.skipif(not compiler.possible(), reason="no C compiler, or another OpenMP")


def gelu() -> nn.Module:
    return nn.GELU(approximate="tanh")


def pool() -> nn.Module:
    return nn.MaxPool2d(2)


def norm() -> nn.Module:
    return nn.BatchNorm2d(8, eps=1e-2, momentum=0.4)


def conv() -> nn.Module:
    return nn.Conv2d(8, 8, 3, padding=1)


# rows, and how many calls of the kernels each takes
ROWS: dict[str, tuple[list[Callable[[], nn.Module]], int]] = {
    "sprint": ([conv, pool, norm, gelu, conv, norm, gelu], 2),
    "cnn": ([conv, norm, nn.ReLU, pool, conv, norm, nn.ReLU, pool], 2),
    "pool last": ([conv, nn.SiLU, pool], 1),
    "notes": ([conv, nn.ReLU, pool, conv, nn.ReLU, pool], 2),
    "vgg": ([conv, nn.ReLU, norm, conv, nn.ReLU, norm, pool], 4),
    "lenet": ([conv, norm, pool, nn.ReLU], 2),
    "norm alone": ([conv, norm, conv], 1),
    "pool alone": ([conv, pool, conv], 0),
    "two norms": ([norm, norm], 2),
    "dropped": ([pool, norm, lambda: nn.Dropout(0.0), nn.SiLU], 2),
    "other kinds": ([lambda: nn.MaxPool2d(3, 2), nn.GELU, lambda: nn.BatchNorm2d(8, momentum=None), nn.Tanh], 0),
    "dense": ([pool, nn.ReLU, nn.Flatten, lambda: nn.Linear(8 * 5 * 4, 3), lambda: nn.BatchNorm1d(3), nn.ReLU], 1),
}


def row(name: str) -> list[nn.Module]:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        layers = [make() for make in ROWS[name][0]]
        for layer in layers:
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.2)
                nn.init.normal_(layer.bias)
    return [layer.to(memory_format=torch.channels_last) for layer in layers]


def pictures() -> Tensor:
    x = torch.randn(6, 8, 11, 9, generator=torch.Generator().manual_seed(1))
    return x.contiguous(memory_format=torch.channels_last)


def one_by_one(layers: list[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def trained(call: Any, layers: list[nn.Module], x: Tensor) -> dict[str, Tensor]:
    """Everything that a step leaves."""
    x = x.clone(memory_format=torch.preserve_format).requires_grad_(True)
    y = call(layers, x)
    slope = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    model = nn.Sequential(*layers)
    learned = dict(model.named_parameters())
    grads = torch.autograd.grad(y, [x, *learned.values()], slope)
    found = {"y": y.detach()} | {f"d {name}": grad for name, grad in zip(["x", *learned], grads, strict=True)}
    return found | dict(model.named_buffers())


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the kernels were called for."""
    found: list[str] = []
    real = blocks.fused

    def counted(x: Tensor, **more: Any) -> Tensor:
        found.append(more["act"])
        return real(x, **more)

    monkeypatch.setattr(blocks, "fused", counted)
    return found


@needs_kernels
@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_its_layers_one_after_the_other(name: str, calls: list[str]) -> None:
    layers = row(name)
    wanted = trained(one_by_one, copy.deepcopy(layers), pictures())
    assert calls == []
    found = trained(fusion.run, layers, pictures())
    assert len(calls) == ROWS[name][1]
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        # fp32 on both sides, sums of some hundred numbers in other orders, the larger ones of which cancel
        room = 1e-4 * max(1.0, float(value.abs().max()))
        torch.testing.assert_close(found[key], value, rtol=0, atol=room, msg=lambda m, k=key: f"{k}: {m}")


@needs_kernels
def test_relu_and_pooling_are_exchanged_without_changing_a_bit(calls: list[str]) -> None:
    layers, x = row("notes"), pictures()
    wanted = trained(one_by_one, copy.deepcopy(layers), x)
    found = trained(fusion.run, layers, x)
    assert calls == ["relu", "relu"]
    for key, value in wanted.items():
        assert torch.equal(found[key], value), key


@needs_kernels
def test_batches_are_counted(calls: list[str]) -> None:
    layers = row("sprint")
    for _ in range(3):
        fusion.run(layers, pictures())
    counts = [int(layer.num_batches_tracked) for layer in layers if isinstance(layer, nn.BatchNorm2d)]
    assert counts == [3, 3]
    assert len(calls) == 6


@needs_kernels
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("kind", ["forward", "before"])
def test_a_hook_sees_every_map(kind: str, place: int, calls: list[str]) -> None:
    layers, x = row("sprint")[:4], pictures()
    seen = []
    add = layers[place].register_forward_hook if kind == "forward" else layers[place].register_forward_pre_hook
    handle = add(lambda layer, *maps: seen.append(layer))
    fusion.run(layers, x)
    assert seen == [layers[place]]
    # the neighbours of a layer that is looked at may go together without it
    assert len(calls) <= 1
    handle.remove()
    calls.clear()
    fusion.run(layers, x)
    assert len(calls) == 1


@needs_kernels
def test_a_hook_on_the_way_back_is_called(calls: list[str]) -> None:
    layers, seen = row("sprint")[:4], []
    layers[2].register_full_backward_hook(lambda layer, *grads: seen.append(layer))
    fusion.run(layers, pictures()).sum().backward()
    assert seen == [layers[2]]


@needs_kernels
def test_only_training_takes_the_short_way(calls: list[str]) -> None:
    layers, x = row("sprint"), pictures()
    for layer in layers:
        layer.eval()
    assert torch.equal(fusion.run(layers, x), one_by_one(layers, x))
    assert calls == []
    # one frozen norm in a network that learns: its neighbours are run by themselves
    for layer in layers:
        layer.train()
    layers[2].eval()
    before = copy.deepcopy(layers[2].state_dict())
    fusion.run(layers[:4], x)
    assert all(torch.equal(value, before[name]) for name, value in layers[2].state_dict().items())
    layers[2].train()
    calls.clear()
    with torch.no_grad():
        fusion.run(layers, x)
    assert calls == []
    with compiler.using(False):
        fusion.run(layers, x)
    assert calls == []


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(3),
        nn.MaxPool2d(2, 1),
        nn.MaxPool2d(2, padding=1),
        nn.MaxPool2d(2, dilation=2),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.MaxPool2d(2, return_indices=True),
        nn.MaxPool2d((2, 1)),
        nn.AvgPool2d(2),
        nn.BatchNorm2d(3, momentum=None),
        nn.BatchNorm2d(3, track_running_stats=False),
        nn.InstanceNorm2d(3),
        nn.GELU(),
        nn.LeakyReLU(),
        nn.ReLU6(),
        nn.Flatten(),
    ],
    ids=repr,
)
def test_layers_of_other_kinds_are_left_alone(layer: nn.Module) -> None:
    assert fusion.match([layer, nn.ReLU()]) == (False, None, "none", 0)
    # behind a layer that is known they end the row
    assert fusion.match([nn.MaxPool2d((2, 2), (2, 2)), layer, nn.ReLU()])[2:] == ("none", 1)


def test_a_class_of_ones_own_is_left_alone() -> None:
    class Mine(nn.ReLU):
        def forward(self, x: Tensor) -> Tensor:
            return -x

    assert fusion.match([Mine()]) == (False, None, "none", 0)


@needs_kernels
def test_sprint_learns_the_same_with_and_without_kernels(calls: list[str]) -> None:
    net = build.build("sprint-s", in_channels=1, classes=4, image_size=(28, 28), seed=0)
    net.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    x = torch.randn(12, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    results = []
    for native in (True, False):
        twin = copy.deepcopy(net)
        with compiler.using(native):
            nn.functional.cross_entropy(twin(x), torch.arange(12) % 4).backward()
        grads = {name: p.grad for name, p in twin.named_parameters() if p.grad is not None}
        results.append(grads | dict(twin.named_buffers()))
    assert len(calls) == 7  # after the stem, and six convolutions
    assert len(results[0]) == 1 + 6 * 2 + 1 + 6 * 3
    for name, value in results[1].items():
        # rounding in fp32, carried through six layers
        gap = (results[0][name] - value).double().norm()
        assert gap <= 1e-4 * value.double().norm() + 1e-6, name


@pytest.mark.skipif(convolution._kernels() is None, reason="no C compiler, or a processor without AVX512-BF16")
def test_bf16_filters_have_fp32_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never rounded to bf16 on the way; everything else is as torch has it."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        layer = nn.Conv2d(8, 64, 3, padding=1, bias=False).to(memory_format=torch.channels_last)
    x, slope = pictures(), torch.randn(6, 64, 11, 9, generator=torch.Generator().manual_seed(3)).bfloat16()
    asked = []
    real = convolution.conv3x3
    monkeypatch.setattr(convolution, "conv3x3", lambda *given: asked.append(given) or real(*given))
    found = []
    for call in (fusion.run, one_by_one):
        with torch.autocast("cpu", torch.bfloat16):
            y = call([layer], x)
        layer.weight.grad = None
        y.backward(slope)
        found.append((y, layer.weight.grad))
    assert len(asked) == 1
    assert torch.equal(found[0][0], found[1][0])
    exact = torch.nn.grad.conv2d_weight(x.bfloat16().double(), layer.weight.shape, slope.double(), padding=1)
    errors = [float((grad.double() - exact).norm() / exact.norm()) for _, grad in found]
    assert errors[0] < 1e-5 < 1e-4 < errors[1]
    # in fp32, and where someone looks, the layer itself is called
    fusion.run([layer], x)
    layer.register_forward_hook(lambda *given: None)
    with torch.autocast("cpu", torch.bfloat16):
        fusion.run([layer], x)
    assert len(asked) == 1


@needs_kernels
@pytest.mark.parametrize("matrix_units", [True, False])
def test_one_channel_stays_in_fp32_where_bf16_would_be_slower(
    monkeypatch: pytest.MonkeyPatch, matrix_units: bool
) -> None:
    monkeypatch.setattr(compiler, "processor_has", lambda *words: matrix_units and words == ("amx_bf16",))
    one, three = nn.Conv2d(1, 4, 3), nn.Conv2d(3, 4, 3)
    seen: list[torch.dtype] = []
    for layer in (one, three):
        layer.register_forward_hook(lambda layer, given, y: seen.append(y.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        y = fusion.run([one], torch.ones(2, 1, 8, 8))
        fusion.run([three], torch.ones(2, 3, 8, 8))
    assert seen == [torch.float32 if matrix_units else torch.bfloat16, torch.bfloat16]
    # a rounding of the three that make it up
    torch.testing.assert_close(y.float(), one(torch.ones(2, 1, 8, 8)), rtol=0, atol=0.02)


@pytest.mark.skipif(convolution._kernels() is None, reason="no C compiler, or a processor without AVX512-BF16")
@pytest.mark.parametrize(
    "change",
    [
        {"bias": True},
        {"stride": 2},
        {"padding": 0},
        {"dilation": 2, "padding": 2},
        {"groups": 8},
        {"padding_mode": "reflect"},
        {"kernel_size": 5, "padding": 2},
    ],
    ids=str,
)
def test_other_convolutions_are_torch_s(change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*given: Any) -> Tensor:
        raise AssertionError("the kernel was called")

    monkeypatch.setattr(convolution, "conv3x3", never)
    layer = nn.Conv2d(
        **({"in_channels": 8, "out_channels": 64, "kernel_size": 3, "padding": 1, "bias": False} | change)
    )
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fusion.run([layer], pictures()), layer(pictures()))
