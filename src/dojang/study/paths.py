"""Ways of optimizers over functions of two numbers, and what becomes of gradient descent at too high a rate.

The optimizers are those that training uses, made as it makes them; a network of two weights takes the place of a large
one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from dojang.data.manifest import csv_line
from dojang.errors import ConfigError, did_you_mean
from dojang.recipe import option
from dojang.runs import recipe as recipes
from dojang.runs.recipe import OPTIONS
from dojang.study.drawings import Drawing, Drawn, Scene, column
from dojang.train import optimizers
from dojang.train.options import TrainOptions

if TYPE_CHECKING:
    from dojang.study.plan import Plan

#: what of an optimizer can be said
SETTINGS = ("optimizer", "lr", "momentum", "nesterov")
# beyond this there is nothing more to see
_FAR = 1e6


@dataclass(frozen=True)
class Function:
    """A function of two numbers.

    Args:
        words: Its formula.
        value: Of a place (2,), a scalar.
        start: Where paths begin.
        lowest: Its smallest value, and the places that have it.
        box: Of the picture: left, right, bottom, top.
        curvatures: Smallest and largest; None where they differ from place to place.
    """

    words: str
    value: Callable[[Tensor], Tensor]
    start: tuple[float, float]
    lowest: float
    bottoms: tuple[tuple[float, float], ...]
    box: tuple[float, float, float, float]
    curvatures: tuple[float, float] | None = None

    def grid(self, points: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Its values over the box, for contours: x, y and value, each (points, points)."""
        left, right, bottom, top = self.box
        x, y = np.meshgrid(np.linspace(left, right, points), np.linspace(bottom, top, points))
        # the first axis is the coordinate
        return x, y, self.value(torch.from_numpy(np.stack([x, y]))).numpy()


FUNCTIONS = {
    "bowl": Function(
        words="x²/20 + y²",
        value=lambda p: p[0] ** 2 / 20 + p[1] ** 2,
        start=(-7.0, 2.0),
        lowest=0.0,
        bottoms=((0.0, 0.0),),
        box=(-8.5, 8.5, -3.2, 3.2),
        curvatures=(0.1, 2.0),
    ),
    # it begins beside the ridge, where the way down, along y, has a slope of 0.03
    "saddle": Function(
        words="x²/2 - y²/2 + y⁴/36",
        value=lambda p: p[0] ** 2 / 2 - p[1] ** 2 / 2 + p[1] ** 4 / 36,
        start=(-6.0, 0.03),
        lowest=-2.25,
        bottoms=((0.0, 3.0), (0.0, -3.0)),
        box=(-6.8, 6.8, -2.0, 5.0),
    ),
}


def path(
    function: Function, options: TrainOptions, steps: int, start: tuple[float, float] | None = None
) -> Float64[np.ndarray, "n 2"]:
    """The places that an optimizer comes through, the start first; fewer than steps + 1 where it goes out of sight.

    Args:
        options: Of training, with lr and momentum filled in: the optimizer is made of them as a run's is.
        start: None takes the function's own.

    Example:
        >>> options = recipes.resolve([{"optimizer": "sgd", "lr": 0.5, "momentum": 0.0}]).train
        >>> path(FUNCTIONS["bowl"], options, 2).round(3).tolist()
        [[-7.0, 2.0], [-6.65, 0.0], [-6.318, 0.0]]
    """
    model = nn.Module()
    model.place = nn.Parameter(torch.tensor(start or function.start, dtype=torch.float64))
    optimizer = optimizers.make(model, options)
    places = [model.place.detach().numpy().copy()]
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        function.value(model.place).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        places.append(model.place.detach().numpy().copy())
        # false for NaN too
        if not np.abs(places[-1]).max() < _FAR:
            break
    return np.stack(places)


def values(function: Function, places: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, " n"]:
    """How far above its smallest value the function is at some places."""
    found: np.ndarray = function.value(torch.from_numpy(places.T)).numpy() - function.lowest
    return found


def verdict(rate: float, curvatures: tuple[float, float]) -> str:
    """What is to be said of a rate of plain gradient descent on a quadratic: "too low", "right" or "too high".

    A step leaves 1 - rate * c of the distance along an axis of curvature c.  So it diverges from 2 / largest on; the
    rate that leaves least of both is 2 / (smallest + largest), and below half of that it is called too low.

    >>> [verdict(rate, (0.1, 2.0)) for rate in (0.1, 0.9, 1.02)]
    ['too low', 'right', 'too high']
    """
    smallest, largest = curvatures
    if rate >= 2 / largest:
        return "too high"
    return "too low" if rate < 1 / (smallest + largest) else "right"


