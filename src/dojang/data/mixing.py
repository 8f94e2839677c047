"""mixup and CutMix: each picture of a batch with the one that comes next in it, and both their labels."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from dojang.data import spots
from dojang.data.changes import Changes

Images = Float[Tensor, "b c h w"]


def changed(
    pixels: UInt8[Tensor, "b h w c"], changes: Changes, mean: tuple[float, ...]
) -> tuple[Images, Float[Tensor, " b"] | None]:
    """Training pictures as an epoch shows them, from 0 to 1, and where they are mixed how much of each is its own.

    Args:
        mean: The colour of what is blanked out, from 0 to 1.
    """
    images = changes.apply((pixels.to(torch.float32) / 255).permute(0, 3, 1, 2), mean)
    mixed = mix(images, changes)
    return (images, None) if mixed is None else mixed


def mix(images: Images, changes: Changes) -> tuple[Images, Float[Tensor, " b"]] | None:
    """The pictures mixed, and how much of each is its own; None where nothing is mixed.

    The rest of picture i is of picture i + 1, that of the last one is of the first: ``labels.roll(-1)``.  The order of
    an epoch is random, so it is a random other one.

    Args:
        changes: From :func:`dojang.data.changes.draw`.
    """
    if "own" not in changes.draws:
        return None
    own = torch.from_numpy(changes.draws["own"]).to(images)
    boxes = torch.from_numpy(changes.draws["boxes"]).to(images.device)
    cut = torch.from_numpy(changes.draws["cut"]).to(images.device)[:, None, None, None]
    others = images.roll(-1, dims=0)
    pasted = torch.where(spots.inside(boxes, *images.shape[2:]), others, images)
    return torch.where(cut, pasted, torch.lerp(others, images, own[:, None, None, None])), own
