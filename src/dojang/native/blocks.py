"""Pooling, batch normalisation and activation as one operation, forward and backward, in bf16 or fp32 on the CPU.

Eager torch reads and writes a map once or twice for each of the three, in both directions; the kernels in blocks.c need
two passes for all.  Where they cannot run, :func:`twin` does the same with torch's own operators.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from dojang.native import compiler

# the order of the enum in blocks.c
ACTIVATIONS = ("relu", "gelu", "silu", "none")
# elements in the kernels' inner loops: long enough to be worth starting, short enough for the first cache
_SPAN = 1024
# pictures whose sums are made together: the same for any number of threads
_GROUP = 4
# the kernels' sums lie on the stack
_MOST_CHANNELS = 16_384


@dataclass(frozen=True)
class Norm:
    """A batch normalisation: what it learns, what it remembers, and how.

    Args:
        weight, bias: fp32 (c,); None stands for ones and zeros.
        mean, var: The running statistics, fp32 (c,), changed in place; None keeps none.
        momentum: Share of a batch in the running statistics.
        eps: Added to the variance.
    """

    weight: Tensor | None
    bias: Tensor | None
    mean: Tensor | None
    var: Tensor | None
    momentum: float
    eps: float


def fused(x: Float[Tensor, "b c h w"], *, pool: bool, norm: Norm | None, act: str) -> Float[Tensor, "b c i j"]:
    """2x2 max-pooling, then normalisation by the batch, then an activation; each of the first two may be absent.

    Args:
        x: A map; channels_last in memory for the kernels, which bf16 and fp32 on the CPU have.
        pool: Whether to pool, at stride 2; an odd last row or column is left out.
        norm: The normalisation, in training mode.
        act: One of :data:`ACTIVATIONS`; "gelu" is its tanh form.

    Example:
        >>> x = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> fused(x, pool=True, norm=None, act="relu").flatten().tolist()
        [5.0, 7.0, 13.0, 15.0]
    """
    kernels = _kernels(x) if norm is None or _all_fp32(norm) else None
    b, c, h, w = x.shape
    # what torch refuses (an empty map, a variance of one value), it is to refuse in its own words
    if kernels is None or c > _MOST_CHANNELS or b * (h * w if not pool else (h // 2) * (w // 2)) <= 1:
        return twin(x, pool=pool, norm=norm, act=act)
    weight, bias = (norm.weight, norm.bias) if norm else (None, None)
    out: Tensor = _Fused.apply(x, weight, bias, pool, norm, act, kernels)
    return out


def twin(x: Float[Tensor, "b c h w"], *, pool: bool, norm: Norm | None, act: str) -> Float[Tensor, "b c i j"]:
    """The same as :func:`fused` by torch's operators, one after the other."""
    if pool:
        x = F.max_pool2d(x, 2)
    if norm:
        x = F.batch_norm(x, norm.mean, norm.var, norm.weight, norm.bias, True, norm.momentum, norm.eps)
    if act == "relu":
        return F.relu(x)
    if act == "gelu":
        return F.gelu(x, approximate="tanh")
    return F.silu(x) if act == "silu" else x


def _all_fp32(norm: Norm) -> bool:
    found = (norm.weight, norm.bias, norm.mean, norm.var)
    return all(t is None or (t.dtype == torch.float32 and t.is_contiguous()) for t in found)


def _kernels(x: Tensor) -> ctypes.CDLL | None:
    """The kernels for a map, where there are any."""
    if x.device.type != "cpu" or not x.is_contiguous(memory_format=torch.channels_last):
        return None
    if x.dtype == torch.bfloat16:
        return compiler.library("blocks", "BF16")
    return compiler.library("blocks") if x.dtype == torch.float32 else None


