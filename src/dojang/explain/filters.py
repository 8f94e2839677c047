"""What a network's first layer looks for, and what any of its layers makes of a picture: filters and feature maps.

Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012,
figure 3, for filters of the first layer as pictures.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image
from torch import Tensor, nn

from dojang.errors import ConfigError
from dojang.explain import arithmetic, target
from dojang.explain.overlay import colours
from dojang.explain.packed import packed
from dojang.explain.sheet import fitting, sheet, tile
from dojang.explain.sight import Sight
from dojang.explain.trace import Call, Trace

#: filters or maps on one sheet, at most
SHOWN = 144
_SIDE = 72


@dataclasses.dataclass(frozen=True, eq=False)
class Filters:
    """The weights of a layer.

    Args:
        layer: Its name.
        values: float32 (n, c, h, w): of a convolution its kernels, of a dense layer the weights of each unit, laid out
            as the picture, or the maps, that it is given.
    """

    layer: str
    values: Float32[np.ndarray, "n c h w"]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; of more than 144 filters the strongest."""
        kept, _ = _strongest(np.abs(self.values).max(axis=(1, 2, 3)))
        told = {"layer": self.layer, "shape": list(self.values.shape), "shown": kept}
        return told | {"filters": packed(self.values[kept], apart=True)}

    def drawn(self) -> Image.Image:
        """A sheet: zero is grey; each filter is as strong as it can be shown. Of more than 144 the strongest."""
        sizes = np.abs(self.values).max(axis=(1, 2, 3))
        kept, left_out = _strongest(sizes)
        tiles = []
        for number in kept:
            scaled = self.values[number] / max(float(sizes[number]), 1e-12)
            levels = np.rint(127.5 + 127.5 * scaled).astype(np.uint8).transpose(1, 2, 0)
            if levels.shape[2] not in (1, 3):
                levels = levels.mean(axis=2, keepdims=True, dtype=np.float32).astype(np.uint8)
            tiles.append(tile(levels, fitting(levels.shape, _SIDE)))
        count, channels, height, width = self.values.shape
        title = f"{self.layer}: {count:,} filters of {channels} x {height} x {width}{left_out}"
        return sheet(tiles, [str(number) for number in kept], title)


@dataclasses.dataclass(frozen=True, eq=False)
class Maps:
    """What a layer makes of one picture.

    Args:
        layer: Its name.
        values: float32 (c, h, w).
    """

    layer: str
    values: Float32[np.ndarray, "c h w"]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; of more than 144 maps the strongest."""
        kept, _ = _strongest(np.abs(self.values).max(axis=(1, 2)))
        told = {"layer": self.layer, "shape": list(self.values.shape), "shown": kept}
        return told | {"maps": packed(self.values[kept], apart=True)}

    def drawn(self) -> Image.Image:
        """A sheet: black is 0, red to yellow above it, blue below; each map by its own largest number, told below it.

        Of more than 144 the strongest are shown.
        """
        sizes = np.abs(self.values).max(axis=(1, 2))
        kept, left_out = _strongest(sizes)
        tiles, captions = [], []
        for number in kept:
            size = float(sizes[number])
            scaled = self.values[number] / (size or 1.0)
            tiles.append(tile(colours(scaled.astype(np.float32)), fitting(scaled.shape, _SIDE)))
            captions.append(f"{number}: {size:.3g}")
        count, height, width = self.values.shape
        silent = int((sizes == 0).sum())
        told = f", {silent:,} of them silent" if silent else ""
        return sheet(tiles, captions, f"{self.layer}: {count:,} maps of {height} x {width}{told}{left_out}")


def filters(sight: Sight, layer: str | None = None) -> Filters:
    """The filters of a layer; None takes the first with weights.

    Raises:
        ConfigError: C203 for a layer that is not there, C290 for one without weights that a picture could show.
    """
    trace = sight.trace
    call = trace.find(layer) if layer is not None else next(filter(_weighted, trace.layers()), None)
    form = None if call is None else shape(trace, call)
    if call is None or form is None:
        whose = "the first layer of this network" if layer is None else f"the layer {layer!r}"
        raise ConfigError(
            "C290",
            f"{whose} has no filters that a picture could show.",
            fix="--maps LAYER, for what a layer makes of the picture.",
        )
    values = np.ascontiguousarray(_weight(call).detach().float().cpu().numpy().reshape(form))
    if isinstance(call.module, nn.Linear) and form[1:] == trace.nodes[0].shape:
        # each weight where the picture has its pixel
        values = np.stack([[sight.in_place(channel) for channel in one] for one in values])
    return Filters(call.name, values)


def shape(trace: Trace, call: Call) -> tuple[int, int, int, int] | None:
    """The form (n, c, h, w) in which a picture can show a layer's weights; None where there is none."""
    if call.given is None or not _weighted(call):
        return None
    weight = _weight(call)
    if isinstance(call.module, nn.Conv2d):
        count, channels, height, width = weight.shape
        return count, channels, height, width
    maps = arithmetic.folded(trace, call.given) if isinstance(call.module, nn.Linear) else None
    if maps is None or len(maps) != 3 or maps[0] * maps[1] * maps[2] != weight.shape[1]:
        return None
    return weight.shape[0], maps[0], maps[1], maps[2]


def maps(sight: Sight, layer: str) -> Maps:
    """What a layer makes of the picture.

    Raises:
        ConfigError: C203 for a layer that is not there, C290 for one that gives no maps.
    """
    found = target.named(sight.trace, layer)
    assert found.call.gave is not None  # or it has no maps
    output = sight.trace.value(found.call.gave)
    values = found.layout.maps(output[None])[0].float().cpu().numpy()
    return Maps(found.call.name, np.ascontiguousarray(values))


def _weighted(call: Call) -> bool:
    weight = getattr(call.module, "weight", None)
    return isinstance(weight, Tensor) and weight.ndim > 1


def _weight(call: Call) -> Tensor:
    found: Tensor = call.module.weight  # type: ignore[assignment]
    return found


def _strongest(sizes: np.ndarray) -> tuple[list[int], str]:
    """Which are shown, in their order, and what is said of the others."""
    if len(sizes) <= SHOWN:
        return list(range(len(sizes))), ""
    kept = sorted(np.argsort(-sizes, kind="stable")[:SHOWN].tolist())
    return kept, f"; the {SHOWN} strongest"
