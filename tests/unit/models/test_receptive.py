"""Receptive fields against published values, against gradients, and by the arithmetic of single layers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dojang.models import receptive
from dojang.models.build import build
from dojang.models.receptive import Side, Tracker, fields
from dojang.models.resnet import ResNet, ResNetConfig

FIFTY = ResNetConfig((3, 4, 6, 3), bottleneck=True)


@pytest.mark.parametrize(
    ("name", "layer", "size", "stride"),
    [
        ("alexnet", "features.10", 163, 16),
        ("alexnet", "features.12", 195, 32),
        ("alexnet-2012", "features.14", 195, 32),
        ("vgg16", "features.28", 196, 16),
        ("vgg16", "features.30", 212, 32),
        ("resnet18", "layer4", 435, 32),
        ("resnet50", "layer4", 427, 32),
    ],
)
def test_published_values(name: str, layer: str, size: int, stride: int) -> None:
    with torch.device("meta"):
        net = build_on_meta(name)
    found = fields(net, (224, 224), 3)[layer]
    assert found is not None
    assert found.size == (size, size)
    assert found.stride == (stride, stride)


def build_on_meta(name: str) -> nn.Module:
    from dojang.models.build import MODELS
    from dojang.models.presets import PRESETS

    facts = {"in_channels": 3, "classes": 10, "image_size": (224, 224)}
    return MODELS[name].from_arguments(facts | dict(PRESETS[name].arguments))


def test_the_stride_on_the_first_convolution_sees_more() -> None:
    """The paper's form; torchvision's has 427."""
    with torch.device("meta"):
        net = ResNet(3, 10, (224, 224), ResNetConfig((3, 4, 6, 3), bottleneck=True, stride_on="1x1"))
    found = fields(net, (224, 224), 3)["layer4"]
    assert found is not None and found.size == (483, 483)


class Branches(nn.Module):
    """Roads of different length that are joined, sliced and padded."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, padding=1)
        self.long = nn.Sequential(nn.Conv2d(2, 2, 5, 2, 2), nn.Conv2d(2, 2, 3, padding=2, dilation=2))
        self.short = nn.AvgPool2d(2, 2)
        self.last = nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        thin = nn.functional.pad(x, (1, 0, 1, 0))[:, :, 1::2, 1::2]
        y: Tensor = self.last(torch.cat([self.long(x), self.short(x), thin], dim=1))
        return y


def extent(net: nn.Module, side: int, channels: int) -> tuple[int, int]:
    """How far the gradient of the central output reaches: its height and width in pixels.

    With positive weights nothing cancels, and means instead of maxima let every pixel through.
    """
    net = net.double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(0.01) if parameter.ndim == 1 else parameter.abs_().add_(0.01)
    x = torch.rand(1, channels, side, side, dtype=torch.float64, requires_grad=True)
    y = net(x)
    y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    assert x.grad is not None
    touched = x.grad[0].abs().sum(dim=0) > 0
    rows, columns = touched.any(dim=1).nonzero(), touched.any(dim=0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


def without_maxima(net: nn.Module) -> nn.Module:
    """Means of the same windows in place of maxima, nothing in place of activations and norms: the same fields."""
    for name, child in list(net.named_children()):
        if isinstance(child, nn.MaxPool2d):
            setattr(net, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode))
        elif isinstance(child, (nn.ReLU, nn.BatchNorm2d)):
            setattr(net, name, nn.Identity())
        else:
            without_maxima(child)
    return net


def test_gradients_reach_as_far_on_branches() -> None:
    net = Branches()
    found = fields(net, (64, 64), 1)["last"]
    assert found is not None
    assert found.size == extent(net, 64, 1) == (15, 15)


@pytest.mark.parametrize(
    ("name", "side"), [("resnet18", 320), ("squeezenet1_1", 320), ("resnet20", 160), ("googlenet", 200)]
)
def test_gradients_reach_as_far_in_published_networks(name: str, side: int) -> None:
    """Of the map in front of the mean over everything, or of an earlier one where the field is larger than is quick."""
    options = {"image_size": (side, side), "in_channels": 3, "classes": 4, "seed": 0}
    net = build(name, **options)  # type: ignore[arg-type]
    layer = {
        "resnet18": "layer3",
        "squeezenet1_1": "features.12",
        "resnet20": "layer3",
        "googlenet": "inception4a",
    }[name]
    expected = fields(net, (side, side), 3)[layer]
    assert expected is not None
    part = Until(without_maxima(net), layer)
    assert extent(part, side, 3) == expected.size


