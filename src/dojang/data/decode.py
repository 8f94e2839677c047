"""The only door for image bytes: the same bytes give the same uint8 levels in training, scoring and serving.

What comes through is a whole picture in one of six formats, told by content; anything else is a coded error that says
what was found. Nothing is repaired, padded or guessed. Levels are stored ones: colour profiles are not applied.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from dojang.data.container import Container, sniff, walk
from dojang.data.levels import SKIP, given, levels_of
from dojang.data.manifest import plain
from dojang.data.strangers import looks_like
from dojang.data.tags import BrokenError
from dojang.errors import ConfigError, DataError

MAX_PIXELS = 50_000_000

# opened by class: Image.open compares sizes with a global of its own, and warns
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "MPO": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
    "TIFF": TiffImageFile,
}
# what Pillow has been seen to raise on hostile bytes, and its own bomb check
_FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    MemoryError,
    BufferError,
    Warning,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
# how EXIF says a picture is turned, and what undoes it (EXIF 2.32, tag 0x0112)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_GRAY = ("1", "L", "LA", "La", "I", "F")


@dataclass(frozen=True)
class ImageInfo:
    """What a picture's header says.

    Args:
        width, height: In pixels, after the EXIF orientation is applied.
        mode: Pillow's word for its pixels ("L", "RGB", "P", "I;16", ...).
        format: JPEG, MPO, PNG, WEBP, BMP, GIF or TIFF.
        frames: How many pictures the file holds; dojang reads the first.
    """

    width: int
    height: int
    mode: str
    format: str
    frames: int


class Walked(NamedTuple):
    """What :func:`look_through` found in a file, and the bytes that it had.

    Args:
        image: Pillow's, opened by :func:`opened`; its pixels can be decoded once.
    """

    container: Container
    size: int
    image: ImageFile.ImageFile | None = None


class Decoded(NamedTuple):
    """A picture's levels.

    Args:
        image: Of mode "L" or "RGB", upright.
        height, width: Of the picture in its file, upright, in pixels.
        box: Left, top, right and bottom of the picture in ``image``, where its sides were divided and rounded up; None
            when it is all of it.
    """

    image: Image.Image
    height: int
    width: int
    box: tuple[float, float, float, float] | None = None


def probe(data: bytes | Walked, where: str, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """What a picture is, without decoding its pixels; for scanning many files fast.

    Args:
        data: The bytes of the file, looked through or not.
        where: What to call it in messages.
        max_pixels: Larger ones are refused.

    Raises:
        DataError: D102, D103 or D105, as :func:`decode` does; faults that only pixels show are not found.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("L", (4, 3)).save(file, "PNG")
        >>> probe(file.getvalue(), "a.png")
        ImageInfo(width=4, height=3, mode='L', format='PNG', frames=1)
    """
    container, _, image = opened(data if isinstance(data, Walked) else look_through(data, where, max_pixels), where)
    assert image is not None  # for the type checker
    mode = image.mode
    sides = container.width, container.height
    width, height = sides if container.orientation < 5 else sides[::-1]
    return ImageInfo(width, height, mode, container.format, container.frames)


def described(pixels: np.ndarray) -> ImageInfo:
    """What there is to say of pixels that are decoded already, (h, w), (h, w, 1) or (h, w, 3).

    >>> described(np.zeros((4, 3), np.uint8))
    ImageInfo(width=3, height=4, mode='L', format='array', frames=1)
    """
    height, width = pixels.shape[:2]
    return ImageInfo(width, height, "L" if pixels.ndim == 2 or pixels.shape[2] == 1 else "RGB", "array", 1)


def is_gray(info: ImageInfo) -> bool:
    """Whether the stored pixels have no colour; a palette counts as colour.

    >>> is_gray(ImageInfo(28, 28, "L", "PNG", 1)), is_gray(ImageInfo(28, 28, "P", "GIF", 1))
    (True, False)
    """
    return info.mode in _GRAY or info.mode.startswith("I;16")


def decode(
    data: bytes | np.ndarray, where: str, *, mode: str, background: int = 255, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """The first picture of a file as uint8 levels, upright and without transparency.

    16-bit levels v become round(v * 255 / 65535); floating-point ones, from 0 to 1, become round(v * 255). Where alpha
    is a, the level is round((v * a + background * (255 - a)) / 255). Colour becomes gray by ITU-R 601 in Pillow's fixed
    point, after the background is laid under it; CMYK becomes RGB by Pillow's plain formula.

    Args:
        data: The bytes of the file; or pixels that are decoded already, uint8 of shape (h, w), (h, w, 1) or (h, w, 3).
        where: What to call it in messages: a path, a member, a URL.
        mode: "L" for gray or "RGB" for colour.
        background: The level, 0 to 255, that shows through transparent pixels.
        max_pixels: Larger pictures are refused before any memory is taken for them.

    Returns:
        uint8 array of shape (h, w, c), C-contiguous; c is 1 for "L" and 3 for "RGB".

    Raises:
        DataError: D102 broken or cut, D103 not a picture that dojang reads, D105 too many pixels, D106 levels that have
            no place in 0 to 255, D108 an array that is no picture.
        ConfigError: C202 for another mode or background.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (4, 3), (255, 0, 0)).save(file, "PNG")
        >>> decode(file.getvalue(), "red.png", mode="L").shape
        (3, 4, 1)
    """
    if isinstance(data, np.ndarray):
        _check(mode, background)
        return given(data, where, mode)
    levels = np.asarray(decode_image(data, where, mode=mode, background=background, max_pixels=max_pixels).image)
    return levels.reshape(*levels.shape[:2], -1)


def decode_image(
    data: bytes | Walked,
    where: str,
    *,
    mode: str,
    background: int = 255,
    max_pixels: int = MAX_PIXELS,
    reduction: int = 1,
) -> Decoded:
    """What :func:`decode` gives, as a Pillow image; for resizing, which then needs no copy of all the pixels.

    Args:
        reduction: 2, 4 or 8 decodes a JPEG at that fraction of its sides, rounded up, with little more work than its
            smaller size takes. These are not the levels of the whole picture made smaller: for training only. Other
            formats do not change.

    Raises:
        DataError, ConfigError: As :func:`decode`.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("L", (33, 16)).save(file, "JPEG")
        >>> small = decode_image(file.getvalue(), "a.jpg", mode="RGB", reduction=4)
        >>> small.image.size, small.box
        ((9, 4), (0.0, 0.0, 8.25, 4.0))
    """
    _check(mode, background)
    container, size, image = data if isinstance(data, Walked) else look_through(data, where, max_pixels)
    # a file that was looked through may have been allowed more
    _check_size(container, where, max_pixels)
    with _explained(size, where, container):
        image = image or _opened(container)
        small = image.draft(None, _reduced(image.size, reduction)) if reduction > 1 else None
        # all bytes at once: libjpeg need not stop and wait for more of them
        image.decodermaxblock = max(image.decodermaxblock, len(container.pixels))
        image.load()
        levels = levels_of(image, container, where, mode, background)
    return _upright(levels, container, small[1][2:] if small else None)


def decode_numbers(data: bytes, where: str, *, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "h w"]:
    """The numbers that a picture of classes holds, pixel by pixel: of one with a palette their places in it.

    Raises:
        DataError: As :func:`decode`; D115 for a picture of colours or of more than 256 levels.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("L", (2, 1), 7).save(file, "PNG")
        >>> decode_numbers(file.getvalue(), "mask.png").tolist()
        [[7, 7]]
    """
    container, size, image = opened(look_through(data, where, max_pixels), where)
    assert image is not None
    if image.mode not in ("L", "P"):
        raise DataError(
            "D115",
            f"mask {plain(where)} has pixels of mode {image.mode}; a mask holds one number a pixel, that of its class.",
            context="Colours do not say which class they are.",
            fix="save it with one channel of 8 bits, or with a palette, as PNG.",
        )
    if container.format in ("JPEG", "MPO"):
        raise DataError(
            "D115",
            f"mask {plain(where)} is a JPEG: its numbers are not those that were stored.",
            fix="save it as PNG, from the original.",
        )
    with _explained(size, where, container):
        image.load()
        # a palette's colours stay aside
        numbers = Image.frombytes("L", image.size, image.tobytes())
    return np.asarray(_upright(numbers, container, None).image)


def _check(mode: str, background: int) -> None:
    if mode not in ("L", "RGB"):
        raise ConfigError("C202", f"mode cannot be {mode!r}; expected one of L, RGB.")
    if not 0 <= background <= 255:
        raise ConfigError("C202", f"background cannot be {background!r}; expected a whole number from 0 to 255.")


def look_through(data: bytes, where: str, max_pixels: int = MAX_PIXELS) -> Walked:
    """A file found whole, of a format and a size that are allowed; :func:`probe` and the decoders need not look again.

    Raises:
        DataError: D102, D103 or D105, as :func:`decode`.
    """
    format = sniff(data)
    if format is None:
        raise DataError(
            "D103",
            f"{where!r} is not a picture that dojang reads: {looks_like(data)} ({len(data):,} bytes).",
            context="Read: jpg, png, webp, bmp, gif, tiff (by content).",
            fix=f"save it as one of these, {SKIP}",
        )
    try:
        container = walk(data, format)
    except BrokenError as error:
        raise _broken(len(data), where, format, str(error)) from None
    _check_size(container, where, max_pixels)
    return Walked(container, len(data))


def opened(walked: Walked, where: str) -> Walked:
    """The same with Pillow's image, whose header has been read; decoding it need not read that again.

    Raises:
        DataError: D102 where Pillow does not take the header.
    """
    if walked.image is not None:
        return walked
    with _explained(walked.size, where, walked.container):
        return walked._replace(image=_opened(walked.container))


def _check_size(container: Container, where: str, max_pixels: int) -> None:
    if container.format in ("WEBP", "TIFF") and Image.MAX_IMAGE_PIXELS:  # Pillow checks these itself, with a warning
        max_pixels = min(max_pixels, Image.MAX_IMAGE_PIXELS)
    if container.width * container.height > max_pixels:
        megapixels = _mega(container.width * container.height)
        raise DataError(
            "D105",
            f"{where!r} is {container.width:,} x {container.height:,} = {megapixels} megapixels; "
            f"the limit is {_mega(max_pixels)}.",
            fix=f"shrink it (magick IN -resize 4000x4000 OUT), {SKIP}",
        )


def _opened(container: Container) -> ImageFile.ImageFile:
    """Pillow's image, not loaded yet."""
    image = _READERS[container.format](io.BytesIO(container.pixels))
    if image.size != (container.width, container.height):
        raise ValueError(
            f"its headers disagree: {container.width} x {container.height}, and {image.width} x {image.height}"
        )
    return image


