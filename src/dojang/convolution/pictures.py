"""Steps as a drawing: every array a grid of numbers, shaded by their size, one beside the other."""

from __future__ import annotations

from xml.sax.saxutils import escape

import numpy as np

from dojang.convolution.steps import Steps

_HIGH, _GAP, _WIDE = 22, 26, 860
# towards two of Okabe and Ito's colours, which the colour-blind can tell apart
_PLUS, _MINUS = (0, 114, 178), (213, 94, 0)


def draw(steps: Steps) -> str:
    """The text of an SVG file.

    Args:
        steps: Their arrays are drawn as grids; of more than two axes the planes side by side.

    Example:
        >>> from dojang.convolution.steps import convolution
        >>> text = draw(convolution([[1, 2], [3, 4]], [[1, 0], [0, 1]]))
        >>> text.startswith("<svg"), ">5</text>" in text
        (True, True)
    """
    parts: list[str] = []
    x, y, tallest, widest = 16.0, 16.0, 0.0, 0.0
    for step in steps:
        grids = _planes(step.array)
        cell = _cell(step.array)
        width = sum(cell * grid.shape[1] + 10 for grid in grids) - 10
        lines = _wrapped(step.words, max(18, int(max(width, 150) / 5.6)))
        block = max(width, 6.6 * len(step.title), 5.6 * max((len(line) for line in lines), default=0))
        if x > 16 and x + block > _WIDE:
            x, y, tallest = 16.0, y + tallest + _GAP, 0.0
        parts.append(_text(x, y + 11, step.title, 13, "#000", bold=True))
        top = y + 18 + 13 * len(lines)
        for number, line in enumerate(lines):
            parts.append(_text(x, y + 25 + 13 * number, line, 11, "#555"))
        left = x
        largest = float(np.abs(step.array).max()) if step.array.size else 0.0
        for grid in grids:
            parts += _grid(grid, left, top, cell, largest)
            left += cell * grid.shape[1] + 10
        tallest = max(tallest, top - y + _HIGH * max(grid.shape[0] for grid in grids))
        widest = max(widest, x + block)
        x += block + _GAP
    width, height = round(widest + 16), round(y + tallest + 16)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" role="img">\n<rect width="{width}" height="{height}" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _planes(array: np.ndarray) -> list[np.ndarray]:
    """An array as grids."""
    if array.ndim <= 2:
        return [np.atleast_2d(array)]
    return [grid for plane in array for grid in _planes(plane)]


def _number(value: float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _cell(array: np.ndarray) -> float:
    """How wide a cell is, for the longest number."""
    longest = max((len(_number(value)) for value in array.ravel().tolist()), default=1)
    return max(22.0, 7.0 * longest + 8)


def _grid(grid: np.ndarray, left: float, top: float, cell: float, largest: float) -> list[str]:
    parts = []
    for row, values in enumerate(grid.tolist()):
        for column, value in enumerate(values):
            x, y = left + cell * column, top + _HIGH * row
            parts.append(
                f'<rect x="{x:.0f}" y="{y:.0f}" width="{cell:.0f}" height="{_HIGH}" fill="{_shade(value, largest)}" '
                'stroke="#999" stroke-width="0.6"/>'
            )
            parts.append(_text(x + cell / 2, y + 15, _number(value), 12, "#000", middle=True))
    return parts


def _shade(value: float, largest: float) -> str:
    """White for 0, at most half of the colour, so that black numbers stay readable."""
    share = 0.5 * abs(value) / largest if largest else 0.0
    colour = _PLUS if value >= 0 else _MINUS
    return "#" + "".join(f"{round(255 + share * (one - 255)):02x}" for one in colour)


def _wrapped(words: str, most: int) -> list[str]:
    lines: list[str] = []
    for word in words.split():
        if lines and len(lines[-1]) + 1 + len(word) <= most:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def _text(x: float, y: float, words: str, size: int, colour: str, *, bold: bool = False, middle: bool = False) -> str:
    more = ' font-weight="bold"' * bold + ' text-anchor="middle"' * middle
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}"{more}>{escape(words)}</text>'
