"""Weights that another tool wrote, made dojang's once: plain tensors, this network's names, and a card.

Nothing here is done unasked.  A file of PyTorch's own format is a pickle; it is read by torch's reader for tensors
alone, which runs none of its code, and what it gives is written as safetensors.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from dojang import files
from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError, SecurityError
from dojang.models import build, others, weights
from dojang.models.layers import ends
from dojang.models.presets import PRESETS

# what wrappers put in front of every name
_WRAPPERS = ("module.", "_orig_mod.", "model.")
# DenseNets of before 2017 have a point that names could not have later
_OLD_DENSE = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")


def convert(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    model: str,
    labels: Sequence[str] | None = None,
    imgsz: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write the weights of another tool as a file that dojang reads.

    Args:
        path: Tensors by name: ``.pth``, ``.pt``, ``.th`` (PyTorch) or safetensors.
        out: The file to write.
        model: Whose weights they are; its size, stem and number of classes follow from the file.
        labels: Names of the classes, in their order; None takes ImageNet's for 1,000 of them.
        imgsz: Side of the pictures; None takes that which the model was made for.
        mean, std: Of each channel's levels from 0 to 1, which pictures are normalised by; None takes those that the
            published weights expect, ImageNet's for nearly all.
        options: Of the model, where they differ from the preset.

    Returns:
        What was renamed, left out or added, a sentence each.

    Raises:
        ConfigError: C209 for a file that is not there, C246 for labels that do not fit, C203 and C204 of the model.
        SecurityError: X509 for a file that holds more than tensors, or cannot be read.
        TrainError: T310 where names or shapes differ, with three of them.
    """
    state = read_state(path)
    home = _home(model)
    side = imgsz or home.side
    net, tensors, notes = fit(state, model, side, options or {})
    architecture = build.architecture(net)
    assert architecture is not None  # as it was built
    channels = architecture["arguments"]["in_channels"]
    if channels not in (1, 3):
        raise ConfigError("C204", f"these weights are for {channels:,} channels; pictures have 1 or 3.")
    named = _labels(labels, architecture["arguments"]["classes"])
    mean, std = mean or home.mean, std or home.std
    if channels == 1:
        mean, std = ((sum(one) / len(one),) for one in (mean, std))
    preprocess = Preprocess(
        mode="RGB" if channels == 3 else "L",
        height=side,
        width=side,
        resize=home.resize if side > 64 else 1.0,
        mean=tuple(mean),
        std=tuple(std),
        interpolation=home.interpolation,
    )
    levels = ", ".join(f"{one:.3f}" for one in preprocess.mean), ", ".join(f"{one:.3f}" for one in preprocess.std)
    notes.append(f"pictures of {side} x {side}, less {levels[0]}, over {levels[1]} (--imgsz, --mean, --std)")
    card = weights.Card(
        architecture=architecture,
        labels=named,
        preprocess=preprocess.as_dict(),
        extra={"converted_from": os.path.basename(os.fsdecode(path)), "sha256": files.sha256_of(path)},
    )
    files.write_bytes(out, weights.dump(tensors, card))
    return notes


def _home(model: str) -> others.Home:
    """The pictures that a model's published weights know."""
    if others.is_other(model):
        return others.home(model)
    preset = PRESETS[model]
    # torchvision's are the same networks
    return others.home(f"torchvision:{preset.name}") if official(preset.name) else others.Home(preset.home[0])


def official(model: str) -> Any | None:
    """torchvision's weights of a network of that name, trained on ImageNet; None where it has none.

    They are the first published version: later ones score higher on ImageNet, and are made by longer recipes.
    """
    from torchvision import models  # type: ignore[import-untyped]

    # names are torchvision's where the network is
    if model not in PRESETS or PRESETS[model].home[0] != 224 or model not in models.list_models(module=models):
        return None
    return models.get_model_weights(model).IMAGENET1K_V1


