"""The pictures that somebody names, and those of a run, opened again and sure to be the ones that it saw."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dojang import files
from dojang.data import scan
from dojang.data.manifest import Manifest, plain, read_splits
from dojang.data.pairs import from_pairs
from dojang.data.prepare import Prepared
from dojang.errors import ConfigError
from dojang.runs import folder as names


def open_data(data: Any, data_root: str | None = None, download: bool = False) -> Manifest:
    """The manifest of a path, a data set's name, (picture, label) pairs, or a manifest."""
    if isinstance(data, Manifest):
        return data
    if isinstance(data, (str, os.PathLike)):
        return scan.find(os.fspath(data), data_root, download)
    return from_pairs(data)


def own_data(
    place: str | None, data: Any = None, data_root: str | None = None, download: bool = False, *, fix: str
) -> Manifest:
    """A run's own pictures.

    Args:
        place: Where args.yaml says that they are.
        data: Where they are now; None there.
        fix: For a run on pairs that nobody gives again.

    Raises:
        ConfigError: C218 for such a run.
        DataError: As :func:`dojang.data.scan.find`.
    """
    if data is not None:
        return open_data(data, data_root, download)
    if place is None:
        raise ConfigError("C218", "this run was trained on pairs given in Python.", fix=fix)
    return scan.recorded(place, data_root, download)


def unchanged(prepared: Prepared, folder: Path, *, fix: str) -> Prepared:
    """The same, where they are the pictures of the run's splits.csv.

    Raises:
        ConfigError: C218 for a picture that is another one, or cannot be read.
    """
    known = {row.path: row.sha256 for row in read_splits(files.read_text(folder / names.SPLITS), str(folder))}
    found = prepared.manifest
    other = [path for path, digest in zip(found.paths, found.digests, strict=True) if known[path] not in ("", digest)]
    if other or prepared.bad:
        raise ConfigError(
            "C218",
            f"the data has changed since the run was trained: {plain([*other, *prepared.bad][0])} is another picture.",
            fix=fix,
        )
    return prepared
