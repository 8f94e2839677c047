"""Pooling: of each window one number, its largest or its mean. It has no parameters and leaves channels as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dojang.convolution import operation
from dojang.convolution.arrays import numbers_of
from dojang.convolution.geometry import Geometry, Padding, geometry, numbers
from dojang.errors import ConfigError, did_you_mean

KINDS = ("max", "average")


def pool(
    x: npt.ArrayLike,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Padding = "valid",
    kind: str = "max",
) -> np.ndarray:
    """The largest number, or the mean, of each window.

    Args:
        x: (n, c, *sizes).
        kernel: Of the window, one number or one for each axis.
        stride: None for windows side by side.
        padding: As :func:`dojang.convolution.conv`; never the largest, and zeros in a mean, as torch has it.
        kind: "max" or "average".

    Returns:
        (n, c, *out).

    Raises:
        ConfigError: C251 for windows that do not fit, C252 for values that cannot be used.

    Example:
        >>> pool(np.arange(16).reshape(1, 1, 4, 4), 2)[0, 0].tolist()
        [[5, 7], [13, 15]]
        >>> pool(np.ones((1, 3, 100, 100)), 2).shape
        (1, 3, 50, 50)
    """
    given, shape = _asked(x, kernel, stride, padding, kind)
    found = windows(_padded(given, shape, kind), shape)
    if kind == "max":
        largest: np.ndarray = found.max(axis=0)
        return largest
    kind_ = given.dtype if given.dtype.kind == "f" else np.dtype(np.float64)
    # sixteen bits are too few for a sum
    mean: np.ndarray = found.mean(axis=0, dtype=np.result_type(kind_, np.float32)).astype(kind_)
    return mean


def pool_gradients(
    x: npt.ArrayLike,
    dout: npt.ArrayLike,
    kernel: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Padding = "valid",
    kind: str = "max",
) -> np.ndarray:
    """The gradient of x: a maximum hands it to the number that was largest (the first of equals), a mean to all alike.

    Args:
        dout: (n, c, *out), the gradient of what :func:`pool` gave.

    Raises:
        ConfigError: As :func:`pool`; C251 for a gradient of another shape.

    Example:
        >>> pool_gradients(np.array([[[3.0, 5.0, 5.0, 1.0]]]), np.ones((1, 1, 2)), 2)
        array([[[0., 1., 1., 0.]]])
    """
    given, shape = _asked(x, kernel, stride, padding, kind)
    upstream = numbers_of(dout, "dout")
    if upstream.shape != (*given.shape[:2], *shape.out):
        raise ConfigError(
            "C251", f"dout has the shape {upstream.shape}, and the output {(*given.shape[:2], *shape.out)}."
        )
    wide = np.zeros((*given.shape[:2], *shape.padded), np.result_type(upstream, np.float32))
    every = (slice(None), slice(None))
    offsets = list(np.ndindex(*shape.kernel))
    chosen = _largest(given, shape) if kind == "max" else None
    for number, offset in enumerate(offsets):
        share = upstream / len(offsets) if chosen is None else np.where(chosen == number, upstream, 0)
        wide[every + shape.where(offset)] += share
    return wide[every + shape.inner]


def global_pool(x: npt.ArrayLike, kind: str = "average") -> np.ndarray:
    """One number for each channel, whatever the size: (n, c, *sizes) to (n, c).

    Example:
        >>> global_pool(np.arange(8.0).reshape(1, 2, 2, 2)), global_pool(np.arange(8.0).reshape(1, 2, 2, 2), "max")
        (array([[1.5, 5.5]]), array([[3., 7.]]))
    """
    given = np.asarray(x)
    if given.ndim < 3:
        raise ConfigError("C251", f"x has the shape {given.shape}; a batch with channels is (n, c, *sizes).")
    return pool(given, given.shape[2:], kind=kind).reshape(given.shape[:2])


def _largest(x: np.ndarray, shape: Geometry) -> np.ndarray:
    """Which of each window is its maximum, the first of equals; never what was added around the array."""
    found = windows(_padded(x, shape, "max"), shape)
    most = found.max(axis=0)
    inside = np.zeros((1, 1, *shape.padded), bool)
    inside[(slice(None), slice(None), *shape.inner)] = True
    # a number that is none is the largest of all, as torch has it, and equal to nothing
    same = (found == most) | (np.isnan(found) & np.isnan(most)) if found.dtype.kind == "f" else found == most
    chosen: np.ndarray = (same & windows(inside, shape)).argmax(axis=0)
    return chosen


def windows(x: np.ndarray, shape: Geometry) -> np.ndarray:
    """The numbers of all windows (kernel, n, c, *out), one slice for each offset; x is padded already."""
    every = (slice(None), slice(None))
    return np.stack([x[every + shape.where(offset)] for offset in np.ndindex(*shape.kernel)])


def _asked(
    x: npt.ArrayLike, kernel: int | Sequence[int], stride: int | Sequence[int] | None, padding: Padding, kind: str
) -> tuple[np.ndarray, Geometry]:
    given = numbers_of(x, "x")
    # the largest of bytes is a byte
    if isinstance(x, np.ndarray) and x.dtype != bool:
        given = x
    if kind not in KINDS:
        raise ConfigError("C252", f"there is no pooling {kind!r}.{did_you_mean(str(kind), KINDS)}")
    if given.ndim < 3:
        raise ConfigError("C251", f"x has the shape {given.shape}; a batch with channels is (n, c, *sizes).")
    sides = numbers("kernel", kernel, given.ndim - 2, 1)
    if not all(given.shape[2:]):
        raise ConfigError("C251", f"x has the shape {given.shape}: there is nothing to pool.")
    shape = geometry(given.shape[2:], sides, stride=sides if stride is None else stride, padding=padding)
    for side, pair in zip(shape.kernel, shape.padding, strict=True):
        if max(pair) >= side:
            raise ConfigError(
                "C252",
                f"with a padding of {max(pair)} a window of {side} would lie outside, where there is nothing to pool.",
                fix=f"padding={side - 1} or less.",
            )
    return given, shape


def _padded(x: np.ndarray, shape: Geometry, kind: str) -> np.ndarray:
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return operation.padded(x, shape, lowest if kind == "max" else 0)
