"""The arithmetic behind a layer's numbers, written out with the numbers of that layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn

from dojang.errors import ConfigError, did_you_mean, listing
from dojang.models.maxout import PIECES, Maxout
from dojang.models.summary import Row, summarise


def explain(model: nn.Module, image_size: tuple[int, int], in_channels: int, layer: str) -> str:
    """How each number of a layer's row in the summary comes about.

    Args:
        model: Any nn.Module that takes a batch of pictures.
        image_size: Height and width.
        in_channels: Of the pictures.
        layer: Its name or path, as the summary has them.

    Raises:
        ConfigError: C203 for a layer that is not there, C208 when the network cannot take such a picture.

    Example:
        >>> print(explain(nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3)), (224, 224), 3, "conv1"))
        conv1: Conv2d(3, 64, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3))
        output      (224 + 2 x 3 - 7) / 2 + 1 = 112 down and across (rounded down)
                    64 filters give 64 channels: 64 x 112 x 112 = 802,816 numbers
        parameters  64 filters x (7 x 7 x 3) + 64 biases = 9,472
        mult-adds   64 x 7 x 7 x 3 = 9,408 at each of 112 x 112 positions: 118,013,952
        memory      64 x 112 x 112 x 4 bytes = 3,136 KiB
        sees        1 + (7 - 1) x 1 = 7 pixels down and across
        stride      1 x 2 = 2 pixels down and across
    """
    rows = summarise(model, image_size, in_channels).rows
    row = next((row for row in rows if layer in (row.name, row.path)), None)
    if row is None:
        names = [row.name for row in rows]
        raise ConfigError(
            "C203",
            f"there is no layer {layer!r}.{did_you_mean(layer, names)}",
            context=f"Layers: {listing(names, 60)}.",
            fix=f"--explain {names[0]}" if names else "",
        )
    module = model.get_submodule(row.path)
    lines = [f"{row.name}: {module if not any(module.children()) else type(module).__name__}"]
    if row.shape is None:
        return "\n".join([*lines, "it was not used for a picture of this size"])
    for name, said in (
        ("output", _output(module, row)),
        ("parameters", _parameters(module, row)),
        ("mult-adds", _macs(module, row)),
        ("memory", [f"{_times(row.shape)} x {row.bytes // math.prod(row.shape)} bytes = {_kib(row.bytes)}"]),
        ("sees", _sees(module, row)),
        ("stride", _stride(module, row)),
    ):
        for number, line in enumerate(said):
            lines.append(f"{name if number == 0 else '':12}{line}".rstrip())
    return "\n".join(lines)


def _output(module: nn.Module, row: Row) -> list[str]:
    assert row.shape is not None  # for the type checker
    lines, count = [], math.prod(row.shape)
    if isinstance(module, _WINDOWS) and row.given is not None and len(row.given) == 3:
        lines = _along(lambda side: _side(module, row, side))
    many = f"{_times(row.shape)} = {count:,} numbers" if len(row.shape) > 1 else f"{count:,} numbers"
    if isinstance(module, nn.Conv2d):
        groups = f" in {module.groups} groups" if module.groups > 1 else ""
        many = f"{module.out_channels:,} filters{groups} give {module.out_channels:,} channels: {many}"
    elif isinstance(module, nn.Linear):
        many = f"{module.out_features:,} weighted sums of the {module.in_features:,} numbers given"
    elif isinstance(module, nn.Flatten):
        many = f"{_times(row.given or row.shape)} = {count:,} numbers in one row"
    elif isinstance(module, _ADAPTIVE):
        many = f"always {_times(row.shape[1:])} for each of {row.shape[0]:,} channels, whatever the map's size: {many}"
    elif isinstance(module, Maxout):
        many = f"the larger of {PIECES} pieces for each of {row.shape[0]:,} units: {many}"
    elif row.given == row.shape:
        many += ", as given"
    return [*lines, many]


def _side(module: Any, row: Row, side: int) -> str:
    """The side of a map behind a window."""
    assert row.given is not None and row.shape is not None  # for the type checker
    before, after = row.given[side + 1], row.shape[side + 1]
    size, stride, dilation = (_of(module, name, side) for name in ("kernel_size", "stride", "dilation"))
    if module.padding == "same":
        return f"{before} = {after}, kept by its padding"
    padding = 0 if module.padding == "valid" else _of(module, "padding", side)
    if isinstance(module, nn.ConvTranspose2d):
        more = f" + {extra}" if (extra := _of(module, "output_padding", side)) else ""
        return f"({before} - 1) x {stride} - 2 x {padding} + {_reach(size, dilation)}{more} = {after}"
    padded = f" + 2 x {padding}" if padding else ""
    top = f"({before}{padded} - {_reach(size, dilation)})"
    exact = (before + 2 * padding - dilation * (size - 1) - 1) % stride == 0
    rounding = "" if exact else " (rounded up)" if getattr(module, "ceil_mode", False) else " (rounded down)"
    return f"{top} / {stride} + 1 = {after}{{}}{rounding}" if stride > 1 else f"{top} + 1 = {after}{{}}"


def _reach(size: int, dilation: int) -> str:
    return str(size) if dilation == 1 else f"({dilation} x ({size} - 1) + 1)"


def _parameters(module: nn.Module, row: Row) -> list[str]:
    own = dict(module.named_parameters(recurse=False))
    if not own:
        return ["none"]
    if not row.parameters:
        return ["those of an earlier layer, counted there"]
    bias = f" + {own['bias'].numel():,} biases" if "bias" in own else ""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        height, width = module.kernel_size
        given, filters = module.in_channels // module.groups, module.out_channels
        if isinstance(module, nn.ConvTranspose2d):
            given, filters = module.in_channels, module.out_channels // module.groups
        shared = f" ({module.in_channels} channels in {module.groups} groups)" if module.groups > 1 else ""
        said = f"{filters:,} filters x ({height} x {width} x {given:,}){bias} = {row.parameters:,}{shared}"
    elif isinstance(module, nn.Linear):
        said = f"{module.out_features:,} x {module.in_features:,} weights{bias} = {row.parameters:,}"
    elif isinstance(module, _NORMS) and {*own} == {"weight", "bias"}:
        n = own["weight"].numel()
        said = f"a factor and a shift for each of {n:,} channels: 2 x {n:,} = {row.parameters:,}"
    else:
        parts = " + ".join(f"{name} {_times(tuple(one.shape)) or '1'}" for name, one in own.items())
        said = f"{parts} = {row.parameters:,}"
    frozen = sum(one.numel() for one in own.values() if not one.requires_grad)
    return [said, *([f"{frozen:,} of them are not trained"] if frozen else [])]


def _macs(module: nn.Module, row: Row) -> list[str]:
    if not row.macs or row.shape is None:
        return []
    if isinstance(module, nn.Conv2d):
        height, width = module.kernel_size
        weights = (module.out_channels, height, width, module.in_channels // module.groups)
        each = f"{_times(weights)} = {math.prod(weights):,}"
        return [f"{each} at each of {_times(row.shape[1:])} positions: {row.macs:,}"]
    if isinstance(module, nn.Linear):
        return [f"{module.out_features:,} x {module.in_features:,}, each weight once: {row.macs:,}"]
    return [f"{row.macs:,}"]


def _sees(module: nn.Module, row: Row) -> list[str]:
    field, before, jump = row.field, row.given_field, row.given_stride
    if field is None:
        return []
    if before is None or jump is None or not isinstance(module, _WINDOWS):
        if isinstance(module, _ADAPTIVE) or (isinstance(module, nn.Linear) and row.given_field != field):
            return ["the whole map"]
        return [f"{_pair(field)} pixels, as before"] if field == before else [f"{_pair(field)} pixels"]

    def side(number: int) -> str:
        size, dilation = _of(module, "kernel_size", number), _of(module, "dilation", number)
        if isinstance(module, nn.ConvTranspose2d):
            return f"{field[number]} pixels{{}}"
        far = f"{dilation} x ({size} - 1)" if dilation > 1 else f"({size} - 1)"
        return f"{before[number]} + {far} x {jump[number]} = {field[number]} pixels{{}}"

    return _along(side)


def _stride(module: nn.Module, row: Row) -> list[str]:
    if row.stride is None or not any(row.stride):
        return []
    jump, stride = row.given_stride, row.stride
    if jump is None or not isinstance(module, _WINDOWS) or isinstance(module, nn.ConvTranspose2d):
        return [f"{_pair(stride)} pixels"]
    before = jump
    return _along(lambda n: f"{before[n]} x {_of(module, 'stride', n)} = {stride[n]} pixels{{}}")


def _along(side: Callable[[int], str]) -> list[str]:
    """What is said of both sides of the map, once where it is the same; {} is where the direction stands."""
    down, across = side(0), side(1)
    names = [(" down and across", down)] if down == across else [(" down", down), (" across", across)]
    return [said.replace("{}", where) if "{}" in said else said + where for where, said in names]


def _of(module: Any, name: str, side: int) -> int:
    """A number of a window along one side."""
    value = getattr(module, name, 1)
    return int(value[side]) if isinstance(value, tuple) else int(value)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{side:,}" for side in shape)


def _pair(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]} x {pair[1]}"


def _kib(number: int) -> str:
    return f"{number / 1024:,.0f} KiB" if number >= 1024 else f"{number} bytes"


_WINDOWS: tuple[Any, ...] = (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d)
_ADAPTIVE: tuple[Any, ...] = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_NORMS: tuple[Any, ...] = (nn.BatchNorm2d, nn.BatchNorm1d, nn.GroupNorm, nn.LayerNorm)
