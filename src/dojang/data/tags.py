"""TIFF directories of tags, which stand in three places: TIFF files, the EXIF block of a photo, the index of an MPO.

Sources: TIFF 6.0, Adobe 1992; the BigTIFF design of the libtiff list; EXIF 2.32.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

MAX_STRIPS = 2**18  # Pillow makes a Python object for each; 16 x 16 tiles of 50 megapixels stay below

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = {1: "u1", 3: "u2", 4: "u4", 7: "u1", 13: "u4", 16: "u8", 18: "u8"}
# the tags that shape pixels, and those of them that hold one number
_SINGLE = {256, 257, 259, 262, 266, 277, 278, 284, 292, 293, 317, 322, 323, 332, 512, 513, 514, 515, 531}
_SHAPING = _SINGLE | {258, 273, 279, 320, 324, 325, 338, 339, 347, 517, 518, 519, 520, 521, 529, 530, 532}
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


class BrokenError(Exception):
    """The file is not whole; the text says how one sees it."""


class Tag(NamedTuple):
    """An entry of a directory: ``length`` values of one kind, ``size`` bytes at ``at``."""

    number: int
    kind: int
    length: int
    at: int
    size: int
    inline: bool
    raw: bytes


class FirstPage(NamedTuple):
    """What :func:`first_page` gives; the fields are those of a Container after its format."""

    pixels: bytes
    width: int
    height: int
    frames: int
    orientation: int
    white: int
    inverted: bool


@dataclass(frozen=True)
class Tagged:
    """Bytes with a TIFF header: the byte order, whether offsets have 8 bytes, where the first directory lies."""

    data: bytes
    order: str
    big: bool
    first: int

    @classmethod
    def of(cls, data: bytes) -> Tagged:
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        if order is None:
            raise BrokenError("its header has no byte order")
        big = struct.unpack_from(order + "H", data, 2)[0] == 43
        first = struct.unpack_from(order + "Q", data, 8) if big else struct.unpack_from(order + "I", data, 4)
        return cls(data, order, big, first[0])

    def directory(self, at: int) -> tuple[list[Tag], int, int]:
        """The tags of the directory there, where the pointer to the next one lies, and the bytes this one takes."""
        head, entry, word = ("Q", "HHQQ", "Q") if self.big else ("H", "HHII", "I")
        start = at + struct.calcsize("<" + head)
        if start > len(self.data):
            raise BrokenError("truncated: a directory lies past the end of the data")
        each, room = struct.calcsize("<" + entry), struct.calcsize("<" + word)
        end = start + each * struct.unpack_from(self.order + head, self.data, at)[0]
        if end > len(self.data):
            raise BrokenError("truncated: the data ends inside a directory")
        tags = []
        for position in range(start, end, each):
            raw = self.data[position : position + each]
            number, kind, count, offset = struct.unpack(self.order + entry, raw)
            size = _SIZES.get(kind, 0) * count
            inline = size <= room
            tags.append(Tag(number, kind, count, position + each - room if inline else offset, size, inline, raw))
        return tags, end, end + room - at

    def values(self, tag: Tag) -> np.ndarray[Any, np.dtype[Any]]:
        """A tag's whole numbers."""
        if tag.kind not in _WHOLE:
            raise BrokenError(f"tag {tag.number} should hold whole numbers")
        return np.frombuffer(self.data, self.order + _WHOLE[tag.kind], tag.length, tag.at)


def orientation(exif: bytes, xmp: bytes) -> int:
    """How a picture is turned, 1 to 8; 1 where nobody says, or says nonsense: pixels do not depend on metadata."""
    try:
        block = Tagged.of(exif.removeprefix(b"Exif\0\0"))
        for tag in block.directory(block.first)[0]:
            if tag.number == 0x0112 and tag.inline and tag.length == 1:
                value = int(block.values(tag)[0])
                return value if 1 <= value <= 8 else 1
    except (BrokenError, struct.error):
        pass
    found = _XMP_ORIENTATION.search(xmp)
    return int(found[1]) if found else 1


