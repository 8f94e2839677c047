"""Several runs of one recipe, one after the other, each in a folder of its own; killed at any moment, they go on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dojang import files, folders
from dojang.data.prepare import Prepared
from dojang.errors import ConfigError
from dojang.runs import folder as names
from dojang.runs import recipe as recipes
from dojang.runs import session
from dojang.runs.carry import surroundings, to_the_end
from dojang.runs.recipe import Recipe
from dojang.runs.session import Session
from dojang.runs.validate import metrics_of
from dojang.train.guard import Stop
from dojang.train.log import Reporter, Silent
from dojang.train.state import Keeper


@dataclass(frozen=True)
class Part:
    """One of the runs.

    Args:
        name: Of its folder.
        prepared: Its pictures; all runs may share one store.
        changes: Options in which it differs from the recipe of them all.
    """

    name: str
    prepared: Prepared
    changes: Mapping[str, Any] = field(default_factory=dict)


class _Bar(Silent):
    """Passes on how far training is, and nothing that scrolls."""

    def __init__(self, reporter: Reporter) -> None:
        self.begin, self.step, self.end = reporter.begin, reporter.step, reporter.end  # type: ignore[method-assign]


class _Words(_Bar):
    """Passes on what is worth knowing, too."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(reporter)
        self.note = reporter.note  # type: ignore[method-assign]


def train(
    folder: Path,
    recipe: Recipe,
    parts: Sequence[Part],
    facts: Mapping[str, Any],
    *,
    device: torch.device,
    model: nn.Module | None,
    reporter: Reporter,
    stop: Stop,
    line: Callable[[Part, Mapping[str, Any]], str],
) -> Recipe:
    """Train those of the runs that are not finished yet.

    Each is a whole run: it can be scored, asked and looked at by its own folder. A network given as an object is
    copied for each of them, and stays as it was.

    Args:
        folder: That theirs are made in; its args.yaml and env.json are written once the first network stands.
        recipe: Of them all, settled.
        facts: What args.yaml says beside the recipe.
        line: What is to be said of a run when it is finished, from its metrics.

    Returns:
        The recipe with nothing left open.

    Raises:
        TrainError: T320 when stopped by a signal; ``--resume`` of the folder goes on with the run that was stopped.
        ConfigError: C218 where a run was begun on other pictures.
    """
    for part in parts:
        place = folders.numbered(folder, part.name, exist_ok=True)
        metrics = metrics_of(place)
        if "training" not in metrics:
            with files.locked(place / names.LOCK, f"{str(place)!r}"):
                work = _session(place, recipe, part, facts, device, copy.deepcopy(model), reporter, stop)
                if not (folder / names.ARGS).exists():
                    # what was decided by the first network holds for all
                    recipe = recipe.replace(precision=work.recipe.train.precision)
                    session.write_card(folder, recipe, facts, surroundings(recipe, device))
                to_the_end(work, whole=folder)
                reporter.end()
            metrics = metrics_of(place)
        reporter.note(line(part, metrics))
    return recipe


def _session(
    place: Path,
    recipe: Recipe,
    part: Part,
    facts: Mapping[str, Any],
    device: torch.device,
    model: nn.Module | None,
    reporter: Reporter,
    stop: Stop,
) -> Session:
    """The session of a run: fresh, or where its last state stands."""
    folders.clear_temporaries(place)
    found = part.prepared.manifest.fingerprint()
    if (place / names.ARGS).exists() and Keeper(place / names.STATE).files():
        own, its = recipes.load(place / names.ARGS)
        if its["data_sha256"] != found:
            raise ConfigError(
                "C218",
                f"{str(place)!r} was begun on other pictures: their digest was {its['data_sha256'][:16]}..., now it is "
                f"{found[:16]}....",
                fix="bring the data back, or train anew.",
            )
        work = Session(place, own, part.prepared, device, model, _Words(reporter), stop, its["segments"])
        work.resume()
        work.put_right()
        return work
    names.clear(place)
    files.write_text(place / names.SPLITS, part.prepared.manifest.to_csv())
    fixed = {"splits": str((place / names.SPLITS).absolute()), "val": None, "test": None, "folds": None, "seeds": None}
    mine = recipe.replace(**fixed, project=str(place.parent), name=place.name, **part.changes)
    told = _Words if not (place.parent / names.ARGS).exists() else _Bar
    work = Session(place, mine, part.prepared, device, model, told(reporter), stop, [])
    around = surroundings(work.recipe, device)
    if work.agreement:
        around["bf16_against_fp32"] = work.agreement.as_dict()
    session.write_card(place, work.recipe, dict(facts) | {"data_sha256": found, "segments": []}, around)
    return work
