"""Pictures that lie decoded in arrays, many to a file: the source behind IDX files, CIFAR's batches and the digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dojang.data.manifest import Manifest
from dojang.errors import DataError

AGAIN = "copy or download the file again."


@dataclass(frozen=True)
class ArraySource:
    """Gives picture ``file#index`` out of the array of ``file``; arrays are uint8, (n, h, w) or (n, h, w, c)."""

    name: str
    arrays: Mapping[str, np.ndarray]

    def read(self, path: str) -> np.ndarray:
        """The pixels of one row, without a copy and read-only. Raises DataError D112 where there is no such row."""
        file, _, index = path.rpartition("#")
        array = self.arrays.get(file)
        # 18 digits fit an int64; a longer index is no row of anything
        if array is None or not (index.isdecimal() and len(index) <= 18) or int(index) >= len(array):
            held = ", ".join(f"{file!r} #0 to #{len(array) - 1}" for file, array in self.arrays.items())
            raise DataError("D112", f"{self.name!r} holds no picture {path!r}.", context=f"It holds {held}.")
        return array[int(index)]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Part:
    """One file of pictures with its labels: uint8 (n, h, w) or (n, h, w, c), and integers (n,)."""

    file: str
    split: str
    pixels: np.ndarray
    labels: np.ndarray


def assemble(name: str, parts: Sequence[Part], classes: Sequence[str] = (), notes: Sequence[str] = ()) -> Manifest:
    """The manifest of pictures in arrays.

    Args:
        name: What the user gave, for messages.
        parts: In the order the rows are to have.
        classes: The name of label 0, 1, ...; without them the values that occur are the names.
        notes: What was seen and left out.

    Raises:
        DataError: D116 when pictures and labels differ in number, when there are none, or when a label has no name.
    """
    for part in parts:
        if len(part.pixels) != len(part.labels):
            raise DataError(
                "D116",
                f"{part.file!r} holds {len(part.pixels):,} pictures and their labels file {len(part.labels):,} labels.",
                context=f"In {name!r}. Labels are matched by position, so both must come from one set.",
                fix=AGAIN,
            )
    values = np.concatenate([part.labels for part in parts]).astype(np.int64) if parts else np.empty(0, np.int64)
    if not len(values):
        raise DataError("D116", f"{name!r} holds no pictures: {', '.join(p.file for p in parts)}.", fix=AGAIN)
    if classes:
        ids, names = values, tuple(classes)
    else:
        known, ids = np.unique(values, return_inverse=True)
        names = tuple(str(value) for value in known)
    if ids.min() < 0 or ids.max() >= len(names):
        row = int(np.flatnonzero((ids < 0) | (ids >= len(names)))[0])
        raise DataError(
            "D116",
            f"{name!r} has the label {ids[row]} at row {row:,}; it has {len(names)} classes (0..{len(names) - 1}).",
            fix=AGAIN,
        )
    rows = [(label,) for label in range(len(names))]
    for part in parts:
        part.pixels.flags.writeable = False
    return Manifest(
        source=ArraySource(name, {part.file: part.pixels for part in parts}),
        classes=names,
        paths=tuple(f"{part.file}#{index}" for part in parts for index in range(len(part.pixels))),
        labels=tuple(rows[label] for label in ids.tolist()),
        splits=tuple(part.split for part in parts for _ in range(len(part.pixels))),
        groups=("",) * len(values),
        notes=tuple(notes),
    )


def read_file(path: Path) -> bytes:
    """All bytes of a file. Raises DataError D112 when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            "D112",
            f"cannot read {str(path)!r}: {error.strerror or error}.",
            fix=f"give yourself the right to read it: chmod u+r {str(path)!r}",
        ) from error
