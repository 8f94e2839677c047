"""Weighted sums: what a convolution or a dense layer did for one of its units."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64
from torch import Tensor, nn

from dojang.explain.work import Terms, Work

_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def convolution(module: nn.Conv2d, given: Float64[np.ndarray, "c h w"], index: tuple[int, ...]) -> Work:
    """One number of a convolution: patch times kernel, summed, plus the bias.

    Args:
        given: What the layer was given.
        index: Channel, row and column.

    Example:
        >>> import torch
        >>> conv = nn.Conv2d(1, 1, 2, bias=False)
        >>> _ = nn.init.ones_(conv.weight)
        >>> work = convolution(conv, np.arange(9.0).reshape(1, 3, 3), (0, 1, 1))
        >>> work.terms.patch.tolist(), work.result
        ([[[4.0, 5.0], [7.0, 8.0]]], 24.0)
    """
    channel, *at = index
    width = module.in_channels // module.groups
    first = channel // (module.out_channels // module.groups) * width
    pads = [padding(module, side) for side in (0, 1)]
    padded = np.pad(given[first : first + width], [(0, 0), *pads], mode=_MODES[module.padding_mode])  # type: ignore[call-overload]
    # counted on the padded map
    spans = [
        at[side] * _of(module.stride, side) + _of(module.dilation, side) * np.arange(_of(module.kernel_size, side))
        for side in (0, 1)
    ]
    patch = padded[:, spans[0]][:, :, spans[1]]
    rows, columns = (span - pads[side][0] for side, span in enumerate(spans))
    inside = _within(rows, given.shape[1])[:, None] & _within(columns, given.shape[2])[None, :]
    terms = Terms(
        patch,
        _numbers(module.weight[channel]),
        _bias(module, channel),
        None if inside.all() else inside,
        (tuple(rows.tolist()), tuple(columns.tolist())),
        first,
    )
    return _summed("convolution", "patch x kernel", terms)


def dense(
    module: nn.Linear, given: Float64[np.ndarray, "*sides"], index: tuple[int, ...], folded: tuple[int, ...] | None
) -> Work:
    """One number of a dense layer: all that it is given times its weights, summed, plus the bias.

    Args:
        folded: The shape of the map that was laid out in a row for it, if one was.
    """
    *at, unit = index
    shape = (folded[0], folded[1], folded[2]) if folded is not None and len(folded) == 3 else None
    return _summed(
        "dense",
        "inputs x weights",
        Terms(given[tuple(at)], _numbers(module.weight[unit]), _bias(module, unit), folded=shape),
    )


def padding(module: Any, side: int) -> tuple[int, int]:
    """Rows (or columns) of padding before and behind the map."""
    if module.padding == "same":
        total = _of(module.dilation, side) * (_of(module.kernel_size, side) - 1)
        return total // 2, total - total // 2
    if module.padding == "valid":
        return 0, 0
    return (_of(module.padding, side),) * 2


def _summed(kind: str, products: str, terms: Terms) -> Work:
    result = terms.sum + terms.bias
    filled = f"{terms.sum:.6g} + {terms.bias:.6g} = {result:.6g}".replace("+ -", "- ")
    return Work(kind, f"sum of {products} + bias", filled, result, terms)


def _bias(module: nn.Conv2d | nn.Linear, unit: int) -> float:
    return 0.0 if module.bias is None else float(module.bias.detach()[unit])


def _numbers(tensor: Tensor) -> Float64[np.ndarray, "*sides"]:
    numbers: np.ndarray = tensor.detach().double().cpu().numpy()
    return numbers


def _within(places: np.ndarray, side: int) -> np.ndarray:
    found: np.ndarray = (places >= 0) & (places < side)
    return found


def _of(value: Any, side: int) -> int:
    return int(value[side]) if isinstance(value, tuple) else int(value)