class Until(nn.Module):
    """A network whose answer is the map behind one of its layers."""

    def __init__(self, net: nn.Module, layer: str) -> None:
        super().__init__()
        self.net = net
        self.found: list[Tensor] = []
        net.get_submodule(layer).register_forward_hook(lambda module, args, output: self.found.append(output))

    def forward(self, x: Tensor) -> Tensor:
        self.net(x)
        return self.found.pop()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)), max_size=4),
)
def test_a_row_of_windows_is_what_its_gradient_says(windows: list[tuple[int, int, int, int]]) -> None:
    layers = [nn.Conv2d(1, 1, k, s, p, d, bias=False) for k, s, p, d in windows]
    net = nn.Sequential(*layers)
    side = 150
    try:
        found = fields(net, (side, side), 1)[""]
    except RuntimeError:
        # nothing is left of the picture
        assume(False)
    assert found is not None
    with torch.no_grad():
        y = net(torch.zeros(1, 1, side, side))
    middle = y.shape[2] // 2
    start = found.down.start + middle * found.down.jump
    if start < 0 or start + found.down.size > side:
        # partly in the padding
        assume(False)
    reach = extent(net, side, 1)
    # a dilated window has gaps, but its ends are seen
    assert reach == found.size


def test_a_factor_for_each_channel_sees_everything() -> None:
    """Squeeze and excitation: the factor, of a mean over the map, may stand first in the product."""

    class Excited(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.squeeze = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            factor: Tensor = self.squeeze(x.mean((2, 3), keepdim=True)).sigmoid()
            return factor * x

    found = fields(nn.Sequential(Excited(), nn.Conv2d(4, 1, 3)), (20, 20), 1)
    assert found["0.conv"] is not None and found["0.conv"].size == (3, 3)
    for layer in ("0", "1"):
        whole = found[layer]
        assert whole is not None and min(whole.size) >= 20


def test_a_dilated_transposed_convolution() -> None:
    net = nn.Sequential(nn.ConvTranspose2d(1, 1, 3, 2, dilation=2))
    found = fields(net, (16, 16), 1)["0"]
    # 5 wide at stride 2: three inputs may touch an output
    assert found is not None and found.size == (3, 3)


def test_a_transposed_convolution() -> None:
    """Each output of a 4-wide window at stride 2 sees two inputs."""
    net = nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1), nn.ConvTranspose2d(1, 1, 4, 2, 1))
    found = fields(net, (32, 32), 1)["1"]
    assert found is not None
    assert found.size == (5, 5)
    assert found.stride == (1, 1)


def test_a_mean_over_everything_sees_what_all_positions_see() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
    found = fields(net, (10, 12), 1)
    for layer in ("1", "2", "3"):
        one = found[layer]
        assert one is not None and one.size == (10, 12)


def test_what_the_picture_did_not_go_into_has_no_field() -> None:
    image = torch.zeros(1, 1, 8, 8, device="meta")
    with Tracker(image) as tracker:
        other = torch.zeros(1, 1, 8, 8, device="meta") + 1
        assert tracker.field(other) is None
        assert tracker.field(image + other) == receptive._PIXELS


def test_side() -> None:
    assert Side(0, 1, 1).window(7, 2, 3).window(3, 2, 1) == Side(-5, 11, 4)
    assert Side(-5, 11, 4).union(Side(-1, 3, 4)) == Side(-5, 11, 4)
    assert Side(-5, 11, 4).whole(3) == Side(-5, 19, 0)


@pytest.mark.parametrize(
    ("layer", "size", "wanted"),
    [
        (nn.Conv2d(6, 8, 3, padding=1), (5, 7), 8 * 6 * 9 * 35),
        (nn.Conv2d(6, 8, 3, padding=1, groups=2), (5, 7), 8 * 3 * 9 * 35),
        (nn.Conv2d(6, 8, 2, stride=2), (6, 8), 8 * 6 * 4 * 12),
        (nn.ConvTranspose2d(6, 8, 2, stride=2), (5, 7), 6 * 8 * 4 * 35),
        (nn.Sequential(nn.Flatten(), nn.Linear(6 * 35, 9)), (5, 7), 6 * 35 * 9),
    ],
    ids=["convolution", "groups", "stride", "transposed", "dense"],
)
def test_multiplications(layer: nn.Module, size: tuple[int, int], wanted: int) -> None:
    image = torch.zeros(1, 6, *size)
    with torch.no_grad(), Tracker(image) as tracker:
        layer(image)
    assert tracker.macs == wanted
