"""From a name to a network, and from a network to the few values that build it again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from dojang import recipe, seeds
from dojang.errors import ConfigError, listing
from dojang.models import others, own
from dojang.models.alexnet import AlexNet
from dojang.models.cnn import CNN
from dojang.models.densenet import DenseNet
from dojang.models.googlenet import GoogLeNet
from dojang.models.init import initialise
from dojang.models.layers import Network
from dojang.models.mlp import MLP
from dojang.models.options import ModelOptions
from dojang.models.presets import PRESETS, suggested
from dojang.models.resnet import ResNet
from dojang.models.sprint import Sprint
from dojang.models.squeezenet import SqueezeNet
from dojang.models.vgg import VGG
from dojang.registry import Registry

MODELS: Registry[type[Network]] = Registry("model", "C203")
"""The class behind every preset."""
_FAMILIES: dict[str, type[Network]] = {
    "mlp": MLP,
    "cnn": CNN,
    "sprint": Sprint,
    "alexnet": AlexNet,
    "vgg": VGG,
    "googlenet": GoogLeNet,
    "resnet": ResNet,
    "densenet": DenseNet,
    "squeezenet": SqueezeNet,
}
for _name in PRESETS:
    MODELS.add(_name, _FAMILIES[PRESETS[_name].family])

_OPTIONS = recipe.options_of(ModelOptions)
_MOST_PARAMETERS = 2_000_000_000


def build(
    name: str,
    *,
    in_channels: int,
    classes: int,
    image_size: tuple[int, int],
    seed: int,
    options: Mapping[str, Any] | ModelOptions | None = None,
) -> nn.Module:
    """A fresh network, on the CPU; the same seed gives the same bits, and torch's own generator is left as it was.

    Args:
        name: A preset, "auto" for the one that suits the size, a class of one's own as ``FILE.py:CLASS``, or a network
            of another library as ``timm:NAME`` or ``torchvision:NAME``.
        in_channels: Of the pictures: 1 or 3.
        classes: How many scores it gives.
        image_size: Height and width.
        seed: Of the run; initialisation draws from its own part of it.
        options: Fields of :class:`ModelOptions` that differ from the preset; None means "as the preset says".

    Raises:
        ConfigError: C203 for an unknown name, C201 and C202 for unusable options, C204 for values that do not fit
            together (a map that vanishes, say), C208 for a class of one's own that cannot be used.

    Example:
        >>> net = build("mnist-cnn", in_channels=1, classes=10, image_size=(28, 28), seed=0)
        >>> sum(p.numel() for p in net.parameters())
        119530
    """
    name = suggested(*image_size) if name == "auto" else name
    changes = _changes(options)
    init = changes.pop("init", None)
    facts: dict[str, Any] = {"in_channels": in_channels, "classes": classes, "image_size": tuple(image_size)}
    # the global generator is put back afterwards, and the GPUs' are not touched at all
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seeds.torch_seed(seed, "init"))
        if own.is_own(name):
            model = own.construct(name, facts, changes)
        elif others.is_other(name):
            for key in changes:
                raise ConfigError(
                    "C204", f"{key} does not apply to {name}.", fix=f"leave out --{key.replace('_', '-')}."
                )
            model = others.construct(name, facts)
        else:
            model = _construct(name, facts | _arguments(name, changes))
            init = init or PRESETS[name].init
        initialise(model, init or "default")
    return model


def shaped(
    name: str,
    *,
    in_channels: int,
    classes: int,
    image_size: tuple[int, int],
    options: Mapping[str, Any] | ModelOptions | None = None,
) -> nn.Module:
    """The same network without memory for its weights (on torch's "meta" device): for shapes and numbers, at once.

    Raises:
        ConfigError: As :func:`build`; C203 for a class of one's own, which may need values.

    Example:
        >>> net = shaped("resnet18", in_channels=3, classes=1000, image_size=(224, 224))
        >>> sum(p.numel() for p in net.parameters())
        11689512
    """
    name = suggested(*image_size) if name == "auto" else name
    changes = _changes(options)
    changes.pop("init", None)
    facts: dict[str, Any] = {"in_channels": in_channels, "classes": classes, "image_size": tuple(image_size)}
    if others.is_other(name):
        try:
            with torch.device("meta"):
                return others.construct(name, facts)
        except ConfigError as error:
            if error.code != "C204":
                raise
        # some compute with their weights while they are built
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            return others.construct(name, facts)
    with torch.device("meta"):
        model = MODELS[name].from_arguments(facts | _arguments(name, changes))
    model.preset = name
    return model


def adaptation(model: nn.Module) -> str | None:
    """How a network differs from the published one because the pictures are small; None where it does not.

    Example:
        >>> adaptation(build("vgg11", in_channels=1, classes=10, image_size=(28, 28), seed=0))
        'vgg11 for small pictures: as many poolings as the picture bears, hidden layers of 512 in place of 4,096'
    """
    if not isinstance(model, Network) or not model.SMALL or model.config.stem != "small":
        return None
    # some were published for small pictures
    if PRESETS[model.preset].arguments.get("stem") == "small":
        return None
    return f"{model.preset} for small pictures: {model.SMALL}"


def architecture(model: nn.Module) -> dict[str, Any] | None:
    """The name and arguments that build the same network again, as values that JSON has; None where there are none.

    A network of one's own has none, and neither has a preset whose layers were changed after it was built.

    Example:
        >>> record = architecture(build("mlp", in_channels=1, classes=10, image_size=(8, 8), seed=0))
        >>> record["name"], record["arguments"]["hidden_dims"]
        ('mlp', [128])
    """
    if (other := others.record(model)) is not None:
        return other
    if type(model) not in {MODELS[name] for name in MODELS} or not isinstance(model, Network):
        return None
    record: dict[str, Any] = {"name": model.preset, "arguments": model.arguments()}
    with torch.device("meta"):
        same = MODELS[model.preset].from_arguments(record["arguments"])
    return record if repr(same) == repr(model) else None


def rebuild(architecture: Mapping[str, Any]) -> nn.Module:
    """The network that :func:`architecture` described, with weights that are still to be loaded.

    Raises:
        ConfigError: C203 for a model that this dojang does not know, C204 for arguments that cannot be used.

    Example:
        >>> net = build("mlp", in_channels=1, classes=10, image_size=(8, 8), seed=0)
        >>> repr(rebuild(architecture(net))) == repr(net)
        True
    """
    name: Any = architecture.get("name")
    arguments: Any = architecture.get("arguments")
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        raise ConfigError("C204", f"an architecture has a name and arguments; this one has {listing(architecture)}.")
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        if others.is_other(name):
            if set(arguments) != {"in_channels", "classes", "image_size"}:
                raise ConfigError(
                    "C204", f"{name} has the arguments in_channels, classes, image_size, not {listing(arguments)}."
                )
            return others.construct(name, arguments)
        return _construct(name, arguments)


def _changes(options: Mapping[str, Any] | ModelOptions | None) -> dict[str, Any]:
    """What the user wants otherwise than the preset."""
    given = dataclasses.asdict(options) if isinstance(options, ModelOptions) else dict(options or {})
    values = recipe.read(given, _OPTIONS, "the model's options")
    return {key: value for key, value in values.items() if value is not None and key != "model"}


def _arguments(name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The preset's arguments with the user's changes."""
    preset = PRESETS[name]
    fields = {field.name for field in dataclasses.fields(MODELS[name].Config)}
    for key in changes:
        if key not in fields:
            raise ConfigError(
                "C204",
                f"{key} does not apply to model {name!r}"
                + (", which has no convolutions." if preset.family == "mlp" else ", whose form is fixed."),
                fix=f"leave out --{key.replace('_', '-')}, or --model cnn",
            )
    arguments = {**preset.arguments, **changes}
    if "dropout" in changes and "dropout_in" in preset.arguments:
        arguments["dropout_in"] = changes["dropout"]
    return arguments


def _construct(name: str, arguments: Mapping[str, Any]) -> Network:
    """The network, after a rehearsal without memory: numbers from a file must not be able to fill the machine."""
    kind = MODELS[name]
    try:
        with torch.device("meta"):
            size = sum(parameter.numel() for parameter in kind.from_arguments(arguments).parameters())
    except RuntimeError:  # torch's sizes are 64-bit
        size = _MOST_PARAMETERS + 1
    if size > _MOST_PARAMETERS:
        raise ConfigError(
            "C204",
            f"model {name!r} with these arguments would have more than {_MOST_PARAMETERS:,} parameters.",
            fix="smaller --conv-dims and --hidden-dims",
        )
    model = kind.from_arguments(arguments)
    model.preset = name
    return model
