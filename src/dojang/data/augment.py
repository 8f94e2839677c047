"""Augmentation: what is changed in a training picture, drawn per sample from (seed, epoch, row).

A draw does not depend on the batch, the thread or the step in which its sample comes up; so a run resumed in the
middle of an epoch, or with other threads, sees the same pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dojang import seeds


@dataclass(frozen=True)
class Draws:
    """One draw a sample: mirrored or not, and where the cut lies as shares [0, 1) of the room there is. Each (b,)."""

    mirrored: np.ndarray
    upended: np.ndarray
    down: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Augment:
    """Which changes are made.

    Args:
        flip: "none", "horizontal", "vertical" or "both", each with probability one half; or "alternating": half of the
            pictures mirrored in one epoch, the other half in the next, so that two epochs show each both ways.
        padding: Pixels added on every side before the cut.
        crop: "random" or "center".
        fill: What is added: "black", or "reflect" (the picture mirrored at its edge).

    Source of "alternating": Keller Jordan, arXiv:2404.00498, section 3.6.
    """

    flip: str = "none"
    padding: int = 0
    crop: str = "random"
    fill: str = "black"

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> Draws:
        """The draws of some rows in an epoch.

        >>> import numpy as np
        >>> one = Augment("horizontal", 4).draw(0, 2, np.array([5, 6, 7]))
        >>> other = Augment("horizontal", 4).draw(0, 2, np.array([7]))
        >>> bool(one.down[2] == other.down[0])
        True
        """
        key = seeds.key(seed, "augment", epoch)
        share = [seeds.uniform(key, rows * 4 + stream) for stream in range(4)]
        if self.flip == "alternating":
            mirrored = (seeds.uniform(seeds.key(seed, "flip"), rows) < 0.5) ^ (epoch % 2 == 1)
        else:
            mirrored = (share[0] < 0.5) & (self.flip in ("horizontal", "both"))
        return Draws(
            mirrored,
            (share[1] < 0.5) & (self.flip in ("vertical", "both")),
            share[2],
            share[3],
        )


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
        rows = _reflected(np.arange(top, top + height), picture.shape[0])
        columns = _reflected(np.arange(left, left + width), picture.shape[1])
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


def cut_alike(
    pictures: np.ndarray, size: tuple[int, int], padding: int, fill: str, draws: Draws, centred: bool
) -> np.ndarray:
    """What :func:`cut` gives for each of many pictures of one size, all together: one copy for each of the few windows.

    Args:
        pictures: uint8 (b, h, w, c).
        size: Height and width of the windows.
        padding: Pixels by which a window may begin outside.
        centred: Take the central window of every picture.
    """
    height, width = size
    h, w = pictures.shape[1:3]
    room_h, room_w = h + 2 * padding - height + 1, w + 2 * padding - width + 1
    if centred:
        tops, lefts = np.full(len(pictures), (h - height) // 2), np.full(len(pictures), (w - width) // 2)
        tops, lefts = tops + padding, lefts + padding
    else:
        tops, lefts = (draws.down * room_h).astype(np.int64), (draws.right * room_w).astype(np.int64)
    if padding:
        rows = _reflected(np.arange(-padding, h + padding), h)
        columns = _reflected(np.arange(-padding, w + padding), w)
        pictures = pictures[:, rows][:, :, columns]
        if fill == "black":
            pictures[:, :padding] = pictures[:, h + padding :] = 0
            pictures[:, :, :padding] = pictures[:, :, w + padding :] = 0
    out = np.empty((len(pictures), height, width, pictures.shape[3]), np.uint8)
    kinds = ((tops * room_w + lefts) * 2 + draws.mirrored) * 2 + draws.upended
    order = np.argsort(kinds, kind="stable")
    starts = np.flatnonzero(np.diff(kinds[order], prepend=-1))
    for group in np.split(order, starts[1:]):
        first = group[0]
        top, left = tops[first], lefts[first]
        window = pictures[group, top : top + height, left : left + width]
        out[group] = window[:, :: -1 if draws.upended[first] else 1, :: -1 if draws.mirrored[first] else 1]
    return out


def _reflected(places: np.ndarray, length: int) -> np.ndarray:
    """Places on an endless line folded back into 0 .. length - 1, the edge itself not doubled.

    >>> _reflected(np.arange(-2, 6), 3).tolist()
    [2, 1, 0, 1, 2, 1, 0, 1]
    """
    if length == 1:
        return np.zeros_like(places)
    period = 2 * length - 2
    places = np.abs(places) % period
    folded: np.ndarray = np.minimum(places, period - places)
    return folded
