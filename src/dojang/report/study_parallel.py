"""The parallel coordinates of a study's page: a line for each cell, that says what it is when it is pointed at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from rich.cells import cell_len

from dojang.report.study_dots import cut
from dojang.report.study_words import ORDER, keys, told, without
from dojang.report.svg import brief
from dojang.report.text import Words
from dojang.study.axes import Axis, axis
from dojang.study.dimensions import dimensions
from dojang.study.looks import ALIKE, BEST, NONE, Scale, mark, scale, with_interval
from dojang.study.plan import Plan
from dojang.study.results import Line, half

#: lines that are drawn, the best ones; up to how many the keyboard goes to each
LINES, STOPS = 400, 60
# units of a drawing: height of the axes, between them at least, a column of a name
_TALL, _APART, _COLUMN, _LONGEST = 300.0, 120.0, 6.4, 22
_TOP, _NAMES = 26.0, 26
# below the axes: what is said of a line, and of those without a score above it
_SAID, _LOST = 36.0, 16.0


def parallel(plan: Plan, lines: Sequence[Line], t: Words) -> dict[str, Any]:
    """What the template needs to draw it.

    Args:
        lines: The table, best first.
    """
    shown, seeds = lines[:LINES], len(plan.seeds)
    scale_ = scale(lines, plan.score)
    found = [axis(one, shown) for one in dimensions(plan)]
    xs = _across(found)
    end = xs[-1] + 150
    tall = max(_TALL, 13.0 * max(min(len(one.ticks), _NAMES) for one in found))
    foot = _TOP + tall
    beside = with_interval(shown, seeds) if scale_ else []
    wide = end + 60 + 8 * len(beside) + 10
    parts = [_axis(x, tall, one) for x, one in zip(xs, found, strict=True)]
    parts.append(_score(end, tall, scale_, t.brief(plan.score)))
    lost = without(shown, t)
    below = _SAID + _LOST * bool(lost)
    drawn = []
    for number, line in enumerate(shown):
        kind = mark(line, seeds)
        points = [(x, foot - one.places[number] * tall) for x, one in zip(xs, found, strict=True)]
        if kind == NONE or scale_ is None:
            points.append((end - 70, foot + 18))
        else:
            points.append((end, foot - scale_.at(line.mean) * tall))
        stops = len(shown) <= STOPS or kind in (BEST, ALIKE)
        drawn.append(
            (ORDER.index(kind), -number, _line(line, kind, points, foot + below - 6, scale_, seeds, t, stops=stops))
        )
    # the best on top
    parts += [one for *_, one in sorted(drawn, key=lambda one: (-one[0], one[1]))]
    parts += [_interval(end + 60 + 8 * i, foot, tall, line, scale_) for i, line in enumerate(beside)]
    if lost:
        parts.append(Markup('<text class="mid dim" x="{}" y="{}">{}</text>').format(end - 70, foot + 31, lost))
    # axes' names on top of the lines, so that they can be read
    parts += [_words(x, foot, tall, one) for x, one in zip(xs, found, strict=True)]
    some = any(half(one) is not None and one not in beside for one in shown)
    notes = [t("study_lines_left", n=len(shown), of=len(lines))] if len(shown) < len(lines) else []
    notes += [t("study_intervals_some", n=len(beside))] if some else []
    return {
        "drawing": Markup(
            '<svg class="chart cells parallel" viewBox="0 0 {} {}" style="min-width:{}px;max-width:{}px" role="group" '
            'aria-label="{}">{}</svg>'
        ).format(
            round(wide), round(foot + below), round(wide * 0.85), round(wide * 1.3), t("study_parallel"), _join(parts)
        ),
        "legend": [(_sample(kind), words) for kind, words in keys((mark(one, seeds) for one in shown), seeds, t)],
        "intervals": bool(beside),
        "notes": notes,
    }


def _sample(kind: str) -> Markup:
    return Markup(
        '<svg class="cells" viewBox="0 0 28 12" aria-hidden="true"><g class="cell {}" style="--a:1">'
        '<polyline class="way" points="0,6 28,6"/></g></svg>'
    ).format(kind)


def _join(parts: Sequence[Markup]) -> Markup:
    return Markup("").join(parts)


def _across(found: Sequence[Axis]) -> list[float]:
    """Where the axes stand: so far apart that the values left of each have room, and its name."""
    xs: list[float] = []
    for one in found:
        room = _COLUMN * max([cell_len(cut(name, _LONGEST)) for _, name in one.ticks], default=0) + 14
        apart = max(_APART, room + 36, _COLUMN * cell_len(one.name) + 20)
        xs.append(xs[-1] + apart if xs else max(room, 0.5 * _COLUMN * cell_len(one.name) + 4))
    return xs


def _axis(x: float, tall: float, one: Axis) -> Markup:
    parts = [Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, _TOP, _TOP + tall)]
    parts.append(Markup('<text class="mid" x="{}" y="{}">{}</text>').format(x, _TOP - 10, one.name))
    if one.kind == "log":
        parts.append(Markup('<text class="mid dim" x="{}" y="{}">log</text>').format(x, _TOP + tall + 15))
    return _join(parts)


def _words(x: float, foot: float, tall: float, one: Axis) -> Markup:
    """The values of an axis; of very many some, evenly."""
    parts = []
    for place, name in one.ticks[:: -(-len(one.ticks) // _NAMES)]:
        y = round(foot - place * tall, 1)
        parts.append(Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x - 4, x, y, y))
        said = cut(name, _LONGEST)
        parts.append(Markup('<text class="end value" x="{}" y="{}">{}</text>').format(x - 7, y + 4, said))
    return _join(parts)


def _score(x: float, tall: float, scale_: Scale | None, name: str) -> Markup:
    parts = [Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, _TOP, _TOP + tall)]
    parts.append(Markup('<text class="mid" x="{}" y="{}">{}</text>').format(x, _TOP - 10, name))
    for value in scale_.ticks(6) if scale_ else ():
        y = round(_TOP + tall - scale_.at(value) * tall, 1) if scale_ else 0
        parts.append(Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x + 5, y, y))
        parts.append(Markup('<text x="{}" y="{}">{}</text>').format(x + 9, y + 4, brief(value)))
    if scale_ and scale_.log:
        parts.append(Markup('<text class="mid dim" x="{}" y="{}">log</text>').format(x, _TOP + tall + 15))
    return _join(parts)


def _line(
    line: Line,
    kind: str,
    points: Sequence[tuple[float, float]],
    low: float,
    scale_: Scale | None,
    seeds: int,
    t: Words,
    *,
    stops: bool,
) -> Markup:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    said = told(line, seeds, t)
    good = round(scale_.good(line.mean), 3) if scale_ and kind != NONE else 0
    # a wide line that is not seen is easier to point at
    return Markup(
        '<g class="cell {}" style="--a:{}"{}><title>{}</title><polyline class="reach" points="{}"/>'
        '<polyline class="way" points="{}"/><text class="said" x="4" y="{}">{}</text></g>'
    ).format(
        kind,
        good,
        Markup(' tabindex="0" role="img" aria-label="{}"').format(said) if stops else Markup(""),
        said,
        path,
        path,
        round(low),
        said,
    )


def _interval(x: float, foot: float, tall: float, line: Line, scale_: Scale | None) -> Markup:
    if line.over is None or scale_ is None:
        return Markup("")
    low, high, mean = (round(foot - scale_.at(v) * tall, 1) for v in (line.over.low, line.over.high, line.mean))
    good = round(scale_.good(line.mean), 3)
    return Markup(
        '<g class="cell" style="--a:{}"><line class="spread" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<circle class="full" cx="{}" cy="{}" r="{}"/></g>'
    ).format(good, x, x, low, high, x, mean, 4 if line.best else 2.5)
