"""Pictures of a classifier's answers, as PNG bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from dojang.tasks.classify.letters import drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_matrix(matrix: np.ndarray, labels: tuple[str, ...], title: str) -> bytes:
    """A confusion matrix: colour is the share of the true class, the numbers are counts.

    Args:
        matrix: int64 (c, c), rows are the true classes.
        labels: Names of the classes.
        title: What it is of.
    """
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

    classes = len(labels)
    names = drawn(labels)
    longest = max(len(name.text) for name in names)
    inches = min(max(3.4, 0.42 * classes + 0.09 * longest + 1.4), 40.0)
    figure = Figure(figsize=(inches + 0.6, inches), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    support = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(support, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    words = [name.plotted for name in names]
    axes.set_xticks(range(classes), words, rotation=45 if longest > 3 else 0, ha="right" if longest > 3 else "center")
    axes.set_yticks(range(classes), words)
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for tick, name in zip(ticks, names, strict=True):
            tick.set_fontproperties(FontProperties(fname=name.font))
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    # over the bar of colours, too, which it would run into
    figure.suptitle(title, fontsize=10)
    if classes <= 40:
        for i, j in zip(*np.nonzero(matrix), strict=True):
            colour = "white" if shares[i, j] > 0.55 else "black"
            axes.text(j, i, f"{matrix[i, j]}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    return png(figure)


def png(figure: Figure) -> bytes:
    """A figure as PNG bytes; the same figure gives the same bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
