"""Heat maps find what a network was taught to look for, change with its weights, and are what their papers say."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from patches import LABELS, PATCH, PREPROCESS, SIDE, draws, mask, noise, overlap, pattern, planted, taught, untaught
from scipy.ndimage import gaussian_filter
from torch import nn

from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError
from dojang.explain import heat as heats
from dojang.explain import words
from dojang.explain.explain import Asked, one
from dojang.explain.integrated import integrated
from dojang.explain.occlusion import occlusion
from dojang.explain.sight import look
from dojang.models.receptive import Field, Side
from dojang.predict.predictor import Predictor

METHODS = ("gradcam", "layercam", "occlusion", "integrated")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def hot(values: np.ndarray, method: str, pixel: int = 1) -> np.ndarray:
    """What is at least half as hot as the hottest place; of single pixels, as their neighbours are on average."""
    values = np.maximum(np.nan_to_num(values), 0)
    if method == "integrated":
        values = gaussian_filter(values, 2 * pixel)
    found: np.ndarray = values >= 0.5 * values.max()
    return found


def share_of_heat(of: Predictor, method: str) -> float:
    """Of pictures with two patterns, asked about one of them: its share of the heat on both."""
    draw, shares = np.random.default_rng(5), []
    for number in range(6):
        kinds = [int(kind) for kind in draw.permutation(3)[:2]]
        corners = [(int(draw.integers(0, 29)), int(draw.integers(low, high))) for low, high in ((0, 7), (20, 29))]
        picture = planted(kinds[0], corners[0], seed=number)
        top, left = corners[1]
        picture[top : top + PATCH, left : left + PATCH] = pattern(kinds[1])
        for kind, own, other in zip(kinds, corners, corners[::-1], strict=True):
            heat = one(look(of, picture, "two", LABELS[kind]), Asked(methods=(method,))).heat()
            values = np.maximum(heat.laid(), 0)
            parts = [float(values[mask(corner)].sum()) for corner in (own, other)]
            shares.append(parts[0] / sum(parts) if sum(parts) else 0.5)
    return float(np.mean(shares))


# A planted patch


@pytest.mark.parametrize("method", METHODS)
def test_a_planted_patch_is_found(method: str) -> None:
    found = []
    for picture, kind, corner in draws(8, 99):
        sight = look(taught(), picture, "planted")
        assert sight.answer.label == LABELS[kind]
        heat = one(sight, Asked(methods=(method,))).heat()
        found.append(overlap(hot(heat.laid(), method), mask(corner)))
    assert min(found) > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_on_a_wide_picture_of_which_the_sides_are_cut_off_it_lies_where_the_patch_is(method: str) -> None:
    picture = planted(1, (20, 52), (40, 90), seed=5)
    laid = one(look(taught(), picture, "wide", "across"), Asked(methods=(method,))).heat().laid()
    assert laid.shape == (40, 90)
    # what was cut off has no heat: the network saw the 40 columns in the middle
    assert np.isnan(laid[:, :25]).all() and np.isnan(laid[:, 65:]).all() and not np.isnan(laid[:, 25:65]).any()
    assert overlap(hot(laid, method), mask((20, 52), (40, 90))) > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_on_a_tall_picture_that_is_padded_it_lies_where_the_patch_is(method: str) -> None:
    """80 x 40, shown at 40 x 20 in the middle: its pattern is twice as large, as it was learned when it is shown."""
    large = pattern(1).repeat(2, 0).repeat(2, 1)
    picture = np.full((80, 40), 110, np.uint8)
    picture[48 : 48 + 2 * PATCH, 10 : 10 + 2 * PATCH] = large
    preprocess = dataclasses.replace(PREPROCESS, fit="pad", background=110)
    of = Predictor(copy.deepcopy(taught().model), LABELS, preprocess)
    laid = one(look(of, picture, "tall", "across"), Asked(methods=(method,))).heat().laid()
    assert laid.shape == (80, 40) and not np.isnan(laid).any()
    assert overlap(hot(laid, method, 2), mask((48, 10), (80, 40), 2 * PATCH)) > 0.5


def test_words_say_in_which_part_it_lies() -> None:
    sight = look(taught(), planted(2, (SIDE - PATCH, 0)), "low and left")
    heat = one(sight, Asked(methods=("gradcam",))).heat()
    parts = words.parts(heat)
    assert next(iter(parts)) == "lower left" and parts["lower left"] > 0.5
    assert sum(parts.values()) == pytest.approx(1)
    assert words.sentence(heat).startswith(f"lower left {parts['lower left']:.0%}")
    half = words.half(heat)
    assert half is not None and half < 0.15


# Random weights


@pytest.mark.parametrize("method", METHODS)
def test_of_two_patterns_the_heat_lies_on_the_one_asked_about_and_random_weights_change_that(method: str) -> None:
    """Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, arXiv:1810.03292: a map that does not depend on
    what was learned explains nothing.  A network of random weights is excited by both patterns, whatever is asked."""
    of = taught()
    assert share_of_heat(of, method) > 0.8
    for seed in range(3):
        wild = copy.deepcopy(of.model)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            for layer in wild.modules():
                if hasattr(layer, "reset_parameters"):
                    layer.reset_parameters()
        # half, but for chance
        assert 0.3 < share_of_heat(Predictor(wild, LABELS, of.preprocess), method) < 0.7


# What the papers say


def test_gradcam_and_layercam_are_their_equations() -> None:
    draw = torch.Generator().manual_seed(0)
    maps, gradients = (torch.randn(3, 4, 5, generator=draw) for _ in range(2))
    by_place = torch.zeros(2, 4, 5)
    for channel in range(3):
        weight = sum(float(g) for g in gradients[channel].ravel()) / 20
        for row in range(4):
            for column in range(5):
                at = channel, row, column
                by_place[0, row, column] += weight * maps[at]
                by_place[1, row, column] += max(0.0, float(gradients[at])) * maps[at]
    wanted = by_place.clamp(min=0)
    assert torch.allclose(heats.gradcam(maps, gradients), wanted[0], atol=1e-6)
    assert torch.allclose(heats.layercam(maps, gradients), wanted[1], atol=1e-6)


@pytest.mark.parametrize("name", ["mnist-cnn", "resnet20", "squeezenet1_1", "densenet121"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    """One number of the layer's maps is changed a little, in float64, and the score is seen to change."""
    of = untaught(name, (32, 32))
    sight = look(of, noise((32, 32)), "noise", "c")
    watched = heats.watch(sight)
    call, model = watched.target.call, copy.deepcopy(of.model).double()
    layer = model.get_submodule(call.path)
    shift: dict[str, Any] = {}

    def hook(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
        changed = output.clone()
        changed[0][shift["at"]] += shift["by"]
        return changed

    handle, step = layer.register_forward_hook(hook), 1e-6
    # at zeros that an activation made a maximum pooling behind it has a kink
    places = (watched.maps if float(watched.maps.min()) < 0 else watched.maps > 0).nonzero()
    for row in np.random.default_rng(0).integers(len(places), size=5):
        shift["at"] = tuple(places[int(row)].tolist())
        scores = []
        for by in (step, -step):
            shift["by"] = by
            with torch.no_grad():
                scores.append(float(model(sight.image.double())[0, 2]))
        change = (scores[0] - scores[1]) / (2 * step)
        assert float(watched.gradients[shift["at"]]) == pytest.approx(change, rel=1e-3, abs=1e-5)
    handle.remove()


def test_in_front_of_a_maximum_pooling_gradients_are_shared_out() -> None:
    of = untaught("mnist-cnn", (16, 16), 1)
    watched = heats.watch(look(of, noise((16, 16)), "noise"))
    assert watched.target.call.name == "relu2"
    # of a window of four one place has all of it, and shared out each has a quarter
    for channel in range(0, 64, 9):
        for row in range(0, 8, 2):
            window = watched.gradients[channel, row : row + 2, :2]
            shared = watched.shared[channel, row : row + 2, :2]
            assert torch.count_nonzero(window) <= 1
            assert torch.allclose(shared, window.sum() / 4 * torch.ones(2, 2), atol=1e-7)
    # so Grad-CAM, which takes the mean, is the same by both
    assert torch.allclose(watched.gradients.mean(dim=(1, 2)), watched.shared.mean(dim=(1, 2)), atol=1e-7)


@pytest.mark.parametrize("name", ["mlp", "cnn", "sprint", "resnet20", "squeezenet1_1"])
def test_integrated_gradients_sum_to_the_difference_of_the_scores(name: str) -> None:
    of = untaught(name, (32, 32))
    heat = integrated(look(of, noise((32, 32)), "noise"))
    facts = heat.facts
    change = facts["score"] - facts["score_of_baseline"]
    assert float(heat.values.sum()) == pytest.approx(change, rel=0.01)
    # as the network itself says
    both = np.stack([noise((32, 32)), np.zeros((32, 32, 3), np.uint8)])
    with torch.no_grad():
        scores = of.model(of.preprocess.normalise(torch.from_numpy(both))).numpy()
    best = int(scores[0].argmax())
    assert (facts["score"], facts["score_of_baseline"]) == pytest.approx(scores[:, best].tolist(), abs=1e-4)


def test_integrated_gradients_of_a_linear_network_are_weight_times_change() -> None:
    of = untaught("mlp", (6, 6), 1)
    line = nn.Sequential(nn.Flatten(), nn.Linear(36, 4))
    of = Predictor(line, tuple("abcd"), of.preprocess)
    picture = noise((6, 6))[..., 0]
    heat = integrated(look(of, picture, "x", "b"))
    weight = line[1].weight[1].detach().double().numpy().reshape(6, 6)
    # levels over 255 and the deviation; black is 0
    assert heat.values == pytest.approx(weight * picture / 255 / 0.25, rel=1e-4, abs=1e-7)
    assert heat.facts["steps"] == 32 and heat.facts["complete"]


def test_integrated_gradients_say_where_they_do_not_sum_up() -> None:
    heat = integrated(look(untaught("cnn", (16, 16)), noise((16, 16)), "x"), most=1)
    gap = abs(heat.facts["sum_of_shares"] - heat.facts["score"] + heat.facts["score_of_baseline"])
    assert heat.facts["complete"] == (gap <= 0.01 * abs(heat.facts["score"] - heat.facts["score_of_baseline"]))
    assert heat.facts["steps"] == 32


def test_another_beginning() -> None:
    of = untaught("cnn", (16, 16))
    sight = look(of, noise((16, 16)), "x")
    white, mean = integrated(sight, "white"), integrated(sight, "mean")
    plain = np.full((1, 16, 16, 3), 255, np.uint8)
    assert white.facts["score_of_baseline"] == pytest.approx(float(of.logits(plain)[0, sight.target]), abs=1e-4)
    assert float(mean.values.sum()) == pytest.approx(mean.facts["score"] - mean.facts["score_of_baseline"], rel=0.01)
    with pytest.raises(ConfigError, match=r"\[C203\]: unknown baseline 'blck'.*\n.*black, grey, white, mean"):
        integrated(sight, "blck")


def test_occlusion_is_the_fall_of_the_score_window_by_window() -> None:
    of = untaught("cnn", (9, 12))
    sight = look(of, noise((9, 12)), "x", "d")
    heat = occlusion(sight, window=4, stride=3)
    fall, times = np.zeros((9, 12)), np.zeros((9, 12))
    image = of.preprocess.normalise(torch.from_numpy(sight.pixels[None].copy()))
    with torch.no_grad():
        whole = float(of.model(image)[0, 3])
        for top in (0, 3, 5):
            for left in (0, 3, 6, 8):
                covered = image.clone()
                covered[0, :, top : top + 4, left : left + 4] = 0
                change = whole - float(of.model(covered)[0, 3])
                fall[top : top + 4, left : left + 4] += change
                times[top : top + 4, left : left + 4] += 1
    assert heat.values == pytest.approx(fall / times, abs=1e-5)
    assert heat.facts["windows"] == 12
    with pytest.raises(ConfigError, match=r"\[C202\]: a window of 10 at stride 3 cannot cover pictures of 9 x 12"):
        occlusion(sight, window=10, stride=3)


def test_a_place_of_a_map_lies_in_the_middle_of_what_it_sees() -> None:
    """Behind strided windows with padding the first place looks at the corner; a map made larger would not."""
    field = Field(Side(-3, 7, 4), Side(-3, 7, 4))  # the middle of place i is at 0.5 + 4 i
    spread = heats.between(np.eye(4, dtype=np.float32), field, (16, 16))
    assert [spread[4 * i, 4 * i] for i in range(4)] == [1, 1, 1, 1]
    # by cells it would be in their middles
    by_cells = heats.between(np.eye(4, dtype=np.float32), None, (16, 16))
    assert by_cells[2, 2] == pytest.approx((7 / 8) ** 2 + (1 / 8) ** 2)
    assert spread[2, 2] == pytest.approx(2 * (1 / 2) ** 2)
    # a field that reaches over the whole picture from every place has no middle to go by
    over = Field(Side(-3, 19 + 12, 4), Side(-3, 19 + 12, 4))
    assert np.array_equal(heats.between(np.eye(4, dtype=np.float32), over, (16, 16)), by_cells)


def test_by_the_network_the_place_is_right() -> None:
    """A single bright pixel excites the places whose fields have their middle near it, at any stride."""
    net = nn.Sequential(nn.Conv2d(1, 1, 7, 2, 3, bias=False), nn.Conv2d(1, 1, 3, 2, 1, bias=False), nn.Flatten())
    head = nn.Linear(64, 2)
    for layer in (*net[:2], head):
        nn.init.ones_(layer.weight)
    of = Predictor(nn.Sequential(*net, head), ("a", "b"), Preprocess("L", 32, 32, mean=(0.0,), std=(1.0,)))
    for row, column in ((4, 8), (20, 12), (24, 28)):
        picture = np.zeros((32, 32), np.uint8)
        picture[row, column] = 255
        heat = one(look(of, picture, "dot"), Asked(methods=("gradcam",), layer="1")).heat().values
        across, down = np.meshgrid(np.arange(32), np.arange(32))
        middle = (heat * down).sum() / heat.sum(), (heat * across).sum() / heat.sum()
        assert middle == pytest.approx((row, column), abs=1.0)


def test_pixels_in_another_order_have_their_heat_where_the_picture_has_them() -> None:
    """A network that looks at one pixel of the picture, wherever it is given it."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(64, 2, bias=False))
    preprocess = Preprocess("L", 8, 8, mean=(0.2,), std=(0.3,), permute_pixels=True)
    of = Predictor(net.eval(), ("a", "b"), preprocess)
    picture = noise((8, 8))[..., 0]
    picture[3, 5] = 255
    sight = look(of, picture, "x", "b")
    assert torch.allclose(sight.scores(sight.image), torch.as_tensor(of.logits(sight.pixels[None])), atol=1e-6)
    assert sight.order is not None
    where = int(np.flatnonzero(sight.order == 8 * 3 + 5)[0])
    with torch.no_grad():
        net[0].weight.fill_(1)
        net[0].bias.zero_()
        net[2].weight.zero_()
        net[2].weight[1, where] = 4
    # gradcam's mean gradient knows no place
    for method in ("layercam", "occlusion", "integrated"):
        layer = "conv1" if method == "layercam" else None
        values = one(look(of, picture, "x", "b"), Asked(methods=(method,), layer=layer)).heat().values
        row, column = np.unravel_index(int(np.abs(values).argmax()), values.shape)
        within = 1 if method == "occlusion" else 0
        assert abs(row - 3) <= within and abs(column - 5) <= within, method
