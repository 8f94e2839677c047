"""Mean and standard deviation of the training pictures, exactly: sums of whole numbers, divided once."""

from __future__ import annotations

import ctypes

import numpy as np

from dojang.data.preprocess import Preprocess
from dojang.data.resize import WORTH, library
from dojang.data.store import Store

# the training part of ImageNet, as torchvision's weights were trained with it
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def statistics(
    store: Store, rows: np.ndarray, preprocess: Preprocess, how: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation a channel, on the scale of 0 to 1, of the central cuts of some rows.

    Args:
        rows: int64 (n,).
        how: "train" computes them; "imagenet" and "none" (0 and 1) are constants.
    """
    channels = preprocess.channels
    if how == "none":
        return (0.0,) * channels, (1.0,) * channels
    if how == "imagenet":
        if channels == 3:
            return IMAGENET
        return (sum(IMAGENET[0]) / 3,), (sum(IMAGENET[1]) / 3,)
    count = len(rows) * preprocess.height * preprocess.width
    sums, squares = _sums(store, rows, preprocess)
    means, spreads = [], []
    for total, square in zip(sums, squares, strict=True):
        means.append(total / (255 * count))
        # whole numbers of any length: nothing is rounded before the division
        variance = (square * count - total * total) / (255 * count) ** 2
        # a channel that never changes carries nothing; dividing by one leaves it at zero
        spreads.append(variance**0.5 or 1.0)
    return tuple(means), tuple(spreads)


def _sums(store: Store, rows: np.ndarray, preprocess: Preprocess) -> tuple[list[int], list[int]]:
    """The sum of the levels of each channel, and that of their squares."""
    height, width, channels = preprocess.height, preprocess.width, preprocess.channels
    compiled = library() if store.buffer.size >= WORTH else None
    if compiled is not None:
        found = np.zeros((2, channels), np.int64)
        run = compiled.dojang_sums
        address, whole = ctypes.c_void_p, ctypes.c_int64
        run.argtypes = [address, whole, whole, whole, whole, address, address]
        base = store.buffer.ctypes.data
        for row in rows.tolist():
            top, left = preprocess.centre(int(store.heights[row]), int(store.widths[row]))
            across = int(store.widths[row]) * channels
            start = base + int(store.offsets[row]) + top * across + left * channels
            run(start, across, height, width, channels, found[0].ctypes.data, found[1].ctypes.data)
        return found[0].tolist(), found[1].tolist()
    counts = np.zeros((channels, 256), np.int64)
    block = store.block()
    for first in range(0, len(rows), 1024):
        part = rows[first : first + 1024]
        pictures = [block[part]] if block is not None else [store.picture(row)[None] for row in part]
        for several in pictures:
            top, left = preprocess.centre(*several.shape[1:3])
            seen = several[:, top : top + height, left : left + width]
            for channel in range(channels):
                counts[channel] += np.bincount(seen[..., channel].reshape(-1), minlength=256)
    levels = np.arange(256)
    return (counts @ levels).tolist(), (counts @ levels**2).tolist()
