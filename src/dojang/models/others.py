"""Networks of other libraries by name: ``timm:resnet10t``, ``torchvision:mobilenet_v3_small``.

They train, resume, score and answer like dojang's own.  Their layers say nothing of a head, so what needs one
(``--head-epochs``, a fully convolutional form) is for dojang's networks only.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from torch import nn

from dojang.data.statistics import IMAGENET
from dojang.errors import ConfigError, did_you_mean
from dojang.models.layers import LARGEST_SIDE, WIDEST, whole, wholes

LIBRARIES = ("timm", "torchvision")
# where a network keeps what builds it again; plain values, which every copy of it has, too
_RECORD, _FORM = "dojang_record", "dojang_form"


def is_other(name: str) -> bool:
    """Whether a model's name means a network of another library.

    >>> is_other("timm:resnet10t"), is_other("resnet18")
    (True, False)
    """
    return name.partition(":")[0] in LIBRARIES and ":" in name


def construct(name: str, facts: Mapping[str, Any]) -> nn.Module:
    """A network of another library, with fresh weights.

    Args:
        name: ``LIBRARY:NAME``.
        facts: in_channels, classes, image_size.

    Raises:
        ConfigError: C203 for a name that the library does not have, C250 where the library is not installed, C204
            where it cannot build the network so.
    """
    library, _, kind = name.partition(":")
    make = _timm if library == "timm" else _torchvision
    # numbers may come from a file, and must not be able to fill the machine
    channels, classes = (whole(key, facts[key], most=WIDEST) for key in ("in_channels", "classes"))
    size = wholes("image_size", facts["image_size"], most=LARGEST_SIDE)
    model = make(kind, channels, classes, (size[0], size[-1]))
    setattr(model, _RECORD, {"name": name, "arguments": {k: _plain(facts[k]) for k in _FACTS}})
    # what its layers were when it was built: a text, since some cannot be built without memory to compare
    setattr(model, _FORM, repr(model))
    return model


_FACTS = ("in_channels", "classes", "image_size")


@dataclasses.dataclass(frozen=True)
class Home:
    """The pictures that published weights know.

    Args:
        side: Of what the network sees.
        resize: The shorter side that is kept, as a multiple of it.
        mean, std: Of levels from 0 to 1.
        interpolation: Of the resize.
    """

    side: int = 224
    resize: float = 256 / 224
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    interpolation: str = "bilinear"


def home(name: str) -> Home:
    """What a network's published weights were made for, as its library says.

    Raises:
        ConfigError: As :func:`construct`.

    >>> home("torchvision:inception_v3").side, home("torchvision:googlenet").mean
    (299, (0.5, 0.5, 0.5))
    """
    library, _, kind = name.partition(":")
    if library == "timm":
        known = _timm_library(kind).get_pretrained_cfg(kind, allow_unregistered=True)
        if known is None:
            return Home()
        how = known.interpolation if known.interpolation in ("bilinear", "bicubic") else "bicubic"
        return Home(known.input_size[-1], 1 / known.crop_pct, tuple(known.mean), tuple(known.std), how)
    from torchvision import models  # type: ignore[import-untyped]

    if kind not in models.list_models(module=models):
        raise _unknown("torchvision", kind, models.list_models(module=models))
    # the first published version, which --download fetches
    how = next(iter(models.get_model_weights(kind))).transforms()
    side = how.crop_size[0]
    interpolation = how.interpolation.value
    if kind in ("googlenet", "inception_v3"):
        # trained elsewhere, on levels from -1 to 1 (torchvision's transform_input makes those of ImageNet's)
        half = (0.5, 0.5, 0.5)
        return Home(side, how.resize_size[0] / side, half, half, interpolation)
    return Home(side, how.resize_size[0] / side, tuple(how.mean), tuple(how.std), interpolation)


def record(model: nn.Module) -> dict[str, Any] | None:
    """What builds the same network again; None for one that was changed since, or is not of another library."""
    known: dict[str, Any] | None = getattr(model, _RECORD, None)
    if known is None:
        return None
    return copy.deepcopy(known) if repr(model) == getattr(model, _FORM) else None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _timm_library(kind: str) -> Any:
    """timm, which knows a network of this name."""
    try:
        timm = importlib.import_module("timm")
    except ImportError:
        raise ConfigError(
            "C250", f"the network timm:{kind} needs timm, which is not installed.", fix='pip install "dojang[timm]"'
        ) from None
    if not timm.is_model(kind):
        raise _unknown("timm", kind, timm.list_models())
    return timm


def _timm(kind: str, channels: int, classes: int, size: tuple[int, int]) -> nn.Module:
    timm = _timm_library(kind)
    arguments: dict[str, Any] = {"pretrained": False, "num_classes": classes, "in_chans": channels}
    fixed = (timm.get_pretrained_cfg(kind, allow_unregistered=True) or _Nothing).fixed_input_size
    try:
        model: nn.Module = timm.create_model(kind, **arguments, **({"img_size": size} if fixed else {}))
    except Exception as error:
        raise _impossible(f"timm:{kind}", error) from error
    return model


class _Nothing:
    """Of a network about which timm knows nothing more."""

    fixed_input_size = False


def _torchvision(kind: str, channels: int, classes: int, size: tuple[int, int]) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if kind not in known:
        raise _unknown("torchvision", kind, known)
    arguments: dict[str, Any] = {"weights": None, "num_classes": classes}
    if kind in ("googlenet", "inception_v3"):
        # auxiliary heads would give training a tuple
        arguments |= {"aux_logits": False, "init_weights": False}
    if kind.startswith("vit_"):
        if size[0] != size[1]:
            raise ConfigError(
                "C204", f"torchvision:{kind} takes square pictures, not {size[0]}x{size[1]}.", fix="--imgsz 224"
            )
        arguments["image_size"] = size[0]
    try:
        model: nn.Module = models.get_model(kind, **arguments)
        if channels != 3:
            _take(model, channels)
    except Exception as error:
        raise _impossible(f"torchvision:{kind}", error) from error
    return model


def _take(model: nn.Module, channels: int) -> None:
    """Let the first convolution take another number of channels; torchvision's take three only."""
    path, first = next((path, m) for path, m in model.named_modules() if isinstance(m, nn.Conv2d))
    fresh = nn.Conv2d(
        channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        first.dilation,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    model.set_submodule(path, fresh)


def _unknown(library: str, kind: str, known: list[str]) -> ConfigError:
    near = did_you_mean(kind, known)
    return ConfigError(
        "C203", f"{library} has no classification network {kind!r}.{near}", context=f"It has {len(known):,}."
    )


def _impossible(name: str, error: Exception) -> ConfigError:
    reason = str(error).strip().partition("\n")[0]
    return ConfigError("C204", f"{name} cannot be built: {type(error).__name__}: {reason}")
