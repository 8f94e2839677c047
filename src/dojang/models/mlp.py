"""The dense network: every pixel to every unit, no idea of neighbourhood."""

from __future__ import annotations

import dataclasses

from torch import nn

from dojang.models.layers import ACTIVATIONS, Network, chance, switch, wholes, word
from dojang.models.maxout import outputs


@dataclasses.dataclass(frozen=True)
class MLPConfig:
    """What an :class:`MLP` is made of.

    Args:
        hidden_dims: Widths of the hidden layers; none gives softmax regression.
        activation: After each hidden layer; a name of :data:`dojang.models.layers.ACTIVATIONS`.
        batch_norm: Between each hidden layer and its activation.
        dropout: Probability, after each activation.

    Raises:
        ConfigError: C204 for a value that cannot be used.
    """

    hidden_dims: tuple[int, ...] = (128,)
    activation: str = "relu"
    batch_norm: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        wholes("hidden_dims", self.hidden_dims)
        word("activation", self.activation, list(ACTIVATIONS))
        switch("batch_norm", self.batch_norm)
        chance("dropout", self.dropout)


class MLP(Network):
    """A network of dense layers; the baseline that a convolutional one has to beat.

    Args:
        in_channels: Of the pictures.
        classes: How many scores it gives.
        image_size: Height and width; fixed, since every pixel has its own weights.
        config: Its layers.

    Shapes:
        (B, C, H, W) to (B, classes).

    Raises:
        ConfigError: C204 for arguments that cannot be used.

    Example:
        >>> net = MLP(1, 10, (28, 28))
        >>> [name for name, _ in net.named_children()]
        ['flatten', 'fc1', 'relu1', 'fc2']
        >>> sum(p.numel() for p in net.parameters())
        101770
    """

    preset = "mlp"
    Config = MLPConfig

    def __init__(
        self, in_channels: int, classes: int, image_size: tuple[int, int], config: MLPConfig | None = None
    ) -> None:
        super().__init__(in_channels, classes, image_size)
        self.config = config = config or MLPConfig()
        features = in_channels * self.image_size[0] * self.image_size[1]
        self.add("flatten", nn.Flatten())  # (B, C*H*W)
        for dim in config.hidden_dims:
            wide = outputs(config.activation, dim)
            self.add("fc", nn.Linear(features, wide))  # (B, wide)
            if config.batch_norm:
                self.add("bn", nn.BatchNorm1d(wide))
            self.add(config.activation, ACTIVATIONS[config.activation]())  # (B, dim)
            if config.dropout:
                self.add("drop", nn.Dropout(config.dropout))
            features = dim
        self.add("fc", nn.Linear(features, classes))  # (B, classes)
