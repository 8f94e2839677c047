"""Tables of studies that were never trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dojang.study import results
from dojang.study.plan import Cell, Plan
from dojang.study.results import Line, Row

Score = Callable[[Cell, int], float | str | None]
GRID: dict[str, tuple[Any, ...]] = {"optimizer": ("adam", "sgd"), "batch_size": (16, 64, 256)}


def plan_of(**given: Any) -> Plan:
    return Plan(data="digits", **({"recipe": {"model": "mlp"}} | given))


def rows_of(plan: Plan, score: Score) -> dict[tuple[int, int], Row]:
    """A number is a run's score, a word how it ended, None is no run."""
    rows = {}
    for cell in plan.cells():
        for seed in plan.seeds:
            found = score(cell, seed)
            if isinstance(found, str):
                rows[cell.number, seed] = Row(cell.number, cell.name, seed, found, error="E")
            elif found is not None:
                scores = {f"val/{plan.score}": found}
                rows[cell.number, seed] = Row(cell.number, cell.name, seed, "done", 3, 1.0, "", scores)
    return rows


def lines_of(plan: Plan, score: Score) -> list[Line]:
    return results.lines(plan, "val", plan.cells(), rows_of(plan, score))


def one_each(cell: Cell, seed: int) -> float:
    """Another score for each cell, nearly the same for its seeds."""
    return 0.5 + cell.number / 100 + (seed * 7 + cell.number) % 3 / 10_000
