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
