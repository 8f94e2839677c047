"""Pictures that come once and are asked for later: in memory while there is room, then on the disk."""

from __future__ import annotations

import numpy as np

from dojang import files


class Kept:
    """A list of pictures that does not fill the memory.

    Use it for what a stream gives: its end is not known, and it cannot be read again.

    Args:
        room: Bytes to hold in memory; None for a quarter of what is free now.

    Example:
        >>> kept = Kept(room=3)
        >>> for picture in (b"png", np.full((2, 2), 7, np.uint8), b"gif"):
        ...     kept.append(picture)
        >>> len(kept), kept.in_memory, kept[0], kept[1].tolist()
        (3, 1, b'png', [[7, 7], [7, 7]])
    """

    def __init__(self, room: int | None = None) -> None:
        if room is None:
            # not at the top: it brings the kernels
            from dojang.data.store import free_memory

            room = free_memory() // 4
        self._room = room
        self._held: list[bytes | np.ndarray] = []
        # where each of the others begins, its length, and the shape of pixels
        self._aside: list[tuple[int, int, tuple[int, ...] | None]] = []
        self._spool: files.Spool | None = None

    def __len__(self) -> int:
        return len(self._held) + len(self._aside)

    @property
    def in_memory(self) -> int:
        """How many of the first pictures are in memory; the others are on the disk."""
        return len(self._held)

    def append(self, picture: bytes | np.ndarray) -> None:
        """Keep one more: encoded bytes, or uint8 pixels. Raises ResourceError R401 when the disk is full."""
        size = len(picture) if isinstance(picture, bytes) else picture.nbytes
        if self._spool is None and size <= self._room:
            self._room -= size
            self._held.append(picture)
            return
        if self._spool is None:
            self._spool = files.Spool(files.cache_folder())
        begins = self._spool.append(picture if isinstance(picture, bytes) else np.ascontiguousarray(picture).data)
        self._aside.append((begins, size, picture.shape if isinstance(picture, np.ndarray) else None))

    def __getitem__(self, index: int) -> bytes | np.ndarray:
        if index < len(self._held):
            return self._held[index]
        begins, size, shape = self._aside[index - len(self._held)]
        assert self._spool is not None  # for the type checker
        data = self._spool.read(begins, size)
        return data if shape is None else np.frombuffer(data, np.uint8).reshape(shape)
