"""From Pillow's pixels, or pixels that came decoded, to 8-bit levels of gray or RGB: scaled, laid on a background."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops

from dojang.data.container import Container
from dojang.errors import DataError

SKIP = "or pass --bad=skip to leave it out (recorded in the run)."
"""The way out that every error about a picture's bytes ends with."""

_COLOUR = ("P", "RGB", "RGBX", "CMYK", "YCbCr")


def levels_of(image: Image.Image, container: Container, where: str, mode: str, background: int) -> Image.Image:
    """Levels in the mode asked for."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _in_mode(Image.fromarray(_narrowed(image, container, where, background)), mode)
    if image.mode in ("1", "L") and not image.has_transparency_data:
        return _in_mode(_in_mode(image, "L"), mode)
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
        clear = ImageChops.invert(image.getchannel("A"))
        image = image.convert(image.mode.rstrip("A"))
        # Pillow's paste rounds exactly: x / 255 is never half-way between two levels
        image.paste((background,) * len(image.mode), mask=clear)
    elif image.mode not in _COLOUR:
        raise DataError(
            "D106",
            f"{where!r} has {image.mode} pixels, which cannot be shown as gray or RGB without a colour profile.",
            fix=f"save it as RGB, {SKIP}",
        )
    if image.mode == "L":
        return _in_mode(image, mode)
    return _in_mode(_in_mode(image, "RGB"), mode)


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """Pillow's conversion would copy an image that has the mode already."""
    return image if image.mode == mode else image.convert(mode)


def _narrowed(image: Image.Image, container: Container, where: str, background: int) -> np.ndarray:
    """Samples of 16 bits or more as uint8 of shape (h, w): scaled, never clipped."""
    samples = np.asarray(image)
    white: float = 1.0 if image.mode == "F" else container.white
    low, high = samples.min(), samples.max()
    if not (low >= 0 and high <= white):
        kind = "floating-point" if image.mode == "F" else "32-bit"
        raise DataError(
            "D106",
            f"{where!r} has {kind} levels from {low:.6g} to {high:.6g}; dojang reads those from 0 to {white:g}.",
            context="Scaling them by each picture's own range would make pictures incomparable.",
            fix=f"scale all pictures alike, e.g. (x - low) / (high - low), and save them as 16-bit PNG, {SKIP}",
        )
    if image.mode == "F":
        gray = (samples * np.float64(255) + 0.5).astype(np.uint8)
    else:
        # white is odd, so no v * 255 / white lies half-way between two levels
        table = ((np.arange(container.white + 1) * 255 + container.white // 2) // container.white).astype(np.uint8)
        gray = table[samples]
    if container.inverted:
        gray = 255 - gray
    if (clear := image.info.get("transparency")) is not None:
        gray[samples == clear] = background
    return gray


def given(pixels: np.ndarray, where: str, mode: str) -> np.ndarray:
    """Pixels that came decoded, in the mode asked for."""
    shape = pixels.shape
    if pixels.dtype != np.uint8 or len(shape) not in (2, 3) or pixels.size == 0 or shape[2:] not in ((), (1,), (3,)):
        raise DataError(
            "D108",
            f"{where!r} is an array of {pixels.dtype} with shape {shape}; expected uint8 of shape (height, width), "
            "(height, width, 1) or (height, width, 3).",
            fix="pixels = (pixels * 255).round().astype(np.uint8)  # if they run from 0 to 1",
        )
    if shape[2:] == (3,):
        if mode == "L":
            pixels = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("L"))[:, :, None]
        return np.ascontiguousarray(pixels)
    gray = pixels.reshape(*shape[:2], 1)
    return np.ascontiguousarray(gray if mode == "L" else np.repeat(gray, 3, axis=2))
