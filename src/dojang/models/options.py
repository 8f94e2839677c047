"""The options of the room: which network, and what is to be different from its preset."""

from __future__ import annotations

import dataclasses

from dojang.recipe import option

ACTIVATION_NAMES = ("relu", "leaky-relu", "elu", "gelu", "silu", "tanh", "sigmoid", "maxout")
INIT_NAMES = ("default", "uniform", "normal", "xavier", "he", "autoencoder")
ORDER_NAMES = (
    "conv-bn-act", "conv-act-bn",
    "conv-bn-act-pool", "conv-act-bn-pool", "conv-bn-pool-act", "conv-pool-bn-act",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class ModelOptions:
    """Which network to build; None means "as the preset says".

    Example:
        >>> ModelOptions(hidden_dims=(1024, 128)).model
        'auto'
    """

    model: str = option(
        "auto",
        "the network: a preset (sprint, cnn, mlp, ...) or a class of your own (mynet.py:CNN); auto takes sprint for "
        "pictures of 28 to 64 pixels and cnn for others",
        metavar="NAME",
    )
    pretrained: str | None = option(
        None,
        "start from trained weights: auto (those of dojang convert) or a weights file, also of another run",
        metavar="auto|FILE",
        bare="auto",
    )
    conv_dims: tuple[int, ...] | None = option(
        None, "channels of the convolutional blocks, e.g. 32,64", low=1, metavar="N,N"
    )
    hidden_dims: tuple[int, ...] | None = option(
        None, "widths of the hidden dense layers, e.g. 1024,128", low=1, metavar="N,N"
    )
    kernel_size: int | None = option(None, "side of the convolution kernels in pixels", low=1, high=1024)
    activation: str | None = option(
        None,
        "the non-linearity between layers; leaky-relu has slope 0.1, maxout the larger of two pieces a unit (the layer "
        "before has twice the outputs)",
        choices=ACTIVATION_NAMES,
    )
    batch_norm: bool | None = option(None, "batch normalisation of the hidden layers (never of the last)")
    dropout: float | None = option(
        None, "dropout probability after each hidden dense layer (and before the first, where the preset has one)",
        low=0, high=0.99,
    )  # fmt: skip
    conv_dropout: float | None = option(
        None, "probability of dropping whole channels after the last convolutional block (Dropout2d)", low=0, high=0.99
    )
    init: str | None = option(
        None,
        "how weights start: torch's default, uniform(0,1), normal(0,.02), xavier (sigmoid, tanh), he (ReLU), or "
        "autoencoder: each layer first learns to give back what it is given (mlp, cnn)",
        choices=INIT_NAMES,
    )
    stem: str | None = option(
        None,
        "the first layers of a published network: full halves the map at once, and again; small keeps it; auto is "
        "small up to 64 pixels",
        choices=("auto", "full", "small"),
    )
    order: str | None = option(
        None,
        "norm before or after the activation (ResNet: conv-bn-act, conv-act-bn; cnn: conv-bn-act-pool, "
        "conv-act-bn-pool, conv-bn-pool-act, conv-pool-bn-act)",
        choices=ORDER_NAMES,
    )
    shortcut: str | None = option(
        None,
        "of a ResNet, where the shape changes: projected by a 1x1 convolution, simple (zeros for new channels), or "
        "none anywhere",
        choices=("projected", "simple", "none"),
    )
    bottleneck: bool | None = option(None, "blocks of 1x1, 3x3, 1x1 convolutions in a ResNet, instead of two 3x3")
    stride_on: str | None = option(
        None, "which convolution of a bottleneck halves the map: 3x3, or 1x1 as in the paper", choices=("3x3", "1x1")
    )
