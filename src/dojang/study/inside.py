"""What happens inside the network of a run: its layers as they began and as they ended, on the same pictures."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dojang import seeds
from dojang.data import division
from dojang.data.loader import Loader
from dojang.data.manifest import Manifest, csv_line
from dojang.data.prepare import Prepared, prepare
from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError
from dojang.models import weights
from dojang.models.presets import PRESETS
from dojang.runs import folder as names
from dojang.runs import network, priming
from dojang.runs import recipe as recipes
from dojang.runs.carry import machine
from dojang.runs.opened import own_data, unchanged
from dojang.runs.recipe import Recipe
from dojang.runs.train import GIVEN
from dojang.study.layers import COLUMNS, Layer, finite, look
from dojang.tasks.classify import losses
from dojang.tasks.classify.task import Classify
from dojang.train.guard import Stop
from dojang.train.log import Silent
from dojang.train.precision import threads_given

#: pictures that are looked at: as many as this, or fewer large ones
PICTURES, _PIXELS = 256, 256 * 64 * 64


@dataclasses.dataclass(frozen=True)
class Inside:
    """The layers of a network, in the order of their use.

    Args:
        run: Its name.
        pictures: How many it was shown.
        before: Before its first step; none where that cannot be known.
        after: With its last weights; none where it was not trained.
    """

    run: str
    pictures: int
    before: tuple[Layer, ...] = ()
    after: tuple[Layer, ...] = ()

    @property
    def moments(self) -> list[tuple[str, tuple[Layer, ...]]]:
        """("before", its layers) and ("after", its layers), as far as they are known."""
        return [(when, found) for when, found in (("before", self.before), ("after", self.after)) if found]

    def fall(self, when: str) -> float | None:
        """How many times larger the gradient by the weights is in the last layer than in the first; None if unknown.

        In the thousands nothing is learned in front; where no gradient at all comes there it is infinite.

        Args:
            when: "before" or "after".
        """
        grads = [layer.weight_gradient for layer in dict(self.moments).get(when, ())]
        known = [one for one in grads if one is not None]
        if not known or not all(map(math.isfinite, known)):
            return None
        return known[-1] / known[0] if known[0] else math.inf

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        found: dict[str, Any] = {"run": self.run, "pictures": self.pictures}
        for when, layers in self.moments:
            found[when] = [layer.as_dict() for layer in layers]
            found[f"gradient_fall_{when}"] = finite(self.fall(when))
        return found

    def csv(self) -> str:
        """A line for each layer and moment, the names of the columns first."""
        lines = [csv_line(("when", "layer", "kind", "type", "units", *COLUMNS))]
        for when, layers in self.moments:
            for layer in layers:
                row = layer.as_dict()
                words = ("" if row[name] is None else f"{row[name]:.6g}" for name in COLUMNS)
                lines.append(csv_line((when, layer.name, layer.kind, layer.type, str(layer.units), *words)))
        return "".join(lines)

    def picture(self) -> bytes:
        """Spread, gradients and histograms by layer, as PNG bytes."""
        from dojang.study import inside_picture

        return inside_picture.draw(self)


def inside(run: str | Path, *, data: Any = None, model: nn.Module | None = None, pictures: int = PICTURES) -> Inside:
    """The layers of a run's network before its first step and with its last weights, on training pictures.

    What the network was before is built again from recipe and seed, with what it learned from pictures alone
    (``--init autoencoder``, the stem of sprint); the pictures are not augmented, and the loss is that of training.

    Args:
        run: A run folder.
        data: Where the pictures are now; None where the run says.  For a run on pairs: the same pairs.
        model: For a run on a module given in Python: a module as it was before training.
        pictures: At most; of more than 64 x 64 pixels fewer.

    Raises:
        ConfigError: C215 and C216 for a place without weights, C218 for data that has changed or is not given, C240
            where the module is needed.
    """
    folder = names.find(run)
    if not (folder / names.LAST).exists():
        # which says so, and what to name instead
        names.weights_of(folder)
    recipe, facts = recipes.load(folder / names.ARGS)
    if model is None and recipe.model.model.endswith(GIVEN):
        kind = recipe.model.model.removesuffix(GIVEN)
        raise ConfigError(
            "C240",
            f"{str(folder)!r} trained a {kind} given in Python; its code is not in the folder.",
            fix=f"inside({str(folder)!r}, model={kind}())",
        )
    own = own_data(facts["data"], data, recipe.data.data_root, fix="inside(run, data=pairs)")
    tensors, card, _ = weights.read(folder / names.LAST)
    whole = division.again(own, folder / names.SPLITS)
    preprocess = Preprocess.from_dict(card.preprocess)
    chosen = _chosen(whole, recipe, preprocess, pictures)
    # what learned from pictures before its first step learned from all of them
    every = recipe.model.init == "autoencoder" or _whitens(recipe)
    prepared = _prepared(whole if every else whole.keep(chosen), recipe, preprocess, folder)
    rows = chosen if every else prepared.manifest.rows("train")
    task = _task(whole, prepared, recipe)
    with machine(recipe.train):
        started = _started(model, task, recipe, prepared)
        ended = copy.deepcopy(started)
        weights.restore(ended, tensors)
        loader = Loader(prepared.store, rows, preprocess, batch_size=len(rows))
        batch = task.collate(next(iter(loader.batches())))

        def loss(network: nn.Module) -> Tensor:
            return task.loss(network, batch)[0]

        return Inside(folder.name, len(rows), look(started, loss), look(ended, loss))


def _chosen(whole: Manifest, recipe: Recipe, preprocess: Preprocess, most: int) -> np.ndarray:
    """Rows of the training part, drawn by the seed, in their order."""
    rows = whole.rows("train")
    most = max(2, min(most, _PIXELS // (preprocess.height * preprocess.width)))
    chosen: np.ndarray = np.sort(rows[seeds.permutation(seeds.key(recipe.train.seed, "inside"), len(rows))[:most]])
    return chosen


def _whitens(recipe: Recipe) -> bool:
    name = recipe.model.model
    return name in PRESETS and PRESETS[name].family == "sprint"


def _prepared(manifest: Manifest, recipe: Recipe, preprocess: Preprocess, folder: Path) -> Prepared:
    """The pictures, sure to be those that the run saw."""
    prepared = prepare(
        manifest,
        recipe.data,
        seed=recipe.train.seed,
        default_size=preprocess.height,
        threads=threads_given(recipe.train.threads),
        preprocess=preprocess,
        assign=False,
    )
    return unchanged(
        prepared, folder, fix="bring the data back; or inside(run, data=PLACE), where it is elsewhere now."
    )


def _task(whole: Manifest, prepared: Prepared, recipe: Recipe) -> Classify:
    balanced = None
    if recipe.task.class_weights == "balanced":
        balanced = losses.balanced(np.bincount(whole.targets[whole.rows("train")], minlength=len(whole.classes)))
    classes = len(whole.classes)
    return Classify(prepared.manifest.targets, classes, prepared.preprocess, recipe.task, torch.device("cpu"), balanced)


def _started(model: nn.Module | None, task: Classify, recipe: Recipe, prepared: Prepared) -> nn.Module:
    """The network as its first step found it."""
    if model is None:
        model = network.begun(recipe, prepared, Path("no weights yet"), Silent())
    model = copy.deepcopy(model)
    layout = torch.channels_last if recipe.train.channels_last else torch.contiguous_format
    model.to(memory_format=layout)
    priming.fit_stem(model, task, recipe, prepared)
    priming.pretrain(model, task, recipe, prepared, Stop())
    return model
