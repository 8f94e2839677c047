"""The convolutional network: blocks of convolution, normalisation, activation and pooling, then a small dense head.

One class builds every network of this family; the presets in presets.py are configurations of it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from torch import nn

from dojang.models.layers import (
    ACTIVATIONS,
    MOST_LAYERS,
    Network,
    Window,
    chance,
    map_size,
    switch,
    whole,
    wholes,
    word,
    wrong,
)
from dojang.models.maxout import outputs

if TYPE_CHECKING:
    from torch import Tensor

ORDERS = ("conv-bn-act-pool", "conv-act-bn-pool", "conv-bn-pool-act", "conv-pool-bn-act")
# more features than this reach the first dense layer through a global average
_FLATTEN_AT_MOST = 2048


@dataclasses.dataclass(frozen=True)
class CNNConfig:
    """What a :class:`CNN` is made of.

    Args:
        conv_dims: Channels of each block; None chooses them by the picture's size (:func:`fitting_dims`).
        convs_per_block: Convolutions before the pooling of a block.
        kernel_size: Side of the kernels, in pixels.
        stride: Of every convolution.
        padding: "same" keeps the size at stride 1 (at stride 2 PyTorch's floor form: 32 -> 16), "valid" pads none.
        pool: Whether a 2x2 max-pool ends each block.
        order: Of the layers of a block, one of :data:`ORDERS`; pooling is done after the last convolution of a block.
        activation: A name of :data:`dojang.models.layers.ACTIVATIONS`.
        batch_norm: Whether there is batch normalisation at all.
        dense_batch_norm: Whether the hidden layers of the head have it too; the last layer never has.
        conv_dropout: Probability of dropping whole channels after the last block (Dropout2d).
        global_pool: Average each channel over the map before the head; None does so for more than 2,048 features.
        hidden_dims: Widths of the hidden layers of the head.
        dropout_in: Dropout probability before the first hidden layer.
        dropout: Dropout probability after each hidden layer.
        head: "dense", or "conv": the same as convolutions (Long et al. 2015), which gives a map on larger pictures.

    Raises:
        ConfigError: C204 for a value that cannot be used.
    """

    conv_dims: tuple[int, ...] | None = None
    convs_per_block: int = 1
    kernel_size: int = 3
    stride: int = 1
    padding: str = "same"
    pool: bool = True
    order: str = "conv-bn-act-pool"
    activation: str = "relu"
    batch_norm: bool = True
    dense_batch_norm: bool = False
    conv_dropout: float = 0.0
    global_pool: bool | None = None
    hidden_dims: tuple[int, ...] = (128,)
    dropout_in: float = 0.0
    dropout: float = 0.0
    head: str = "dense"

    def __post_init__(self) -> None:
        wholes("hidden_dims", self.hidden_dims)
        for name, most in (("convs_per_block", 100), ("kernel_size", 1024), ("stride", 1024)):
            whole(name, getattr(self, name), most=most)
        word("padding", self.padding, ("same", "valid"))
        word("order", self.order, ORDERS)
        word("activation", self.activation, list(ACTIVATIONS))
        word("head", self.head, ("dense", "conv"))
        for name in ("pool", "batch_norm", "dense_batch_norm"):
            switch(name, getattr(self, name))
        for name in ("conv_dropout", "dropout_in", "dropout"):
            chance(name, getattr(self, name))
        if self.conv_dims is None:
            if (self.stride, self.padding, self.pool) != (1, "same", True):
                raise wrong(
                    "conv_dims", None, "numbers such as (32, 64), unless stride 1, padding same and pool are used"
                )
        elif not wholes("conv_dims", self.conv_dims):
            raise wrong("conv_dims", self.conv_dims, "at least one number")
        layers = len(self.conv_dims or ()) * self.convs_per_block
        if layers > MOST_LAYERS:
            raise wrong("convs_per_block", self.convs_per_block, f"at most {MOST_LAYERS:,} convolutions in all")
        if self.global_pool is not None and switch("global_pool", self.global_pool) and self.head == "conv":
            raise wrong("global_pool", True, "false with a convolutional head, which keeps the map")


class CNN(Network):
    """A convolutional network for pictures of a given size.

    Args:
        in_channels: Of the pictures.
        classes: How many scores it gives.
        image_size: Height and width. A dense head on flattened maps works on this size alone; a global average or a
            convolutional head also takes others.
        config: Its layers.

    Shapes:
        (B, C, H, W) to (B, classes); with a convolutional head on a larger picture to (B, classes, h, w).

    Raises:
        ConfigError: C204 for arguments that cannot be used, and where the map vanishes.

    Example:
        >>> net = CNN(3, 10, (32, 32), CNNConfig(conv_dims=(8,), hidden_dims=()))
        >>> [name for name, _ in net.named_children()]
        ['conv1', 'bn1', 'relu1', 'pool1', 'flatten', 'fc1']
    """

    preset = "cnn"
    Config = CNNConfig
    config: CNNConfig

    def __init__(
        self, in_channels: int, classes: int, image_size: tuple[int, int], config: CNNConfig | None = None
    ) -> None:
        super().__init__(in_channels, classes, image_size)
        config = config or CNNConfig()
        dims = fitting_dims(self.image_size) if config.conv_dims is None else config.conv_dims
        height, width = map_size(_windows(config, len(dims)), self.image_size)
        if config.global_pool is None:
            average = config.head == "dense" and dims[-1] * height * width > _FLATTEN_AT_MOST
            config = dataclasses.replace(config, global_pool=average)
        self.config = dataclasses.replace(config, conv_dims=dims)
        self.fixed_size = config.head == "dense" and not config.global_pool

        channels = self.in_channels
        for dim in dims:
            self._block(channels, dim)
            channels = dim
        if config.conv_dropout:
            self.add("drop", nn.Dropout2d(config.conv_dropout))
        if config.global_pool:
            self.add("avgpool", nn.AdaptiveAvgPool2d(1))  # (B, C', 1, 1)
            height = width = 1
        if config.head == "dense":
            self._dense_head(channels * height * width)
        else:
            self._conv_head(channels, (height, width))

    def _block(self, channels: int, dim: int) -> None:
        config = self.config
        same = config.padding == "same"
        # an even kernel keeps the size only with one more row below than above, which Conv2d's own number cannot say
        uneven = same and config.kernel_size % 2 == 0 and config.stride == 1
        less, more = (config.kernel_size - 1) // 2, config.kernel_size // 2
        padding = more if same and not uneven else 0
        wide = outputs(config.activation, dim)
        for number in range(1, config.convs_per_block + 1):
            given = wide  # to a norm: what the convolution gives, or the activation
            for part in config.order.split("-"):
                if part == "conv":
                    if uneven:
                        self.add("pad", nn.ZeroPad2d((less, more, less, more)))
                    self.add(
                        "conv", nn.Conv2d(channels, wide, config.kernel_size, config.stride, padding)
                    )  # (B, wide, h, w)
                elif part == "bn" and config.batch_norm:
                    self.add("bn", nn.BatchNorm2d(given))
                elif part == "act":
                    self.add(config.activation, ACTIVATIONS[config.activation]())  # (B, dim, h, w)
                    given = dim
                elif part == "pool" and config.pool and number == config.convs_per_block:
                    self.add("pool", nn.MaxPool2d(2))  # (B, ., h//2, w//2)
            channels = dim

    def _dense_head(self, features: int) -> None:
        config = self.config
        self.add("flatten", nn.Flatten())  # (B, C'*h*w)
        if config.dropout_in:
            self.add("drop", nn.Dropout(config.dropout_in))
        for dim in config.hidden_dims:
            wide = outputs(config.activation, dim)
            self.add("fc", nn.Linear(features, wide))  # (B, wide)
            if config.batch_norm and config.dense_batch_norm:
                self.add("bn", nn.BatchNorm1d(wide))
            self.add(config.activation, ACTIVATIONS[config.activation]())  # (B, dim)
            if config.dropout:
                self.add("drop", nn.Dropout(config.dropout))
            features = dim
        self.add("fc", nn.Linear(features, self.classes))  # (B, classes)

    def _conv_head(self, channels: int, size: tuple[int, int]) -> None:
        config = self.config
        if config.dropout_in:
            self.add("drop", nn.Dropout(config.dropout_in))
        for dim in config.hidden_dims:
            wide = outputs(config.activation, dim)
            self.add("conv", nn.Conv2d(channels, wide, size))  # (B, wide, 1, 1) at image_size
            if config.batch_norm and config.dense_batch_norm:
                self.add("bn", nn.BatchNorm2d(wide))
            self.add(config.activation, ACTIVATIONS[config.activation]())  # (B, dim, 1, 1)
            if config.dropout:
                self.add("drop", nn.Dropout(config.dropout))
            channels, size = dim, (1, 1)
        self.add("conv", nn.Conv2d(channels, self.classes, size))  # (B, classes, 1, 1) at image_size

    def scores_of(self, x: Tensor) -> Tensor:
        """Scores (B, classes) where the map of a convolutional head is a single pixel, else the map."""
        if self.config.head == "conv" and x.shape[2] == 1 and x.shape[3] == 1:
            x = x.flatten(1)  # (B, classes)
        return x


def fitting_dims(image_size: tuple[int, int]) -> tuple[int, ...]:
    """Channels of the blocks that suit a picture's size: 32, doubled up to 256, until the map is at most 4 pixels.

    At least two blocks where two fit, at most six.

    >>> fitting_dims((8, 8)), fitting_dims((28, 28)), fitting_dims((128, 128))
    ((32, 64), (32, 64, 128), (32, 64, 128, 256, 256))
    """
    side, dims = min(image_size), [32]
    while len(dims) < 6 and (side >> len(dims)) > (4 if len(dims) > 1 else 1):
        dims.append(min(2 * dims[-1], 256))
    return tuple(dims)


def _windows(config: CNNConfig, blocks: int) -> list[Window]:
    """The layers that change the size of the map, in their order."""
    kernel, conv = config.kernel_size, 0
    if config.padding == "valid":
        padding = 0
    else:
        padding = kernel - 1 if config.stride == 1 else 2 * (kernel // 2)
    windows = []
    for block in range(1, blocks + 1):
        for _ in range(config.convs_per_block):
            conv += 1
            windows.append(Window(f"conv{conv}", kernel, config.stride, padding))
        if config.pool:
            windows.append(Window(f"pool{block}", 2, 2, 0))
    return windows
