"""AlexNet: the network that began it, in the form of 2014 that torchvision has, and as it was in 2012.

Sources: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012;
Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, whose single column,
less the local response normalisation, is torchvision's.  Names and shapes of the parameters are torchvision's.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from torch import nn

from dojang.models import fusion
from dojang.models.layers import STEMS, Network, Window, chance, switch, word

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class AlexNetConfig:
    """What an :class:`AlexNet` is made of.

    Args:
        grouped: The form of 2012: 96, 256, 384, 384 and 256 channels, the second, fourth and fifth convolution in two
            groups (each on a GPU of its own then), local response normalisation behind the first two.
        dropout: Before the two hidden dense layers.
        stem: "full" (11x11, stride 4), "small" (5x5, stride 1), or "auto": small up to 64 pixels.

    Raises:
        ConfigError: C204 for a value that cannot be used.
    """

    grouped: bool = False
    dropout: float = 0.5
    stem: str = "auto"

    def __post_init__(self) -> None:
        switch("grouped", self.grouped)
        chance("dropout", self.dropout)
        word("stem", self.stem, STEMS)


class AlexNet(Network):
    """AlexNet.

    Shapes:
        (B, C, H, W) to (B, classes).

    Raises:
        ConfigError: C204 for arguments that cannot be used, and where the map vanishes.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     nets = [AlexNet(3, 1000, (224, 224), AlexNetConfig(grouped)) for grouped in (False, True)]
        >>> [sum(p.numel() for p in net.parameters()) for net in nets]
        [61100840, 60965224]
    """

    preset = "alexnet"
    SMALL = "a 5x5 convolution with stride 1 in place of 11x11 with stride 4, and dense layers for the map as it is"
    Config = AlexNetConfig
    config: AlexNetConfig

    def __init__(
        self, in_channels: int, classes: int, image_size: tuple[int, int], config: AlexNetConfig | None = None
    ) -> None:
        super().__init__(in_channels, classes, image_size)
        self.config, small = self.stemmed(config or AlexNetConfig())
        config = self.config
        grouped = config.grouped
        self.fixed_size = small
        dims = (96, 256, 384, 384, 256) if grouped else (64, 192, 384, 256, 256)
        groups = 2 if grouped else 1
        size, stride, padding = (5, 1, 2) if small else (11, 4, 2)
        layers: list[nn.Module] = [nn.Conv2d(self.in_channels, dims[0], size, stride, padding), nn.ReLU(inplace=True)]
        layers += [_normalised()] if grouped else []
        layers += [nn.MaxPool2d(3, 2), nn.Conv2d(dims[0], dims[1], 5, padding=2, groups=groups), nn.ReLU(inplace=True)]
        layers += [_normalised()] if grouped else []
        layers += [nn.MaxPool2d(3, 2), nn.Conv2d(dims[1], dims[2], 3, padding=1), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(dims[2], dims[3], 3, padding=1, groups=groups), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(dims[3], dims[4], 3, padding=1, groups=groups), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)]
        self.features = nn.Sequential(*layers)
        windows = [Window("features.0", size, stride, 2 * padding)]
        windows += [Window(f"features.{at}", 3, 2, 0) for at, one in enumerate(layers) if isinstance(one, nn.MaxPool2d)]
        height, width = self.fitted(windows)
        self.avgpool = nn.Identity() if small else nn.AdaptiveAvgPool2d(6)
        flat = dims[4] * (height * width if small else 36)
        self.classifier = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(flat, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(config.dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, self.classes),
        )

    def maps(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        return fusion.run(list(self.features), x)  # (B, 256, h, w)

    def head(self) -> list[nn.Module]:
        return [self.avgpool, nn.Flatten(), *self.classifier]


def _normalised() -> nn.Module:
    # section 3.3 of the paper; torch divides alpha by the size, the paper does not
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)
