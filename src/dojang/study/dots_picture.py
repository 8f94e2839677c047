"""dots.png: a study's scores with their intervals over each of its dimensions; for studies that are no squares."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dojang.study import canvas
from dojang.study.canvas import DIM, FAINT, INK, SIZE, names, wide, write
from dojang.study.looks import ALIKE, BEST, NONE, OPEN, REST, Scale, aside, mark, scale, worded
from dojang.study.plan import Plan
from dojang.study.results import Line, half
from dojang.study.slices import Slice, slices
from dojang.tasks.classify.letters import Drawn
from dojang.tasks.classify.pictures import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# inches: a panel's scores, a row and what each further cell adds to it, an axis of numbers
_SCORES, _ROW, _MORE, _NUMBERS = 3.1, 0.3, 0.08, 3.0
_HEAD, _BELOW, _APART, _ACROSS = 0.75, 0.5, 0.3, 14.5
# columns of a name where there is one panel, and where there are several
_LONGEST, _SHORT = 48, 26
#: how the dot of a cell is drawn, by its mark
STYLES: dict[str, dict[str, Any]] = {
    NONE: {"marker": "x", "markersize": 4.5},
    REST: {"marker": "o", "markersize": 4.5, "markerfacecolor": "white"},
    OPEN: {"marker": "s", "markersize": 4.5, "markerfacecolor": "white"},
    ALIKE: {"marker": "o", "markersize": 6},
    BEST: {"marker": "D", "markersize": 7.5},
}


def draw(plan: Plan, judge: str, lines: Sequence[Line]) -> bytes:
    """The scores of a study as dots with intervals, as PNG bytes.

    Args:
        judge: The split by whose score cells are ranked.
        lines: The table, best first.
    """
    return png(figure(plan, judge, lines))


def figure(plan: Plan, judge: str, lines: Sequence[Line]) -> Figure:
    """The same as a figure of matplotlib. Each cell is a line whose gid is "cell" and its mark, in each panel."""
    found, scale_ = slices(plan, lines), scale(lines, plan.score)
    # one panel has room for long names
    longest = _LONGEST if len(found) == 1 else _SHORT
    named = [names([text for _, text in one.axis.ticks], longest) for one in found]
    lefts = [0.25 + 0.25 + max([wide(name.text) for name in one], default=0.0) + 0.25 for one in named]
    rights = [1.75 if one.one_each else 0.1 for one in found]
    each = max(left + right for left, right in zip(lefts, rights, strict=True)) + _SCORES + _APART
    abreast = max(1, min(len(found), int(_ACROSS / each)))
    talls = [_tall(one) for one in found]
    ranks = [max(talls[i : i + abreast]) for i in range(0, len(found), abreast)]
    notes = [
        f"{len(one.dimension.values)} of {len(one.dimension.values) + one.left_out} values of {one.dimension.name}, "
        "those that have the best cells; all are in table.csv."
        for one in found
        if one.left_out
    ] + canvas.numbered(one.dimension for one in found)
    foot = 0.4 + 0.2 * len(notes)
    there = canvas.explained((mark(one, len(plan.seeds)) for one in lines), len(plan.seeds))
    about = wide(canvas.about(plan, judge), SIZE + 0.5) + 0.5
    width = max(abreast * each + 0.1, about, canvas.legend_wide(there) + 0.4)
    height = _HEAD + sum(ranks) + len(ranks) * (_BELOW + 0.2) + foot
    made, axes = canvas.sheet(width, height)
    canvas.heading(axes, 0.25, height - 0.3, plan.title, canvas.about(plan, judge))
    y = height - _HEAD
    for rank, tall in enumerate(ranks):
        y -= tall
        for number in range(rank * abreast, min((rank + 1) * abreast, len(found))):
            x = (number % abreast) * each + lefts[number]
            # panels of a row have one top
            foot_of = y + tall - talls[number]
            place = (x, foot_of, talls[number])
            _panel(axes, found[number], named[number], place, scale_, len(plan.seeds), canvas.score(plan, judge))
        y -= _BELOW + 0.2
    canvas.legend(axes, 0.25, foot - 0.2, there, functools.partial(_sample, axes))
    for number, note in enumerate(notes):
        write(axes, 0.25, foot - 0.47 - 0.2 * number, note, color=DIM)
    return made


def _tall(one: Slice) -> float:
    if one.dimension.span is not None:
        return _NUMBERS
    rows = len(one.dimension.values)
    most = max((sum(one.dimension.place(line.cell) == i for line in one.lines) for i in range(rows)), default=1)
    return rows * min(_ROW + _MORE * max(most - 1, 0), 1.2) + 0.1


def _panel(
    axes: Axes,
    one: Slice,
    named: Sequence[Drawn],
    place: tuple[float, float, float],
    scale_: Scale | None,
    seeds: int,
    score: str,
) -> None:
    x, y, tall = place
    right = x + _SCORES
    axes.plot([x, right], [y, y], color=FAINT, linewidth=0.9)
    for (at, _), name in zip(one.axis.ticks, named, strict=True):
        axes.plot([x, right], [y + at * tall] * 2, color="#e4e8ec", linewidth=0.8, zorder=1)
        write(axes, x - 0.12, y + at * tall, name, ha="right")
    if one.dimension.name:
        told = f"{one.dimension.name} (log)" if one.axis.kind == "log" else one.dimension.name
        write(
            axes,
            x - max(wide(name.text) for name in named) - 0.3,
            y + tall / 2,
            told,
            rotation=90,
            ha="center",
            color=DIM,
        )
    write(axes, (x + right) / 2, y - 0.4, score + (" (log)" if scale_ and scale_.log else ""), ha="center", color=DIM)
    if scale_:
        for value in scale_.ticks(5):
            at = x + scale_.at(value) * _SCORES
            axes.plot([at, at], [y, y + tall], color="#e4e8ec", linewidth=0.8, zorder=1)
            write(axes, at, y - 0.16, f"{value:g}", ha="center")
        best = next((line for line in one.lines if line.best), None)
        if best is not None:
            at = x + scale_.at(best.mean) * _SCORES
            axes.plot([at, at], [y, y + tall], color=FAINT, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    for line, share in zip(reversed(one.lines), reversed(one.axis.places), strict=True):
        _cell(axes, line, (x, y + share * tall), scale_, seeds, one_each=one.one_each)


def _cell(
    axes: Axes, line: Line, place: tuple[float, float], scale_: Scale | None, seeds: int, *, one_each: bool
) -> None:
    """A cell at its height; one without a score stands at the left end."""
    (x, y), kind = place, mark(line, seeds)
    if kind == NONE or scale_ is None:
        axes.plot([x + 0.06], [y], color=FAINT, linestyle="", gid=f"cell {NONE}", **STYLES[NONE])
        if one_each:
            write(axes, x + 0.18, y, aside(line), color=DIM)
        return
    shade = canvas.colour(scale_.good(line.mean))
    if half(line) is not None and line.over:
        ends = [x + scale_.at(end) * _SCORES for end in (line.over.low, line.over.high)]
        axes.plot(ends, [y, y], color=shade, linewidth=1.4, gid="interval", zorder=2)
    at = x + scale_.at(line.mean) * _SCORES
    axes.plot([at], [y], color=shade, linestyle="", zorder=3, gid=f"cell {kind}", **STYLES[kind])
    if one_each:
        told = worded(line.mean) + (f" ±{worded(h)}" if (h := half(line)) is not None else "")
        write(axes, x + _SCORES + 0.15, y, told)
        if said := aside(line):
            write(axes, x + _SCORES + 0.15 + wide(told), y, f"({said})", size=SIZE - 1, color=DIM)


def _sample(axes: Axes, x: float, y: float, kind: str) -> None:
    axes.plot([x], [y], color=FAINT if kind == NONE else INK, linestyle="", **STYLES[kind])
