"""The scores of a study over what was changed, as drawings of its page: a dot with its interval for each cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from rich.cells import cell_len

from dojang.report.study_words import aside, figures, keys, told
from dojang.report.svg import brief
from dojang.report.text import Words
from dojang.study.looks import ALIKE, BEST, NONE, OPEN, Scale, mark, scale
from dojang.study.plan import Plan
from dojang.study.results import Line, half
from dojang.study.slices import Slice, slices

# units of a drawing: a row and what each further cell adds to it, an axis of numbers, a column of a name
_ROW, _MORE, _NUMBERS, _COLUMN = 24.0, 7.0, 230.0, 6.4
_WIDE, _LONGEST, _FOOT, _TOP = 440.0, 24, 26.0, 8.0


def dots(plan: Plan, lines: Sequence[Line], t: Words) -> dict[str, Any]:
    """What the template needs to draw them.

    Args:
        lines: The table, best first.
    """
    scale_, seeds = scale(lines, plan.score), len(plan.seeds)
    found = slices(plan, lines)
    charts = []
    for one in found:
        name = f"{one.dimension.name} (log)" if one.axis.kind == "log" else one.dimension.name
        left = t("study_rows_left", n=len(one.dimension.values), of=len(one.dimension.values) + one.left_out)
        drawing = _chart(one, scale_, seeds, t)
        charts.append({"name": name, "drawing": drawing, "left": left if one.left_out else ""})
    there = keys((mark(one, seeds) for one in lines), seeds, t)
    return {"charts": charts, "legend": [(_sample(kind), words) for kind, words in there]}


def _chart(one: Slice, scale_: Scale | None, seeds: int, t: Words) -> Markup:
    names = [cut(name, _LONGEST) for _, name in one.axis.ticks]
    left = 14 + _COLUMN * max([cell_len(name) for name in names], default=0)
    beside = max([cell_len(figures(line)) for line in one.lines], default=0) if one.one_each else 0
    right = _WIDE - 10 - (_COLUMN + 0.6) * beside
    tall = _tall(one)
    foot = _TOP + tall
    parts = [Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, right, foot, foot)]
    for (at, _), name in zip(one.axis.ticks, names, strict=True):
        y = round(foot - at * tall, 1)
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(left, right, y, y))
        parts.append(Markup('<text class="end" x="{}" y="{}">{}</text>').format(left - 6, y + 4, name))
    if scale_:
        for value in scale_.ticks(6):
            x = round(left + scale_.at(value) * (right - left), 1)
            parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, _TOP, foot))
            parts.append(Markup('<text class="mid" x="{}" y="{}">{}</text>').format(x, foot + 15, brief(value)))
    for line, share in zip(reversed(one.lines), reversed(one.axis.places), strict=True):
        y = round(foot - share * tall, 1)
        parts.append(_cell(line, y, (left, right), scale_, seeds, t, one_each=one.one_each))
    return Markup('<svg class="chart cells" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDE, foot + _FOOT, t("study_dots_of", name=one.dimension.name or t("study_dots")), Markup("").join(parts)
    )


def _tall(one: Slice) -> float:
    if one.dimension.span is not None:
        return _NUMBERS
    rows = len(one.dimension.values)
    most = max((sum(one.dimension.place(line.cell) == i for line in one.lines) for i in range(rows)), default=1)
    return rows * min(_ROW + _MORE * max(most - 1, 0), 110.0)


def _cell(
    line: Line,
    y: float,
    ends: tuple[float, float],
    scale_: Scale | None,
    seeds: int,
    t: Words,
    *,
    one_each: bool,
) -> Markup:
    left, right = ends
    kind = mark(line, seeds)
    parts = [Markup("<title>{}</title>").format(told(line, seeds, t))]
    if kind == NONE or scale_ is None:
        x = left + 6
        path = f"M{x - 4:g},{y - 4:g}l8,8m0,-8l-8,8"
        parts.append(Markup('<path class="none" d="{}"/>').format(path))
        if one_each:
            said = ", ".join(aside(line, t))
            parts.append(Markup('<text class="dim" x="{}" y="{}">{}</text>').format(x + 10, y + 4, said))
        return Markup('<g class="cell">{}</g>').format(Markup("").join(parts))
    good = round(scale_.good(line.mean), 3)
    x = round(left + scale_.at(line.mean) * (right - left), 1)
    if half(line) is not None and line.over:
        low, high = (round(left + scale_.at(end) * (right - left), 1) for end in (line.over.low, line.over.high))
        parts.append(Markup('<line class="spread" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(low, high, y, y))
    parts.append(dot(kind, x, y))
    if one_each:
        parts.append(Markup('<text x="{}" y="{}">{}</text>').format(right + 8, y + 4, figures(line)))
    return Markup('<g class="cell" style="--a:{}">{}</g>').format(good, Markup("").join(parts))


def dot(kind: str, x: float, y: float) -> Markup:
    """The dot of a cell with a mark: its shape tells them apart without colour."""
    if kind == BEST:
        return Markup('<path class="full" d="M{},{}l7,7l-7,7l-7,-7z"/>').format(x, round(y - 7, 1))
    if kind == OPEN:
        return Markup('<rect class="hollow" x="{}" y="{}" width="7" height="7"/>').format(
            round(x - 3.5, 1), round(y - 3.5, 1)
        )
    if kind == ALIKE:
        return Markup('<circle class="full" cx="{}" cy="{}" r="4.5"/>').format(x, y)
    return Markup('<circle class="hollow" cx="{}" cy="{}" r="3.5"/>').format(x, y)


def _sample(kind: str) -> Markup:
    shape = Markup('<path class="none" d="M10,2l8,8m0,-8l-8,8"/>') if kind == NONE else dot(kind, 14, 6)
    return Markup(
        '<svg class="cells" viewBox="0 -2 28 16" aria-hidden="true"><g class="cell" style="--a:1">{}</g></svg>'
    ).format(shape)


def cut(name: str, most: int) -> str:
    """A name of at most so many columns, where a letter of Hangul takes two."""
    if cell_len(name) <= most:
        return name
    while cell_len(name) > most - 1:
        name = name[:-1]
    return f"{name}…"
