"""IDX files, the format of MNIST and its siblings: a type, the dimensions, then the values, big-endian; gzipped or not.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits" (the format is at the end of that page).
"""

from __future__ import annotations

import math
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dojang.data.arrays import AGAIN, Part, assemble, read_file
from dojang.data.manifest import SPLITS, Manifest
from dojang.errors import DataError, listing

# the largest IDX file in use, EMNIST's byclass images, has 0.6 GB
MAX_BYTES = 2 << 30
# no deflate stream holds more than this many bytes in one (zlib's technical details)
_DEFLATE_RATIO = 1032
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
#: a name a line, of label 0, 1, ...; dojang's own addition to the format
CLASSES = "classes.txt"
_NAME = re.compile(r"(train|val|t10k|test)-(images(?=[-.]idx3)|labels(?=[-.]idx1))[-.]idx[13]-ubyte(\.gz)?")

Roles = dict[tuple[str, str], Path]


def read_idx(data: bytes, where: str) -> np.ndarray:
    """The array in an IDX file, gzipped or not; uint8 values are not copied.

    Args:
        data: The whole file.
        where: Its name, for messages.

    Returns:
        An array of the declared type and shape, in the machine's byte order.

    Raises:
        DataError: D116 when the file is no IDX file, is truncated, goes on after its end, or declares over 2 GiB.

    Example:
        >>> read_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), "three numbers")
        array([7, 8, 9], dtype=uint8)
    """
    data = content(data, where)
    dtype, shape, start = _header(data, where)
    values = (
        np.frombuffer(data, dtype, count=math.prod(shape), offset=start) if len(data) > start else np.empty(0, dtype)
    )
    return values.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def header(values: np.ndarray) -> bytes:
    """What stands before the values of a uint8 array in an IDX file.

    >>> header(np.zeros((2, 3), np.uint8)).hex(" ")
    '00 00 08 02 00 00 00 02 00 00 00 03'
    """
    return bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)


def content(data: bytes, where: str) -> bytes:
    """The bytes of an IDX file without gzip, sure to be as many as its header declares. Raises as :func:`read_idx`."""
    if data[:2] == b"\x1f\x8b":
        return _gunzip(data, where)
    need = _need(data, where)
    if len(data) != need:
        raise _wrong_size(data, where, f"{len(data):,} bytes", truncated=len(data) < need)
    return data


def find_idx(folder: Path, classes: Sequence[str] = ()) -> Manifest | None:
    """The pictures of a folder of IDX files, as published or as torchvision lays them out; None when it has none.

    Args:
        folder: Looked in: itself, ``raw/``, and ``NAME/raw/``.
        classes: The name of label 0, 1, ...; without them those of a ``classes.txt`` beside the files, and without one
            the values that occur are the names.

    Raises:
        DataError: D116 for damaged files, D117 when a file is missing or when there are several sets to choose from.
    """
    places = [place for place in places_below(folder) if file_names(place)]
    if places and places[0] in (folder, folder / "raw"):
        places = places[:1]
    if len(places) > 1:
        raise several(folder, places)
    if not places:
        return None
    roles, notes = roles_in(places[0])
    named = places[0] / CLASSES
    if not classes and named.is_file():
        classes = read_file(named).decode("utf-8-sig", "surrogateescape").splitlines()
        notes = [*notes, f"the names of the classes are those of {CLASSES}"]
    parts = []
    for split in (name for name in SPLITS if (name, "images") in roles):
        images, labels = roles[split, "images"], roles[split, "labels"]
        file = images.relative_to(folder).as_posix()
        pixels = as_pictures(read_idx(read_file(images), str(images)), str(images))
        parts.append(Part(file, split, pixels, as_labels(read_idx(read_file(labels), str(labels)), str(labels))))
    return assemble(str(folder), parts, classes, notes)


def places_below(folder: Path) -> list[Path]:
    """The folders in which IDX files may lie, given the folder that a user names; each exists."""
    return [path for path in (folder, folder / "raw", *sorted(folder.glob("*/raw"))) if os.path.isdir(path)]


def file_names(folder: Path) -> list[str]:
    """The names of a folder's IDX files, sorted. Raises DataError D112 when the folder cannot be listed."""
    try:
        return sorted(path.name for path in folder.iterdir() if role_of(path.name) and path.is_file())
    except OSError as error:
        raise DataError("D112", f"cannot list {str(folder)!r}: {error.strerror or error}.") from error


def role_of(name: str) -> tuple[str, str] | None:
    """What an IDX file holds by its name: the split and "images" or "labels"; None for other files.

    >>> role_of("t10k-labels-idx1-ubyte.gz")
    ('test', 'labels')
    """
    match = _NAME.fullmatch(name)
    return (match[1].replace("t10k", "test"), match[2]) if match else None


