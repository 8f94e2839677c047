"""A classifier made fully convolutional: the same weights, and on a larger picture a map of answers.

A dense layer that is given a map of c x h x w is a convolution whose windows are h x w: it has the same weights, and
where it was moved over nothing it now moves over the map.  Source: Long, Shelhamer, Darrell, "Fully Convolutional
Networks for Semantic Segmentation", arXiv:1411.4038, section 3.1.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from dojang.errors import ConfigError
from dojang.models.layers import Network
from dojang.models.maxout import PIECES, Maxout

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class FullyConvolutional(nn.Module):
    """The layers before a classifier's head, and its head as convolutions.

    Shapes:
        (B, C, H, W) to (B, classes, H', W'); H' and W' are 1 at the classifier's own size.
    """

    def __init__(self, trunk: Network, head: nn.Sequential) -> None:
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b classes h2 w2"]:
        scores: Tensor = self.head(self.trunk.maps(x))
        return scores


def convolutionalize(model: nn.Module) -> FullyConvolutional:
    """A copy of a classifier that takes pictures of its own size and larger, and gives scores at every place.

    Args:
        model: One of dojang's networks with at least one convolution; it is left as it was.

    Returns:
        A network with equally many parameters, in evaluation mode; at the classifier's own size its one answer is
        the classifier's.

    Raises:
        ConfigError: C248 for a network whose head has no convolutional form.

    Example:
        >>> from dojang.models.build import build
        >>> net = build("fashion-cnn", in_channels=1, classes=10, image_size=(28, 28), seed=0).eval()
        >>> whole = convolutionalize(net)
        >>> x = torch.randn(2, 1, 28, 28)
        >>> bool((whole(x)[:, :, 0, 0] - net(x)).abs().max() < 1e-5)
        True
        >>> whole(torch.randn(1, 1, 60, 44)).shape
        torch.Size([1, 10, 5, 3])
    """
    if not isinstance(model, Network):
        raise _impossible(type(model).__name__, "only networks of dojang say which layers are their head")
    trunk = copy.deepcopy(model).eval()
    with torch.no_grad():
        first = next(trunk.parameters())
        image = torch.zeros(1, trunk.in_channels, *trunk.image_size, device=first.device, dtype=first.dtype)
        shape: tuple[int, ...] = tuple(trunk.maps(image).shape[1:])
    names = {id(module): name for name, module in trunk.named_modules()}
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, layer in enumerate(trunk.head()):
        made, shape = _converted(layer, shape, model.preset)
        if made is not None:
            # after its own name, or its number where it has none
            name = names.get(id(layer), f"{type(layer).__name__.lower()}{number}")
            layers[name.replace(".", "_")] = made
    # the weights of the head are in one place only
    trunk.head_at = len(list(trunk.children())) - len(trunk.head())
    for layer in trunk.head():
        if id(layer) in names:
            trunk.set_submodule(names[id(layer)], nn.Identity())
    return FullyConvolutional(trunk, nn.Sequential(layers)).eval()


def _converted(layer: Any, shape: tuple[int, ...], name: str) -> tuple[nn.Module | None, tuple[int, ...]]:
    """A layer of the head as it works on maps, and the shape behind it at the network's own size."""
    channels, height, width = shape
    if isinstance(layer, nn.Flatten):
        # what comes next takes the whole map as its window
        return None, shape
    if isinstance(layer, (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)):
        sides = layer.output_size if isinstance(layer.output_size, tuple) else (layer.output_size,) * 2
        rows, columns = (side or own for side, own in zip(sides, (height, width), strict=True))
        if (rows, columns) == (height, width):
            return None, shape
        if height % rows or width % columns:
            raise _impossible(name, f"its map of {height}x{width} is averaged to {rows}x{columns} in unequal windows")
        kind = nn.AvgPool2d if isinstance(layer, nn.AdaptiveAvgPool2d) else nn.MaxPool2d
        window = height // rows, width // columns
        # one window slides pixel by pixel; several stay side by side
        return kind(window, stride=1 if rows == columns == 1 else window), (channels, rows, columns)
    if isinstance(layer, nn.Linear):
        if layer.in_features != channels * height * width:
            raise _impossible(name, f"a dense layer takes {layer.in_features:,} numbers, and the map has {shape}")
        # weights of its own would be drawn and thrown away
        with torch.device("meta"):
            conv = nn.Conv2d(channels, layer.out_features, (height, width), bias=layer.bias is not None)
        conv.weight = nn.Parameter(layer.weight.detach().reshape(conv.weight.shape))
        if layer.bias is not None:
            conv.bias = nn.Parameter(layer.bias.detach())
        return conv, (layer.out_features, 1, 1)
    if isinstance(layer, nn.BatchNorm1d):
        norm = nn.BatchNorm2d(layer.num_features, layer.eps, layer.momentum, layer.affine)
        norm.load_state_dict(layer.state_dict())
        return norm.to(next(layer.buffers()).device), shape
    if isinstance(layer, nn.Conv2d):
        with torch.no_grad():
            after = layer(torch.zeros(1, *shape, device=layer.weight.device, dtype=layer.weight.dtype)).shape[1:]
        return layer, tuple(after)
    if isinstance(layer, Maxout):
        return layer, (channels // PIECES, height, width)
    if any(True for _ in layer.parameters()):
        raise _impossible(name, f"a layer of its head is a {type(layer).__name__}")
    return layer, shape


def _impossible(name: str, why: str) -> ConfigError:
    return ConfigError(
        "C248", f"{name} cannot be made fully convolutional: {why}.", fix="a network with convolutions: dojang models"
    )
