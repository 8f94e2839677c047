"""Which layer is looked at: of published forms, of other libraries' networks, of one's own; and one question a time."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from patches import noise, pattern, taught, untaught
from torch import Tensor, nn

from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError
from dojang.explain import questions, target
from dojang.explain.explain import Asked, one
from dojang.explain.sight import Sight, look
from dojang.explain.trace import trace
from dojang.explain.xray import xray
from dojang.models.build import build
from dojang.predict.predictor import Predictor


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def before(net: nn.Module, size: tuple[int, int], channels: int = 3) -> Sight:
    mode = "L" if channels == 1 else "RGB"
    preprocess = Preprocess(mode, *size, mean=(0.3,) * channels, std=(0.2,) * channels)
    return look(Predictor(net.eval(), tuple("abcd"), preprocess), noise(size), "noise.png")


@pytest.mark.parametrize(
    ("name", "size", "layer", "places"),
    [
        ("alexnet", 224, "features.relu5", 13),
        ("resnet18", 224, "layer4", 7),
        ("squeezenet1_1", 224, "features.fire8", 13),
        ("resnet20", 32, "layer3", 8),
        ("mnist-cnn", 28, "relu2", 14),
    ],
)
def test_at_their_own_size_it_is_the_layer_of_the_papers(name: str, size: int, layer: str, places: int) -> None:
    """The last maps in front of the head, before the pooling that makes them coarser."""
    net = build(name, in_channels=3, classes=4, image_size=(size, size), seed=0).eval()
    found = target.best(trace(net, torch.zeros(1, 3, size, size)))
    assert found.call.name == layer and found.layout.height == found.layout.width == places


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_224", "timm:convnext_atto", "torchvision:mobilenet_v3_small"])
def test_networks_of_other_libraries(name: str) -> None:
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    sight = look(untaught(name, (224, 224)), noise((224, 224)), "noise.png")
    found = one(sight, Asked())
    for heat in found.heats:
        assert heat.values.shape == (224, 224) and np.isfinite(heat.values).all() and np.ptp(heat.values) > 0
    assert found.layer is not None
    # weighted sums are written out also there
    layers = [call for call in sight.trace.layers() if type(call.module) in (nn.Conv2d, nn.Linear) and call.gave]
    for call in (layers[0], layers[len(layers) // 2], layers[-1]):
        unit = xray(sight, call.name)
        assert unit.gap is not None and unit.gap <= 1e-5 * max(1.0, abs(unit.value))


class Frozen(nn.Module):
    """Works in place, gives a pair inside, has no gradients of its own, and one layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.act, self.last = nn.ReLU(inplace=True), nn.Linear(4, 4)
        self.requires_grad_(False)

    def forward(self, given: Tensor) -> Tensor:
        found = self.act(self.again(self.act(self.again(self.act(self.first(given))))))
        scores: Tensor = self.last(found.mean(dim=(2, 3)))
        return scores


def test_a_network_of_ones_own_that_is_frozen_and_works_in_place() -> None:
    torch.manual_seed(0)
    net = Frozen()
    sight = before(net, (12, 10), 1)
    found = one(sight, Asked(methods=("gradcam", "layercam", "integrated")))
    assert found.layer == "act#3" and all(np.isfinite(heat.values).all() for heat in found.heats)
    assert np.ptp(found.heat("layercam").values) > 0
    # the same layer's second use is another place
    second, third = (one(sight, Asked(methods=("layercam",), layer=name)).heat() for name in ("act#2", "act#3"))
    assert not np.array_equal(second.values, third.values)
    # the network is left as it was: no hooks, no gradients
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in net.parameters())


def test_explaining_changes_nothing() -> None:
    of = untaught("resnet20", (16, 16))
    state = {name: tensor.clone() for name, tensor in of.model.state_dict().items()}
    before_it = of.logits(noise((16, 16))[None])
    sight = look(of, noise((16, 16)), "x")
    one(sight, Asked(methods=("gradcam", "layercam", "occlusion", "integrated"), xrays=("layer1",), maps=("layer2",)))
    questions.maximise(of, "layer2", 1, steps=2)
    assert all(torch.equal(tensor, state[name]) for name, tensor in of.model.state_dict().items())
    assert torch.equal(torch.as_tensor(of.logits(noise((16, 16))[None])), torch.as_tensor(before_it))
    assert not of.model.training and all(p.grad is None for p in of.model.parameters())


