"""DenseNet: every layer of a block is given what all layers before it have found.

Source: Huang, Liu, van der Maaten, Weinberger, "Densely Connected Convolutional Networks", arXiv:1608.06993
(DenseNet-BC, compression 0.5).  Names and shapes of the parameters are torchvision's.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn

from dojang.models import fusion
from dojang.models.layers import MOST_LAYERS, STEMS, Network, Window, whole, wholes, word, wrong

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

# of the 1x1 convolution in front of each 3x3, as a multiple of the growth
_BOTTLENECK = 4


@dataclasses.dataclass(frozen=True)
class DenseNetConfig:
    """What a :class:`DenseNet` is made of.

    Args:
        blocks: Layers in each dense block; a transition that halves channels and map stands between two.
        growth: Channels that each layer adds.
        width: Channels of the stem.
        stem: "full" (7x7, stride 2, pooling), "small" (3x3), or "auto": small up to 64 pixels.

    Raises:
        ConfigError: C204 for a value that cannot be used.
    """

    blocks: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    width: int = 64
    stem: str = "auto"

    def __post_init__(self) -> None:
        blocks = wholes("blocks", self.blocks, most=MOST_LAYERS)
        if not blocks or sum(blocks) > MOST_LAYERS:
            raise wrong("blocks", self.blocks, f"at least one number, at most {MOST_LAYERS:,} layers in all")
        whole("growth", self.growth, most=4096)
        whole("width", self.width, most=4096)
        word("stem", self.stem, STEMS)


class DenseNet(Network):
    """A DenseNet.

    Shapes:
        (B, C, H, W) to (B, classes).

    Raises:
        ConfigError: C204 for arguments that cannot be used, and where the map vanishes.

    Example:
        >>> with torch.device("meta"):
        ...     net = DenseNet(3, 1000, (224, 224))
        >>> sum(p.numel() for p in net.parameters())
        7978856
    """

    preset = "densenet121"
    SMALL = "a 3x3 convolution with stride 1 in place of 7x7 with stride 2 and a pooling"
    Config = DenseNetConfig
    config: DenseNetConfig

    def __init__(
        self, in_channels: int, classes: int, image_size: tuple[int, int], config: DenseNetConfig | None = None
    ) -> None:
        super().__init__(in_channels, classes, image_size)
        self.config, small = self.stemmed(config or DenseNetConfig())
        config = self.config
        self.fixed_size = False
        windows = [] if small else [Window("features.conv0", 7, 2, 6), Window("features.pool0", 3, 2, 2)]
        windows += [Window(f"features.transition{number}.pool", 2, 2, 0) for number in range(1, len(config.blocks))]
        self.fitted(windows)

        size, stride = (3, 1) if small else (7, 2)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv0"] = nn.Conv2d(self.in_channels, config.width, size, stride, size // 2, bias=False)
        layers["norm0"], layers["relu0"] = nn.BatchNorm2d(config.width), nn.ReLU(inplace=True)
        layers["pool0"] = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
        channels = config.width
        for number, count in enumerate(config.blocks, 1):
            layers[f"denseblock{number}"] = Dense(channels, count, config.growth)
            channels += count * config.growth
            if number < len(config.blocks):
                layers[f"transition{number}"] = _transition(channels)
                channels //= 2
        layers["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(channels, self.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)

    def maps(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        return fusion.run([*self.features, nn.ReLU()], x)  # (B, channels, h, w)

    def head(self) -> list[nn.Module]:
        return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), self.classifier]


class Dense(nn.ModuleDict):
    """A dense block: the maps of all its layers, and what it was given, side by side."""

    def __init__(self, channels: int, count: int, growth: int) -> None:
        super().__init__()
        for number in range(count):
            self[f"denselayer{number + 1}"] = _Layer(channels + number * growth, growth)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        found = [x]
        for layer in self.values():
            found.append(layer(torch.cat(found, dim=1)))
        return torch.cat(found, dim=1)


class _Layer(nn.Module):
    """Norm and activation first, then a 1x1 convolution; the same with a 3x3."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(channels, _BOTTLENECK * growth, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(_BOTTLENECK * growth), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(_BOTTLENECK * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b g h w"]:
        return fusion.run((self.norm1, self.relu1, self.conv1, self.norm2, self.relu2, self.conv2), x)


def _transition(channels: int) -> nn.Sequential:
    """Half the channels, half the map."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["norm"], layers["relu"] = nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    layers["conv"] = nn.Conv2d(channels, channels // 2, 1, bias=False)
    layers["pool"] = nn.AvgPool2d(2)
    return nn.Sequential(layers)
