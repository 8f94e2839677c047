"""The recipe of a run: the options of all rooms together, resolved from layers, written to and read from args.yaml.

Layers, later ones winning: each option's default < the model family's < a recipe file < flags. Setting the optimizer
in a layer resets lr, momentum and weight decay from the layers below it to that optimizer's own table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dojang import recipe
from dojang.data import policies
from dojang.data.options import AugmentOptions, DataOptions
from dojang.errors import ConfigError
from dojang.models.options import ModelOptions
from dojang.models.presets import PRESETS, suggested
from dojang.runs.options import RunOptions
from dojang.tasks.classify.options import ClassifyOptions
from dojang.train.options import OPTIMIZER_DEFAULTS, TrainOptions

if TYPE_CHECKING:
    from dojang.data.preprocess import Preprocess

ROOMS = (ModelOptions, DataOptions, AugmentOptions, TrainOptions, ClassifyOptions, RunOptions)
OPTIONS = recipe.options_of(*ROOMS)
#: what args.yaml holds beside options
FACTS = ("format", "task", "data", "data_sha256", "segments")
#: what --pretrained changes in any family's recipe: the head first, then all layers, earlier ones less
TRANSFER: Mapping[str, Any] = {
    "epochs": 10,
    "batch_size": 32,
    "loss": "cross-entropy",
    "schedule": "cosine",
    "optimizer": "adamw",
    "lr": 1e-4,
    "weight_decay": 0.01,
    "warmup": 0.1,
    "head_epochs": 30,
    "early_lr": 0.1,
    "normalize": "weights",
}
_TUNED = ("lr", "momentum", "weight_decay")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Every option of a run, by room."""

    model: ModelOptions
    data: DataOptions
    augment: AugmentOptions
    train: TrainOptions
    task: ClassifyOptions
    run: RunOptions

    def values(self) -> dict[str, Any]:
        """All options by name, in the order of the rooms."""
        return recipe.merge(vars(getattr(self, field.name)) for field in dataclasses.fields(self))

    def replace(self, **changes: Any) -> Recipe:
        """The recipe with some options changed, whichever room they are in."""
        return _build(self.values() | changes)


@dataclasses.dataclass(frozen=True)
class Circumstances:
    """What a recipe depends on that is known only once the data is: size and number of pictures, kind of device."""

    height: int
    width: int
    pictures: int
    device: str


def resolve(layers: Sequence[Mapping[str, Any]], known: Circumstances | None = None) -> Recipe:
    """The recipe that layers of checked values make, lowest first.

    Args:
        known: Chooses the network where the layers say "auto", and its schedule; None where the data is not known yet.

    Raises:
        ConfigError: C210 and C204 for options that contradict each other.

    Example:
        >>> resolve([{"model": "cifar-vgg"}, {"optimizer": "sgd"}]).train.lr
        0.1
        >>> resolve([], Circumstances(32, 32, 50_000, "cpu")).train.batch_size
        1000
    """
    named = recipe.merge(layers).get("model", OPTIONS["model"].default)
    typed = layers[-1:]
    if named == "auto" and known:
        named = suggested(known.height, known.width)
        layers = [*layers, {"model": named}]
    family: dict[str, Any] = {}
    if named in PRESETS:
        preset = PRESETS[named]
        given = dict(preset.recipe)
        if known:
            given |= preset.plan(known.pictures, known.device)
        family = recipe.read(given, OPTIONS, f"preset {named}")
    below = [family]
    if recipe.merge(layers).get("pretrained") is not None:
        # what other libraries' networks have for a head is not known
        own = {} if named in PRESETS else {"head_epochs": 0}
        below.append(recipe.read(dict(TRANSFER) | own, OPTIONS, "the recipe of --pretrained"))
    values: dict[str, Any] = {name: entry.default for name, entry in OPTIONS.items()}
    for layer in (*below, *layers):
        if layer.get("optimizer", values["optimizer"]) != values["optimizer"]:
            values |= dict.fromkeys(_TUNED)
        if "epochs" in layer and "time" not in layer:
            values["time"] = None
        if known and layer.get("augment") is not None:
            # what is typed beside a policy wins over it
            values |= policies.values(layer["augment"], known.pictures, max(known.height, known.width))
        values |= layer
    if values["optimizer"] == "muon" and "early_lr" not in recipe.merge(layers):
        # its filters all have one rate
        values["early_lr"] = OPTIONS["early_lr"].default
    for name, default in zip(_TUNED, OPTIMIZER_DEFAULTS[values["optimizer"]], strict=True):
        if values[name] is None:
            values[name] = default
    # an args.yaml holds both, so only what was typed together is a contradiction
    if any(layer.get("time") is not None and "epochs" in layer for layer in typed):
        raise ConfigError("C210", "epochs and time are both given; training ends by one of them.", fix="--time 90s")
    if values["permute_pixels"] and values["progressive"]:
        raise ConfigError(
            "C204",
            f"--permute-pixels puts pixels in the order of one size, and --progressive {values['progressive']:g} shows "
            "smaller pictures at first.",
            context=f"{named} does so unless told otherwise." if "progressive" not in recipe.merge(layers) else "",
            fix="--progressive 0",
        )
    return _build(values)


