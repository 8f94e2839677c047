"""What the machine can do: matrix products, convolutions and copies, of the sizes that small networks have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dojang import seeds
from dojang.bench.measure import Times, Work

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
PASSES = ("forward", "data_gradient", "weight_gradient")
SHAPES = ((64, 64, 15), (64, 256, 15), (256, 256, 7))
"""Channels in, channels out, side of the map: the 3x3 convolutions of a network for pictures of 32x32."""
# large enough to be limited by arithmetic, small enough to be quick
_SIDE = {"cpu": 2048, "cuda": 8192}
_BATCH = {"cpu": 250, "cuda": 2048}
_COPIED = {"cpu": 2**28, "cuda": 2**30}


class Rate:
    """One row of the result: the facts that say what it is, the work, and how much a call of it does."""

    def __init__(self, facts: dict[str, Any], work: Work, amounts: dict[str, float]) -> None:
        self.facts, self.work, self.amounts = facts, work, amounts

    def row(self, times: Times) -> dict[str, Any]:
        """The facts with the figures; "failed" says why there are none.

        >>> rate = Rate({"size": 2}, Work("", lambda: lambda: None), {"gb_per_s": 3})
        >>> rate.row(Times((1.0,)))
        {'size': 2, 'gb_per_s': {'n': 1, 'median': 3.0, 'min': 3.0, 'max': 3.0}}
        >>> rate.row(Times(failed="out of memory"))
        {'size': 2, 'gb_per_s': None, 'failed': 'out of memory'}
        """
        row = self.facts | {unit: times.rate(amount) for unit, amount in self.amounts.items()}
        return row | {"failed": times.failed} if times.failed else row


def gemm(device: torch.device) -> list[Rate]:
    """Square matrix products, 2 n^3 operations each."""
    side = _of(_SIDE, device)

    def prepare(dtype: torch.dtype) -> Callable[[], object]:
        a, b = (_draw((side, side), device, dtype, part) for part in (0, 1))
        out = torch.empty_like(a)
        return lambda: torch.mm(a, b, out=out)

    return [
        Rate(
            {"precision": precision, "size": side},
            Work(f"matrix product {precision}", functools.partial(prepare, dtype)),
            {"tflop_per_s": 2 * side**3 / 1e12},
        )
        for precision, dtype in PRECISIONS.items()
    ]


def convolution(device: torch.device) -> list[Rate]:
    """3x3 convolutions in channels_last: forward, gradient of the data, gradient of the weights.

    Each is counted as 2 * 9 operations a pixel, channel in and channel out, border included.
    """
    batch = _of(_BATCH, device)
    rates = []
    for shape in SHAPES:
        channels, out_channels, side = shape
        for precision, dtype in PRECISIONS.items():
            # one set of tensors for the three
            tensors = functools.cache(functools.partial(_layer, shape, batch, device, dtype))
            for name in PASSES:
                facts = {
                    "pass": name,
                    "precision": precision,
                    "in_channels": channels,
                    "out_channels": out_channels,
                    "size": side,
                    "batch_size": batch,
                }
                what = f"convolution {channels} to {out_channels} at {side}, {name.replace('_', ' ')}, {precision}"
                amount = 2 * 9 * batch * side**2 * channels * out_channels / 1e12
                work = Work(what, functools.partial(_pass, name, tensors))
                rates.append(Rate(facts, work, {"tflop_per_s": amount}))
    return rates


def copy(device: torch.device) -> list[Rate]:
    """A copy within the device's memory, too large for caches; bytes read and bytes written are both counted."""
    size = _of(_COPIED, device)

    def prepare() -> Callable[[], object]:
        # written once: pages never written would all be read from one page of zeros
        source, target = (torch.ones(size // 4, device=device) for _ in range(2))
        return lambda: target.copy_(source)

    return [Rate({"bytes": size}, Work("copy", prepare), {"gb_per_s": 2 * size / 1e9})]


def peak(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """The best rate in each precision over products and convolutions, in TFLOP/s; None where nothing ran.

    Example:
        >>> peak([{"precision": "fp32", "tflop_per_s": {"median": 0.2}}, {"precision": "bf16", "tflop_per_s": None}])
        {'fp32': 0.2, 'bf16': None}
    """
    return {
        precision: max(
            (row["tflop_per_s"]["median"] for row in rows if row["precision"] == precision and row["tflop_per_s"]),
            default=None,
        )
        for precision in PRECISIONS
    }


def _layer(
    shape: tuple[int, int, int], batch: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Input (b, i, s, s), weight (o, i, 3, 3) and gradient of the output (b, o, s, s), channels last."""
    channels, out_channels, side = shape
    sizes = ((batch, channels, side, side), (out_channels, channels, 3, 3), (batch, out_channels, side, side))
    x, weight, gradient = (
        _draw(size, device, dtype, part).contiguous(memory_format=torch.channels_last)
        for part, size in enumerate(sizes)
    )
    return x, weight, gradient


def _pass(name: str, tensors: Callable[[], tuple[Tensor, Tensor, Tensor]]) -> Callable[[], object]:
    x, weight, gradient = tensors()
    if name == "forward":
        return lambda: F.conv2d(x, weight, padding=1)
    mask = [name == "data_gradient", name == "weight_gradient", False]
    one, none = [1, 1], [0, 0]
    return lambda: torch.ops.aten.convolution_backward(gradient, x, weight, None, one, one, one, False, none, 1, mask)


def _draw(size: tuple[int, ...], device: torch.device, dtype: torch.dtype, part: int) -> Tensor:
    """The same numbers every time, of no generator but their own."""
    generator = torch.Generator(device).manual_seed(seeds.torch_seed(0, "bench", part))
    return torch.randn(size, generator=generator, device=device).to(dtype)


def _of(sizes: dict[str, int], device: torch.device) -> int:
    return sizes["cpu" if device.type == "cpu" else "cuda"]
