"""parallel.png: a line for each cell of a study, across an axis for each of its dimensions, to its score."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dojang.study import canvas
from dojang.study.axes import Axis, axis
from dojang.study.canvas import DIM, FAINT, INK, SIZE, names, wide, write
from dojang.study.dimensions import dimensions
from dojang.study.looks import ALIKE, BEST, NONE, OPEN, REST, Scale, mark, scale, with_interval, without
from dojang.study.plan import Plan
from dojang.study.results import Line, half
from dojang.tasks.classify.letters import Drawn
from dojang.tasks.classify.pictures import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# inches: between axes at least, their height, above and below them
_APART, _TALL, _ABOVE, _BELOW = 1.25, 3.6, 1.1, 0.75
# names on an axis that have room
_NAMES = 30
#: how the line of a cell is drawn, by its mark; those first that lie below the others
STYLES: dict[str, dict[str, Any]] = {
    NONE: {"linewidth": 0.9, "linestyle": (0, (4, 3))},
    REST: {"linewidth": 1.1},
    OPEN: {"linewidth": 1.1, "linestyle": (0, (1, 1.2))},
    ALIKE: {"linewidth": 2.2},
    BEST: {"linewidth": 4.2},
}


def draw(plan: Plan, judge: str, lines: Sequence[Line]) -> bytes:
    """The cells of a study as lines across parallel axes, as PNG bytes.

    Args:
        judge: The split by whose score cells are ranked.
        lines: The table, best first.

    Source: Inselberg, "The plane with parallel coordinates", The Visual Computer 1, 1985.
    """
    return png(figure(plan, judge, lines))


def figure(plan: Plan, judge: str, lines: Sequence[Line]) -> Figure:
    """The same as a figure of matplotlib. Each cell is a line whose gid is "cell" and its mark."""
    found = [axis(one, lines) for one in dimensions(plan)]
    scale_ = scale(lines, plan.score)
    labels = [_labels(one) for one in found]
    tall = max(_TALL, 0.17 * max(len(one) for one in labels))
    beside = with_interval(lines, len(plan.seeds))
    foot = canvas.numbered(dimensions(plan))
    if any(half(one) is not None and one not in beside for one in lines):
        foot.append(f"Intervals stand right of the scores for {len(beside)} cells: the best, and those not told apart.")
    below = _BELOW + 0.2 * len(foot)
    xs = _across(found, labels)
    end = xs[-1] + 1.6
    there = canvas.explained((mark(one, len(plan.seeds)) for one in lines), len(plan.seeds))
    about = wide(canvas.about(plan, judge), SIZE + 0.5) + 0.5
    width = max(end + 0.75 + 0.09 * len(beside) + 0.3, about, canvas.legend_wide(there) + 0.4)
    height = _ABOVE + tall + below + 0.35
    made, axes = canvas.sheet(width, height)
    canvas.heading(axes, 0.25, height - 0.3, plan.title, canvas.about(plan, judge))
    y = below + 0.35
    for x, one, named in zip(xs, found, labels, strict=True):
        _axis(axes, x, y, tall, one, named)
    _cells(axes, lines, found, [*xs, end], y, tall, scale_, len(plan.seeds))
    _score(axes, end, y, tall, scale_, canvas.score(plan, judge))
    for number, line in enumerate(beside):
        _interval(axes, end + 0.75 + 0.09 * number, y, tall, line, scale_)
    canvas.legend(axes, 0.25, below - 0.45, there, functools.partial(_sample, axes))
    for number, said in enumerate(foot):
        write(axes, 0.25, below - 0.7 - 0.2 * number, said, color=DIM)
    return made


def _labels(one: Axis) -> list[tuple[float, Drawn]]:
    """The values that are named on an axis; of very many some, evenly, the first and last among them."""
    every = -(-len(one.ticks) // _NAMES)
    named = names([text for _, text in one.ticks])
    return [(place, name) for (place, _), name in list(zip(one.ticks, named, strict=True))[::every]]


def _across(found: Sequence[Axis], labels: Sequence[Sequence[tuple[float, Drawn]]]) -> list[float]:
    """Where the axes stand: so far apart that the values left of each have room, and its name."""
    xs: list[float] = []
    for one, named in zip(found, labels, strict=True):
        room = max([wide(name.text) for _, name in named], default=0.0) + 0.2
        before = xs[-1] if xs else 0.25 - _APART + 0.35
        xs.append(before + max(_APART, room + 0.45, wide(one.name) + 0.2) if xs else max(0.25 + room, 0.7))
    return xs


def _axis(axes: Axes, x: float, y: float, tall: float, one: Axis, named: Sequence[tuple[float, Drawn]]) -> None:
    axes.plot([x, x], [y, y + tall], color=FAINT, linewidth=0.9, zorder=2)
    write(axes, x, y + tall + 0.17, one.name, ha="center", size=SIZE + 0.5)
    if one.kind == "log":
        write(axes, x, y - 0.14, "log", ha="center", size=SIZE - 1, color=DIM)
    for place, name in named:
        at = y + place * tall
        axes.plot([x - 0.05, x], [at, at], color=FAINT, linewidth=0.9, zorder=2)
        behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
        write(axes, x - 0.09, at, name, ha="right", bbox=behind, zorder=8)


def _cells(
    axes: Axes,
    lines: Sequence[Line],
    found: Sequence[Axis],
    xs: Sequence[float],
    y: float,
    tall: float,
    scale_: Scale | None,
    seeds: int,
) -> None:
    """The lines: the best on top, then those not told apart from it, then the others from the worst up."""
    # those without a score come together before the axis of scores, below it
    lost = (xs[-1] - 0.75, y - 0.2)
    for number in reversed(range(len(lines))):
        line = lines[number]
        kind = mark(line, seeds)
        points = [(x, y + one.places[number] * tall) for x, one in zip(xs, found, strict=False)]
        colour: Any = FAINT
        if kind == NONE:
            points.append(lost)
        elif scale_:
            points.append((xs[-1], y + scale_.at(line.mean) * tall))
            colour = canvas.colour(scale_.good(line.mean))
        layer = 3 + list(STYLES).index(kind)
        across, up = zip(*points, strict=True)
        axes.plot(across, up, color=colour, zorder=layer, gid=f"cell {kind}", solid_joinstyle="round", **STYLES[kind])
    if said := without(lines):
        write(axes, lost[0], lost[1] - 0.13, said, ha="center", color=DIM)


def _score(axes: Axes, x: float, y: float, tall: float, scale_: Scale | None, name: str) -> None:
    """The axis of scores, in their colours."""
    write(axes, x, y + tall + 0.17, name, ha="center", size=SIZE + 0.5)
    axes.plot([x, x], [y, y + tall], color=FAINT, linewidth=0.9, zorder=2)
    if scale_ is None:
        return
    import numpy as np

    worst, best = (y + tall * scale_.at(end) for end in ((scale_.low, scale_.high)[:: 1 if scale_.more else -1]))
    if best > worst:
        steps = 128
        shades = np.array([[canvas.colour((i + 0.5) / steps)] for i in range(steps)])
        axes.imshow(shades, extent=(x, x + 0.09, worst, best), origin="lower", aspect="auto", zorder=2)
        canvas.measured(axes)
    for value in scale_.ticks(7):
        at = y + tall * scale_.at(value)
        axes.plot([x, x + 0.12], [at, at], color=FAINT, linewidth=0.9, zorder=2)
        write(axes, x + 0.16, at, f"{value:g}")
    if scale_.log:
        write(axes, x, y - 0.14, "log", ha="center", size=SIZE - 1, color=DIM)


def _interval(axes: Axes, x: float, y: float, tall: float, line: Line, scale_: Scale | None) -> None:
    if line.over is None or scale_ is None:
        return
    shade = canvas.colour(scale_.good(line.mean))
    ends = [y + tall * scale_.at(end) for end in (line.over.low, line.over.high)]
    axes.plot([x, x], ends, color=shade, linewidth=1.3, gid="interval")
    axes.plot([x], [y + tall * scale_.at(line.mean)], "o", color=shade, markersize=5 if line.best else 3)


def _sample(axes: Axes, x: float, y: float, kind: str) -> None:
    shade: Any = FAINT if kind == NONE else INK
    axes.plot([x - 0.15, x + 0.15], [y, y], color=shade, **STYLES[kind])
