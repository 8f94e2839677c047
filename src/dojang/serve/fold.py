"""Batch normalisation worked into the convolutions in front of it: the same function with fewer passes over memory.

What follows what is seen on one picture, not read from the code, so networks of one's own are folded too. A network
whose convolution is read by something else besides its norm would be changed by it; that is found by the check of
parity that every engine goes through (:mod:`dojang.serve.parity`).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@torch.no_grad()
def folded(model: nn.Module, images: Tensor) -> tuple[nn.Module, int]:
    """A copy in evaluation mode whose norms right behind a convolution are part of it, and how many those are.

    Args:
        images: One batch that the network takes.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval()
        >>> folded(net, torch.zeros(1, 1, 5, 5))[1]
        1
    """
    model = copy.deepcopy(model).eval()
    pairs = _pairs(model, images)
    for conv, norm in pairs:
        made = fuse_conv_bn_eval(conv, norm)
        conv.weight, conv.bias = made.weight, made.bias
    norms = {id(norm) for _, norm in pairs}
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if id(child) in norms:
                setattr(parent, name, nn.Identity())
    return model, len(pairs)


def _pairs(model: nn.Module, images: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Each convolution and the norm that is given its map, where each is used once."""
    # the maps are kept, so that no two of them have one address
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    found: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    used: dict[int, int] = {}

    def behind(layer: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        used[id(layer)] = used.get(id(layer), 0) + 1
        made[id(out)] = (layer, out)

    def before(layer: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        used[id(layer)] = used.get(id(layer), 0) + 1
        if args and id(args[0]) in made and layer.track_running_stats:
            found.append((made[id(args[0])][0], layer))

    hooks = []
    for layer in model.modules():
        if type(layer) is nn.Conv2d:
            hooks.append(layer.register_forward_hook(behind))
        elif type(layer) is nn.BatchNorm2d:
            hooks.append(layer.register_forward_pre_hook(before))
    try:
        model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return [(conv, norm) for conv, norm in found if used[id(conv)] == used[id(norm)] == 1]
