"""The store: every picture decoded once, kept as uint8 in one flat buffer with a table of where each lies.

It is in memory when it takes under half of what is free, else memory-mapped in the cache folder under a name made from
its content; the loader does not know which.  Nothing is ever written beside the user's pictures.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dojang import files
from dojang.data import cache
from dojang.data.ahead import in_order
from dojang.data.decode import Walked
from dojang.data.manifest import Manifest
from dojang.data.preprocess import Preprocess
from dojang.data.resize import fastest
from dojang.errors import DataError

# raise it when decoding or resizing changes a single bit
VERSION = 1
# pixels that a thread decodes between two hand-overs
_PARCEL = 1_000_000


@dataclass(frozen=True)
class Store:
    """Pictures in a flat buffer.

    Args:
        buffer: uint8, all pictures one after the other, each (height, width, channels).
        offsets, heights, widths: int64 (n,), where each begins and its size.
        channels: 1 or 3, the same for all.
        place: "memory", or the folder of the memory map.
    """

    buffer: np.ndarray
    offsets: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    channels: int
    place: str = "memory"

    def __len__(self) -> int:
        return len(self.offsets)

    def picture(self, row: int) -> np.ndarray:
        """The picture of a row, uint8 (h, w, c), without a copy."""
        height, width = int(self.heights[row]), int(self.widths[row])
        start = int(self.offsets[row])
        return self.buffer[start : start + height * width * self.channels].reshape(height, width, self.channels)

    def block(self) -> np.ndarray | None:
        """All pictures as one array (n, h, w, c) when they have one size, without a copy; else None."""
        if len(self) == 0 or np.ptp(self.heights) or np.ptp(self.widths):
            return None
        shape = len(self), int(self.heights[0]), int(self.widths[0]), self.channels
        return self.buffer[: int(np.prod(shape))].reshape(shape)


@dataclass(frozen=True)
class Built:
    """A store, the manifest of the rows in it (their order is the store's), and why the others are not."""

    store: Store
    manifest: Manifest
    bad: dict[str, DataError]


def build(
    manifest: Manifest,
    sizes: np.ndarray,
    preprocess: Preprocess,
    *,
    reductions: np.ndarray | None = None,
    held: dict[str, Walked] | None = None,
    place: str = "auto",
    threads: int = 1,
    tick: Callable[[int], None] = lambda done: None,
) -> Built:
    """Decode and resize every row of a manifest.

    Args:
        manifest: With its digests filled.
        sizes: int64 (n, 2), height and width of each picture before resizing, from its header.
        preprocess: Its resize decides the size at which pictures are kept.
        reductions: int (n,), at what fraction of its sides each is decoded (training pictures only); None for all of
            every picture.
        held: Files that need not be read again, by path; each is let go as soon as it is decoded.
        place: "memory", "disk", or "auto".
        tick: Called with the number of pictures done.

    Raises:
        ResourceError: R403 when the cache folder's limit is too small; R401 when the disk is full.
    """
    if reductions is None:
        reductions = np.ones(len(manifest), np.int64)
    pixels = int((sizes.prod(axis=1) // reductions**2).sum())
    resize = fastest(pixels)
    # of small pictures some at a time: a thread that is woken for each would wait for its turn longer than it works
    together = max(1, min(8, _PARCEL * len(manifest) // max(1, pixels)))
    kept = _kept_sizes(sizes, preprocess)
    lengths = kept.prod(axis=1) * preprocess.channels
    need = int(lengths.sum())
    if place == "auto":
        place = "memory" if need < free_memory() / 2 else "disk"
    buffer = np.empty(need, np.uint8) if place == "memory" else None
    starts = np.cumsum(lengths) - lengths

    def pictures() -> Iterator[np.ndarray | DataError]:
        def one(row: tuple[str, int, int, int, list[int]]) -> np.ndarray | DataError:
            path, reduction, start, length, size = row
            try:
                data = (held or {}).pop(path, None) or manifest.source.read(path)
                # straight into its place: another copy of a photograph costs as much as resizing it
                out = None if buffer is None else buffer[start : start + length].reshape(*size, preprocess.channels)
                return preprocess.load(data, path, reduction=reduction, resize=resize, out=out)
            except DataError as error:
                return error

        columns = (reductions, starts, lengths, kept)
        rows = zip(manifest.paths, *(column.tolist() for column in columns), strict=True)
        for done, picture in enumerate(in_order(one, rows, threads, together), 1):
            yield picture
            tick(done)

    if buffer is not None:
        return _in_memory(manifest, pictures(), buffer, np.column_stack([starts, kept]), preprocess.channels)
    return _on_disk(manifest, pictures(), need, preprocess, reductions)


def _kept_sizes(sizes: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """Height and width, int64 (n, 2), at which each picture is kept; 0 and 0 for one that cannot be."""
    different, which = np.unique(sizes.reshape(-1, 2), axis=0, return_inverse=True)
    found = [
        preprocess.stored_size(height, width) if preprocess.keeps(height, width) else (0, 0)
        for height, width in different.tolist()
    ]
    return np.array(found, np.int64).reshape(-1, 2)[which.reshape(-1)]


def free_memory() -> int:
    """Bytes of memory that can be had without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux: half of what is installed
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _built(manifest: Manifest, store: Store, bad: dict[int, DataError]) -> Built:
    errors = {manifest.paths[row]: error for row, error in bad.items()}
    if bad:
        manifest = manifest.keep(np.setdiff1d(np.arange(len(manifest)), list(bad)))
    return Built(store, manifest, errors)


def _in_memory(
    manifest: Manifest,
    pictures: Iterator[np.ndarray | DataError],
    buffer: np.ndarray,
    table: np.ndarray,
    channels: int,
) -> Built:
    """Take pictures that put themselves into their place.

    Args:
        table: int64 (n, 3), start, height and width of each.
    """
    bad = {row: picture for row, picture in enumerate(pictures) if isinstance(picture, DataError)}
    if bad:
        # the others move up, so that pictures of one size lie one after the other
        table = np.delete(table, list(bad), axis=0)
        position = 0
        for entry in table:
            start, length = int(entry[0]), int(entry[1] * entry[2]) * channels
            buffer[position : position + length] = buffer[start : start + length]
            entry[0] = position
            position += length
    starts, heights, widths = np.ascontiguousarray(table.T)
    return _built(manifest, Store(buffer, starts, heights, widths, channels), bad)


def _on_disk(
    manifest: Manifest,
    pictures: Iterator[np.ndarray | DataError],
    need: int,
    preprocess: Preprocess,
    reductions: np.ndarray,
) -> Built:
    folder = cache.folder() / _name(manifest, preprocess, reductions)
    index = folder / cache.INDEX
    if not index.exists():
        cache.make_room(need)
        rows: list[tuple[int, int, int]] = []
        reasons: dict[str, Any] = {}
        position = 0
        with files.writing(folder / "pixels.bin") as out:
            for row, picture in enumerate(pictures):
                if isinstance(picture, DataError):
                    reasons[str(row)] = picture.as_dict()
                    continue
                out.write(np.ascontiguousarray(picture).data)
                rows.append((position, picture.shape[0], picture.shape[1]))
                position += picture.size
        files.write_bytes(folder / "table.bin", np.array(rows, dtype=np.int64).tobytes())
        # written last: where it exists, the store is whole
        files.write_json(index, {"format": 1, "pictures": len(rows), "bad": reasons})
    facts = json.loads(files.read_text(index))
    # the time of the last use decides which store is evicted first
    os.utime(index)
    table = np.frombuffer((folder / "table.bin").read_bytes(), np.int64).reshape(-1, 3)
    words = ("what", "context", "fix")
    bad = {int(row): DataError(e["code"], **{word: e[word] for word in words}) for row, e in facts["bad"].items()}
    pixels = folder / "pixels.bin"
    buffer = np.memmap(pixels, np.uint8, mode="r") if pixels.stat().st_size else np.empty(0, np.uint8)
    store = Store(buffer, table[:, 0], table[:, 1], table[:, 2], preprocess.channels, str(folder))
    return _built(manifest, store, bad)


def _name(manifest: Manifest, preprocess: Preprocess, reductions: np.ndarray) -> str:
    facts = preprocess.as_dict() | {"mean": None, "std": None, "version": VERSION}
    # what is kept has its pixels where they were
    facts.pop("permute_pixels", None)
    if (reductions > 1).any():
        facts["reductions"] = reductions.tolist()
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for row in manifest.digests:
        digest.update(row.encode())
    return digest.hexdigest()[:32]
