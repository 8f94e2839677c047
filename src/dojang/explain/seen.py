"""The exact pixels that a unit saw: its receptive field, cut at the edges of the picture."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dojang.explain.frame import Box
from dojang.explain.sight import Sight
from dojang.models.receptive import Field, Side


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """Which pixels a unit depends on.

    Args:
        box: Top, left, bottom and right (the last two not included) among the network's places.
        size: Height and width of the whole field, what reaches beyond the picture included.
        pixels: What lies there, uint8 (h, w, c), as the network has it before it is normalised.
        on_picture: The box on the picture itself; None where the network knows pixels in another order.
        scattered: Row and column of each of these pixels in the picture, where the network knows pixels in another
            order: int64 (n, 2), in the order of ``pixels``; None where they are a box there, too.
    """

    box: tuple[int, int, int, int]
    size: tuple[int, int]
    pixels: UInt8[np.ndarray, "h w c"]
    on_picture: Box | None
    scattered: np.ndarray | None = None

    @property
    def clipped(self) -> bool:
        """Whether the field reaches beyond the picture, where there is padding only."""
        top, left, bottom, right = self.box
        return (bottom - top, right - left) != self.size

    def as_dict(self, most: int | None = None) -> dict[str, Any]:
        """Plain values, for JSON; pixels only where they are no more than ``most`` numbers."""
        few = most is None or self.pixels.size <= most
        return {
            "box": list(self.box),
            "size": list(self.size),
            "clipped": self.clipped,
            "pixels": self.pixels.tolist() if few else None,
            "on_picture": None if self.on_picture is None else [round(end, 2) for end in self.on_picture],
            "scattered": None if self.scattered is None else self.scattered.tolist(),
        }


def seen(sight: Sight, field: Field | None, index: tuple[int, ...]) -> Seen | None:
    """The pixels that a unit saw; None where that is not known.

    Args:
        field: Of the unit's layer.
        index: Channel, row and column; of a unit without a place its number.
    """
    if field is None:
        return None
    places = index[1:] if len(index) == 3 else (0, 0)
    height, width = sight.frame.size
    (top, bottom), (left, right) = (
        _ends(side, place, length)
        for side, place, length in zip((field.down, field.across), places, (height, width), strict=True)
    )
    if top >= bottom or left >= right:
        # it saw nothing but padding
        top = bottom = left = right = 0
    pixels, scattered = sight.pixels, None
    if sight.order is not None:
        flat = pixels.reshape(-1, pixels.shape[2])
        pixels = flat[sight.order].reshape(pixels.shape)
        chosen = sight.order.reshape(height, width)[top:bottom, left:right].reshape(-1)
        scattered = np.stack([chosen // width, chosen % width], axis=1)
    box = (top, left, bottom, right)
    on_picture = sight.frame.on_picture(box) if scattered is None else None
    return Seen(box, field.size, np.ascontiguousarray(pixels[top:bottom, left:right]), on_picture, scattered)


def _ends(side: Side, place: int, length: int) -> tuple[int, int]:
    first = side.start + side.jump * place
    return max(0, math.floor(first)), min(length, math.ceil(first + side.size))
