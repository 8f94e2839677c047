"""Boxes and masks that move with the pixels: where each place of a stored picture is shown, as one matrix a picture.

Places are counted in pixels from the upper left corner, so that a pixel's middle is at a half; a box is left, top,
right, bottom.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from dojang.data.windows import reflected

Matrices = Float64[np.ndarray, "b 2 3"]


def of_windows(
    tops: Int64[np.ndarray, " b"],
    lefts: Int64[np.ndarray, " b"],
    heights: Int64[np.ndarray, " b"],
    widths: Int64[np.ndarray, " b"],
    mirrored: Bool[np.ndarray, " b"],
    upended: Bool[np.ndarray, " b"],
    size: tuple[int, int],
) -> Matrices:
    """Of windows that are brought to one size, then mirrored and upended.

    >>> one, no = np.ones(1, np.int64), np.zeros(1, bool)
    >>> of_windows(2 * one, 3 * one, 4 * one, 4 * one, no, no, (8, 8))[0].tolist()
    [[2.0, 0.0, -6.0], [0.0, 2.0, -4.0]]
    """
    height, width = size
    made = np.zeros((len(tops), 2, 3))
    for axis, begins, sides, side, turned in ((0, lefts, widths, width, mirrored), (1, tops, heights, height, upended)):
        scale = side / sides
        made[:, axis, axis] = np.where(turned, -scale, scale)
        made[:, axis, 2] = np.where(turned, side + begins * scale, -begins * scale)
    return made


def of_sources(sources: Matrices, size: tuple[int, int]) -> Matrices:
    """Of pictures that are warped: :func:`dojang.data.geometry.matrices` says where each pixel comes from."""
    back = _square(sources)
    middle = np.array([size[1] / 2, size[0] / 2])
    made = np.linalg.inv(back)[:, :2]
    # those count from the centre
    made[:, :, 2] += middle - made[:, :, :2] @ middle
    return made


def then(first: Matrices, second: Matrices) -> Matrices:
    """One after the other."""
    made: np.ndarray = (_square(second) @ _square(first))[:, :2]
    return made


def boxes(
    given: Float64[np.ndarray, "n 4"], place: Float64[np.ndarray, "2 3"], size: tuple[int, int]
) -> tuple[Float64[np.ndarray, "n 4"], Float64[np.ndarray, " n"]]:
    """Boxes of a picture where they are shown: upright around their moved corners, cut off at the edge.

    Args:
        given: Left, top, right, bottom, in pixels of the stored picture.
        size: Height and width of what is shown.

    Returns:
        The boxes, and how much of the moved box's area is still in the picture, 0 to 1: whoever trains on them leaves
        out those of which little is left.

    >>> boxes(np.array([[1.0, 1.0, 5.0, 3.0]]), np.array([[1.0, 0, 2], [0, 1, 0]]), (4, 5))[0].tolist()
    [[3.0, 1.0, 5.0, 3.0]]
    """
    corners = given[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2) @ place[:, :2].T + place[:, 2]  # (n, 4, x y)
    around = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    height, width = size
    inside = around.clip(0, np.array([width, height, width, height]))

    def area(some: np.ndarray) -> np.ndarray:
        product: np.ndarray = (some[:, 2:] - some[:, :2]).prod(axis=1)
        return product

    whole = area(around)
    return inside, np.divide(area(inside), whole, out=np.zeros(len(given)), where=whole > 0)


def mask(
    given: UInt8[np.ndarray, "h w"],
    place: Float64[np.ndarray, "2 3"],
    size: tuple[int, int],
    *,
    fill: str = "black",
    outside: int = 255,
) -> UInt8[np.ndarray, "height width"]:
    """A mask of classes as it is shown: each pixel the class of the nearest one of the stored mask, never a mean.

    Args:
        size: Height and width of what is shown.
        fill: "black": what lies beyond the stored mask is ``outside``; "reflect": the mask mirrored at its edge.
        outside: A value that no class has; losses leave it out.
    """
    height, width = size
    back = np.linalg.inv(_square(place[None]))[0]
    y, x = np.mgrid[:height, :width] + 0.5
    rows, columns = (
        np.floor(back[axis, 0] * x + back[axis, 1] * y + back[axis, 2]).astype(np.int64) for axis in (1, 0)
    )
    if fill == "reflect":
        whole: np.ndarray = given[reflected(rows, given.shape[0]), reflected(columns, given.shape[1])]
        return whole
    known = (rows >= 0) & (rows < given.shape[0]) & (columns >= 0) & (columns < given.shape[1])
    found: np.ndarray = np.where(known, given[rows * known, columns * known], np.uint8(outside))
    return found


def _square(matrices: np.ndarray) -> np.ndarray:
    last = np.broadcast_to(np.array([0.0, 0.0, 1.0]), (len(matrices), 1, 3))
    return np.concatenate([matrices, last], axis=1)
