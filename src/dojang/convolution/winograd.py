"""Winograd's way for 3x3 windows with stride 1: four outputs of a window of 4x4 by 16 products in place of 36.

Source: Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308, F(2x2, 3x3).
"""

from __future__ import annotations

import numpy as np

from dojang.convolution.geometry import Geometry
from dojang.errors import ConfigError

# the three transforms of section 4.1: of the input, of the filter, and back
_B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], np.float64)
_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float64)
_A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.float64)


def correlate(x: np.ndarray, w: np.ndarray, shape: Geometry, groups: int) -> np.ndarray:
    """Shapes as in loops.py, two axes.

    Raises:
        ConfigError: C252 for another window than 3x3, a stride or a dilation.
    """
    if shape.kernel != (3, 3) or shape.stride != (1, 1) or shape.dilation != (1, 1):
        raise ConfigError(
            "C252",
            "Winograd's way is for windows of 3 x 3 with stride 1 and dilation 1, not for "
            f"{' x '.join(map(str, shape.kernel))} with stride {shape.stride} and dilation {shape.dilation}.",
            fix='method="columns"',
        )
    kind = np.result_type(x, w, np.float32)
    back, filter_, forth = (matrix.astype(kind) for matrix in (_A, _G, _B))
    height, width = shape.out
    rows, columns = -(-height // 2), -(-width // 2)
    count, (filters, each) = len(x), w.shape[:2]
    # tiles of 4x4 that begin every two pixels; the last may reach beyond the array
    wide = np.zeros((*x.shape[:2], 2 * rows + 2, 2 * columns + 2), kind)
    wide[:, :, : x.shape[2], : x.shape[3]] = x
    tiles = np.lib.stride_tricks.sliding_window_view(wide, (4, 4), (2, 3))[:, :, ::2, ::2]
    given = forth @ tiles @ forth.T  # (n, c, rows, columns, 4, 4)
    weights = filter_ @ w.astype(kind) @ filter_.T  # (d, c / groups, 4, 4)
    part = filters // groups
    out = np.empty((count, filters, 2 * rows, 2 * columns), kind)
    for group in range(groups):
        its = given[:, group * each : (group + 1) * each]
        made = np.einsum("ncijab,dcab->ndijab", its, weights[group * part : (group + 1) * part], optimize=True)
        found = back @ made @ back.T  # (n, d, rows, columns, 2, 2)
        whole = found.swapaxes(3, 4).reshape(count, part, 2 * rows, 2 * columns)
        out[:, group * part : (group + 1) * part] = whole
    return np.ascontiguousarray(out[:, :, :height, :width])
