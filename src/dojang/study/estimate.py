"""What a study will cost, from a trial of some of its cells: a few seconds of real training each, thrown away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from dojang import folders
from dojang.errors import DojangError
from dojang.runs import recipe as recipes
from dojang.runs import train, validate
from dojang.runs.recipe import read_layer
from dojang.study.plan import Cell, Plan, layer

#: cells that are tried, and seconds each trains
TRIED, SECONDS = 4, 2.0


@dataclass(frozen=True)
class Estimate:
    """What was measured, and what follows from it.

    Args:
        seconds: Of all runs, side by side as they will be; None where no cell could be tried.
        tried: Cells, and what a run of each would take in seconds.
        failed: Cells that could not be trained, and why.
    """

    seconds: float | None
    tried: dict[str, float]
    failed: dict[str, str]


def estimate(
    plan: Plan, threads: int, at_once: int, tick: Callable[[int, int], None] = lambda done, total: None
) -> Estimate:
    """Train some cells for two seconds each, with the threads that their runs will have.

    A run's time is what it takes to begin and to be scored, and its steps at the pace of the trial. Several at once get
    in each other's way, which is not in the figure.
    """
    cells = plan.cells()
    last = max(len(cells) - 1, 1)
    chosen = sorted({round(i * (len(cells) - 1) / min(TRIED - 1, last)) for i in range(min(TRIED, len(cells)))})
    tried, failed = {}, {}
    for done, number in enumerate(chosen, 1):
        cell = cells[number]
        try:
            tried[cell.name] = _run(plan, cell, threads)
        except DojangError as error:
            failed[cell.name] = f"{error.code}: {error.what}"
        tick(done, len(chosen))
    if not tried:
        return Estimate(None, tried, failed)
    runs = plan.count * len(plan.seeds)
    mean = sum(tried.values()) / len(tried)
    # the last ones may have no others beside them
    rounds = -(-runs // at_once)
    return Estimate(mean * rounds, tried, failed)


def _run(plan: Plan, cell: Cell, threads: int) -> float:
    """Seconds that a run would take."""
    options = {**plan.recipe, **cell.changes}
    budget = recipes.resolve([options]).train.time
    with folders.scratch() as place:
        given = layer({name: value for name, value in options.items() if name not in ("epochs", "patience")})
        given |= {"time": f"{SECONDS}s", "threads": threads, "seed": plan.seeds[0]}
        given |= {"project": str(place / "runs"), "name": "trial"}
        began = time.perf_counter()
        folder = train.begin(plan.data, [read_layer(given, "the study")])
        around = time.perf_counter() - began
        training = validate.metrics_of(folder)["training"]
        settled, _ = recipes.load(folder / "args.yaml")
        around -= float(training["seconds"])
        if budget is not None:
            return budget + around
        pictures = sum(1 for line in (folder / "splits.csv").read_text("utf-8").splitlines() if ",train," in line)
    epochs = recipes.resolve([options]).train.epochs
    steps = epochs * max(pictures // settled.train.batch_size, 1)
    return around + float(steps * training["seconds"] / max(training["steps"], 1))