class _Fused(torch.autograd.Function):
    """With v the pooled map: z = v * factor + shift per channel, and y = act(z)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        pool: bool,
        norm: Norm | None,
        act: str,
        kernels: ctypes.CDLL,
    ) -> Tensor:
        b, c, h, w = x.shape
        threads = torch.get_num_threads()
        rows, columns = (h // 2, w // 2) if pool else (h, w)
        pixels, groups = b * rows * columns, -(-b // _GROUP)
        span = max(_SPAN // c, 1) * c
        v, place, mean, scale = x, None, None, None
        sums = torch.empty(groups, 2, c)
        if pool:
            v = torch.empty((b, c, rows, columns), dtype=x.dtype, memory_format=torch.channels_last)
            place = torch.empty(pixels * c, dtype=torch.uint8)
        if pool or norm:
            kernels.pool_sums(
                _at(x), _n(b), _n(h), _n(w), _n(c), 2 if pool else 1, _at(v), _at(place), _n(_GROUP), _at(sums), threads
            )
        factor, shift = torch.empty(span), torch.empty(span)
        if norm:
            mean, scale = torch.empty(c, dtype=torch.float64), torch.empty(c, dtype=torch.float64)
            kernels.tables(
                _at(sums), _n(groups), _d(pixels), _n(c), _at(weight), _at(bias), _d(norm.eps), _d(norm.momentum),
                _at(norm.mean), _at(norm.var), _at(mean), _at(scale), _n(span), _at(factor), _at(shift),
            )  # fmt: skip
        else:
            factor.fill_(1.0)
            shift.zero_()
        y = torch.empty_like(v, memory_format=torch.channels_last)
        number = ACTIVATIONS.index(act)
        kernels.scaled(_at(v), _n(v.numel()), _n(span), _at(factor), _at(shift), _at(y), number, threads)
        ctx.save_for_backward(v, place, weight, mean, scale, factor, shift)
        ctx.facts = (b, c, h, w, pixels, span, number, kernels, threads, bias is not None)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        v, place, weight, mean, scale, factor, shift = ctx.saved_tensors
        b, c, h, w, pixels, span, number, kernels, threads, biased = ctx.facts
        grad = grads[0].to(v.dtype).contiguous(memory_format=torch.channels_last)
        flat, tilt = torch.zeros(span), torch.zeros(span)
        grad_weight = grad_bias = None
        if mean is not None:
            groups = -(-b // _GROUP)
            sums = torch.empty(groups, 2, c)
            kernels.slope_sums(
                _at(v), _at(grad), _n(b), _n(v.numel() // b), _n(c), _n(span), _at(factor), _at(shift), _n(_GROUP),
                _at(sums), number, threads,
            )  # fmt: skip
            grad_weight = torch.empty(c) if weight is not None and ctx.needs_input_grad[1] else None
            grad_bias = torch.empty(c) if biased else None
            kernels.back_tables(
                _at(sums), _n(groups), _d(pixels), _n(c), _at(weight), _at(mean), _at(scale), _n(span), _at(flat),
                _at(tilt), _at(grad_weight), _at(grad_bias),
            )  # fmt: skip
        if not ctx.needs_input_grad[0]:
            return None, grad_weight, grad_bias, None, None, None, None
        out = torch.empty((b, c, h, w), dtype=v.dtype, memory_format=torch.channels_last)
        if place is None:
            kernels.backward(
                _at(v), _at(grad), _n(v.numel()), _n(span), _at(factor), _at(shift), _at(flat), _at(tilt), _at(out),
                number, threads,
            )  # fmt: skip
        else:
            kernels.backward_pooled(
                _at(v), _at(grad), _at(place), _n(b), _n(h), _n(w), _n(c), _at(factor), _at(shift), _at(flat),
                _at(tilt), _at(out), number, threads,
            )  # fmt: skip
        return out, grad_weight, grad_bias, None, None, None, None


def _at(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


def _n(number: int) -> ctypes.c_int64:
    return ctypes.c_int64(number)


def _d(number: float) -> ctypes.c_double:
    return ctypes.c_double(number)
