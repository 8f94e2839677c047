"""Changes of colour in batches of pictures: float (b, c, h, w) from 0 to 1, an amount for each picture.

Each equals torchvision's operation of the same name on floats; tests hold them against it. Grey pictures of one
channel have no colours: what changes those leaves them as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

Images = Float[Tensor, "b c h w"]
Amounts = Float[Tensor, " b"]


def brightness(images: Images, factors: Amounts) -> Images:
    """Every pixel times a factor: 0 is black, 1 leaves it."""
    return (images * _each(factors)).clamp_(0, 1)


def contrast(images: Images, factors: Amounts) -> Images:
    """Away from the picture's mean grey, or towards it: 0 is that grey, 1 leaves it."""
    return _blend(images, luminance(images).mean(dim=(1, 2, 3), keepdim=True), factors)


def saturation(images: Images, factors: Amounts) -> Images:
    """Away from the pixel's own grey, or towards it: 0 is a grey picture, 1 leaves it."""
    return images if images.shape[1] == 1 else _blend(images, luminance(images), factors)


def grey(images: Images) -> Images:
    """Without colours, in as many channels."""
    return luminance(images).expand_as(images).clone()


def luminance(images: Images) -> Float[Tensor, "b 1 h w"]:
    """The grey of each pixel: 0.2989 red, 0.587 green, 0.114 blue (ITU-R BT.601, as torchvision rounds it)."""
    if images.shape[1] == 1:
        return images
    return images[:, 0:1] * 0.2989 + images[:, 1:2] * 0.587 + images[:, 2:3] * 0.114


def hue(images: Images, shifts: Amounts) -> Images:
    """The hues turned by a share of the circle, -0.5 to 0.5; lightness and saturation stay."""
    if images.shape[1] == 1:
        return images
    highest, index = images.max(dim=1)  # (b, h, w)
    spread = highest - images.amin(dim=1)
    red, green, blue = images.unbind(dim=1)
    safe = torch.where(spread == 0, 1.0, spread)
    # the colour that is highest says in which third of the circle the hue lies
    thirds = torch.stack([(green - blue) / safe, 2 + (blue - red) / safe, 4 + (red - green) / safe], dim=1)
    place = thirds.gather(1, index[:, None])[:, 0] + 6 * shifts[:, None, None]  # in sixths
    # each channel is highest around its own place, lowest around the opposite one, and a straight line between
    corners = torch.tensor([5.0, 3.0, 1.0], device=images.device, dtype=images.dtype)[:, None, None]
    k = (corners + place[:, None]) % 6
    return highest[:, None] - spread[:, None] * torch.minimum(k, 4 - k).clamp_(0, 1)


def sharpness(images: Images, factors: Amounts) -> Images:
    """Away from a smoothed picture, or towards it: 0 is smooth, 1 leaves it; pixels at the edge stay."""
    channels = images.shape[1]
    if min(images.shape[2:]) <= 2:
        return images
    kernel = torch.ones(3, 3, dtype=images.dtype, device=images.device)
    kernel[1, 1] = 5
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(images, (kernel / 13).expand(channels, 1, 3, 3), groups=channels)
    return _blend(images, smooth, factors)


def posterize(images: Images, bits: Int64[Tensor, " b"]) -> Images:
    """As many levels as so many bits hold."""
    levels = _each(2.0 ** bits.to(images))
    return torch.minimum((images * levels).floor(), levels - 1) / levels


def solarize(images: Images, thresholds: Amounts) -> Images:
    """What is at least as bright as a threshold is inverted."""
    return torch.where(images >= _each(thresholds), 1 - images, images)


def autocontrast(images: Images) -> Images:
    """Each channel stretched from 0 to 1; one of a single level stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    flat = low == high
    stretched = (images - low) / torch.where(flat, 1.0, high - low)
    return torch.where(flat, images, stretched).clamp_(0, 1)


def equalize(images: Images) -> Images:
    """The levels of each channel spread so that their histogram is flat, in 8 bits as Pillow does it."""
    b, c, h, w = images.shape
    levels = (images * 255.999).long().clamp_(0, 255).reshape(b * c, h * w)
    counts = torch.zeros(b * c, 256, dtype=torch.int64, device=images.device)
    counts.scatter_add_(1, levels, torch.ones_like(levels))
    before = counts.cumsum(dim=1) - counts
    # the highest level that occurs sets no step
    last = counts.gather(1, levels.amax(dim=1, keepdim=True))
    step = (h * w - last) // 255  # (b c, 1)
    table = ((before + step // 2) // step.clamp(min=1)).clamp_(0, 255)
    table = torch.where(step == 0, torch.arange(256, device=images.device), table)
    return (table.gather(1, levels).to(images) / 255).reshape(b, c, h, w)


def _each(amounts: Tensor) -> Float[Tensor, "b 1 1 1"]:
    return amounts[:, None, None, None]


def _blend(images: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    """The other where a factor is 0, the pictures where it is 1, and beyond."""
    return torch.lerp(other.expand_as(images), images, _each(factors).to(images)).clamp_(0, 1)
