"""The computational graph: numbers flow forward through gates, gradients flow back, each by a local rule.

Every gate knows two things: its value, and how to turn the gradient of its output (the upstream gradient) into those of
its inputs, by the chain rule.  A number that is used twice gets the sum.  Arrays work as scalars do.

    >>> x, y, z = value(-2, "x"), value(5, "y"), value(-4, "z")
    >>> f = (x + y) * z
    >>> f.backward()
    >>> float(f), float(x.gradient), float(y.gradient), float(z.gradient)
    (-12.0, -4.0, -4.0, 3.0)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from dojang.convolution import operation
from dojang.convolution.arrays import numbers_of
from dojang.convolution.blocks import ACTIVATIONS
from dojang.errors import ConfigError

Given = Union["Node", npt.ArrayLike]
# what a gate is given, what it gave, and the upstream gradient -> a gradient for each input
Back = Callable[[Sequence[np.ndarray], np.ndarray, np.ndarray], Sequence[np.ndarray]]


@dataclass(frozen=True)
class Gate:
    """An operation with its local rule.

    Args:
        inputs: How many it has.
        symbol: What stands in its circle.
        forward: Inputs to output.
        back: The chain rule of it.
        rule: The local gradients, in words.
    """

    inputs: int
    symbol: str
    forward: Callable[..., np.ndarray]
    back: Back
    rule: str


class Node:
    """A number or an array in the graph: given, or made by a gate of others.

    Args:
        data: Its value, float64.
        name: For drawings; "" is numbered there.
        gate: The key of :data:`GATES` that made it; "" for what was given.
        parents: What the gate was given.
    """

    def __init__(self, data: npt.ArrayLike, name: str = "", gate: str = "", parents: tuple[Node, ...] = ()) -> None:
        # a copy: who changes his array later does not change the graph
        self.data = numbers_of(data, name or "a value").astype(np.float64)
        self.name, self.gate, self.parents = name, gate, parents
        self.gradient = np.zeros_like(self.data)
        #: the part of the gradient that went to each parent
        self.handed: tuple[np.ndarray, ...] = ()

    def backward(self) -> None:
        """Gradients of this node, which is to be one number, with respect to every node that it was made of.

        Raises:
            ConfigError: C251 for an array: which of its numbers would be meant?
        """
        if self.data.size != 1:
            raise ConfigError(
                "C251", f"a gradient is of one number, and this node has the shape {self.data.shape}.", fix=".sum()"
            )
        order = ordered(self)
        for node in order:
            node.gradient, node.handed = np.zeros_like(node.data), ()
        self.gradient = np.ones_like(self.data)
        for node in reversed(order):
            if not node.gate:
                continue
            given = [parent.data for parent in node.parents]
            parts = GATES[node.gate].back(given, node.data, node.gradient)
            node.handed = tuple(_shrunk(part, one.shape) for part, one in zip(parts, given, strict=True))
            for parent, part in zip(node.parents, node.handed, strict=True):
                # where roads met on the way forward, gradients are added on the way back
                parent.gradient = parent.gradient + part

    def __float__(self) -> float:
        if self.data.size != 1:
            raise ConfigError("C251", f"this node has the shape {self.data.shape}, and is not one number.", fix=".data")
        return float(self.data.item())

    def __add__(self, other: Given) -> Node:
        return apply("add", self, other)

    def __mul__(self, other: Given) -> Node:
        return apply("mul", self, other)

    def __matmul__(self, other: Given) -> Node:
        return apply("matmul", self, other)

    def __neg__(self) -> Node:
        return apply("neg", self)

    def __sub__(self, other: Given) -> Node:
        return self + -_node(other)

    def __truediv__(self, other: Given) -> Node:
        return self * apply("reciprocal", other)

    def __radd__(self, other: npt.ArrayLike) -> Node:
        return apply("add", other, self)

    def __rmatmul__(self, other: npt.ArrayLike) -> Node:
        return apply("matmul", other, self)

    def __rmul__(self, other: npt.ArrayLike) -> Node:
        return apply("mul", other, self)

    def __rsub__(self, other: npt.ArrayLike) -> Node:
        return _node(other) - self

    def __rtruediv__(self, other: npt.ArrayLike) -> Node:
        return _node(other) / self

    def square(self) -> Node:
        return apply("square", self)

    def sum(self) -> Node:
        return apply("sum", self)

    def exp(self) -> Node:
        return apply("exp", self)

    def relu(self) -> Node:
        return apply("relu", self)

    def sigmoid(self) -> Node:
        return apply("sigmoid", self)

    def maximum(self, other: Given) -> Node:
        return apply("max", self, other)

    def conv(self, filters: Given) -> Node:
        """A layer's convolution, no padding, stride 1: (n, c, *sizes) and (d, c, *kernel)."""
        return apply("conv", self, filters)

    def named(self, name: str) -> Node:
        """The same node with a name for drawings."""
        self.name = name
        return self

    def __repr__(self) -> str:
        return f"Node({self.name or self.gate or 'value'}: {np.array2string(self.data, precision=4)})"

    def _repr_html_(self) -> str:
        from dojang.convolution.graph_drawing import draw

        return draw(self)

    # NumPy would otherwise make arrays of nodes
    __array_ufunc__ = None


