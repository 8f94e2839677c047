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
        flip: "none", "horizontal", "vertical" or "both", each with probability one half.
        padding: Pixels of black added on every side before the cut.
        crop: "random" or "center".
    """

    flip: str = "none"
    padding: int = 0
    crop: str = "random"

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
        return Draws(
            (share[0] < 0.5) & (self.flip in ("horizontal", "both")),
            (share[1] < 0.5) & (self.flip in ("vertical", "both")),
            share[2],
            share[3],
        )


def cut(picture: np.ndarray, size: tuple[int, int], top: int, left: int, mirrored: bool, upended: bool) -> np.ndarray:
    """A window of a picture; where it reaches beyond the picture there is black.

    Args:
        picture: uint8 (h, w, c).
        size: Height and width of the window.
        top, left: Where it begins, in pixels; may be negative.
    """
    height, width = size
    h, w, channels = picture.shape
    if top >= 0 and left >= 0 and top + height <= h and left + width <= w:
        window = picture[top : top + height, left : left + width]
    else:
        window = np.zeros((height, width, channels), np.uint8)
        y0, x0 = max(top, 0), max(left, 0)
        # a window may lie wholly beside the picture
        y1, x1 = max(min(top + height, h), y0), max(min(left + width, w), x0)
        window[y0 - top : y1 - top, x0 - left : x1 - left] = picture[y0:y1, x0:x1]
    return window[:: -1 if upended else 1, :: -1 if mirrored else 1]