def flip(recipe_: Recipe, preprocess: Preprocess) -> str:
    """How training pictures are mirrored where the recipe leaves it open."""
    name = recipe_.model.model
    sprint = name in PRESETS and PRESETS[name].family == "sprint"
    return policies.flip(preprocess.mode == "RGB", preprocess.height, sprint)


def read_layer(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Values from Python or the shell as a checked layer. Raises C201, C202."""
    return recipe.read(values, OPTIONS, where)


def read_file(path: str | Path) -> dict[str, Any]:
    """A recipe file, or the args.yaml of a run, as a checked layer.

    Raises:
        ConfigError: C221 when the file cannot be read; C201, C202, C207 with the line.
    """
    text = _text(path)
    known = OPTIONS | {name: _Fact(name) for name in FACTS}
    layer = recipe.load_yaml(text, known, str(path))
    return {name: value for name, value in layer.items() if name in OPTIONS}


def dump(recipe_: Recipe, facts: Mapping[str, Any]) -> str:
    """The text of args.yaml."""
    values = recipe_.values()
    if values["time"] is not None:
        # every digit, or the run could not be repeated
        values["time"] = f"{values['time']!r}s".replace(".0s", "s")
    return recipe.dump_yaml({**facts, **values})


def load(path: Path) -> tuple[Recipe, dict[str, Any]]:
    """What :func:`dump` wrote: the recipe and the facts beside it.

    Raises:
        ConfigError: C213 when a newer dojang wrote it, C214 when it is not a run's.
    """
    import yaml

    text = _text(path)
    try:
        raw = yaml.safe_load(text)
        # first of all: the entries of a newer one are not known
        if raw["format"] > 1:
            raise ConfigError("C213", f"{str(path)!r} was written by a newer dojang (format {raw['format']}).")
        facts = {name: raw[name] for name in FACTS}
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        raise ConfigError("C214", f"{str(path)!r} is not the args.yaml of a run.", fix="give a run folder.") from None
    values = {name: entry.default for name, entry in OPTIONS.items()} | read_file(path)
    return _build(values), facts


class _Fact(recipe.Option):
    """An entry of args.yaml that is no option; any value will do."""

    def __init__(self, name: str) -> None:
        super().__init__(name, object, (), None, {"aliases": ()})

    def read(self, value: Any, where: str) -> Any:
        return value


def _text(path: str | Path) -> str:
    from dojang import files

    try:
        return files.read_text(path)
    except OSError as error:
        raise ConfigError("C221", f"cannot read {str(path)!r}: {error.strerror}.") from None


def _build(values: Mapping[str, Any]) -> Recipe:
    return Recipe(*(recipe.build(room, values) for room in ROOMS))
