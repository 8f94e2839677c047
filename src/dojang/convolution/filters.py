"""Filters for pictures, and ways to look at what a filter does: a pattern that is looked for, a matrix, a shift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from dojang.convolution.arrays import numbers_of
from dojang.convolution.geometry import geometry
from dojang.convolution.operation import correlate
from dojang.convolution.pooling import windows
from dojang.errors import ConfigError, did_you_mean

FILTERS: Mapping[str, np.ndarray] = {
    "identity": np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], float),
    # the number to the right comes here, so the picture moves to the left
    "shift-left": np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0]], float),
    "blur": np.full((3, 3), 1 / 9),
    "gaussian": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16,
    # twice the picture less its blur
    "sharpen": 2 * np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]]) - np.full((3, 3), 1 / 9),
    "edges": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], float),
    "edges-vertical": np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float),
    "edges-horizontal": np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], float),
}
"""3x3 filters by name; the two last are Sobel's."""

MEANINGS: Mapping[str, str] = {
    "identity": "a 1 in the middle: nothing changes",
    "shift-left": "a 1 to the right: one pixel to the left",
    "blur": "the mean of nine",
    "gaussian": "a mean in which near ones count more",
    "sharpen": "twice the picture less its blur",
    "edges": "what differs from its neighbours",
    "edges-vertical": "right less left: Sobel's",
    "edges-horizontal": "below less above: Sobel's",
}
"""What each does, in a few words."""


def filtered(picture: npt.ArrayLike, name: str) -> np.ndarray:
    """A picture behind a filter, channel by channel, as large as before.

    Args:
        picture: uint8 or float (h, w) or (h, w, c).
        name: Of :data:`FILTERS`.

    Returns:
        float64 of the same shape; not cut to 0 ... 255. The edge is repeated outside, so that no frame is seen.

    Raises:
        ConfigError: C203 for a filter that is not there, C251 for another shape.

    Example:
        >>> filtered(np.arange(9.0).reshape(3, 3), "shift-left").tolist()
        [[1.0, 2.0, 2.0], [4.0, 5.0, 5.0], [7.0, 8.0, 8.0]]
    """
    if name not in FILTERS:
        raise ConfigError("C203", f"there is no filter {name!r}.{did_you_mean(str(name), FILTERS)}")
    given = numbers_of(picture, "picture").astype(np.float64)
    if given.ndim not in (2, 3) or not given.size:
        raise ConfigError("C251", f"a picture is (h, w) or (h, w, c), and this array has the shape {given.shape}.")
    planes = given[:, :, None] if given.ndim == 2 else given
    wide = np.pad(planes, ((1, 1), (1, 1), (0, 0)), mode="edge")
    found = np.stack([correlate(wide[:, :, c], FILTERS[name]) for c in range(planes.shape[2])], axis=2)
    return found.reshape(given.shape)


def similarity(x: npt.ArrayLike, pattern: npt.ArrayLike) -> np.ndarray:
    """The cosine between a pattern and what lies under it, at every place: 1 where it is found, at any brightness.

    A convolution is the scalar product of each window with the filter; divided by both lengths it no longer prefers
    bright windows to alike ones.

    Args:
        x: An array; pattern: of as many axes.

    Returns:
        From -1 to 1; 0 where the window is all zeros.

    Example:
        >>> similarity([0, 1, 2, 0, 0, 10, 20], [1, 2]).round(3).tolist()
        [0.894, 1.0, 0.447, 0.0, 0.894, 1.0]
    """
    given, wanted = (numbers_of(one, name).astype(np.float64) for one, name in ((x, "x"), (pattern, "pattern")))
    products = correlate(given, wanted)
    lengths = np.sqrt(correlate(given**2, np.ones_like(wanted))) * np.sqrt((wanted**2).sum())
    found: np.ndarray = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return found


def as_matrix(w: npt.ArrayLike, size: int | Sequence[int]) -> np.ndarray:
    """The matrix that does what a filter does: correlate(x, w) as one product with x written as a column.

    Each row has the filter's weights, moved on by one place; where it has none there is 0.  Few different numbers, many
    zeros: that is what a convolutional layer is spared beside a dense one.

    Args:
        w: A window; size: of the array, as many axes.

    Returns:
        (places, numbers).

    Example:
        >>> as_matrix([1, 2], (4,))
        array([[1, 2, 0, 0],
               [0, 1, 2, 0],
               [0, 0, 1, 2]])
    """
    window = numbers_of(w, "w")
    shape = geometry(size, window.shape)
    numbers = np.arange(int(np.prod(shape.size))).reshape(1, 1, *shape.size)
    # where each weight of each place finds its number
    columns = windows(numbers, shape).reshape(window.size, -1)
    found = np.zeros((columns.shape[1], numbers.size), window.dtype)
    for weight, at in zip(window.ravel(), columns, strict=True):
        found[np.arange(len(found)), at] = weight
    return found
