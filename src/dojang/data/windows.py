"""Windows cut out of stored pictures: one by one or many of a kind together in NumPy, or all of a batch in C.

Which of them ran cannot be seen in a picture. Where there is much to cut and the kernel can be compiled it does it all,
beside the thread that trains; NumPy needs Python's own lock for every picture.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dojang.data.resize import WORTH, Resize
from dojang.data.store import Store
from dojang.native import compiler


@dataclass(frozen=True)
class Windows:
    """Where some pictures are cut: the places may lie outside. Each (b,), places int64 in pixels."""

    tops: np.ndarray
    lefts: np.ndarray
    mirrored: np.ndarray
    upended: np.ndarray


# a store, its rows, where each is cut, the height and width of all, and what is beyond the edge: "black" or "reflect"
Cutter = Callable[[Store, np.ndarray, Windows, tuple[int, int], str], UInt8[np.ndarray, "b h w c"]]


def fastest(store: Store) -> Cutter:
    """What cuts pictures of this store soonest."""
    made = kernel() if store.buffer.size >= WORTH else None
    return made or with_numpy


def with_numpy(
    store: Store, rows: np.ndarray, windows: Windows, size: tuple[int, int], fill: str
) -> UInt8[np.ndarray, "b h w c"]:
    """The definition."""
    block = store.block()
    if block is not None and (together := _alike(block, rows, windows, size, fill)) is not None:
        return together
    out = np.empty((len(rows), *size, store.channels), np.uint8)
    # plain numbers before the loop: NumPy's own cost more than the copying of a small picture
    columns = (rows, windows.tops, windows.lefts, windows.mirrored, windows.upended)
    for i, (row, top, left, mirrored, upended) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        out[i] = cut(store.picture(row), size, top, left, mirrored, upended, fill)
    return out


@functools.cache
def kernel() -> Cutter | None:
    """Native code for all pictures of a batch; None where it cannot be compiled."""
    library = compiler.load("cut", ())
    if library is None:
        return None
    run = library.dojang_cut
    address, whole, flag = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    run.argtypes = [*([address] * 8), whole, whole, whole, flag, flag, address]
    run.restype = None

    def cutter(
        store: Store, rows: np.ndarray, windows: Windows, size: tuple[int, int], fill: str
    ) -> UInt8[np.ndarray, "b h w c"]:
        out = np.empty((len(rows), *size, store.channels), np.uint8)
        places = (store.offsets[rows], store.heights[rows], store.widths[rows], windows.tops, windows.lefts)
        # named, so that they live until the kernel has read them
        arrays = [np.ascontiguousarray(values, np.int64) for values in places]
        arrays += [np.ascontiguousarray(values, np.uint8) for values in (windows.mirrored, windows.upended)]
        pointers = [values.ctypes.data for values in (store.buffer, *arrays)]
        run(*pointers, len(rows), *size, store.channels, fill == "reflect", out.ctypes.data)
        return out

    return cutter


def resized(
    store: Store,
    rows: np.ndarray,
    windows: Windows,
    sizes: tuple[np.ndarray, np.ndarray],
    size: tuple[int, int],
    resize: Resize,
    interpolation: str,
) -> UInt8[np.ndarray, "b h w c"]:
    """Windows of different sizes, inside their pictures, brought to one size.

    Args:
        sizes: Heights and widths of the windows, int64 (b,) each.
        resize: What resizes; all of them give the same bits.
    """
    out = np.empty((len(rows), *size, store.channels), np.uint8)
    columns = (rows, windows.tops, windows.lefts, *sizes, windows.mirrored, windows.upended)
    listed = zip(*(column.tolist() for column in columns), strict=True)
    for one, (row, top, left, height, width, mirrored, upended) in zip(out, listed, strict=True):
        part = store.picture(row)[top : top + height, left : left + width]
        image = Image.fromarray(np.ascontiguousarray(part[:, :, 0] if store.channels == 1 else part))
        resize(image, size, interpolation, None, one)
        if mirrored or upended:
            one[...] = cut(one.copy(), size, 0, 0, mirrored, upended)
    return out


def cut(
    picture: np.ndarray,
    size: tuple[int, int],
    top: int,
    left: int,
    mirrored: bool = False,
    upended: bool = False,
    fill: str = "black",
) -> np.ndarray:
    """A window of a picture; where it reaches beyond the picture there is black, or the picture mirrored at its edge.

    Args:
        picture: uint8 (h, w, c).
        size: Height and width of the window.
        top, left: Where it begins, in pixels; may be negative.

    >>> cut(np.arange(3, dtype=np.uint8).reshape(1, 3, 1), (1, 5), 0, -1, fill="reflect").ravel().tolist()
    [1, 0, 1, 2, 1]
    """
    height, width = size
    if fill == "reflect":
        rows = reflected(np.arange(top, top + height), picture.shape[0])
        columns = reflected(np.arange(left, left + width), picture.shape[1])
        folded: np.ndarray = picture[rows[:: -1 if upended else 1, None], columns[None, :: -1 if mirrored else 1]]
        return folded
    h, w, channels = picture.shape
    if top >= 0 and left >= 0 and top + height <= h and left + width <= w:
        window = picture[top : top + height, left : left + width]
    else:
        window = np.zeros((height, width, channels), np.uint8)
        y0, x0 = max(top, 0), max(left, 0)
        # a window may lie wholly beside the picture
        y1, x1 = max(min(top + height, h), y0), max(min(left + width, w), x0)
        window[y0 - top : y1 - top, x0 - left : x1 - left] = picture[y0:y1, x0:x1]
    if upended:
        window = window[::-1]
    if not mirrored:
        return window
    # channel by channel: four times as fast as pixel by pixel, where NumPy copies three bytes at a time
    turned = np.empty(window.shape, np.uint8)
    for channel in range(channels):
        turned[:, :, channel] = window[:, ::-1, channel]
    return turned


def _alike(
    block: np.ndarray, rows: np.ndarray, windows: Windows, size: tuple[int, int], fill: str
) -> np.ndarray | None:
    """The same for pictures of one size (n, h, w, c): a copy for each window; None where many windows are asked for."""
    tops, lefts = windows.tops, windows.lefts
    kinds = np.stack([tops, lefts, windows.mirrored, windows.upended], axis=1)
    different, which = np.unique(kinds, axis=0, return_inverse=True)
    # it pays while many pictures share a window
    if not len(rows) or 4 * len(different) > len(rows):
        return None
    height, width = size
    h, w = block.shape[1:3]
    # wide enough for every window
    above, left_of = max(0, -int(tops.min())), max(0, -int(lefts.min()))
    below, right_of = max(0, int(tops.max()) + height - h), max(0, int(lefts.max()) + width - w)
    pictures = block[rows]
    if above or below or left_of or right_of:
        down, across = np.arange(-above, h + below), np.arange(-left_of, w + right_of)
        pictures = pictures[:, reflected(down, h)][:, :, reflected(across, w)]
        if fill == "black":
            pictures[:, (down < 0) | (down >= h)] = 0
            pictures[:, :, (across < 0) | (across >= w)] = 0
    out = np.empty((len(rows), height, width, block.shape[3]), np.uint8)
    order = np.argsort(which.reshape(-1), kind="stable")
    bounds = np.cumsum(np.bincount(which.reshape(-1), minlength=len(different)))[:-1]
    for (top, left, mirrored, upended), group in zip(different.tolist(), np.split(order, bounds), strict=True):
        window = pictures[group, top + above : top + above + height, left + left_of : left + left_of + width]
        out[group] = window[:, :: -1 if upended else 1, :: -1 if mirrored else 1]
    return out


def reflected(places: np.ndarray, length: int) -> np.ndarray:
    """Places on an endless line folded back into 0 .. length - 1, the edge itself not doubled.

    >>> reflected(np.arange(-2, 6), 3).tolist()
    [2, 1, 0, 1, 2, 1, 0, 1]
    """
    if length == 1:
        return np.zeros_like(places)
    period = 2 * length - 2
    places = np.abs(places) % period
    folded: np.ndarray = np.minimum(places, period - places)
    return folded
