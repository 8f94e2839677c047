"""What augmentation makes of some training pictures, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dojang import seeds
from dojang.data import split
from dojang.data.augment import Augment
from dojang.data.loader import Loader
from dojang.data.manifest import Manifest
from dojang.data.mixing import changed
from dojang.data.prepare import bad_pictures, prepare
from dojang.errors import DataError
from dojang.runs import recipe as recipes
from dojang.runs.recipe import Recipe


@dataclass(frozen=True)
class Preview:
    """Pictures before and after.

    Args:
        paths, labels: Of each.
        before: uint8 (n, h, w, c), as validation would see them.
        after: uint8 (n, epochs, h, w, c), as training sees them in its first epochs.
        recipe: What a policy stands for here.
        words: The same in a line.
    """

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    before: np.ndarray
    after: np.ndarray
    recipe: Recipe
    words: str


def preview(
    manifest: Manifest, layers: Sequence[Mapping[str, Any]], *, pictures: int = 6, epochs: int = 6, threads: int = 0
) -> Preview:
    """Some training pictures as the first epochs of a training would show them.

    Only these are read. They come up in one batch, so where pictures are mixed it is with each other.

    Args:
        manifest: From :func:`dojang.data.scan.find`.
        layers: Checked values, as of :func:`dojang.runs.recipe.resolve`.
        pictures: So many, of as many classes as there are.

    Raises:
        DataError: D101 where there is no training picture; D104 when one of them cannot be read; those of
            :func:`dojang.data.split.assign`.
    """
    recipe = recipes.resolve(layers)
    # policies go by the number of pictures that are learned from
    options = recipe.data
    rows = split.assign(manifest, val=options.val, test=options.test, seed=recipe.train.seed).rows("train")
    if len(rows) == 0:
        raise DataError("D101", f"{manifest.source.name!r} has no training pictures.", fix="give data to train on.")
    chosen = _spread(manifest, rows, pictures, recipe.train.seed)
    some = manifest.keep(chosen).replace(splits=("train",) * len(chosen))
    prepared = prepare(some, recipe.data, seed=recipe.train.seed, default_size=128, threads=threads, assign=False)
    if prepared.bad:
        raise bad_pictures(prepared.bad, len(chosen), "")
    p = prepared.preprocess
    recipe = recipes.resolve(layers, recipes.Circumstances(p.height, p.width, len(rows), "cpu"))
    if recipe.augment.flip is None:
        recipe = recipe.replace(flip=recipes.flip(recipe, p))
    augment, every = Augment.by(recipe.augment), np.arange(len(chosen))
    size = len(chosen)
    plain = Loader(prepared.store, every, p, batch_size=size).assemble(every, 0).pixels
    loader = Loader(prepared.store, every, p, batch_size=size, seed=recipe.train.seed, augment=augment)
    after = []
    for epoch in range(epochs):
        batch = loader.assemble(every, epoch)
        pixels = batch.pixels
        if batch.changes is not None:
            images, _ = changed(torch.from_numpy(pixels), batch.changes, p.mean)
            pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        after.append(pixels)
    labels = tuple(some.classes[label] for label in some.targets)
    policy = recipe.augment.augment
    mirrored = "" if augment.flip == "none" else f"flip {augment.flip}"
    padded = f"padding {augment.padding}" if augment.padding else ""
    words = ", ".join(filter(None, (mirrored, padded, augment.words()))) or "nothing is changed"
    return Preview(
        some.paths, labels, plain, np.stack(after, axis=1), recipe, f"{policy}: {words}" if policy else words
    )


def _spread(manifest: Manifest, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Some of the rows, in no order, of one class after the other."""
    mixed = rows[seeds.permutation(seeds.key(seed, "preview"), len(rows))]
    targets = manifest.targets[mixed]
    turn = np.zeros(len(mixed), np.int64)
    for label in np.unique(targets):
        turn[targets == label] = np.arange(int((targets == label).sum()))
    picked: np.ndarray = mixed[np.lexsort((targets, turn))[:count]]
    return picked
