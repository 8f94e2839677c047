"""Drawings of a page as SVG: lines over steps, bars with intervals, a reliability curve. Text is text, in any script.

Colours are classes of the page's style sheet, which has a light and a dark one of each; lines differ in dash and dot
too, so that they can be told apart without colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dojang.study.ticks import ticks

WIDTH, HEIGHT = 360, 232
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 350, 12, 196

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Args:
        kind: Its class: "train", "val", "steps" or "rate".
        label: What it shows.
        points: (x, y), x ascending.
        dots: Whether each point is one to look at.
        said: Of each dot, for those who point at it.
    """

    kind: str
    label: str
    points: Points
    dots: bool = False
    said: Sequence[str] = ()


@dataclass(frozen=True)
class Mark:
    """A place on the x axis: a vertical line of a class."""

    kind: str
    x: float


@dataclass(frozen=True)
class Frame:
    """Where numbers lie on the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Numbers as places, rounded to a tenth of a pixel."""
        (left, right), (low, high) = self.x, self.y
        across = _LEFT + (x - left) / ((right - left) or 1) * (_RIGHT - _LEFT)
        down = _BOTTOM - (y - low) / ((high - low) or 1) * (_BOTTOM - _TOP)
        return round(across, 1), round(min(max(down, _TOP), _BOTTOM), 1)


def chart(title: str, axis: str, lines: Sequence[Line], marks: Sequence[Mark] = (), *, zero: bool = False) -> Markup:
    """Lines over steps.

    Args:
        title: Said to those who cannot see it.
        axis: What lies across.
        zero: Whether the y axis begins at 0.
    """
    # from 0 on, so that charts of one run can be laid over each other
    points = [point for line in lines for point in line.points if math.isfinite(point[1])]
    frame = Frame(
        (0.0, max(x for x, _ in points)),
        _room([y for _, y in points], zero),
    )
    parts = [_axes(frame, axis)]
    for mark in marks:
        x, _ = frame.at(mark.x, frame.y[0])
        parts.append(
            Markup('<line class="mark {}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(mark.kind, x, x, _TOP, _BOTTOM)
        )
    for line in lines:
        placed = [frame.at(x, y) for x, y in line.points if math.isfinite(y)]
        path = " ".join(f"{x:g},{y:g}" for x, y in placed)
        if len(placed) > 1:
            parts.append(Markup('<polyline class="line {}" points="{}"/>').format(line.kind, path))
        if line.dots or len(placed) == 1:
            parts += [_dot(line, i, *place) for i, place in enumerate(placed)]
    return _svg(title, Markup("").join(parts))


def _dot(line: Line, i: int, x: float, y: float) -> Markup:
    said = Markup("<title>{}</title>").format(line.said[i]) if i < len(line.said) else Markup("")
    if line.kind == "val":
        return Markup('<rect class="dot val" x="{}" y="{}" width="6" height="6">{}</rect>').format(
            round(x - 3, 1), round(y - 3, 1), said
        )
    return Markup('<circle class="dot {}" cx="{}" cy="{}" r="3">{}</circle>').format(line.kind, x, y, said)


def _axes(frame: Frame, axis: str) -> Markup:
    parts = []
    for y in ticks(*frame.y, 5):
        _, down = frame.at(frame.x[0], y)
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_LEFT, _RIGHT, down, down))
        parts.append(Markup('<text x="{}" y="{}" class="end">{}</text>').format(_LEFT - 5, down + 4, brief(y)))
    for x in ticks(*frame.x, 4):
        across, _ = frame.at(x, frame.y[0])
        parts.append(Markup('<text x="{}" y="{}" class="mid">{}</text>').format(across, _BOTTOM + 15, brief(x)))
    parts.append(
        Markup('<text x="{}" y="{}" class="mid dim">{}</text>').format((_LEFT + _RIGHT) / 2, _BOTTOM + 30, axis)
    )
    return Markup("").join(parts)


def _svg(title: str, body: Markup) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, title, body
    )


def _room(values: Sequence[float], zero: bool) -> tuple[float, float]:
    """The y axis: a little more than the numbers need."""
    low, high = (0.0 if zero else min(values)), max(values)
    space = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return (low if zero else low - space), high + space


