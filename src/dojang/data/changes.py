"""What is changed in the pixels of a batch of training pictures: drawn per sample, carried out on the whole batch.

The draws are made where a batch is assembled, in NumPy, from (seed, epoch, sample) alone; what they say is carried out
later, on whatever device the network has.  Pictures of validation and test have no draws, so nothing can touch them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from dojang import seeds
from dojang.data import colour, geometry, places, random_ops, spots
from dojang.data.augment import Augment

Images = Float[Tensor, "b c h w"]

# rectangles to blank out: their share of the area, and width over height (Zhong et al., arXiv:1708.04896)
_ERASED, _ERASED_RATIO = (0.02, 1 / 3), (0.3, 1 / 0.3)
# deviations of the blur in pixels (SimCLR, arXiv:2002.05709, appendix A)
_SIGMA = (0.1, 2.0)


@dataclass(frozen=True)
class Changes:
    """The draws of a batch.

    Args:
        augment: What is done.
        draws: By name, an array each with one row a picture.
    """

    augment: Augment
    draws: Mapping[str, np.ndarray]

    def part(self, first: int, last: int) -> Changes:
        """Those of some of the pictures."""
        return Changes(self.augment, {name: values[first:last] for name, values in self.draws.items()})

    def places(self, size: tuple[int, int]) -> Float64[np.ndarray, "b 2 3"]:
        """Where each place of the pictures is shown; see :mod:`dojang.data.places`. Mixing moves nothing."""
        rows = len(next(iter(self.draws.values())))
        made = np.tile(np.eye(2, 3), (rows, 1, 1))
        moves = [self.draws["sources"]] if "sources" in self.draws else []
        if "operations" in self.draws:
            found = self.draws["operations"], self.draws["strengths"]
            moves += random_ops.sources(self.augment.random_ops, *found, size)
        for sources in moves:
            made = places.then(made, places.of_sources(sources, size))
        return made

    def apply(self, images: Images, mean: tuple[float, ...]) -> Images:
        """The pictures changed; what mixes several of them is :func:`dojang.data.mixing.mix`.

        Args:
            images: From 0 to 1.
            mean: The colour of what is blanked out, from 0 to 1.
        """
        a, draws = self.augment, self.draws

        def amounts(name: str) -> Tensor:
            return torch.from_numpy(draws[name]).to(images)

        if "sources" in draws:
            images = geometry.warp(images, draws["sources"], a.fill)
        if "operations" in draws:
            images = random_ops.apply(images, a.random_ops, draws["operations"], draws["strengths"], a.fill)
        for name, change in (
            ("brightness", colour.brightness),
            ("contrast", colour.contrast),
            ("saturation", colour.saturation),
            ("hue", colour.hue),
        ):
            if name in draws:
                images = change(images, amounts(name))
        if "grey" in draws:
            images = torch.where(_flags(draws["grey"], images), colour.grey(images), images)
        if "blur" in draws:
            rows = np.flatnonzero(draws["blur"])
            if len(rows):
                sigmas = torch.from_numpy(draws["sigma"][rows]).to(images)
                images = images.clone()
                images[rows] = spots.blur(images[rows], sigmas, spots.blur_radius(*images.shape[2:]))
        if "noise" in draws:
            images = spots.noise(images, draws["noise"].tolist(), a.noise)
        for name in ("erased", "cutout"):
            if name in draws:
                boxes = torch.from_numpy(draws[name]).to(images.device)
                images = spots.blank(images, boxes, torch.tensor(mean, device=images.device))
        return images


def draw(augment: Augment, seed: int, epoch: int, turns: Int64[np.ndarray, " b"], size: tuple[int, int]) -> Changes:
    """The changes of some pictures in an epoch.

    Args:
        turns: The counter of each picture: its row, or more where it comes up again in the epoch.
        size: Height and width of the pictures.
    """
    height, width = size
    draws: dict[str, np.ndarray] = {}

    def uniform(name: str, streams: int = 1) -> np.ndarray:
        counters = turns[:, None] * streams + np.arange(streams)
        values: np.ndarray = seeds.uniform(seeds.key(seed, "augment", name, epoch), counters)
        return values if streams > 1 else values[:, 0]

    if augment.degrees or augment.translate or augment.zoom or augment.shear:
        turned, right, down, larger, slant_x, slant_y = (2 * uniform("affine", 6) - 1).T
        draws["sources"] = geometry.matrices(
            turned * augment.degrees,
            # whole pixels: moving alone then blurs nothing
            np.round(right * augment.translate * width),
            np.round(down * augment.translate * height),
            1 + larger * augment.zoom,
            slant_x * augment.shear,
            slant_y * augment.shear,
        )
    if augment.random_ops != "none":
        key = seeds.key(seed, "augment", augment.random_ops, epoch)
        found = random_ops.draw(augment.random_ops, augment.ops_count, augment.ops_strength, key, turns)
        draws["operations"], draws["strengths"] = found
    for name in ("brightness", "contrast", "saturation", "hue"):
        if most := getattr(augment, name):
            around = 0.0 if name == "hue" else 1.0
            draws[name] = around + (2 * uniform(name) - 1) * most
    if augment.grey:
        draws["grey"] = uniform("grey") < augment.grey
    if augment.blur:
        chance, sigma = uniform("blur", 2).T
        draws["blur"], draws["sigma"] = chance < augment.blur, _SIGMA[0] + sigma * (_SIGMA[1] - _SIGMA[0])
    if augment.noise:
        draws["noise"] = seeds.bits(seeds.key(seed, "augment", "noise", epoch), turns) & (2**63 - 1)
    if augment.erase:
        draws["erased"] = _rectangles(uniform("erase", 5), augment.erase, height, width)
    if augment.cutout:
        # the centre lies anywhere in the picture, so a square may stick out (DeVries and Taylor, arXiv:1708.04552)
        down, right = uniform("cutout", 2).T
        tops = np.floor(down * height).astype(np.int64) - augment.cutout // 2
        lefts = np.floor(right * width).astype(np.int64) - augment.cutout // 2
        draws["cutout"] = np.stack([tops, lefts, tops + augment.cutout, lefts + augment.cutout], axis=1)
    if augment.mixup or augment.cutmix:
        draws |= _mixed(augment, uniform("mix", 5), height, width)
    return Changes(augment, draws)


def _rectangles(shares: np.ndarray, probability: float, height: int, width: int) -> Int64[np.ndarray, "b 4"]:
    """Boxes of random area and shape inside a picture; an empty one for those that have none."""
    chance, area, ratio, down, right = shares.T
    area = height * width * (_ERASED[0] + area * (_ERASED[1] - _ERASED[0]))
    low, high = np.log(_ERASED_RATIO)
    across = np.exp((low + ratio * (high - low)) / 2)
    heights = np.clip(np.round(np.sqrt(area) / across), 1, height)
    widths = np.clip(np.round(np.sqrt(area) * across), 1, width)
    tops, lefts = np.floor(down * (height - heights + 1)), np.floor(right * (width - widths + 1))
    boxes = np.stack([tops, lefts, tops + heights, lefts + widths], axis=1).astype(np.int64)
    return np.where((chance < probability)[:, None], boxes, 0)


def _mixed(augment: Augment, shares: np.ndarray, height: int, width: int) -> dict[str, np.ndarray]:
    """How much of each picture is its own, and the box that is not, which is empty in mixup.

    Sources: mixup, Zhang et al., arXiv:1710.09412; CutMix, Yun et al., arXiv:1905.04899.
    """
    from scipy.special import betaincinv

    chance, kind, amount, down, right = shares.T
    cut = kind < (0.5 if augment.mixup else 1.0) if augment.cutmix else np.zeros(len(kind), bool)
    alpha = np.where(cut, augment.cutmix, augment.mixup)
    own = np.where(chance < augment.mix_prob, betaincinv(alpha, alpha, amount), 1.0)
    # a box of that share of the area, its centre anywhere; what sticks out of the picture is not taken
    side = np.sqrt(1 - own)
    heights, widths = np.floor(side * height).astype(np.int64), np.floor(side * width).astype(np.int64)
    middle, centre = np.floor(down * height).astype(np.int64), np.floor(right * width).astype(np.int64)
    tops, lefts = middle - heights // 2, centre - widths // 2
    boxes = np.stack([tops, lefts, tops + heights, lefts + widths], axis=1).clip(0)
    boxes = np.minimum(boxes, np.array([height, width, height, width]))
    boxes[~cut] = 0
    taken = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    # of the picture as it is, so that the label has exactly the share that the pixels have
    own = np.where(cut, 1 - taken / (height * width), own)
    return {"own": own, "cut": cut, "boxes": boxes}


def _flags(values: np.ndarray, images: Images) -> Tensor:
    return torch.from_numpy(values).to(images.device)[:, None, None, None]
