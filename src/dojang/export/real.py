"""Real pictures, on which an exported graph is held against the network: those of the run, or of other data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dojang import seeds
from dojang.data.decode import decode
from dojang.data.layout import is_picture
from dojang.data.manifest import Manifest, pasted
from dojang.data.preprocess import Preprocess
from dojang.data.sources import FolderSource
from dojang.errors import ConfigError, DataError, DojangError
from dojang.evaluate.evaluate import match
from dojang.runs import folder as names
from dojang.runs.opened import open_data
from dojang.runs.pictures import Pictures


@dataclass(frozen=True)
class Picture:
    """One of them.

    Args:
        name: As splits.csv has it.
        split: "val", "train", ...; "" for data that is not divided.
        label: The id that the network has for its class.
        data: What the data holds: a file's bytes, or pixels.
        pixels: As a caller of the exported graph decodes it.
    """

    name: str
    split: str
    label: int
    data: bytes | np.ndarray
    pixels: UInt8[np.ndarray, "h w 3"]


class Real:
    """The pictures of a run, found where its args.yaml says, or others.

    Args:
        run: A run folder, or a weights file.
        data: Where the run's pictures are now, or other pictures; a path, a name, pairs, a manifest, or a folder of
            pictures without classes. None for the run's own.
        labels: What the network knows.
        preprocess: How it wants its pictures decoded.

    Raises:
        ConfigError: C200 for weights without a run and without data, C218 for pictures that cannot be found again.
        DataError: D107 for a class that the network does not know.
    """

    def __init__(self, run: str | Path, data: Any, labels: tuple[str, ...], preprocess: Preprocess) -> None:
        self._preprocess = preprocess
        #: pictures that are other ones today, or cannot be read; by name
        self.left_out = set[str]()
        self._read: Callable[[str], bytes | np.ndarray | None]
        try:
            folder = names.find(run)
        except ConfigError:
            folder = None
        try:
            given = open_data(data) if data is not None else None
        except DataError as error:
            # a folder without classes: answers are held against each other, and that needs no labels
            loose = _loose(data) if error.code == "D122" else []
            if not loose:
                raise
            self._rows, self._read = [(name, "", -1) for name in loose], FolderSource(Path(data), str(data)).read
            return
        own = None if folder is None else Pictures(folder, given)
        if own is not None and not own.missing and not own.strange and own.rows:
            place = {label: i for i, label in enumerate(labels)}
            self._rows = [(row.path, row.split, place[row.label]) for row in own.rows if row.label in place]
            self._read = own.read
        elif given is not None:
            self._rows, self._read = _others(given, labels), given.source.read
        else:
            raise _nowhere(str(run), own)

    def count(self, split: str) -> int:
        """How many pictures are in a split."""
        return sum(one == split for _, one, _ in self._rows)

    def some(self, splits: Sequence[str], most: int) -> Iterator[Picture]:
        """At most so many pictures, drawn the same every time; those of the first split first."""
        left = most
        for split in splits:
            rows = [row for row in self._rows if row[1] == split]
            for i in seeds.permutation(seeds.key(0, "export", split), len(rows)).tolist():
                if left == 0:
                    return
                found = self._picture(*rows[i])
                if found is not None:
                    left -= 1
                    yield found

    def all(self, split: str) -> Iterator[Picture]:
        """Every picture of a split, in the order of the data."""
        for row in self._rows:
            if row[1] == split and (found := self._picture(*row)) is not None:
                yield found

    def _picture(self, name: str, split: str, label: int) -> Picture | None:
        try:
            data = self._read(name)
            if data is None:
                self.left_out.add(name)
                return None
            p = self._preprocess
            pixels = decode(data, name, mode="RGB", background=p.background, max_pixels=p.max_pixels)
        except DojangError:
            self.left_out.add(name)
            return None
        return Picture(name, split, label, data, pixels)


def _loose(data: Any) -> list[str]:
    """The pictures that lie in a folder itself; none where data is no folder."""
    folder = Path(data) if isinstance(data, (str, os.PathLike)) else None
    if folder is None or not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if is_picture(entry.name) and entry.is_file())


def _others(manifest: Manifest, labels: tuple[str, ...]) -> list[tuple[str, str, int]]:
    ids = np.full(len(manifest.classes), -1)
    for split in set(manifest.splits):
        ids = np.maximum(ids, match(manifest, labels, split))
    known = ids[manifest.targets].tolist()
    return list(zip(manifest.paths, manifest.splits, known, strict=True))


def _nowhere(run: str, own: Pictures | None) -> DojangError:
    context = "What is exported is held against the network on real pictures."
    again = f"dojang export {pasted(run)} --data PLACE"
    if own is None:
        return ConfigError(
            "C200", f"{run!r} is no run: it does not say where pictures are.", context=context, fix=again
        )
    why = own.missing
    if why is None:
        why = ConfigError("C218", f"the data holds none of the pictures that {run!r} was trained on.")
    kind = type(why) if isinstance(why, (ConfigError, DataError)) else ConfigError
    return kind(why.code, why.what, context=context, fix=f"{again}, where they are now; in Python data=...")
