"""What happens inside many networks, as maps: a row for each network, a square for each layer, on a log scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dojang.tasks.classify.letters import Drawn, drawn
from dojang.tasks.classify.pictures import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

#: how much smaller than the largest number is still told apart by colour; what is smaller is grey
RANGE = 1e-8
# columns of a network's name; rows with a name of their own
_LONGEST, _NAMED = 56, 80
_SMALLER = "#c8ced5"

#: by what is shown, by the moment, of each network a number a layer
Maps = Mapping[str, Mapping[Any, Sequence[Sequence[float | None]]]]


def draw(names: Sequence[str], maps: Maps) -> bytes:
    """Maps side by side as PNG bytes.

    Args:
        names: Of the networks.
        maps: By what is shown, by the moment ("before", "after"), of each network a number a layer.
    """
    return png(figure(names, maps))


def figure(names: Sequence[str], maps: Maps) -> Figure:
    """The same as a figure of matplotlib."""
    from matplotlib.figure import Figure

    moments = list(dict.fromkeys(when for one in maps.values() for when in one))
    named = drawn(tuple(names), longest=_LONGEST, first=1)
    left = 0.075 * max(len(one.text) for one in named)
    tall = min(max(0.19 * len(names), 1.2), 40.0)
    made = Figure(figsize=(left + 8.2, (tall + 0.75) * len(moments) + 0.6), dpi=120, layout="constrained")
    grid = made.subplots(len(moments), len(maps), squeeze=False)
    for column, (title, by_moment) in enumerate(maps.items()):
        norm = _norm([value for rows in by_moment.values() for row in rows for value in row])
        for axes, when in zip(grid[:, column], moments, strict=True):
            _map(axes, by_moment[when], norm)
            axes.set_title(f"{title}, {when} training", fontsize=9)
            _rows(axes, named if column == 0 else None, len(names))
            axes.tick_params(axis="x", labelsize=7)
        grid[-1, column].set_xlabel("layer, the first one left", fontsize=8)
        if norm is not None:
            image = grid[0, column].images[0]
            bar = made.colorbar(image, ax=list(grid[:, column]), extend="min", shrink=0.7, aspect=30)
            bar.ax.tick_params(labelsize=7)
    made.supxlabel("grey: 0, or less than the scale shows;  x: no number;  white: no such layer", fontsize=8)
    return made


def rectangle(rows: Sequence[Sequence[float | None]]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of unequal length as one array, nan where there is no layer, and where a layer gave no number.

    >>> values, lost = rectangle([[1.0, math.inf], [2.0]])
    >>> values.tolist(), lost.tolist()
    ([[1.0, nan], [2.0, nan]], [[False, True], [False, False]])
    """
    values = np.full((len(rows), max([1, *map(len, rows)])), math.nan)
    lost = np.zeros(values.shape, bool)
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            there = value is not None and math.isfinite(value)
            values[i, j] = value if there and value is not None else math.nan
            lost[i, j] = value is not None and not there
    return values, lost


def _norm(values: Sequence[float | None]) -> LogNorm | None:
    from matplotlib.colors import LogNorm

    good = [value for value in values if value and math.isfinite(value)]
    if not good:
        return None
    high = max(good)
    return LogNorm(max(min(good), high * RANGE) * 0.999, high)


def _map(axes: Axes, rows: Sequence[Sequence[float | None]], norm: LogNorm | None) -> None:
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    values, lost = rectangle(rows)
    colours = colormaps["viridis"].with_extremes(bad="white", under=_SMALLER)
    if norm is not None and norm.vmin is not None:
        # 0 has no logarithm; it is less than anything
        shown = np.where(values == 0, norm.vmin / 2, values)
        axes.imshow(shown, cmap=colours, norm=norm, aspect="auto", interpolation="nearest",
                    extent=(0.5, values.shape[1] + 0.5, len(rows) - 0.5, -0.5))  # fmt: skip
    up, across = np.nonzero(lost)
    axes.plot(across + 1, up, "x", color="black", markersize=4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _rows(axes: Axes, named: Sequence[Drawn] | None, count: int) -> None:
    from matplotlib.font_manager import FontProperties

    axes.set_ylim(count - 0.5, -0.5)
    if named is None:
        axes.set_yticks([])
        return
    places = range(0, count, -(-count // _NAMED))
    axes.set_yticks(places, [named[i].plotted for i in places])
    for label, place in zip(axes.get_yticklabels(), places, strict=True):
        label.set_fontproperties(FontProperties(fname=named[place].font, size=7.5))
