"""The network that a run begins with: fresh by its name and seed, or of weights that were trained before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dojang import seeds
from dojang.data.prepare import Prepared
from dojang.errors import ConfigError
from dojang.models import build, pretrained, weights
from dojang.runs import folder as names
from dojang.runs.recipe import Recipe
from dojang.train.log import Reporter


def begun(recipe: Recipe, prepared: Prepared, last: Path, reporter: Reporter) -> nn.Module:
    """The network of a recipe for the pictures at hand.

    Args:
        last: Where the run keeps its last weights, if it has any yet.
        reporter: Told what of trained weights was adapted.

    Raises:
        ConfigError: Those of the model; C204 for options that would make another network than that of trained weights.
    """
    if recipe.model.pretrained is not None:
        return _trained(recipe, recipe.model.pretrained, prepared, last, reporter)
    preprocess = prepared.preprocess
    options: Mapping[str, Any] = {k: v for k, v in vars(recipe.model).items() if k != "model"}
    model = build.build(
        recipe.model.model,
        in_channels=preprocess.channels,
        classes=len(prepared.manifest.classes),
        image_size=(preprocess.height, preprocess.width),
        seed=recipe.train.seed,
        options=options,
    )
    if (sentence := build.adaptation(model)) is not None and not last.exists():
        reporter.note(f"{sentence} (--stem full: as published)")
    return model


def source(
    model: str, given: str, *, download: bool = False, tell: Callable[[str], None] = lambda sentence: None
) -> Path:
    """The weights file that ``--pretrained`` means: the cache's, a file, or that of a run.

    Raises:
        ConfigError: C247 where there is none; C216 for a run without weights.
    """
    if given != "auto" and Path(given).is_dir():
        return names.weights_of(given)
    return pretrained.find(model, given, download=download, tell=tell)


def _trained(recipe: Recipe, given: str, prepared: Prepared, last: Path, reporter: Reporter) -> nn.Module:
    if last.exists():
        # resumed: everything comes with the state, also where those weights are gone
        architecture = weights.card_of(last).architecture
        assert architecture is not None  # only dojang's networks begin from weights
        return build.rebuild(architecture)
    model, preprocess = recipe.model, prepared.preprocess
    for name, value in vars(model).items():
        if value is not None and name not in ("model", "pretrained"):
            flag = "--" + name.replace("_", "-")
            said = f"{flag} would make another network than that of the weights."
            raise ConfigError("C204", said, fix=f"leave out {flag}.")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seeds.torch_seed(recipe.train.seed, "init"))
        found, card, notes = pretrained.adapted(
            source(model.model, given),
            in_channels=preprocess.channels,
            labels=prepared.manifest.classes,
            image_size=(preprocess.height, preprocess.width),
        )
    if (name := (card.architecture or {})["name"]) != model.model:
        raise ConfigError("C204", f"the weights are of {name}, not of {model.model}.", fix=f"--model {name}")
    had, now = tuple(card.preprocess.get(side) for side in ("height", "width")), (preprocess.height, preprocess.width)
    if had != now:
        said = f"the weights know pictures of {had[0]}x{had[1]}, these are {now[0]}x{now[1]}"
        notes.append(f"{said} (--imgsz {had[0]}: as they know them)")
    if bool(card.preprocess.get("permute_pixels")) != preprocess.permute_pixels:
        known, flag = ("in their places", "--no-") if preprocess.permute_pixels else ("in one fixed order", "--")
        notes.append(f"the weights know pixels {known}, these are not ({flag}permute-pixels: as they know them)")
    for sentence in notes:
        reporter.note(f"pretrained: {sentence}")
    return found
