"""One picture's way through a network: what every layer was given and gave, what it sees, and who reads it.

Every operation is followed below the layers, so it is known also where roads branch and meet in a network's own code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dojang.errors import ConfigError, did_you_mean, listing
from dojang.models import receptive
from dojang.models.receptive import Field
from dojang.models.summary import layer_names


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """A tensor that the picture went into, as it was when an operation had made it.

    Args:
        op: The operation ("convolution", "add"); "" for the picture.
        sources: The nodes that went into it, in order.
        call: The ticket of the innermost layer's use in which it was made; None in a network's own code.
        scope: The path of the innermost module.
        shape: Without the batch.
        rest: What else the operation was given.
        field: Which pixels each position sees; None where that is not known.
    """

    op: str
    sources: tuple[int, ...]
    call: int | None
    scope: str
    shape: tuple[int, ...]
    rest: tuple[Any, ...]
    field: Field | None


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One use of a layer, or of a module made of layers.

    Args:
        ticket: Its number, in the order in which calls begin.
        path: Where it is in the network, as ``get_submodule`` takes it.
        name: The same, with a type where the path has only a number; "relu#2" for the second use.
        layer: Whether it is a layer: it has no parts.
        given, gave: The nodes of its first input and its first output; None for a tensor without the picture in it.
        began: How many nodes there were when it began.
    """

    ticket: int
    path: str
    name: str
    use: int
    module: nn.Module
    layer: bool
    given: int | None
    gave: int | None
    began: int

    @property
    def passes(self) -> bool:
        """Whether it hands on what it was given, as dropout does outside of training."""
        return self.given == self.gave

    @property
    def type(self) -> str:
        return type(self.module).__name__


@dataclasses.dataclass(frozen=True, eq=False)
class Trace:
    """All nodes and all calls, in the order in which they came about.

    Args:
        values: Of nodes, as they were before anything worked on them in place; without the batch.
        answer: The node of the scores.
    """

    nodes: tuple[Node, ...]
    calls: tuple[Call, ...]
    values: dict[int, Tensor]
    answer: int | None

    def layers(self) -> Iterator[Call]:
        """The uses of layers, not those of modules made of layers."""
        return (call for call in self.calls if call.layer)

    def find(self, name: str) -> Call:
        """A call by its name or path, with "#2" for the second use.

        Raises:
            ConfigError: C203 for one that is not there.
        """
        path, _, use = name.partition("#")
        for call in self.calls:
            if name == call.name or (path == call.path and (use or "1") == str(call.use)):
                return call
        names = [call.name for call in self.layers()]
        others = [call.name for call in self.calls if not call.layer and call.path]
        raise ConfigError(
            "C203",
            f"there is no layer {name!r}.{did_you_mean(name, [*names, *others])}",
            context=f"Layers: {listing(names, 16)}.",
            fix="dojang summary RUN lists them.",
        )

    def value(self, node: int) -> Tensor:
        """What a node held, without the batch."""
        return self.values[node]


def trace(model: nn.Module, image: Float[Tensor, "1 c h w"]) -> Trace:
    """Show one prepared picture to a network, and note everything on the way. The network is left as it was.

    Args:
        model: In evaluation mode.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2)).eval()
        >>> [call.name for call in trace(net, torch.zeros(1, 1, 6, 6)).layers()]
        ['conv1', 'relu1', 'flatten1', 'fc1']
    """
    flow, names, uses = _Flow(image), layer_names(model), dict[str, int]()
    handles: list[Any] = []

    def watch(path: str, module: nn.Module) -> None:
        def before(module: nn.Module, args: Any, kwargs: Any) -> None:
            flow.enter(path, not any(module.children()), args, kwargs)

        def after(module: nn.Module, _: Any, output: Any) -> None:
            uses[path] = uses.get(path, 0) + 1
            flow.leave(names[path], uses[path], module, output)

        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(module.register_forward_hook(after))

    for path, module in model.named_modules():
        watch(path, module)
    try:
        with torch.no_grad(), flow:
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    root = flow.calls[-1]
    return Trace(tuple(flow.nodes), tuple(flow.calls[:-1]), flow.values, root.gave)


@dataclasses.dataclass
class _Open:
    """A module that has begun and not ended."""

    ticket: int
    path: str
    layer: bool
    given: int | None
    began: int


class _Flow(receptive.Tracker):  # type: ignore[no-untyped-call]
    """Notes nodes while it is on, and calls from the hooks of modules."""

    def __init__(self, image: Tensor) -> None:
        super().__init__(image)
        self.nodes = [Node("", (), None, "", tuple(image.shape[1:]), (), self.field(image))]
        self.calls: list[Call] = []
        self.values: dict[int, Tensor] = {0: _alone(image.detach()).clone()}
        # the tensors are kept, so that no identity comes twice
        self._now: dict[int, tuple[Tensor, int]] = {id(image): (image, 0)}
        self._open: list[_Open] = []
        self._tickets, self._blind = 0, False

    def node(self, tensor: Tensor | None) -> int | None:
        """The node that a tensor is now."""
        return self._now[id(tensor)][1] if tensor is not None and id(tensor) in self._now else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._blind:
            return func(*args, **(kwargs or {}))
        # before it runs: it may work in place
        taken = map(self.node, receptive.tensors((args, kwargs or {})))
        sources = tuple(node for node in taken if node is not None)
        out = super().__torch_dispatch__(func, types, args, kwargs)
        if not sources:
            return out
        rest = tuple(one for one in args if not receptive.tensors(one))
        layer = next((one.ticket for one in reversed(self._open) if one.layer), None)
        scope = self._open[-1].path if self._open else ""
        for result in receptive.tensors(out):
            if result.ndim == 0:
                continue
            number, op = len(self.nodes), func.overloadpacket.__name__
            shape = tuple(_alone(result).shape)
            self.nodes.append(Node(op, sources, layer, scope, shape, rest, self.field(result)))
            self._now[id(result)] = (result, number)
            if layer is None:
                self.keep(number, result)
        return out

    def keep(self, node: int, tensor: Tensor) -> None:
        """The value of a node, as it is now."""
        if node not in self.values:
            # the copy is no part of the network
            self._blind = True
            self.values[node] = _alone(tensor.detach()).clone()
            self._blind = False

    def enter(self, path: str, layer: bool, args: Any, kwargs: Any) -> None:
        given = next(iter(receptive.tensors((args, kwargs))), None)
        node = self.node(given)
        if given is not None and node is not None:
            self.keep(node, given)
        self._open.append(_Open(self._tickets, path, layer, node, len(self.nodes)))
        self._tickets += 1

    def leave(self, name: str, use: int, module: nn.Module, output: Any) -> None:
        one = self._open.pop()
        gave = next(iter(receptive.tensors(output)), None)
        node = self.node(gave)
        if gave is not None and node is not None:
            self.keep(node, gave)
        told = name if use == 1 else f"{name}#{use}"
        self.calls.append(Call(one.ticket, one.path, told, use, module, one.layer, one.given, node, one.began))


def _alone(tensor: Tensor) -> Tensor:
    """Without the batch of one; as it is where windows of the picture lie in the batch."""
    return tensor[0] if tensor.shape[0] == 1 else tensor
