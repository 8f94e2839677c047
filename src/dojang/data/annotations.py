"""Masks and boxes as their owner has drawn them: checked where they are read, before any network sees them.

A class that there is not, or a box without an area, would else be an error deep inside a loss, on a device that no
longer knows which file it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, UInt8

from dojang.data.decode import MAX_PIXELS, decode_numbers
from dojang.data.manifest import plain
from dojang.errors import DataError, many

# of what is wrong in one file, so many are named
_NAMED = 3


def mask(
    data: bytes,
    where: str,
    *,
    size: tuple[int, int],
    classes: int,
    ignore: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> UInt8[np.ndarray, "h w"]:
    """A mask that fits its picture and has no class that there is not.

    Args:
        data: Of its file: one channel of 8 bits, or a palette, whose places are the classes.
        where: Its name, for messages.
        size: Height and width of its picture.
        classes: Their number; the values are 0 to ``classes - 1``.
        ignore: A value that is no class and is not scored, often 255.

    Raises:
        DataError: D115 with the value and how many pixels have it; D127 for a mask of another size; those of
            :func:`dojang.data.decode.decode_numbers`.
    """
    numbers = decode_numbers(data, where, max_pixels=max_pixels)
    height, width = size
    if numbers.shape != size:
        raise DataError(
            "D127",
            f"mask {plain(where)} is {numbers.shape[1]:,} x {numbers.shape[0]:,}, its picture {width:,} x {height:,}.",
            fix="save it in its picture's size; resize masks by the nearest pixel only (Pillow: Resampling.NEAREST).",
        )
    counts = np.bincount(numbers.ravel(), minlength=256)
    if ignore is not None:
        counts[ignore] = 0
    strange = np.flatnonzero(counts[classes:]) + classes
    if len(strange):
        value = int(strange[0])
        others = f" ({len(strange)} such values)" if len(strange) > 1 else ""
        often = value == 255
        raise DataError(
            "D115",
            f"mask {plain(where)} has the value {value} at {many(int(counts[value]), 'pixel')}{others}; "
            f"this task has {many(classes, 'class', 'classes')} (0..{classes - 1}).",
            context="255 is often 'ignore'." if often else "",
            fix=f"ignore={value}, or encode the mask anew." if often else "encode the mask anew.",
        )
    return numbers


def boxes(given: object, where: str, *, size: tuple[int, int], names: Sequence[str] = ()) -> Float64[np.ndarray, "n 4"]:
    """Boxes with an area, inside their picture.

    Args:
        given: Left, top, right, bottom of each, in pixels, right and bottom just outside: (n, 4) numbers.
        where: The file that they are from, for messages.
        size: Height and width of the picture.
        names: What each is, for messages.

    Raises:
        DataError: D128 with the boxes that have no area, reach outside, or hold what is no number.
    """
    try:
        found = np.asarray(given, np.float64)
        found = found.reshape(0, 4) if found.size == 0 else found
    except (TypeError, ValueError):
        found = np.empty((0, 0))
    if found.ndim != 2 or found.shape[1] != 4:
        raise DataError(
            "D128",
            f"the boxes of {plain(where)} are no rows of four numbers: left, top, right, bottom.",
            fix="[[0, 0, 9, 5]]",
        )
    height, width = size
    left, top, right, bottom = found.T
    finite = np.isfinite(found).all(axis=1)
    # comparisons with NaN are false, so what is asked for here is what is right
    flat = finite & ~((right > left) & (bottom > top))
    outside = finite & ~flat & ~((left >= 0) & (top >= 0) & (right <= width) & (bottom <= height))
    faults = [(int(i), "holds what is no number") for i in np.flatnonzero(~finite)]
    faults += [(int(i), "has no area") for i in np.flatnonzero(flat)]
    faults += [(int(i), f"reaches outside of {width:,} x {height:,}") for i in np.flatnonzero(outside)]
    if faults:
        told = []
        for i, what in sorted(faults)[:_NAMED]:
            name = f" ({plain(names[i])})" if i < len(names) else ""
            place = ", ".join(f"{value:g}" for value in found[i].tolist())
            told.append(f"box {i}{name} [{place}] {what}")
        more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        raise DataError(
            "D128",
            f"{plain(where)}: {'; '.join(told)}{more}.",
            context="A box is left, top, right, bottom in pixels.",
            fix="mend these boxes, or take them out of the file.",
        )
    return found
