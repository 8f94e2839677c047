"""3x3 convolutions of bf16 training on a CPU with AVX512-BF16, with a faster gradient of the weights.

Forward and data gradient are torch's (oneDNN's), which run near the processor's rate; its weight gradient does not,
most of all on small maps.  The kernel is in convolution.c; its sums are fp32 throughout.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from jaxtyping import BFloat16, Float32
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_weight

from dojang.native import compiler

_IN, _OUT = 8, 32


def suits(weight: Tensor) -> bool:
    """Whether the kernel is there and made for filters of this shape: 3x3, enough channels to divide the work by."""
    outputs, inputs, height, width = weight.shape
    if (height, width) != (3, 3) or inputs % _IN or outputs % _OUT:
        return False
    tiles, threads = inputs // _IN * (outputs // _OUT), torch.get_num_threads()
    return (tiles % threads == 0 or tiles >= 4 * threads) and _kernels() is not None


def conv3x3(x: BFloat16[Tensor, "b i h w"], weight: Float32[Tensor, "o i 3 3"]) -> BFloat16[Tensor, "b o h w"]:
    """The convolution with stride 1 and padding 1, of a bf16 map with fp32 filters that are rounded to bf16.

    Args:
        weight: Filters that :func:`suits` said yes to; their gradient is fp32, never rounded to bf16.
    """
    out: Tensor = _Conv3x3.apply(x, weight)
    return out


def weight_gradient(x: BFloat16[Tensor, "b i h w"], grad: BFloat16[Tensor, "b o h w"]) -> Float32[Tensor, "o i 3 3"]:
    """The gradient of the filters from a map and the gradient of the convolution's answer."""
    kernels = _kernels()
    if kernels is None:
        return twin(x, grad)
    x, grad = (t.contiguous(memory_format=torch.channels_last) for t in (x, grad))
    b, inputs, height, width = x.shape
    outputs = grad.shape[1]
    out = torch.empty((outputs, inputs, 3, 3), memory_format=torch.channels_last)
    sides = [ctypes.c_int64(side) for side in (height, width, inputs, outputs)]
    space = torch.empty(kernels.weight_gradient_space(*sides), dtype=torch.uint8)
    places = [ctypes.c_void_p(t.data_ptr()) for t in (x, grad, out, space)]
    kernels.weight_gradient(*places[:2], ctypes.c_int64(b), *sides, *places[2:], torch.get_num_threads())
    return out


def twin(x: Tensor, grad: Tensor) -> Float32[Tensor, "o i 3 3"]:
    """The same as :func:`weight_gradient` by torch's own operator, in fp32."""
    shape = (grad.shape[1], x.shape[1], 3, 3)
    found: Tensor = conv2d_weight(x.float(), shape, grad.float(), padding=1)  # type: ignore[no-untyped-call]
    return found


def _kernels() -> ctypes.CDLL | None:
    """The library, where the processor has what it is made of."""
    found = compiler.library("convolution")
    if found is None or not hasattr(found, "weight_gradient"):
        return None
    found.weight_gradient_space.restype = ctypes.c_int64
    return found


class _Conv3x3(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        low = weight.to(torch.bfloat16, memory_format=torch.channels_last)
        ctx.save_for_backward(x, low)
        return torch.conv2d(x, low, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, low = ctx.saved_tensors
        grad_x = None
        if ctx.needs_input_grad[0]:
            ones, no = [1, 1], [0, 0]
            wanted = [True, False, False]
            grad_x = torch.ops.aten.convolution_backward(
                grads[0], x, low, None, ones, ones, ones, False, no, 1, wanted
            )[0]
        return grad_x, weight_gradient(x, grads[0])
