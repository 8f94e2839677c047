"""heatmap.png: a study's cells over two of its dimensions, one heat map for each combination of the others."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dojang.study import canvas
from dojang.study.canvas import DIM, OUTLINES, SIZE, names, wide, write
from dojang.study.looks import NONE, Scale, aside, mark, scale, worded
from dojang.study.plan import Plan
from dojang.study.results import Line, half
from dojang.study.squares import HeatMap, Panel, heat_map
from dojang.tasks.classify.pictures import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# with more squares they are small and have no figures in them: those are in the table
_TOLD = 400
# inches between squares, where outlines lie; between heat maps; up to which a row of heat maps is filled
_GAP, _APART, _ACROSS = 0.09, 0.35, 13.2
# inches of the heading
_HEAD = 0.75
# columns of what stands above a heat map
_TITLE = 60


@dataclass(frozen=True)
class _Layout:
    """Inches: a square's sides, room left of the rows for their names, and below the columns for theirs."""

    across: float
    up: float
    left: float
    below: float
    told: bool
    turned: bool

    def width(self, found: HeatMap) -> float:
        return len(found.columns.values) * (self.across + _GAP)

    def height(self, found: HeatMap) -> float:
        return len(found.rows.values) * (self.up + _GAP)


def draw(plan: Plan, judge: str, lines: Sequence[Line]) -> bytes:
    """The heat maps of a study as PNG bytes.

    Args:
        judge: The split by whose score cells are ranked.
        lines: The table, best first.
    """
    return png(figure(plan, judge, lines))


