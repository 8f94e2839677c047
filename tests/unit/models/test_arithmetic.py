"""The arithmetic of a layer, written out: every equation in it is checked."""

from __future__ import annotations

import re

import pytest
from torch import nn

from dojang.errors import ConfigError
from dojang.models.arithmetic import explain
from dojang.models.build import MODELS, shaped
from dojang.models.presets import PRESETS
from dojang.models.summary import summarise


def equations(text: str) -> list[tuple[str, str]]:
    """What stands left and right of every "=", and weights with the positions that they meet; words are no part."""
    found = []
    for line in text.splitlines()[1:]:
        body = line[12:].replace(",", "").replace(" x ", " * ")
        if line.startswith("memory"):
            left, _, right = body.partition(" bytes = ")
            number, unit = right.split()
            found.append((left if unit == "bytes" else f"round(({left}) / 1024)", number))
            continue
        for part in body.split(": "):
            left, equal, right = part.partition(" = ")
            if equal and (number := re.match(r"[0-9]+", right)):
                found.append((re.sub(r"[a-z]+", "", left), number.group()))
        if met := re.search(r"= ([0-9]+) at each of ([0-9 *]+) positions: ([0-9]+)$", body):
            found.append((f"{met[1]} * {met[2]}", met[3]))
    return found


# more layers of what a smaller one of the same file has
_DEEP = {"densenet161", "densenet169", "densenet201", "resnet101", "resnet152", "resnet56", "resnet110", "plain56"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in _DEEP else name for name in MODELS]
)
def test_every_equation_of_every_layer_holds(name: str) -> None:
    side, channels, classes = PRESETS[name].home
    net = shaped(name, in_channels=channels, classes=classes, image_size=(side, side))
    checked = 0
    for row in summarise(net, (side, side), channels).rows[:60]:
        text = explain(net, (side, side), channels, row.path)
        for left, right in equations(text):
            value = eval(left)
            # sides of maps are rounded, as is said beside them
            assert abs(value - int(right)) < 1, (row.name, left, right)
            assert value == int(right) or "(rounded" in text, (row.name, left, right)
            checked += 1
    assert checked > 3


def test_the_first_layer_of_resnet() -> None:
    net = shaped("resnet18", in_channels=3, classes=1000, image_size=(224, 224))
    assert "64 filters x (7 x 7 x 3) = 9,408" in explain(net, (224, 224), 3, "conv1")


@pytest.mark.parametrize(
    ("layer", "size", "wanted"),
    [
        (nn.Conv2d(3, 8, 3, padding="same"), (5, 7), ["5 = 5, kept by its padding down"]),
        (
            nn.Conv2d(3, 6, (3, 5), (1, 2), (1, 0)),
            (9, 11),
            ["(9 + 2 x 1 - 3) + 1 = 9 down", "(11 - 5) / 2 + 1 = 4 across"],
        ),
        (nn.Conv2d(3, 8, 3, dilation=2), (9, 9), ["(9 - (2 x (3 - 1) + 1)) + 1 = 5", "1 + 2 x (3 - 1) x 1 = 5 pixels"]),
        (nn.Conv2d(3, 6, 3, groups=3), (9, 9), ["6 filters x (3 x 3 x 1) + 6 biases = 60 (3 channels in 3 groups)"]),
        (nn.ConvTranspose2d(3, 8, 4, 2, 1), (5, 5), ["(5 - 1) x 2 - 2 x 1 + 4 = 10", "8 filters x (4 x 4 x 3)"]),
        (nn.MaxPool2d(3, 2, ceil_mode=True), (6, 6), ["(6 - 3) / 2 + 1 = 3 down and across (rounded up)", "none"]),
        (nn.AdaptiveAvgPool2d(1), (6, 6), ["always 1 x 1 for each of 3 channels", "the whole map"]),
        (nn.BatchNorm2d(3), (6, 6), ["a factor and a shift for each of 3 channels: 2 x 3 = 6", "as given"]),
        (nn.PReLU(), (6, 6), ["weight 1 = 1"]),
    ],
    ids=["same", "oblong", "dilated", "groups", "transposed", "ceil", "adaptive", "norm", "other"],
)
def test_kinds_of_layers(layer: nn.Module, size: tuple[int, int], wanted: list[str]) -> None:
    net = nn.Sequential(layer)
    name = summarise(net, size, 3).rows[0].name
    text = explain(net, size, 3, name)
    assert max(map(len, text.splitlines())) <= 100
    for part in wanted:
        assert part in text, text


def test_shared_and_frozen_weights() -> None:
    one = nn.Conv2d(3, 3, 3, padding=1)
    one.bias.requires_grad_(False)  # type: ignore[union-attr]
    net = nn.Sequential(one, nn.ReLU(), nn.Sequential(nn.Conv2d(3, 3, 3)))
    net[2][0].weight = one.weight  # type: ignore[index]
    net[2][0].bias = one.bias  # type: ignore[index]
    assert "3 of them are not trained" in explain(net, (9, 9), 3, "0")
    assert "those of an earlier layer" in explain(net, (9, 9), 3, "2.0")


def test_an_unknown_layer_names_its_neighbours() -> None:
    with pytest.raises(ConfigError, match=r"C203\]: there is no layer 'conv2'. Did you mean 'conv1'\?"):
        explain(nn.Sequential(nn.Conv2d(3, 8, 3)), (9, 9), 3, "conv2")
