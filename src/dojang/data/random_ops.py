"""RandAugment and TrivialAugment: operations drawn at random for each picture, with their strengths.

Sources: Cubuk et al., arXiv:1909.13719; Müller and Hutter, arXiv:2103.10158 (its wide space). Operations and strengths
are those of torchvision's RandAugment and TrivialAugmentWide; what is turned, moved or slanted is so about its centre,
and resampled bilinearly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from dojang import seeds
from dojang.data import colour, geometry

Images = Float[Tensor, "b c h w"]

# identity and what moves pixels come first: one resampling serves all of the latter
GEOMETRY = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
OPERATIONS = (
    *("identity", *GEOMETRY, "brightness", "saturation", "contrast", "sharpness"),
    *("posterize", "solarize", "autocontrast", "equalize"),
)
# strengths are counted from 0 to 30; what each means at 30, and of posterize the bits that are taken away there
_RANDAUGMENT = {"shear": 0.3, "translate": 150 / 331, "rotate": 30.0, "colour": 0.9, "posterize": 4}
_TRIVIAL = {"shear": 0.99, "translate": 32.0, "rotate": 135.0, "colour": 0.99, "posterize": 6}
STRENGTHS = 31

_COLOUR: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": colour.brightness,
    "saturation": colour.saturation,
    "contrast": colour.contrast,
    "sharpness": colour.sharpness,
}


def draw(
    kind: str, count: int, strength: int, key: int, turns: Int64[np.ndarray, " b"]
) -> tuple[Int64[np.ndarray, "b n"], Int64[np.ndarray, "b n"]]:
    """Which operations each picture has, by their place in OPERATIONS, and how strong they are: -30 to 30.

    Args:
        kind: "randaugment": ``count`` operations of one ``strength``; "trivialaugment": one, of any strength.
        key: From :func:`dojang.seeds.key`.
        turns: The counter of each picture.
    """
    if kind == "trivialaugment":
        count = 1
    counters = turns[:, None] * (3 * count) + 3 * np.arange(count)
    which = seeds.integers(key, counters, len(OPERATIONS))
    strengths = np.full(which.shape, strength)
    if kind == "trivialaugment":
        strengths = seeds.integers(key, counters + 1, STRENGTHS)
    sign = np.where(seeds.uniform(key, counters + 2) < 0.5, -1, 1)
    return which, strengths * sign


def apply(
    images: Images, kind: str, which: Int64[np.ndarray, "b n"], strengths: Int64[np.ndarray, "b n"], fill: str
) -> Images:
    """The operations of :func:`draw`, one after the other."""
    means = _RANDAUGMENT if kind == "randaugment" else _TRIVIAL
    images = images.contiguous().clone()
    for place, moves in enumerate(sources(kind, which, strengths, (images.shape[2], images.shape[3]))):
        names = np.array(OPERATIONS)[which[:, place]]
        moved = np.flatnonzero(np.isin(names, GEOMETRY))
        if len(moved):
            images[moved] = geometry.warp(images[moved], moves[moved], fill)
        for name in OPERATIONS[len(GEOMETRY) + 1 :]:
            rows = np.flatnonzero(names == name)
            if len(rows):
                images[rows] = _changed(images[rows], name, strengths[rows, place], means)
    return images


def sources(
    kind: str, which: Int64[np.ndarray, "b n"], strengths: Int64[np.ndarray, "b n"], size: tuple[int, int]
) -> list[Float64[np.ndarray, "b 2 3"]]:
    """Where the pixels come from, operation by operation, as :func:`dojang.data.geometry.matrices` has it."""
    height, width = size
    means = _RANDAUGMENT if kind == "randaugment" else _TRIVIAL
    # RandAugment counts in sides, TrivialAugment in pixels
    across, along = (width, height) if kind == "randaugment" else (1, 1)
    made = []
    for place in range(which.shape[1]):
        names, shares = np.array(OPERATIONS)[which[:, place]], strengths[:, place] / 30

        def of(name: str, full: float, names: np.ndarray = names, shares: np.ndarray = shares) -> np.ndarray:
            return np.where(names == name, shares * full, 0.0)

        made.append(
            geometry.matrices(
                of("rotate", means["rotate"]),
                # in whole pixels, as torchvision moves
                np.trunc(of("translate_x", means["translate"] * across)),
                np.trunc(of("translate_y", means["translate"] * along)),
                np.ones(len(names)),
                np.rad2deg(np.arctan(of("shear_x", means["shear"]))),
                np.rad2deg(np.arctan(of("shear_y", means["shear"]))),
            )
        )
    return made


def _changed(images: Images, name: str, strengths: np.ndarray, means: dict[str, float]) -> Images:
    size = np.abs(strengths)
    if name in _COLOUR:
        factors = 1 + strengths / 30 * means["colour"]
        return _COLOUR[name](images, torch.from_numpy(factors).to(images))
    if name == "posterize":
        bits = 8 - np.round(size * means["posterize"] / 30).astype(np.int64)
        return colour.posterize(images, torch.from_numpy(bits).to(images.device))
    if name == "solarize":
        return colour.solarize(images, torch.from_numpy(1 - size / 30).to(images))
    return colour.autocontrast(images) if name == "autocontrast" else colour.equalize(images)
