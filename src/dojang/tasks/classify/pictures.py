"""Pictures of a classifier's answers, as PNG bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

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

    classes = len(labels)
    names = drawable(labels)
    longest = max(len(name) for name in names)
    inches = min(max(3.4, 0.42 * classes + 0.09 * longest + 1.4), 40.0)
    figure = Figure(figsize=(inches + 0.6, inches), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    support = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(support, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(classes), names, rotation=45 if longest > 3 else 0, ha="right" if longest > 3 else "center")
    axes.set_yticks(range(classes), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=10)
    if classes <= 40:
        for i, j in zip(*np.nonzero(matrix), strict=True):
            colour = "white" if shares[i, j] > 0.55 else "black"
            axes.text(j, i, f"{matrix[i, j]}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    return png(figure)


def drawable(labels: tuple[str, ...]) -> list[str]:
    """Names that the default font can draw; one that it cannot is shown by its number (the CSV has the names)."""
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    # "$" would start mathematics
    return [
        label.replace("$", r"\$") if all(font.get_char_index(ord(c)) for c in label) else f"#{i}"
        for i, label in enumerate(label[:40] for label in labels)
    ]


def png(figure: Figure) -> bytes:
    """A figure as PNG bytes; the same figure gives the same bytes."""
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
