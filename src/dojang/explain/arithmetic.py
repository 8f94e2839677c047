"""Which arithmetic a number of a network came about by: by the layer that made it, or by its own code's operation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float64
from torch import nn

from dojang.explain import formulas, sums
from dojang.explain.trace import Call, Node, Trace
from dojang.explain.work import Work
from dojang.models.maxout import Maxout

#: a number computed here in float64 and the network's own may differ by this share of the sum of their terms' sizes
TOLERANCE = 1e-5
_OTHER = Work("other")
_ROWS = ("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "clone", "squeeze", "unsqueeze")
_NORMS: tuple[type[nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


def maker(trace: Trace, node: int) -> Call | None:
    """The layer whose output a node is; None where a network's own code made it, and for the picture."""
    return next((call for call in trace.layers() if call.gave == node and not call.passes), None)


def of_layer(trace: Trace, call: Call, index: tuple[int, ...]) -> Work:
    """What a layer did for one of its units; kind "other" where that is not written out here."""
    if call.given is None or call.gave is None:
        return _OTHER
    module: Any = call.module
    given = numbers(trace, call.given)
    if call.passes:
        return copied(float(given[index]), index)
    work = _OTHER
    kind = type(module)
    # a subclass may do something else
    if kind is nn.Conv2d or _same(module, nn.Conv2d, "_conv_forward"):
        work = sums.convolution(module, given, index)
    elif kind is nn.Linear or _same(module, nn.Linear):
        work = sums.dense(module, given, index, folded(trace, call.given))
    elif kind is nn.MaxPool2d:
        work = formulas.max_pool(module, given, index)
    elif kind is nn.AvgPool2d:
        work = formulas.avg_pool(module, given, index)
    elif kind in (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d):
        work = formulas.adaptive(module, given, index)
    elif isinstance(module, _NORMS):
        work = formulas.normalisation(module, given, index)
    elif kind is nn.LocalResponseNorm:
        work = formulas.local_response(module, given, index)
    elif kind in formulas.ACTIVATIONS:
        work = formulas.activation(module, given, index)
    elif kind is Maxout:
        work = formulas.maxout(given, index)
    elif kind is nn.Flatten:
        work = _unfolded(given, trace.nodes[call.gave].shape, index)
    elif kind is nn.ZeroPad2d:
        work = _padded(module, given, index)
    elif len(trace.nodes[call.gave].sources) == 1 and trace.nodes[call.gave].sources[0] == call.given:
        # a layer of one operation, as timm's poolings
        work = of_operation(trace, call.gave, index)
    return checked(trace, call.gave, index, work)


def of_operation(trace: Trace, node: int, index: tuple[int, ...]) -> Work:
    """What an operation in a network's own code did for one number."""
    made = trace.nodes[node]
    if not made.sources or not all(source in trace.values for source in made.sources):
        return _OTHER
    given, op = numbers(trace, made.sources[0]), made.op.removesuffix("_")
    work: Work | None = None
    if op == "add" and len(made.sources) == 2:
        work = _added(given, numbers(trace, made.sources[1]), index)
    elif op == "cat":
        work = _joined(trace, made, index)
    elif op == "mean" and given.ndim == 3 and len(made.shape) in (1, 3) and _over_places(made):
        work = formulas.whole_mean(given, index)
    elif op in _ROWS:
        work = _unfolded(given, made.shape, index)
    else:
        work = formulas.function(op, given, index) if given.shape == made.shape else None
    return checked(trace, node, index, work or _OTHER)


def checked(trace: Trace, node: int, index: tuple[int, ...], work: Work) -> Work:
    """The same, or "other" where the network has another number: a layer of a known name may do something else."""
    if work.result is None:
        return work
    own = float(trace.value(node)[index])
    size = work.terms.size if work.terms is not None else 0.0
    known = max((abs(number) for _, number in work.numbers), default=0.0)
    return work if abs(work.result - own) <= 10 * TOLERANCE * max(1.0, abs(own), size, known) else _OTHER


def folded(trace: Trace, node: int) -> tuple[int, ...] | None:
    """The shape of the map that was laid out in a row; None where the row was made otherwise."""
    while trace.nodes[node].op in _ROWS and len(trace.nodes[node].shape) != 3:
        node = trace.nodes[node].sources[0]
    shape = trace.nodes[node].shape
    return shape if len(shape) == 3 else None


def numbers(trace: Trace, node: int) -> Float64[np.ndarray, "*sides"]:
    """What a node held, in float64."""
    found: np.ndarray = trace.value(node).double().cpu().numpy()
    return found


def copied(value: float, index: tuple[int, ...]) -> Work:
    """A number that was handed on as it was."""
    return Work("copy", "handed on as it was", f"{value:.6g}", value, source=index)


def _same(module: nn.Module, kind: type[nn.Module], *others: str) -> bool:
    """Whether a subclass computes as its base does."""
    if not isinstance(module, kind):
        return False
    plain = all(getattr(type(module), name) is getattr(kind, name) for name in ("forward", *others))
    # a weight that is computed anew each time is a property of the object
    return plain and "weight" in module._parameters


def _over_places(made: Node) -> bool:
    """Whether a mean is taken over height and width."""
    dims = made.rest[0] if made.rest and isinstance(made.rest[0], (list, tuple)) else ()
    return {dim % 4 for dim in dims} == {2, 3}


def _unfolded(given: Float64[np.ndarray, "*sides"], shape: tuple[int, ...], index: tuple[int, ...]) -> Work:
    """Numbers in another form, in the same order."""
    if given.size != math.prod(shape):
        return _OTHER
    at = np.unravel_index(int(np.ravel_multi_index(index, shape)), given.shape)
    source = tuple(int(one) for one in at)
    return copied(float(given[source]), source)


def _padded(module: nn.ZeroPad2d, given: Float64[np.ndarray, "c h w"], index: tuple[int, ...]) -> Work:
    left, _, top, _ = module.padding
    source = (index[0], index[1] - top, index[2] - left)
    inside = 0 <= source[1] < given.shape[1] and 0 <= source[2] < given.shape[2]
    if not inside:
        return Work("copy", "padding", "0", 0.0)
    return copied(float(given[source]), source)


def _added(first: Any, second: Any, index: tuple[int, ...]) -> Work | None:
    if first.ndim != second.ndim:
        return None
    both = [float(one[tuple(0 if one.shape[n] == 1 else i for n, i in enumerate(index))]) for one in (first, second)]
    filled = f"{both[0]:.6g} + {both[1]:.6g} = {sum(both):.6g}".replace("+ -", "- ")
    return Work("sum", "one road + the other", filled, sum(both), numbers=(("first", both[0]), ("second", both[1])))


def _joined(trace: Trace, made: Node, index: tuple[int, ...]) -> Work | None:
    dim = next((one for one in made.rest if isinstance(one, int)), 0)
    # counted with the batch; from behind it is the same without
    axis = dim - 1 if dim > 0 else len(made.shape) + dim
    if dim == 0 or axis < 0:
        return None
    before = index[axis]
    for number, source in enumerate(made.sources):
        side = trace.nodes[source].shape[axis]
        if before < side:
            at = (*index[:axis], before, *index[axis + 1 :])
            value = float(numbers(trace, source)[at])
            told = f"part {number + 1} of {len(made.sources)} that lie side by side"
            return Work("copy", told, f"{value:.6g}", value, source=at, part=number)
        before -= side
    return None
