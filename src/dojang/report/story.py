"""Everything a run folder tells, read once: recipe, environment, scores, answers, curves. What is absent stays out."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dojang import files
from dojang.data.manifest import plain
from dojang.errors import ConfigError
from dojang.evaluate import kept, several
from dojang.evaluate.answered import aside
from dojang.evaluate.files import metrics_in
from dojang.evaluate.kept import Kept
from dojang.models import weights
from dojang.runs import folder as names
from dojang.runs import recipe as recipes
from dojang.runs.recipe import Recipe
from dojang.train.log import read_table


@dataclass(frozen=True)
class Story:
    """A run, or several that belong together.

    Args:
        folder: The run folder.
        recipe, facts: What args.yaml holds: options, and what is no option (data, task, segments).
        environment: What env.json holds.
        metrics: What metrics.json holds; empty for a run that is not finished.
        kept: The answers to the pictures that judge; None where there are none.
        results, steps: Rows of results.csv and steps.csv.
        bad: Pictures that could not be read.
        card: Of the weights; None where there are none.
        parts: The runs of a cross-validation, or of several seeds.
    """

    folder: Path
    recipe: Recipe
    facts: dict[str, Any]
    environment: dict[str, Any]
    metrics: dict[str, Any]
    kept: Kept | None
    results: list[dict[str, str]]
    steps: list[dict[str, str]]
    bad: int
    card: weights.Card | None
    parts: list[Story] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.folder.resolve().name

    @property
    def splits(self) -> list[str]:
        """Splits with scores, the one that judges first."""
        scored = [name for name, value in self.metrics.items() if isinstance(value, dict) and "top1" in value]
        known = [name for name in kept.JUDGING if name in scored]
        return known + [name for name in scored if name not in known]

    @property
    def finished(self) -> bool:
        """Whether training came to its end, as metrics.json says or, where that is gone, weights and curves do."""
        if "training" in self.metrics:
            return True
        if self.card is None:
            return False
        # what known pictures look like is written at the end; older weights do not say
        ended = self.results and float(self.results[-1]["epoch"]) >= self.recipe.train.epochs
        return "familiar" in self.card.extra or bool(ended)

    @property
    def chosen(self) -> tuple[str, str] | None:
        """(score, split) by which the weights were chosen; None where nothing was chosen, or it is not known."""
        for one in (self, *self.parts[:1]):
            weights, training = one.metrics.get("weights"), one.metrics.get("training", {})
            if weights is not None:
                by = weights.get("chosen_by")
                return (by, weights.get("chosen_on") or "val") if by else None
            if training.get("weights") is not None:
                best = training["weights"] == Path(names.BEST).name
                return (one.recipe.train.monitor, "val") if best else None
        return None

    @property
    def best_step(self) -> int | None:
        """The step of the weights that were chosen, where it is known."""
        training = self.metrics.get("training", {})
        best = training.get("weights") == Path(names.BEST).name and "steps" in training
        return training.get("step") if best else None

    @property
    def repeated(self) -> tuple[str, dict[str, Any]] | None:
        """("folds" or "seeds", what metrics.json says of them) where several runs were put together."""
        return several.repeated(self.metrics)

    def scores(self, split: str) -> dict[str, dict[str, Any]]:
        """The scores of a split that are a number with an interval, by name."""
        found = self.metrics.get(split, {})
        return {name: value for name, value in found.items() if isinstance(value, dict) and "value" in value}


def read(run: str | Path) -> Story:
    """What there is to tell of a run.

    Args:
        run: The run folder, or anything in it.

    Raises:
        ConfigError: C215 where it is no run folder, C213 and C214 where its args.yaml cannot be used, C223 where one of
            its files is broken.
    """
    folder = names.find(run)
    recipe, facts = recipes.load(folder / names.ARGS)
    metrics = metrics_in(folder)
    parts = [read(folder / name) for name in several.parts(metrics) if (folder / name / names.ARGS).exists()]
    return Story(
        folder=folder,
        recipe=recipe,
        facts=facts,
        environment=_json(folder / names.ENVIRONMENT),
        metrics=metrics,
        kept=kept.read(folder),
        results=_table(folder / names.RESULTS, ("step", "epoch")),
        steps=_table(folder / names.STEPS, ("step", "lr", "loss")),
        bad=len(_table(folder / names.BAD)),
        card=_card(folder),
        parts=parts,
    )


def _json(path: Path) -> dict[str, Any]:
    def reading() -> dict[str, Any]:
        found = json.loads(files.read_text(path))
        if not isinstance(found, dict):
            raise ValueError("no table")
        return found

    found: dict[str, Any] = _whole(path, reading) if path.exists() else {}
    return found


def _table(path: Path, needed: Sequence[str] = ()) -> list[dict[str, str]]:
    """The rows of a table; of one with needed columns all that is shown of it is sure to be a number."""

    def reading() -> list[dict[str, str]]:
        rows = read_table(path)
        for line, row in enumerate(rows, 2):
            for name, value in row.items():
                if name in needed or (needed and str(name).startswith(("train/", "val/")) and value):
                    try:
                        number = float(value)
                    except (TypeError, ValueError):
                        raise ValueError(f"line {line:,}: {name} is {value!r}") from None
                    if name in ("step", "epoch") and not (math.isfinite(number) and number >= 0):
                        raise ValueError(f"line {line:,}: {name} is {value!r}")
            if missing := [name for name in needed if name not in row]:
                raise ValueError(f"no column {missing[0]}")
        return rows

    found: list[dict[str, str]] = _whole(path, reading) if path.exists() else []
    return found


def _whole(path: Path, reading: Callable[[], Any]) -> Any:
    """What a file holds; a run folder that was edited by hand, or half copied, is said to be."""
    try:
        return reading()
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, csv.Error) as error:
        raise ConfigError(
            "C223",
            f"cannot read {plain(str(path))!r}: it is not as dojang wrote it "
            f"({type(error).__name__}: {plain(str(error))[:80]}).",
            fix=f"bring back the file; or go without it: {aside(path)}",
        ) from None


def _card(folder: Path) -> weights.Card | None:
    for name in (names.BEST, names.LAST):
        if (folder / name).exists():
            return weights.card_of(folder / name)
    return None
