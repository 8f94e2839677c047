"""Where in a network a heat map is taken: the last layer that still gives maps, found by watching one picture."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from dojang.errors import ConfigError
from dojang.explain.trace import Call, Trace

#: of two sides of a map, or of a grid of tokens, the shorter one has at least so many places where there is a choice
LEAST = 4
# tokens that are no place of the picture: a class's, registers
_MOST_EXTRA = 8
_POOLINGS = ("max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "mean")


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a layer's output holds maps.

    Args:
        channels, height, width: Of the maps.
        kind: "maps" (c, h, w); "last", with the channels last; or "tokens" (extra + h w, c).
        extra: Tokens before those of places.
    """

    channels: int
    height: int
    width: int
    kind: str = "maps"
    extra: int = 0

    def maps(self, output: Tensor) -> Float[Tensor, "b c h w"]:
        """A layer's output, with its batch, as maps."""
        if self.kind == "last":
            return output.permute(0, 3, 1, 2)
        if self.kind == "tokens":
            rows = output[:, self.extra :]
            return rows.transpose(1, 2).reshape(output.shape[0], self.channels, self.height, self.width)
        return output


@dataclasses.dataclass(frozen=True)
class Target:
    """A layer to take a heat map at.

    Args:
        call: The use of the layer.
        layout: Of its output.
        why: Why it was chosen, in a sentence without a full stop.
    """

    call: Call
    layout: Layout
    why: str


def named(trace: Trace, name: str) -> Target:
    """A layer that the user names.

    Raises:
        ConfigError: C203 for a layer that is not there, C290 for one that gives no maps.
    """
    call = trace.find(name)
    found = layout(trace, call)
    if found is None:
        shape = () if call.gave is None else trace.nodes[call.gave].shape
        numbers = " x ".join(f"{side:,}" for side in shape)
        given = "nothing that the picture went into" if call.gave is None else f"{numbers} numbers"
        fix = next((f"--layer {target.call.name}" for target in candidates(trace)), _WITHOUT)
        raise ConfigError("C290", f"the layer {call.name!r} gives no map, but {given}.", fix=fix)
    return Target(call, found, "as asked for")


def best(trace: Trace) -> Target:
    """The layer that says most about where: the last one in front of the head that gives maps.

    A pooling at the end is left out, since it only makes the maps coarser; maps of fewer than 4 x 4 places are taken
    only where there are no others.

    Raises:
        ConfigError: C290 for a network that has no such layer.
    """
    found = next(candidates(trace), None)
    if found is None:
        raise ConfigError(
            "C290",
            "no layer of this network gives maps: it has no places, so heat cannot be taken at a layer.",
            fix=_WITHOUT,
        )
    return found


def candidates(trace: Trace) -> Iterator[Target]:
    """The layers that a heat map can be taken at, the best one first."""
    weighted = [call for call in trace.layers() if any(True for _ in call.module.parameters(recurse=False))]
    # what the last layer with weights is given comes before it
    head = weighted[-1] if len(weighted) > 1 else None
    by_node: dict[int, tuple[Call, Layout]] = {}
    for call in trace.calls:
        if call.gave is None or call.passes or not call.path:
            continue
        if head is not None and call.gave >= head.began:
            continue
        found = layout(trace, call)
        if found is None or found.height * found.width < 2:
            continue
        # of a block and the layer at its end the block's name says more
        if call.gave not in by_node or len(call.path) < len(by_node[call.gave][0].path):
            by_node[call.gave] = call, found
    order = sorted(by_node, reverse=True)
    pooled = [node for node in order if trace.nodes[node].op in _POOLINGS]
    small = [node for node in order if min(by_node[node][1].height, by_node[node][1].width) < LEAST]
    rank = {node: (node in small, node in pooled) for node in order}
    for node in sorted(order, key=rank.__getitem__):
        call, found = by_node[node]
        places = f"{found.height} x {found.width}"
        why = f"the last layer in front of the head that gives maps, {found.channels:,} of {places}"
        left_out = [other for other in order if other > node and rank[other] > rank[node]]
        if any(other in small for other in left_out):
            why = f"the last one that gives maps of at least {LEAST} x {LEAST} places: {found.channels:,} of {places}"
        yield Target(call, found, why)


def layout(trace: Trace, call: Call) -> Layout | None:
    """How a call's output holds maps; None where it holds none."""
    if call.gave is None:
        return None
    height, width = trace.nodes[0].shape[1:]
    shape = trace.nodes[call.gave].shape
    if len(shape) == 3:
        if _fits(shape[1], shape[2], height, width):
            return Layout(*shape)
        if _fits(shape[0], shape[1], height, width):
            return Layout(shape[2], shape[0], shape[1], "last")
    if len(shape) == 2:
        # tokens of a grid that a layer before them gave as maps
        for before in reversed(trace.nodes[: call.gave]):
            if len(before.shape) == 3 and _fits(before.shape[1], before.shape[2], height, width):
                extra = shape[0] - before.shape[1] * before.shape[2]
                return Layout(shape[1], *before.shape[1:], "tokens", extra) if 0 <= extra <= _MOST_EXTRA else None
    return None


def _fits(rows: int, columns: int, height: int, width: int) -> bool:
    """Whether a map of a size can be of a picture of a size: no larger, and of about its form."""
    form = math.log((height / max(rows, 1)) / (width / max(columns, 1)))
    return 1 <= rows <= height and 1 <= columns <= width and abs(form) <= math.log(2)


_WITHOUT = "--method integrated, --method occlusion: they go by the pixels, and need no maps."


def reached(gradients: Tensor) -> bool:
    """Whether anything comes back to a layer."""
    return bool(torch.count_nonzero(gradients))
