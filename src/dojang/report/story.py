"""Everything a run folder tells, read once: recipe, environment, scores, answers, curves. What is absent stays out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dojang import files
from dojang.errors import ConfigError
from dojang.evaluate import kept
from dojang.evaluate.kept import Kept
from dojang.models import weights
from dojang.runs import folder as names
from dojang.runs import recipe as recipes
from dojang.runs.recipe import Recipe
from dojang.train.log import read_table

#: what metrics.json calls runs of one recipe that were put together
REPEATS = ("folds", "seeds")


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
    def repeated(self) -> tuple[str, dict[str, Any]] | None:
        """("folds" or "seeds", what metrics.json says of them) where several runs were put together."""
        return next(((kind, self.metrics[kind]) for kind in REPEATS if kind in self.metrics), None)

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
    metrics = _json(folder / names.METRICS)
    made = [one["name"] for kind in REPEATS for one in metrics.get(kind, {}).get("runs", [])]
    # a name that leads elsewhere was not written by dojang
    inside = [name for name in made if isinstance(name, str) and name == Path(name).name]
    parts = [read(folder / name) for name in inside if (folder / name / names.ARGS).exists()]
    return Story(
        folder=folder,
        recipe=recipe,
        facts=facts,
        environment=_json(folder / names.ENVIRONMENT),
        metrics=metrics,
        kept=_whole(folder / names.PREDICTIONS, lambda: kept.read(folder)),
        results=_table(folder / names.RESULTS),
        steps=_table(folder / names.STEPS),
        bad=len(_table(folder / names.BAD)),
        card=_card(folder),
        parts=parts,
    )


def _json(path: Path) -> dict[str, Any]:
    found = _whole(path, lambda: json.loads(files.read_text(path))) if path.exists() else {}
    return found if isinstance(found, dict) else {}


def _table(path: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = _whole(path, lambda: read_table(path)) if path.exists() else []
    return found


def _whole(path: Path, reading: Any) -> Any:
    """What a file holds; a run folder that was edited by hand, or half copied, is said to be."""
    try:
        return reading()
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise ConfigError(
            "C223",
            f"cannot read {str(path)!r}: it is not as dojang wrote it ({type(error).__name__}: {str(error)[:80]}).",
            fix=f"dojang val {path.parent}, to write it anew; or bring back the file.",
        ) from None


def _card(folder: Path) -> weights.Card | None:
    for name in (names.BEST, names.LAST):
        if (folder / name).exists():
            return weights.card_of(folder / name)
    return None
