"""Turning, moving, enlarging and slanting pictures: one matrix a picture, and one resampling for all of it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor

_PADDING = {"black": "zeros", "reflect": "reflection"}


def matrices(
    degrees: Float64[np.ndarray, " b"],
    right: Float64[np.ndarray, " b"],
    down: Float64[np.ndarray, " b"],
    scale: Float64[np.ndarray, " b"],
    slant_x: Float64[np.ndarray, " b"],
    slant_y: Float64[np.ndarray, " b"],
) -> Float64[np.ndarray, "b 2 3"]:
    """Where each pixel of a changed picture comes from, in pixels from the picture's centre.

    A picture is scaled, slanted along x, slanted along y, turned, and moved, in this order; all about its centre.

    Args:
        degrees: Clockwise, as one sees it.
        right, down: In pixels.
        scale: Above 1 enlarges.
        slant_x, slant_y: In degrees.

    >>> still, one = np.zeros(1), np.ones(1)
    >>> matrices(still, 3 * one, still, 2 * one, still, still)[0].tolist()
    [[0.5, 0.0, -1.5], [0.0, 0.5, 0.0]]
    """
    angle, sx, sy = (np.deg2rad(values) for values in (degrees, slant_x, slant_y))
    nought, one = np.zeros_like(angle), np.ones_like(angle)

    def matrix(*entries: np.ndarray) -> np.ndarray:
        return np.stack(entries, axis=-1).reshape(-1, 2, 2)

    turn = matrix(np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle))
    along_y = matrix(one, nought, -np.tan(sy), one)
    along_x = matrix(one, -np.tan(sx), nought, one)
    back = np.linalg.inv(turn @ along_y @ along_x * scale[:, None, None])  # (b, 2, 2)
    moved = -back @ np.stack([right, down], axis=-1)[:, :, None]  # (b, 2, 1)
    # 0 rather than -0 for what stays
    return np.concatenate([back, moved], axis=2) + 0.0


def warp(
    images: Float[Tensor, "b c h w"], sources: Float64[np.ndarray, "b 2 3"], fill: str = "black"
) -> Float[Tensor, "b c h w"]:
    """Pictures resampled once, bilinearly.

    Args:
        sources: From :func:`matrices`.
        fill: What is beyond the edge: "black", or "reflect" (the picture mirrored at its edge).
    """
    height, width = images.shape[2:]
    # torch counts both sides from -1 to 1
    side = np.array([width, height, 2.0])
    theta = sources * side[None, None, :] / side[None, :2, None]
    theta[:, :, 2] = 2 * sources[:, :, 2] / side[None, :2]
    grid = F.affine_grid(torch.from_numpy(theta).to(images), list(images.shape), align_corners=False)
    # pixels with their channels last would be read four times slower
    return F.grid_sample(images.contiguous(), grid, mode="bilinear", padding_mode=_PADDING[fill], align_corners=False)