def figure(plan: Plan, judge: str, lines: Sequence[Line]) -> Figure:
    """The same as a figure of matplotlib. Each square is a patch whose gid is its mark, each outline one more."""
    found, scale_ = heat_map(plan, lines), scale(lines, plan.score)
    layout = _layout(found)
    wide_, high = layout.width(found), layout.height(found)
    each = max(wide_, max((min(wide(one.name), wide(_TITLE * "m")) for one in found.panels), default=0.0)) + _APART
    abreast = max(1, min(len(found.panels), int((_ACROSS - layout.left) / each)))
    ranks = math.ceil(len(found.panels) / abreast)
    above = 0.3 if found.panels and found.panels[0].fixed else 0.0
    tall = above + high + layout.below + 0.2
    about = canvas.about(plan, judge)
    there = {mark(one, len(plan.seeds)) for one in lines} & set(OUTLINES)
    width = max(layout.left + abreast * each + 0.9, wide(about, SIZE + 0.5) + 0.5, canvas.legend_wide(there) + 0.4)
    notes = _notes(found)
    foot = 0.4 + 0.2 * len(notes)
    height = _HEAD + ranks * tall + foot
    made, axes = canvas.sheet(width, height)
    canvas.heading(axes, 0.25, height - 0.3, plan.title, about)
    for number, panel in enumerate(found.panels):
        x = layout.left + (number % abreast) * each
        y = height - _HEAD - (number // abreast) * tall - above - high
        _panel(axes, found, panel, (x, y), layout, scale_, plan, first=number % abreast == 0)
    if scale_:
        top = height - _HEAD - above
        tall_bar = min(max(high, 1.2), 3.5)
        canvas.bar(axes, layout.left + abreast * each, top - tall_bar, tall_bar, scale_)
    canvas.legend(axes, 0.25, foot - 0.2, there, functools.partial(_sample, axes))
    for number, note in enumerate(notes):
        write(axes, 0.25, foot - 0.47 - 0.2 * number, note, color=DIM)
    return made


def _layout(found: HeatMap) -> _Layout:
    rows, columns = names(found.rows.words), names(found.columns.words)
    told = _squares(found) <= _TOLD
    across, up = (0.92, 0.6) if told else (0.24, 0.24)
    longest = max(wide(name.text) for name in columns)
    turned = longest > across
    left = 0.25 + max(wide(name.text) for name in rows) + 0.12 + 0.25
    below = 0.08 + (longest if turned else 0.14) + 0.26
    return _Layout(across, up, left, below, told, turned)


def _panel(
    axes: Axes,
    found: HeatMap,
    panel: Panel,
    place: tuple[float, float],
    layout: _Layout,
    scale_: Scale | None,
    plan: Plan,
    *,
    first: bool,
) -> None:
    """A heat map whose lower left corner is at a place; the first of a row has the names of its rows."""
    x, y = place
    wide_, high = layout.width(found), layout.height(found)
    if panel.fixed:
        write(axes, x + _GAP / 2, y + high + 0.14, names([_title(found, panel)], _TITLE)[0], size=SIZE + 0.5)
    if first:
        for i, name in enumerate(names(found.rows.words)):
            write(axes, x - 0.1, y + high - (i + 0.5) * (layout.up + _GAP), name, ha="right")
        write(axes, 0.2, y + high / 2, found.rows.name, rotation=90, ha="center", color=DIM)
    for j, name in enumerate(names(found.columns.words)):
        centre = x + (j + 0.5) * (layout.across + _GAP)
        style = {"rotation": 90, "ha": "center", "va": "top"} if layout.turned else {"ha": "center", "va": "top"}
        write(axes, centre, y - 0.08, name, **style)
    write(axes, x + wide_ / 2, y - layout.below + 0.1, found.columns.name, ha="center", color=DIM)
    for i, row in enumerate(panel.squares):
        for j, line in enumerate(row):
            corner = (
                x + j * (layout.across + _GAP) + _GAP / 2,
                y + high - (i + 1) * (layout.up + _GAP) + _GAP / 2,
            )
            _square(axes, line, corner, layout, scale_, len(plan.seeds), drawn_=plan.search is None)


def _square(
    axes: Axes,
    line: Line | None,
    corner: tuple[float, float],
    layout: _Layout,
    scale_: Scale | None,
    seeds: int,
    *,
    drawn_: bool,
) -> None:
    from matplotlib.patches import Rectangle

    x, y = corner
    kind = NONE if line is None else mark(line, seeds)
    ground = (0.955, 0.96, 0.965)
    if line is not None and scale_ is not None and kind != NONE:
        ground = canvas.colour(scale_.good(line.mean))
    hatch: dict[str, Any] = {"hatch": "////", "edgecolor": "#dde2e8"} if kind == NONE else {}
    axes.add_patch(
        Rectangle((x, y), layout.across, layout.up, facecolor=ground, linewidth=0, gid=f"square {kind}", **hatch)
    )
    if kind in OUTLINES:
        edge = 0.025
        outline = Rectangle(
            (x - edge, y - edge), layout.across + 2 * edge, layout.up + 2 * edge, fill=False, edgecolor="black"
        )
        outline.set(gid=f"outline {kind}", **OUTLINES[kind])
        axes.add_patch(outline)
    if not layout.told:
        return
    centre, middle = x + layout.across / 2, y + layout.up / 2
    if line is None:
        write(axes, centre, middle, "not run" if drawn_ else "not drawn", ha="center", color=DIM)
        return
    ink = DIM if kind == NONE else canvas.ink_on(ground)
    said = [] if kind == NONE else [worded(line.mean)]
    said += [f"±{worded(h)}"] if kind != NONE and (h := half(line)) is not None else []
    said += [word for word in aside(line).split(", ") if word]
    for number, text in enumerate(said):
        down = (number - (len(said) - 1) / 2) * 0.15
        big = SIZE + 1 if number == 0 and kind != NONE else SIZE - 1
        write(axes, centre, middle - down, text, size=big, ha="center", color=ink)


def _sample(axes: Axes, x: float, y: float, kind: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x - 0.13, y - 0.08), 0.26, 0.16, fill=False, edgecolor="black", **OUTLINES[kind]))


def _title(found: HeatMap, panel: Panel) -> str:
    """What its cells have in common; a name that cannot be drawn by its number."""
    said = []
    for one, (name, value) in zip(found.others, panel.fixed, strict=True):
        drawn = names(one.words)[one.words.index(value)]
        shown = drawn.text if drawn.numbered else value
        said.append(shown if one.variants else f"{name} {shown}")
    return ", ".join(said)


def _notes(found: HeatMap) -> list[str]:
    notes = [f"{n} of {of} values of {name}, those that have the best cells." for name, n, of in found.cut]
    if found.left_out:
        shown = len(found.panels)
        notes.append(f"{shown} of {found.left_out + shown} heat maps, those that have the best cells.")
    if _squares(found) > _TOLD or notes:
        notes.append("All figures are in table.csv.")
    return notes + canvas.numbered((found.rows, found.columns, *found.others))


def _squares(found: HeatMap) -> int:
    return len(found.rows.values) * len(found.columns.values) * len(found.panels)
