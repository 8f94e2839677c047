"""NumPy's npz with x_train, y_train, x_test, ... as data: as ``dojang data export`` and others write it."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from dojang.data import hostile
from dojang.data.arrays import AGAIN, Part, assemble
from dojang.data.manifest import SPLITS, Manifest
from dojang.errors import DataError, listing

_CLASSES = "classes"
# of a header, by NumPy's own format at most 64 KB
_HEADER = 2**16


def find_npz(path: Path, where: str) -> Manifest:
    """The pictures of an npz: uint8 x_SPLIT (n, h, w) or (n, h, w, 3), whole numbers y_SPLIT (n,), names ``classes``.

    SPLIT is train, val or test; arrays named x and y alone are of no split. Nothing in it is ever unpickled.

    Raises:
        DataError: D116 where it is damaged or holds other arrays.
        SecurityError: X504 where an array swells beyond measure.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            names = {info.filename.removesuffix(".npy"): info for info in packed.infolist()}
            splits = {name: split for split in ("", *SPLITS) if (name := f"x_{split}".rstrip("_")) in names}
            if not splits or ("" in splits.values() and len(splits) > 1):
                raise _other(where, f"it holds {listing(names, most=5) or 'nothing'}")
            parts: list[Part] = []
            classes: tuple[str, ...] = ()
            if _CLASSES in names:
                classes = tuple(str(name) for name in _array(packed, names[_CLASSES], where, kinds="U").tolist())
            for name, split in splits.items():
                label = name.replace("x", "y", 1)
                if label not in names:
                    raise _other(where, f"{name} has no {label} beside it")
                pixels = _array(packed, names[name], where, kinds="u")
                plain = pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[3] in (1, 3))
                if pixels.dtype != np.uint8 or not plain or 0 in pixels.shape[1:]:
                    shape = " x ".join(map(str, pixels.shape))
                    raise _other(where, f"{name} holds {pixels.dtype} values, {shape}")
                labels = _array(packed, names[label], where, kinds="ui")
                if labels.ndim == 2 and labels.shape[1] == 1:
                    labels = labels[:, 0]
                if labels.ndim != 1:
                    raise _other(where, f"{label} has {labels.ndim} dimensions; labels have one")
                parts.append(Part(f"{path.name}:{name}", split, pixels, labels))
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        raise DataError("D116", f"{where!r} is damaged or no npz: {error}.", fix=AGAIN) from error
    parts.sort(key=lambda part: SPLITS.index(part.split) if part.split else 0)
    return assemble(where, parts, classes)


def _array(packed: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, *, kinds: str) -> np.ndarray:
    """An array that holds no objects, no larger than its header says and the archive's size allows."""
    if info.file_size > hostile.SMALL and info.file_size > hostile.MOST_RATIO * max(1, info.compress_size):
        words = hostile.swells(info.filename, info.compress_size, info.file_size)
        raise hostile.Rules(where).bomb(words, fix=AGAIN)
    with packed.open(info) as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{info.filename} is of version {version}")
        read: Any = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, turned, dtype = read(file, max_header_size=_HEADER)
        if dtype.kind not in kinds:
            raise _other(where, f"{info.filename} holds {dtype} values")
        need = math.prod(shape) * dtype.itemsize
        if need > info.file_size:
            raise ValueError(f"{info.filename} is cut short")
        data = file.read(need)
        if len(data) < need or file.read(1):
            raise ValueError(f"{info.filename} is not as long as it says")
    values = np.frombuffer(data, dtype).reshape(shape, order="F" if turned else "C")
    return np.ascontiguousarray(values)


def _other(where: str, what: str) -> DataError:
    return DataError(
        "D116",
        f"{where!r} is an npz that dojang does not read: {what}.",
        context="Read: x_train (uint8, n x h x w or n x h x w x 3), y_train (whole numbers), the same for val and "
        "test, and classes (their names).",
        fix="save it so: np.savez('data.npz', x_train=..., y_train=..., x_test=..., y_test=...)",
    )
