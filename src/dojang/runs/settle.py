"""What is added to weights when training has ended: their temperature, and what known pictures look like to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dojang import files, seeds
from dojang.data.loader import Loader
from dojang.data.prepare import Prepared
from dojang.evaluate import temperature
from dojang.evaluate.temperature import Temperature
from dojang.models import weights
from dojang.predict import familiar
from dojang.predict.familiar import Familiar
from dojang.predict.predictor import Predictor
from dojang.runs.recipe import Recipe

# training pictures that are looked at: more did not help (benchmarks/results/unknown.json), but each class wants some
_MOST, _EACH = 2000, 20
_BATCH = 250


def settle(paths: Sequence[Path], predictor: Predictor, prepared: Prepared, recipe: Recipe) -> Temperature:
    """Fit the temperature of weights, and look at known pictures with their network; both go into the weights' files.

    What is found depends on the network, the pictures and the recipe, not on what the file held before: done twice, as
    after a kill, it leaves the same bytes.

    Args:
        paths: Files of the same weights.
        predictor: Of these; it has what was found afterwards.
        prepared: The pictures of the run.

    Returns:
        The temperature, or why it stays 1.
    """
    predictor.temperature = 1.0
    manifest, rows = prepared.manifest, prepared.manifest.rows("val")
    seen, scores = _look(predictor, prepared, rows)
    if recipe.task.calibrate == "temperature":
        found = temperature.fit(manifest.targets[rows], scores.numpy())
    else:
        found = Temperature(1.0, len(rows), why=f"--calibrate {recipe.task.calibrate}")
    if not recipe.task.familiar:
        predictor.familiar = "they were trained with --no-familiar"
    elif not len(rows):
        predictor.familiar = "they were trained without a validation part"
    elif seen is None:
        predictor.familiar = "their network is not one of dojang's own, so its features are not known"
    else:
        some = _sample(manifest.targets, manifest.rows("train"), recipe.train.seed)
        learned, _ = _look(predictor, prepared, some)
        assert learned is not None  # as of the others
        predictor.familiar = familiar.fit(learned, torch.from_numpy(manifest.targets[some]), seen)
    predictor.temperature = found.value
    looks = predictor.familiar
    beside, why = (looks.tensors(), "") if isinstance(looks, Familiar) else ({}, looks)
    for path in paths:
        tensors, card, _ = weights.read(path)
        card = dataclasses.replace(card, temperature=found.value, extra=dict(card.extra) | {"familiar": why})
        files.write_bytes(path, weights.dump(tensors, card, beside))
    return found


def _look(predictor: Predictor, prepared: Prepared, rows: np.ndarray) -> tuple[Tensor | None, Tensor]:
    """Features, where they are known, and scores of some rows."""
    loader = Loader(prepared.store, rows, predictor.preprocess, batch_size=_BATCH)
    found = [predictor.look(pictures.pixels) for pictures in loader.batches()]
    scores = torch.cat([one.cpu() for _, one in found]) if found else torch.zeros(0, len(predictor.labels))
    seen = [one.cpu() for one, _ in found if one is not None]
    return torch.cat(seen) if seen else None, scores


def _sample(targets: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """Some rows, of all classes alike as far as they go, in the order of the store."""
    mixed = rows[seeds.permutation(seeds.key(seed, "familiar"), len(rows))]
    labels = targets[mixed]
    order = np.argsort(labels, kind="stable")
    # the how-manieth of its class each of them is
    turn = np.empty(len(mixed), np.int64)
    turn[order] = np.arange(len(mixed)) - np.searchsorted(labels[order], labels[order])
    most = max(_MOST, _EACH * len(np.unique(labels)))
    return np.sort(mixed[np.argsort(turn, kind="stable")[:most]])
