"""The record network: a whitening stem that is computed from the data, then groups of two convolutions, no shortcuts.

What makes it fast to train: filters of the stem that whiten 2x2 patches (computed, not learned), convolutions that
start as the identity, pooling before normalisation, a normalisation whose scale is fixed, a wide last maximum.
Sources: Keller Jordan, "94% on CIFAR-10 in 3.29 seconds", arXiv:2404.00498, and its later form with Muon,
github.com/KellerJordan/cifar10-airbench; David Page, "How to train your ResNet", 2018.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from dojang.models.layers import MOST_LAYERS, Network, Window, map_size, whole, wholes, word, wrong

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

# more eigenvectors of larger patches than these are noise
_MOST_COMPONENTS = 24
# on drawings some channel is all but constant at first: over the root of the recipe's 1e-12 or the usual 1e-5 its
# gradient throws the stem's biases far away; with 1e-2 it does not, and channels of photographs do not feel it
_EPS = 1e-2
# the last maps are about this wide
_LAST = 3


@dataclasses.dataclass(frozen=True)
class SprintConfig:
    """What a :class:`Sprint` is made of.

    Args:
        conv_dims: Channels of each group; None chooses them by :func:`fitting`.
        width: Channels of the first group where conv_dims is None, as a multiple of 64 for colour and 32 for grey.
        growth: The other groups have so many times as many as the first.
        convs_per_block: Convolutions in a group; the map is halved after the first.
        activation: "gelu" (in its tanh form), "silu" or "relu".
        momentum: Share of a batch in the running statistics: large, since training is short.

    Raises:
        ConfigError: C204 for a value that cannot be used.
    """

    conv_dims: tuple[int, ...] | None = None
    width: float = 1.0
    growth: int = 4
    convs_per_block: int = 2
    activation: str = "gelu"
    momentum: float = 0.4

    def __post_init__(self) -> None:
        if self.conv_dims is not None and not wholes("conv_dims", self.conv_dims):
            raise wrong("conv_dims", self.conv_dims, "at least one number")
        if isinstance(self.width, bool) or not isinstance(self.width, (int, float)) or not 1 / 32 <= self.width <= 64:
            raise wrong("width", self.width, "a number from 1/32 to 64")
        whole("growth", self.growth, most=64)
        whole("convs_per_block", self.convs_per_block, most=100)
        if len(self.conv_dims or ()) * self.convs_per_block > MOST_LAYERS:
            raise wrong("convs_per_block", self.convs_per_block, f"at most {MOST_LAYERS:,} convolutions in all")
        word("activation", self.activation, list(_ACTIVATIONS))
        if isinstance(self.momentum, bool) or not isinstance(self.momentum, (int, float)) or not 0 < self.momentum <= 1:
            raise wrong("momentum", self.momentum, "a number above 0, at most 1")


def _gelu() -> nn.Module:
    return nn.GELU(approximate="tanh")


_ACTIVATIONS = {"gelu": _gelu, "silu": nn.SiLU, "relu": nn.ReLU}


class Sprint(Network):
    """The record network for small pictures.

    Args:
        in_channels: Of the pictures.
        classes: How many scores it gives.
        image_size: Height and width.
        config: Its layers.

    Shapes:
        (B, C, H, W) to (B, classes).

    Raises:
        ConfigError: C204 for arguments that cannot be used, and where the map vanishes.

    Example:
        >>> net = Sprint(3, 10, (32, 32))
        >>> net.config.conv_dims, sum(p.numel() for p in net.parameters() if p.requires_grad)
        ((64, 256, 256), 1971352)
    """

    preset = "sprint"
    Config = SprintConfig
    config: SprintConfig

    def __init__(
        self, in_channels: int, classes: int, image_size: tuple[int, int], config: SprintConfig | None = None
    ) -> None:
        super().__init__(in_channels, classes, image_size)
        config = config or SprintConfig()
        stride = stem_stride(self.image_size)
        components = min(self.in_channels * (2 * stride) ** 2, _MOST_COMPONENTS)
        dims = config.conv_dims or fitting(self.image_size, self.in_channels, config.width, config.growth)
        self.config = dataclasses.replace(config, conv_dims=dims)
        windows = [Window("whiten1", 2 * stride, stride, 0)]
        windows += [Window(f"pool{number}", 2, 2, 0) for number in range(1, len(dims) + 1)]
        map_size(windows, self.image_size)  # raises where the map vanishes
        # any size is taken, so that training may begin with smaller pictures
        self.fixed_size = False

        act = _ACTIVATIONS[config.activation]
        stem = nn.Conv2d(self.in_channels, 2 * components, 2 * stride, stride)
        stem.weight.requires_grad_(False)
        nn.init.zeros_(stem.bias)  # type: ignore[arg-type]
        self.add("whiten", stem)  # (B, 2 * components, h, w)
        self.add(config.activation, act())
        channels = 2 * components
        for dim in dims:
            for number in range(config.convs_per_block):
                self.add("conv", _identity_at_first(channels, dim))
                if number == 0:
                    self.add("pool", nn.MaxPool2d(2))  # (B, dim, h//2, w//2)
                norm = nn.BatchNorm2d(dim, eps=_EPS, momentum=config.momentum)
                norm.weight.requires_grad_(False)
                self.add("bn", norm)
                self.add(config.activation, act())
                channels = dim
        self.add("maxpool", nn.AdaptiveMaxPool2d(1))  # (B, dim, 1, 1)
        self.add("flatten", nn.Flatten())
        head = nn.Linear(channels, classes, bias=False)
        with torch.no_grad():
            if head.weight.numel() > 1 and not head.weight.is_meta:
                head.weight.div_(head.weight.std() * channels)
        self.add("fc", head)

    @torch.no_grad()
    def fit_stem(self, images: Float[Tensor, "b c h w"], eps: float = 5e-4) -> None:
        """Compute the filters of the stem: they turn patches of these pictures into uncorrelated numbers of one size.

        They are the eigenvectors of the patches' (uncentred) covariance, each over the root of its eigenvalue, and
        their negatives.

        Args:
            images: Some thousand training pictures, normalised.
            eps: Added to the eigenvalues, so that directions without variance are not blown up.
        """
        stem = self.get_submodule("whiten1")
        assert isinstance(stem, nn.Conv2d)  # for the type checker
        side = stem.kernel_size[0]
        total, count = torch.zeros(0), 0
        for part in torch.split(images, 256):
            patches = part.unfold(2, side, stem.stride[0]).unfold(3, side, stem.stride[1])  # (b, c, h, w, k, k)
            rows = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, part.shape[1] * side * side).double()
            total = rows.T @ rows if count == 0 else total + rows.T @ rows
            count += len(rows)
        values, vectors = torch.linalg.eigh(total / count)
        # the largest last; an eigenvector's sign is arbitrary, so it is fixed
        kept = slice(-(stem.out_channels // 2), None)
        filters = vectors.T[kept].flip(0) / (values[kept].flip(0)[:, None] + eps).sqrt()
        filters *= filters.sum(dim=1, keepdim=True).sign() + (filters.sum(dim=1, keepdim=True) == 0)
        filters = filters.reshape(-1, *stem.weight.shape[1:]).to(stem.weight)
        stem.weight.copy_(torch.cat([filters, -filters]))

    def roles(self) -> dict[str, list[nn.Parameter]]:
        """What optimizers treat differently: "filters", "norms" (biases), "stem" (its bias), "head"."""
        found: dict[str, list[nn.Parameter]] = {"filters": [], "norms": [], "stem": [], "head": []}
        for name, layer in self.named_children():
            if isinstance(layer, nn.Linear):
                found["head"] += [layer.weight] if isinstance(layer.weight, nn.Parameter) else []
            elif isinstance(layer, nn.BatchNorm2d):
                found["norms"] += [layer.bias] if isinstance(layer.bias, nn.Parameter) else []
            elif isinstance(layer, nn.Conv2d):
                stem = name == "whiten1"
                learned = layer.bias if stem else layer.weight
                found["stem" if stem else "filters"] += [learned] if isinstance(learned, nn.Parameter) else []
        return found


def stem_stride(image_size: tuple[int, int]) -> int:
    """The stride of the stem: 1 up to 64 pixels, doubled whenever the smaller side doubles.

    >>> [stem_stride((side, side)) for side in (28, 64, 65, 128, 224)]
    [1, 1, 2, 2, 4]
    """
    return 1 << max(0, math.ceil(math.log2(min(image_size) / 64)))


def fitting(image_size: tuple[int, int], in_channels: int, width: float, growth: int) -> tuple[int, ...]:
    """Channels of the groups: so many groups that the last map is about three pixels wide.

    >>> fitting((32, 32), 3, 1, 4), fitting((28, 28), 1, 1, 4), fitting((64, 64), 3, 0.5, 2)
    ((64, 256, 256), (32, 128, 128), (32, 64, 64, 64))
    """
    stride = stem_stride(image_size)
    side = (min(image_size) - 2 * stride) // stride + 1
    groups = max(1, int(math.log2(max(side, 1) / _LAST)))
    first = max(1, round(width * (64 if in_channels >= 3 else 32)))
    return (first, *([first * growth] * (groups - 1)))


def _identity_at_first(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3x3 convolution whose first filters hand on one channel each: at first, depth does no harm."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(conv.weight[:in_channels])
    return conv