def roles_in(folder: Path) -> tuple[Roles, list[str]]:
    """The IDX files of a folder by (split, "images" or "labels"), and notes on what was left out.

    Raises:
        DataError: D117 when images lack their labels, labels their images, or two files claim one place.
    """
    found: dict[tuple[str, str], list[Path]] = {}
    for name in file_names(folder):
        role = role_of(name)
        if role:
            found.setdefault(role, []).append(folder / name)
    roles, notes = {}, []
    for role, paths in found.items():
        # the gzipped form carries a checksum; torchvision leaves both
        *rest, last = paths
        if any(path.name + ".gz" != last.name for path in rest):
            raise DataError(
                "D117",
                f"{str(folder)!r} holds {len(paths)} files of {role[0]} {role[1]}: {listing(p.name for p in paths)}.",
                fix="move all but one of them to another folder.",
            )
        notes += [f"left out {path.name}: {last.name} beside it was read" for path in rest]
        roles[role] = last
    for split, kind in roles:
        other = "labels" if kind == "images" else "images"
        if (split, other) not in roles:
            here = roles[split, kind].name
            missing = here.replace(kind, other).replace(*(("idx3", "idx1") if kind == "images" else ("idx1", "idx3")))
            raise DataError(
                "D117",
                f"{str(folder)!r} holds {here} but not {missing}.",
                context="Pictures and their labels are two files of one set; both are needed.",
                fix=f"put {missing} into {str(folder)!r}.",
            )
    return roles, notes


def as_pictures(values: np.ndarray, where: str) -> np.ndarray:
    """An IDX array, sure to hold pictures: uint8 (n, h, w). Raises DataError D116 otherwise."""
    if values.dtype != np.uint8 or values.ndim != 3 or 0 in values.shape[1:]:
        raise _not_as_expected(values, where, "pictures are uint8, n x height x width")
    return values


def as_labels(values: np.ndarray, where: str) -> np.ndarray:
    """An IDX array, sure to hold labels: integers (n,). Raises DataError D116 otherwise."""
    if values.dtype.kind not in "ui" or values.ndim != 1:
        raise _not_as_expected(values, where, "labels are whole numbers in one dimension")
    return values


def several(folder: Path, places: Sequence[Path]) -> DataError:
    """The error for a folder that holds several sets."""
    names = listing(repr(place.relative_to(folder).as_posix()) for place in places)
    return DataError(
        "D117",
        f"{str(folder)!r} holds {len(places)} data sets: {names}.",
        fix=f"give one of them: {str(places[0])!r}",
    )


def _not_as_expected(values: np.ndarray, where: str, expected: str) -> DataError:
    shape = " x ".join(f"{size:,}" for size in values.shape)
    return DataError("D116", f"{where!r} holds {values.dtype} values, {shape}; {expected}.", fix=AGAIN)


def _header(data: bytes, where: str) -> tuple[np.dtype, tuple[int, ...], int]:
    """Type, shape, and where the values begin."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or data[3] == 0:
        raise DataError(
            "D116",
            f"{where!r} is not an IDX file: it begins with {data[:4].hex(' ') or 'nothing (0 bytes)'}.",
            context="Expected 00 00, a type (08, 09, 0b, 0c, 0d or 0e), and how many dimensions follow.",
            fix=AGAIN,
        )
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise DataError(
            "D116", f"{where!r} is truncated: its header needs {start} bytes, there are {len(data)}.", fix=AGAIN
        )
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4))
    return np.dtype(_TYPES[data[2]]), shape, start


def _need(data: bytes, where: str) -> int:
    dtype, shape, start = _header(data, where)
    return start + math.prod(shape) * dtype.itemsize


def _wrong_size(data: bytes, where: str, held: str, *, truncated: bool) -> DataError:
    dtype, shape, start = _header(data, where)
    size = " x ".join(f"{side:,}" for side in shape)
    return DataError(
        "D116",
        f"{where!r} is {'truncated' if truncated else 'too long'}: its header declares {size} {dtype.name} values, "
        f"{start + math.prod(shape) * dtype.itemsize:,} bytes with the header; there are {held}.",
        fix=AGAIN,
    )


def _gunzip(data: bytes, where: str) -> bytes:
    """Decompress no more than the header inside declares, however much the stream would give."""
    stream = zlib.decompressobj(wbits=31)
    try:
        head = stream.decompress(data, 4 + 4 * 255)
        need = _need(head, where)
        if need > MAX_BYTES:
            raise DataError(
                "D116",
                f"{where!r} declares {need:,} bytes; at most {MAX_BYTES:,} are read from a gzipped file.",
                fix=f"if you trust it: gzip -d {where!r}",
            )
        if need > len(data) * _DEFLATE_RATIO:
            raise _wrong_size(head, where, f"{len(data):,} bytes gzipped, which cannot hold them", truncated=True)
        # one byte more than declared shows that there are more; the last call reads the checksum
        body = stream.decompress(stream.unconsumed_tail, max(1, need + 1 - len(head)))
    except zlib.error as error:
        raise DataError("D116", f"{where!r} is a damaged gzip file: {error}.", fix=AGAIN) from error
    held = len(head) + len(body)
    if held > need:
        raise _wrong_size(head, where, f"more than {need:,}", truncated=False)
    if held < need:
        raise _wrong_size(head, where, f"{held:,} bytes", truncated=True)
    if not stream.eof or stream.unused_data.strip(b"\0"):
        what = f"{len(stream.unused_data):,} bytes follow its gzip stream" if stream.eof else "its checksum is missing"
        raise DataError("D116", f"{where!r} is a damaged gzip file: {what}.", fix=AGAIN)
    return head + body
