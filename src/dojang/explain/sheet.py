"""Many small pictures on one sheet, each with a line below it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

_GAP, _LINE, _TOP, _WIDTH = 6, 15, 30, 1000
_INK, _DIM, _EDGE = "#222222", "#555555", "#bbbbbb"


def sheet(tiles: Sequence[Image.Image], captions: Sequence[str], title: str, faces: Sequence[str] = ()) -> Image.Image:
    """Tiles of one size side by side, as many in a row as a page is wide.

    Args:
        captions: Of each; "" for none.
        title: Above all of them, in Latin letters.
        faces: Files of the captions' fonts, where they are not all in Latin letters.

    Example:
        >>> sheet([Image.new("RGB", (60, 60))] * 3, ["0", "1", "2"], "three filters").size
        (280, 111)
    """
    wide = max((tile.width for tile in tiles), default=1)
    tall = max((tile.height for tile in tiles), default=1)
    line = _LINE if any(captions) else 0
    across = max(1, min(len(tiles), (_WIDTH - _GAP) // (wide + _GAP)))
    down = -(-len(tiles) // across)
    size = (max(_GAP + across * (wide + _GAP), 280), _TOP + down * (tall + line + _GAP))
    image = Image.new("RGB", size, "white")
    pen, small = ImageDraw.Draw(image), font(11)
    pen.text((_GAP, 8), cut(title, font(13), size[0] - 2 * _GAP), fill=_INK, font=font(13))
    for number, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        left, top = _GAP + number % across * (wide + _GAP), _TOP + number // across * (tall + line + _GAP)
        image.paste(tile, (left, top))
        # a light tile must not run into the page
        pen.rectangle((left - 1, top - 1, left + tile.width, top + tile.height), outline=_EDGE)
        face = ImageFont.truetype(faces[number], 11) if faces else small
        pen.text((left, top + tall + 1), cut(caption, face, wide), fill=_DIM, font=face)
    return image


def fitting(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Height and width at which an array fits a square as a picture: enlarged in whole steps, or made smaller.

    >>> fitting((28, 28), 72), fitting((3, 5, 3), 72), fitting((200, 400), 100)
    ((56, 56), (42, 70), (50, 100))
    """
    height, width = shape[:2]
    longest = max(height, width, 1)
    if longest > side:
        return max(1, round(height * side / longest)), max(1, round(width * side / longest))
    return max(1, height * (side // longest)), max(1, width * (side // longest))


def tile(pixels: UInt8[np.ndarray, "h w c"], size: tuple[int, int]) -> Image.Image:
    """Pixels at a height and width: each a square where that is larger, averaged where it is smaller."""
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)).convert("RGB")
    if image.size == size[::-1]:
        return image
    how = Image.Resampling.NEAREST if size[0] >= image.height else Image.Resampling.BOX
    return image.resize(size[::-1], how)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own, which is the same on every machine."""
    return ImageFont.load_default(size)


def cut(text: str, face: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int) -> str:
    """A text no wider than there is room; one that is too long loses its end."""
    while text and face.getlength(text) > room:
        text = text[:-2] + "." if len(text) > 2 else ""
    return text
