"""Where a number goes next: the layers that read it, through what a network's own code does between them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from torch import nn

from dojang.explain import sums
from dojang.explain.trace import Call, Trace

_SAME = ("add", "relu", "sub", "mul", "gelu", "silu", "sigmoid", "tanh", "hardswish", "dropout", "clone", "contiguous")
_FOLDS = ("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "squeeze", "unsqueeze")
_WORDS = {"add": "added to another road", "cat": "joined with other channels", "mul": "multiplied", "mean": "averaged"}


@dataclasses.dataclass(frozen=True)
class Reader:
    """A layer that a unit goes into.

    Args:
        layer: Its name; "" for the network's answer.
        label: Of the answer, the class whose score it is.
        through: What is done on the way, by the network's own code.
        index: Which of the layer's inputs it is; None where that is not known.
        units: How many of the layer's units it goes into, as (channels, rows, columns); () where that is not known.
        first: The first of these rows and columns; () where there are none.
        weights: Of a dense layer the units that it counts most for, as (unit, weight), the largest weight first.
    """

    layer: str
    through: tuple[str, ...] = ()
    index: tuple[int, ...] | None = None
    units: tuple[int, ...] = ()
    first: tuple[int, ...] = ()
    weights: tuple[tuple[int, float], ...] = ()
    label: str = ""

    def __str__(self) -> str:
        way = ", ".join(_told(self.through))
        if not self.layer:
            answer = f"the answer, as the score of {self.label}" if self.label else "the answer"
            return f"{way}: {answer}" if way else answer
        head = f"{way}, then {self.layer}" if way else self.layer
        if len(self.units) == 3:
            channels, rows, columns = self.units
            if rows * columns == 0:
                return f"{head}: no window of it"
            return f"{head}: {channels:,} channel{'s' * (channels != 1)} x {rows} x {columns} places"
        if self.units:
            return f"{head}: {self.units[0]:,} unit{'s' * (self.units[0] != 1)}"
        return head


def readers(trace: Trace, node: int, index: tuple[int, ...]) -> tuple[Reader, ...]:
    """All that read one number of a node, in the order of the network.

    Example:
        >>> import torch
        >>> from dojang.explain.trace import trace
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).eval()
        >>> found = trace(net, torch.zeros(1, 1, 4, 4))
        >>> [str(one) for one in readers(found, found.find("conv1").gave, (1, 0, 1))]
        ['flatten1: 1 unit']
        >>> [str(one) for one in readers(found, found.find("flatten1").gave, (5,))]
        ['fc1: 3 units']
    """
    found: list[Reader] = []
    _follow(trace, node, index, (), found, set())
    return tuple(dict.fromkeys(found))


def _follow(
    trace: Trace,
    node: int,
    index: tuple[int, ...] | None,
    through: tuple[str, ...],
    found: list[Reader],
    seen: set[int],
) -> None:
    if node == trace.answer:
        found.append(Reader("", through, index))
    tickets = set()
    for call in trace.layers():
        # what a layer hands on as it is, others read from the same node
        if call.given == node and not call.passes:
            found.append(_reader(trace, call, index, through))
            tickets.add(call.ticket)
    by_ticket = {call.ticket: call for call in trace.layers()}
    for number, later in enumerate(trace.nodes[node + 1 :], node + 1):
        if node not in later.sources or number in seen:
            continue
        if later.call is not None:
            # a layer that takes it beside something else
            if later.call not in tickets:
                tickets.add(later.call)
                found.append(Reader(by_ticket[later.call].name, through))
            continue
        seen.add(number)
        op = later.op.removesuffix("_")
        # a change of form is nothing that is done to a number
        more = (*through, op) if op not in (*_FOLDS, "clone", "contiguous") else through
        _follow(trace, number, _moved(trace, node, number, index), more, found, seen)


def _moved(trace: Trace, source: int, node: int, index: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Where a number is after an operation in a network's own code; None where that is not known."""
    made, before = trace.nodes[node], trace.nodes[source].shape
    op = made.op.removesuffix("_")
    if index is None:
        return None
    if op in _SAME:
        return index if made.shape == before else None
    if op in _FOLDS and np.prod(before) == np.prod(made.shape):
        flat = int(np.ravel_multi_index(index, before))
        return tuple(int(one) for one in np.unravel_index(flat, made.shape))
    if op == "cat":
        dim = next((one for one in made.rest if isinstance(one, int)), 0)
        axis = dim - 1 if dim > 0 else len(made.shape) + dim
        if dim == 0:
            return None
        offset = sum(trace.nodes[one].shape[axis] for one in made.sources[: made.sources.index(source)])
        return (*index[:axis], index[axis] + offset, *index[axis + 1 :])
    if op == "mean" and len(made.shape) in (1, 3):
        return (index[0], 0, 0)[: len(made.shape)]
    return None


def _reader(trace: Trace, call: Call, index: tuple[int, ...] | None, through: tuple[str, ...]) -> Reader:
    """How a layer reads a number."""
    plain = Reader(call.name, through, index)
    if index is None or call.given is None or call.gave is None:
        return plain
    module, after = call.module, trace.nodes[call.gave].shape
    if type(module) is nn.Conv2d and len(index) == 3:
        group = index[0] // (module.in_channels // module.groups)
        wide = module.out_channels // module.groups
        rows, columns = (_windows(module, side, index[side + 1], after[side + 1]) for side in (0, 1))
        return _placed(plain, wide, group * wide, rows, columns)
    if type(module) in (nn.MaxPool2d, nn.AvgPool2d) and len(index) == 3:
        rows, columns = (_windows(module, side, index[side + 1], after[side + 1]) for side in (0, 1))
        return _placed(plain, 1, index[0], rows, columns)
    if isinstance(module, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)) and after[1:] == (1, 1):
        return dataclasses.replace(plain, units=(1, 1, 1), first=(index[0], 0, 0))
    if type(module) is nn.Linear:
        column = module.weight[:, index[-1]].detach().double().cpu()
        order = column.abs().argsort(descending=True)[:3].tolist()
        weights = tuple((int(unit), float(column[unit])) for unit in order)
        return dataclasses.replace(plain, units=(module.out_features,), first=(0,), weights=weights)
    if isinstance(module, nn.Flatten):
        flat = int(np.ravel_multi_index(index, trace.nodes[call.given].shape))
        return dataclasses.replace(plain, units=(1,), first=(flat,))
    if after == trace.nodes[call.given].shape and not isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
        ones = (1,) * len(index)
        return dataclasses.replace(plain, units=ones, first=index)
    return plain


def _windows(module: Any, side: int, place: int, count: int) -> list[int]:
    """The outputs along one side whose windows hold a place."""
    size, stride, dilation = (_of(module, name, side) for name in ("kernel_size", "stride", "dilation"))
    before = sums.padding(module, side)[0]
    starts = (place + before - dilation * step for step in range(size))
    return sorted(start // stride for start in starts if start >= 0 and start % stride == 0 and start // stride < count)


def _placed(reader: Reader, channels: int, first: int, rows: list[int], columns: list[int]) -> Reader:
    corner = (first, rows[0], columns[0]) if rows and columns else ()
    return dataclasses.replace(reader, units=(channels, len(rows), len(columns)), first=corner)


def _of(module: Any, name: str, side: int) -> int:
    value = getattr(module, name, 1)
    return int(value[side]) if isinstance(value, tuple) else int(value)


def _told(through: tuple[str, ...]) -> list[str]:
    return [_WORDS.get(op, op) for op in through]
