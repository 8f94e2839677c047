"""The operation: a window of weights moved over an array, at each place the sum of the products.

What networks call a convolution is a cross-correlation: the window is laid on as it is.  The convolution of
mathematics turns it round first, and so is commutative.  Both are here, for plain arrays as SciPy has them
(:func:`correlate`, :func:`convolve`), and with batches, channels and groups as layers have them (:func:`conv`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dojang.convolution import columns, fourier, loops, winograd
from dojang.convolution.arrays import numbers_of
from dojang.convolution.geometry import Geometry, Padding, divided, geometry, numbers, reach
from dojang.errors import ConfigError, did_you_mean

Method = Callable[[np.ndarray, np.ndarray, Geometry, int], np.ndarray]
METHODS: dict[str, Method] = {
    "loops": loops.correlate,
    "columns": columns.correlate,
    "fourier": fourier.correlate,
    "winograd": winograd.correlate,
}
"""Four ways to the same numbers: the definition, matrix products, spectra, and fewer products for 3x3."""

_BACKWARD = {"loops": loops.gradients, "columns": columns.gradients}
Axes = int | Sequence[int]


@dataclass(frozen=True)
class Gradients:
    """What an upstream gradient becomes behind a convolution: of its input, of its filters, of its biases."""

    x: np.ndarray
    w: np.ndarray
    b: np.ndarray


def conv(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None = None,
    *,
    stride: Axes = 1,
    padding: Padding = "valid",
    dilation: Axes = 1,
    groups: int = 1,
    fill: float = 0,
    method: str = "columns",
) -> np.ndarray:
    """A convolutional layer, in one, two, three or more dimensions.

    Args:
        x: (n, c, *sizes): a batch of arrays with channels.
        w: (d, c / groups, *kernel): filters.
        b: (d,): a number added to each filter's output.
        stride, dilation: One number, or one for each axis.
        padding: "valid", "same", "same-before", "full", or numbers (:func:`dojang.convolution.geometry.geometry`).
        groups: Channels and filters are divided into so many; filters see the channels of their group.
        fill: What the padding is made of.
        method: A name of :data:`METHODS`.

    Returns:
        (n, d, *out).  float32 stays float32; whole numbers stay whole and exact (int64) by loops and columns.  Nothing
        given is changed.

    Raises:
        ConfigError: C251 for shapes that do not fit, C252 for values that cannot be used.

    Example:
        >>> conv(np.ones((2, 3, 32, 32)), np.ones((4, 3, 5, 5)), np.zeros(4)).shape
        (2, 4, 28, 28)
    """
    if method not in METHODS:
        raise ConfigError("C252", f"there is no method {method!r}.{did_you_mean(str(method), METHODS)}")
    given, filters = numbers_of(x, "x"), numbers_of(w, "w")
    shape, groups = _fitting(given, filters, stride, padding, dilation, groups)
    return _biased(METHODS[method](padded(given, shape, fill), filters, shape, groups), b)


def conv_gradients(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    dout: npt.ArrayLike,
    *,
    stride: Axes = 1,
    padding: Padding = "valid",
    dilation: Axes = 1,
    groups: int = 1,
    fill: float = 0,
    method: str = "columns",
) -> Gradients:
    """The backward pass of :func:`conv`.

    Args:
        dout: (n, d, *out), the gradient of what conv gave.
        method: "columns" or "loops".

    Raises:
        ConfigError: C251 for shapes that do not fit, C252 for values that cannot be used.

    Example:
        >>> found = conv_gradients(np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))
        >>> found.x[0, 0, 0].tolist(), found.w[0, 0, 0].tolist(), found.b.tolist()
        ([1.0, 2.0, 2.0, 1.0], [4.0, 4.0, 4.0], [4.0])
    """
    if method not in _BACKWARD:
        raise ConfigError("C252", f"there is no method {method!r} backwards.{did_you_mean(str(method), _BACKWARD)}")
    given, filters, upstream = numbers_of(x, "x"), numbers_of(w, "w"), numbers_of(dout, "dout")
    shape, groups = _fitting(given, filters, stride, padding, dilation, groups)
    expected = (len(given), len(filters), *shape.out)
    if upstream.shape != expected:
        raise ConfigError("C251", f"dout has the shape {upstream.shape}, and the output {expected}.")
    kind = np.result_type(given, filters, upstream)
    wide = padded(given, shape, fill).astype(kind, copy=False)
    dx, dw = _BACKWARD[method](wide, filters, upstream.astype(kind), shape, groups)
    return Gradients(dx[(slice(None), slice(None), *shape.inner)], dw, upstream.sum(axis=(0, *range(2, upstream.ndim))))


def conv_transpose(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None = None,
    *,
    stride: Axes = 1,
    padding: Axes = 0,
    output_padding: Axes = 0,
    dilation: Axes = 1,
    groups: int = 1,
) -> np.ndarray:
    """The transposed convolution: each number of the input adds its multiple of a filter to the output.

    It is the adjoint of :func:`conv` with the same stride, padding and dilation, and gives its shape back; it is not
    its inverse.  The same numbers come from putting zeros between those of the input and an ordinary convolution
    (:func:`stuffed`).

    Args:
        x: (n, c, *sizes).
        w: (c, d / groups, *kernel), as torch has it.
        b: (d,).
        stride, dilation: One number, or one for each axis.
        padding: What is cut off on both sides.
        output_padding: What is added behind, below the stride: the size that a strided conv rounded away.

    Returns:
        (n, d, *out), out = (n - 1) s - 2 p + d (k - 1) + 1 + output_padding.

    Raises:
        ConfigError: C251 for shapes that do not fit, C252 for values that cannot be used.

    Example:
        >>> conv_transpose(np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3)), stride=2).shape
        (1, 1, 5, 5)
    """
    given, filters = numbers_of(x, "x"), numbers_of(w, "w")
    shape, groups = _transposed(given, filters, stride, padding, output_padding, dilation, groups)
    kind = np.result_type(given, filters)
    each = filters.shape[1]
    out = np.empty((len(given), each * groups, *shape.padded), kind)
    part = len(filters) // groups
    rows = filters.reshape(groups, part, each * int(np.prod(filters.shape[2:])))
    for n, one in enumerate(given.reshape(len(given), groups, part, int(np.prod(given.shape[2:])))):
        for group in range(groups):
            spread = rows[group].T @ one[group]
            out[n, group * each : (group + 1) * each] = columns.col2im(spread.astype(kind, copy=False), each, shape)
    return _biased(np.ascontiguousarray(out[(slice(None), slice(None), *shape.inner)]), b)


def stuffed(x: npt.ArrayLike, stride: Axes) -> np.ndarray:
    """Zeros between the numbers of each axis but the first two, ``stride - 1`` of them.

    Example:
        >>> stuffed(np.array([[[1, 2, 3]]]), 2)[0, 0]
        array([1, 0, 2, 0, 3])
    """
    given = numbers_of(x, "x")
    if given.ndim < 3:
        raise ConfigError("C251", f"x has the shape {given.shape}; a batch with channels is (n, c, *sizes).")
    strides = numbers("stride", stride, given.ndim - 2, 1)
    sizes = [max(0, (n - 1) * s + 1) for n, s in zip(given.shape[2:], strides, strict=True)]
    out = np.zeros((*given.shape[:2], *sizes), given.dtype)
    out[(slice(None), slice(None), *(slice(None, None, s) for s in strides))] = given
    return out


def correlate(x: npt.ArrayLike, w: npt.ArrayLike, **options: Any) -> np.ndarray:
    """The cross-correlation of two plain arrays: the window is laid on as it is.

    Args:
        x: An array of any number of axes.
        w: A window of as many axes.
        options: stride, padding, dilation, fill, method, as :func:`conv`.

    Example:
        >>> correlate([[10, 20, 30, 40], [0, 1, 0, 1], [30, 0, 10, 20], [0, 10, 20, 30]], [[1, 0], [0, 2]])
        array([[12, 20, 32],
               [ 0, 21, 40],
               [50, 40, 70]])
    """
    given, window = numbers_of(x, "x"), numbers_of(w, "w")
    if given.ndim != window.ndim or not given.ndim:
        raise ConfigError(
            "C251",
            f"x has {given.ndim} axes and w {window.ndim}; both are to have as many, one at least.",
            context=f"x: {given.shape}, w: {window.shape}.",
        )
    found: np.ndarray = conv(given[None, None], window[None, None], **options)[0, 0]
    return found


def convolve(x: npt.ArrayLike, w: npt.ArrayLike, **options: Any) -> np.ndarray:
    """The convolution of two plain arrays: the window is turned round along every axis, then laid on.

    With ``padding="full"`` it is commutative: ``convolve(x, w)`` is ``convolve(w, x)``.

    Example:
        >>> convolve([1, 2, 3], [0, 1, 10], padding="full"), convolve([0, 1, 10], [1, 2, 3], padding="full")
        (array([ 0,  1, 12, 23, 30]), array([ 0,  1, 12, 23, 30]))
    """
    return correlate(x, np.flip(numbers_of(w, "w")), **options)


def _biased(out: np.ndarray, b: npt.ArrayLike | None) -> np.ndarray:
    """An output (n, d, *out) and a number for each filter."""
    if b is None:
        return out
    biases, filters = numbers_of(b, "b"), out.shape[1]
    if out.dtype.kind == "f":
        # a few biases do not make all the rest wider
        biases = biases.astype(out.dtype)
    if biases.shape != (filters,):
        raise ConfigError(
            "C251", f"b of shape {biases.shape} does not fit {filters} filters.", fix=f"b of shape ({filters},)."
        )
    found: np.ndarray = out + biases.reshape(-1, *[1] * (out.ndim - 2))
    return found


def padded(x: np.ndarray, shape: Geometry, fill: float) -> np.ndarray:
    """An array (n, c, *sizes) with its padding; itself where there is none."""
    if shape.padded == shape.size:
        return x
    if numbers_of(fill, "fill").ndim:
        raise ConfigError("C252", f"fill is one number, and not {fill!r}.")
    whole = float(fill).is_integer() and -(2**63) <= fill < 2**63
    kind = x.dtype if x.dtype.kind == "f" or whole else np.dtype(np.float64)
    out = np.full((*x.shape[:2], *shape.padded), fill, kind)
    out[(slice(None), slice(None), *shape.inner)] = x
    return out


def _fitting(
    x: np.ndarray, w: np.ndarray, stride: Axes, padding: Padding, dilation: Axes, groups: int
) -> tuple[Geometry, int]:
    """The geometry and the groups of a layer; else an error with both shapes and what would fit."""
    shapes = f"x: {x.shape}, w: {w.shape}, groups {groups}."
    if x.ndim < 3 or w.ndim != x.ndim:
        raise ConfigError(
            "C251",
            f"x has {x.ndim} axes and w {w.ndim}; a batch with channels is (n, c, *sizes), filters are "
            "(d, c / groups, *kernel), with as many axes.",
            context=shapes,
            fix="correlate(x, w) for plain arrays." if x.ndim == w.ndim else f"w with {max(x.ndim, 3)} axes.",
        )
    groups = divided(groups, x.shape[1], len(w), shapes)
    if x.shape[1] != w.shape[1] * groups:
        right = (len(w), x.shape[1] // groups, *w.shape[2:])
        raise ConfigError(
            "C251",
            f"x has {x.shape[1]} channels, and the filters are for {w.shape[1] * groups}.",
            context=shapes,
            fix=f"w of shape {right}.",
        )
    return geometry(x.shape[2:], w.shape[2:], stride=stride, padding=padding, dilation=dilation), groups


def _transposed(
    x: np.ndarray, w: np.ndarray, stride: Axes, padding: Axes, extra: Axes, dilation: Axes, groups: int
) -> tuple[Geometry, int]:
    """The geometry of the convolution that this is the adjoint of, and the groups."""
    shapes = f"x: {x.shape}, w: {w.shape}, groups {groups}."
    if x.ndim < 3 or w.ndim != x.ndim or x.shape[1] != len(w):
        raise ConfigError(
            "C251",
            "a transposed convolution takes x (n, c, *sizes) and w (c, d / groups, *kernel).",
            context=shapes,
            fix=f"w of shape {(x.shape[1], *w.shape[1:])}."
            if w.ndim == x.ndim > 2
            else "as many axes, three at least.",
        )
    groups = divided(groups, x.shape[1], x.shape[1], shapes)
    axes = x.ndim - 2
    strides, dilations = numbers("stride", stride, axes, 1), numbers("dilation", dilation, axes, 1)
    paddings, extras = numbers("padding", padding, axes, 0), numbers("output_padding", extra, axes, 0)
    sizes = []
    for n, k, s, p, e, d in zip(x.shape[2:], w.shape[2:], strides, paddings, extras, dilations, strict=True):
        size = (n - 1) * s - 2 * p + reach(k, d) + e
        if size < 1 or n < 1:
            raise ConfigError("C251", f"nothing is left of an output of {size}.", context=shapes)
        if e >= s:
            # the convolution that this is the adjoint of would have given more places
            raise ConfigError("C252", f"output_padding is from 0 to {s - 1}, below the stride, and not {e}.")
        sizes.append(size)
    return geometry(sizes, w.shape[2:], stride=strides, padding=paddings, dilation=dilations), groups
