"""Filters, feature maps, pictures that excite, deconvolution: each beside what it is by its definition."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from patches import LABELS, SIDE, mask, noise, overlap, planted, taught, untaught
from torch import nn

from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError
from dojang.explain import deconvolution, questions
from dojang.explain.deconvolution import deconvolve
from dojang.explain.filters import filters, maps
from dojang.explain.maximise import maximise
from dojang.explain.sight import Sight, look
from dojang.models.build import build
from dojang.predict.predictor import Predictor


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noisy(name: str, size: tuple[int, int] = (28, 28), channels: int = 3) -> Sight:
    return look(untaught(name, size, channels), noise(size), "noise")


def unpacked(told: dict[str, Any]) -> np.ndarray:
    """As a page reads it."""
    levels = np.frombuffer(base64.b64decode(told["data"]), np.int8).astype(np.float64).reshape(told["shape"])
    most = np.array(told["most"])
    found: np.ndarray = levels * most.reshape(most.shape + (1,) * (levels.ndim - most.ndim)) / 127
    return found


# Filters and feature maps


def test_filters_are_the_weights() -> None:
    sight = noisy("resnet20")
    first = filters(sight)
    weight = sight.predictor.model.get_submodule(first.layer).weight
    assert np.array_equal(first.values, weight.detach().numpy()) and first.values.shape == (16, 3, 3, 3)
    inner = questions.filters(sight, "layer2.0.conv1")
    assert inner.values.shape == (32, 16, 3, 3)
    told = json.loads(json.dumps(inner.as_dict()))
    assert told["shape"] == [32, 16, 3, 3] and told["shown"] == list(range(32))
    most = np.abs(inner.values).max(axis=(1, 2, 3), keepdims=True)
    assert (np.abs(unpacked(told["filters"]) - inner.values) <= most / 254 + 1e-7).all()


@pytest.mark.parametrize("permuted", [False, True])
def test_filters_of_a_dense_layer_lie_as_the_picture(permuted: bool) -> None:
    """The picture that is a unit's own weights excites that unit more than any other picture of that size."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    preprocess = Preprocess("L", 6, 6, mean=(0.0,), std=(1.0,), permute_pixels=permuted)
    sight = look(Predictor(net.eval(), tuple("abc"), preprocess), noise((6, 6))[..., 0], "x")
    found = filters(sight)
    assert found.values.shape == (3, 1, 6, 6)
    for unit in range(3):
        picture = torch.from_numpy(found.values[unit][None].copy())
        with torch.no_grad():
            score = float(net(sight.given(picture))[0, unit] - net[1].bias[unit])
        assert score == pytest.approx(float((found.values[unit] ** 2).sum()), rel=1e-5)


def test_filters_of_a_dense_layer_behind_maps_lie_as_these() -> None:
    sight = noisy("mnist-cnn", channels=1)
    found = filters(sight, "fc1")
    with torch.no_grad():
        own = sight.predictor.model.get_submodule(sight.trace.find("fc1").path).weight.numpy()
    assert found.values.shape[1:] == (64, 7, 7) and np.array_equal(found.values.reshape(own.shape), own)
    assert len(found.as_dict()["shown"]) == min(144, len(own))


def test_a_layer_without_filters() -> None:
    sight = noisy("mnist-cnn")
    with pytest.raises(ConfigError) as error:
        filters(sight, "relu1")
    assert error.value.code == "C290"
    assert str(error.value).startswith("ConfigError[C290]: the layer 'relu1' has no filters that a picture could show.")
    assert "Fix: --maps LAYER" in str(error.value)
    strange = nn.Sequential(nn.Unfold(4, stride=4), nn.Flatten(), nn.Linear(48 * 9, 2))
    of = Predictor(strange.eval(), ("a", "b"), Preprocess("RGB", 12, 12, mean=(0.4,) * 3, std=(0.2,) * 3))
    with pytest.raises(ConfigError, match=r"\[C290\]: the first layer of this network has no filters"):
        filters(look(of, noise((12, 12)), "x"))


def test_maps_are_what_the_layer_gives() -> None:
    sight = noisy("squeezenet1_1")
    found = maps(sight, "features.fire2")
    caught = []
    module = sight.predictor.model.get_submodule(sight.trace.find("features.fire2").path)
    handle = module.register_forward_hook(lambda *all: caught.append(all[-1].clone()))
    with torch.no_grad():
        sight.predictor.model(sight.image)
    handle.remove()
    assert np.array_equal(found.values, caught[0][0].numpy())
    told = found.as_dict()
    assert told["shown"] == list(range(128)) and unpacked(told["maps"]).shape == found.values.shape
    many = maps(noisy("densenet121"), "features.denseblock2").as_dict()
    assert many["shape"][0] == 512 and len(many["shown"]) == 144 and unpacked(many["maps"]).shape[0] == 144


