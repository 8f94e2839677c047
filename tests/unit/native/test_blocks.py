"""The fused kernels against their twin in float64: answers, gradients, running statistics, what is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from dojang.native import blocks, compiler
from dojang.native.blocks import ACTIVATIONS, Norm, fused, twin

needs_kernels = pytest.mark.skipif(not compiler.possible(), reason="no C compiler, or another OpenMP")
EPS = 1e-2
# a number rounded to bf16 is off by at most 2^-8 of itself; fp32 sums of the few hundred numbers of unit size here are
# off by 1e-6 or so, times at most 1 / eps = 100 where the variance is next to nothing
ROUNDED = {torch.float32: 0.0, torch.bfloat16: 2.0**-8}
SUMS = 1e-4


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def norm_of(channels: int, kind: str, seed: int = 0) -> Norm | None:
    """A normalisation with all its parts ("weight+bias") or some ("bias", "weight", "bare"), or "none"."""
    if kind == "none":
        return None
    weight = 1 + 0.3 * numbers(channels, seed=seed + 1) if "weight" in kind else None
    bias = 0.5 * numbers(channels, seed=seed + 2) if "bias" in kind else None
    if kind == "bare":
        return Norm(None, None, None, None, 0.1, EPS)
    return Norm(
        weight, bias, 0.1 * numbers(channels, seed=seed + 3), 0.5 + numbers(channels, seed=seed + 4).abs(), 0.3, EPS
    )


def copied(norm: Norm | None, dtype: torch.dtype = torch.float32) -> Norm | None:
    if norm is None:
        return None
    parts = {name: getattr(norm, name) for name in ("weight", "bias", "mean", "var")}
    return replace(norm, **{name: part if part is None else part.to(dtype, copy=True) for name, part in parts.items()})


@dataclass
class Result:
    y: Tensor
    x: Tensor
    weight: Tensor | None
    bias: Tensor | None
    mean: Tensor | None
    var: Tensor | None


def both_ways(call: Any, x: Tensor, slope: Tensor, norm: Norm | None, pool: bool, act: str) -> Result:
    """The answer, its gradients for a given slope, and the statistics afterwards."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_(True)
    learned = [part.requires_grad_(True) for part in ((norm.weight, norm.bias) if norm else ()) if part is not None]
    y = call(x, pool=pool, norm=norm, act=act)
    grads = iter(torch.autograd.grad(y, [x, *learned], slope.to(y.dtype)))
    grad_x = next(grads)
    grad_weight, grad_bias = (next(grads) if norm and part is not None else None for part in
                              ((norm.weight, norm.bias) if norm else (None, None)))  # fmt: skip
    return Result(y.detach(), grad_x, grad_weight, grad_bias, norm.mean if norm else None, norm.var if norm else None)


