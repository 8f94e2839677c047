"""The picture of a range test: the loss against the rate, and where each rule puts its finger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dojang.tasks.classify.pictures import png
from dojang.train.range_test import Curve, lowest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dojang.runs.lr_find import Found

# Okabe and Ito's colours, which the colour-blind can tell apart, with marks of their own
_LINE = "#0072B2"
_RULES = (("#D55E00", "o"), ("#009E73", "s"), ("#CC79A7", "^"))


def draw(found: Found) -> bytes:
    """A range test as PNG bytes."""
    from matplotlib.figure import Figure

    from dojang.runs.lr_find import short, words

    figure = Figure(figsize=(7.5, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    curve = found.curve
    axes.plot(curve.rates, curve.losses, color="0.75", linewidth=0.8, label="each step")
    axes.plot(curve.rates, curve.smoothed, color=_LINE, linewidth=1.8, label="smoothed")
    for one, (colour, mark) in zip(found.suggestions, _RULES, strict=True):
        if one.rate is not None:
            axes.axvline(one.rate, color=colour, linewidth=0.9, linestyle="--")
            label = f"{one.rule}: {short(one.rate)}"
            axes.plot(one.rate, height(curve, one.rate), mark, color=colour, markersize=7, label=label)
    frame(axes, [curve])
    axes.set_ylabel("training loss")
    axes.set_title(f"{words(found.recipe)}: loss while the rate rises", fontsize=10)
    axes.legend(fontsize=8)
    return png(figure)


def frame(axes: Axes, curves: list[Curve]) -> None:
    """A logarithmic axis of rates, and heights that show the fall and where the loss rises again."""
    tops = [curve.smoothed[: lowest(curve) + 1].max() for curve in curves]
    axes.set_ylim(0, 1.5 * max(tops))
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.grid(alpha=0.25)


def height(curve: Curve, rate: float) -> float:
    """The smoothed loss at a rate."""
    return float(np.interp(np.log(rate), np.log(curve.rates), curve.smoothed))