def value(data: npt.ArrayLike, name: str = "") -> Node:
    """A number or an array that is given."""
    return Node(data, name)


def apply(gate: str, *given: Given) -> Node:
    """A gate's output.

    Raises:
        ConfigError: C251 where the shapes do not fit it, C203 for a gate that is not there.
    """
    if gate not in GATES:
        raise ConfigError("C203", f"there is no gate {gate!r}.", context=f"Gates: {', '.join(GATES)}.")
    if len(given) != GATES[gate].inputs:
        raise ConfigError("C252", f"{gate} takes {GATES[gate].inputs} and was given {len(given)}.")
    nodes = tuple(_node(one) for one in given)
    try:
        data = GATES[gate].forward(*(node.data for node in nodes))
    except ValueError:
        shapes = " and ".join(str(node.data.shape) for node in nodes)
        raise ConfigError("C251", f"{gate} cannot be done with shapes {shapes}.", fix=_fitting(gate, nodes)) from None
    return Node(data, "", gate, nodes)


def ordered(node: Node) -> list[Node]:
    """All that a node was made of, itself last, each after what it was made of."""
    found: list[Node] = []
    seen: set[int] = set()
    # without recursion: a long sum is a deep graph
    waiting: list[tuple[Node, bool]] = [(node, False)]
    while waiting:
        one, done = waiting.pop()
        if done:
            found.append(one)
        elif id(one) not in seen:
            seen.add(id(one))
            waiting.append((one, True))
            waiting += [(parent, False) for parent in reversed(one.parents)]
    return found


def _fitting(gate: str, nodes: Sequence[Node]) -> str:
    """What would fit the first of two."""
    first = nodes[0].data
    if gate == "matmul":
        return f"the second with {first.shape[-1]} rows." if first.ndim else "arrays of one axis at least."
    return f"the second of shape {first.shape}, or of sizes 1 where it differs."


def _node(given: Given) -> Node:
    return given if isinstance(given, Node) else Node(given)


