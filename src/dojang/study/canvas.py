"""A sheet on which the pictures of a study are drawn, measured in inches: names in fonts that have their letters, the
marks of cells, a bar of colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from dojang.evaluate.chosen import WORDS
from dojang.study.dimensions import Dimension
from dojang.study.looks import ALIKE, BEST, NONE, OPEN, REST, Scale, worded
from dojang.study.plan import Plan, higher
from dojang.tasks.classify.letters import Drawn, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: points of text
SIZE = 8.0
INK, DIM, FAINT = "#1b1f24", "#5b6470", "#8a939e"
#: how the outline of a marked cell is drawn
OUTLINES: dict[str, dict[str, Any]] = {
    BEST: {"linewidth": 2.6, "linestyle": "-"},
    ALIKE: {"linewidth": 1.6, "linestyle": (0, (3, 1.6))},
    OPEN: {"linewidth": 1.4, "linestyle": (0, (1, 1.4))},
}
#: what is said of marks
SAID = {
    BEST: "best",
    ALIKE: "not told apart from it",
    OPEN: "nothing can be said",
    REST: "worse",
    NONE: "without a score",
}
# the best is dark, since the paper is white; the palest part of the map would be hard to see on it
_PALEST = 0.85
_LONGEST, _TITLE = 26, 90


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A white figure, and axes over all of it whose units are inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    measured(axes)
    axes.set_axis_off()
    return figure, axes


def measured(axes: Axes) -> None:
    """Units are inches again, whatever a drawing made of them."""
    width, height = axes.figure.bbox.width / axes.figure.dpi, axes.figure.bbox.height / axes.figure.dpi
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_aspect("auto")


def names(words: Sequence[str], longest: int = _LONGEST) -> list[Drawn]:
    """Names as they can be drawn; one that cannot is called by its number in the file, from 1."""
    return drawn(tuple(words), longest=longest, first=1)


def numbered(dimensions: Iterable[Dimension]) -> list[str]:
    """A sentence for each dimension that has names which cannot be drawn."""
    found = [(one.name, name.text) for one in dimensions for name in names(one.words) if name.numbered]
    last = dict(found)
    return [
        f"{text} is the {name} of that number in study.yaml: no font here has its letters."
        for name, text in last.items()
    ]


def wide(text: str, size: float = SIZE) -> float:
    """About how many inches a text takes, rather more than less."""
    return cell_len(text) * size * 0.62 / 72


def write(axes: Axes, x: float, y: float, text: str | Drawn, *, size: float = SIZE, **style: Any) -> Any:
    """Put a text at a place."""
    from matplotlib.font_manager import FontProperties

    if isinstance(text, Drawn):
        style["fontproperties"] = FontProperties(fname=text.font, size=size)
    shown = text.plotted if isinstance(text, Drawn) else text.replace("$", r"\$")
    style.setdefault("color", INK)
    style.setdefault("va", "center")
    return axes.text(x, y, shown, fontsize=size, **style)


def heading(axes: Axes, x: float, y: float, title: str, about: str) -> None:
    """The title of a picture, and below it what the picture shows."""
    said = drawn((title,), longest=_TITLE, first=1)[0]
    # a title in letters that no font has is in the table
    write(axes, x, y, "Study" if said.numbered or not title else said, size=11)
    write(axes, x, y - 0.22, about, size=SIZE + 0.5, color=DIM)


def colour(good: float) -> tuple[float, float, float]:
    """The colour of how good a cell is: dark for the best. Red, green and blue, 0 to 1.

    The map is viridis, even to the eye and to be told apart by the colour-blind (Smith and van der Walt, 2015).
    """
    from matplotlib import colormaps

    red, green, blue, _ = colormaps["viridis"](_PALEST * (1 - good))
    return float(red), float(green), float(blue)


def ink_on(ground: tuple[float, float, float]) -> str:
    """Black or white, whichever can be read on a colour: with a contrast of 4.5 or more on any (WCAG 2.2).

    >>> ink_on((1, 1, 1)), ink_on((0.27, 0.0, 0.33))
    ('black', 'white')
    """
    return "black" if luminance(ground) > math.sqrt(1.05 * 0.05) - 0.05 else "white"


def luminance(ground: Sequence[float]) -> float:
    """The relative luminance of red, green and blue from 0 to 1, as WCAG 2.2 defines it."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in ground]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def bar(axes: Axes, x: float, y: float, height: float, scale: Scale) -> None:
    """The colours of the scores between the worst and the best mean, the best on top, numbers beside them.

    Args:
        x, y: Its lower left corner.
    """
    import numpy as np

    steps = 128
    shades = np.array([[colour((i + 0.5) / steps)] for i in range(steps)])
    axes.imshow(shades, extent=(x, x + 0.14, y, y + height), origin="lower", aspect="auto", interpolation="nearest")
    measured(axes)
    taken: list[float] = []
    for value in (scale.low, scale.high, *scale.ticks(5)):
        at = y + height * scale.good(value)
        if scale.low <= value <= scale.high and all(abs(at - other) > 0.15 for other in taken):
            taken.append(at)
            ends = value in (scale.low, scale.high)
            write(axes, x + 0.2, at, worded(value) if ends else f"{value:g}", size=SIZE - 1)


def score(plan: Plan, judge: str) -> str:
    """The score by which cells are ranked, in words."""
    return f"{judge} {WORDS.get(plan.score, plan.score)}"


def about(plan: Plan, judge: str) -> str:
    """What the figures of a picture are."""
    way = "higher is better" if higher(plan.score) else "lower is better"
    if len(plan.seeds) == 1:
        return f"{score(plan, judge)} of one run each, which cannot be told apart from luck; {way}"
    return f"{score(plan, judge)}: mean of {len(plan.seeds)} seeds, ± half of its 95 % interval; {way}"


def explained(marks: Iterable[str], seeds: int) -> set[str]:
    """The marks that occur and mean something: of one run each none is known to be worse."""
    return set(marks) - ({REST} if seeds == 1 else set())


def legend_wide(marks: Iterable[str]) -> float:
    """Inches that a legend takes."""
    there = set(marks)
    return sum(0.6 + wide(said) for kind, said in SAID.items() if kind in there)


def legend(axes: Axes, x: float, y: float, marks: Iterable[str], sample: Callable[[float, float, str], None]) -> None:
    """What the marks are that occur, in a line.

    Args:
        x, y: Its left end.
        marks: Of the cells.
        sample: Draws a mark, 0.3 inches wide, its middle at the place that it is given.
    """
    there = set(marks)
    for kind, said in SAID.items():
        if kind in there:
            sample(x + 0.15, y, kind)
            write(axes, x + 0.4, y, said)
            x += 0.6 + wide(said)
