"""Where the cells of a study lie on axes: one for each dimension, from 0 at its foot to 1."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dojang.study.dimensions import Dimension
from dojang.study.looks import WIDE
from dojang.study.plan import shown
from dojang.study.results import Line
from dojang.study.search import Span
from dojang.study.ticks import log_ticks, ticks

# listed numbers that would lie nearer to each other than this, in parts of the axis, are spaced evenly; so many that
# even then they lie near are not, unless it helps
_NEAR = 0.05
# room beyond the first and the last of listed numbers, and between cells that share a value
_ROOM, _BESIDE = 0.08, 0.025
# ticks of a span
_TICKS = 6


@dataclass(frozen=True)
class Axis:
    """A dimension as an axis.

    Args:
        name: Of the dimension.
        ticks: Where which value lies, 0 to 1.
        places: Of each cell, in the order of the lines. Cells that share a listed value lie beside each other around
            it, the best on top, so that each can be followed; numbers from a span lie exactly where they are.
        kind: "names", "numbers", "log", or "even" for numbers that are spaced evenly.
    """

    name: str
    ticks: tuple[tuple[float, str], ...]
    places: tuple[float, ...]
    kind: str


def axis(dimension: Dimension, lines: Sequence[Line], *, rows: bool = False) -> Axis:
    """The axis of a dimension.

    Names are spaced evenly, the first of the file on top, and so are numbers where names and numbers are mixed.
    Listed numbers grow upwards, on the scale on which they lie more evenly, linear or log; on neither, where two would
    fall together, but evenly. Numbers of a span lie as the span says.

    Args:
        lines: The table, best first.
        rows: Whether listed numbers, too, are rows, in the order of the file.
    """
    if dimension.span is not None:
        return _of_span(dimension, dimension.span, lines)
    if rows or not dimension.numbers or len(dimension.values) == 1:
        n, kind = len(dimension.values), "names"
        centres = [1 - (i + 0.5) / n for i in range(n)]
    else:
        kind, centres = _numbers([float(value) for value in dimension.values])
    places = _beside(centres, [dimension.place(line.cell) for line in lines])
    return Axis(dimension.name, tuple(zip(centres, dimension.words, strict=True)), places, kind)


def _of_span(dimension: Dimension, span: Span, lines: Sequence[Line]) -> Axis:
    low, high = float(span.low), float(span.high)
    found = (log_ticks if span.log else ticks)(low, high, _TICKS)
    if span.whole:
        found = [value for value in found if value == round(value)]
    named = tuple((_share(value, low, high, span.log), shown(float(value))) for value in found)
    places = tuple(_share(float(dimension.of(line.cell)), low, high, span.log) for line in lines)
    return Axis(dimension.name, named, places, "log" if span.log else "numbers")


def _share(value: float, low: float, high: float, log: bool) -> float:
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)


def _numbers(values: Sequence[float]) -> tuple[str, list[float]]:
    """The kind of an axis of listed numbers, and where they lie on it."""
    low, high = min(values), max(values)
    rising = sorted(values)
    scales = {"numbers": [_share(value, low, high, False) for value in rising]}
    if low > 0:
        scales["log"] = [_share(value, low, high, True) for value in rising]
    gaps = {kind: min(b - a for a, b in itertools.pairwise(at)) for kind, at in scales.items()}
    # of two values either scale makes the ends; no more is asked of a log axis than to be clearly more even
    kind = "log" if low > 0 and (high / low > WIDE or gaps["log"] > 1.001 * gaps["numbers"]) else "numbers"
    at = scales[kind]
    if gaps[kind] < min(_NEAR, 0.5 / (len(rising) - 1)):
        kind, at = "even", [i / (len(rising) - 1) for i in range(len(rising))]
    return kind, [_ROOM + (1 - 2 * _ROOM) * at[rising.index(value)] for value in values]


def _beside(centres: Sequence[float], chosen: Sequence[int]) -> tuple[float, ...]:
    """Cells around the centres of their values: the first of each on top, no nearer to another value's than to it."""
    rising = sorted(centres)
    gaps = [b - a for a, b in itertools.pairwise(rising)]
    band = min(0.7 * min([*gaps, 1.0]), 2 * rising[0], 2 * (1 - rising[-1]))
    many, seen = Counter(chosen), Counter[int]()
    found = []
    for place in chosen:
        step = min(_BESIDE, band / max(many[place] - 1, 1))
        found.append(centres[place] + step * ((many[place] - 1) / 2 - seen[place]))
        seen[place] += 1
    return tuple(found)
