"""The range test: train a network for some steps while its rate rises, and see from where on the loss falls and rises.

The steps are those of training: the loop makes them, with a schedule of its own.

Source: Smith, "Cyclical learning rates for training neural networks", arXiv:1506.01186, section 3.3.  There the rate
rises in a line and accuracy is watched; that it rises in equal ratios, that the loss is smoothed with its bias
corrected, and the end at four times its best are the habit of fastai and PyTorch Lightning since.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from dojang.data.loader import Loader
from dojang.errors import TrainError
from dojang.train import loop
from dojang.train.budget import Budget
from dojang.train.guard import Stop
from dojang.train.log import Log, Reporter, Silent
from dojang.train.options import TrainOptions
from dojang.train.schedules import RISING
from dojang.train.state import State
from dojang.train.task import Task

#: rates and steps that suit most networks and optimizers
LOW, HIGH, STEPS = 1e-6, 10.0, 200
#: the test ends where the smoothed loss is so many times its best
RISEN = 4.0
#: over what part of a power of ten of the rate the loss is smoothed
SMOOTHED = 1 / 3
#: losses without which nothing can be said
FEWEST = 10
# standard deviations of its noise by which a smoothed loss must fall to be said to fall; noise alone does so in about
# one of a thousand tests of 200 steps, since the lowest of so many averages is chosen
_NOISE = 8.0


@dataclass(frozen=True)
class Curve:
    """What a range test saw.

    Args:
        rates: Of each step.
        losses: Of each step's pictures, before the step.
        smoothed: The same, averaged over the steps before.
        window: Steps over which it was averaged.
        ended: "steps" where all were made, "risen" where the loss rose to :data:`RISEN` times its best, "not finite"
            where a loss or gradient was no number any more.
    """

    rates: Float64[np.ndarray, " n"]
    losses: Float64[np.ndarray, " n"]
    smoothed: Float64[np.ndarray, " n"]
    window: float
    ended: str


class Smooth:
    """A running average that forgets in equal ratios, its start not drawn towards 0.

    Args:
        window: Steps over which it averages, 1 or more; 1 smooths nothing.

    Example:
        >>> smooth = Smooth(2)
        >>> [round(smooth(value), 4) for value in (4.0, 1.0, 1.0)]
        [4.0, 2.0, 1.4286]

    Source: the correction of Kingma and Ba, arXiv:1412.6980, section 3.
    """

    def __init__(self, window: float) -> None:
        self.keeps = 1 - 1 / window
        self._sum = self._weight = 0.0

    def __call__(self, value: float) -> float:
        """Take in a value; gives the average."""
        self._sum = self.keeps * self._sum + (1 - self.keeps) * value
        self._weight = self.keeps * self._weight + (1 - self.keeps)
        return self._sum / self._weight


def rates(low: float, high: float, steps: int) -> Float64[np.ndarray, " steps"]:
    """The rates of a test, from low to high in equal ratios.

    >>> rates(0.01, 1.0, 3).round(6).tolist()
    [0.01, 0.1, 1.0]
    """
    return np.asarray(np.geomspace(low, high, steps))


def range_test(
    task: Task,
    state: State,
    loader: Loader,
    options: TrainOptions,
    device: torch.device,
    *,
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
    reporter: Reporter | None = None,
    stop: Stop | None = None,
) -> Curve:
    """Train while the rate rises, and give the losses.

    Args:
        task: Gives batches and loss.
        state: Network and optimizer, which are worth nothing afterwards.
        loader: Of the training pictures; no other is looked at.
        options: Of the run that the rate is for. Rate, schedule and length are the test's own, and every group of
            parameters takes part from beginning to end.
        low, high: The first and last rate.
        steps: At most.
        reporter: Told of progress.
        stop: Read after every step.

    Raises:
        TrainError: T301 where the loss is no number before there are :data:`FEWEST` of them.
        Stopped: When asked to.
    """
    # the loop's rate at step k of n is a share k / n of the way; the last step, n - 1, is to have the highest
    highest = low * (high / low) ** (steps / (steps - 1))
    options = dataclasses.replace(options, lr=highest, schedule=RISING, final_lr=low / highest, **_OFF)
    for group in state.optimizer.param_groups:
        group["until"] = 1.0
    window = max(SMOOTHED * (steps - 1) / math.log10(high / low), 1.0)
    seen = _Seen(window)
    told = _Told(reporter or Silent())
    ended = "steps"
    try:
        budget, loaders = Budget(steps=steps), loop.Loaders(loader)
        loop.fit(task, state, loaders, options, budget, device, seen, _Nowhere(), told, stop or Stop())
    except _Risen:
        ended = "risen"
    except TrainError as error:
        if error.code != "T301":
            raise
        ended = "not finite"
        if len(seen.losses) < FEWEST:
            raise TrainError(
                error.code,
                error.what,
                context=f"So early in a test of rates from {low:g} on, the rate is not what is wrong.",
                fix="--init he, or --precision fp32; or a lower --min-lr.",
            ) from None
    finally:
        told.reporter.end()
    return Curve(np.array(seen.rates), np.array(seen.losses), np.array(seen.smoothed), window, ended)


# what has no place in so few steps, or would change more than the rate
_OFF: dict[str, Any] = {
    "warmup": 0.0,
    "patience": 0,
    "validate_every": None,
    "save_every": None,
    "progressive": 0.0,
}


class _Risen(Exception):  # noqa: N818 (no error: the test has seen enough)
    """The loss is so high again that nothing more is to be learned."""


class _Seen(Log):
    """Takes the loop's rows in place of the tables of a run."""

    def __init__(self, window: float) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self._smooth = Smooth(window)

    def step(self, step: int, epoch: int, progress: float, lr: float, loss: float) -> None:
        self.rates.append(lr)
        self.losses.append(loss)
        self.smoothed.append(self._smooth(loss))
        if self.smoothed[-1] > RISEN * min(self.smoothed):
            raise _Risen

    def validated(self, row: Mapping[str, float]) -> None: ...
    def flush(self) -> None: ...