def _shrunk(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A gradient of the shape that its number had before it was spread over others."""
    more = gradient.ndim - len(shape)
    if more:
        gradient = gradient.sum(axis=tuple(range(more)))
    spread = tuple(axis for axis, n in enumerate(shape) if n == 1 and gradient.shape[axis] != 1)
    shrunk: np.ndarray = gradient.sum(axis=spread, keepdims=True) if spread else gradient
    return shrunk.reshape(shape)


def _matmul_back(given: Sequence[np.ndarray], out: np.ndarray, up: np.ndarray) -> Sequence[np.ndarray]:
    w, x = given
    # a vector is a matrix of one row, or one column
    rows, columns = (w[None] if w.ndim == 1 else w), (x[:, None] if x.ndim == 1 else x)
    wide = np.expand_dims(up, [axis for axis, one in ((-2, w), (-1, x)) if one.ndim == 1])
    dw, dx = wide @ columns.swapaxes(-1, -2), rows.swapaxes(-1, -2) @ wide
    # matrices that many others were multiplied by get the sum of what comes back, as every gate's inputs do
    return dw[..., 0, :] if w.ndim == 1 else dw, dx[..., 0] if x.ndim == 1 else dx


def _conv_back(given: Sequence[np.ndarray], out: np.ndarray, up: np.ndarray) -> Sequence[np.ndarray]:
    found = operation.conv_gradients(given[0], given[1], up)
    return found.x, found.w


def _larger(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found: np.ndarray = (a > b) + 0.5 * (a == b)
    return found


GATES: Mapping[str, Gate] = {
    "add": Gate(2, "+", np.add, lambda g, o, up: (up, up), "1 and 1: it hands the gradient on to both"),
    "mul": Gate(2, "×", np.multiply, lambda g, o, up: (up * g[1], up * g[0]), "each input's is the other input"),
    "max": Gate(
        2,
        "max",
        np.maximum,
        # equals get half each, as torch has it
        lambda g, o, up: (up * _larger(g[0], g[1]), up * _larger(g[1], g[0])),
        "1 for the larger, 0 for the other: it routes the gradient; equals share it",
    ),
    "neg": Gate(1, "−", np.negative, lambda g, o, up: (-up,), "-1"),
    "reciprocal": Gate(1, "1/x", lambda x: 1 / x, lambda g, o, up: (-up / g[0] ** 2,), "-1 / x^2"),
    "square": Gate(1, "x²", np.square, lambda g, o, up: (2 * g[0] * up,), "2 x"),
    "sum": Gate(1, "Σ", np.sum, lambda g, o, up: (np.broadcast_to(up, g[0].shape),), "1 for every number"),
    "exp": Gate(1, "exp", np.exp, lambda g, o, up: (up * o,), "exp(x), its own output"),
    "relu": Gate(1, "relu", ACTIVATIONS["relu"].forward, lambda g, o, up: (up * (g[0] > 0),), "1 above 0, else 0"),
    "sigmoid": Gate(1, "σ", ACTIVATIONS["sigmoid"].forward, lambda g, o, up: (up * o * (1 - o),), "s (1 - s)"),
    "matmul": Gate(2, "@", np.matmul, _matmul_back, "dW = up x^T, dx = W^T up"),
    "conv": Gate(2, "conv", operation.conv, _conv_back, "dW: up moved over x; dx: the turned filters moved over up"),
}
"""Every gate by name."""


def neuron(w: Sequence[float], x: Sequence[float]) -> tuple[Node, list[Node], list[Node]]:
    """The sigmoid of w0 x0 + w1 x1 + ... + b, number by number; the last of w is b.

    Example:
        >>> out, weights, inputs = neuron((2, -3, -3), (-1, -2))
        >>> out.backward()
        >>> f"{float(out):.2f}", [f"{float(one.gradient):.2f}" for one in (*weights, *inputs)]
        ('0.73', ['-0.20', '-0.39', '0.20', '0.39', '-0.59'])
    """
    if len(w) != len(x) + 1 or not len(x):
        raise ConfigError(
            "C251", f"{len(x)} inputs and {len(w)} weights do not fit.", fix="a weight for each input, and one more, b."
        )
    weights = [value(one, f"w{number}") for number, one in enumerate(w)]
    inputs = [value(one, f"x{number}") for number, one in enumerate(x)]
    total: Any = weights[0] * inputs[0]
    for a, b in zip(weights[1:-1], inputs[1:], strict=True):
        total = total + a * b
    return (total + weights[-1]).sigmoid(), weights, inputs
