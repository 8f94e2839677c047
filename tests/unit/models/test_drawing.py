"""A network as volumes."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import pytest
from torch import nn

from dojang.models.build import MODELS, shaped
from dojang.models.drawing import draw, volumes
from dojang.models.presets import PRESETS
from dojang.models.summary import Summary, summarise


def seen(name: str) -> Summary:
    side, channels, classes = PRESETS[name].home
    net = shaped(name, in_channels=channels, classes=classes, image_size=(side, side))
    return summarise(net, (side, side), channels)


@pytest.mark.parametrize("name", list(MODELS))
def test_every_network_is_drawn(name: str) -> None:
    summary = seen(name)
    found = volumes(summary)
    assert 2 <= len(found) <= 30
    # nothing is lost on the way
    assert sum(volume.parameters for volume in found) == summary.total
    assert found[0].shape == summary.input_shape
    # and nothing is shown twice
    assert all(one.shape != other.shape for one, other in itertools.pairwise(found[1:]))
    assert found[-1].shape == summary.rows[-1].shape
    tree = ElementTree.fromstring(draw(summary, f"{name} & <co>"))
    width, height = float(tree.get("width", 0)), float(tree.get("height", 0))
    assert width <= 1000
    boxes = tree.findall("{http://www.w3.org/2000/svg}polygon")
    assert len(boxes) == 3 * len(found)
    for box in boxes:
        for corner in box.get("points", "").split():
            x, y = map(float, corner.split(","))
            assert 0 <= x <= width and 0 <= y <= height
    texts = [text.text or "" for text in tree.findall("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == f"{name} & <co>"
    assert " x ".join(map(str, found[1].shape)) in texts


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        # what the papers' tables have: branches side by side, not the last of them
        ("googlenet", {(64, 112, 112), (480, 28, 28), (832, 14, 14), (1024, 7, 7)}),
        ("squeezenet1_1", {(128, 55, 55), (256, 27, 27), (512, 13, 13)}),
        ("densenet121", {(128, 56, 56), (256, 28, 28), (512, 14, 14), (1024, 7, 7)}),
        ("resnet18", {(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)}),
        ("vgg16", {(512, 28, 28), (512, 14, 14), (512, 7, 7)}),
    ],
)
def test_shapes_where_roads_meet(name: str, shapes: set[tuple[int, ...]]) -> None:
    assert shapes <= {volume.shape for volume in volumes(seen(name))}


def test_kinds() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 225, 5))
    found = volumes(summarise(net, (32, 32), 3))
    assert [(volume.kind, volume.shape) for volume in found] == [
        ("input", (3, 32, 32)),
        ("convolution", (8, 30, 30)),
        ("pooling", (8, 15, 15)),
        ("dense", (1800,)),
        ("dense", (5,)),
    ]
    assert found[1].layers == ("conv1", "relu1")
