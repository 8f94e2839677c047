"""Which cells of a study are shown over which of its dimensions, where heat maps cannot show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dojang.study.axes import Axis, axis
from dojang.study.dimensions import Dimension, dimensions, limited
from dojang.study.plan import Plan
from dojang.study.results import Line

#: values of a dimension that have a row; of more, those with the best cells
ROWS = 60


@dataclass(frozen=True)
class Slice:
    """A dimension, the cells that are shown over it, and where they lie.

    Args:
        left_out: Values of the dimension that have no row.
        one_each: Whether each row has one cell, so that its figures can stand beside it.
    """

    dimension: Dimension
    lines: tuple[Line, ...]
    axis: Axis
    left_out: int
    one_each: bool


def slices(plan: Plan, lines: Sequence[Line]) -> list[Slice]:
    """A slice for each dimension: listed values are rows in the order of the file, numbers of a span an axis.

    Args:
        lines: The table, best first.
    """
    found = []
    for one in dimensions(plan):
        shown = limited(one, lines, ROWS)
        own = [line for line in lines if shown.has(line.cell)]
        single = one.span is None and len({shown.place(line.cell) for line in own}) == len(own)
        left_out = len(one.values) - len(shown.values)
        found.append(Slice(shown, tuple(own), axis(shown, own, rows=True), left_out, single))
    return found
