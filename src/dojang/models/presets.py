"""Networks by name, with the training defaults that suit them; no torch here, so that ``--help`` is instant."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from dojang.models import published
from dojang.registry import Registry


@dataclasses.dataclass(frozen=True)
class Preset:
    """A network by name.

    Args:
        name: What ``--model`` takes.
        family: The class that builds it, by its key in models/build.py.
        summary: One line for lists.
        arguments: Fields of the family's configuration that differ from its defaults.
        init: How its weights start (a name of models/init.py).
        recipe: Training options that differ from the general defaults.
        year: When it was published, where it was.
        home: Side of the pictures, their channels, and the classes that it was made for.
        plan: Training options that depend on the number of training pictures and the kind of device ("cpu", "cuda").
    """

    name: str
    family: str
    summary: str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    init: str = "default"
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    plan: Callable[[int, str], Mapping[str, Any]] = lambda pictures, device: {}
    year: int | None = None
    home: tuple[int, int, int] = (28, 1, 10)


PRESETS: Registry[Preset] = Registry("model", "C203")


def _add(preset: Preset) -> None:
    PRESETS.add(preset.name, preset)


def suggested(height: int, width: int) -> str:
    """The network that ``--model auto`` means for pictures of a size.

    >>> suggested(28, 28), suggested(64, 64), suggested(8, 8), suggested(128, 128)
    ('sprint', 'sprint', 'cnn', 'cnn')
    """
    return "sprint" if min(height, width) >= 28 and max(height, width) <= 64 else "cnn"


def _sprint_plan(epochs: int) -> Callable[[int, str], Mapping[str, Any]]:
    """So many epochs where there are 12,500 pictures or more; few pictures are seen more often, in smaller batches."""

    def plan(pictures: int, device: str) -> Mapping[str, Any]:
        return {
            "epochs": max(epochs, min(60, round(epochs * 12_500 / max(pictures, 1)))),
            # a step costs a CPU little beside its pictures; a GPU would rather have many at a time
            "batch_size": max(32, min(1000 if device == "cpu" else 2000, pictures // 8)),
            # a fraction of the memory, and not slower, on a CPU
            "micro_batch": 500 if device == "cpu" else None,
        }

    return plan


def _published(name: str) -> Callable[[int, str], Mapping[str, Any]]:
    return lambda pictures, device: published.plan(name, pictures)


_ADAM = {"epochs": 15, "batch_size": 128, "optimizer": "adam", "lr": 1e-3}
_STRIDED = {"conv_dims": (32, 64, 128), "stride": 2, "padding": "valid", "pool": False, "batch_norm": False}
_LENET = {
    "conv_dims": (10, 20),
    "hidden_dims": (50,),
    "kernel_size": 5,
    "padding": "valid",
    "order": "conv-bn-pool-act",
    "dense_batch_norm": True,
    "global_pool": False,
}

_add(
    Preset(
        "cnn",
        "cnn",
        "for any picture size: blocks of conv-BN-ReLU-pool, 32 to 256 channels, as many as the size allows",
        {"dropout": 0.2},
        recipe=_ADAM,
    )
)
_SPRINT = {
    "epochs": 10,
    "batch_size": 2000,
    "optimizer": "muon",
    "lr": 0.24,
    "momentum": 0.6,
    "weight_decay": 0.0,
    "schedule": "linear",
    "label_smoothing": 0.2,
    "crop_padding": 2,
    "crop_fill": "reflect",
    "progressive": 0.5,
    "tta": "auto",
}
for _name, _summary, _arguments, _epochs in (
    ("sprint", "for small pictures, fast: the record network, 64 and 256 channels (grey: 32 and 128)", {}, 10),
    ("sprint-s", "sprint with 32 and 64 channels (grey: 16 and 32)", {"growth": 2, "width": 0.5}, 10),
    ("sprint-m", "sprint with 64 and 128 channels (grey: 32 and 64)", {"growth": 2}, 10),
    ("sprint-l", "sprint with 128 and 384 channels (grey: 64 and 192), 15 epochs", {"growth": 3, "width": 2.0}, 15),
):
    _add(
        Preset(_name, "sprint", _summary, _arguments, recipe=_SPRINT | {"epochs": _epochs}, plan=_sprint_plan(_epochs))
    )
_add(Preset("mlp", "mlp", "dense network, one hidden layer of 128, ReLU", recipe=_ADAM))
_add(
    Preset(
        "mnist-mlp",
        "mlp",
        "two-layer network 784-50-10 with sigmoid",
        {"hidden_dims": (50,), "activation": "sigmoid"},
        # as teaching material has it; --optimizer adam and the like change one thing at a time
        recipe={
            "epochs": 5,
            "batch_size": 100,
            "optimizer": "sgd",
            "lr": 0.01,
            "momentum": 0.0,
            "weight_decay": 0.0,
            "schedule": "constant",
            "loss": "bce",
            "normalize": "none",
        },
    )
)
_add(
    Preset(
        "mnist-cnn",
        "cnn",
        "two 3x3 convolutions (32, 64) with max-pool, Dropout2d, one hidden layer of 32",
        {
            "conv_dims": (32, 64),
            "hidden_dims": (32,),
            "batch_norm": False,
            "conv_dropout": 0.5,
            "global_pool": False,
        },
        recipe=_ADAM | {"epochs": 10, "batch_size": 256},
    )
)
_add(
    Preset(
        "fashion-cnn",
        "cnn",
        "three stride-2 convolutions (32, 64, 128), dropout, one hidden layer of 512",
        _STRIDED | {"hidden_dims": (512,), "dropout_in": 0.2, "dropout": 0.2, "global_pool": False},
        recipe=_ADAM,
    )
)
_add(
    Preset(
        "cifar-cnn",
        "cnn",
        "three stride-2 convolutions (32, 64, 128), dropout, one hidden layer of 1024",
        _STRIDED | {"hidden_dims": (1024,), "dropout_in": 0.5, "dropout": 0.2, "global_pool": False},
        recipe=_ADAM,
        home=(32, 3, 10),
    )
)
_add(
    Preset(
        "cifar-vgg",
        "cnn",
        "VGG-like: pairs of 3x3 convolutions (32, 64, 128), conv-ReLU-BN, one hidden layer of 1024",
        {
            "conv_dims": (32, 64, 128),
            "hidden_dims": (1024,),
            "convs_per_block": 2,
            "order": "conv-act-bn-pool",
            "dropout_in": 0.5,
            "dropout": 0.2,
            "global_pool": False,
        },
        recipe=_ADAM | {"flip": "horizontal", "crop_padding": 4},
        home=(32, 3, 10),
    )
)
_add(
    Preset(
        "lenet-bn",
        "cnn",
        "LeNet-like: two 5x5 convolutions (10, 20), conv-BN-pool-ReLU, one hidden layer of 50, N(0, .02)",
        _LENET,
        init="normal",
        recipe=_ADAM,
    )
)
_add(
    Preset(
        "lenet-bn-fcn",
        "cnn",
        "lenet-bn with its dense layers written as convolutions: a larger picture gives a map of answers",
        _LENET | {"head": "conv"},
        init="normal",
        recipe=_ADAM,
    )
)
for _row in published.rows():
    _name, _family, _year, _summary, _made, _recipe = _row
    _home = (32, 3, 10) if _made.get("stem") == "small" else (224, 3, 1000)
    _add(Preset(_name, _family, _summary, _made, recipe=_recipe, plan=_published(_name), year=_year, home=_home))
