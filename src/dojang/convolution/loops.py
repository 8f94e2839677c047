"""The definition, number by number: slow, and what everything else is measured by."""

from __future__ import annotations

import numpy as np

from dojang.convolution.geometry import Geometry


def correlate(x: np.ndarray, w: np.ndarray, shape: Geometry, groups: int) -> np.ndarray:
    """Each number of the output is a sum of products of a window of the input and one filter.

    Args:
        x: (n, c, *sizes), padded already.
        w: (d, c / groups, *kernel).
    """
    count, filters, each = len(x), len(w), w.shape[1]
    out = np.zeros((count, filters, *shape.out), np.result_type(x, w))
    for n in range(count):
        for d in range(filters):
            # the channels that this filter's group is given
            first = d // (filters // groups) * each
            for place in np.ndindex(*shape.out):
                total = out.dtype.type(0)
                for c in range(each):
                    for offset in np.ndindex(*shape.kernel):
                        at = tuple(
                            p * s + o * step
                            for p, s, o, step in zip(place, shape.stride, offset, shape.dilation, strict=True)
                        )
                        total += x[(n, first + c, *at)] * w[(d, c, *offset)]
                out[(n, d, *place)] = total
    return out


def gradients(
    x: np.ndarray, w: np.ndarray, dout: np.ndarray, shape: Geometry, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """Every product hands its share of the upstream gradient to both of its factors.

    Args:
        x: (n, c, *sizes), padded already.
        w: (d, c / groups, *kernel).
        dout: (n, d, *out), the gradient of the output.

    Returns:
        The gradients of x (padded) and of w.
    """
    filters, each = len(w), w.shape[1]
    dx, dw = np.zeros(x.shape, dout.dtype), np.zeros(w.shape, dout.dtype)
    for n in range(len(x)):
        for d in range(filters):
            first = d // (filters // groups) * each
            for place in np.ndindex(*shape.out):
                upstream = dout[(n, d, *place)]
                for c in range(each):
                    for offset in np.ndindex(*shape.kernel):
                        at = tuple(
                            p * s + o * step
                            for p, s, o, step in zip(place, shape.stride, offset, shape.dilation, strict=True)
                        )
                        dx[(n, first + c, *at)] += upstream * w[(d, c, *offset)]
                        dw[(d, c, *offset)] += upstream * x[(n, first + c, *at)]
    return dx, dw
