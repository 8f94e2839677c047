"""Every registered network can be exported, and answers as it did (RELIABILITY N4)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dojang.data.preprocess import Preprocess
from dojang.export import onnx
from dojang.export.graph import Graph
from dojang.export.parity import TOLERANCE
from dojang.export.tracing import traced
from dojang.models.build import MODELS, build
from dojang.models.densenet import DenseNet, DenseNetConfig
from dojang.models.presets import PRESETS
from dojang.predict.predictor import Predictor

LABELS = tuple("abcdefghij")
# one of each family, the smallest: tracing takes time by the layer; the others are slow
QUICK = ("mnist-mlp", "mnist-cnn", "sprint-s", "alexnet", "vgg11_bn", "googlenet", "resnet20", "squeezenet1_1")


def made_up(name: str) -> torch.nn.Module:
    """A network of random numbers; of DenseNet a smaller one."""
    if name == "densenet":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net: torch.nn.Module = DenseNet(1, 10, (28, 28), DenseNetConfig(blocks=(2, 3), growth=8, width=16))
    else:
        net = build(name, in_channels=1, classes=10, image_size=(28, 28), seed=0)
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        # as after training: a norm that did nothing could be left out unseen
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return net


def test_each_family_is_here() -> None:
    assert {PRESETS[name].family for name in QUICK} | {"densenet"} == {PRESETS[name].family for name in PRESETS}


@pytest.mark.parametrize(
    "name", ["densenet", *(name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MODELS)]
)
def test_a_network(name: str) -> None:
    predictor = Predictor(made_up(name), LABELS, Preprocess("L", 28, 28, mean=(0.2,), std=(0.3,)))
    draw = np.random.default_rng(0)
    # untrained networks say nearly the same of all classes; so loud that what they say can be told apart
    noise = draw.integers(0, 256, (8, 28, 28, 1)).astype(np.uint8)
    predictor.temperature = float(predictor.logits(noise).std(dim=1).mean())
    graph = Graph(predictor)
    made = onnx.made(graph, traced(graph), {"dojang": "0"})
    ask = onnx.asking(made.data, 1)
    for shape in ((1, 28, 28), (3, 37, 21)):
        pixels = draw.integers(0, 256, (*shape, 3)).astype(np.uint8)
        ours = np.concatenate([predictor.probabilities(predictor.preprocess.picture(one, "")[None]) for one in pixels])
        theirs = ask(pixels)
        assert theirs.shape == (len(pixels), 10)
        assert np.ptp(ours) > 0.05
        assert np.abs(ours - theirs).max() < TOLERANCE
    # of which --int8 quantises these
    assert made.network
