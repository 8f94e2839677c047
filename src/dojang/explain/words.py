"""Heat in words: in which part of the picture it lies."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from dojang.explain.heat import Heat

_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "middle", "right")
# the side at which a heat map is measured, at most
_SIDE = 300


def parts(heat: Heat) -> dict[str, float]:
    """The share of the heat in each of nine parts of the picture, the hottest first; empty where there is none.

    Only what speaks for the class counts.
    """
    values = _positive(heat)
    total = float(values.sum())
    if total <= 0:
        return {}
    found = {}
    for row, band in zip(_ROWS, np.array_split(values, 3, axis=0), strict=True):
        for column, part in zip(_COLUMNS, np.array_split(band, 3, axis=1), strict=True):
            found[_name(row, column)] = float(part.sum()) / total
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def half(heat: Heat) -> float | None:
    """The smallest share of the picture that holds half of the heat; None where there is no heat.

    A map of which every pixel is equally hot has 0.5.
    """
    values = np.sort(_positive(heat).ravel())[::-1]
    total = float(values.sum())
    if total <= 0:
        return None
    return float(np.searchsorted(np.cumsum(values), 0.5 * total) + 1) / len(values)


def sentence(heat: Heat) -> str:
    """Where the heat is, in a line."""
    found, share = parts(heat), half(heat)
    if share is None:
        return f"nothing speaks for {heat.label}"
    told: list[str] = []
    for name, part in found.items():
        if part < 0.1 or len(told) == 3:
            break
        told.append(f"{name} {part:.0%}")
    where = ", ".join(told) if told else "all over the picture"
    return f"{where}; half of it in {share:.0%} of the picture"


def _positive(heat: Heat) -> Float32[np.ndarray, "h w"]:
    height, width = heat.frame.picture
    less = max(1.0, max(height, width) / _SIDE)
    size = max(1, round(height / less)), max(1, round(width / less))
    found: np.ndarray = np.nan_to_num(np.maximum(heat.laid(size), 0))
    return found


def _name(row: str, column: str) -> str:
    return row if row == column else f"{row} {column}"
