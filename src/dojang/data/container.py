"""What surrounds the pixels in a picture file: markers, chunks, blocks and tags, walked once and then left out.

Pillow decodes the pixels, but it takes some files that were cut short, and it reads metadata that can warn, swell or
take for ever. So a file is first walked here, in time and memory bounded by its size: the walk shows that it is whole,
finds its size, its orientation and how many pictures it holds, and gives back the first picture with nothing beside it.

Sources: ITU T.81 (JPEG), CIPA DC-007 (MPO), W3C PNG, RFC 9649 (WebP), GIF89a, TIFF 6.0, and Pillow's own readers.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dojang.data.tags import BrokenError, Tagged, first_page, orientation

MAX_SCANS = 100  # each scan of a progressive JPEG costs a pass over all its pixels, however few bytes it has
MAX_SEGMENTS = 10_000
MAX_RLE_PIXELS = 4_000_000  # Pillow decodes run-length BMP in Python

# a marker between segments; a marker that ends a scan (FF00 is a data byte there, FFD0 to FFD7 restart it)
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


@dataclass(frozen=True)
class Container:
    """The first picture of a file and what was around it.

    Args:
        format: Pillow's name for it: JPEG, MPO, PNG, WEBP, BMP, GIF or TIFF.
        pixels: A file that holds the first picture and nothing beside it.
        width, height: In pixels, as stored: before the orientation is applied.
        frames: How many pictures the file holds.
        orientation: EXIF's number, 1 to 8.
        white: The largest value of a sample of more than 8 bits.
        inverted: Such samples count from white down to black, which Pillow does not undo.
    """

    format: str
    pixels: bytes
    width: int
    height: int
    frames: int = 1
    orientation: int = 1
    white: int = 65535
    inverted: bool = False


def sniff(data: bytes) -> str | None:
    """The format that the first bytes show, or None when it is not one of those that dojang reads."""
    for name, magic in _MAGIC:
        if magic.match(data):
            return name
    return None


def walk(data: bytes, format: str) -> Container:
    """The file's parts, sure to be all there.

    Args:
        data: The file's bytes.
        format: What :func:`sniff` said.

    Raises:
        BrokenError: with the reason, when a part is missing, cut or contradicts another.
    """
    try:
        return _WALKERS[format](data)
    except (struct.error, IndexError):
        raise BrokenError("truncated: the data ends inside a header") from None


def _jpeg(data: bytes) -> Container:
    view, end, kept = memoryview(data), 0, [memoryview(b"\xff\xd8")]
    size, exif, xmp, index = None, b"", b"", b""
    for marker, start, end in _jpeg_parts(data, 0):
        body = data[start + 4 : end] if marker != 0xDA else b""
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and size is None:
            size = struct.unpack_from(">HH", body, 1)
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = exif or body
        elif marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            xmp = body
        elif marker == 0xE2 and body.startswith(b"MPF\0"):
            index = body[4:]
        # all that shapes pixels: frames, tables, scans, the end, and the two segments that tell the colour space
        if 0xC0 <= marker <= 0xDF or marker in (0xE0, 0xEE):
            kept.append(view[start:end])
    if size is None:
        raise BrokenError("it holds no picture before its end-of-image marker")
    frames = _mpo_frames(data, end, index)
    if b' hdrgm:Version="' in xmp:  # an "ultra HDR" photo: the second picture only brightens the first
        frames = 1
    return Container("MPO" if frames > 1 else "JPEG", b"".join(kept), size[1], size[0], frames, orientation(exif, xmp))


def _jpeg_parts(data: bytes, position: int) -> Iterator[tuple[int, int, int]]:
    """Each marker of the JPEG that begins there, where its segment starts and where it ends, a scan with its data."""
    scans, position = 0, position + 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, position)
        if found is None:
            raise BrokenError(f"truncated: the data ends after scan {scans} without an end-of-image marker")
        start, position = found.span()
        marker = data[start + 1]
        if marker != 0x01 and not 0xD0 <= marker <= 0xD9:  # those stand alone
            position += max(2, struct.unpack_from(">H", data, position)[0])
            if position > len(data):
                raise BrokenError(f"truncated: the data ends inside the segment FF{marker:02X}")
        if marker == 0xDA:
            scans += 1
            found = _SCAN_END.search(data, position)
            if found is None:
                raise BrokenError(f"truncated: the data ends inside scan {scans}")
            if scans > MAX_SCANS:
                raise BrokenError(f"it has more than {MAX_SCANS} scans")
            position = found.start()
        if marker != 0xD8:
            yield marker, start, position
        if marker == 0xD9:
            return
    raise BrokenError(f"it has more than {MAX_SEGMENTS:,} segments")


def _mpo_frames(data: bytes, end: int, index: bytes) -> int:
    """How many pictures the file holds, all whole.

    Args:
        data: The file.
        end: Where its first picture ends.
        index: The multi-picture index of that one; one that makes no sense counts as none.
    """
    try:
        block = Tagged.of(index)
        found = {tag.number: tag for tag in block.directory(block.first)[0]}
        table, count = found[0xB002], int(block.values(found[0xB001])[0])
        size = struct.unpack_from(block.order + "I", index, table.at + 4)[0]
    except (BrokenError, LookupError, ValueError, struct.error):
        return 1
    if table.length != 16 * count or table.at + table.size > len(index) or (end == len(data) and size != end):
        return 1  # the last: an index that some tool copied, but not the pictures behind the first
    # not where the index says: some writers, Pillow among them, give wrong sizes from the third picture on
    for number in range(2, count + 1):
        start = data.find(b"\xff\xd8\xff", end)
        if start < 0:
            raise BrokenError(f"truncated: the data ends before picture {number} of {count}")
        try:
            *_, (_, _, end) = _jpeg_parts(data, start)
        except BrokenError as error:
            raise BrokenError(f"{error}, in picture {number} of {count}") from None
    return max(1, count)


def _png(data: bytes) -> Container:
    view, position, kept = memoryview(data), 8, [memoryview(data)[:8]]
    head, exif, xmp, controls, animated_default = b"", b"", b"", 0, False
    seen_pixels = False
    while True:
        if position + 12 > len(data):
            raise BrokenError("truncated: the data ends before the IEND chunk")
        length, kind = struct.unpack_from(">I4s", data, position)
        name, end = kind.decode("latin-1"), position + 12 + length
        if end > len(data):
            raise BrokenError(f"truncated: the data ends inside the chunk {name!r}")
        # Pillow leaves the checksums of pixel chunks unread
        if zlib.crc32(view[position + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise BrokenError(f"the checksum of the chunk {name!r} at byte {position:,} is wrong")
        chunk, body = view[position:end], view[position + 8 : end - 4]
        if not head:
            if kind != b"IHDR" or length != 13:
                raise BrokenError("it does not begin with its header chunk")
            head = bytes(body)
        if kind == b"IDAT":
            seen_pixels = True
        elif kind == b"fcTL":
            controls += 1
            animated_default |= not seen_pixels
        elif kind == b"eXIf":
            exif = bytes(body)
        elif kind == b"iTXt" and bytes(body[:18]) == b"XML:com.adobe.xmp\0":
            xmp = bytes(body)
        elif kind == b"tRNS":
            chunk = memoryview(_png_transparency(bytes(body), head[8], head[9]))
        if kind not in (b"acTL", b"fcTL", b"fdAT", b"eXIf"):
            kept.append(chunk)
        position = end
        if kind == b"IEND":
            break
    width, height = struct.unpack_from(">II", head)
    # the picture in IDAT is the first of the animation, or stands before it
    frames = max(1, controls + (not animated_default if controls else 0))
    return Container("PNG", b"".join(kept), width, height, frames, orientation(exif, xmp))


def _png_transparency(body: bytes, depth: int, colour: int) -> bytes:
    """The tRNS chunk in the 8-bit levels that Pillow gives the samples; it compares them with the stored levels."""
    up, down = {(2, 0): (85, 0), (4, 0): (17, 0), (16, 2): (1, 8)}.get((depth, colour), (1, 0))
    if colour != 3 and len(body) % 2 == 0:
        values = np.frombuffer(body, ">u2").astype(np.uint32)
        body = (values * up >> down).astype(">u2").tobytes()
    return struct.pack(">I", len(body)) + b"tRNS" + body + struct.pack(">I", zlib.crc32(b"tRNS" + body))


def _webp(data: bytes) -> Container:
    whole = struct.unpack_from("<I", data, 4)[0] + 8
    if whole > len(data):
        raise BrokenError(f"truncated: it should have {whole:,} bytes")
    position, frames, exif, xmp = 12, 0, b"", b""
    while position + 8 <= whole:
        kind, length = struct.unpack_from("<4sI", data, position)
        start, position = position + 8, position + 8 + length + length % 2
        if start + length > whole:
            raise BrokenError(f"truncated: the data ends inside the chunk {kind.decode('latin-1')!r}")
        if kind == b"ANMF":
            frames += 1
        elif kind == b"EXIF":
            exif = data[start : start + length]
        elif kind == b"XMP ":
            xmp = data[start : start + length]
    if data[12:16] == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif data[12:16] == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return Container("WEBP", data[:whole], width, height, max(1, frames), orientation(exif, xmp))


def _gif(data: bytes) -> Container:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = palette_end = 13 + _gif_palette(flags)
    control, first, frames = b"", b"", 0
    while True:
        if position >= len(data):
            raise BrokenError(f"truncated: the data ends after picture {frames} without a trailer")
        start, kind = position, data[position]
        if kind == 0x3B:
            break
        if kind == 0x21:
            position = _gif_blocks(data, start + 2, frames)
            if data[start + 1 : start + 3] == b"\xf9\x04":
                # of the control of the first picture only its transparency matters
                control = control if frames else b"!\xf9\x04%c\0\0%c\0" % (data[start + 3] & 1, data[start + 6])
        elif kind == 0x2C:
            left, top, across, down, flags = struct.unpack_from("<HHHHB", data, start + 1)
            frames += 1
            position = _gif_blocks(data, start + 11 + _gif_palette(flags), frames)
            if frames == 1:
                first = data[start:position]
                if left + across > width or top + down > height:
                    raise BrokenError(
                        f"its picture, {across}x{down} at {left},{top}, leaves its {width}x{height} screen"
                    )
        elif kind == 0:  # some writers pad between blocks
            position += 1
        else:
            raise BrokenError(f"the byte {kind:02X} stands where a block should begin")
    if not first:
        raise BrokenError("it holds no picture")
    return Container("GIF", data[:palette_end] + control + first + b";", width, height, frames)


def _gif_palette(flags: int) -> int:
    """The bytes of the palette that the flags announce."""
    return 3 << (flags & 7) + 1 if flags & 128 else 0


def _gif_blocks(data: bytes, position: int, frame: int) -> int:
    """Where a chain of data blocks ends."""
    while True:
        if position >= len(data):
            raise BrokenError(f"truncated: the data ends inside picture {max(1, frame)}")
        if not data[position]:
            return position + 1
        position += 1 + data[position]


def _bmp(data: bytes) -> Container:
    start, header = struct.unpack_from("<II", data, 10)
    width, height, _, bits = struct.unpack_from("<HHHH" if header == 12 else "<iiHH", data, 18)
    compression, stored = struct.unpack_from("<II", data, 30) if header > 12 else (0, 0)
    if width < 0:
        raise BrokenError(f"its width is {width}")
    needed = stored
    if compression in (0, 3):  # rows of 4-byte words; the padding of the last one may be missing
        needed = (abs(height) - 1) * ((width * bits + 31) // 32 * 4) + (width * bits + 7) // 8
    elif width * abs(height) > MAX_RLE_PIXELS:
        raise BrokenError(f"a compressed BMP of more than {MAX_RLE_PIXELS:,} pixels takes too long to decode")
    if start + needed > len(data):
        raise BrokenError(f"truncated: it should have {start + needed:,} bytes")
    return Container("BMP", data, width, abs(height))


def _tiff(data: bytes) -> Container:
    return Container("TIFF", *first_page(data))


_MAGIC = [
    (name, re.compile(magic, re.DOTALL))
    for name, magic in (
        ("JPEG", rb"\xff\xd8\xff"),
        ("PNG", rb"\x89PNG\r\n\x1a\n"),
        ("WEBP", rb"RIFF....WEBPVP8[ LX]"),
        ("GIF", rb"GIF8[79]a"),
        ("TIFF", rb"II[*+]\0|MM\0[*+]"),
        # two letters alone would take any text that begins with them
        ("BMP", rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"),
    )
]
_WALKERS: dict[str, Callable[[bytes], Container]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "GIF": _gif,
    "TIFF": _tiff,
    "BMP": _bmp,
}
