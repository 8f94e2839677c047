"""What layers that are no weighted sums did for one of their units: pooling, normalisation, activation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float64
from torch import nn

from dojang.explain.work import Window, Work
from dojang.models.maxout import PIECES

Given = Float64[np.ndarray, "*sides"]
Index = tuple[int, ...]


def max_pool(module: nn.MaxPool2d, given: Given, index: Index) -> Work:
    """The largest of a window."""
    channel, *at = index
    spans = []
    for side in (0, 1):
        size, stride, pad, step = (
            _of(value, side) for value in (module.kernel_size, module.stride, module.padding, module.dilation)
        )
        span = at[side] * stride - pad + step * np.arange(size)
        spans.append(span[(span >= 0) & (span < given.shape[side + 1])])
    return _largest(given[channel], spans)


def avg_pool(module: nn.AvgPool2d, given: Given, index: Index) -> Work:
    """The mean of a window; padding counts where the layer says so."""
    channel, *at = index
    spans, full = [], []
    for side in (0, 1):
        size, stride, pad = (_of(value, side) for value in (module.kernel_size, module.stride, module.padding))
        first, length = at[side] * stride - pad, given.shape[side + 1]
        last = min(first + size, length + pad)
        full.append(last - first)
        spans.append(np.arange(max(first, 0), min(last, length)))
    counted = full if module.count_include_pad else [len(span) for span in spans]
    return _mean(given[channel], spans, module.divisor_override or counted[0] * counted[1])


def adaptive(module: Any, given: Given, index: Index) -> Work:
    """The largest, or the mean, of a part of the map: as many parts as there are outputs."""
    channel, *at = index
    sides = module.output_size if isinstance(module.output_size, tuple) else (module.output_size,) * 2
    spans = []
    for side in (0, 1):
        length = given.shape[side + 1]
        count = sides[side] or length
        spans.append(np.arange(at[side] * length // count, -(-(at[side] + 1) * length // count)))
    if isinstance(module, nn.AdaptiveMaxPool2d):
        return _largest(given[channel], spans)
    return _mean(given[channel], spans, len(spans[0]) * len(spans[1]))


def whole_mean(given: Given, index: Index) -> Work:
    """The mean of a channel over the whole map, as a network's own code takes it."""
    spans = [np.arange(side) for side in given.shape[1:]]
    return _mean(given[index[0]], spans, len(spans[0]) * len(spans[1]))


def _largest(channel: Float64[np.ndarray, "h w"], spans: list[np.ndarray]) -> Work:
    rows, columns = spans
    values = channel[rows][:, columns]
    at = np.unravel_index(int(values.argmax()), values.shape)
    winner = int(rows[at[0]]), int(columns[at[1]])
    result = float(values[at])
    window = Window(values, tuple(rows.tolist()), tuple(columns.tolist()), winner)
    filled = f"the largest of {values.size}: {result:.6g}, at row {winner[0]}, column {winner[1]}"
    return Work("maximum", "the largest number of the window", filled, result, window=window)


def _mean(channel: Float64[np.ndarray, "h w"], spans: list[np.ndarray], divisor: int) -> Work:
    rows, columns = spans
    values = channel[rows][:, columns]
    total = float(values.sum())
    window = Window(values, tuple(rows.tolist()), tuple(columns.tolist()), divisor=divisor)
    filled = f"{total:.6g} / {divisor} = {total / divisor:.6g}"
    return Work("mean", "sum of the window / how many numbers", filled, total / divisor, window=window)


def normalisation(module: Any, given: Given, index: Index) -> Work:
    """Less a mean, over a deviation, times a factor, plus a shift."""
    x, epsilon = float(given[index]), float(module.eps)
    # of what the factor and the shift are those of this unit
    own: Any = index[0]
    if isinstance(module, nn.GroupNorm):
        size = given.shape[0] // module.num_groups
        first = index[0] // size * size
        some = given[first : first + size]
        mean, variance = float(some.mean()), float(some.var())
    elif isinstance(module, nn.LayerNorm):
        depth = len(module.normalized_shape)
        own, some = index[-depth:], given[index[:-depth]]
        if module.normalized_shape != given.shape[-depth:]:
            # over the channels of maps, as timm has it
            own, some = index[0], given[:, index[1], index[2]]
        mean, variance = float(some.mean()), float(some.var())
    elif module.running_mean is None or module.running_var is None:
        mean, variance = float(given[own].mean()), float(given[own].var())
    else:
        mean, variance = float(module.running_mean[own]), float(module.running_var[own])
    factor = 1.0 if module.weight is None else float(module.weight.detach()[own])
    shift = 0.0 if module.bias is None else float(module.bias.detach()[own])
    result = (x - mean) / math.sqrt(variance + epsilon) * factor + shift
    filled = f"({x:.6g} - {mean:.6g}) / sqrt({variance:.6g} + {epsilon:g}) x {factor:.6g} + {shift:.6g} = {result:.6g}"
    numbers = (("x", x), ("mean", mean), ("variance", variance), ("epsilon", epsilon))
    return Work(
        "normalisation",
        "(x - mean) / sqrt(variance + epsilon) x factor + shift",
        _signs(filled),
        result,
        numbers=(*numbers, ("factor", factor), ("shift", shift)),
    )


