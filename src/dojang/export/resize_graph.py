"""Pillow's 8-bit resize, bit for bit, in operations that every exported graph has; the picture's size stays open.

ONNX's own Resize does not equal Pillow's (up to 30 levels at borders), and Pillow's is what a network was trained on.
That one is two matrix products: every output row is a weighted sum of input rows, every output column one of columns,
and behind each product levels are rounded to 8 bits.  Weights are whole numbers of 2^-22, so sums of products with
levels stay under 2^31, where float64 makes no error.  Rows and columns that the network does not see are never made.
Source: Pillow 13, src/libImaging/Resample.c; :mod:`dojang.data.resize` has the same in C.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

#: of a weight; levels take 8 more, a sum of weights at most 1 more
BITS = 22
_SUPPORT = {"bilinear": 1.0, "bicubic": 2.0}


def coefficients(
    size: Float64[Tensor, ""],
    pixels: Float64[Tensor, " n"],
    inner: Float64[Tensor, ""],
    wanted: Float64[Tensor, " count"],
    interpolation: str,
) -> Float64[Tensor, "count n"]:
    """How much each input pixel of a side weighs in some of the output pixels, in whole numbers of 2^-22.

    Args:
        size: How many pixels the side has.
        pixels: Their numbers, from 0.
        inner: How many it is to have.
        wanted: Which of those are wanted.
        interpolation: "bilinear" or "bicubic".

    >>> two = torch.tensor(2.0, dtype=torch.float64)
    >>> coefficients(two, torch.arange(2.0).double(), 2 * two, torch.arange(4.0).double(), "bilinear").div(2**22)
    tensor([[1.0000, 0.0000],
            [0.7500, 0.2500],
            [0.2500, 0.7500],
            [0.0000, 1.0000]], dtype=torch.float64)
    """
    scale = size / inner
    # a filter that is made narrower than a pixel would miss some
    wide = scale.clamp(min=1.0)
    support = _SUPPORT[interpolation] * wide
    centre = ((wanted + 0.5) * scale)[:, None]
    first = torch.floor(centre - support + 0.5).clamp(min=0.0)
    last = torch.minimum(torch.floor(centre + support + 0.5), size)
    shares = _filter((pixels[None] - centre + 0.5) * (1.0 / wide), interpolation)
    shares = torch.where((pixels >= first) & (pixels < last), shares, 0.0)
    shares = shares / shares.sum(dim=1, keepdim=True)
    whole = shares * 2.0**BITS
    if interpolation == "bilinear":
        return torch.floor(whole + 0.5)
    # halves away from 0: these can be negative
    return torch.sign(whole) * torch.floor(whole.abs() + 0.5)


def resized(
    levels: Float64[Tensor, "b c h w"],
    down: Float64[Tensor, "rows h"],
    across: Float64[Tensor, "w columns"],
    columns_first: Bool[Tensor, ""],
    *,
    branch: bool = True,
) -> Float64[Tensor, "b c rows columns"]:
    """Pictures resized by the coefficients of their two sides.

    Args:
        levels: Whole numbers, 0 to 255.
        down: Of the rows, from :func:`coefficients`.
        across: Of the columns, turned.
        columns_first: :func:`columns_first`; between the two products levels are rounded, so their order matters.
        branch: An exported graph computes one order only; False is for what cannot branch, and computes both.
    """
    if not torch.compiler.is_exporting():
        return (_down_first if columns_first else _across_first)(levels, down, across)
    ways = levels, down, across
    if not branch:
        return torch.where(columns_first, _down_first(*ways), _across_first(*ways))
    made: Tensor = torch.cond(columns_first, _down_first, _across_first, ways)
    return made


def columns_first(
    height: Float64[Tensor, ""], width: Float64[Tensor, ""], rows: Float64[Tensor, ""], columns: Float64[Tensor, ""]
) -> Bool[Tensor, ""]:
    """Whether Pillow goes down the columns first: since version 13 where that leaves much less for the second way.

    Args:
        height, width: Of the picture.
        rows, columns: What it is resized to.
    """
    return (height > rows) & (height - rows > 2.0 * (width - columns))


def _down_first(levels: Tensor, down: Tensor, across: Tensor) -> Tensor:
    return _rounded(torch.matmul(_rounded(torch.matmul(down, levels)), across))


def _across_first(levels: Tensor, down: Tensor, across: Tensor) -> Tensor:
    return _rounded(torch.matmul(down, _rounded(torch.matmul(levels, across))))


def _rounded(sums: Tensor) -> Tensor:
    return torch.floor((sums + 2.0 ** (BITS - 1)) / 2.0**BITS).clamp(0.0, 255.0)


def _filter(x: Tensor, interpolation: str) -> Tensor:
    """The height of the filter at a distance from its middle; written as Pillow does, or roundings would differ."""
    x = x.abs()
    if interpolation == "bilinear":
        return (1.0 - x).clamp(min=0.0)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * -0.5
    return torch.where(x < 1.0, near, torch.where(x < 2.0, far, 0.0))