def test_the_compiler_is_not_imported_for_it() -> None:
    """Which takes seconds, and nothing is compiled."""
    program = """
import sys, torch
from dojang.explain.trace import trace
from dojang.models.build import build
trace(build("mnist-cnn", in_channels=1, classes=2, image_size=(12, 12), seed=0).eval(), torch.zeros(1, 1, 12, 12))
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# One question at a time


def shown(told: Any) -> Any:
    """As JSON gives it back; no nan, which JSON has not."""
    return json.loads(json.dumps(told.as_dict(), allow_nan=False))


def test_questions_and_their_answers() -> None:
    sight = questions.look(taught(), noise((50, 40)), "noise.png")
    told = shown(sight)
    assert told["source"] == "noise.png" and told["asked"] == told["answer"]["label"]
    assert told["frame"]["picture"] == [50, 40] and told["frame"]["seen"] == [5, 0, 45, 40]
    named = {layer.name: layer for layer in questions.layers(sight)}
    assert named["conv1"].filters == (8, 1, 3, 3) and named["conv1"].maps == (8, 40, 40)
    assert named["fc1"].maps is None and shown(named["conv1"])["type"] == "Conv2d"
    heat = questions.heat(sight, "gradcam", "dots", "conv2")
    told = shown(heat)
    assert (told["label"], told["layer"], told["values"]["shape"]) == ("dots", "conv2", [40, 40])
    assert told["frame"] == shown(sight)["frame"] and sum(told["parts"].values()) == pytest.approx(1)
    # asked about another class, the sight itself stays
    assert sight.label == sight.answer.label and sight.about("dots").trace is sight.trace
    assert questions.heat(sight, "occlusion").label == sight.label
    assert shown(questions.maps(sight, "conv2"))["shape"] == [16, 20, 20]
    assert shown(questions.filters(sight))["shape"] == [8, 1, 3, 3]
    assert shown(questions.maximise(taught(), "conv2", 3, steps=4))["of"] == "conv2:3"
    assert shown(questions.xray(sight, "conv2", 3, 0, 19))["unit"] == "conv2:3,0,19"
    assert shown(questions.xray(sight, "fc1", 2))["unit"] == "fc1:2"


def test_questions_that_have_no_answer() -> None:
    sight = questions.look(taught(), noise((40, 40)), "noise.png")
    with pytest.raises(ConfigError, match=r"\[C203\]: there is no method 'cam'"):
        questions.heat(sight, "cam")
    with pytest.raises(ConfigError, match=r"\[C203\]: the network knows no class 'dot'\. Did you mean 'dots'\?"):
        questions.heat(sight, "gradcam", "dot")
    with pytest.raises(ConfigError, match=r"\[C291\]: conv2 has no unit '3,0,20'"):
        questions.xray(sight, "conv2", 3, 0, 20)


def test_everywhere_asks_at_every_place_of_a_larger_picture() -> None:
    picture = np.full((80, 120), 110, np.uint8)
    picture[50:62, 90:102] = pattern(2)
    heat = questions.heat(questions.look(taught(), picture, "large"), "everywhere", "dots")
    laid = heat.laid()
    # a place sees the pattern wherever it is in its window, so the heat is as wide as that window
    row, column = np.unravel_index(int(np.nanargmax(laid)), laid.shape)
    assert abs(row - 56) < 20 and abs(column - 96) < 20 and float(np.nanmax(laid)) > 0.9
    assert float(laid[:30, :40].mean()) < 0.5
    of = untaught("mnist-cnn", (12, 12), 1)
    scattered = Predictor(of.model, of.labels, dataclasses.replace(of.preprocess, permute_pixels=True))
    with pytest.raises(ConfigError, match="C248"):
        questions.heat(look(scattered, noise((12, 12)), "x"), "everywhere")
