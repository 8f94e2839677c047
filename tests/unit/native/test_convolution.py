"""The gradient of 3x3 filters: the kernel against its twin, the twin against the definition as loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from dojang.native import compiler, convolution
from dojang.native.convolution import conv3x3, suits, twin, weight_gradient

has_kernel = convolution._kernels() is not None
needs_kernel = pytest.mark.skipif(not has_kernel, reason="no C compiler, or a processor without AVX512-BF16")


def numbers(*shape: int, seed: int) -> Tensor:
    """Numbers that bf16 has, channels last."""
    found = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()
    return found.contiguous(memory_format=torch.channels_last)


def error(found: Tensor, wanted: Tensor) -> float:
    return float((found.double() - wanted.double()).norm() / wanted.double().norm())


def in_float64(x: Tensor, grad: Tensor) -> Tensor:
    weight = torch.zeros(grad.shape[1], x.shape[1], 3, 3, dtype=torch.float64, requires_grad=True)
    y = torch.conv2d(x.double(), weight, padding=1)
    return torch.autograd.grad(y, weight, grad.double())[0]


def test_the_twin_is_the_definition() -> None:
    """The sum over pixels of grad[b, o, y, x] * map[b, i, y + ky - 1, x + kx - 1], zero outside."""
    x, grad = numbers(2, 3, 4, 5, seed=0), numbers(2, 2, 4, 5, seed=1)
    wide = torch.nn.functional.pad(x.double(), (1, 1, 1, 1))
    wanted = torch.zeros(2, 3, 3, 3, dtype=torch.float64)
    for ky in range(3):
        for kx in range(3):
            seen = wide[:, :, ky : ky + 4, kx : kx + 5]
            for o in range(2):
                for i in range(3):
                    wanted[o, i, ky, kx] = (grad[:, o].double() * seen[:, i]).sum()
    # fp32 sums of 40 products
    torch.testing.assert_close(twin(x, grad).double(), wanted, rtol=0, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    b=st.integers(1, 14),
    i=st.sampled_from([8, 16, 24]),
    o=st.sampled_from([32, 64]),
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    seed=st.integers(0, 99),
)
# pictures are worked on some at a time, as many as have 448 pixels: whole chunks, a rest, and one each
@example(b=24, i=8, o=32, h=5, w=5, seed=0)
@example(b=3, i=8, o=32, h=31, w=29, seed=0)
def test_the_kernel_is_its_twin(b: int, i: int, o: int, h: int, w: int, seed: int) -> None:
    x, grad = numbers(b, i, h, w, seed=seed), numbers(b, o, h, w, seed=seed + 1)
    before = x.clone(), grad.clone()
    found = weight_gradient(x, grad)
    assert found.dtype == torch.float32
    assert found.shape == (o, i, 3, 3)
    # products of bf16 are exact in fp32, whose sums of at most some thousand of them are off by 1e-6 or so
    wanted = in_float64(x, grad)
    assert error(found, wanted) < 1e-5
    assert error(twin(x, grad), wanted) < 1e-5
    assert torch.equal(x, before[0])
    assert torch.equal(grad, before[1])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_any_layout_will_do(layout: torch.memory_format) -> None:
    x, grad = numbers(3, 8, 6, 7, seed=0), numbers(3, 32, 6, 7, seed=1)
    found = weight_gradient(x.contiguous(memory_format=layout), grad.contiguous(memory_format=layout))
    assert error(found, in_float64(x, grad)) < 1e-5


@needs_kernel
@pytest.mark.parametrize("shape", [(24, 16, 64, 5, 5), (5, 24, 32, 12, 11), (2, 8, 32, 30, 31)])
def test_the_number_of_threads_changes_no_bit(shape: tuple[int, ...]) -> None:
    b, i, o, h, w = shape
    x, grad = numbers(b, i, h, w, seed=0), numbers(b, o, h, w, seed=1)
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(weight_gradient(x, grad))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@needs_kernel
def test_nan_goes_through() -> None:
    x, grad = numbers(2, 8, 5, 5, seed=0), numbers(2, 32, 5, 5, seed=1)
    x[1, 3, 2, 2] = float("nan")
    found = weight_gradient(x, grad)
    assert found[:, 3].isnan().all()
    assert int(found.isnan().sum()) == 32 * 9


@needs_kernel
def test_filters_that_it_is_for() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert suits(torch.zeros(64, 8, 3, 3))
        assert suits(torch.zeros(32, 16, 3, 3))
        # no whole tiles, other windows, less than one tile a thread
        for shape in ((64, 12, 3, 3), (48, 8, 3, 3), (64, 8, 5, 5), (64, 8, 1, 3), (64, 3, 3, 3), (32, 8, 3, 3)):
            assert not suits(torch.zeros(shape)), shape
        torch.set_num_threads(1)
        assert suits(torch.zeros(32, 8, 3, 3))
        with compiler.using(False):
            assert not suits(torch.zeros(64, 8, 3, 3))
    finally:
        torch.set_num_threads(before)


def test_switched_off_it_is_the_twin() -> None:
    x, grad = numbers(3, 8, 6, 7, seed=0), numbers(3, 32, 6, 7, seed=1)
    with compiler.using(False):
        assert torch.equal(weight_gradient(x, grad), twin(x, grad))


def test_the_convolution_is_torch_s_with_a_gradient_in_fp32() -> None:
    x = numbers(4, 16, 7, 9, seed=0).requires_grad_(True)
    weight = torch.randn(32, 16, 3, 3, generator=torch.Generator().manual_seed(3)).requires_grad_(True)
    grad = numbers(4, 32, 7, 9, seed=1)
    y = conv3x3(x, weight)
    low = weight.detach().bfloat16().requires_grad_(True)
    plain = torch.conv2d(x, low.contiguous(memory_format=torch.channels_last), padding=1)
    assert torch.equal(y, plain)
    grad_x, grad_weight = torch.autograd.grad(y, (x, weight), grad)
    plain_x, _ = torch.autograd.grad(plain, (x, low), grad)
    assert torch.equal(grad_x, plain_x)
    assert grad_weight.dtype == torch.float32
    assert error(grad_weight, in_float64(x.detach(), grad)) < 1e-5


def test_pictures_need_no_gradient() -> None:
    x, weight = numbers(2, 8, 5, 5, seed=0), torch.ones(32, 8, 3, 3, requires_grad=True)
    conv3x3(x, weight).sum().backward()
    assert weight.grad is not None
    assert error(weight.grad, in_float64(x, torch.ones(2, 32, 5, 5))) < 1e-5
