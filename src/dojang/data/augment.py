"""Augmentation: what is changed in a training picture, and where it is cut, drawn per sample from (seed, epoch, row).

A draw does not depend on the batch, the thread or the step in which its sample comes up; so a run resumed in the
middle of an epoch, or with other threads, sees the same pictures.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from dojang import seeds
from dojang.data.options import AugmentOptions

# draws of a part until one fits, and its longest shape, width over height or the other way round
_TRIES, _RATIO = 10, 4 / 3
_AMOUNTS = (
    *("degrees", "translate", "zoom", "shear", "brightness", "contrast", "saturation", "hue"),
    *("grey", "blur", "noise", "erase", "cutout", "mixup", "cutmix"),
)


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
        crop: "random", "center", or "resized": a random part of the picture, brought to the size of all.
        fill: What is added: "black", or "reflect" (the picture mirrored at its edge).
        crop_scale: The smallest part that "resized" takes, as a share of the area.

    The others change pixels, and are options by these names; see :mod:`dojang.data.changes`.

    Source of "alternating": Keller Jordan, arXiv:2404.00498, section 3.6.
    """

    flip: str = "none"
    padding: int = 0
    crop: str = "random"
    fill: str = "black"
    crop_scale: float = 0.35
    degrees: float = 0.0
    translate: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    random_ops: str = "none"
    ops_count: int = 2
    ops_strength: int = 9
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    erase: float = 0.0
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_prob: float = 1.0

    @classmethod
    def by(cls, options: AugmentOptions) -> Augment:
        """As options say."""
        shared = {field.name for field in dataclasses.fields(options)} & {
            field.name for field in dataclasses.fields(cls)
        }
        given = {name: getattr(options, name) for name in shared - {"flip"}}
        first = options.flip or "none", options.crop_padding, options.train_crop, options.crop_fill
        return cls(*first, **given)

    @property
    def moves(self) -> bool:
        """Whether pictures are cut otherwise than in validation, where they have just the size that is cut."""
        return self.flip != "none" or self.padding > 0 or self.crop == "resized"

    @property
    def recolours(self) -> bool:
        """Whether pixels are changed after the cut."""
        return self.random_ops != "none" or any(getattr(self, name) for name in _AMOUNTS)

    def words(self) -> str:
        """What is done beside mirroring and cutting, in a line; empty where nothing is.

        >>> Augment("none", degrees=15, blur=0.1).words(), Augment("both", 4).words()
        ('degrees 15, blur 0.1', '')
        """
        said = [f"parts from {self.crop_scale:g} of the area"] if self.crop == "resized" else []
        if self.random_ops == "randaugment":
            said.append(f"randaugment {self.ops_count} x {self.ops_strength}")
        elif self.random_ops != "none":
            said.append(self.random_ops)
        said += [f"{name} {getattr(self, name):g}" for name in _AMOUNTS if getattr(self, name)]
        if (self.mixup or self.cutmix) and self.mix_prob < 1:
            said.append(f"mixed {self.mix_prob:g}")
        return ", ".join(said)

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

    def parts(
        self, seed: int, epoch: int, rows: np.ndarray, heights: np.ndarray, widths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Tops, lefts, heights and widths of the parts that "resized" takes, int64 (b,) each.

        A share of the area between ``crop_scale`` and 1, evenly; width over height from 3/4 to 4/3, evenly in its
        logarithm; of ten draws the first that fits into the picture, or else the largest part in its middle.

        Args:
            heights, widths: Of the pictures, int64 (b,).

        Source: Szegedy et al., arXiv:1409.4842, section 6, as torchvision's RandomResizedCrop has it.
        """
        counters = rows[:, None, None] * (2 * _TRIES) + np.arange(2 * _TRIES).reshape(_TRIES, 2)
        share = seeds.uniform(seeds.key(seed, "augment", "resized", epoch), counters)  # (b, tries, 2)
        area = (heights * widths)[:, None] * (self.crop_scale + share[..., 0] * (1 - self.crop_scale))
        ratio = np.exp((2 * share[..., 1] - 1) * np.log(_RATIO))
        w, h = np.round(np.sqrt(area * ratio)), np.round(np.sqrt(area / ratio))
        fits = (w <= widths[:, None]) & (h <= heights[:, None]) & (w > 0) & (h > 0)
        first, one = fits.argmax(axis=1), np.arange(len(rows))
        none = ~fits.any(axis=1)
        # the whole picture, less what makes it longer or wider than it may be
        w = np.where(none, np.minimum(widths, np.round(heights * _RATIO)), w[one, first])
        h = np.where(none, np.minimum(heights, np.round(widths * _RATIO)), h[one, first])
        place = seeds.uniform(seeds.key(seed, "augment", "place", epoch), rows[:, None] * 2 + np.arange(2))
        place[none] = 0.5
        tops = np.floor(place[:, 0] * (heights - h + 1))
        lefts = np.floor(place[:, 1] * (widths - w + 1))
        return tops.astype(np.int64), lefts.astype(np.int64), h.astype(np.int64), w.astype(np.int64)