def brief(value: float) -> str:
    """A number at an axis.

    >>> brief(12000), brief(0.25), brief(1.0), brief(0.000012)
    ('12k', '0.25', '1', '1.2e-5')
    """
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    if value and abs(value) < 1e-4:
        return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")
    return f"{value:g}"


def thinned(points: Points, most: int = 240) -> list[tuple[float, float]]:
    """A long line by the means of its parts, so that a page of a long run stays small.

    >>> thinned([(1, 1.0), (2, 3.0), (3, 5.0), (4, 7.0)], 2)
    [(1.5, 2.0), (3.5, 6.0)]
    """
    if len(points) <= most:
        return list(points)
    found = []
    for i in range(most):
        part = points[i * len(points) // most : (i + 1) * len(points) // most]
        found.append((sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)))
    return found


def bar(value: float | None, low: float | None, high: float | None, title: str, *, filled: bool = True) -> Markup:
    """A share from 0 to 1 as a bar, or a dot, with the line of its interval."""
    parts = [Markup('<line class="grid" x1="0" x2="100" y1="8" y2="8"/>')]
    if value is not None and filled:
        parts.append(Markup('<rect class="bar" x="0" y="3" width="{}" height="10"/>').format(_share(value)))
    if low is not None and high is not None:
        parts.append(Markup('<line class="whisker" x1="{}" x2="{}" y1="8" y2="8"/>').format(_share(low), _share(high)))
        parts += [
            Markup('<line class="whisker" x1="{}" x2="{}" y1="4.5" y2="11.5"/>').format(end, end)
            for end in (_share(low), _share(high))
        ]
    if value is not None and not filled:
        # wide, since the drawing is stretched
        parts.append(Markup('<line class="here" x1="{}" x2="{}" y1="2" y2="14"/>').format(_share(value), _share(value)))
    return Markup(
        '<svg class="bars" viewBox="0 0 100 16" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(title, Markup("").join(parts))


def _share(value: float) -> float:
    return round(100 * min(max(value, 0.0), 1.0), 2)


@dataclass(frozen=True)
class Bin:
    """Answers of about one probability.

    Args:
        probability: Their mean one.
        right: The share of them that is right, and its interval.
        n: How many.
    """

    probability: float
    right: float
    low: float
    high: float
    n: int


def reliability(title: str, bins: Sequence[Bin], across: str, up: str, answers: str) -> Markup:
    """The share of right answers over the probability they were given with, on both sides from 0 to 1."""
    frame = Frame((0.0, 1.0), (0.0, 1.0))
    parts = [_axes(frame, across)]
    (x0, y0), (x1, y1) = frame.at(0, 0), frame.at(1, 1)
    most = max((one.n for one in bins), default=1)
    parts.append(Markup('<line class="ideal" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(x0, y0, x1, y1))
    parts.append(Markup('<text class="dim" x="{}" y="{}">{}</text>').format(_LEFT + 6, _TOP + 10, up))
    for one in bins:
        x, y = frame.at(one.probability, one.right)
        # how many there are, along the foot
        tall = round(28 * one.n / most, 1)
        parts.append(
            Markup('<rect class="many" x="{}" y="{}" width="6" height="{}"/>').format(
                round(x - 3, 1), _BOTTOM - tall, tall
            )
        )
        (_, low), (_, high) = frame.at(one.probability, one.low), frame.at(one.probability, one.high)
        parts.append(Markup('<line class="whisker" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(x, x, low, high))
    path = " ".join("{:g},{:g}".format(*frame.at(one.probability, one.right)) for one in bins)
    parts.append(Markup('<polyline class="line train" points="{}"/>').format(path))
    for one in bins:
        x, y = frame.at(one.probability, one.right)
        said = f"{across} {one.probability:.2f}: {up} {one.right:.2f} ({one.low:.2f} – {one.high:.2f})"
        said += f", {one.n:,} {answers}"
        parts.append(
            Markup('<circle class="dot train" cx="{}" cy="{}" r="3.5"><title>{}</title></circle>').format(x, y, said)
        )
    return _svg(title, Markup("").join(parts))
