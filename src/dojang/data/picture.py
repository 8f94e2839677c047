"""One picture given in code, in any of the forms that people have: as pixels or as the bytes of a file."""

from __future__ import annotations

import io
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from dojang.data.sources import FolderSource
from dojang.errors import ConfigError, DataError, did_you_mean

LAYOUTS, COLORS = ("hwc", "chw"), ("rgb", "bgr")
_FORMS = "an array (h, w) or (h, w, c), a torch tensor (c, h, w), a PIL image, the bytes of a picture file, or its path"
_LOSSLESS = {"1": "PNG", "P": "PNG", "LA": "PNG", "RGBA": "PNG", "I;16": "PNG", "CMYK": "TIFF"}


def picture(
    image: Any, index: int, *, layout: str | None = None, color: str = "rgb", where: str = "the data"
) -> bytes | np.ndarray:
    """An image in any form that pairs may have, as :func:`dojang.data.decode.decode` takes it.

    Use it for one picture; :func:`dojang.data.pairs.from_pairs` for many with labels.

    Args:
        image: uint8, bool (0 and 255) or floats from 0 to 1, in a NumPy array or torch tensor; a PIL image; the bytes
            of a picture file; a path.
        index: For messages.
        layout: "hwc" (channels last) or "chw" (channels first) of arrays and tensors with three axes; None takes NumPy
            arrays for "hwc" and torch tensors for "chw", as their libraries do.
        color: "rgb", or "bgr" for arrays and tensors as OpenCV reads them; what comes as an image knows itself.
        where: What the item belongs to, for messages.

    Raises:
        DataError: D114 with the index, for anything else.

    Example:
        >>> blue = np.zeros((2, 2, 3), np.uint8)
        >>> blue[..., 0] = 255
        >>> picture(blue, 0, color="bgr")[0, 0].tolist()
        [0, 0, 255]
    """
    torch, pillow = sys.modules.get("torch"), sys.modules.get("PIL.Image")
    if isinstance(image, (bytes, bytearray, memoryview)):
        if len(image) == 0:
            raise bad_item(index, "is 0 bytes", "expected the bytes of a picture file", where=where)
        return bytes(image)
    if isinstance(image, (str, os.PathLike)):
        return _from_file(os.fspath(image), index, where)
    if pillow is not None and isinstance(image, pillow.Image):
        return _from_pillow(image, index, where)
    if torch is not None and isinstance(image, torch.Tensor):
        return _from_array(_as_array(image, torch, index, where), index, layout or "chw", color, where, "a tensor")
    if isinstance(image, np.ndarray):
        return _from_array(image, index, layout or "hwc", color, where, "an array")
    if hasattr(image, "__array__"):
        # of another library
        return _from_array(np.asarray(image), index, layout or "hwc", color, where, "an array")
    raise bad_item(index, f"is a {type(image).__name__}", f"an image is {_FORMS}", where=where)


def bad_item(
    index: int, what: str, expected: str, *, near: str = "", fix: str = "", where: str = "the data"
) -> DataError:
    """The error for one item of an object given in Python."""
    return DataError("D114", f"item {index:,} of {where} {what}; {expected}.{near}", fix=fix)


def said(layout: str | None, color: str) -> tuple[str | None, str]:
    """The layout and the order of colours in the words used here.

    Raises:
        ConfigError: C202 for others.

    >>> said("CHW", "BGR")
    ('chw', 'bgr')
    """
    found = []
    for name, value, known in (("layout", layout, LAYOUTS), ("color", color, COLORS)):
        word = value.lower() if isinstance(value, str) else value
        if word not in known and not (name == "layout" and word is None):
            either = " or ".join(map(repr, known))
            raise ConfigError(
                "C202",
                f"{name} cannot be {value!r}; expected {either}.{did_you_mean(str(word), known)}",
                fix=f"{name}={known[0]!r}",
            )
        found.append(word)
    return found[0], str(found[1])


def _from_file(path: str, index: int, where: str) -> bytes:
    try:
        return FolderSource(Path(), "").read(path)
    except DataError as error:
        raise bad_item(
            index, "is a path that cannot be read", error.what.rstrip("."), fix=error.fix, where=where
        ) from error


