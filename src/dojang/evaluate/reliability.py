"""reliability.png: how often answers are right, beside how sure they are."""

from __future__ import annotations

import numpy as np

from dojang.metrics.calibration import Calibration
from dojang.tasks.classify.pictures import png

# colour-blind-safe (Okabe and Ito); beside colour, points and bars differ in shape
_POINT, _BAR = "#0072B2", "#999999"


def reliability(found: Calibration, title: str) -> bytes:
    """Confidence against accuracy as PNG bytes: on the line, a probability means what it says.

    Args:
        found: Of the answers to draw.
        title: What it is of.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 5.4), dpi=120)
    axes = figure.add_axes((0.17, 0.34, 0.79, 0.55))
    below = figure.add_axes((0.17, 0.1, 0.79, 0.16), sharex=axes)
    axes.plot((0, 1), (0, 1), color="0.6", linewidth=1, linestyle="--", zorder=1)
    there = found.counts > 0
    x, y = found.confidence[there], found.accuracy[there]
    reach = np.maximum(np.stack([y - found.low[there], found.high[there] - y]), 0)
    axes.errorbar(x, y, reach, fmt="o", markersize=5, color=_POINT, ecolor=_POINT, elinewidth=1.2, capsize=2.5)
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is right")
    axes.tick_params(labelbottom=False)
    axes.grid(alpha=0.25)
    chance = f"{found.by_chance:.4f}, up to {found.by_chance_high:.4f}"
    words = f"calibration error {found.ece:.4f}\nby chance alone {chance}"
    axes.set_title(f"{title}: {words}", fontsize=9)
    axes.text(0.97, 0.03, "too sure", transform=axes.transAxes, ha="right", fontsize=8, color="0.4")
    axes.text(0.03, 0.93, "not sure enough", transform=axes.transAxes, fontsize=8, color="0.4")
    width = 1 / len(found.counts)
    below.bar(np.arange(len(found.counts)) * width, found.counts, width, align="edge", color=_BAR, edgecolor="white")
    below.set(xlabel="probability of the answer", ylabel="pictures")
    below.locator_params(axis="y", nbins=3)
    below.grid(alpha=0.25)
    return png(figure)
