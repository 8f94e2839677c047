"""One look at each picture: all that a scan needs to know of it, from one pass over its bytes.

A picture is decoded once, JPEGs at a fraction of their sides, and what is kept of it is a row of numbers and a
thumbnail: a little over a kilobyte, so a hundred thousand pictures take as much memory as ten photographs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dojang.data.ahead import in_order
from dojang.data.decode import MAX_PIXELS, ImageInfo, Walked, decode_image, described, look_through, opened, probe
from dojang.data.manifest import Manifest
from dojang.errors import DataError

#: side of a thumbnail
THUMB = 32
# side at which sharpness is looked at, whatever the size of the picture
_SHARP = 256
FACTS = np.dtype(
    [
        ("digest", "V32"),
        ("width", np.int32),
        ("height", np.int32),
        ("frames", np.int32),
        ("turned", np.bool_),
        ("format", np.uint8),
        ("mode", np.uint8),
        ("low", np.float32),
        ("high", np.float32),
        ("deviation", np.float32),
        ("sharpness", np.float32),
        ("seen", np.bool_),
    ]
)
"""Of each picture: the SHA-256 of its bytes; width and height upright; how many pictures its file holds; whether its
EXIF orientation turns it; format and mode, as positions in :attr:`Looks.formats` and ``modes``; the grey levels that
1 % and 99 % of its pixels lie below, their deviation; the deviation of their differences from their neighbours'
mean, over their own; whether it could be read."""


@dataclass(frozen=True)
class Looks:
    """What was seen of the pictures of a manifest, row by row.

    Args:
        facts: (n,) of :data:`FACTS`.
        thumbs: uint8 (n, 32, 32), grey; the whole picture, whatever its shape.
        formats, modes: The words that facts refer to.
        bad: Why a picture could not be read, by path.
    """

    facts: np.ndarray
    thumbs: np.ndarray
    formats: tuple[str, ...]
    modes: tuple[str, ...]
    bad: dict[str, DataError]


@dataclass(frozen=True)
class _Look:
    digest: bytes
    info: ImageInfo
    turned: bool
    low: float
    high: float
    deviation: float
    sharpness: float
    thumb: np.ndarray


def look(
    manifest: Manifest,
    *,
    threads: int,
    max_pixels: int = MAX_PIXELS,
    tick: Callable[[int], None] = lambda done: None,
) -> Looks:
    """Look at every picture of a manifest.

    Args:
        threads: That read and decode; 0 for the caller's own.
        max_pixels: Larger pictures are refused, and are among the bad.
        tick: Called with the number of pictures done.
    """

    def one(path: str) -> _Look | DataError:
        try:
            return _look(manifest.source.read(path), path, max_pixels)
        except DataError as error:
            return error

    count = len(manifest)
    facts, thumbs = np.zeros(count, FACTS), np.zeros((count, THUMB, THUMB), np.uint8)
    formats: dict[str, int] = {}
    modes: dict[str, int] = {}
    bad: dict[str, DataError] = {}
    for row, found in enumerate(in_order(one, manifest.paths, threads, together=4)):
        if isinstance(found, DataError):
            bad[manifest.paths[row]] = found
        else:
            info = found.info
            facts[row] = (
                found.digest,
                info.width,
                info.height,
                info.frames,
                found.turned,
                formats.setdefault(info.format, len(formats)),
                modes.setdefault(info.mode, len(modes)),
                found.low,
                found.high,
                found.deviation,
                found.sharpness,
                True,
            )
            thumbs[row] = found.thumb
        tick(row + 1)
    return Looks(facts, thumbs, tuple(formats), tuple(modes), bad)


def _look(data: bytes | np.ndarray, path: str, max_pixels: int) -> _Look:
    if isinstance(data, np.ndarray):
        levels = data.reshape(*data.shape[:2], -1)
        info = described(data)
        grey = Image.fromarray(levels if info.mode == "RGB" else levels[:, :, 0]).convert("L")
        digest, turned = hashlib.sha256(np.ascontiguousarray(data).data).digest(), False
    else:
        walked = opened(look_through(data, path, max_pixels), path)
        info, turned = probe(walked, path), walked.container.orientation > 1
        grey = _grey(walked, path, info)
        digest = hashlib.sha256(data).digest()
    low, high, deviation, sharpness = _light(grey)
    thumb = np.asarray(grey.resize((THUMB, THUMB), Image.Resampling.BOX))
    return _Look(digest, info, turned, low, high, deviation, sharpness, thumb)


def _grey(walked: Walked, path: str, info: ImageInfo) -> Image.Image:
    """The picture in grey, upright; large JPEGs at a fraction of their sides, which still reads every byte."""
    reduction = 1
    while reduction < 8 and min(info.width, info.height) >= reduction * _SHARP:
        reduction *= 2
    found = decode_image(
        walked, path, mode="L", max_pixels=max(MAX_PIXELS, info.width * info.height), reduction=reduction
    )
    if found.box is None:
        return found.image
    return found.image.crop(tuple(int(side) for side in found.box))  # type: ignore[arg-type]


def _light(grey: Image.Image) -> tuple[float, float, float, float]:
    """Grey levels that 1 % and 99 % lie below, deviation, and sharpness."""
    counts = np.asarray(grey.histogram(), np.int64)
    total = int(counts.sum())
    below = np.cumsum(counts)
    low, high = (float(np.searchsorted(below, share * total)) for share in (0.01, 0.99))
    levels = np.arange(256)
    mean = float((counts * levels).sum()) / total
    deviation = float(np.sqrt((counts * (levels - mean) ** 2).sum() / total))
    longest = max(grey.size)
    if longest > _SHARP:
        size = [max(1, round(side * _SHARP / longest)) for side in grey.size]
        grey = grey.resize((size[0], size[1]), Image.Resampling.BOX)
    small = np.asarray(grey, np.float32)
    if min(small.shape) < 3 or deviation < 1:
        return low, high, deviation, 1.0
    around = (small[:-2, 1:-1] + small[2:, 1:-1] + small[1:-1, :-2] + small[1:-1, 2:]) / 4
    return low, high, deviation, float((small[1:-1, 1:-1] - around).std() / deviation)
