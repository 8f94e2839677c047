"""SqueezeNet: AlexNet's accuracy with 1/50 of its parameters, by fire modules: squeeze to few channels, expand again.

Source: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
arXiv:1602.07360; 1.1 is of github.com/forresti/SqueezeNet.  Names and shapes of the parameters are torchvision's.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import nn

from dojang.models import fusion
from dojang.models.layers import STEMS, Network, Window, chance, word

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

# squeezed and expanded (each of 1x1 and of 3x3) channels of the eight fire modules
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
# in front of which of them the poolings stand
_POOLED = {"1.0": (0, 3, 7), "1.1": (0, 2, 4)}


@dataclasses.dataclass(frozen=True)
class SqueezeNetConfig:
    """What a :class:`SqueezeNet` is made of.

    Args:
        version: "1.0", or "1.1" with a smaller first layer and earlier poolings: 2.4 times less arithmetic.
        dropout: Before the last convolution.
        stem: "full" (7x7 or 3x3 with stride 2, pooling), "small" (3x3 with stride 1, the first pooling left out), or
            "auto": small up to 64 pixels.

    Raises:
        ConfigError: C204 for a value that cannot be used.
    """

    version: str = "1.1"
    dropout: float = 0.5
    stem: str = "auto"

    def __post_init__(self) -> None:
        word("version", self.version, tuple(_POOLED))
        chance("dropout", self.dropout)
        word("stem", self.stem, STEMS)


class SqueezeNet(Network):
    """SqueezeNet.

    Shapes:
        (B, C, H, W) to (B, classes).

    Raises:
        ConfigError: C204 for arguments that cannot be used, and where the map vanishes.

    Example:
        >>> nets = [SqueezeNet(3, 1000, (224, 224), SqueezeNetConfig(version)) for version in ("1.0", "1.1")]
        >>> [sum(p.numel() for p in net.parameters()) for net in nets]
        [1248424, 1235496]
    """

    preset = "squeezenet1_1"
    SMALL = "a 3x3 convolution with stride 1, without the first pooling"
    Config = SqueezeNetConfig
    config: SqueezeNetConfig

    def __init__(
        self, in_channels: int, classes: int, image_size: tuple[int, int], config: SqueezeNetConfig | None = None
    ) -> None:
        super().__init__(in_channels, classes, image_size)
        self.config, small = self.stemmed(config or SqueezeNetConfig())
        config = self.config
        self.fixed_size = False
        first, size = (96, 7) if config.version == "1.0" else (64, 3)
        size, stride, padding = (3, 1, 1) if small else (size, 2, 0)
        layers: list[nn.Module] = [nn.Conv2d(self.in_channels, first, size, stride, padding), nn.ReLU(inplace=True)]
        windows, channels = [Window("features.0", size, stride, 2 * padding)], first
        for number, (squeezed, expanded) in enumerate(_FIRES):
            if number in _POOLED[config.version]:
                # the map of a rounded-up pooling is that of one pixel of padding
                windows += [] if small and number == 0 else [Window(f"features.{len(layers)}", 3, 2, 1)]
                layers.append(nn.Identity() if small and number == 0 else nn.MaxPool2d(3, 2, ceil_mode=True))
            layers.append(Fire(channels, squeezed, expanded))
            channels = 2 * expanded
        self.fitted(windows)
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(channels, self.classes, 1)
        self.classifier = nn.Sequential(
            nn.Dropout(config.dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.normal_(last.weight, 0.0, 0.01)

    def maps(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        return fusion.run(list(self.features), x)  # (B, 512, h, w)

    def head(self) -> list[nn.Module]:
        return [*self.classifier, nn.Flatten()]


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 ones side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        x = self.squeeze_activation(self.squeeze(x))
        ones, threes = self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))
        return torch.cat([ones, threes], dim=1)
