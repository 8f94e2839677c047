"""A picture in small, as a page without files of its own carries it: inside an address."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from dojang.data.decode import decode, decode_image, is_gray, look_through, probe

#: pictures up to this side are shown as they are, pixel for pixel; larger ones are made smaller, as JPEG
EXACT = 64


def address(levels: np.ndarray, side: int = 192, quality: int = 85) -> str:
    """A picture as a data address: PNG up to 64 pixels, JPEG of at most ``side`` pixels above.

    Args:
        levels: uint8 (h, w), (h, w, 1) or (h, w, 3).
        quality: Of the JPEG, 1 to 95.

    Example:
        >>> address(np.zeros((2, 2), np.uint8))[:22]
        'data:image/png;base64,'
    """
    image = Image.fromarray(np.ascontiguousarray(levels.squeeze(-1) if levels.shape[2:] == (1,) else levels))
    exact = max(image.size) <= EXACT
    if not exact:
        image.thumbnail((side, side))
    file = io.BytesIO()
    image.save(file, "PNG" if exact else "JPEG", **({} if exact else {"quality": quality}))
    kind = "png" if exact else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def thumbnail(data: bytes | np.ndarray, where: str, side: int, quality: int = 85) -> str:
    """The data address of a picture file, or of pixels, made small; a large JPEG is not decoded whole for it.

    Use it to look at pictures, not to measure them: what is decoded small has other levels.

    Args:
        where: What to call it in messages.

    Raises:
        DataError: As :func:`dojang.data.decode.decode` does.
    """
    if isinstance(data, np.ndarray):
        gray = data.ndim == 2 or data.shape[2] == 1
        return address(decode(data, where, mode="L" if gray else "RGB"), side, quality)
    walked = look_through(data, where)
    info = probe(walked, where)
    longest = max(info.width, info.height)
    # twice the side is left, so that the resize has something to average
    reduction = next((part for part in (8, 4, 2) if longest >= 2 * part * side), 1)
    mode = "L" if is_gray(info) else "RGB"
    levels = np.asarray(decode_image(walked, where, mode=mode, reduction=reduction).image)
    return address(levels, side, quality)
