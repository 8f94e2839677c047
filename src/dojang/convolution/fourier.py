"""Convolution as a product of spectra: what is a sum over windows in one is a product, number by number, in the other.

Source: the convolution theorem; for networks Mathieu, Henaff, LeCun, "Fast Training of Convolutional Networks through
FFTs", arXiv:1312.5851.
"""

from __future__ import annotations

import numpy as np

from dojang.convolution.geometry import Geometry


def correlate(x: np.ndarray, w: np.ndarray, shape: Geometry, groups: int) -> np.ndarray:
    """Shapes as in loops.py; the answer is real, of the precision of x and w."""
    kind = np.result_type(x, w, np.float32)
    filters, each = w.shape[:2]
    axes = tuple(range(2, x.ndim))
    out = np.empty((len(x), filters, *shape.out), kind)
    if not out.size:
        return out
    # so long that what goes round the end meets nothing that is kept
    length = [n + r - 1 for n, r in zip(shape.padded, shape.reach, strict=True)]
    # dilation puts zeros between weights, and a correlation is a convolution with the filter turned round
    wide = np.zeros((filters, each, *shape.reach), kind)
    wide[(slice(None), slice(None), *(slice(None, None, d) for d in shape.dilation))] = w
    wide = np.flip(wide, axes)
    spectra, weights = np.fft.rfftn(x.astype(kind, copy=False), length, axes), np.fft.rfftn(wide, length, axes)
    part = filters // groups
    # the part where window and array overlap fully, every stride-th place of it
    kept = tuple(
        slice(r - 1, r - 1 + (n - 1) * s + 1, s) for r, n, s in zip(shape.reach, shape.out, shape.stride, strict=True)
    )
    for group in range(groups):
        given = spectra[:, None, group * each : (group + 1) * each]
        made = (given * weights[None, group * part : (group + 1) * part]).sum(axis=2)
        whole = np.fft.irfftn(made, length, axes)
        out[:, group * part : (group + 1) * part] = whole[(slice(None), slice(None), *kept)]
    return out