@dataclass(frozen=True)
class Paths(Drawing):
    """The drawing ``paths``."""

    steps: int = option(30, "of each path", low=1, high=10_000)
    functions: tuple[str, ...] = option(tuple(FUNCTIONS), "that are gone down")
    rates: tuple[float, ...] = option((), "of plain gradient descent on the bowl", above=0)
    optimizers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, found: Mapping[Any, Any], where: str) -> Self:
        """As every drawing; ``optimizers`` is a table of options by the name that each is to have."""
        given = found.get("optimizers", {})
        made = super().read({name: value for name, value in found.items() if name != "optimizers"}, where)
        if not isinstance(given, Mapping):
            raise ConfigError("C280", f"{where}, optimizers is {given!r}; expected lines of 'name: options'.")
        read = {str(name): _layer(one, f"{where}, {name}") for name, one in given.items()}
        return dataclasses.replace(made, optimizers=read)

    def check(self, plan: Plan) -> None:
        """Refuse what draws nothing, and functions that do not exist. Raises ConfigError C280."""
        for name in self.functions:
            if name not in FUNCTIONS:
                known = ", ".join(FUNCTIONS)
                raise ConfigError("C280", f"paths: there is no function {name!r}.{did_you_mean(name, FUNCTIONS)}",
                                  context=f"There are {known}.")  # fmt: skip
        if not self.optimizers or not self.functions:
            raise ConfigError(
                "C280", "paths has no optimizers, or no functions.", fix="optimizers: {SGD: {optimizer: sgd, lr: 0.9}}"
            )

    def draw(self, scene: Scene) -> Drawn:
        """paths.png, paths.csv, and how far each came."""
        from dojang.study import paths_picture

        found = {
            name: {word: path(FUNCTIONS[name], self.options(word), self.steps) for word in self.optimizers}
            for name in self.functions
        }
        bowl = {rate: path(FUNCTIONS["bowl"], _descent(rate), self.steps) for rate in self.rates}
        picture = paths_picture.draw(found, bowl, self.steps)
        return Drawn({"paths.png": picture, "paths.csv": self._csv(found, bowl)}, self._said(found, bowl))

    def options(self, name: str) -> TrainOptions:
        """The options of training that a name stands for."""
        return recipes.resolve([self.optimizers[name]]).train

    def _said(self, found: Mapping[str, Mapping[str, np.ndarray]], bowl: Mapping[float, np.ndarray]) -> tuple[str, ...]:
        said = [f"height above the lowest point after {self.steps} steps"]
        said.append(f"{'':22}{'lr':>9}" + "".join(f"{name:>12}" for name in found))
        for word in self.optimizers:
            ends = [values(FUNCTIONS[name], places[word])[-1] for name, places in found.items()]
            cells = "".join(f"{end:>12.2g}" for end in ends)
            said.append(f"{column(word, 22)}{self.options(word).lr:>9g}{cells}")
        smallest, largest = FUNCTIONS["bowl"].curvatures or (1.0, 1.0)
        if bowl:
            said.append("")
            said.append(f"plain gradient descent on the bowl; its largest curvature is {largest:g}")
            said.append(f"so it converges below a rate of 2 / {largest:g} = {2 / largest:g}, and diverges above")
        for rate, places in bowl.items():
            end = values(FUNCTIONS["bowl"], places)[-1]
            left, word = factor(rate, (smallest, largest)), verdict(rate, (smallest, largest))
            said.append(f"lr {rate:<8g}{word:10}a step leaves {left:.3f} of the distance; height {end:.2g}")
        return tuple(said)

    def _csv(self, found: Mapping[str, Mapping[str, np.ndarray]], bowl: Mapping[float, np.ndarray]) -> str:
        lines = [csv_line(("function", "optimizer", "lr", "step", "x", "y", "height"))]
        every = [(name, word, self.options(word).lr or 0.0, one) for name, paths in found.items()
                 for word, one in paths.items()]  # fmt: skip
        every += [("bowl", "gradient descent", rate, places) for rate, places in bowl.items()]
        for name, word, rate, places in every:
            for step, (place, height) in enumerate(zip(places, values(FUNCTIONS[name], places), strict=True)):
                numbers = (repr(float(one)) for one in (*place, height))
                lines.append(csv_line((name, word, f"{rate:g}", str(step), *numbers)))
        return "".join(lines)


def _descent(rate: float) -> TrainOptions:
    """Plain gradient descent: SGD without momentum."""
    return recipes.resolve([{"optimizer": "sgd", "lr": rate, "momentum": 0.0}]).train


def _layer(found: Any, where: str) -> dict[str, Any]:
    """Options of an optimizer, checked as those of a recipe are."""
    if not isinstance(found, Mapping):
        raise ConfigError("C280", f"{where} is {found!r}; expected options.", fix="SGD: {optimizer: sgd, lr: 0.9}")
    for name in found:
        if name not in SETTINGS:
            meant = did_you_mean(str(name), SETTINGS)
            raise ConfigError("C280", f"unknown setting {str(name)!r} in {where}.{meant}", context=", ".join(SETTINGS))
    if found.get("optimizer") == "muon":
        raise ConfigError("C280", f"{where}: muon changes matrices; two numbers are none.", fix="optimizer: adam")
    return {str(name): OPTIONS[name].read(value, where) for name, value in found.items()}


def factor(rate: float, curvatures: tuple[float, float]) -> float:
    """What a step of plain gradient descent leaves of the distance, along the axis where it leaves most.

    >>> round(factor(2 / 2.1, (0.1, 2.0)), 4)
    0.9048
    """
    return max(abs(1 - rate * one) for one in curvatures)


def reached(rates: np.ndarray, steps: int) -> np.ndarray:
    """The height on the bowl after some steps of plain gradient descent, by rate; too far is infinite."""
    bowl = FUNCTIONS["bowl"]
    ends = []
    for rate in rates.tolist():
        places = path(bowl, _descent(rate), steps)
        ends.append(values(bowl, places)[-1] if len(places) == steps + 1 else math.inf)
    return np.array(ends)
