"""Heat maps: how much each place of a picture speaks for a class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from torch import Tensor, nn

from dojang.explain import target as targets
from dojang.explain.frame import Frame
from dojang.explain.packed import packed
from dojang.explain.sight import Sight
from dojang.explain.target import Target
from dojang.explain.trace import Call, Trace
from dojang.models.receptive import Field


@dataclasses.dataclass(frozen=True)
class Heat:
    """How much each pixel that a network sees speaks for a class.

    Args:
        method: As :data:`dojang.explain.options.METHODS` names it.
        label: The class.
        values: float32 (h, w), by the network's pixels, each in the place that the picture has it in; above 0 speaks
            for the class, below 0 against it.
        frame: How they lie on the picture.
        layer: Where in the network it was taken; None for what goes by the pixels.
        smooth: Whether it changes little from pixel to pixel.
        facts: What else is worth knowing, as values that JSON has.
    """

    method: str
    label: str
    values: Float32[np.ndarray, "h w"]
    frame: Frame
    layer: str | None = None
    smooth: bool = True
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def signed(self) -> bool:
        """Whether some places speak against the class."""
        return bool(self.values.min() < 0)

    def laid(self, drawn: tuple[int, int] | None = None) -> Float32[np.ndarray, "H W"]:
        """The values as they lie on the picture, at its size or another; nan where the network did not see it."""
        return self.frame.lay(self.values, drawn, smooth=self.smooth)

    def told(self) -> dict[str, Any]:
        """What is said of it, as plain values."""
        from dojang.explain import words

        return {
            "method": self.method,
            "label": self.label,
            "layer": self.layer,
            "shape": list(self.values.shape),
            "parts": words.parts(self),
            "half_in": words.half(self),
            "words": words.sentence(self),
            "facts": dict(self.facts),
        }

    def as_dict(self) -> dict[str, Any]:
        """The same with the values, and how they lie on the picture, for JSON."""
        return self.told() | {"values": packed(self.values), "frame": self.frame.as_dict(), "smooth": self.smooth}


@dataclasses.dataclass(frozen=True)
class Watched:
    """The maps of a layer, and how the score of a class changes with them.

    Args:
        maps, gradients: (c, h, w), float32.
        shared: The gradients; in front of a maximum pooling, which hands them to the winner of each window alone,
            shared out among all places of the window: a map made of them place by place would be a grid of dots.
    """

    target: Target
    maps: Float[Tensor, "c h w"]
    gradients: Float[Tensor, "c h w"]
    shared: Float[Tensor, "c h w"]


def watch(sight: Sight, layer: str | None = None) -> Watched:
    """Maps of a layer and the gradients that come back to them, in one pass forth and back.

    Args:
        layer: Its name; None takes the best one (:func:`dojang.explain.target.best`).  Of a network of tokens that is
            the last one to which the score's gradient comes back at the places of the picture.

    Raises:
        ConfigError: C203 and C290 as :func:`dojang.explain.target.named`.
    """
    if layer is not None:
        return _watch(sight, targets.named(sight.trace, layer))
    first = targets.best(sight.trace)
    for target in targets.candidates(sight.trace):
        found = _watch(sight, target)
        if targets.reached(found.gradients) or target.layout.kind == "maps":
            return found
    return _watch(sight, first)


def _watch(sight: Sight, target: Target) -> Watched:
    pool = _pooling(sight.trace, target.call)
    wanted = [target.call] if pool is None else [target.call, pool]
    caught: dict[int, Tensor] = {}
    handles = [_catch(call, caught) for call in wanted]
    try:
        with torch.enable_grad():
            # also a network whose weights are all frozen has a gradient by its picture
            scores = sight.scores(sight.image.clone().requires_grad_(True))
            outputs = [caught[call.ticket] for call in wanted]
            gradients = torch.autograd.grad(scores[0, sight.target], outputs)
    finally:
        for handle in handles:
            handle.remove()
    layout, maps = target.layout, outputs[0].detach()
    shared = gradients[0] if pool is None else _shared(pool.module, maps, gradients[1])
    found = (layout.maps(one)[0].float().contiguous() for one in (maps, gradients[0], shared))
    return Watched(target, *found)


def _catch(call: Call, caught: dict[int, Tensor]) -> Any:
    """Keep what a layer gives at one of its uses, by the call's ticket."""
    use = 0

    def hook(module: Any, args: Any, output: Any) -> Any:
        nonlocal use
        use += 1
        if use != call.use:
            return None
        tensor = output if isinstance(output, Tensor) else output[0]
        caught[call.ticket] = tensor
        # what comes next may work in place: it gets a copy
        copy = tensor.clone()
        return copy if isinstance(output, Tensor) else (copy, *output[1:])

    return call.module.register_forward_hook(hook)


