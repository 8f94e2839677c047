"""Which cell of a study lies in which square of a heat map, and how many heat maps there are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from dojang.study.dimensions import Dimension, dimensions, limited
from dojang.study.plan import Plan
from dojang.study.results import Line

#: heat maps that are drawn; of more, those that have the best cells
PANELS = 16
#: rows, and columns, of a heat map; of more, those that have the best cells
VALUES = 60


@dataclass(frozen=True)
class Panel:
    """One heat map: the cells that have the same values of all that are neither its rows nor its columns.

    Args:
        fixed: Those values in words, by dimension; none where there are two dimensions.
        squares: Row by row; None where no such cell was drawn. Where a search drew it twice, the one that stands
            higher in the table: both had the same seeds.
    """

    fixed: tuple[tuple[str, str], ...]
    squares: tuple[tuple[Line | None, ...], ...]

    @property
    def name(self) -> str:
        """In words: ``relu, batch_size 16``."""
        return ", ".join(value if name == "variant" else f"{name} {value}" for name, value in self.fixed)


@dataclass(frozen=True)
class HeatMap:
    """All heat maps of a study.

    Args:
        rows, columns: The two dimensions with the most values, in the order of the file.
        others: The other dimensions.
        panels: In the order of the file.
        left_out: How many are not among them.
        cut: Of rows and columns that have more values than are shown: name, values shown, values that there are.
    """

    rows: Dimension
    columns: Dimension
    others: tuple[Dimension, ...]
    panels: tuple[Panel, ...]
    left_out: int
    cut: tuple[tuple[str, int, int], ...]


def heat_map(plan: Plan, lines: Sequence[Line], most: int = PANELS, values: int = VALUES) -> HeatMap:
    """The heat maps of a study that has squares (:func:`dojang.study.dimensions.has_squares`).

    Args:
        lines: Its table, best first.
        most: Heat maps; of more, those that have the best cells are taken.
        values: Rows and columns; likewise.
    """
    found = dimensions(plan)
    # with equal numbers of values the earlier ones
    both = sorted(sorted(found, key=lambda one: -len(one.values))[:2], key=found.index)
    others = [one for one in found if one not in both]
    rows, columns = (limited(one, lines, values) for one in both)
    held: dict[tuple[int, ...], dict[tuple[int, int], Line]] = {}
    for line in lines:
        if rows.has(line.cell) and columns.has(line.cell):
            panel = held.setdefault(tuple(one.place(line.cell) for one in others), {})
            panel.setdefault((rows.place(line.cell), columns.place(line.cell)), line)
    # lines come best first, and so do the panels that they fall into
    taken = sorted(itertools.islice(held, most))
    return HeatMap(
        rows,
        columns,
        tuple(others),
        tuple(Panel(_fixed(others, key), _squares(rows, columns, held[key])) for key in taken),
        len(held) - len(taken),
        tuple(
            (shown.name, len(shown.values), len(whole.values))
            for shown, whole in zip((rows, columns), both, strict=True)
            if len(shown.values) < len(whole.values)
        ),
    )


def _fixed(others: Sequence[Dimension], key: Sequence[int]) -> tuple[tuple[str, str], ...]:
    return tuple((one.name, one.words[place]) for one, place in zip(others, key, strict=True))


def _squares(
    rows: Dimension, columns: Dimension, held: dict[tuple[int, int], Line]
) -> tuple[tuple[Line | None, ...], ...]:
    return tuple(tuple(held.get((i, j)) for j in range(len(columns.values))) for i in range(len(rows.values)))
