"""The cells of a study by learning rate: those that differ in nothing else stand in one series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dojang.errors import ConfigError
from dojang.study import results
from dojang.study.results import Line

if TYPE_CHECKING:
    from dojang.study.drawings import Scene
    from dojang.study.plan import Cell, Plan


@dataclass(frozen=True)
class Series:
    """Cells that differ in their rate alone.

    Args:
        name: What they share, in words.
        changes: The same as options, without the rate.
        points: Rate and line of the table, by rising rate; none where its cells have no rate of their own.
    """

    name: str
    changes: Mapping[str, Any]
    points: tuple[tuple[float, Line], ...] = ()

    def best(self, higher: bool) -> tuple[float, Line] | None:
        """The point with the best mean; None where no run was finished.

        A rate at which some runs broke off is the best only where no rate is without: its mean is that of lucky seeds.
        """
        done = [point for point in self.points if point[1].values]
        done = [point for point in done if not point[1].failed] or done
        return max(done, key=lambda point: point[1].mean if higher else -point[1].mean, default=None)

    @property
    def broken(self) -> list[float]:
        """Rates at which runs broke off."""
        return [rate for rate, line in self.points if line.failed]


def series(scene: Scene) -> list[Series]:
    """The series of a study, in the order of its cells."""
    found: dict[str, tuple[str, Mapping[str, Any], list[tuple[float, Line]]]] = {}
    lines = results.lines(scene.plan, scene.settings.judge, scene.cells, scene.rows)
    for line in sorted(lines, key=lambda line: line.cell.number):
        rest = {name: value for name, value in line.cell.changes.items() if name != "lr"}
        points = found.setdefault(repr(sorted(rest.items())), (_name(line.cell, scene.plan), rest, []))[2]
        if line.cell.changes.get("lr") is not None:
            points.append((float(line.cell.changes["lr"]), line))
    return [
        Series(name, rest, tuple(sorted(points, key=lambda point: point[0]))) for name, rest, points in found.values()
    ]


def must_have_rates(plan: Plan, drawing: str) -> None:
    """Refuse a drawing by rate of a study whose cells do not differ in theirs. Raises ConfigError C280."""
    # what a search draws is not known beforehand, and no two of its cells differ in the rate alone
    cells = [] if plan.search else plan.cells()
    if len({cell.changes["lr"] for cell in cells if cell.changes.get("lr") is not None}) < 2:
        raise ConfigError(
            "C280",
            f"{drawing} is drawn by learning rate, and the study has no two rates in its grid or variants.",
            fix="grid: {lr: [0.001, 0.01, 0.1]}",
        )


def _name(cell: Cell, plan: Plan) -> str:
    """A cell in words, without its rate."""
    from dojang.study import plan as plans

    fields = {name: value for name, value in cell.fields.items() if name != "lr"}
    # a variant that says no more than its rate has the name of one
    variant = "" if set(plan.variants.get(cell.variant, ())) == {"lr"} else cell.variant
    return plans.Cell(0, variant, fields, {}).name
