"""Small pictures that are one picture, told by comparing pixels: at 28 x 28 there are no fine structures to go by.

Two digits written alike agree as well as one digit saved twice in a lossy format.  So a pair counts where it agrees
well, and much better than either of the two agrees with its other neighbours.  Pictures of other sizes are compared
with what larger ones look like at their size, and, where they are nearly as large, with every part of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from PIL import Image

#: the longest side of a small picture
LONGEST = 64
# correlation of a pair, at least; distance (1 less it) over that to the fifth neighbour, at most
_AGREE, _RATIO, _NEIGHBOUR = 0.94, 0.2, 5
# sizes beside the most common one that are compared; more, and they are no set of small pictures
_SIZES = 64
# of a side that may have been cut away
_CUT = 0.05
_BLOCK = 512


def pairs(levels: list[np.ndarray]) -> Iterator[tuple[int, int, float]]:
    """Pairs of positions, the smaller first, and their correlation.

    Args:
        levels: Grey pictures (h, w) uint8, small ones.
    """
    sizes: dict[tuple[int, int], list[int]] = {}
    for position, picture in enumerate(levels):
        sizes.setdefault((picture.shape[0], picture.shape[1]), []).append(position)
    if len(sizes) > _SIZES:
        return
    best: dict[tuple[int, int], float] = {}
    for (height, width), members in sizes.items():
        own = _standard(np.stack([levels[i] for i in members]))
        # what each larger picture could look like at this size, and itself
        views = [(members, own)]
        for (other_height, other_width), others in sizes.items():
            if (other_height, other_width) == (height, width) or other_height < height or other_width < width:
                continue
            pictures = [levels[i] for i in others]
            views.append((others, _standard(np.stack([_resized(one, height, width) for one in pictures]))))
            down, across = other_height - height, other_width - width
            if down <= round(_CUT * other_height) + 1 and across <= round(_CUT * other_width) + 1:
                for top, left in product(range(down + 1), range(across + 1)):
                    parts = np.stack([one[top : top + height, left : left + width] for one in pictures])
                    views.append((others, _standard(parts)))
        for one, other, score in _close(members, own, views):
            key = (min(one, other), max(one, other))
            best[key] = max(best.get(key, -1.0), score)
    for (one, other), score in sorted(best.items()):
        yield one, other, score


def _close(
    members: list[int], own: np.ndarray, views: list[tuple[list[int], np.ndarray]]
) -> Iterator[tuple[int, int, float]]:
    """Pairs of a member and any picture that agree, and better than the member agrees with most of its neighbours."""
    positions = np.array(members)
    for start in range(0, len(own), _BLOCK):
        block, rows = own[start : start + _BLOCK], positions[start : start + _BLOCK]
        # of each neighbour the view that agrees best
        found: dict[int, np.ndarray] = {}
        scores, names = [], []
        for others, pictures in views:
            part = block @ pictures.T
            part[rows[:, None] == np.array(others)[None, :]] = -1
            key = id(others)
            if key in found:
                np.maximum(found[key], part, out=found[key])
            else:
                found[key] = part
                scores.append(part)
                names.append(np.array(others))
        table, columns = np.concatenate(scores, axis=1), np.concatenate(names)
        far = np.zeros(len(table))
        if table.shape[1] >= _NEIGHBOUR:
            far = -np.partition(-table, _NEIGHBOUR - 1, axis=1)[:, _NEIGHBOUR - 1]
        close = (table >= _AGREE) & (1 - table <= _RATIO * (1 - far)[:, None])
        for row, column in np.argwhere(close).tolist():
            yield int(rows[row]), int(columns[column]), float(table[row, column])


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))


def _standard(pictures: np.ndarray) -> np.ndarray:
    """Mean 0 and length 1, (n, numbers); a picture without structure agrees with nothing."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    standard: np.ndarray = np.where(lengths < 1, 0, flat / np.maximum(lengths, 1e-6))
    return standard
