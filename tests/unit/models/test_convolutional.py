"""Classifiers as fully convolutional networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dojang.errors import ConfigError
from dojang.models.build import MODELS, build
from dojang.models.convolutional import convolutionalize
from dojang.models.layers import Network
from dojang.models.presets import PRESETS
from dojang.models.receptive import fields

SIDE = {"alexnet": 224, "alexnet-2012": 224, "vgg11": 224}
QUICK = ["cifar-cnn", "cifar-vgg", "cnn", "fashion-cnn", "lenet-bn", "lenet-bn-fcn", "mnist-cnn", "sprint", "alexnet"]
QUICK += ["vgg11", "vgg11_bn", "googlenet", "resnet18", "resnet20", "resnet50", "densenet121", "squeezenet1_1"]


def settled(name: str, side: int) -> nn.Module:
    """A network whose norms have seen something."""
    net = build(name, in_channels=3, classes=5, image_size=(side, side), seed=0)
    with torch.no_grad():
        net.train()(torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(0)))
    return net.eval()


@pytest.mark.parametrize(("name", "side"), [(name, 28) for name in QUICK] + [("alexnet", 224), ("vgg11", 224)])
def test_same_answer_same_parameters_and_a_map(name: str, side: int) -> None:
    net = settled(name, side)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    whole = convolutionalize(net)
    assert sum(p.numel() for p in whole.parameters()) == sum(p.numel() for p in net.parameters())
    x = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted, found = net(x), whole(x)
    assert found.shape == (3, 5, 1, 1)
    scale = wanted.abs().max().clamp(min=1)
    assert (found[:, :, 0, 0] - wanted).abs().max() < 1e-5 * scale
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])
    # twice the side: at least one step more each way
    with torch.no_grad():
        larger = whole(torch.randn(1, 3, 2 * side, 2 * side))
    assert larger.shape[1] == 5 and min(larger.shape[2:]) > 1


def test_the_map_is_the_answer_at_every_place() -> None:
    """Without padding, each place of the map is the classifier's answer to the cut that it sees."""
    net = settled("fashion-cnn", 28)
    assert isinstance(net, Network)
    whole = convolutionalize(net)
    picture = torch.randn(1, 3, 60, 44)
    with torch.no_grad():
        found = whole(picture)
        field = fields(whole, (60, 44), 3)[""]
        assert field is not None
        # the strides leave five of the 28 pixels out at the end
        assert field.size == (23, 23) and field.stride == (8, 8)
        for row in range(found.shape[2]):
            for column in range(found.shape[3]):
                cut = picture[:, :, 8 * row : 8 * row + 28, 8 * column : 8 * column + 28]
                assert (net(cut)[0] - found[0, :, row, column]).abs().max() < 1e-5


def test_what_has_no_form() -> None:
    with pytest.raises(ConfigError, match=r"C248\]: Sequential cannot be made fully convolutional"):
        convolutionalize(nn.Sequential(nn.Conv2d(3, 4, 3)))
    # a map of 3 x 3 is averaged to 6 x 6
    net = build("alexnet", in_channels=3, classes=5, image_size=(128, 128), seed=0)
    with pytest.raises(ConfigError, match=r"C248\]: alexnet cannot be made fully convolutional"):
        convolutionalize(net)


@pytest.mark.parametrize("name", [name for name in MODELS if PRESETS[name].family != "mlp"])
def test_every_network_has_a_map_before_its_head(name: str) -> None:
    side, channels, classes = PRESETS[name].home
    with torch.device("meta"):
        facts = {"in_channels": channels, "classes": classes, "image_size": (side, side)}
        net = MODELS[name].from_arguments(facts | dict(PRESETS[name].arguments)).eval()
        x = torch.zeros(1, channels, side, side)
        found = net.maps(x)
    assert found.ndim == 4
    ends = [parameter for _, parameter in net.named_parameters() if parameter.ndim > 1]
    assert any(parameter is ends[-1] for layer in net.head() for parameter in layer.parameters())
