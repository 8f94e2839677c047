"""A convolution shown step by step: windows as columns, filters as rows, the product, the picture again, and back."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from dojang.convolution import columns, operation
from dojang.convolution.arrays import numbers_of
from dojang.convolution.geometry import Padding, geometry, numbers, times
from dojang.convolution.pooling import pool
from dojang.errors import ConfigError


@dataclass(frozen=True)
class Step:
    """One array on the way, and what is done there.

    Args:
        title: A few words.
        words: A sentence.
        array: Of any number of axes.
    """

    title: str
    words: str
    array: np.ndarray


@dataclass(frozen=True)
class Steps:
    """Arrays on the way; ``str`` writes them out, a notebook shows them as tables."""

    steps: tuple[Step, ...]

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __getitem__(self, title: str) -> np.ndarray:
        """The array of a step."""
        for step in self.steps:
            if step.title == title:
                return step.array
        raise KeyError(title)

    def __str__(self) -> str:
        parts = (f"{textwrap.fill(f'{step.title}: {step.words}', 80)}\n{grid(step.array)}" for step in self.steps)
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        return "".join(
            f"<p><b>{escape(step.title)}</b>: {escape(step.words)}</p>{_table(step.array)}" for step in self.steps
        )


def convolution(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: float | Sequence[float] = 0,
    *,
    stride: int = 1,
    padding: Padding = "valid",
    dout: npt.ArrayLike | None = None,
) -> Steps:
    """The steps of a convolution of one plane, forward, and backward where an upstream gradient is given.

    Args:
        x: (h, w).
        w: (kh, kw), or several filters (d, kh, kw).
        b: A bias, or one for each filter.
        stride, padding: As :func:`dojang.convolution.conv`.
        dout: The gradient of the output, of its shape; a number for all of it.

    Raises:
        ConfigError: C251 for shapes that do not fit, C252 for values that cannot be used.

    Example:
        >>> print(convolution([[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[0, 1], [1, 0]]))
        input: 3 x 3
        1  2  3
        4  5  6
        7  8  9
        <BLANKLINE>
        columns: each of the 2 x 2 windows is a column; a row for each weight
        1  2  4  5
        2  3  5  6
        4  5  7  8
        5  6  8  9
        <BLANKLINE>
        weights: each filter is a row
        0  1  1  0
        <BLANKLINE>
        product: weights @ columns + bias
         6   8  12  14
        <BLANKLINE>
        output: the row in the form of the places, 2 x 2
         6   8
        12  14
    """
    given, filters = _plane(x, "x"), numbers_of(w, "w")
    one = filters.ndim == 2
    filters = filters[None] if one else filters
    if filters.ndim != 3 or not len(filters):
        raise ConfigError("C251", f"w has the shape {np.shape(w)}; expected (kh, kw), or several (d, kh, kw).")
    biases = _spread(b, "b", (len(filters),))
    shape = geometry(given.shape, filters.shape[1:], stride=stride, padding=padding)
    wide = operation.padded(given[None, None], shape, 0)[0]
    windows = columns.im2col(wide, shape)
    rows = filters.reshape(len(filters), -1)
    product = rows @ windows + biases[:, None]
    out = product.reshape(len(filters), *shape.out)
    steps = [Step("input", times(given.shape), given)]
    if shape.padded != shape.size:
        steps.append(Step("padded", f"with zeros around it, {times(shape.padded)}", wide[0]))
    steps += [
        Step("columns", f"each of the {times(shape.out)} windows is a column; a row for each weight", windows),
        Step("weights", "each filter is a row", rows),
        Step("product", "weights @ columns + bias", product),
        Step("output", f"the row in the form of the places, {times(shape.out)}", out[0] if one else out),
    ]
    if dout is not None:
        upstream = _spread(dout, "dout", out.shape[1:] if one else out.shape).reshape(out.shape)
        flat = upstream.reshape(len(filters), -1)
        dw, spread = flat @ windows.T, rows.T @ flat
        gathered = columns.col2im(spread, 1, shape)[0]
        dw = dw.reshape(filters.shape)
        steps += [
            Step("upstream", "the gradient of the output", upstream[0] if one else upstream),
            Step("dW", "upstream @ columns^T, in the form of the filters", dw[0] if one else dw),
            Step("db", "the sum of upstream", flat.sum(axis=1)),
            Step("dcolumns", "weights^T @ upstream", spread),
            Step(
                "dx",
                "each column back in its place, what meets there added, the padding cut off",
                gathered[shape.inner],
            ),
        ]
    return Steps(tuple(steps))


def transposed(x: npt.ArrayLike, w: npt.ArrayLike, *, stride: int = 2) -> Steps:
    """A transposed convolution as zeros between the numbers and an ordinary convolution; and why it is no inverse.

    Args:
        x: (h, w), what a convolution with the same stride is done to first.
        w: (kh, kw).

    Example:
        >>> found = transposed(np.arange(25.0).reshape(5, 5), np.ones((3, 3)))
        >>> [step.array.shape for step in found]
        [(5, 5), (2, 2), (3, 3), (7, 7), (5, 5)]
    """
    given, window = _plane(x, "x"), _plane(w, "w")
    small = operation.correlate(given, window, stride=stride)
    stuffed = operation.stuffed(small[None, None], stride)[0, 0]
    reach = [k - 1 for k in window.shape]
    wide = np.pad(stuffed, [(r, r) for r in reach])
    back = operation.convolve(stuffed, window, padding="full")
    zeros = "1 zero" if stride == 2 else f"{stride - 1} zeros"
    around = str(reach[0]) if reach[0] == reach[1] else times(reach)
    size = times(back.shape) + (" again" if back.shape == given.shape else f", where {times(given.shape)} was")
    return Steps(
        (
            Step("input", times(given.shape), given),
            Step("convolved", f"stride {stride}: {times(small.shape)}", small),
            Step("stuffed", f"{zeros} between two numbers: {times(stuffed.shape)}", stuffed),
            Step("padded", f"{around} zeros around: {times(wide.shape)}", wide),
            Step(
                "transposed",
                f"convolved with the filter turned round: {size}, and not the numbers of the "
                "input: a window's sum was spread over the window",
                back,
            ),
        )
    )


def pooling(x: npt.ArrayLike, kernel: int = 2) -> Steps:
    """What pooling leaves and what it loses: a picture, the same moved by one pixel, and both pooled.

    Args:
        x: (h, w).

    Example:
        >>> found = pooling([[0, 9, 0, 0], [0, 0, 0, 0], [0, 0, 7, 0], [0, 0, 0, 0]])
        >>> found["pooled"].tolist(), found["moved, pooled"].tolist()
        ([[9, 0], [0, 7]], [[0, 9], [0, 7]])
    """
    given = _plane(x, "x")
    moved = np.zeros_like(given)
    moved[:, 1:] = given[:, :-1]
    kept, kept_moved = (pool(one[None, None], kernel)[0, 0] for one in (given, moved))
    same = int((kept == kept_moved).sum())
    return Steps(
        (
            Step("input", times(given.shape), given),
            Step("pooled", f"the largest of each {kernel} x {kernel}; where it was is lost", kept),
            Step("moved", "the input moved by one pixel to the right", moved),
            Step("moved, pooled", f"{same} of {kept.size} numbers are as before", kept_moved),
        )
    )


def equivariance(x: npt.ArrayLike, w: npt.ArrayLike, by: int = 1) -> Steps:
    """Moved first and convolved, or convolved first and moved: the same, away from the edge.

    Args:
        x: (h, w); w: (kh, kw).
        by: Pixels to the right.

    Example:
        >>> found = equivariance(np.arange(20).reshape(4, 5), [[1, 2], [3, 4]])
        >>> np.array_equal(found["moved, convolved"], found["convolved, moved"])
        True
    """
    given, window = _plane(x, "x"), _plane(w, "w")
    (by,) = numbers("by", by, 1, 1)
    if by + window.shape[1] > given.shape[1]:
        raise ConfigError(
            "C251",
            f"moved by {by}, an input {given.shape} has nothing left for a window {window.shape} to see.",
            fix=f"by={given.shape[1] - window.shape[1]} at most.",
        )
    moved = np.zeros_like(given)
    moved[:, by:] = given[:, :-by]
    # the first columns see what came in at the edge
    first = operation.correlate(moved, window)[:, by:]
    second = operation.correlate(given, window)[:, :-by]
    return Steps(
        (
            Step("input", times(given.shape), given),
            Step("filter", times(window.shape), window),
            Step("moved", f"the input moved by {by} to the right", moved),
            Step("moved, convolved", "away from the edge", first),
            Step("convolved, moved", "the same numbers", second),
        )
    )


def _plane(value: npt.ArrayLike, name: str) -> np.ndarray:
    found = numbers_of(value, name)
    if found.ndim != 2:
        raise ConfigError("C251", f"{name} has the shape {found.shape}; expected (h, w).")
    return found


def _spread(value: npt.ArrayLike, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One number for all of a shape, or an array of it."""
    found = numbers_of(value, name)
    if found.ndim and found.shape != shape:
        raise ConfigError("C251", f"{name} has the shape {found.shape}; expected {shape}, or one number.")
    return np.broadcast_to(found, shape)


def grid(array: np.ndarray) -> str:
    """Numbers in columns; planes of more axes one below the other. What goes beyond 80 columns is cut, and said."""
    if array.ndim > 2:
        return "\n\n".join(grid(part) for part in array)
    cells = _cells(array)
    width = max((len(cell) for row in cells for cell in row), default=0)
    most = (80 + 2) // (width + 2)
    if cells and len(cells[0]) > most:
        shown = (80 - 3) // (width + 2)
        lines = ("  ".join(cell.rjust(width) for cell in row[:shown]) + "  ..." for row in cells)
        return "\n".join(lines) + f"\n({shown} of {len(cells[0])} columns)"
    return "\n".join("  ".join(cell.rjust(width) for cell in row) for row in cells)


def _table(array: np.ndarray) -> str:
    if array.ndim > 2:
        return "".join(_table(part) for part in array)
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in _cells(array))
    return f"<table>{rows}</table>"


def _cells(array: np.ndarray) -> list[list[str]]:
    """The numbers of a grid, or of a row, as text."""
    rows = np.atleast_2d(array).tolist()
    return [[f"{one:.6g}" if array.dtype.kind == "f" else str(one) for one in row] for row in rows]
