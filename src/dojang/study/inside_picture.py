"""Pictures of what happens inside networks: spread and gradients by layer, histograms; of one run, and of several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dojang.study import inside_map
from dojang.study.layers import Layer, shared_edges
from dojang.tasks.classify.letters import drawn
from dojang.tasks.classify.pictures import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dojang.study.inside import Inside

_SPREAD, _GRADIENT = "spread of activations between pictures", "gradient by the weights (RMS)"
# columns of a network's name, and up to how many the names stand beside the picture
_LONGEST, _BESIDE = 56, 28
# Okabe and Ito's colours, which the colour-blind can tell apart
_BEFORE, _AFTER = "#E69F00", "#0072B2"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F", "#999999")
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", ".")
# layers with a name below the axis, and histograms
_NAMES, _HISTOGRAMS = 16, 12


def draw(found: Inside) -> bytes:
    """The picture of one run as PNG bytes: spread, gradient and dead units by layer, and histograms of activations.

    Args:
        found: From :func:`dojang.study.inside.inside`.
    """
    from matplotlib.figure import Figure

    shown = _spread_layers(found.before or found.after)
    places = _evenly(len(shown), _HISTOGRAMS)
    rows = math.ceil(len(places) / 6)
    figure = Figure(figsize=(11, 3.6 + 1.7 * rows), dpi=120, layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(3.6, max(1.7 * rows, 0.1)))
    above, below = parts
    spread, gradient, silent = above.subplots(1, 3)
    for when, layers in found.moments:
        style = {"color": _BEFORE if when == "before" else _AFTER, "marker": "o" if when == "before" else "s"}
        label = f"{when} training"
        _line(spread, [one.std for one in _spread_layers(layers)], label, **style)
        _line(spread, [one.signal for one in _spread_layers(layers)], f"{when}, between pictures", ls=":", **style)
        _line(gradient, [one.weight_gradient for one in _weighted(layers)], label, **style)
        dead = [max(one.dead or 0.0, one.saturated or 0.0) for one in layers if one.kind == "activation"]
        silent.plot(range(1, len(dead) + 1), dead, markersize=4, linewidth=1.2, label=label, **style)
    activations = [one for one in found.before or found.after if one.kind == "activation"]
    ends = any(one.saturated is not None for one in activations)
    _finish(spread, "spread of what a layer gives", [one.name for one in shown], log=True)
    named = [one.name for one in _weighted(found.before or found.after)]
    _finish(gradient, "gradient by a layer's weights (RMS)", named, log=True)
    _finish(silent, "share of numbers at the ends" if ends else "share of dead units", [a.name for a in activations])
    silent.set_ylim(-0.03, 1.03)
    if shown:
        spread.legend(fontsize=7)
    _histograms(below, found, places, rows)
    return png(figure)


def compared(found: Mapping[str, Inside]) -> bytes:
    """Several runs in one picture, as PNG bytes: spread and gradient by layer, before training and after.

    Up to nine are lines; more could not be told apart, and are rows of maps.

    Args:
        found: What is inside each, by the name it is to have in the picture.
    """
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    known = {when for one in found.values() for when, _ in one.moments}
    moments = [when for when in ("before", "after") if when in known] or ["before"]
    if len(found) > len(_COLOURS):
        at = {when: [dict(one.moments).get(when, ()) for one in found.values()] for when in moments}
        spread = {when: [[one.signal for one in _spread_layers(each)] for each in at[when]] for when in moments}
        gradient = {when: [[one.weight_gradient for one in _weighted(each)] for each in at[when]] for when in moments}
        return inside_map.draw(list(found), {_SPREAD: spread, _GRADIENT: gradient})
    figure = Figure(figsize=(11, 0.5 + 3.3 * len(moments)), dpi=120, layout="constrained")
    grid = figure.subplots(len(moments), 2, squeeze=False)
    names = drawn(tuple(found), longest=_LONGEST, first=1)
    for axes, when in zip(grid, moments, strict=True):
        for number, one in enumerate(found.values()):
            layers = dict(one.moments).get(when, ())
            style = {"color": _COLOURS[number], "marker": _MARKS[number]}
            label = names[number].plotted
            _line(axes[0], [layer.signal for layer in _spread_layers(layers)], label, **style)
            _line(axes[1], [layer.weight_gradient for layer in _weighted(layers)], label, **style)
        _finish(axes[0], f"{_SPREAD}, {when} training", [], log=True)
        _finish(axes[1], f"{_GRADIENT}, {when} training", [], log=True)
    handles, words = grid[0][0].get_legend_handles_labels()
    # under its label each network has the name that was asked for, whatever letters it has
    if max(len(name.text) for name in names) <= _BESIDE:
        legend = figure.legend(handles, words, loc="outside right upper", fontsize=8)
    else:
        legend = figure.legend(handles, words, loc="outside lower center", fontsize=8, ncols=2)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_fontproperties(FontProperties(fname=name.font, size=8))
    return png(figure)


def _weighted(layers: Sequence[Layer]) -> list[Layer]:
    """Layers with weights, each once."""
    return [one for one in layers if one.kind == "weights" and "#" not in one.name]


def _spread_layers(layers: Sequence[Layer]) -> list[Layer]:
    """The activations; where none are modules, the layers with weights."""
    return [one for one in layers if one.kind == "activation"] or list(layers)


def _line(axes: Axes, values: Sequence[float | None], label: str, **style: Any) -> None:
    # a log axis has no place for 0 nor for what is not finite: the line is broken there
    good = [value if value and math.isfinite(value) else math.nan for value in values]
    axes.plot(range(1, len(good) + 1), good, markersize=4, linewidth=1.2, label=label, **style)


def _finish(axes: Axes, title: str, names: Sequence[str], *, log: bool = False) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize=7)
    if log and axes.dataLim.y1 > 0:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        # what hardly changes is shown as such: two powers of ten at least
        more = max(0.0, 1 - math.log10(high / low) / 2)
        axes.set_ylim(low / 10**more, high * 10**more)
    if 0 < len(names) <= _NAMES:
        short = [plotted.plotted for plotted in drawn(tuple(names))]
        axes.set_xticks(range(1, len(names) + 1), short, rotation=60, ha="right", rotation_mode="anchor")
    else:
        axes.set_xlabel("layer, the first one left", fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _evenly(count: int, most: int) -> list[int]:
    """At most ``most`` of the first ``count`` numbers, the first and last among them."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most))}) if count else []


def _histograms(figure: Any, found: Inside, places: Sequence[int], rows: int) -> None:
    if not places:
        return
    grid = figure.subplots(rows, 6, squeeze=False).flatten()
    moments = [(when, _spread_layers(layers)) for when, layers in found.moments]
    for axes, place in zip(grid, places, strict=False):
        edges = shared_edges([layers[place] for _, layers in moments])
        for when, layers in moments:
            values = layers[place].values
            shares = np.histogram(values[np.isfinite(values)], edges)[0] / max(len(values), 1)
            axes.stairs(shares, edges, color=_BEFORE if when == "before" else _AFTER, linewidth=1.1, fill=False)
        axes.set_title(drawn((moments[0][1][place].name,))[0].plotted, fontsize=7)
        # ReLU's zeros would hide all else
        if axes.dataLim.y1 > 0:
            axes.set_yscale("log")
        axes.tick_params(labelsize=6)
        axes.set_yticks([])
        axes.minorticks_off()
    for axes in grid[len(places) :]:
        axes.set_visible(False)
    figure.suptitle("histograms of what layers give, on a log axis", fontsize=9)
