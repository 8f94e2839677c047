"""A classifier asked at every place of a larger picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from dojang.data.preprocess import Preprocess
from dojang.models.build import build
from dojang.predict.places import Everywhere
from dojang.predict.predictor import Predictor

LABELS = ("dark", "bright")


@pytest.fixture(scope="module")
def bright() -> Predictor:
    """A network that looks at brightness: two convolutions that take means, and a head that compares."""
    net = build(
        "cnn", in_channels=1, classes=2, image_size=(16, 16), seed=0, options={"conv_dims": (1, 1), "batch_norm": False}
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        convs = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
        for conv in convs:
            conv.weight.fill_(1 / 9)
        dense = [m for m in net.modules() if isinstance(m, torch.nn.Linear)]
        for layer in dense[:-1]:
            layer.weight.fill_(1 / layer.in_features)
        dense[-1].weight[0] = -30 / dense[-1].in_features
        dense[-1].weight[1] = 30 / dense[-1].in_features
        dense[-1].bias.copy_(torch.tensor([15.0, -15.0]))
    preprocess = Preprocess("L", 16, 16, mean=(0.0,), std=(1.0,))
    return Predictor(net, LABELS, preprocess)


def test_the_bright_part_is_found(bright: Predictor) -> None:
    picture = np.zeros((64, 96, 1), np.uint8)
    picture[:, 64:] = 255
    found = Everywhere(bright, times=4).places(picture, "halves")
    assert found.picture.shape == (64, 96, 1)
    rows, columns, classes = found.probabilities.shape
    assert rows > 4 and columns > rows and classes == 2
    heat = found.of("bright")
    assert heat.shape == (64, 96)
    assert heat[:, :40].max() < 0.1 and heat[:, 80:].min() > 0.9
    drawn = found.drawn("bright")
    assert drawn.size == (96, 64) and drawn.mode == "RGB"
    # yellow where it is bright, blue where it is not
    left, right = np.asarray(drawn)[32, 10], np.asarray(drawn)[32, 90]
    assert right[0] > 200 and left[2] > left[0]


def test_at_its_own_size_there_is_one_place_with_its_answer(bright: Predictor) -> None:
    picture = np.full((16, 16, 1), 140, np.uint8)
    found = Everywhere(bright, times=1).places(picture, "grey")
    assert found.probabilities.shape == (1, 1, 2)
    assert found.probabilities[0, 0] == pytest.approx(bright.probabilities(picture[None])[0], abs=1e-5)


def test_bytes_and_the_best(bright: Predictor) -> None:
    file = io.BytesIO()
    Image.new("L", (20, 30), 250).save(file, "PNG")
    found = Everywhere(bright).places(file.getvalue(), "light.png")
    assert found.best == "bright"
    # the shorter side is twice the network's
    assert found.picture.shape == (48, 32, 1)
    assert found.drawn().size == (32, 48)