def _pooling(trace: Trace, call: Call) -> Call | None:
    """The maximum pooling that alone reads a layer; None where there is none such."""
    later = {node.call for node in trace.nodes if call.gave in node.sources}
    reader = next((other for other in trace.calls if {other.ticket} == later), None)
    return reader if reader is not None and type(reader.module) is nn.MaxPool2d else None


def _shared(pool: nn.Module, maps: Tensor, gradient: Tensor) -> Tensor:
    """The gradient behind a pooling shared out among all places of its windows, as that of a mean."""
    size, stride, padding = (getattr(pool, name) for name in ("kernel_size", "stride", "padding"))
    with torch.enable_grad():
        before = torch.zeros_like(maps).requires_grad_(True)
        means = F.avg_pool2d(before, size, stride, padding, bool(pool.ceil_mode))
        return torch.autograd.grad(means, before, gradient)[0]


def gradcam(maps: Float[Tensor, "c h w"], gradients: Float[Tensor, "c h w"]) -> Float[Tensor, "h w"]:
    """Maps weighed by how much each changes the score on average; what speaks against the class is left out.

    Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV
    2017, arXiv:1610.02391, equations 1 and 2.

    Example:
        >>> maps = torch.tensor([[[1.0, 2.0]], [[3.0, 0.0]]])
        >>> gradcam(maps, torch.tensor([[[1.0, 3.0]], [[-1.0, -1.0]]]))
        tensor([[0., 4.]])
    """
    weights = gradients.mean(dim=(1, 2), keepdim=True)
    return (weights * maps).sum(dim=0).relu()


def layercam(maps: Float[Tensor, "c h w"], gradients: Float[Tensor, "c h w"]) -> Float[Tensor, "h w"]:
    """Each place of each map weighed by its own gradient where that is positive: finer, also in earlier layers.

    Source: Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE Transactions
    on Image Processing 30, 2021, equations 7 to 9.

    Example:
        >>> maps = torch.tensor([[[1.0, 2.0]], [[3.0, 0.0]]])
        >>> layercam(maps, torch.tensor([[[1.0, 3.0]], [[-1.0, -1.0]]]))
        tensor([[1., 6.]])
    """
    return (gradients.relu() * maps).sum(dim=0).relu()


def at_layer(sight: Sight, watched: Watched, method: str) -> Heat:
    """The heat map of a method that is taken at a layer, by the network's pixels.

    Args:
        method: "gradcam" or "layercam".
    """
    if method == "gradcam":
        heat = gradcam(watched.maps, watched.gradients)
    else:
        heat = layercam(watched.maps, watched.shared)
    call, layout = watched.target.call, watched.target.layout
    field = sight.trace.nodes[call.gave].field if call.gave is not None and layout.kind == "maps" else None
    spread = between(heat.cpu().numpy(), field, sight.frame.size)
    values = np.ascontiguousarray(sight.in_place(spread))
    facts = {"places": [layout.height, layout.width], "channels": layout.channels}
    return Heat(method, sight.label, values, sight.frame, call.name, sight.order is None, facts)


def between(heat: Float32[np.ndarray, "h w"], field: Field | None, size: tuple[int, int]) -> Float32[np.ndarray, "H W"]:
    """A value for every pixel, from those of a map's places, each of which stands in the middle of what it sees.

    A map that is simply made larger lies beside the picture: behind strided windows its first place looks at the
    corner, not at the middle of the first of its cells.

    Args:
        field: What the places see; None where that is not known, and the cells are taken.
        size: Height and width of the picture that the network sees.

    Example:
        >>> between(np.array([[0.0, 1.0]], np.float32), None, (1, 4))
        array([[0.  , 0.25, 0.75, 1.  ]], dtype=float32)
    """
    sides = []
    for number, (count, pixels) in enumerate(zip(heat.shape, size, strict=True)):
        middles = (np.arange(count) + 0.5) * pixels / count
        if field is not None and count > 1:
            side = (field.down, field.across)[number]
            exact = side.start + side.size / 2 + side.jump * np.arange(count)
            # behind squeeze and excitation every place sees the whole picture, and its field has no middle of its own
            if side.jump > 0 and abs(exact.mean() - pixels / 2) <= side.jump:
                middles = exact
        sides.append(middles)
    down, across = sides
    rows = np.array([np.interp(np.arange(size[1]) + 0.5, across, row) for row in heat])
    columns = np.array([np.interp(np.arange(size[0]) + 0.5, down, column) for column in rows.T])
    found: np.ndarray = columns.T.astype(np.float32)
    return found
