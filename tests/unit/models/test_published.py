"""The networks of the field: parameters as published, names, shapes and answers as torchvision's, small pictures."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from dojang.errors import ConfigError
from dojang.models.build import MODELS, build
from dojang.models.presets import PRESETS

# 1,000 classes at 224 x 224 x 3: torchvision's documentation, or the paper's layers added up
PARAMETERS = {
    "alexnet": 61_100_840,
    "alexnet-2012": 60_965_224,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
    "googlenet": 6_624_904,
    "googlenet-2014": 6_998_552,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
}
# 10 classes at 32 x 32 x 3: 0.27, 0.46, 0.66, 0.85 and 1.7 million in the paper's table 6
SMALL = {"resnet20": 269_722, "resnet32": 464_154, "resnet44": 658_586, "resnet56": 853_018, "resnet110": 1_727_962}
SMALL |= {"plain20": SMALL["resnet20"], "plain56": SMALL["resnet56"]}
FAMILIES = ("alexnet", "vgg11_bn", "googlenet", "resnet18", "resnet50", "densenet121", "squeezenet1_0", "squeezenet1_1")


def shaped(name: str, size: tuple[int, int], channels: int, classes: int) -> nn.Module:
    facts: dict[str, Any] = {"in_channels": channels, "classes": classes, "image_size": size}
    with torch.device("meta"):
        return MODELS[name].from_arguments(facts | dict(PRESETS[name].arguments))


def test_every_published_network_is_here() -> None:
    assert set(PARAMETERS) | set(SMALL) == {name for name in PRESETS if PRESETS[name].year is not None}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_as_published(name: str) -> None:
    net = shaped(name, (224, 224), 3, 1000)
    assert sum(parameter.numel() for parameter in net.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", SMALL)
def test_parameters_of_the_small_ones(name: str) -> None:
    net = shaped(name, (32, 32), 3, 10)
    assert sum(parameter.numel() for parameter in net.parameters()) == SMALL[name]


def test_resnet18_for_digits() -> None:
    """One input channel, ten classes, the stem of large pictures."""
    net = shaped("resnet18", (224, 224), 1, 10)
    assert sum(parameter.numel() for parameter in net.parameters()) == 11_175_370


@pytest.mark.parametrize("name", [name for name in PARAMETERS if not name.endswith(("-2012", "-2014"))])
def test_names_and_shapes_are_torchvision_s(name: str) -> None:
    from torchvision import models

    more = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    with torch.device("meta"):
        theirs = getattr(models, name)(**more)
    ours = shaped(name, (224, 224), 3, 1000)
    assert [(key, value.shape) for key, value in ours.state_dict().items()] == [
        (key, value.shape) for key, value in theirs.state_dict().items()
    ]


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_are_torchvision_s(name: str) -> None:
    """With equal weights, in evaluation, statistics of the norms included."""
    from torchvision import models

    torch.manual_seed(0)
    more = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    theirs = getattr(models, name)(num_classes=7, **more).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    ours = build(name, in_channels=3, classes=7, image_size=(224, 224), seed=0).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3), (64, 3)])
def test_small_pictures_have_a_small_stem(name: str, side: int, channels: int) -> None:
    net = shaped(name, (side, side), channels, 10)
    assert net.config.stem == "small"  # type: ignore[union-attr]
    first = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    assert first.stride == (1, 1) and first.in_channels == channels
    assert net(torch.zeros(2, channels, side, side, device="meta")).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "stem", "least"),
    [
        ("alexnet", "full", 63),
        ("alexnet", "small", 15),
        ("alexnet-2012", "small", 15),
        ("vgg11", "full", 32),
        ("googlenet", "full", None),
        ("googlenet", "small", None),
        ("densenet121", "full", None),
        ("densenet121", "small", 8),
        ("squeezenet1_0", "full", None),
        ("squeezenet1_1", "full", None),
        ("squeezenet1_1", "small", None),
    ],
)
def test_a_picture_that_is_too_small_names_the_layer_and_the_smallest(name: str, stem: str, least: int | None) -> None:
    """What is said to work works, one pixel less does not, when it is built and when it is asked."""
    options = {"stem": stem}
    with pytest.raises(ConfigError, match=r"C204\]: .*: a picture of 1x1 is down to") as caught:
        build(name, in_channels=3, classes=4, image_size=(1, 1), seed=0, options=options)
    found = re.search(r"works on is (\d+)x\1", str(caught.value))
    assert found is not None
    side = int(found[1])
    assert least is None or side == least
    assert ("--stem small" in caught.value.fix) == (stem == "full") and f"--imgsz {side}" in caught.value.fix
    net = build(name, in_channels=3, classes=4, image_size=(side, side), seed=0, options=options).eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 3, side, side)).shape == (1, 4)
    with pytest.raises(ConfigError, match=r"C204\].*too small for a window") as smaller:
        build(name, in_channels=3, classes=4, image_size=(side - 1, side), seed=0, options=options)
    layer = smaller.value.what.partition(":")[0]
    net.get_submodule(layer)
    with pytest.raises(ConfigError, match=rf"C204\].*(at least|, {side}\))"):
        net(torch.zeros(1, 3, side - 1, side))


@pytest.mark.parametrize("shortcut", ["projected", "simple", "none"])
@pytest.mark.parametrize("order", ["conv-bn-act", "conv-act-bn"])
@pytest.mark.parametrize("bottleneck", [False, True])
def test_switches_of_a_residual_network(shortcut: str, order: str, bottleneck: bool) -> None:
    from dojang.models.resnet import ResNet, ResNetConfig

    config = ResNetConfig((1, 2), 4, bottleneck, shortcut, order, stem="small")
    net = ResNet(3, 5, (16, 16), config).train()
    y = net(torch.randn(4, 3, 16, 16))
    y.square().sum().backward()
    assert y.shape == (4, 5)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_a_simple_shortcut_hands_on_every_other_pixel() -> None:
    """With convolutions of zero, a block without its last activation is its shortcut."""
    from dojang.models.resnet import Basic, ResNetConfig

    block = Basic(2, 6, 2, ResNetConfig(shortcut="simple", order="conv-act-bn")).eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
    x = torch.randn(1, 2, 5, 4)
    y = block(x)
    assert y.shape == (1, 6, 3, 2)
    assert torch.equal(y[:, 2:4], x[:, :, ::2, ::2])
    assert not y[:, :2].any() and not y[:, 4:].any()


def test_few_pictures_are_seen_in_small_steps_without_batch_norm() -> None:
    for name, few in (("squeezenet1_1", 32), ("vgg16", 32), ("alexnet", 32), ("vgg16_bn", None), ("resnet18", None)):
        preset = PRESETS[name]
        assert preset.plan(600, "cpu").get("batch_size") == few
        assert preset.plan(50_000, "cpu") == {}
        assert preset.recipe["optimizer"] == ("adamw" if few else "sgd")


def test_the_layers_of_alexnet_as_they_are_drawn() -> None:
    """Each convolution's weights, and the first dense layer, which the drawing takes before the last pooling."""
    network = build("alexnet-2012", in_channels=3, classes=1000, image_size=(224, 224), seed=0)
    sizes = [one.weight.numel() for one in network.modules() if isinstance(one, (nn.Conv2d, nn.Linear))]
    # 11 x 11 x 3 x 96, two groups of 5 x 5 x 48 x 128, 3 x 3 x 256 x 384, ...
    assert sizes[:5] == [34_848, 307_200, 884_736, 663_552, 442_368]
    assert sizes[5:] == [6 * 6 * 256 * 4096, 4096 * 4096, 4096 * 1000] == [37_748_736, 16_777_216, 4_096_000]
    assert (13 * 13 * 128 * 2) * (2048 * 2) == 177_209_344
