"""What the families share: named layers in a row, the list of activations, and the check of sizes before building."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from dojang.errors import ConfigError, did_you_mean, listing
from dojang.models import fusion
from dojang.models.maxout import Maxout

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": partial(nn.LeakyReLU, 0.1),
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "maxout": Maxout,
}

MOST_LAYERS = 1000
STEMS = ("auto", "full", "small")
WIDEST, LARGEST_SIDE = 2**20, 65_535


_ROWS = (nn.Flatten, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Linear)


class Network(nn.Module):
    """The base of the families; :attr:`preset` is the name that it was built under.

    Its layers lie in a row, each under a name made of its type and number: conv1, bn1, relu1, pool1, ..., fc2; a family
    whose layers branch has a :meth:`body` of its own.
    """

    preset: str = ""
    #: what a family does for small pictures, where its networks were published for large ones
    SMALL: ClassVar[str] = ""
    Config: ClassVar[type[Any]]
    config: Any

    def __init__(self, in_channels: int, classes: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.in_channels = whole("in_channels", in_channels, most=WIDEST)
        self.classes = whole("classes", classes, most=WIDEST)
        sides = wholes("image_size", image_size, most=LARGEST_SIDE)
        if len(sides) != 2:
            raise wrong("image_size", image_size, "two numbers, height and width")
        self.image_size: tuple[int, int] = (sides[0], sides[1])
        self.fixed_size = True
        # the side of the smallest picture that is taken
        self.least = 1
        # where the head begins among the children; None: by their kinds
        self.head_at: int | None = None
        self._counts: dict[str, int] = {}

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Network:
        """The network of plain values, as :meth:`arguments` gives them. Raises ConfigError C204."""
        own = {"in_channels", "classes", "image_size"}
        known = own | {field.name for field in dataclasses.fields(cls.Config)}
        for name in sorted(set(arguments) - known):
            raise ConfigError("C204", f"{cls.__name__} has no argument {name!r}.{did_you_mean(name, known)}")
        for name in sorted(own - set(arguments)):
            raise ConfigError("C204", f"{cls.__name__} needs the argument {name!r}.")
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
        make: Any = cls
        config = cls.Config(**{name: value for name, value in plain.items() if name not in own})
        network: Network = make(**{name: plain[name] for name in own}, config=config)
        return network

    def arguments(self) -> dict[str, Any]:
        """All that is needed to build the same network again, as values that JSON has."""
        values = {"in_channels": self.in_channels, "classes": self.classes, "image_size": self.image_size}
        values |= {field.name: getattr(self.config, field.name) for field in dataclasses.fields(self.config)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def stemmed(self, config: Any) -> tuple[Any, bool]:
        """A configuration with the stem that suits the pictures, and whether that is the small one."""
        stem = small_stem(config.stem, self.image_size)
        return dataclasses.replace(config, stem=stem), stem == "small"

    def fitted(self, windows: Sequence[Window]) -> tuple[int, int]:
        """Height and width of the map behind a published network's windows; no smaller pictures are taken.

        Raises:
            ConfigError: C204 where the map vanishes.
        """
        self.least = least_side(windows)
        return map_size(windows, self.image_size, "--stem small" if self.config.stem == "full" else "")

    def add(self, kind: str, layer: nn.Module) -> None:
        """Append a layer; it is called ``kind`` and its number among its kind."""
        kind = kind.replace("-", "_")
        number = self._counts[kind] = self._counts.get(kind, 0) + 1
        self.add_module(kind if kind == "flatten" else f"{kind}{number}", layer)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Tensor:
        """Scores (logits) for a batch of prepared pictures.

        Raises:
            ConfigError: C204 for pictures of another rank, type, number of channels, or size.
        """
        if x.ndim != 4 or x.shape[1] != self.in_channels or not x.is_floating_point():
            raise self._refusal(x)
        if self.fixed_size and (x.shape[2] != self.image_size[0] or x.shape[3] != self.image_size[1]):
            raise self._refusal(x)
        if self.least > 1 and (x.shape[2] < self.least or x.shape[3] < self.least):
            raise self._refusal(x)
        return self.body(x)

    def body(self, x: Tensor) -> Tensor:
        """The scores, of pictures that were looked at."""
        return self.scores_of(fusion.run(self.head(), self.maps(x)))

    def scores_of(self, x: Tensor) -> Tensor:
        """The scores, from what the last layer gives."""
        return x

    def maps(self, x: Tensor) -> Tensor:
        """What the head is given: the last map (B, C, h, w), or the picture where there is no layer before it."""
        return fusion.run(self._parts()[0], x)

    def head(self) -> list[nn.Module]:
        """The layers from that map to the scores, in order; also such as are no part of the network's names."""
        return self._parts()[1]

    def _parts(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """The layers before the head, and those of it: from what makes a row of the map, or the last with weights."""
        layers = list(self.children())
        if self.head_at is not None:
            return layers[: self.head_at], layers[self.head_at :]
        starts = [number for number, layer in enumerate(layers) if isinstance(layer, _ROWS)]
        ends = [number for number, layer in enumerate(layers) if any(True for _ in layer.parameters())]
        first = starts[0] if starts else ends[-1]
        return layers[:first], layers[first:]

    def _refusal(self, x: Tensor) -> ConfigError:
        height, width = self.image_size if self.fixed_size else ("height", "width")
        least = f", {self.least} x {self.least} at least" if self.least > 1 and not self.fixed_size else ""
        given = f"{str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape)}"
        wanted = f"floats of shape (batch, {self.in_channels}, {height}, {width}){least}"
        return ConfigError(
            "C204",
            f"this {self.preset} network takes {wanted}, and was given {given}.",
            fix="prepare pictures with the Preprocess that is stored with the model.",
        )


@dataclasses.dataclass(frozen=True)
class Window:
    """A layer that moves a window over the map: along one side it turns n into (n + padding - size) // stride + 1.

    Args:
        padding: On both ends together.
    """

    layer: str
    size: int
    stride: int
    padding: int

    def after(self, n: int) -> int:
        """The side of the map behind the layer; below 1 where the window does not fit."""
        return (n + self.padding - self.size) // self.stride + 1

    def before(self, n: int) -> int:
        """The smallest side in front of the layer that leaves ``n`` behind it."""
        return max(1, (n - 1) * self.stride + self.size - self.padding)


def least_side(windows: Sequence[Window]) -> int:
    """The side of the smallest picture that leaves a map behind some layers.

    >>> least_side([Window("conv1", 3, 2, 0), Window("conv2", 3, 2, 0)])
    7
    """
    smallest = 1
    for window in reversed(windows):
        smallest = window.before(smallest)
    return smallest


def map_size(
    windows: Sequence[Window], image_size: tuple[int, int], instead: str = "fewer --conv-dims"
) -> tuple[int, int]:
    """Height and width of the map behind some layers.

    Args:
        instead: What helps besides larger pictures.

    Raises:
        ConfigError: C204 where the map vanishes, with the layer, the size there, and the smallest picture that works.

    Example:
        >>> map_size([Window("conv1", 3, 2, 0), Window("conv2", 3, 2, 0)], (28, 32))
        (6, 7)
    """
    height, width = image_size
    for window in windows:
        now = (window.after(height), window.after(width))
        if min(now) < 1:
            smallest = least_side(windows)
            possible = smallest <= LARGEST_SIDE
            least = f"The smallest picture that this network works on is {smallest}x{smallest}."
            raise ConfigError(
                "C204",
                f"{window.layer}: a picture of {image_size[0]}x{image_size[1]} is down to {height}x{width} there, "
                f"too small for a window of {window.size}x{window.size}.",
                context=least if possible else "No picture is large enough for so many layers.",
                fix=", or ".join([f"--imgsz {smallest}"] * possible + [instead] * bool(instead)),
            )
        height, width = now
    return height, width


def small_stem(stem: str, image_size: tuple[int, int]) -> str:
    """The first layers that suit a size: "full" halves the map at once, and again; "small" leaves it as it is.

    >>> [small_stem("auto", (side, side)) for side in (28, 64, 65, 224)], small_stem("full", (28, 28))
    (['small', 'small', 'full', 'full'], 'full')
    """
    return stem if stem != "auto" else "small" if min(image_size) <= 64 else "full"


def ends(model: nn.Module) -> tuple[str, str]:
    """The names of the weights of a network's first layer, which depends on the channels, and its last, on the classes.

    >>> ends(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 2)))
    ('0.weight', '3.weight')
    """
    names = [path for path, layer in model.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    return f"{names[0]}.weight", f"{names[-1]}.weight"


def wrong(name: str, value: object, expected: str) -> ConfigError:
    """The error for an argument of a network that cannot be used."""
    return ConfigError("C204", f"{name} cannot be {value!r}; expected {expected}.")


def whole(name: str, value: Any, *, most: int) -> int:
    """A whole number from 1 to ``most``. Raises C204."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise wrong(name, value, f"a whole number from 1 to {most:,}")
    return value


def wholes(name: str, value: Any, *, most: int = WIDEST) -> tuple[int, ...]:
    """A tuple of whole numbers from 1 to ``most``. Raises C204."""
    if not isinstance(value, (tuple, list)):
        raise wrong(name, value, "whole numbers such as (32, 64)")
    if len(value) > MOST_LAYERS:
        raise wrong(name, listing(value, 3), f"at most {MOST_LAYERS:,} numbers")
    return tuple(whole(name, item, most=most) for item in value)


def chance(name: str, value: Any) -> float:
    """A probability from 0 up to, not including, 1. Raises C204."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise wrong(name, value, "a number from 0 up to, not including, 1")
    return float(value)


def switch(name: str, value: Any) -> bool:
    """True or False. Raises C204."""
    if not isinstance(value, bool):
        raise wrong(name, value, "true or false")
    return value


def word(name: str, value: Any, known: Sequence[str]) -> str:
    """One of some words. Raises C204."""
    if not isinstance(value, str) or value not in known:
        near = did_you_mean(value, known) if isinstance(value, str) else ""
        raise ConfigError("C204", f"{name} cannot be {value!r}; expected one of {listing(known, 20)}.{near}")
    return value
