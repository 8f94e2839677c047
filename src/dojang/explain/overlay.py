"""Heat drawn over the picture: colour means heat and nothing else, so the picture below it is grey."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from dojang.explain.heat import Heat
from dojang.explain.sheet import tile

# every sixteenth colour of "inferno": equally bright steps, which the colour-blind can tell apart.
# Source: Smith and van der Walt, "A better default colormap for Matplotlib", SciPy 2015 (CC0)
_INFERNO = np.array(
    [
        *((0, 0, 4), (11, 7, 36), (33, 12, 74), (60, 9, 101), (87, 16, 109), (112, 25, 110), (137, 34, 106)),
        *((163, 43, 97), (187, 55, 85), (209, 70, 68), (227, 89, 50), (241, 113, 30), (249, 141, 10), (252, 171, 15)),
        *((249, 202, 50), (242, 232, 101), (252, 255, 164)),
    ],
    np.float32,
)
# what speaks against a class: Okabe and Ito's blue, towards white
_AGAINST = np.array([(0, 60, 110), (0, 114, 178), (86, 180, 233), (190, 230, 255)], np.float32)
# the sides of a drawing: a small picture is enlarged in whole steps, a large one made smaller
_LEAST, _MOST = 280, 1024
# of the colour where there is most heat; of the picture where the network does not see it, and below single pixels
_COVER, _UNSEEN, _BELOW = 0.8, 0.3, 0.45


def drawn_size(height: int, width: int) -> tuple[int, int]:
    """Height and width at which a picture is drawn.

    >>> drawn_size(28, 28), drawn_size(500, 333), drawn_size(3000, 4000)
    ((280, 280), (500, 333), (768, 1024))
    """
    longest = max(height, width)
    if longest > _MOST:
        return max(1, round(height * _MOST / longest)), max(1, round(width * _MOST / longest))
    times = max(1, _LEAST // longest)
    return height * times, width * times


def shown(heat: Heat, drawn: tuple[int, int] | None = None) -> Float32[np.ndarray, "H W"]:
    """The values of a heat map between -1 and 1 as they lie on a picture; nan where it was not seen.

    Single pixels that stand out far are cut off, where the map goes by pixels.
    """
    most = float(np.quantile(np.abs(heat.values), 1 if heat.smooth else 0.995))
    values = heat.laid(drawn)
    return np.clip(values / most, -1, 1) if most > 0 else values


def colours(values: Float32[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """The colour of values between -1 and 1: from black over red to yellow above 0, blue below.

    >>> colours(np.array([[0.0, 1.0, -1.0]], np.float32)).tolist()
    [[[0, 0, 4], [252, 255, 164], [190, 230, 255]]]
    """
    values = np.nan_to_num(values)
    above, below = (_of(table, np.abs(values)) for table in (_INFERNO, _AGAINST))
    mixed: np.ndarray = np.where(values[..., None] >= 0, above, below).round().astype(np.uint8)
    return mixed


def overlay(original: UInt8[np.ndarray, "H W 3"], heat: Heat) -> Image.Image:
    """A picture in grey with heat over it; dark where the network does not see it.

    Args:
        original: The upright picture.
    """
    size = drawn_size(*original.shape[:2])
    values = shown(heat, size)
    grey = np.asarray(tile(original, size).convert("L"), np.float32)[..., None]
    grey = grey if heat.smooth else _BELOW * grey
    strength = _COVER * np.sqrt(np.abs(np.nan_to_num(values)))[..., None]
    mixed = (1 - strength) * grey + strength * colours(values)
    mixed = np.where(np.isnan(values)[..., None], _UNSEEN * grey, mixed)
    return Image.fromarray(mixed.round().astype(np.uint8))


def png(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file; the same picture gives the same bytes."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _of(table: Float32[np.ndarray, "n 3"], shares: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w 3"]:
    at = shares * (len(table) - 1)
    below = np.minimum(at.astype(np.int64), len(table) - 2)
    share = (at - below)[..., None]
    found: np.ndarray = table[below] * (1 - share) + table[below + 1] * share
    return found
