"""The loader: batches of pictures from a store, in an order that is a function of (seed, epoch).

It keeps no state: ``batches(epoch, first=k)`` gives batch k and what follows, whoever asks. Threads only assemble
uint8 pictures in NumPy, so any number of them gives the same bits and none competes with the network for torch's
threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from dojang import seeds
from dojang.data import places, resize, windows
from dojang.data.ahead import in_order
from dojang.data.augment import Augment
from dojang.data.changes import Changes, draw
from dojang.data.preprocess import Preprocess
from dojang.data.store import Store
from dojang.data.windows import Windows


@dataclass(frozen=True)
class Pictures:
    """What a task makes its batch of: pictures of one size, their rows in the manifest, and what is changed in them.

    Args:
        changes: Those of training pictures; of all others there are none.
    """

    pixels: UInt8[np.ndarray, "b h w c"]
    rows: Int64[np.ndarray, " b"]
    changes: Changes | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def size(self) -> tuple[int, int]:
        """Their height and width."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def parts(self, size: int | None) -> list[Pictures]:
        """The same in parts of about equal length, none above ``size``; None leaves it whole.

        >>> several = Pictures(np.zeros((7, 1, 1, 1), np.uint8), np.arange(7))
        >>> [part.rows.tolist() for part in several.parts(3)]
        [[0, 1, 2], [3, 4], [5, 6]]
        """
        count = math.ceil(len(self) / size) if size else 1
        if count <= 1:
            return [self]
        bounds = [len(self) - len(self) * (count - i) // count for i in range(count + 1)]
        return [
            Pictures(self.pixels[a:b], self.rows[a:b], self.changes and self.changes.part(a, b))
            for a, b in pairwise(bounds)
        ]


class Loader:
    """Batches of some rows of a store.

    Args:
        store: The pictures.
        rows: int64 (n,), the rows to go through.
        preprocess: Gives the size of the cut.
        batch_size: Pictures a batch; the last one may be smaller.
        seed: Of order and augmentation.
        augment: None for validation: the rows in their own order, the central cut.
        threads: That work ahead; 0 works when asked.
        drop_single: Leave out a last batch of one picture (batch normalisation has no variance there).
        balance: int64 (n,), the label of each of the rows, to have every class as often as any other in an epoch;
            None has each row once.
    """

    def __init__(
        self,
        store: Store,
        rows: np.ndarray,
        preprocess: Preprocess,
        *,
        batch_size: int,
        seed: int = 0,
        augment: Augment | None = None,
        threads: int = 0,
        drop_single: bool = False,
        balance: np.ndarray | None = None,
    ) -> None:
        self.balance = balance
        self.store, self.rows, self.preprocess = store, rows, preprocess
        self.batch_size, self.seed, self.augment, self.threads = batch_size, seed, augment, threads
        self.size = preprocess.height, preprocess.width
        self._block = store.block()
        whole = self._block is not None and self._block.shape[1:3] == self.size
        self._plain = whole and not (augment is not None and augment.moves)
        self._cut = windows.fastest(store)
        self._resize = resize.fastest(len(rows) * self.size[0] * self.size[1])
        self.steps = math.ceil(len(rows) / batch_size)
        # batches of one that the user asked for stay
        if drop_single and len(rows) % batch_size == 1:
            self.steps -= 1

    def order(self, epoch: int) -> np.ndarray:
        """The rows in the order of an epoch, int64 (n,); to one that comes up again the store's length is added."""
        if self.augment is None:
            return self.rows
        if self.balance is not None:
            return self._balanced(epoch)
        order: np.ndarray = self.rows[seeds.permutation(seeds.key(self.seed, "order", epoch), len(self.rows))]
        return order

    def _balanced(self, epoch: int) -> np.ndarray:
        """As many pictures as there are rows, evenly of each class: some of a large one, those of a small one again."""
        assert self.balance is not None
        kinds = np.unique(self.balance)
        # what cannot be divided goes to other classes each epoch
        shares = np.full(len(kinds), len(self.rows) // len(kinds))
        shares[
            seeds.permutation(seeds.key(self.seed, "classes", epoch), len(kinds))[: len(self.rows) % len(kinds)]
        ] += 1
        parts = []
        for kind, share in zip(kinds.tolist(), shares.tolist(), strict=True):
            members = self.rows[self.balance == kind]
            for again in range(-(-share // len(members))):
                key = seeds.key(self.seed, "members", epoch, kind, again)
                picked = members[seeds.permutation(key, len(members))][: share - again * len(members)]
                # a picture that comes up again is changed in another way
                parts.append(picked + again * len(self.store))
        every = np.concatenate(parts)
        order: np.ndarray = every[seeds.permutation(seeds.key(self.seed, "order", epoch), len(every))]
        return order

    def batches(self, epoch: int = 0, first: int = 0) -> Iterator[Pictures]:
        """The batches of an epoch from number ``first`` on."""
        order = self.order(epoch)
        size = self.batch_size
        chosen = (order[step * size : (step + 1) * size] for step in range(first, self.steps))
        return in_order(lambda rows: self.assemble(rows, epoch), chosen, self.threads)

    def assemble(self, rows: np.ndarray, epoch: int) -> Pictures:
        """The pictures of some rows as they come up in an epoch; rows as :meth:`order` gives them."""
        turns, rows = rows, rows % len(self.store)
        changes = None
        if self.augment is not None and self.augment.recolours:
            changes = draw(self.augment, self.seed, epoch, turns, self.size)
        return Pictures(self._pixels(turns, rows, epoch), rows, changes)

    def places(self, rows: np.ndarray, epoch: int) -> Float64[np.ndarray, "b 2 3"]:
        """Where each place of some stored pictures is shown in an epoch, for boxes and masks that move with them.

        Args:
            rows: As :meth:`order` gives them.

        See :mod:`dojang.data.places`.
        """
        where, heights, widths = self._windows(rows, rows % len(self.store), epoch)
        cut = places.of_windows(where.tops, where.lefts, heights, widths, where.mirrored, where.upended, self.size)
        if self.augment is None or not self.augment.recolours:
            return cut
        return places.then(cut, draw(self.augment, self.seed, epoch, rows, self.size).places(self.size))

    def _pixels(self, turns: np.ndarray, rows: np.ndarray, epoch: int) -> UInt8[np.ndarray, "b h w c"]:
        """The pictures of some rows, each cut where its turn says."""
        if self._plain and self._block is not None:
            whole: np.ndarray = self._block[rows]
            return whole
        where, heights, widths = self._windows(turns, rows, epoch)
        if self.augment is not None and self.augment.crop == "resized":
            how = self.preprocess.interpolation
            return windows.resized(self.store, rows, where, (heights, widths), self.size, self._resize, how)
        return self._cut(self.store, rows, where, self.size, self.augment.fill if self.augment else "black")

    def _windows(self, turns: np.ndarray, rows: np.ndarray, epoch: int) -> tuple[Windows, np.ndarray, np.ndarray]:
        """Where each picture is cut when its turn comes, and the heights and widths of what is cut."""
        sizes = [np.full(len(rows), side) for side in self.size]
        heights, widths = self.store.heights[rows], self.store.widths[rows]
        tops, lefts = (heights - self.size[0]) // 2, (widths - self.size[1]) // 2
        if self.augment is None:
            never = np.zeros(len(rows), bool)
            return Windows(tops, lefts, never, never), sizes[0], sizes[1]
        draws, pad = self.augment.draw(self.seed, epoch, turns), self.augment.padding
        if self.augment.crop == "resized":
            tops, lefts, *sizes = self.augment.parts(self.seed, epoch, turns, heights, widths)
        elif self.augment.crop == "random":
            tops = (draws.down * (heights + 2 * pad - self.size[0] + 1)).astype(np.int64) - pad
            lefts = (draws.right * (widths + 2 * pad - self.size[1] + 1)).astype(np.int64) - pad
        return Windows(tops, lefts, draws.mirrored, draws.upended), sizes[0], sizes[1]