def first_page(data: bytes) -> FirstPage:
    """A TIFF file of the first page alone, after all pages were found to lie inside the data.

    It is the old bytes with a new directory behind them that holds only the tags that shape pixels.

    Raises:
        BrokenError: with the reason.
    """
    file = Tagged.of(data)
    pages: list[dict[int, Tag]] = []
    seen: set[int] = set()
    at, claimed = file.first, 0
    while at and at not in seen:
        seen.add(at)
        tags, pointer, taken = file.directory(at)
        at = struct.unpack_from(file.order + ("Q" if file.big else "I"), data, pointer)[0]
        number = len(pages) + 1
        if not tags:
            raise BrokenError(f"page {number} has no tags")
        for tag in tags:
            if not tag.inline and tag.at + tag.size > len(data):
                raise BrokenError(f"truncated: tag {tag.number} of page {number} lies past the end of the data")
        # tags that share their bytes could make a small file take any amount of memory and time
        claimed += taken + sum(tag.size for tag in tags if not tag.inline)
        if claimed > len(data) + 8:
            raise BrokenError(f"its tags claim {claimed:,} bytes")
        # where a number stands twice, the first counts
        pages.append({tag.number: tag for tag in reversed(tags)})
        _check_strips(file, pages[-1], number)
    if not pages:
        raise BrokenError("it holds no picture")
    return _alone(file, pages[0], len(pages))


def _check_strips(file: Tagged, page: dict[int, Tag], number: int) -> None:
    """All pixel data of a page lies inside the file."""
    whole = len(file.data)
    for offsets, counts in ((273, 279), (324, 325)):
        if offsets not in page:
            continue
        starts = file.values(page[offsets])
        lengths = file.values(page[counts]) if counts in page else starts[:0]
        if len(starts) == 0:
            raise BrokenError(f"page {number} has no pixels")
        # the maxima first: the sum of two 64-bit numbers could wrap around
        cut = int(starts.max()) > whole or (len(lengths) > 0 and int(lengths.max()) > whole)
        if not cut and len(starts) == len(lengths):
            cut = int((starts.astype(np.int64) + lengths.astype(np.int64)).max()) > whole
        if cut:
            raise BrokenError(f"truncated: pixels of page {number} lie past the end of the data")


def _alone(file: Tagged, page: dict[int, Tag], frames: int) -> FirstPage:
    for number in sorted(_SINGLE & page.keys()):
        if page[number].length != 1 or page[number].kind not in (3, 4, 16):
            raise BrokenError(f"tag {number} should hold one whole number")

    def value(number: int, default: int) -> int:
        return int(file.values(page[number])[0]) if number in page and page[number].length else default

    width, height, bits = value(256, 0), value(257, 0), value(258, 1)
    if 0 in (width, height, value(277, 1)):
        raise BrokenError(f"it is {width} x {height} pixels of {value(277, 1)} samples")
    # strips are tiles as wide as the picture; Pillow would decode each one that is listed, needed or not
    tiled = 324 in page
    across, down = (value(322, 0), value(323, 0)) if tiled else (width, min(height, value(278, height)))
    if not across or not down or (tiled and across * down > max(4096**2, 2 * width * height)):
        raise BrokenError(f"its tiles are {across:,} x {down:,} pixels")
    listed = max(page[number].length for number in (273, 324) if number in page) if page.keys() & {273, 324} else 0
    needed = -(-width // across) * -(-height // down) * value(277, 1)
    if listed > min(needed, MAX_STRIPS):
        raise BrokenError(f"it lists {listed:,} strips or tiles")
    if bits == 8 and value(339, 1) == 2:
        raise BrokenError("its samples are signed 8-bit numbers, which have no place in 0 to 255")

    xmp = page.get(700)
    turn = value(274, 0) if 274 not in page or page[274].kind in _WHOLE else 0
    if not 1 <= turn <= 8:
        turn = orientation(b"", file.data[xmp.at : xmp.at + xmp.size] if xmp else b"")
    kept = [page[number].raw for number in sorted(_SHAPING & page.keys())]
    padding = b"\0" * (-len(file.data) % 8)
    word, count = ("Q", "Q") if file.big else ("I", "H")
    head = file.data[: 8 if file.big else 4] + struct.pack(file.order + word, len(file.data) + len(padding))
    directory = struct.pack(file.order + count, len(kept)) + b"".join(kept) + b"\0" * 8
    pixels = b"".join((head, memoryview(file.data)[len(head) :], padding, directory))
    inverted = bits > 8 and value(262, 1) == 0
    return FirstPage(pixels, width, height, frames, turn, 4095 if bits == 12 else 65535, inverted)