def test_a_layer_without_maps() -> None:
    with pytest.raises(ConfigError) as error:
        maps(noisy("mnist-cnn"), "fc1")
    assert error.value.code == "C290"
    assert "the layer 'fc1' gives no map, but 32 numbers.\n  Fix: --layer relu2" in str(error.value)
    with pytest.raises(ConfigError) as error:
        questions.heat(noisy("mlp"), "gradcam")
    assert error.value.code == "C290"
    assert "no layer of this network gives maps: it has no places" in str(error.value)
    assert "Fix: --method integrated, --method occlusion" in str(error.value)


@pytest.mark.parametrize("what", ["filters", "maps"])
def test_their_sheets_show_all_of_them(what: str) -> None:
    """Each tile is found on the sheet: as bright as its filter, or its map, is at each place."""
    sight = noisy("mnist-cnn", (8, 8), 1)
    found: Any = filters(sight) if what == "filters" else maps(sight, "relu1")
    drawn = np.asarray(found.drawn())
    assert drawn.shape[1] <= 1000 and drawn.ndim == 3
    # tiles stand 78 apart
    for number in (0, 7, 31):
        left, top = 6 + number % 12 * 78, 30 + number // 12 * (72 + 15 + 6)
        values = found.values[number, 0] if what == "filters" else found.values[number]
        side = 72 // len(values)
        centres = drawn[top + side // 2 : top + 72 : side, left + side // 2 : left + 72 : side].sum(axis=2)
        order = np.argsort(values.ravel(), kind="stable")
        assert (np.diff(centres.ravel()[order].astype(int)) >= 0).all()


# The picture that excites


@pytest.mark.parametrize("label", LABELS)
def test_a_picture_is_made_that_the_network_is_sure_of(label: str) -> None:
    made = maximise(taught(), label)
    assert made.pixels.shape == (SIDE, SIDE, 1) and made.probability is not None and made.probability > 0.95
    assert made.after > made.before + 5
    # seen by the network, it is what was said
    answer = taught().answer("x", taught().probabilities(made.pixels[None])[0])
    assert answer.label == label
    assert made.steps == (192 if label == "dots" else 96)
    # the same picture each time
    assert np.array_equal(maximise(taught(), label).pixels, made.pixels)


def test_it_is_smooth_enough_to_be_read() -> None:
    """Beside steepest ascent on the pixels, which is as sure and is noise: neighbours differ far less."""
    of, plain = taught(), torch.full((1, 1, SIDE, SIDE), 0.5)
    for _ in range(96):
        plain.requires_grad_(True)
        score = of.model(of.preprocess.normalise_scaled(plain))[0, 1]
        plain = (plain + 0.05 * torch.autograd.grad(score, plain)[0].sign()).clamp(0, 1).detach()

    def rough(picture: np.ndarray) -> float:
        levels = picture.astype(np.float64)
        # stripes across are right for this class, so it is neighbours in a row that count
        return float(np.abs(np.diff(levels, axis=1)).mean())

    steep = (plain[0, 0].numpy() * 255).round()
    ours = maximise(of, "across").pixels[..., 0]
    assert rough(ours) < 0.5 * rough(steep)


def test_at_224_and_in_colour() -> None:
    net = build("squeezenet1_1", in_channels=3, classes=4, image_size=(224, 224), seed=0)
    p = Preprocess("RGB", 224, 224, mean=(0.48, 0.46, 0.41), std=(0.23, 0.22, 0.23))
    made = maximise(Predictor(net, tuple("abcd"), p), "features.fire2:5", steps=12)
    assert made.pixels.shape == (224, 224, 3) and made.after > 1.2 * made.before
    told = json.loads(json.dumps(made.as_dict()))
    assert told["of"] == "features.fire2:5" and told["picture"].startswith("data:image/jpeg;base64,")


def test_a_channel_and_a_single_unit() -> None:
    sight = noisy("mnist-cnn", channels=1)
    of = sight.predictor
    whole = questions.maximise(of, "conv2", 3, steps=24)
    single = maximise(of, "conv2:3,4,9", steps=24)
    for made, index in ((whole, (3,)), (single, (3, 4, 9))):
        seen = look(of, made.pixels[..., 0], "made").trace
        value = seen.value(seen.find("conv2").gave or 0)[index]
        assert float(value.mean()) == pytest.approx(made.after, rel=1e-4)
        assert made.after > made.before
    assert whole.as_dict()["picture"].startswith("data:image/png;base64,")
    # one unit sees 10 x 10 pixels; beside them nothing excites it
    assert whole.after < single.after


def test_what_cannot_be_maximised() -> None:
    of = untaught("mnist-cnn", (12, 12), 1)
    with pytest.raises(ConfigError) as error:
        maximise(of, "e")
    assert error.value.code == "C203" and "the network knows no class 'e'." in str(error.value)
    assert "Fix: --maximise LAYER:CHANNEL" in str(error.value)
    with pytest.raises(ConfigError) as error:
        maximise(of, "conv2:64")
    assert error.value.code == "C291"
    assert "conv2 has no unit '64': it has channel 0 to 63, row 0 to 5, column 0 to 5." in str(error.value)
    with torch.no_grad():
        of.model.get_submodule("conv1" if hasattr(of.model, "conv1") else _path(of, "conv1")).bias[2] = -100
    with pytest.raises(ConfigError) as error:
        maximise(of, "relu1:2")
    assert error.value.code == "C293"
    assert "relu1:2 stays silent: no beginning excites it" in str(error.value)
    assert "Fix: another channel; or the layer in front of the activation." in str(error.value)
    # which is what it says
    assert maximise(of, "conv1:2", steps=8).after > maximise(of, "conv1:2", steps=1).after


def _path(of: Predictor, name: str) -> str:
    p = of.preprocess
    return look(of, np.zeros((p.height, p.width), np.uint8), "x").trace.find(name).path


# Deconvolution


def test_deconvolution_is_transposed_filters_switches_and_relu() -> None:
    """Zeiler and Fergus's four rules, written out for one network."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 3, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(27, 2),
    ).eval()  # fmt: skip
    of = Predictor(net, ("a", "b"), Preprocess("L", 16, 16, mean=(0.4,), std=(0.2,)))
    sight = look(of, noise((16, 16)), "x")
    with torch.no_grad():
        pooled, switches = F.max_pool2d(net[1](net[0](sight.image)), 2, return_indices=True)
        top = net[4](net[3](pooled))
        channel = int(top.amax(dim=(2, 3)).argmax())
        flat = int(top[0, channel].argmax())
        signal = torch.zeros_like(top)
        signal[0, channel, flat // 3, flat % 3] = top[0, channel].max()
        # what an uneven stride leaves over has no window
        signal = F.conv_transpose2d(signal.relu(), net[3].weight, stride=2, output_padding=1)
        signal = F.max_unpool2d(signal, switches, 2).relu()
        wanted = F.conv_transpose2d(signal, net[0].weight, padding=1)[0, 0].numpy()
    found = deconvolve(sight, f"relu2:{channel}")
    assert found.unit == f"relu2:{channel},{flat // 3},{flat % 3}" and found.value == pytest.approx(float(top.max()))
    assert np.abs(wanted).max() > 0
    assert found.values[..., 0] == pytest.approx(wanted, abs=1e-6)
    # nothing comes back beside what it saw
    assert found.box is not None
    beside = np.ones((16, 16), bool)
    beside[found.box[0] : found.box[2], found.box[1] : found.box[3]] = False
    assert not found.values[beside].any() and beside.any()


def test_deconvolution_finds_the_planted_pattern() -> None:
    sight = look(taught(), planted(1, (20, 8)), "planted", "across")
    layer = [call.name for call in sight.trace.layers() if call.type == "ReLU"][-1]
    several = deconvolution.strongest(sight, layer, 4)
    assert 1 <= len(several) <= 4 and [one.value for one in several] == sorted((o.value for o in several), reverse=True)
    top, left, bottom, right = several[0].box or (0, 0, 0, 0)
    box = np.zeros((SIDE, SIDE), bool)
    box[top:bottom, left:right] = True
    assert overlap(box & mask((20, 8)), mask((20, 8))) > 0.3
    assert deconvolution.strongest(sight, several[0].unit)[0].unit == several[0].unit
    drawn = np.asarray(deconvolution.drawn(sight, several))
    assert drawn.shape[1] >= 2 * 112 and np.ptp(drawn) > 200


@pytest.mark.parametrize(
    ("name", "layer", "why"),
    [
        ("resnet20", "layer2", "branches that are joined"),
        ("squeezenet1_1", "features.fire3", "branches that are joined"),
    ],
)
def test_a_network_whose_way_branches(name: str, layer: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        deconvolve(noisy(name), f"{layer}:0")
    assert error.value.code == "C292"
    assert "numbers of this network cannot be led back by deconvolution: " in str(error.value)
    assert why in str(error.value) and "Fix: " in str(error.value)


def test_an_activation_that_has_no_way_back() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GELU(), nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(128, 2))
    of = Predictor(net.eval(), ("a", "b"), Preprocess("L", 12, 12, mean=(0.4,), std=(0.2,)))
    with pytest.raises(ConfigError, match=r"\[C292\].*: gelu1 is a GELU\."):
        deconvolve(look(of, noise((12, 12)), "x"), "conv2")
    # up to it there is a way
    assert deconvolve(look(of, noise((12, 12)), "x"), "conv1").values.any()
