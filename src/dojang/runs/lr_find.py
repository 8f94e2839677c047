"""The learning-rate finder: a range test of the run that a recipe would begin. Nothing of its network is kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from dojang import files, folders
from dojang.data.manifest import csv_line
from dojang.data.prepare import bad_pictures
from dojang.errors import ConfigError
from dojang.runs import train
from dojang.runs.carry import machine
from dojang.runs.folder import outside
from dojang.runs.recipe import Recipe
from dojang.runs.session import Session
from dojang.train import loop
from dojang.train.guard import Stop
from dojang.train.log import Reporter, Silent
from dojang.train.range_test import HIGH, LOW, STEPS, Curve, Suggestion, falls, lowest, range_test, suggestions

#: where it leaves its files, unless somebody says otherwise
PROJECT, NAME = "runs/lr-find", "find"
TABLE, PICTURE, FACTS = "lr_find.csv", "lr_find.png", "lr_find.json"
FORMAT = 1
#: what a recipe says and a range test decides itself, or has no use for
UNUSED = (
    *("lr", "epochs", "time", "schedule", "warmup", "final_lr", "ema", "progressive", "monitor", "patience"),
    *("validate_every", "train_sample", "save_every"),
)
#: steps below which the curve is a zigzag, and above which a test is longer than the run
FEWEST, MOST = 20, 100_000
#: rates between which fp32 tells one from the next, and beyond which no optimizer learns
LEAST, GREATEST = 1e-12, 1e4


@dataclass(frozen=True)
class Found:
    """What a range test found.

    Args:
        curve: Rates and losses, step by step.
        recipe: Of the run that it is for, fully resolved; its lr is the one that it would have without this.
        suggestions: By rule, the one to begin with first; their rates are None where the loss did not fall.
    """

    curve: Curve
    recipe: Recipe
    suggestions: tuple[Suggestion, ...]

    @property
    def lr(self) -> float | None:
        """The rate to begin with; None where the loss did not fall."""
        return self.suggestions[0].rate

    @property
    def lowest(self) -> tuple[float, float]:
        """The rate at which the smoothed loss was lowest, and that loss."""
        step = lowest(self.curve)
        return float(self.curve.rates[step]), float(self.curve.smoothed[step])

    @property
    def ended(self) -> str:
        """How the test ended, in words."""
        rate = short(float(self.curve.rates[-1]))
        return {
            "steps": f"it went to its end, {rate}: the loss did not rise to four times its lowest",
            "risen": f"it ended at {rate}, where the loss was four times its lowest",
            "not finite": f"it ended behind {rate}, where loss or gradient was no number any more",
        }[self.curve.ended]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        t, (rate, loss) = self.recipe.train, self.lowest
        return {
            "lr": self.lr,
            "suggestions": {one.rule: one.rate for one in self.suggestions},
            "falls": falls(self.curve),
            "lowest": {"lr": rate, "loss": loss},
            "ended": self.curve.ended,
            "steps": len(self.curve.rates),
            "min_lr": float(self.curve.rates[0]),
            "last_lr": float(self.curve.rates[-1]),
            "model": self.recipe.model.model,
            "optimizer": t.optimizer,
            "momentum": t.momentum,
            "weight_decay": t.weight_decay,
            "batch_size": t.batch_size,
            "precision": t.precision,
            "seed": t.seed,
        }

    def csv(self) -> str:
        """A line for each step: rate, loss, smoothed loss."""
        lines = [csv_line(("step", "lr", "loss", "smoothed"))]
        for step, row in enumerate(zip(self.curve.rates, self.curve.losses, self.curve.smoothed, strict=True), 1):
            lines.append(csv_line((str(step), *(repr(float(value)) for value in row))))
        return "".join(lines)

    def picture(self) -> bytes:
        """Loss against rate with what is suggested, as PNG bytes."""
        from dojang.runs import lr_picture

        return lr_picture.draw(self)

    def _repr_png_(self) -> bytes:
        return self.picture()

    def __repr__(self) -> str:
        told = ", ".join(f"{one.rule} {'none' if one.rate is None else short(one.rate)}" for one in self.suggestions)
        return f"Found({told})"


def find(
    data: Any,
    layers: Sequence[Mapping[str, Any]] = (),
    *,
    model: nn.Module | None = None,
    min_lr: float = LOW,
    max_lr: float = HIGH,
    steps: int = STEPS,
    reporter: Reporter | None = None,
    stop: Stop | None = None,
) -> Found:
    """Train a throw-away copy of a network while its rate rises.

    Data, network, batch size, optimizer, weight decay, precision and augmentation are those of the run; only training
    pictures are seen. The recipe's :data:`UNUSED` options change nothing.

    Args:
        data, layers, model: As of :func:`dojang.runs.train.begin`; the module is copied.
        min_lr, max_lr: Rates between which it rises, in equal ratios.
        steps: At most.
        reporter: Told of progress.
        stop: Read after every step.

    Raises:
        ConfigError: C202 for rates or steps that cannot be, C204 for a recipe of several runs.
        DojangError: Those of a run.
        TrainError: T301 where the loss is no number from the first steps on.
    """
    reporter = reporter or Silent()
    check(min_lr, max_lr, steps)
    # averaged weights learn nothing; half of a time would be for the head
    off: dict[str, Any] = {"ema": 0.0, "time": None, "progressive": 0.0, "train_sample": 0}
    opened = train.ready(data, layers, model, reporter)
    recipe, prepared = opened.recipe, opened.prepared
    if recipe.run.folds is not None or recipe.run.seeds is not None:
        word = "folds" if recipe.run.folds is not None else "seeds"
        raise ConfigError("C204", f"the finder trains one network; --{word} is for runs.", fix=f"leave out --{word}.")
    if prepared.bad:
        if recipe.data.bad == "stop":
            raise bad_pictures(prepared.bad, len(prepared.bad) + len(prepared.manifest), "")
        reporter.note(f"{len(prepared.bad):,} pictures that cannot be read are left out")
    own = copy.deepcopy(model)
    with folders.scratch() as place, machine(recipe.train):
        work = Session(place, recipe.replace(**off), prepared, opened.device, own, reporter, stop or Stop(), [])
        work.loaders = loop.Loaders(work.loaders.train)
        t = work.recipe.train
        reporter.note(
            f"range test: {words(recipe)}, {t.precision} on {opened.device}; "
            f"lr from {short(min_lr)} to {short(max_lr)} in {steps} steps"
        )
        work.prime()
        curve = range_test(
            work.task, work.state, work.loaders.train, t, opened.device,
            low=min_lr, high=max_lr, steps=steps, reporter=reporter, stop=stop,
        )  # fmt: skip
    settled = recipe.replace(precision=work.recipe.train.precision)
    return Found(curve, settled, suggestions(curve))


def write(found: Found, project: str | Path = PROJECT, name: str = NAME, data: str = "") -> Path:
    """Leave table, picture and facts in a folder of their own; nothing is overwritten.

    Args:
        data: Its name or place, for the facts.

    Raises:
        ConfigError: C244 where the folder would lie inside the data, C202 for a name that is none.
    """
    folder = folders.numbered(outside(project, data), name)
    files.write_text(folder / TABLE, found.csv())
    files.write_bytes(folder / PICTURE, found.picture())
    files.write_json(folder / FACTS, {"format": FORMAT, "data": data, **found.as_dict()})
    return folder


def words(recipe: Recipe) -> str:
    """Network, optimizer and batch of a recipe."""
    t = recipe.train
    momentum = f" with momentum {t.momentum:g}" if t.optimizer == "sgd" and t.momentum else ""
    return f"{Path(recipe.model.model).name}, {t.optimizer}{momentum}, batch {t.batch_size}"


def short(rate: float) -> str:
    """A rate in words, of two digits.

    >>> short(0.0123456), short(1e-06), short(10.0)
    ('0.012', '1e-06', '10')
    """
    return f"{rate:.2g}"


def check(min_lr: float, max_lr: float, steps: int) -> None:
    """Refuse rates that do not rise by ten times or that no run has, and too few or many steps. Raises C202."""
    for flag, rate, usual in (("--min-lr", min_lr, LOW), ("--max-lr", max_lr, HIGH)):
        if math.isfinite(rate) and not (rate <= 0 or LEAST <= rate <= GREATEST):
            raise ConfigError(
                "C202", f"{flag} is {rate:g}; expected {LEAST:g} to {GREATEST:g}.", fix=f"{flag} {usual:g}"
            )
    if not (math.isfinite(min_lr) and math.isfinite(max_lr) and min_lr > 0 and 10 * min_lr <= max_lr):
        raise ConfigError(
            "C202",
            f"the rate cannot rise from {min_lr:g} to {max_lr:g}; expected ten times the first, or more.",
            fix="--min-lr 1e-6 --max-lr 10",
        )
    if not FEWEST <= steps <= MOST:
        raise ConfigError("C202", f"steps is {steps}; expected {FEWEST} to {MOST:,}.", fix=f"--steps {STEPS}")
