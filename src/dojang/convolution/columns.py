"""Windows written out as the columns of a matrix, so that a convolution is one matrix product (im2col).

Of each weight of the window one slice of the array is copied; no loop goes over places.  One picture at a time, so the
matrix stays small enough for the caches.  Source: Chellapilla, Puri, Simard, "High Performance Convolutional Neural
Networks for Document Processing", 2006.
"""

from __future__ import annotations

import numpy as np

from dojang.convolution.geometry import Geometry


def im2col(x: np.ndarray, shape: Geometry) -> np.ndarray:
    """The windows of one array as columns.

    Args:
        x: (c, *sizes), padded already.

    Returns:
        (c * kernel, places), a copy: a row for each weight of a filter, a column for each place.

    Example:
        >>> from dojang.convolution.geometry import geometry
        >>> im2col(np.arange(9).reshape(1, 3, 3), geometry((3, 3), (2, 2)))
        array([[0, 1, 3, 4],
               [1, 2, 4, 5],
               [3, 4, 6, 7],
               [4, 5, 7, 8]])
    """
    channels = len(x)
    found = np.empty((channels, *shape.kernel, *shape.out), x.dtype)
    every = (slice(None),)
    for offset in np.ndindex(*shape.kernel):
        found[every + offset] = x[every + shape.where(offset)]
    return found.reshape(channels * int(np.prod(shape.kernel)), int(np.prod(shape.out)))


def col2im(columns: np.ndarray, channels: int, shape: Geometry) -> np.ndarray:
    """What :func:`im2col` spread, gathered again: numbers that came from one place are added (its adjoint).

    Args:
        columns: (c * kernel, places).

    Returns:
        (c, *padded sizes).

    Example:
        >>> from dojang.convolution.geometry import geometry
        >>> col2im(np.ones((4, 4)), 1, geometry((3, 3), (2, 2)))[0]
        array([[1., 2., 1.],
               [2., 4., 2.],
               [1., 2., 1.]])
    """
    spread = columns.reshape(channels, *shape.kernel, *shape.out)
    found = np.zeros((channels, *shape.padded), columns.dtype)
    every = (slice(None),)
    for offset in np.ndindex(*shape.kernel):
        found[every + shape.where(offset)] += spread[every + offset]
    return found


def correlate(x: np.ndarray, w: np.ndarray, shape: Geometry, groups: int) -> np.ndarray:
    """Filters as rows times windows as columns; x (n, c, *sizes) padded already, w (d, c / groups, *kernel)."""
    filters, each = w.shape[:2]
    part = filters // groups
    # written out: of no filters at all NumPy cannot tell how long a row is
    rows = w.reshape(groups, part, each * int(np.prod(shape.kernel)))
    out = np.empty((len(x), filters, int(np.prod(shape.out))), np.result_type(x, w))
    for n, one in enumerate(x):
        for group in range(groups):
            columns = im2col(one[group * each : (group + 1) * each], shape)
            out[n, group * part : (group + 1) * part] = rows[group] @ columns
    return out.reshape(len(x), filters, *shape.out)


def gradients(
    x: np.ndarray, w: np.ndarray, dout: np.ndarray, shape: Geometry, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """dW = dout @ columns^T, and dx is W^T @ dout put back where the columns came from; shapes as in loops.py."""
    filters, each = w.shape[:2]
    part = filters // groups
    rows = w.reshape(groups, part, each * int(np.prod(shape.kernel)))
    upstream = dout.reshape(len(x), groups, part, int(np.prod(shape.out)))
    dx, dw = np.empty(x.shape, dout.dtype), np.zeros(rows.shape, dout.dtype)
    for n, one in enumerate(x):
        for group in range(groups):
            its = slice(group * each, (group + 1) * each)
            dw[group] += upstream[n, group] @ im2col(one[its], shape).T
            dx[n, its] = col2im(rows[group].T @ upstream[n, group], each, shape)
    return dx, dw.reshape(w.shape)
