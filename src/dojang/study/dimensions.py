"""In what the cells of a study differ: its variants, and the fields that its grid or search chooses."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dojang.data.manifest import plain
from dojang.study.plan import Cell, Plan, shown
from dojang.study.search import Span

if TYPE_CHECKING:
    from dojang.study.results import Line

VARIANT = "variant"


@dataclass(frozen=True)
class Dimension:
    """One thing in which cells differ.

    Args:
        name: Of the field; "variant".
        values: That are listed, in the order of the file; none where numbers are drawn from a span.
        span: Of those numbers.
        variants: Whether it is the study's variants.
    """

    name: str
    values: tuple[Any, ...]
    span: Span | None = None
    variants: bool = False

    def of(self, cell: Cell) -> Any:
        """Its value in a cell."""
        if self.variants:
            return cell.variant
        # where nothing differs, all cells have the one value
        return cell.fields[self.name] if self.name in cell.fields else self.values[0]

    def place(self, cell: Cell) -> int:
        """The number of its value in a cell, among those that are listed."""
        # by how it is written, since True is equal to 1
        return self._places[repr(self.of(cell))]

    def has(self, cell: Cell) -> bool:
        """Whether a cell's value is one of those that are listed, or a number of the span."""
        return self.span is not None or repr(self.of(cell)) in self._places

    @functools.cached_property
    def words(self) -> tuple[str, ...]:
        """The listed values, in words."""
        return tuple(plain(value if self.variants else shown(value)) for value in self.values)

    @property
    def numbers(self) -> bool:
        """Whether all of its values are numbers, each another."""
        if self.span is not None:
            return True
        kept = [v for v in self.values if isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v)]
        return len(set(map(float, kept))) == len(self.values)

    @functools.cached_property
    def _places(self) -> Mapping[str, int]:
        return {repr(value): number for number, value in enumerate(self.values)}


def dimensions(plan: Plan) -> list[Dimension]:
    """In what the cells of a study can differ, variants first, then fields as in the file.

    What has one value is no dimension; a study in which nothing differs has one, with one value.
    """
    found = [Dimension(VARIANT, tuple(plan.variants), variants=True)] if plan.variants else []
    found += [Dimension(name, tuple(values)) for name, values in plan.grid.items()]
    for name, one in plan.search.space.items() if plan.search else ():
        found.append(Dimension(name, (), one) if isinstance(one, Span) else Dimension(name, _once(one)))
    differ = [one for one in found if one.span or len(one.values) > 1]
    return differ or [Dimension("", (next(iter(plan.variants), "") or "as it is",), variants=bool(plan.variants))]


def has_squares(plan: Plan) -> bool:
    """Whether heat maps show a study: it differs in two dimensions or more, and all of their values are listed.

    Where numbers are drawn from a span, a square would stand for cells that differ.
    """
    found = dimensions(plan)
    return len(found) > 1 and not any(one.span for one in found)


def limited(one: Dimension, lines: Sequence[Line], most: int) -> Dimension:
    """The dimension with at most so many listed values: those of the best cells, in the order of the file.

    Args:
        lines: The table, best first.
    """
    if len(one.values) <= most:
        return one
    # lines come best first, and so do the values that they have
    places = list(dict.fromkeys(one.place(line.cell) for line in lines))
    places += [place for place in range(len(one.values)) if place not in places]
    return Dimension(one.name, tuple(one.values[place] for place in sorted(places[:most])), variants=one.variants)


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Each value once: a search may list one twice, to draw it more often."""
    return tuple({repr(value): value for value in values}.values())
