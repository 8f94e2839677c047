"""What in a picture excited a unit: its number led back through the layers to the pixels.

On the way back a pooling puts a number where the largest one came from (its switch), a convolution is replaced by its
transpose, and an activation lets through what is above zero.  Source: Zeiler and Fergus, "Visualizing and Understanding
Convolutional Networks", ECCV 2014, arXiv:1311.2901, section 2.1.  But for what it does at activations that is the
gradient (Simonyan, Vedaldi, Zisserman, arXiv:1312.6034, section 4), and so it is computed here.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from jaxtyping import Float, Float32
from PIL import Image
from torch import Tensor, nn

from dojang.errors import ConfigError
from dojang.explain.seen import seen
from dojang.explain.sheet import fitting, sheet, tile
from dojang.explain.sight import Sight
from dojang.explain.trace import Call, Trace
from dojang.explain.unit import Unit, unit

#: units that are led back where only a layer is named
UNITS = 9
_TILE = 112
# they change nothing about where a number came from but by a factor: batch norm in use is one for each channel
_LINEAR: tuple[type[nn.Module], ...] = (
    *(nn.Conv2d, nn.Linear, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    *(nn.BatchNorm2d, nn.BatchNorm1d, nn.Flatten, nn.ZeroPad2d, nn.Dropout, nn.Dropout2d, nn.Identity),
    nn.LocalResponseNorm,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Deconvolved:
    """One unit led back to the pixels.

    Args:
        unit: Its name, LAYER:CHANNEL,ROW,COLUMN.
        value: What it gave.
        values: float32 (h, w, c), what came back at each of the network's pixels, each in its place in the picture.
        box: Top, left, bottom and right of the pixels that it saw; None where these are no box.
    """

    unit: str
    value: float
    values: Float32[np.ndarray, "h w c"]
    box: tuple[int, int, int, int] | None


def deconvolve(sight: Sight, said: str | Unit) -> Deconvolved:
    """Lead one unit back.

    Args:
        said: ``LAYER:CHANNEL,ROW,COLUMN``; of what is left out the strongest is taken.

    Raises:
        ConfigError: C292 for a network that is no single road of convolutions, activations and poolings up to that
            layer; C203 and C291 as :func:`dojang.explain.unit.unit`.
    """
    chosen = said if isinstance(said, Unit) else unit(sight.trace, said)
    calls = road(sight.trace, chosen.call)
    signal = torch.zeros_like(sight.trace.value(calls[-1].gave or 0))
    signal[chosen.index] = sight.trace.value(calls[-1].gave or 0)[chosen.index]
    value = float(signal[chosen.index])
    for call in reversed(calls):
        assert call.given is not None  # as all on a road
        signal = _back(call.module, sight.trace.value(call.given), signal)
    values = signal.permute(1, 2, 0).cpu().numpy()
    placed = np.stack([sight.in_place(np.ascontiguousarray(values[..., c])) for c in range(values.shape[2])], axis=2)
    assert chosen.call.gave is not None  # or it has no unit
    field = seen(sight, sight.trace.nodes[chosen.call.gave].field, chosen.index)
    box = field.box if field is not None and field.scattered is None else None
    return Deconvolved(chosen.name, value, placed, box)


def strongest(sight: Sight, said: str, most: int = UNITS) -> list[Deconvolved]:
    """One unit where the user names a channel; else the strongest unit of each of the strongest channels of a layer.

    Raises:
        ConfigError: As :func:`deconvolve`.
    """
    if ":" in said:
        return [deconvolve(sight, said)]
    call = sight.trace.find(said)
    road(sight.trace, call)
    assert call.gave is not None  # as all on a road
    output = sight.trace.value(call.gave)
    best = output.reshape(output.shape[0], -1).amax(dim=1)
    channels = best.argsort(descending=True, stable=True)[:most].tolist()
    flat = output.reshape(output.shape[0], -1)
    found = []
    for channel in channels:
        if float(best[channel]) <= 0:
            # it is led back as what speaks for it, and nothing does
            break
        at = np.unravel_index(int(flat[channel].argmax()), tuple(output.shape[1:]) or (1,))
        index = (channel, *(int(one) for one in at))[: output.ndim]
        found.append(deconvolve(sight, Unit(call, index)))
    return found


def drawn(sight: Sight, several: list[Deconvolved]) -> Image.Image:
    """A sheet: for each unit what came back (grey is nothing), and beside it the part of the picture that it saw."""
    tiles, captions = [], []
    for one in several:
        height, width = one.values.shape[:2]
        top, left, bottom, right = one.box or (0, 0, height, width)
        part = one.values[top:bottom, left:right]
        most = float(np.abs(part).max()) or 1.0
        levels = np.rint(127.5 + 127.5 * part / most).astype(np.uint8)
        size = fitting((bottom - top, right - left), _TILE)
        pair = Image.new("RGB", (2 * _TILE + 4, _TILE), "white")
        for at, pixels in ((0, levels), (_TILE + 4, sight.pixels[top:bottom, left:right])):
            shown = tile(pixels, size)
            pair.paste(shown, (at + (_TILE - shown.width) // 2, (_TILE - shown.height) // 2))
        tiles.append(pair)
        captions.append(f"{one.unit.rpartition(':')[2]}: {one.value:.4g}")
    layer = several[0].unit.rpartition(":")[0] if several else ""
    return sheet(tiles, captions, f"{layer}: what excited its strongest units, and what they saw")


def road(trace: Trace, last: Call) -> list[Call]:
    """The layers from the picture to a layer, one after the other.

    Raises:
        ConfigError: C292 where the way branches, or leads through something that is no layer known here.
    """
    calls: list[Call] = []
    node = last.gave
    while node:
        made = next((c for c in reversed(trace.calls) if c.layer and c.gave == node and not c.passes), None)
        if made is None or made.given is None:
            op = trace.nodes[node].op
            told = (
                "branches that are joined" if op in ("cat", "add", "add_") else f"an operation of its own code ({op})"
            )
            raise _no_road(f"behind {trace.nodes[node].scope or 'its layers'} there are {told}")
        if not isinstance(made.module, (*_LINEAR, nn.ReLU)):
            raise _no_road(f"{made.name} is a {made.type}")
        calls.append(made)
        node = made.given
    if not calls:
        raise _no_road(f"{last.name} is given nothing of the picture")
    return calls[::-1]


def _back(module: nn.Module, given: Tensor, signal: Float[Tensor, "*sides"]) -> Tensor:
    """What a layer makes of a number on its way back."""
    if isinstance(module, nn.ReLU):
        return signal.relu()
    with torch.enable_grad():
        before = given[None].clone().requires_grad_(True)
        after = module(before)
        found: Tensor = torch.autograd.grad(after, before, signal[None])[0][0]
    return found


def _no_road(why: str) -> ConfigError:
    return ConfigError(
        "C292",
        f"numbers of this network cannot be led back by deconvolution: {why}.",
        context="Zeiler and Fergus's way leads through one road of convolutions, ReLU and poolings.",
        fix="--method gradcam, --method integrated; or an earlier layer, in front of the first branch.",
    )
