"""Pictures that are one picture: the same pixels, or the same after a re-encoding, a resize, a small crop.

Three sieves, each finer and slower.  A fingerprint of the lowest frequencies is compared with all others, as one matrix
product; pairs that are near are laid on each other as thumbnails, at some small crops; what still agrees is read again
and compared on pixels, fine structure alone, where photographs of one scene taken a moment apart no longer agree.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

# cosine of two fingerprints; correlation of two thumbnails; of the fine structure of two pictures
NEAR, THUMBS, FINE = 0.80, 0.90, 0.5
_LOW = 8
# rows and columns of the table of cosines that are looked at at once
_BLOCK = 1024, 8192
# of a side, from either end
_CROPS = (0.0, 0.025, 0.05)
_FINE_CROPS = (0.0, 0.0125, 0.025, 0.0375, 0.05)
# from where on no better fit is looked for
_SURE = 0.8
#: side of the pictures that are confirmed
SIDE = 64


@functools.cache
def _cosines(side: int, count: int) -> np.ndarray:
    """The first rows of the discrete cosine transform, (count, side)."""
    places = (np.arange(side) + 0.5) / side
    found: np.ndarray = np.cos(np.pi * np.arange(count)[:, None] * places).astype(np.float32)
    return found


def fingerprints(thumbs: np.ndarray) -> np.ndarray:
    """The lowest frequencies of each thumbnail, without its brightness and contrast.

    Args:
        thumbs: uint8 (n, side, side).

    Returns:
        float32 (n, 63) of length 1; zeros for a picture without any structure.
    """
    basis = _cosines(thumbs.shape[1], _LOW)
    found = np.empty((len(thumbs), _LOW * _LOW - 1), np.float32)
    for start in range(0, len(thumbs), 4096):
        part = thumbs[start : start + 4096].astype(np.float32)
        found[start : start + 4096] = (basis @ part @ basis.T).reshape(len(part), -1)[:, 1:]
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    # a level of difference in all is noise
    flat = lengths < thumbs.shape[1] * 2
    return np.where(flat, 0, found / np.maximum(lengths, 1e-12))


def near(prints: np.ndarray, least: float = NEAR) -> Iterator[np.ndarray]:
    """Pairs of rows whose fingerprints are near, the smaller row first; int64 (m, 2), block by block."""
    rows, columns = _BLOCK
    for start in range(0, len(prints), rows):
        block = prints[start : start + rows]
        for left in range(start, len(prints), columns):
            found = np.argwhere(block @ prints[left : left + columns].T >= least)
            found += (start, left)
            found = found[found[:, 0] < found[:, 1]]
            if len(found):
                yield found


@functools.cache
def _windows(side: int, cuts: tuple[float, ...]) -> np.ndarray:
    """Matrices that cut a line and stretch what is left to its old length, (k, side, side); the first cuts nothing."""
    made = []
    for first in cuts:
        for last in cuts:
            places = (np.arange(side) + 0.5) / side * (1 - first - last) + first
            at = np.clip(places * side - 0.5, 0, side - 1)
            lower = np.minimum(at.astype(int), side - 2)
            matrix = np.zeros((side, side), np.float32)
            matrix[np.arange(side), lower] = 1 - (at - lower)
            matrix[np.arange(side), lower + 1] = at - lower
            made.append(matrix)
    return np.stack(made)


def align(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How well pictures agree, laid on each other, one of each pair cut by up to 5 % on each side.

    Args:
        a, b: (m, side, side), one pair a row.

    Returns:
        (m,), the largest correlation.
    """
    windows = _windows(a.shape[1], _CROPS)
    best = np.full(len(a), -2.0, np.float32)
    for cut, whole in ((a, b), (b, a)):
        fixed = _standard(whole.astype(np.float32))
        for down in windows:
            rows = down @ cut.astype(np.float32)  # (m, side, side)
            for across in windows:
                np.maximum(best, (_standard(rows @ across.T) * fixed).sum(axis=(1, 2)), out=best)
    return best


def _standard(pictures: np.ndarray) -> np.ndarray:
    """Mean 0 and length 1."""
    found = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    lengths = np.sqrt((found**2).sum(axis=(1, 2), keepdims=True))
    standard: np.ndarray = found / np.maximum(lengths, 1e-6)
    return standard


def fine(pictures: np.ndarray) -> np.ndarray:
    """What is left of pictures without their rough forms: each pixel less the mean of 5 x 5 around it; (..., h, w)."""
    lead = [(0, 0)] * (pictures.ndim - 2)
    wide = np.pad(pictures.astype(np.float32), [*lead, (2, 2), (2, 2)], mode="edge")
    sums = np.cumsum(np.cumsum(np.pad(wide, [*lead, (1, 0), (1, 0)]), axis=-2, dtype=np.float64), axis=-1)
    height, width = pictures.shape[-2:]
    mean = (sums[..., 5:, 5:] - sums[..., :height, 5:] - sums[..., 5:, :width] + sums[..., :height, :width]) / 25
    return (pictures - mean).astype(np.float32)


def confirm(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of the fine structure of two pictures, laid on each other as well as can be.

    Args:
        one, other: Grey, (side, side).

    Returns:
        About 1 for one picture saved twice, about 0 for two that look alike from afar.
    """
    # most copies are whole: nothing need be cut
    best = float((_standard(fine(one)[None]) * _standard(fine(other)[None])).sum())
    for cut, whole in ((one, other), (other, one)):
        if best < _SURE:
            best = max(best, _laid(cut, whole))
    return best


def _laid(cut: np.ndarray, whole: np.ndarray) -> float:
    """The same, the first cut by up to 5 % on each side: one axis after the other, and again."""
    windows = _windows(len(cut), _FINE_CROPS)
    picture, fixed = cut.astype(np.float32), _standard(fine(whole)[None])
    down, across, best = 0, 0, -2.0
    for _ in range(3):
        before = best
        rows = windows @ picture @ windows[across].T
        scores = (_standard(fine(rows)) * fixed).sum(axis=(1, 2))
        down, best = int(scores.argmax()), float(scores.max())
        columns = (windows[down] @ picture) @ windows.transpose(0, 2, 1)
        scores = (_standard(fine(columns)) * fixed).sum(axis=(1, 2))
        across, best = int(scores.argmax()), float(scores.max())
        if best <= before + 1e-4:
            break
    return best