def drawn(b: int, c: int, h: int, w: int, pool: bool, dtype: torch.dtype, seed: int) -> tuple[Tensor, Tensor]:
    """A channels-last map and a slope of its answer, as numbers that ``dtype`` has."""
    x = (numbers(b, c, h, w, seed=seed) + 0.5).to(dtype).contiguous(memory_format=torch.channels_last)
    rows, columns = (h // 2, w // 2) if pool else (h, w)
    slope = numbers(b, c, rows, columns, seed=seed + 10).to(dtype).contiguous(memory_format=torch.channels_last)
    return x, slope


def agree(found: Result, wanted: Result, dtype: torch.dtype) -> None:
    for name in ("y", "x"):
        low, high = getattr(found, name), getattr(wanted, name)
        assert low.dtype == dtype
        assert low.is_contiguous(memory_format=torch.channels_last)
        room = SUMS * max(1.0, float(high.abs().max()))
        torch.testing.assert_close(
            low.double(), high, rtol=ROUNDED[dtype], atol=room, msg=lambda m, n=name: f"{n}: {m}"
        )
    for name in ("weight", "bias", "mean", "var"):
        low, high = getattr(found, name), getattr(wanted, name)
        assert (low is None) == (high is None)
        if low is not None:
            assert low.dtype == torch.float32
            room = SUMS * max(1.0, float(high.detach().abs().max()))
            torch.testing.assert_close(
                low.detach().double(), high.detach(), rtol=0, atol=room, msg=lambda m, n=name: f"{n}: {m}"
            )


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@settings(max_examples=120, deadline=None)
@given(
    # pictures are summed four at a time, and 1024 numbers lie in an inner loop
    b=st.integers(1, 9),
    c=st.integers(1, 70),
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    pool=st.booleans(),
    act=st.sampled_from(ACTIVATIONS),
    kind=st.sampled_from(["weight+bias", "bias", "weight", "bare", "none"]),
    seed=st.integers(0, 99),
)
@example(b=5, c=1030, h=3, w=2, pool=False, act="gelu", kind="weight+bias", seed=0)
@example(b=2, c=1030, h=5, w=2, pool=True, act="gelu", kind="weight+bias", seed=0)
@example(b=9, c=1, h=31, w=17, pool=True, act="silu", kind="weight+bias", seed=0)
def test_fused_is_its_twin_in_float64(
    dtype: torch.dtype, b: int, c: int, h: int, w: int, pool: bool, act: str, kind: str, seed: int
) -> None:
    assume(b * (h // 2 * (w // 2) if pool else h * w) > 1)
    x, slope = drawn(b, c, h, w, pool, dtype, seed)
    norm = norm_of(c, kind, seed)
    exact, single = copied(norm, torch.float64), copied(norm)
    if act == "relu":
        # where its argument is next to 0 the slope is anybody's
        argument = twin(x.double(), pool=pool, norm=copied(norm, torch.float64), act="none").detach()
        assume(bool((argument.abs() > 1e-5).all()) or kind == "none")
    wanted = both_ways(twin, x.double(), slope.double(), exact, pool, act)
    assert blocks._kernels(x) is not None
    before = x.clone(), slope.clone()
    found = both_ways(fused, x, slope, single, pool, act)
    assert torch.equal(x, before[0])
    assert torch.equal(slope, before[1])
    if norm and single:
        for name in ("weight", "bias"):
            ours, theirs = getattr(single, name), getattr(norm, name)
            assert ours is None or torch.equal(ours.detach(), theirs)
    agree(found, wanted, dtype)


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_without_a_norm_relu_and_pooling_are_torch_s_bits(dtype: torch.dtype) -> None:
    """Ties too, of which bf16 has many: the gradient goes to the first of the largest."""
    x, slope = drawn(6, 33, 11, 8, True, dtype, 3)
    x = (x * 4).round() / 4
    found, wanted = (both_ways(call, x, slope, None, True, "relu") for call in (fused, twin))
    assert torch.equal(found.y, wanted.y)
    assert torch.equal(found.x, wanted.x)


@needs_kernels
def test_it_learns_though_its_input_does_not() -> None:
    """The first layer's map needs no gradient; weight and bias do."""
    x, slope = drawn(4, 5, 6, 6, True, torch.float32, 0)
    grads = []
    for call in (fused, twin):
        norm = copied(norm_of(5, "weight+bias"))
        assert norm is not None
        assert norm.weight is not None and norm.bias is not None
        norm.weight.requires_grad_(True), norm.bias.requires_grad_(True)
        call(x, pool=True, norm=norm, act="silu").backward(slope)
        grads.append((norm.weight.grad, norm.bias.grad))
    for found, wanted in zip(*grads, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=SUMS)


@needs_kernels
@pytest.mark.parametrize("scale", [False, True])
def test_a_fixed_scale_has_no_gradient(scale: bool) -> None:
    x, slope = drawn(4, 5, 6, 6, True, torch.float32, 0)
    norm = copied(norm_of(5, "weight+bias"))
    assert norm is not None
    assert norm.weight is not None and norm.bias is not None
    norm.weight.requires_grad_(scale), norm.bias.requires_grad_(True)
    fused(x, pool=True, norm=norm, act="gelu").backward(slope)
    assert (norm.weight.grad is not None) == scale
    assert norm.bias.grad is not None


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("pool", [True, False])
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype, act: str, pool: bool) -> None:
    x, slope = drawn(11, 19, 9, 7, pool, dtype, 5)
    results = []
    for count in (1, 2, 3):
        with threads(count):
            results.append(both_ways(fused, x, slope, copied(norm_of(19, "weight+bias")), pool, act))
    for other in results[1:]:
        for name in ("y", "x", "weight", "bias", "mean", "var"):
            assert torch.equal(getattr(results[0], name), getattr(other, name)), name


NAN = float("nan")


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("act", ["relu", "gelu", "silu"])
def test_nan_goes_through_an_activation(dtype: torch.dtype, act: str) -> None:
    """Compiled for speed, comparisons do not know NaN; a network that diverges must not look well."""
    for channels in (1, 5, 16, 37):
        x, _ = drawn(3, channels, 4, 6, False, dtype, 1)
        x[1, channels // 2, 2, 3] = NAN
        found = fused(x, pool=False, norm=None, act=act)
        assert torch.equal(found.isnan(), x.isnan())


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_nan_goes_through_pooling(dtype: torch.dtype, act: str) -> None:
    for channels in (1, 5, 16, 37):
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            x, _ = drawn(3, channels, 4, 6, True, dtype, 1)
            x[1, channels // 2, down, 2 + right] = NAN
            found = fused(x, pool=True, norm=None, act=act)
            assert torch.equal(found.isnan(), twin(x, pool=True, norm=None, act=act).isnan())
            assert int(found.isnan().sum()) == 1


@needs_kernels
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_nan_spoils_its_channel_and_no_other(dtype: torch.dtype, pool: bool, act: str) -> None:
    """The statistics are of the batch; the running ones are lost too, as they are in torch."""
    x, slope = drawn(3, 37, 4, 6, pool, dtype, 1)
    x[1, 20, 2, 3] = NAN
    norm = copied(norm_of(37, "weight+bias"))
    found = both_ways(fused, x, slope, norm, pool, act)
    for values in (found.y, found.x):
        assert values[:, 20].isnan().any() and values[:, 20].isnan().sum() == values.isnan().sum()
    assert found.y[:, 20].isnan().all()
    for statistic in (found.weight, found.mean, found.var):
        assert statistic is not None
        assert statistic.isnan().nonzero().flatten().tolist() == [20]


@needs_kernels
@pytest.mark.parametrize("act", ["gelu", "silu", "relu"])
def test_large_and_tiny_arguments(act: str) -> None:
    """The exponential is cut off at 87, where the answer is 0 or the argument itself to the last bit but one."""
    x = torch.tensor([-3e4, -300.0, -88.0, -20.0, -1e-3, -1e-30, 0.0, 1e-30, 1e-3, 20.0, 88.0, 300.0, 3e4])
    x = x.reshape(1, 1, 1, -1).contiguous(memory_format=torch.channels_last)
    slope = torch.ones_like(x)
    found, wanted = (
        both_ways(call, x.to(kind), slope, None, False, act)
        for call, kind in ((fused, torch.float32), (twin, torch.float64))
    )
    torch.testing.assert_close(found.y.double(), wanted.y, rtol=1e-6, atol=1e-30)
    # 3e4 cubed is beyond the polynomial's room in neither
    torch.testing.assert_close(found.x.double(), wanted.x, rtol=1e-5, atol=1e-6)


def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the kernels may not be called."""

    def never(*args: Any) -> Tensor:
        raise AssertionError("the kernels were called")

    monkeypatch.setattr(blocks._Fused, "apply", never)


@pytest.mark.parametrize("why", ["contiguous", "float64", "float16", "half a norm", "switched off"])
def test_what_the_kernels_are_not_for_is_left_to_the_twin(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    plain(monkeypatch)
    x, slope = drawn(4, 5, 6, 6, True, torch.float32, 0)
    norm = norm_of(5, "weight+bias")
    if why == "contiguous":
        x = x.contiguous()
    elif why == "float64":
        x, norm = x.double(), copied(norm, torch.float64)
    elif why == "float16":
        x, norm = x.half(), None
    elif why == "half a norm":
        x, norm = x.bfloat16(), copied(norm, torch.bfloat16)
    with compiler.using(why != "switched off"):
        found, wanted = (both_ways(call, x, slope, copied(norm, norm.weight.dtype) if norm else None, True, "gelu")
                         for call in (fused, twin))  # fmt: skip
    assert torch.equal(found.y, wanted.y)
    assert torch.equal(found.x, wanted.x)


def test_what_torch_refuses_is_refused_in_its_words() -> None:
    x = torch.ones(1, 3, 1, 1).contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        fused(x, pool=False, norm=norm_of(3, "bias"), act="relu")
    x = torch.ones(1, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        fused(x, pool=True, norm=norm_of(3, "bias"), act="relu")
    with pytest.raises(RuntimeError, match="Output size is too small"):
        fused(x[:, :, :1], pool=True, norm=None, act="relu")
    assert fused(x[:0], pool=True, norm=None, act="relu").shape == (0, 3, 1, 1)
