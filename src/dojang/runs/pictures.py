"""The pictures of a run, found again where its args.yaml says that they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dojang import files
from dojang.data.ahead import in_order
from dojang.data.manifest import Manifest, SplitRow, read_splits
from dojang.data.thumbnail import thumbnail
from dojang.errors import DojangError
from dojang.runs import folder as names
from dojang.runs import recipe as recipes
from dojang.runs.opened import own_data


class Pictures:
    """Pictures by the names that splits.csv has for them.

    Only what the data itself lists is read, and shown only if it is, byte for byte, what the run saw. So a run folder
    that came from elsewhere may name any folder of this machine as its data, but shows no picture whose SHA-256 whoever
    made it did not know.

    Args:
        folder: The run folder.
        data: The pictures, where they are elsewhere now or were given in Python; a path or a manifest.

    Example:
        >>> Pictures(Path("nowhere")).missing.code
        'C221'
    """

    def __init__(self, folder: Path, data: Any = None) -> None:
        self.rows: tuple[SplitRow, ...] = ()
        #: why there are no pictures; None where there are
        self.missing: DojangError | None = None
        #: names of pictures that are not sure to be those that the run saw, and of those that cannot be read
        self.changed, self.unread = set[str](), set[str]()
        self._manifest: Manifest | None = None
        try:
            if (folder / names.SPLITS).exists():
                self.rows = tuple(read_splits(files.read_text(folder / names.SPLITS), str(folder / names.SPLITS)))
            self._manifest = _opened(folder, data)
            self._known = frozenset(self._manifest.paths)
        except DojangError as error:
            self.missing = error
        self._digests = {row.path: row.sha256 for row in self.rows}

    @property
    def strange(self) -> bool:
        """Whether the data holds none of the pictures that the run knows."""
        return self.missing is None and bool(self.rows) and self._known.isdisjoint(self._digests)

    def read(self, path: str) -> bytes | np.ndarray | None:
        """The picture as its file has it, or its pixels; None where it cannot be had, or is another one today."""
        if self._manifest is None or path not in self._known:
            self.unread.add(path)
            return None
        try:
            data = self._manifest.source.read(path)
        except DojangError:
            self.unread.add(path)
            return None
        digest = files.sha256(data if isinstance(data, bytes) else np.ascontiguousarray(data).data)
        if self._digests.get(path) != digest:
            self.changed.add(path)
            return None
        return data

    def thumbnails(
        self,
        paths: Iterable[str],
        side: int = 96,
        *,
        threads: int = 0,
        tick: Callable[[int, int], None] = lambda done, total: None,
    ) -> dict[str, str]:
        """Data addresses of pictures made small, by name; those that cannot be had are left out.

        Args:
            side: The longer one, in pixels.
            tick: Told how many of them are done, and of how many.
        """
        if self.missing:
            return {}

        def one(path: str) -> str | None:
            data = self.read(path)
            try:
                return None if data is None else thumbnail(data, path, side, quality=72)
            except DojangError:
                self.unread.add(path)
                return None

        wanted = list(dict.fromkeys(paths))
        found = {}
        for done, (path, made) in enumerate(zip(wanted, in_order(one, wanted, threads, together=8), strict=True), 1):
            if made is not None:
                found[path] = made
            tick(done, len(wanted))
        return found


def _opened(folder: Path, data: Any) -> Manifest:
    """The pictures of a run folder, or of one of scores on other data; ``data`` where they are elsewhere now."""
    if (folder / names.VAL).is_file() and not (folder / names.ARGS).is_file():
        try:
            place = json.loads(files.read_text(folder / names.VAL)).get("data")
        except (ValueError, AttributeError):
            place = None
        # as somebody gave it, and not, as args.yaml has it, absolute or a data set's name
        given = place if data is None and isinstance(place, str) else data
        return own_data(None, given, fix="data=pairs")
    recipe, facts = recipes.load(folder / names.ARGS)
    return own_data(facts["data"], data, recipe.data.data_root, fix="data=pairs")
