"""Pictures given in code: arrays of any usual layout, brought to (h, w, c) RGB uint8, and what was done said."""

from __future__ import annotations

from typing import Any

import numpy as np

from dojang.data.picture import picture
from dojang.errors import DataError

_FIX = 'say it: layout="hwc" or "chw", color="rgb" or "bgr".'


def pictures_of(
    array: Any, *, layout: str | None = None, color: str = "rgb"
) -> tuple[list[bytes | np.ndarray], list[str]]:
    """One picture or a batch of them, from a NumPy array, a torch tensor, a PIL image or the bytes of a file.

    Args:
        array: (h, w), (h, w, c), (c, h, w), or a batch with one dimension before; c is 1, 3 or 4.  Integers are levels
            0..255, floats are shares 0..1.
        layout: "hwc" or "chw"; None finds out where the channels are, and refuses where it cannot be told.
        color: "rgb" or "bgr" (as OpenCV reads files).

    Returns:
        The pictures, uint8 (h, w, c) with c 1 or 3, or, where there is transparency, the bytes of a lossless file; and
        a sentence for each conversion.

    Raises:
        DataError: D130 when the layout or the order of colours cannot be told, D131 when the values are no levels,
            D114 for an object that is no picture.
    """
    if color not in ("rgb", "bgr"):
        raise DataError("D130", f"color {color!r} is unknown.", fix=_FIX)
    if not hasattr(array, "shape"):
        return [picture(array, 0)], []
    values = np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)
    if values.ndim not in (2, 3, 4) or 0 in values.shape:
        raise DataError("D130", f"an array of shape {values.shape} is no picture and no batch of pictures.", fix=_FIX)
    notes: list[str] = []
    channels_last, batched = _layout(values.shape, layout)
    if values.ndim == 2 or (batched and values.ndim == 3):
        values = values[..., None]
    elif not channels_last:
        values = np.moveaxis(values, -3, -1)
        notes.append(f"channels first {array.shape} read as channels last")
    batch = values if batched else values[None]
    batch = _levels(batch, notes)
    if color == "bgr" and batch.shape[-1] >= 3:
        batch = batch[..., [2, 1, 0, 3][: batch.shape[-1]]]
        notes.append("BGR turned into RGB")
    if batch.shape[-1] == 4:
        notes.append("the fourth channel read as transparency: the background shows through")
        # as a file, so that the same door lays the background as in training
        return [picture(one, index) for index, one in enumerate(batch)], notes
    return [np.ascontiguousarray(one) for one in batch], notes


def _layout(shape: tuple[int, ...], layout: str | None) -> tuple[bool, bool]:
    """Whether channels come last, and whether the first dimension is a batch."""
    if len(shape) == 2:
        return True, False
    last, first = shape[-1] in (1, 3, 4), shape[-3] in (1, 3, 4)
    if layout is not None:
        if layout not in ("hwc", "chw"):
            raise DataError("D130", f"layout {layout!r} is unknown.", fix=_FIX)
        if not (last if layout == "hwc" else first):
            raise DataError("D130", f"in shape {tuple(shape)} the channels of {layout!r} are not 1, 3 or 4.", fix=_FIX)
        return layout == "hwc", len(shape) == 4
    if last and first:
        raise DataError(
            "D130", f"in shape {tuple(shape)} both the first and the last dimension could be channels.", fix=_FIX
        )
    if len(shape) == 4:
        if not (last or first):
            raise DataError("D130", f"shape {tuple(shape)} has no dimension of 1, 3 or 4 channels.", fix=_FIX)
        return last, True
    # (b, h, w) of grey pictures, where no dimension can be channels
    return (last, False) if last or first else (True, True)


def _levels(values: np.ndarray, notes: list[str]) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    low, high = float(values.min()), float(values.max())
    if values.dtype == bool:
        notes.append("false and true read as 0 and 255")
        return values.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(values.dtype, np.floating):
        if low >= 0 and high <= 1:
            notes.append("floats 0..1 turned into levels 0..255")
            return np.rint(values * 255.0).astype(np.uint8)
        raise DataError(
            "D131",
            f"floats from {low:.4g} to {high:.4g} are no picture: shares 0..1 are expected.",
            fix="divide levels by 255; give pictures before they are normalised.",
        )
    if low >= 0 and high <= 255:
        return values.astype(np.uint8)
    raise DataError("D131", f"integers from {low:.0f} to {high:.0f} are no levels 0..255.", fix="scale them to 0..255.")
