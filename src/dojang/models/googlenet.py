"""GoogLeNet: inception modules look at a map through windows of several sizes at once.

Source: Szegedy et al., "Going Deeper with Convolutions", arXiv:1409.4842, table 1.  Names and shapes of the parameters
are torchvision's, whose third branch has a 3x3 convolution where the paper has a 5x5, and whose convolutions are
normalised by the batch (as in arXiv:1502.03167).  The auxiliary classifiers, which helped training in 2014, are left
out.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import nn

from dojang.models import fusion
from dojang.models.layers import STEMS, Network, Window, chance, switch, word

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

# table 1: name, channels of 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, behind the pooling
_MODULES = (
    ("3a", 64, 96, 128, 16, 32, 32),
    ("3b", 128, 128, 192, 32, 96, 64),
    ("4a", 192, 96, 208, 16, 48, 64),
    ("4b", 160, 112, 224, 24, 64, 64),
    ("4c", 128, 128, 256, 24, 64, 64),
    ("4d", 112, 144, 288, 32, 64, 64),
    ("4e", 256, 160, 320, 32, 128, 128),
    ("5a", 256, 160, 320, 32, 128, 128),
    ("5b", 384, 192, 384, 48, 128, 128),
)


@dataclasses.dataclass(frozen=True)
class GoogLeNetConfig:
    """What a :class:`GoogLeNet` is made of.

    Args:
        five: 5x5 windows in the third branch, as in the paper; 3x3 ones otherwise.
        batch_norm: Behind every convolution, which then has no bias.
        dropout: Before the last layer.
        stem: "full" (7x7, stride 2, two poolings), "small" (3x3, stride 1, the first two poolings left out), or "auto":
            small up to 64 pixels.

    Raises:
        ConfigError: C204 for a value that cannot be used.
    """

    five: bool = False
    batch_norm: bool = True
    dropout: float = 0.2
    stem: str = "auto"

    def __post_init__(self) -> None:
        switch("five", self.five)
        switch("batch_norm", self.batch_norm)
        chance("dropout", self.dropout)
        word("stem", self.stem, STEMS)


class GoogLeNet(Network):
    """GoogLeNet.

    Shapes:
        (B, C, H, W) to (B, classes).

    Raises:
        ConfigError: C204 for arguments that cannot be used, and where the map vanishes.

    Example:
        >>> nets = [GoogLeNet(3, 1000, (224, 224), GoogLeNetConfig(paper, not paper)) for paper in (False, True)]
        >>> [sum(p.numel() for p in net.parameters()) for net in nets]
        [6624904, 6998552]
    """

    preset = "googlenet"
    SMALL = "a 3x3 convolution with stride 1 in place of 7x7 with stride 2, without the first two poolings"
    Config = GoogLeNetConfig
    config: GoogLeNetConfig

    def __init__(
        self, in_channels: int, classes: int, image_size: tuple[int, int], config: GoogLeNetConfig | None = None
    ) -> None:
        super().__init__(in_channels, classes, image_size)
        self.config, small = self.stemmed(config or GoogLeNetConfig())
        config = self.config
        self.fixed_size = False
        norm = config.batch_norm
        # the map of a rounded-up pooling is that of one pixel of padding
        pooled = [("maxpool3", 3), ("maxpool4", 2)]
        pooled = pooled if small else [("maxpool1", 3), ("maxpool2", 3), *pooled]
        windows = [Window(name, size, 2, 1) for name, size in pooled]
        self.fitted(windows if small else [Window("conv1", 7, 2, 6), *windows])

        size, stride = (3, 1) if small else (7, 2)
        self.conv1 = Conv(self.in_channels, 64, size, norm, stride)
        self.maxpool1 = nn.Identity() if small else nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = Conv(64, 64, 1, norm)
        self.conv3 = Conv(64, 192, 3, norm)
        self.maxpool2 = nn.Identity() if small else nn.MaxPool2d(3, 2, ceil_mode=True)
        channels = 192
        for name, *dims in _MODULES:
            self.add_module(f"inception{name}", Inception(channels, dims, config))
            channels = dims[0] + dims[2] + dims[4] + dims[5]
            if name == "3b":
                self.maxpool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
            elif name == "4e":
                self.maxpool4 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(channels, self.classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.01, a=-2, b=2)

    def maps(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        for name, layer in self.named_children():
            if name == "avgpool":
                break
            x = layer(x)
        return x  # (B, 1024, h, w)

    def head(self) -> list[nn.Module]:
        return [self.avgpool, nn.Flatten(), self.dropout, self.fc]


class Conv(nn.Module):
    """Convolution, norm, activation; the map keeps its size at stride 1."""

    def __init__(self, channels: int, out: int, size: int, norm: bool, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, size, stride, size // 2, bias=not norm)
        self.bn = nn.BatchNorm2d(out, eps=0.001) if norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        return fusion.run((self.conv, self.bn, self.relu), x)


class Inception(nn.Module):
    """Four branches side by side.

    Args:
        dims: A row of the paper's table 1, from "#1x1" on.
    """

    def __init__(self, channels: int, dims: list[int], config: GoogLeNetConfig) -> None:
        super().__init__()
        one, three_in, three, five_in, five, pooled = dims
        norm = config.batch_norm
        self.branch1 = Conv(channels, one, 1, norm)
        self.branch2 = nn.Sequential(Conv(channels, three_in, 1, norm), Conv(three_in, three, 3, norm))
        self.branch3 = nn.Sequential(
            Conv(channels, five_in, 1, norm), Conv(five_in, five, 5 if config.five else 3, norm)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), Conv(channels, pooled, 1, norm))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)