class _Nowhere:
    """Keeps no state and no weights."""

    def save(self, state: State) -> None: ...
    def best(self, state: State) -> None: ...


class _Told(Silent):
    """Passes on the steps; there is no validation to be told of."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter

    def begin(self, steps: int | None, seconds: float | None, done: int) -> None:
        self.reporter.begin(steps, seconds, done)

    def step(self, step: int, epoch: int, progress: float, loss: float, pictures: int) -> None:
        self.reporter.step(step, epoch, progress, loss, pictures)


@dataclass(frozen=True)
class Suggestion:
    """A rate, and how it was found.

    Args:
        rule: Its name.
        rate: None where the curve has no such place.
        about: The rule in words.
    """

    rule: str
    rate: float | None
    about: str


def suggestions(curve: Curve) -> tuple[Suggestion, ...]:
    """What the usual rules make of a curve; see each. None of them looks at what comes behind the lowest loss."""
    return tuple(Suggestion(name, rule(curve), about) for name, (rule, about) in RULES.items())


def falls(curve: Curve) -> bool:
    """Whether the smoothed loss falls by more than noise would: by eight of its standard deviations.

    The noise of single losses is taken from the differences of neighbours, which hardly know of the rate; that of their
    running average over w steps is smaller by the root of 2 w - 1.
    """
    first = _settled(curve)
    if len(curve.losses) <= first + 1:
        return False
    fall = float(curve.smoothed[first] - curve.smoothed[lowest(curve)])
    # of normal numbers: the median of |a - b| is .954 standard deviations
    noise = float(np.median(np.abs(np.diff(curve.losses[: lowest(curve) + 1])))) / 0.954
    return fall > _NOISE * noise / math.sqrt(2 * curve.window - 1)


def lowest(curve: Curve) -> int:
    """The step at which the smoothed loss was lowest."""
    first = _settled(curve)
    return first + int(np.argmin(curve.smoothed[first:]))


def steepest(curve: Curve) -> float | None:
    """Where the smoothed loss falls fastest as the logarithm of the rate rises: fastai's "steep"."""
    first, last = _settled(curve), lowest(curve)
    if not falls(curve) or last - first < 2:
        return None
    slope = np.gradient(curve.smoothed[first : last + 1], np.log(curve.rates[first : last + 1]))
    return float(curve.rates[first + int(np.argmin(slope))])


def third(curve: Curve) -> float | None:
    """A third of the rate at which the smoothed loss was lowest.

    Smith's rule of thumb, arXiv:1506.01186, section 3.3: of the largest rate that converges take 1/3 or 1/4; and at
    its lowest the loss is about to rise. How near it comes to the best of a grid: benchmarks/results/lr_find.json.
    """
    return float(curve.rates[lowest(curve)] / 3) if falls(curve) else None


def tenth(curve: Curve) -> float | None:
    """A tenth of the rate at which the smoothed loss was lowest: fastai's "minimum"."""
    return float(curve.rates[lowest(curve)] / 10) if falls(curve) else None


#: the first one is that to begin with
RULES = {
    "lowest / 3": (third, "a third of the rate at which the loss is lowest"),
    "lowest / 10": (tenth, "a tenth of it"),
    "steepest": (steepest, "where the loss falls fastest"),
}


def _settled(curve: Curve) -> int:
    """The first step whose average is one of some losses."""
    return min(FEWEST, max(len(curve.rates) - 1, 0))