@contextlib.contextmanager
def _explained(size: int, where: str, container: Container) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        reason = str(error) if " " in str(error) else f"Pillow stopped with {type(error).__name__} {error}".rstrip()
        if isinstance(error, MemoryError):
            reason = f"there is no memory for {container.width:,} x {container.height:,} pixels"
        raise _broken(size, where, container.format, reason) from error


def _broken(size: int, where: str, format: str, reason: str) -> DataError:
    return DataError(
        "D102",
        f"{where!r} is a {format} file that cannot be decoded: {reason} ({size:,} bytes).",
        fix=f"replace it with a whole copy, {SKIP}",
    )


def _reduced(size: tuple[int, int], reduction: int) -> tuple[int, int]:
    """The size to ask Pillow for, of which it takes the largest of 1/1, 1/2, 1/4, 1/8 that is no smaller."""
    return max(1, size[0] // reduction), max(1, size[1] // reduction)


def _upright(levels: Image.Image, container: Container, sides: tuple[float, float] | None) -> Decoded:
    """Undo the EXIF orientation; odd and even ones mirror, those from 5 on swap the axes.

    Args:
        sides: Width and height of a picture that was reduced, before they were rounded up.
    """
    turn, height, width = container.orientation, container.height, container.width
    if turn > 1:
        levels = levels.transpose(_TURNS[turn])
    if turn >= 5:
        height, width = width, height
    if sides is None:
        return Decoded(levels, height, width)
    across, down = sides if turn < 5 else sides[::-1]
    # what was added by rounding lay right and below
    left = levels.width - across if turn in (2, 3, 6, 7) else 0.0
    top = levels.height - down if turn in (3, 4, 7, 8) else 0.0
    return Decoded(levels, height, width, (left, top, left + across, top + down))


def _mega(pixels: int) -> str:
    """Millions, exact to one.

    >>> _mega(378_000_000), _mega(50_000_001), _mega(100)
    ('378', '50.000001', '0.0001')
    """
    return f"{pixels // 10**6:,}.{pixels % 10**6:06d}".rstrip("0").rstrip(".")
