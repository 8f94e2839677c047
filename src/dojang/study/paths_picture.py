"""The picture of paths: contours with the way of each optimizer, heights by step, and gradient descent by rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dojang.study.paths import FUNCTIONS, Function, factor, reached, values, verdict
from dojang.tasks.classify.letters import drawn
from dojang.tasks.classify.pictures import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which the colour-blind can tell apart, with marks and dashes beside them
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F", "#999999")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", ".")
_DASHES = ("-", "--", "-.", ":")
# below this two paths are where they want to be
_LOW = 1e-8


def draw(found: Mapping[str, Mapping[str, np.ndarray]], bowl: Mapping[float, np.ndarray], steps: int) -> bytes:
    """The picture as PNG bytes.

    Args:
        found: By function and optimizer, places (n, 2).
        bowl: Of plain gradient descent on the bowl, by rate.
        steps: That each path had.
    """
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    heights = (3.6, 2.5, 2.9)[: 3 if bowl else 2]
    figure = Figure(figsize=(11, 0.4 + sum(heights)), dpi=120, layout="constrained")
    parts: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
    maps, falls = (part.subplots(1, len(found), squeeze=False)[0] for part in parts[:2])
    words = tuple(next(iter(found.values())))
    names = drawn(words)
    for axes, below, (name, paths) in zip(maps, falls, found.items(), strict=True):
        function = FUNCTIONS[name]
        _contours(axes, function)
        for number, (word, places) in enumerate(paths.items()):
            label = names[words.index(word)].plotted
            _way(axes, places, number, label)
            style = {"color": _COLOURS[number % 9], "linestyle": _DASHES[number % 4]}
            below.plot(np.maximum(values(function, places), _LOW), linewidth=1.3, label=label, **style)
        axes.set_title(f"{name}: {function.words}", fontsize=9)
        below.set_yscale("log")
        below.set_xlabel("step", fontsize=8)
        below.set_title(f"{name}: height above its lowest point", fontsize=9)
        below.grid(alpha=0.25)
        below.tick_params(labelsize=7)
    handles, _ = maps[0].get_legend_handles_labels()
    legend = parts[0].legend(handles, [one.plotted for one in names], loc="outside upper center",
                             ncols=min(len(words), 6), fontsize=8, frameon=False)  # fmt: skip
    for text, one in zip(legend.get_texts(), names, strict=True):
        text.set_fontproperties(FontProperties(fname=one.font, size=8))
    if bowl:
        _rates(parts[2], bowl, steps)
    return png(figure)


def _contours(axes: Axes, function: Function) -> None:
    x, y, height = function.grid()
    above = height - function.lowest
    # closer where it is low, or the valley floor would be one white patch
    levels = above.max() * np.linspace(0.0, 1.0, 16)[1:] ** 2
    axes.contour(x, y, above, levels=levels, colors="0.75", linewidths=0.7)
    left, right, bottom, top = function.box
    for place in function.bottoms:
        axes.plot(*place, "+", color="black", markersize=9, zorder=5)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.tick_params(labelsize=7)


def _way(axes: Axes, places: np.ndarray, number: int, label: str) -> None:
    style: dict[str, Any] = {"color": _COLOURS[number % 9], "marker": _MARKS[number % 9]}
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    x, y = places.T
    outside = np.flatnonzero((x < left) | (x > right) | (y < bottom) | (y > top))
    # a way that leaves the picture for good would paint it over
    if len(outside) and outside[-1] == len(places) - 1:
        places = places[: outside[0] + 2]
    axes.plot(places[:, 0], places[:, 1], linewidth=1.1, markersize=3, label=label, alpha=0.9, **style)


def _rates(part: Any, bowl: Mapping[float, np.ndarray], steps: int) -> None:
    """Gradient descent on the bowl: a path for each rate, and the height that it came to against the rate."""
    function = FUNCTIONS["bowl"]
    curvatures = function.curvatures or (1.0, 1.0)
    limit = 2 / curvatures[1]
    grid = part.subplots(1, len(bowl) + 1)
    for axes, (rate, places) in zip(grid, bowl.items(), strict=False):
        _contours(axes, function)
        colour = {"too low": 0, "right": 2, "too high": 1}[verdict(rate, curvatures)]
        _way(axes, places, colour, "")
        left = factor(rate, curvatures)
        axes.set_title(f"{verdict(rate, curvatures)}: lr {rate:g}\na step leaves {left:.3f}", fontsize=8.5)
    last = grid[-1]
    rates = np.linspace(0.01, 1.15 * limit, 115)
    ends = reached(rates, steps)
    last.plot(rates, np.where(np.isfinite(ends), np.maximum(ends, _LOW), np.nan), color="0.3", linewidth=1.3)
    last.axvline(limit, color=_COLOURS[1], linestyle="--", linewidth=1)
    last.text(limit, 0.97, f"2/L = {limit:g} ", ha="right", va="top", fontsize=8, transform=last.get_xaxis_transform())
    last.set_yscale("log")
    last.set_xlabel("lr", fontsize=8)
    last.set_title(f"bowl: height after {steps} steps\nof gradient descent", fontsize=8.5)
    last.grid(alpha=0.25)
    last.tick_params(labelsize=7)
