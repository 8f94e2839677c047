"""Where on a picture the network's own pixels lie: what was resized, cut off and padded, undone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float32

from dojang.data.preprocess import Preprocess

Box = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Frame:
    """What lies where: a place in the network's pixels is one in the picture's, times ``scale``, plus ``offset``.

    Places are counted from the upper left corner, so the first pixel reaches from 0 to 1.

    Args:
        picture: Height and width of the upright picture.
        size: Height and width of what the network sees.
        scale: Network's pixels for one of the picture's, down and across.
        offset: Where the picture's corner lies in the network's pixels; negative where it was cut off.

    Example:
        >>> frame = Frame.of(Preprocess("L", 10, 10, fit="pad"), 20, 40)
        >>> frame.scale, frame.offset
        ((0.25, 0.25), (2, 0))
        >>> frame.on_picture((2, 0, 7, 10))
        (0.0, 0.0, 20.0, 40.0)
    """

    picture: tuple[int, int]
    size: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[int, int]

    @classmethod
    def of(cls, preprocess: Preprocess, height: int, width: int) -> Frame:
        """Of an upright picture of a size."""
        inner, kept = preprocess.inner_size(height, width), preprocess.stored_size(height, width)
        cut = preprocess.centre(*kept)
        down, across = ((kept[side] - inner[side]) // 2 - cut[side] for side in (0, 1))
        return cls(
            (height, width),
            (preprocess.height, preprocess.width),
            (inner[0] / height, inner[1] / width),
            (down, across),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        told = {name: list(side) for name, side in dataclasses.asdict(self).items()}
        return told | {"seen": [round(end, 2) for end in self.seen]}

    def on_picture(self, box: Box) -> Box:
        """A box (top, left, bottom, right) of the network's pixels in the picture's, cut at its edges."""
        ends = []
        for number, end in enumerate(box):
            side = number % 2
            ends.append(min(max((end - self.offset[side]) / self.scale[side], 0.0), float(self.picture[side])))
        return ends[0], ends[1], ends[2], ends[3]

    @property
    def seen(self) -> Box:
        """The part of the picture that the network sees."""
        return self.on_picture((0, 0, *self.size))

    @property
    def whole(self) -> bool:
        """Whether the network sees all of the picture, but for less than a pixel at an edge."""
        top, left, bottom, right = self.seen
        return top < 1 and left < 1 and bottom > self.picture[0] - 1 and right > self.picture[1] - 1

    def lay(
        self, values: Float32[np.ndarray, "h w"], drawn: tuple[int, int] | None = None, *, smooth: bool = True
    ) -> Float32[np.ndarray, "h2 w2"]:
        """Values of the network's pixels as they lie on the picture; nan where the network did not see it.

        Args:
            values: One for each pixel that the network sees.
            drawn: Height and width at which the picture is drawn; None takes its own.
            smooth: Go straight from the middle of one pixel to the next; else each pixel is a square.
        """
        height, width = drawn or self.picture
        down, across = self._places(0, height), self._places(1, width)
        if smooth:
            laid = _between(_between(values, down, 0), across, 1)
        else:
            rows, columns = (
                np.clip(np.floor(places + 0.5).astype(np.int64), 0, side - 1)
                for places, side in zip((down, across), self.size, strict=True)
            )
            laid = values[rows][:, columns]
        outside_down, outside_across = (
            (places < -0.5) | (places > side - 0.5) for places, side in zip((down, across), self.size, strict=True)
        )
        laid = laid.astype(np.float32)
        laid[outside_down] = np.nan
        laid[:, outside_across] = np.nan
        return laid

    def _places(self, side: int, drawn: int) -> np.ndarray:
        """For each row (or column) of a drawing the network's, 0 being the middle of its first."""
        middles = (np.arange(drawn) + 0.5) * (self.picture[side] / drawn)
        return middles * self.scale[side] + self.offset[side] - 0.5


def _between(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Values at places between the rows (axis 0) or columns (axis 1); beyond the ends those of the ends."""
    count = values.shape[axis]
    places = np.clip(places, 0, count - 1)
    below = np.minimum(np.floor(places).astype(np.int64), max(count - 2, 0))
    above = np.minimum(below + 1, count - 1)
    share = places - below
    share = share[:, None] if axis == 0 else share[None, :]
    found: np.ndarray = values.take(below, axis) * (1 - share) + values.take(above, axis) * share
    return found