def local_response(module: nn.LocalResponseNorm, given: Given, index: Index) -> Work:
    """Over a power of how large the neighbouring channels are at the same place."""
    channel, row, column = index
    before = module.size // 2
    some = given[max(0, channel - before) : channel - before + module.size, row, column]
    x, squares = float(given[index]), float((some**2).sum())
    result = x / (module.k + module.alpha * squares / module.size) ** module.beta
    filled = (
        f"{x:.6g} / ({module.k:g} + {module.alpha:g} x {squares:.6g} / {module.size})^{module.beta:g} = {result:.6g}"
    )
    numbers = (("x", x), ("sum of squares", squares))
    formula = "x / (k + alpha x sum of squares / size)^beta"
    return Work("normalisation", formula, filled, result, numbers=numbers)


def activation(module: nn.Module, given: Given, index: Index) -> Work:
    """A function of one number."""
    formula, function = _FUNCTIONS[type(module)]
    x = float(given[index])
    if isinstance(module, nn.PReLU):
        slope = float(module.weight.detach()[index[0] if module.weight.numel() > 1 else 0])
        result = x if x > 0 else slope * x
    else:
        slope = None
        result = function(x, module)
    letters = (("x", x),) if slope is None else (("x", x), ("slope", slope))
    return Work("activation", formula, f"x = {x:.6g}: {result:.6g}", result, numbers=letters)


def function(op: str, given: Given, index: Index) -> Work | None:
    """The same of a function in a network's own code, by the name of the operation; None for one not known here."""
    kind = _OPERATIONS.get(op.removesuffix("_"))
    return None if kind is None else activation(kind(), given, index)


def maxout(given: Given, index: Index) -> Work:
    """The largest of some pieces."""
    units = given.shape[0] // PIECES
    pieces = [float(given[(index[0] + number * units, *index[1:])]) for number in range(PIECES)]
    result = max(pieces)
    filled = f"max({', '.join(f'{piece:.6g}' for piece in pieces)}) = {result:.6g}"
    numbers = tuple((f"piece {number + 1}", piece) for number, piece in enumerate(pieces))
    return Work("maximum", "the larger of two pieces", filled, result, numbers=numbers)


def _signs(text: str) -> str:
    return text.replace("- -", "+ ").replace("+ -", "- ")


def _of(value: Any, side: int) -> int:
    return int(value[side]) if isinstance(value, tuple) else int(value)


def _gelu(x: float, module: Any) -> float:
    if module.approximate == "tanh":
        return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


_FUNCTIONS: dict[type[nn.Module], tuple[str, Callable[[float, Any], float]]] = {
    nn.ReLU: ("max(0, x)", lambda x, _: max(0.0, x)),
    nn.ReLU6: ("min(max(0, x), 6)", lambda x, _: min(max(0.0, x), 6.0)),
    nn.LeakyReLU: ("x above 0, slope x below", lambda x, m: x if x > 0 else m.negative_slope * x),
    nn.PReLU: ("x above 0, slope x below", lambda x, _: x),
    nn.ELU: ("x above 0, alpha (e^x - 1) below", lambda x, m: x if x > 0 else m.alpha * math.expm1(x)),
    nn.GELU: ("x times the share of a normal distribution below x", _gelu),
    nn.SiLU: ("x / (1 + e^-x)", lambda x, _: x * _logistic(x)),
    nn.Sigmoid: ("1 / (1 + e^-x)", lambda x, _: _logistic(x)),
    nn.Tanh: ("tanh(x)", lambda x, _: math.tanh(x)),
    nn.Hardswish: ("x min(max(x + 3, 0), 6) / 6", lambda x, _: x * min(max(x + 3, 0.0), 6.0) / 6),
    nn.Hardsigmoid: ("min(max(x + 3, 0), 6) / 6", lambda x, _: min(max(x + 3, 0.0), 6.0) / 6),
}
_OPERATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
}
#: layers whose units are a function of one number
ACTIVATIONS = tuple(_FUNCTIONS)
