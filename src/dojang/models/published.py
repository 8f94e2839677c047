"""The networks of the field by name: what each is made of, when it came, and how it is trained from scratch.

No torch here.  Names are torchvision's where it has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# momentum and decay of nearly all of these papers
_SGD: dict[str, Any] = {
    "epochs": 30,
    "batch_size": 128,
    "optimizer": "sgd",
    "lr": 0.05,
    "weight_decay": 5e-4,
    "warmup": 0.05,
}
# without batch norm: of 612 photographs SqueezeNet learned nothing by SGD, in 30 epochs at 0.01 or in 60 at 0.02
# (benchmarks/NOTES.md)
_CAREFUL: dict[str, Any] = {
    "epochs": 30,
    "batch_size": 128,
    "optimizer": "adamw",
    "lr": 3e-4,
    "weight_decay": 0.01,
    "warmup": 0.05,
}
_SMALL = _SGD | {"lr": 0.1, "crop_padding": 4}
_CONVS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_RESNETS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_DENSENETS = {
    121: ((6, 12, 24, 16), 32, 64),
    161: ((6, 12, 36, 24), 48, 96),
    169: ((6, 12, 32, 32), 32, 64),
    201: ((6, 12, 48, 32), 32, 64),
}
# training pictures
_FEW = 4000

Row = tuple[str, str, int, str, Mapping[str, Any], Mapping[str, Any]]


def rows() -> Iterator[Row]:
    """Name, family, year, one line, arguments, training options."""
    yield "alexnet", "alexnet", 2014, "five convolutions, three dense layers; one column, without LRN", {}, _CAREFUL
    yield "alexnet-2012", "alexnet", 2012, "the winner of 2012: two groups, LRN", {"grouped": True}, _CAREFUL
    for depth, convs in _CONVS.items():
        words = f"{depth - 3} convolutions of 3x3, three dense layers"
        yield f"vgg{depth}", "vgg", 2014, words, {"convs": convs}, _CAREFUL
        yield f"vgg{depth}_bn", "vgg", 2014, f"{words}, batch norm", {"convs": convs, "batch_norm": True}, _SGD
    yield "googlenet", "googlenet", 2014, "inception modules, batch norm, 3x3 instead of 5x5", {}, _SGD
    paper = {"five": True, "batch_norm": False}
    yield "googlenet-2014", "googlenet", 2014, "as in the paper: 5x5, no batch norm", paper, _CAREFUL
    for depth, blocks in _RESNETS.items():
        deep = depth >= 50
        words = f"{sum(blocks)} {'bottlenecks' if deep else 'blocks'} with shortcuts"
        yield f"resnet{depth}", "resnet", 2015, words, {"blocks": blocks, "bottleneck": deep}, _SGD
    for depth in (20, 32, 44, 56, 110):
        count = (depth - 2) // 6
        small = {"blocks": (count,) * 3, "width": 16, "shortcut": "simple", "stem": "small"}
        yield f"resnet{depth}", "resnet", 2015, f"for small pictures: {3 * count} blocks", small, _SMALL
        if depth in (20, 56):
            plain = small | {"shortcut": "none"}
            yield f"plain{depth}", "resnet", 2015, f"resnet{depth} without its shortcuts", plain, _SMALL
    for depth, (layers, growth, width) in _DENSENETS.items():
        made = {"blocks": layers, "growth": growth, "width": width}
        yield f"densenet{depth}", "densenet", 2016, f"{sum(layers)} layers, each given all before it", made, _SGD
    for version in ("1.0", "1.1"):
        words = "fire modules: squeeze to few channels, expand again"
        yield f"squeezenet{version.replace('.', '_')}", "squeezenet", 2016, words, {"version": version}, _CAREFUL


def plan(name: str, pictures: int) -> Mapping[str, Any]:
    """Training options of a network here that depend on the number of training pictures.

    Without batch norm many small steps take few pictures further.

    >>> plan("squeezenet1_1", 600), plan("squeezenet1_1", 60_000), plan("resnet18", 600)
    ({'batch_size': 32}, {}, {})
    """
    careful = any(row[0] == name and row[5] is _CAREFUL for row in rows())
    return {"batch_size": 32} if careful and pictures < _FEW else {}
