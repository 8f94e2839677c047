"""Residual networks: blocks that add what they learned to what they were given.

ResNet-18 to -152 for large pictures, ResNet-20 to -110 for small ones, and the plain networks they were compared with.
Sources: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", arXiv:1512.03385.  Names and shapes of the
parameters are torchvision's.  There the bottleneck's stride is on its 3x3 convolution, as in
github.com/facebookarchive/fb.resnet.torch; the paper has it on the first 1x1 (``stride_on="1x1"``).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import nn

from dojang.models import fusion
from dojang.models.layers import MOST_LAYERS, STEMS, Network, Window, switch, whole, wholes, word, wrong

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

ORDERS = ("conv-bn-act", "conv-act-bn")
SHORTCUTS = ("projected", "simple", "none")


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
    """What a :class:`ResNet` is made of.

    Args:
        blocks: Blocks in each stage; from the second stage on the first block halves the map and doubles the channels.
        width: Channels of the first stage.
        bottleneck: Blocks of 1x1, 3x3 and 1x1 with four times the channels outside, instead of two 3x3.
        shortcut: Where channels or size change: "projected" by a 1x1 convolution, or "simple": every other pixel, and
            zeros for the new channels (option A of the paper). "none" leaves all shortcuts out: the plain network.
        order: "conv-bn-act", or "conv-act-bn" with the norm behind the activation and none after the sum.
        stride_on: Of a bottleneck: "3x3", or "1x1" as in the paper.
        stem: "full" (7x7, stride 2, pooling), "small" (3x3), or "auto": small up to 64 pixels.

    Raises:
        ConfigError: C204 for a value that cannot be used.
    """

    blocks: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    bottleneck: bool = False
    shortcut: str = "projected"
    order: str = "conv-bn-act"
    stride_on: str = "3x3"
    stem: str = "auto"

    def __post_init__(self) -> None:
        blocks = wholes("blocks", self.blocks, most=MOST_LAYERS)
        if not blocks or sum(blocks) > MOST_LAYERS:
            raise wrong("blocks", self.blocks, f"at least one number, at most {MOST_LAYERS:,} blocks in all")
        whole("width", self.width, most=4096)
        switch("bottleneck", self.bottleneck)
        word("shortcut", self.shortcut, SHORTCUTS)
        word("order", self.order, ORDERS)
        word("stride_on", self.stride_on, ("3x3", "1x1"))
        word("stem", self.stem, STEMS)


class ResNet(Network):
    """A residual network.

    Shapes:
        (B, C, H, W) to (B, classes).

    Raises:
        ConfigError: C204 for arguments that cannot be used, and where the map vanishes.

    Example:
        >>> net = ResNet(1, 10, (224, 224))
        >>> sum(p.numel() for p in net.parameters())
        11175370
    """

    preset = "resnet18"
    SMALL = "a 3x3 convolution with stride 1 in place of 7x7 with stride 2 and a pooling"
    Config = ResNetConfig
    config: ResNetConfig

    def __init__(
        self, in_channels: int, classes: int, image_size: tuple[int, int], config: ResNetConfig | None = None
    ) -> None:
        super().__init__(in_channels, classes, image_size)
        self.config, small = self.stemmed(config or ResNetConfig())
        config = self.config
        self.fixed_size = False
        width = config.width
        windows = [] if small else [Window("conv1", 7, 2, 6), Window("maxpool", 3, 2, 2)]
        self.fitted(windows)

        size, stride = (3, 1) if small else (7, 2)
        self.conv1 = nn.Conv2d(self.in_channels, width, size, stride, size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
        channels, block = width, Bottleneck if config.bottleneck else Basic
        for stage, count in enumerate(config.blocks):
            inside, layer = width * 2**stage, nn.Sequential()
            for number in range(count):
                halves = stage > 0 and number == 0
                layer.append(block(channels, inside, 2 if halves else 1, config))
                channels = inside * block.expansion
            self.add_module(f"layer{stage + 1}", layer)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, self.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, _Block) and config.shortcut != "none":
                # what all blocks add stays about as large as what they are given, however many there are: else a new
                # network of 56 layers is surer, and more wrong, than one that knows nothing.
                # Source: De and Smith, arXiv:2002.10444, which scales the road by 1 / sqrt(blocks) or less
                nn.init.constant_(module.road()[-1][1].weight, sum(config.blocks) ** -0.5)  # type: ignore[arg-type]

    def maps(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        bn_first = self.config.order == ORDERS[0]
        first = (self.conv1, self.bn1, self.relu) if bn_first else (self.conv1, self.relu, self.bn1)
        x = self.maxpool(fusion.run(first, x))  # (B, width, H', W')
        for stage in range(1, len(self.config.blocks) + 1):
            x = self.get_submodule(f"layer{stage}")(x)
        return x

    def head(self) -> list[nn.Module]:
        return [self.avgpool, nn.Flatten(), self.fc]


class _Block(nn.Module):
    """What both kinds share: a road of convolutions, and a shortcut beside it.

    Args:
        width: Channels of the 3x3 convolutions.
        stride: 1, or 2 to halve the map.
    """

    expansion = 1
    downsample: nn.Module | None

    def __init__(self, width: int, stride: int, config: ResNetConfig) -> None:
        super().__init__()
        self.order, self.shortcut, self.stride = config.order, config.shortcut, stride
        self.out = width * self.expansion
        self.downsample = None

    def connect(self, channels: int) -> None:
        """What lies in the shortcut and behind the convolutions; last, as in torchvision."""
        self.relu = nn.ReLU(inplace=True)
        if self.shortcut == "projected" and (self.stride > 1 or channels != self.out):
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, self.out, 1, self.stride, bias=False), nn.BatchNorm2d(self.out)
            )

    def road(self) -> list[tuple[nn.Module, nn.Module]]:
        """Each convolution and its norm."""
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        *first, (conv, norm) = self.road()
        y = x
        for one, its_norm in first:
            y = fusion.run((one, its_norm, self.relu) if self.order == ORDERS[0] else (one, self.relu, its_norm), y)
        if self.order == ORDERS[0]:
            out: Tensor = self.relu(self.added(norm(conv(y)), x))
            return out
        return self.added(fusion.run((conv, self.relu, norm), y), x)

    def added(self, y: Tensor, x: Tensor) -> Tensor:
        """The shortcut added."""
        if self.shortcut == "none":
            return y
        if self.downsample is not None:
            beside: Tensor = self.downsample(x)
            return y + beside
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        more = self.out - x.shape[1]
        # as many zeros before the old channels as behind them, as the published networks for CIFAR-10 have it
        return y + (F.pad(x, (0, 0, 0, 0, more // 2, more - more // 2)) if more else x)


class Basic(_Block):
    """Two 3x3 convolutions."""

    def __init__(self, channels: int, width: int, stride: int, config: ResNetConfig) -> None:
        super().__init__(width, stride, config)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.connect(channels)

    def road(self) -> list[tuple[nn.Module, nn.Module]]:
        return [(self.conv1, self.bn1), (self.conv2, self.bn2)]


class Bottleneck(_Block):
    """A 1x1 convolution to fewer channels, a 3x3, and a 1x1 back to four times as many."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int, config: ResNetConfig) -> None:
        super().__init__(width, stride, config)
        early = config.stride_on == "1x1"
        self.conv1 = nn.Conv2d(channels, width, 1, stride if early else 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1 if early else stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, self.out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.out)
        self.connect(channels)

    def road(self) -> list[tuple[nn.Module, nn.Module]]:
        return [(self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)]
