"""Weights that were trained before, put into a network for other pictures: what fits is taken, the ends are adapted."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dojang import files
from dojang.data.fetch import File, fetch
from dojang.errors import ConfigError, TrainError
from dojang.models import convert, weights
from dojang.models.build import rebuild
from dojang.models.layers import ends


def place(model: str) -> Path:
    """Where converted weights of a model lie in the cache.

    >>> place("resnet18").name
    'resnet18.safetensors'
    """
    # a colon, as in timm:NAME, is no part of a file's name everywhere
    return files.cache_folder() / "weights" / f"{model.replace(':', '-')}.safetensors"


def official(model: str) -> tuple[str, File] | None:
    """Where torchvision's weights of a model lie, trained on ImageNet: a folder's address and the file, or None.

    The file's name ends with the first eight digits of its SHA-256.

    >>> official("resnet18")[1].name, official("alexnet-2012")
    ('resnet18-f37072fd.pth', None)
    """
    entry = convert.official(model)
    if entry is None:
        return None
    folder, _, name = entry.url.rpartition("/")
    # in MiB, rounded to a thousandth
    most = math.ceil((entry.meta["_file_size"] + 0.001) * 2**20)
    return folder + "/", File(name, most, sha256=name.rpartition("-")[2].partition(".")[0])


def find(
    model: str, given: str, *, download: bool = False, tell: Callable[[str], None] = lambda sentence: None
) -> Path:
    """The file that ``--pretrained`` means.

    Args:
        model: The network's name.
        given: "auto" for the cache's, or a path.
        download: Whether official weights may be fetched into the cache, and converted, where it has none.
        tell: Told what was fetched.

    Raises:
        ConfigError: C247 where there is none.
        DataError: D119 where it cannot be downloaded.
    """
    path = place(model) if given == "auto" else Path(given)
    if given != "auto" and path.suffix.lower() in (".pth", ".pt", ".th", ".bin"):
        named = model if model != "auto" else "NAME"
        raise ConfigError(
            "C247",
            f"{given!r} is a file of another tool, which is converted once.",
            fix=f"dojang convert {shlex.quote(given)} --model {named} --out {path.stem}.safetensors",
        )
    if path.is_file():
        return path
    known = official(model) if given == "auto" else None
    if known is None or not download:
        where = "in the cache" if given == "auto" else f"at {given!r}"
        way = f"--download ({known[1].size / 1e6:,.0f} MB from {known[0]}), " if known else ""
        raise ConfigError(
            "C247",
            f"there are no weights of {model!r} {where}.",
            context="Nothing is downloaded unasked.",
            fix=f"{way}dojang convert FILE.pth --model {model} (a file you have), or --pretrained FILE.safetensors",
        )
    address, file = known
    advice = f"dojang convert FILE.pth --model {model}, with {file.name} fetched elsewhere."
    fetch([file], [address], path.parent, advice=advice)
    convert.convert(path.parent / file.name, path, model=model)
    files.remove(path.parent / file.name)
    tell(f"downloaded {address}{file.name}, into {path}")
    return path


def adapted(
    path: str | os.PathLike[str], *, in_channels: int, labels: Sequence[str], image_size: tuple[int, int]
) -> tuple[nn.Module, weights.Card, list[str]]:
    """A network with trained weights for other pictures: channels and classes may differ, all between is as it was.

    A first layer for another number of channels gets the sum of its filters over the channels, shared out: a grey
    picture then gives what it gave as a grey picture in colour.  A head for other classes starts afresh, from torch's
    own generator.

    Args:
        path: Weights that dojang wrote, of one of its networks.
        in_channels, image_size: Of the pictures now.
        labels: Of their classes, in order.

    Returns:
        The network, the card of the weights, and what was adapted, a sentence each.

    Raises:
        ConfigError: C209 for a file that is not there, C240 for weights of a network of one's own, C204 where the
            network cannot take the size.
        SecurityError: As :func:`dojang.models.weights.load`.
    """
    tensors, card = weights.load(path)
    if card.architecture is None:
        raise ConfigError(
            "C240", f"{os.fsdecode(path)!r} holds weights of a network of somebody's own, not of dojang's."
        )
    arguments: dict[str, Any] = dict(card.architecture["arguments"])
    had = arguments["in_channels"], arguments["classes"], tuple(arguments["image_size"])
    arguments |= {"in_channels": in_channels, "classes": len(labels), "image_size": list(image_size)}
    net = rebuild({"name": card.architecture["name"], "arguments": arguments})
    fresh = net.state_dict()
    notes: list[str] = []
    first, head = ends(net)
    if had[0] != in_channels and tensors[first].ndim == 4:
        tensors[first] = spread(tensors[first], in_channels)
        notes.append(f"{first}: filters for {had[0]} channels summed and shared out to {in_channels}")
    if card.labels != tuple(labels):
        prefix = head.rpartition(".")[0] + "."
        same = sorted(card.labels) == sorted(labels)
        rows = [card.labels.index(label) for label in labels] if same else []
        for name in [name for name in fresh if name.startswith(prefix)]:
            tensors[name] = tensors[name][rows] if same else fresh[name]
        if same:
            notes.append(f"{head}: its classes were put into the order they have here")
        else:
            others = "" if had[1] != len(labels) else " others"
            notes.append(f"{head}: {had[1]:,} classes before, {len(labels):,}{others} now; it starts afresh")
    try:
        weights.restore(net, tensors)
    except TrainError as error:
        # dense layers behind a map of another size, or of pictures with other channels
        fix = (
            f"--imgsz {had[2][0]}, as it was trained." if had[2] != image_size else "another network, or other weights."
        )
        raise TrainError("T310", error.what, context=error.context, fix=fix) from None
    return net, card, notes


def spread(weight: Tensor, channels: int) -> Tensor:
    """Filters (d, c, h, w) for another number of input channels.

    >>> import torch
    >>> spread(torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1), 1).flatten().tolist()
    [6.0]
    """
    return (weight.sum(dim=1, keepdim=True) / channels).repeat(1, channels, *([1] * (weight.ndim - 2)))
