"""Blur, noise, and parts that are blanked out: of batches of pictures, float (b, c, h, w) from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

Images = Float[Tensor, "b c h w"]


def blur_radius(height: int, width: int) -> int:
    """Of the kernel, in pixels: its sides are a tenth of the picture's, as in SimCLR (arXiv:2002.05709, appendix A).

    >>> blur_radius(32, 32), blur_radius(224, 300)
    (1, 11)
    """
    return max(1, min(height, width) // 20)


def blur(images: Images, sigmas: Float[Tensor, " b"], radius: int) -> Images:
    """A Gaussian blur, the picture mirrored beyond its edge.

    Args:
        sigmas: In pixels.
        radius: The kernel has ``2 * radius + 1`` taps on each axis.
    """
    # a mirror shows no more than there is
    radius = min(radius, min(images.shape[2:]) - 1)
    places = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    taps = torch.exp(-0.5 * (places / sigmas[:, None].to(images)) ** 2)
    taps = taps / taps.sum(dim=1, keepdim=True)  # (b, 2 radius + 1)
    height, width = images.shape[2:]
    wide = F.pad(images, (radius, radius, radius, radius), mode="reflect")
    rows = sum(taps[:, i, None, None, None] * wide[:, :, i : i + height] for i in range(2 * radius + 1))
    assert isinstance(rows, Tensor)
    both = sum(taps[:, i, None, None, None] * rows[:, :, :, i : i + width] for i in range(2 * radius + 1))
    assert isinstance(both, Tensor)
    return both


def noise(images: Images, sources: Sequence[int], deviation: float) -> Images:
    """Gaussian noise added to every value.

    Args:
        sources: A seed a picture, at least 0: the same one gives the same noise, whatever else is in the batch.
    """
    drawn = torch.empty(images.shape)
    generator = torch.Generator()
    for one, source in zip(drawn, sources, strict=True):
        one.normal_(generator=generator.manual_seed(source))
    return (images + deviation * drawn.to(images)).clamp_(0, 1)


def inside(boxes: Int64[Tensor, "b 4"], height: int, width: int) -> Bool[Tensor, "b 1 h w"]:
    """Which pixels lie in a box of each picture: top, left, bottom, right, the last two just outside of it."""
    y = torch.arange(height, device=boxes.device)[None, :, None]
    x = torch.arange(width, device=boxes.device)[None, None, :]
    top, left, bottom, right = boxes[:, :, None, None].unbind(dim=1)
    return ((y >= top) & (y < bottom) & (x >= left) & (x < right))[:, None]


def blank(images: Images, boxes: Int64[Tensor, "b 4"], colour: Float[Tensor, " c"]) -> Images:
    """A box of each picture in one colour; an empty box leaves it."""
    return torch.where(inside(boxes, *images.shape[2:]), colour[None, :, None, None].to(images), images)
