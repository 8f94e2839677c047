"""What a network learns from pictures alone, before its first step: the filters of a stem, layers as autoencoders."""

from __future__ import annotations

from torch import Tensor, nn

from dojang import seeds
from dojang.data.loader import Loader
from dojang.data.prepare import Prepared
from dojang.runs.recipe import Recipe
from dojang.train import autoencoder
from dojang.train.autoencoder import Reconstruction
from dojang.train.guard import Stop
from dojang.train.task import Task


def sample(task: Task, recipe: Recipe, prepared: Prepared, most: int) -> Tensor:
    """Some training pictures as the network sees them, in the order of the first epoch."""
    rows = prepared.manifest.rows("train")
    order = seeds.permutation(seeds.key(recipe.train.seed, "order", 0), len(rows))
    loader = Loader(prepared.store, rows[order[:most]], prepared.preprocess, batch_size=most)
    images: Tensor = task.collate(next(iter(loader.batches()))).images
    return images


def fit_stem(model: nn.Module, task: Task, recipe: Recipe, prepared: Prepared) -> bool:
    """Let a network that wants to see the data first see it; says whether it did."""
    fit = getattr(model, "fit_stem", None)
    # all layers of trained weights know each other
    if fit is None or recipe.model.pretrained is not None:
        return False
    p = prepared.preprocess
    fit(sample(task, recipe, prepared, max(1, min(5000, 5_120_000 // (p.height * p.width)))))
    return True


def pretrain(
    model: nn.Module, task: Task, recipe: Recipe, prepared: Prepared, stop: Stop, seconds: float | None = None
) -> Reconstruction | None:
    """Train layers as autoencoders, where the recipe says so.

    Args:
        seconds: After which no step begins; None for all of them.

    Raises:
        ConfigError: C204 for a network that has no such layers.
        Stopped: When asked to; it has to be begun anew then.
    """
    if recipe.model.init != "autoencoder":
        return None
    rows = prepared.manifest.rows("train")
    rows = rows[seeds.permutation(seeds.key(recipe.train.seed, "autoencoder"), len(rows))]
    size = min(autoencoder.PICTURES, recipe.train.batch_size)
    loader = Loader(prepared.store, rows, prepared.preprocess, batch_size=size, drop_single=True)
    return autoencoder.pretrain(task, model, loader, recipe.train.seed, stop, seconds)
