"""What normalisation does to the training pictures: measured, and seen in pictures and in two of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from dojang import seeds
from dojang.data import split
from dojang.data.manifest import Manifest
from dojang.data.options import DataOptions
from dojang.data.permutation import permuted
from dojang.data.prepare import Prepared, bad_pictures, prepare
from dojang.data.whiten import Whitening, fit
from dojang.errors import ConfigError, many

STAGES = ("original", "zero-centred", "scaled", "whitened")
# pictures that are whitened, the sides to which they are made small, gray and colour, and what is added to variances
_PICTURES, _GRAY_SIDE, _COLOUR_SIDE, EPSILON = 2000, 28, 24, 1e-2
# an array of so many features by as many takes half a minute
_MOST_FEATURES = 3072
_DOTS, _EXAMPLES, _VECTORS = 400, 6, 16


@dataclass(frozen=True)
class Stages:
    """What came of it; levels are from 0 to 1.

    Args:
        manifest: The training part.
        height, width: In pixels, of the pictures as a network sees them.
        mean, deviation: Of each channel, over all pixels of the training part.
        mean_picture: float64 (h, w, c), of the training part.
        examples: Their names, and uint8 (n, side, side, c).
        shape: Height, width and channels of the pictures that were whitened.
        whitening: Measured on ``pictures`` of them.
        permuted: The same examples as they are, and with their pixels in the one fixed order in which the network is
            shown them, uint8 (2, n, height, width, c); None where every pixel stays in its place.
        pixels: (row, column, channel) of the two numbers that are drawn.
        dots: The two numbers of some pictures in each stage, float64 (n, 2).
        notes: How it was done.
    """

    manifest: Manifest
    height: int
    width: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    mean_picture: np.ndarray
    names: tuple[str, ...]
    examples: np.ndarray
    shape: tuple[int, int, int]
    pictures: int
    whitening: Whitening
    pixels: tuple[tuple[int, int, int], tuple[int, int, int]]
    dots: dict[str, np.ndarray]
    pair: Whitening
    notes: tuple[str, ...]
    permuted: np.ndarray | None = None

    def stage(self, name: str) -> np.ndarray:
        """The examples in a stage, float64 (n, h, w, c): every number treated for itself, or all together."""
        x = self.examples.reshape(len(self.examples), -1) / 255
        white = self.whitening
        how = {"zero-centred": white.centred, "scaled": white.scaled, "whitened": white.zca}
        return (how[name](x) if name in how else x).reshape(self.examples.shape)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        values = self.whitening.values
        return {
            "data": self.manifest.source.name,
            "training_pictures": len(self.manifest),
            "height": self.height,
            "width": self.width,
            "channels": len(self.mean),
            "mean": list(self.mean),
            "deviation": list(self.deviation),
            "whitening": {
                "pictures": self.pictures,
                "height": self.shape[0],
                "width": self.shape[1],
                "features": int(np.prod(self.shape)),
                "rank": len(values),
                "epsilon": self.whitening.epsilon,
                "eigenvalues": values[:_VECTORS].tolist(),
                "share": (np.cumsum(values)[:_VECTORS] / self.whitening.total).tolist(),
            },
            "two_pixels": {
                "pixels": [list(pixel) for pixel in self.pixels],
                "covariance": {name: np.cov(dots, rowvar=False).tolist() for name, dots in self.dots.items()},
            },
            "notes": list(self.notes),
        } | ({} if self.permuted is None else {"permute_pixels": True})

    def lines(self) -> list[str]:
        """For a terminal of 80 columns."""
        kind = "gray" if len(self.mean) == 1 else "RGB"
        size = f"{self.height} x {self.width}, {kind}"
        said = [*self.notes, f"training part  {many(len(self.manifest), 'picture')}, {size}"]
        for words, measured in (("mean", self.mean), ("deviation", self.deviation)):
            numbers = " ".join(f"{value:.4f}" for value in measured)
            levels = " ".join(f"{255 * value:.1f}" for value in measured)
            said.append(f"{words:14} {numbers}  (of 255: {levels})")
        values = self.whitening.values
        need = min(int(np.searchsorted(np.cumsum(values), 0.9 * self.whitening.total)) + 1, len(values))
        height, width, channels = self.shape
        said.append(
            f"{'whitened on':14} {many(self.pictures, 'picture')}, {height} x {width} x {channels} = "
            f"{height * width * channels:,} numbers"
        )
        said.append(f"{'':14} 90 % of their variance lies in {need} of {len(values):,} directions")
        if self.permuted is not None:
            said.append(f"{'pixels':14} in one fixed order, the same for all pictures")
        return said


def stages(
    manifest: Manifest,
    options: DataOptions,
    *,
    seed: int = 0,
    threads: int = 0,
    pictures: int | None = None,
    side: int | None = None,
    tick: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Stages:
    """Measure the training part, and nothing else.

    Args:
        manifest: Data that brings no splits is divided first, as training divides it; the training part that data
            brings is taken whole, before anything is held out of it for validation.
        options: As for training; the size at which pictures are seen is chosen as there.
        seed: Of the division, and of the choice of pictures.
        pictures: That are whitened; None for 2,000, or all.
        side: Their side; None for 28 in gray and 24 in colour, or their own if that is smaller.

    Raises:
        ConfigError: C202 for a side of too many numbers, or too few pictures.
        DataError: D104 where pictures cannot be read; those of :func:`dojang.data.split.assign`.
    """
    notes: list[str] = []
    if "train" not in manifest.splits:
        before = len(manifest.notes)
        manifest = split.assign(manifest, val=options.val, test=options.test, seed=seed)
        notes += manifest.notes[before:]
    part = manifest.keep(manifest.rows("train"))
    prepared = prepare(part, options, seed=seed, default_size=128, threads=threads, assign=False, tick=tick)
    if prepared.bad and options.bad == "stop":
        raise bad_pictures(prepared.bad, len(part), "")
    if prepared.bad:
        notes.append(f"left out {many(len(prepared.bad), 'picture')} that cannot be read")
    seen = prepared.preprocess
    small = min(_GRAY_SIDE if seen.channels == 1 else _COLOUR_SIDE, seen.height, seen.width) if side is None else side
    shape = (small, small, seen.channels)
    count = min(_PICTURES if pictures is None else pictures, len(prepared.store))
    _check(shape, count, len(prepared.store))
    order = seeds.permutation(seeds.key(seed, "show", "whiten"), len(prepared.store))
    chosen = np.sort(order[:count])
    levels = np.stack([_small(_cut(prepared, row), small) for row in chosen.tolist()])
    x = levels.reshape(count, -1) / 255.0
    pixels = _two(x, shape)
    columns = [int(np.ravel_multi_index(pixel, shape)) for pixel in pixels]
    pair = fit(x[:, columns])
    two = x[:, columns][:_DOTS] if count <= _DOTS else x[order[:count].argsort()[:_DOTS]][:, columns]
    examples = _one_a_class(prepared.manifest, chosen)
    return Stages(
        manifest=prepared.manifest,
        height=seen.height,
        width=seen.width,
        mean=seen.mean,
        deviation=seen.std,
        mean_picture=_mean_picture(prepared),
        names=tuple(prepared.manifest.classes[prepared.manifest.labels[chosen[i]][0]] for i in examples),
        examples=levels[examples],
        shape=shape,
        pictures=count,
        whitening=fit(x, EPSILON),
        pixels=pixels,
        dots=dict(zip(STAGES, (two, pair.centred(two), pair.scaled(two), _both(pair.pca(two))), strict=True)),
        pair=pair,
        notes=tuple(notes),
        permuted=_permuted(prepared, chosen[examples]) if seen.permute_pixels else None,
    )


def _check(shape: tuple[int, int, int], count: int, there: int) -> None:
    features = int(np.prod(shape))
    if not (shape[0] >= 2 and features <= _MOST_FEATURES):
        most = int((_MOST_FEATURES / shape[2]) ** 0.5)
        raise ConfigError(
            "C202",
            f"--side {shape[0]} makes {features:,} numbers a picture; from 2 x 2 pixels to {_MOST_FEATURES:,} numbers "
            "can be whitened.",
            fix=f"--side {most}",
        )
    if count < 2:
        raise ConfigError(
            "C202", f"{many(count, 'picture')} of {there:,} cannot be whitened; two or more can.", fix="--pictures 2000"
        )


def _cut(prepared: Prepared, row: int) -> np.ndarray:
    """A picture as the network sees it, uint8 (h, w, c)."""
    picture, seen = prepared.store.picture(row), prepared.preprocess
    top, left = seen.centre(*picture.shape[:2])
    return picture[top : top + seen.height, left : left + seen.width]


def _permuted(prepared: Prepared, rows: np.ndarray) -> np.ndarray:
    """Some pictures, and the same with their pixels in the one fixed order, uint8 (2, n, h, w, c)."""
    whole = np.stack([_cut(prepared, row) for row in rows.tolist()])
    return np.stack([whole, permuted(torch.from_numpy(whole)).numpy()])


def _small(picture: np.ndarray, side: int) -> np.ndarray:
    if picture.shape[:2] == (side, side):
        return picture
    image = Image.fromarray(np.ascontiguousarray(picture[:, :, 0] if picture.shape[2] == 1 else picture))
    return np.asarray(image.resize((side, side), Image.Resampling.BOX)).reshape(side, side, -1)


def _mean_picture(prepared: Prepared) -> np.ndarray:
    """Sums of whole numbers, divided once."""
    seen = prepared.preprocess
    total = np.zeros((seen.height, seen.width, seen.channels), np.int64)
    for row in range(len(prepared.store)):
        total += _cut(prepared, row)
    return total / (255 * len(prepared.store))


def _two(x: np.ndarray, shape: tuple[int, int, int]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The pixel that varies most, and its neighbour on the right; of a colour picture, in green."""
    channel = shape[2] // 2
    spread = x.std(axis=0).reshape(shape)[:, :-1, channel]
    row, column = divmod(int(spread.argmax()), shape[1] - 1)
    return (row, column, channel), (row, column + 1, channel)


def _both(white: np.ndarray) -> np.ndarray:
    """Two columns, also where one of the directions, or both, has no variance."""
    return np.pad(white, ((0, 0), (0, 2 - white.shape[1])))


def _one_a_class(manifest: Manifest, chosen: np.ndarray) -> list[int]:
    """Places in ``chosen``: the first of each class, until there are enough, then others."""
    targets = manifest.targets[chosen]
    firsts = [int(np.flatnonzero(targets == label)[0]) for label in np.unique(targets)]
    others = [i for i in range(len(chosen)) if i not in set(firsts)]
    return (firsts + others)[:_EXAMPLES]