def fit(
    state: Mapping[str, Tensor], model: str, side: int, options: Mapping[str, Any]
) -> tuple[nn.Module, dict[str, Tensor], list[str]]:
    """The network that tensors are for, the tensors under its names, and what was done to them.

    Raises:
        TrainError: T310 where names or shapes differ, with three of them.
    """
    notes: list[str] = []
    net = build.shaped(model, in_channels=3, classes=1000, image_size=(side, side), options=options)
    tensors = _renamed(state, net, notes)
    first, last = (tensors.get(name) for name in ends(net))
    if first is not None and last is not None and first.ndim > 1 and last.ndim > 1:
        # a dense first layer takes every number of the picture
        given = first.shape[1] if first.ndim == 4 else max(1, first.shape[1] // side**2)
        facts = {"in_channels": int(given), "classes": int(last.shape[0])}
        net = build.shaped(model, **facts, image_size=(side, side), options=options)
    wanted = net.state_dict()
    for name in wanted:
        if name not in tensors and name.endswith("num_batches_tracked"):
            tensors[name] = torch.zeros((), dtype=torch.int64)
    if model.startswith("googlenet") or model in ("torchvision:googlenet", "torchvision:inception_v3"):
        extra = [name for name in tensors if name.startswith(("aux1.", "aux2.", "AuxLogits."))]
        for name in extra:
            del tensors[name]
        if extra:
            notes.append(f"the auxiliary heads ({len(extra)} tensors) are left out: they serve training only")
    # the network has shapes and no memory: its tensors are replaced by those of the file
    weights.fitting({name: tuple(tensor.shape) for name, tensor in wanted.items()}, tensors)
    ready = {name: tensors[name].to(wanted[name].dtype) for name in wanted}
    return net, ready, notes


def _renamed(state: Mapping[str, Tensor], net: nn.Module, notes: list[str]) -> dict[str, Tensor]:
    tensors = dict(state)
    for wrapper in _WRAPPERS:
        if tensors and all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
            notes.append(f"{wrapper!r} is left out of every name")
    wanted = set(net.state_dict())
    for old, new in (("linear.", "fc."), ("head.", "fc."), ("fc.", "classifier.")):
        have = {name for name in tensors if name.startswith(old)}
        if have and not have & wanted and {name.replace(old, new, 1) for name in have} <= wanted - set(tensors):
            tensors = {name.replace(old, new, 1) if name in have else name: t for name, t in tensors.items()}
            notes.append(f"{old}* is {new}* here")
    old_names = [name for name in tensors if _OLD_DENSE.search(name)]
    if old_names:
        tensors = {_OLD_DENSE.sub(r"\1\2", name): tensor for name, tensor in tensors.items()}
        notes.append(f"{len(old_names)} names of an older form are written as they are today")
    return tensors


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a file by name: of a state dict, or of the one inside a checkpoint.

    Raises:
        ConfigError: C209 for a file that is not there.
        SecurityError: X509 for a file that holds more than tensors and plain values, or cannot be read.
    """
    name = os.fsdecode(path)
    try:
        with open(name, "rb") as file:
            safe = file.read(9)[8:9] == b"{"
    except OSError as error:
        raise ConfigError("C209", f"the weights {name!r} cannot be opened: {error.strerror}.") from None
    try:
        found: Any = (
            safetensors.torch.load(Path(name).read_bytes())
            if safe
            else torch.load(name, map_location="cpu", weights_only=True)
        )
    # whatever a reader meets in a file that somebody made to harm it
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise SecurityError(
            "X509",
            f"{name!r} cannot be read as tensors by name: {reason}",
            context="Only tensors and plain values are read: a whole model in a pickle runs code when it is loaded.",
            fix="where it was made: torch.save(model.state_dict(), FILE), or safetensors.torch.save_file.",
        ) from None
    for key in ("state_dict", "model_state_dict", "model", "ema"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if isinstance(found, dict):
        # what dojang keeps with its weights is no part of the network
        found = {key: value for key, value in found.items() if not str(key).startswith(weights.BESIDE)}
    tensors = (
        {key: value for key, value in found.items() if isinstance(key, str) and isinstance(value, Tensor)}
        if isinstance(found, dict)
        else {}
    )
    if not tensors:
        raise SecurityError(
            "X509",
            f"{name!r} holds no tensors by name.",
            fix="where it was made: torch.save(model.state_dict(), FILE), or safetensors.torch.save_file.",
        )
    return tensors


def _labels(labels: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """Names of the classes, all different."""
    if labels is None and classes == 1000:
        return imagenet()
    if labels is None:
        raise ConfigError(
            "C246",
            f"these weights are for {classes:,} classes, and do not say what they are called.",
            fix="--labels FILE (a name a line, in the order of the scores), or --labels cifar10.",
        )
    if len(labels) != classes or len(set(labels)) != classes:
        twice = next((label for label in labels if list(labels).count(label) > 1), None)
        said = f"{twice!r} stands twice" if twice is not None else f"there are {len(labels):,} names"
        raise ConfigError("C246", f"the weights are for {classes:,} classes, and of the labels {said}.")
    return tuple(labels)


def imagenet() -> tuple[str, ...]:
    """The names of ImageNet's 1,000 classes as torchvision has them; where two are called the same, with numbers."""
    from torchvision.models import ResNet18_Weights  # type: ignore[import-untyped]

    names: list[str] = ResNet18_Weights.DEFAULT.meta["categories"]
    return tuple(f"{name} ({number})" if names.count(name) > 1 else name for number, name in enumerate(names))
