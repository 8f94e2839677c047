"""An X-ray as text of at most 80 columns: the sum written out, where it is short enough to be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from dojang.errors import listing
from dojang.explain.unit import dims
from dojang.explain.work import Terms, Window

if TYPE_CHECKING:
    from dojang.explain.xray import Xray

_WIDTH, _INDENT = 80, 10
# kernels up to this side are written out side by side, and up to the other one below the other
_BESIDE, _BELOW = 3, 7
# channels of a patch, or inputs of a dense layer, that are told one by one
_TOP = 5


def written(found: Xray) -> str:
    """All of it, line by line.

    >>> from dojang.explain.work import Work
    >>> from dojang.explain.xray import Xray
    >>> work = Work("activation", "max(0, x)", "x = -1.5: 0", 0.0, numbers=(("x", -1.5),))
    >>> print(Xray("a.png", "relu1", "ReLU", (2, 0, 3), (8, 9, 9), 0.0, work, "conv1", (8, 9, 9), None, ()))
    relu1     ReLU: channel 2, row 0, column 3 of 8 x 9 x 9
    given     8 x 9 x 9 from conv1
    made      max(0, x)
              x = -1.5: 0
    result    0; the network's own is 0, 0 apart
    """
    places = ", ".join(f"{word} {place}" for word, place in zip(dims(found.shape), found.index, strict=True))
    lines = [*_row(found.layer, f"{found.type}: {places} of {_times(found.shape)}")]
    lines += _row("sees", _sees(found)) if found.seen is not None else []
    if found.given:
        lines += _row("given", f"{_times(found.given_shape)} from {found.given}")
    work = found.work
    if work.terms is not None:
        lines += _terms(work.terms)
    elif work.window is not None:
        lines += _window(work.window)
    if work.formula:
        lines += _row("made", work.formula)
        lines += [" " * _INDENT + part for part in wrap(work.filled, _WIDTH - _INDENT)]
    if work.result is None:
        lines += _row("result", f"{found.value:.6g}; the arithmetic of {found.type} is not written out")
    else:
        lines += _row("result", f"{work.result:.6g}; the network's own is {found.value:.6g}, {found.gap:.1g} apart")
    for number, reader in enumerate(found.readers):
        lines += _row("goes to" if number == 0 else "", str(reader))
        if reader.weights:
            told = [f"{weight:+.3g} to unit {unit}" for unit, weight in reader.weights]
            lines += _row("", f"  weighs most for: {', '.join(told)}")
    return "\n".join(lines)


def _sees(found: Xray) -> str:
    assert found.seen is not None  # or there is nothing to say
    top, left, bottom, right = found.seen.box
    if bottom == top:
        return "padding only"
    pixels = (bottom - top) * (right - left)
    if found.seen.scattered is not None:
        some = [f"({row}, {column})" for row, column in found.seen.scattered[:4].tolist()]
        many = f"{pixels:,} pixels, scattered over the picture by --permute-pixels"
        return f"{many}: {listing(some)}{' ...' if pixels > 4 else ''}"
    said = f"rows {top} to {bottom - 1}, columns {left} to {right - 1}: {bottom - top} x {right - left} pixels"
    if found.seen.clipped:
        height, width = found.seen.size
        said += f" (a field of {height} x {width}, cut at the edge)"
    return said


def _terms(terms: Terms) -> Iterator[str]:
    patch, kernel, products = terms.patch, terms.kernel, terms.products
    if patch.ndim != 3:
        yield from _row("sum", f"of {patch.size:,} products; the largest:")
        order = np.argsort(-np.abs(products), kind="stable")[:_TOP]
        for unit in order.tolist():
            where = f"input {unit}"
            if terms.folded is not None:
                channel, row, column = np.unravel_index(unit, terms.folded)
                where += f", at {channel},{row},{column}"
            yield f"{'':{_INDENT}}{patch[unit]:>10.4g} x {kernel[unit]:>10.4g} = {products[unit]:>10.4g}  {where}"
        rest = terms.sum - float(products[order].sum())
        if patch.size > len(order):
            yield f"{'':{_INDENT}}{'all others':>23} = {rest:>10.4g}"
        return
    sums = terms.sums
    order = np.argsort(-np.abs(sums), kind="stable")
    first = int(order[0])
    size = patch.shape[1:]
    if max(size) <= _BELOW and max(size) > 1:
        named = f"channel {terms.channels + first}" if len(sums) > 1 else ""
        yield from _grids(patch[first], kernel[first], products[first], terms.inside, named)
    if len(sums) > 1:
        yield from _row("channels", f"{len(sums):,} of {size[0]} x {size[1]}; their sums, the largest first:")
        for channel in order[:_TOP].tolist():
            yield f"{'':{_INDENT}}{sums[channel]:>12.5g}  channel {terms.channels + channel}"
        if len(sums) > _TOP:
            yield f"{'':{_INDENT}}{float(sums[order[_TOP:]].sum()):>12.5g}  the other {len(sums) - _TOP:,} together"


def _grids(
    patch: np.ndarray, kernel: np.ndarray, products: np.ndarray, inside: np.ndarray | None, named: str
) -> Iterator[str]:
    rows, columns = patch.shape
    cells = [[[_number(value) for value in row] for row in grid.tolist()] for grid in (patch, kernel, products)]
    if inside is not None:
        # beside the map there is padding
        cells[0] = [
            [cell if inside[row, column] else "." for column, cell in enumerate(line)]
            for row, line in enumerate(cells[0])
        ]
    width = max(len(cell) for grid in cells for line in grid for cell in line) + 1
    titles = (f"patch {named}".rstrip(), "kernel", "products")
    if columns <= _BESIDE:
        wide = width * columns
        yield ("    " + "     ".join(f" {title:<{wide - 1}}" for title in titles)).rstrip()
        for row in range(rows):
            lines = ["".join(f"{cell:>{width}}" for cell in grid[row]) for grid in cells]
            yield f"    {lines[0]}  x  {lines[1]}  =  {lines[2]}"
        return
    for title, grid in zip(titles, cells, strict=True):
        yield " " * _INDENT + title
        for line in grid:
            yield " " * _INDENT + "".join(f"{cell:>{width}}" for cell in line)


def _window(window: Window) -> Iterator[str]:
    rows, columns = window.values.shape
    where = f"rows {window.rows[0]} to {window.rows[-1]}, columns {window.columns[0]} to {window.columns[-1]}"
    yield from _row("window", f"{rows} x {columns}, {where}")
    if max(rows, columns) > _BELOW:
        return
    cells = [[_number(value) for value in line] for line in window.values.tolist()]
    width = max(len(cell) for line in cells for cell in line) + 1
    for row, line in zip(window.rows, cells, strict=True):
        told = ""
        for column, cell in zip(window.columns, line, strict=True):
            won = window.winner == (row, column)
            told += f"{cell:>{width}}" + ("*" if won else " ")
        yield (" " * _INDENT + told).rstrip()


def _row(name: str, text: str) -> list[str]:
    """A name and what is to be said, in as many lines as it takes."""
    first = f"{name:<{_INDENT}}"
    if len(first) > _INDENT:
        # a long name has a line of its own
        return [name, *(" " * _INDENT + part for part in wrap(text, _WIDTH - _INDENT))]
    parts: Sequence[str] = wrap(text, _WIDTH - _INDENT, drop_whitespace=True) or [""]
    if text.startswith("  "):
        parts = [f"  {part}" for part in wrap(text.strip(), _WIDTH - _INDENT - 2)]
    return [first + parts[0], *(" " * _INDENT + part for part in parts[1:])]


def _number(value: float) -> str:
    """
    >>> [_number(value) for value in (0.15, -0.0119, -0.000123, 12.3456, -1234.5, 0.0)]
    ['.15', '-.0119', '-1e-4', '12.3', '-1234', '0']
    """
    # six signs at most, so that three kernels of 3 x 3 stand side by side
    for digits in (3, 2):
        text = re.sub(r"^(-?)0\.", r"\1.", f"{value + 0.0:.{digits}g}")
        if "e" not in text and len(text) <= 6:
            return text
    return re.sub(r"e([-+])0*", r"e\1", f"{value:.0e}") if abs(value) < 1 else f"{value:.0f}"


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{side:,}" for side in shape)
