"""VGG: nothing but 3x3 convolutions and poolings, then three dense layers, which hold most of the parameters.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", arXiv:1409.1556,
table 1.  Names and shapes of the parameters are torchvision's.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from torch import nn

from dojang.models import fusion
from dojang.models.layers import STEMS, Network, Window, chance, switch, whole, wholes, word, wrong

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

# channels of the five groups; VGG-13 and deeper differ in how many convolutions each has
WIDTHS = (64, 128, 256, 512, 512)


@dataclasses.dataclass(frozen=True)
class VGGConfig:
    """What a :class:`VGG` is made of.

    Args:
        convs: Convolutions in each of the five groups; a pooling stands behind each group.
        batch_norm: Behind every convolution.
        hidden: Width of the two hidden dense layers; None is 4,096 with the full stem and 512 with the small one.
        dropout: Behind each hidden dense layer.
        stem: "full": five poolings, a map of 7x7 for the dense layers whatever comes; "small": as many poolings as the
            picture bears, at most five, and the map as it is; "auto": small up to 64 pixels.

    Raises:
        ConfigError: C204 for a value that cannot be used.
    """

    convs: tuple[int, ...] = (2, 2, 3, 3, 3)
    batch_norm: bool = False
    hidden: int | None = None
    dropout: float = 0.5
    stem: str = "auto"

    def __post_init__(self) -> None:
        if len(wholes("convs", self.convs, most=100)) != len(WIDTHS):
            raise wrong("convs", self.convs, "five numbers")
        switch("batch_norm", self.batch_norm)
        if self.hidden is not None:
            whole("hidden", self.hidden, most=2**16)
        chance("dropout", self.dropout)
        word("stem", self.stem, STEMS)


class VGG(Network):
    """A VGG network.

    Shapes:
        (B, C, H, W) to (B, classes).

    Raises:
        ConfigError: C204 for arguments that cannot be used.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     net = VGG(3, 1000, (224, 224))
        >>> sum(p.numel() for p in net.parameters())
        138357544
    """

    preset = "vgg16"
    SMALL = "as many poolings as the picture bears, hidden layers of 512 in place of 4,096"
    Config = VGGConfig
    config: VGGConfig

    def __init__(
        self, in_channels: int, classes: int, image_size: tuple[int, int], config: VGGConfig | None = None
    ) -> None:
        super().__init__(in_channels, classes, image_size)
        self.config, small = self.stemmed(config or VGGConfig())
        config = self.config
        hidden = config.hidden or (512 if small else 4096)
        self.config = config = dataclasses.replace(config, hidden=hidden)
        self.fixed_size = small
        side = min(self.image_size)
        poolings = min(len(WIDTHS), int(math.log2(side))) if small else len(WIDTHS)

        layers: list[nn.Module] = []
        channels, height, width = self.in_channels, *self.image_size
        for group, (dim, count) in enumerate(zip(WIDTHS, config.convs, strict=True)):
            for _ in range(count):
                layers.append(nn.Conv2d(channels, dim, 3, padding=1))
                layers += [nn.BatchNorm2d(dim)] if config.batch_norm else []
                layers.append(nn.ReLU(inplace=True))
                channels = dim
            if group < poolings:
                layers.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
        self.features = nn.Sequential(*layers)
        pools = [at for at, one in enumerate(layers) if isinstance(one, nn.MaxPool2d)]
        self.fitted([Window(f"features.{at}", 2, 2, 0) for at in pools])
        self.avgpool = nn.Identity() if small else nn.AdaptiveAvgPool2d(7)
        flat = channels * (height * width if small else 49)
        self.classifier = nn.Sequential(
            nn.Linear(flat, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(config.dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(config.dropout),
            nn.Linear(hidden, self.classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def maps(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        return fusion.run(list(self.features), x)  # (B, 512, h, w)

    def head(self) -> list[nn.Module]:
        return [self.avgpool, nn.Flatten(), *self.classifier]