def _as_array(image: Any, torch: Any, index: int, where: str) -> np.ndarray:
    image = image.detach().cpu()
    # NumPy has no such floats
    if image.dtype in (torch.bfloat16, torch.float16):
        image = image.float()
    if not (image.dtype.is_floating_point or image.dtype in (torch.uint8, torch.bool)):
        expected = "tensors are uint8, or floats from 0 to 1"
        fix = "image.to(torch.uint8), if the values are levels from 0 to 255"
        raise bad_item(index, f"is a tensor of {image.dtype}", expected, fix=fix, where=where)
    array: np.ndarray = image.numpy()
    return array


def _from_array(image: np.ndarray, index: int, layout: str, color: str, where: str, kind: str) -> bytes | np.ndarray:
    """Pixels that are ours, so that nobody changes them later; with an alpha channel, a lossless file."""
    channels = image.shape[0 if layout == "chw" else -1] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or 0 in image.shape or channels > 4:
        raise _bad_shape(image, index, layout, where, kind)
    levels = _levels(image, index, where, kind)
    if layout == "chw" and image.ndim == 3:
        levels = levels.transpose(1, 2, 0)
    if color == "bgr" and channels >= 3:
        levels = levels[..., [2, 1, 0, 3][:channels]]
    if channels in (2, 4):
        from PIL import Image

        return _from_pillow(Image.fromarray(np.ascontiguousarray(levels)), index, where)
    own = np.array(levels, order="C")
    own.flags.writeable = False
    return own


def _bad_shape(image: np.ndarray, index: int, layout: str, where: str, kind: str) -> DataError:
    shape = " x ".join(map(str, image.shape)) or "a single number"
    expected = f"{kind} is (h, w), or {'(c, h, w)' if layout == 'chw' else '(h, w, c)'} with 1 to 4 channels"
    fix = ""
    if image.ndim == 3 and 0 not in image.shape:
        other = "hwc" if layout == "chw" else "chw"
        if image.shape[-1 if layout == "chw" else 0] <= 4:
            words = "last" if layout == "chw" else "first"
            fix = f'dojang.from_pairs(data, layout="{other}"), if the channels come {words}'
    elif image.ndim == 4:
        fix = "give the dataset, not a loader of batches (loader.dataset); arrays of many go as (pictures, labels)"
    return bad_item(index, f"has the shape {shape}", expected, fix=fix, where=where)


def _levels(image: np.ndarray, index: int, where: str, kind: str) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(image.dtype, np.floating):
        raise bad_item(
            index,
            f"is {kind} of {image.dtype}",
            "levels are uint8, or floats from 0 to 1",
            fix="image.astype(np.uint8), if the values are levels from 0 to 255",
            where=where,
        )
    low, high = float(image.min()), float(image.max())
    # written so that NaN fails
    if not (low >= 0 and high <= 1):
        values = "NaN" if math.isnan(low) else f"values from {low:.3g} to {high:.3g}"
        # what was normalised stays near 0
        if low >= 0 and 10 < high <= 255:
            fix = "image / 255, if they are levels from 0 to 255"
        else:
            fix = "give pictures before Normalize; dojang measures and normalises them itself."
        raise bad_item(index, f"is {kind} with {values}", "floats are 0 to 1", fix=fix, where=where)
    # in float32 as in float64: no level is lost
    levels: np.ndarray = np.rint(image.astype(np.float32) * np.float32(255)).astype(np.uint8)
    return levels


def _from_pillow(image: Any, index: int, where: str) -> bytes | np.ndarray:
    """Pixels of a plain picture; the lossless file of one with a palette, alpha or depth, which decode then treats."""
    try:
        if image.mode in ("L", "RGB"):
            return _from_array(np.asarray(image), index, "hwc", "rgb", where, "an image")
        if image.mode not in _LOSSLESS:
            fix = 'image.convert("RGB")'
            raise bad_item(index, f"is a PIL image of mode {image.mode}", "it is not read", fix=fix, where=where)
        file = io.BytesIO()
        # a copy has no tag of an orientation: these pixels are as their owner sees them
        image.copy().save(file, _LOSSLESS[image.mode])
        return file.getvalue()
    except (OSError, ValueError, SyntaxError) as error:
        raise bad_item(index, "is a PIL image that cannot be read", f"Pillow says: {error}", where=where) from error
