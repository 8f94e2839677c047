"""What a study will cost, from a trial of some of its cells: a few seconds of real training each, thrown away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dojang import files, folders
from dojang.runs import folder as names
from dojang.runs import recipe as recipes
from dojang.runs import validate
from dojang.study import engines
from dojang.study.plan import Cell, Plan, layer
from dojang.study.work import Job

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
    plan: Plan,
    threads: int,
    at_once: int,
    device: str = "cpu",
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Estimate:
    """Train some cells for two seconds each, side by side as the runs of the study will be.

    A run's time is what it takes to begin and to be scored, and its steps at the pace of the trial. Where fewer cells
    are tried than go side by side, some are tried more than once, so that all of them have company.

    Args:
        threads: Of each run.
        at_once: How many go side by side.
        tick: Told how many trials are done, of how many.
    """
    cells = plan.cells()
    last = max(len(cells) - 1, 1)
    chosen = sorted({round(i * (len(cells) - 1) / min(TRIED - 1, last)) for i in range(min(TRIED, len(cells)))})
    runs = plan.count * len(plan.seeds)
    # as many in each round
    rounds = -(-len(chosen) // at_once)
    tried_ = [cells[chosen[i % len(chosen)]] for i in range(min(rounds * at_once, max(runs, len(chosen))))]
    found: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    with folders.scratch() as place:
        jobs = [_job(plan, cell, threads, device, place / f"trial-{i}") for i, cell in enumerate(tried_)]
        done = engines.run(jobs, engine="processes", at_once=at_once, threads=threads, stopped=lambda: False)
        for count, (number, outcome) in enumerate(done, 1):
            cell = tried_[number]
            if outcome.status == "done":
                found.setdefault(cell.name, []).append(_seconds(plan, cell, Path(jobs[number].folder), outcome.seconds))
            else:
                failed[cell.name] = outcome.error
            tick(count, len(jobs))
    tried = {name: sum(values) / len(values) for name, values in found.items()}
    if not tried:
        return Estimate(None, tried, failed)
    mean = sum(tried.values()) / len(tried)
    # the last ones may have no others beside them
    return Estimate(mean * -(-runs // at_once), tried, failed)


def _job(plan: Plan, cell: Cell, threads: int, device: str, folder: Path) -> Job:
    """A trial of a cell: its recipe, with a budget of seconds."""
    options = {**plan.recipe, **cell.changes}
    given = layer({name: value for name, value in options.items() if name not in ("epochs", "patience")})
    given |= {"time": f"{SECONDS}s", "threads": threads, "device": device, "seed": plan.seeds[0]}
    data = Path(plan.data)
    return Job(str(folder), str(data.absolute()) if data.exists() else plan.data, given)


def _seconds(plan: Plan, cell: Cell, folder: Path, whole: float) -> float:
    """Seconds that a run would take, by a trial of it."""
    options = recipes.resolve([{**plan.recipe, **cell.changes}]).train
    training = validate.metrics_of(folder)["training"]
    around = whole - float(training["seconds"])
    if options.time is not None:
        return options.time + around
    settled, _ = recipes.load(folder / names.ARGS)
    pictures = sum(1 for line in files.read_text(folder / names.SPLITS).splitlines() if ",train," in line)
    steps = options.epochs * max(pictures // settled.train.batch_size, 1)
    return around + float(steps * training["seconds"] / max(training["steps"], 1))
