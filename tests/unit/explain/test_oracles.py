"""Heat maps beside those of captum (BSD-3), on the same weights, pictures and layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from patches import noise, untaught

from dojang.explain import heat as heats
from dojang.explain.integrated import integrated
from dojang.explain.occlusion import occlusion
from dojang.explain.sight import Sight, look

NAMES = ("mnist-cnn", "resnet20", "squeezenet1_1")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def captum() -> Any:
    return pytest.importorskip("captum.attr")


@pytest.fixture(params=NAMES)
def sight(request: pytest.FixtureRequest) -> Sight:
    return look(untaught(request.param, (32, 32)), noise((32, 32)), "noise", "c")


def test_gradcam(captum: Any, sight: Sight) -> None:
    watched = heats.watch(sight)
    layer = sight.predictor.model.get_submodule(watched.target.call.path)
    theirs = captum.LayerGradCam(sight.predictor.model, layer).attribute(sight.image, target=2, relu_attributions=True)
    ours = heats.gradcam(watched.maps, watched.gradients)
    assert float(ours.max()) > 0 or not theirs.any()
    assert torch.allclose(ours, theirs[0, 0].detach(), rtol=1e-4, atol=1e-6)


def test_maps_and_their_gradients(captum: Any, sight: Sight) -> None:
    """What LayerCAM is made of: captum has the products of maps and gradients, before anything is left out."""
    watched = heats.watch(sight)
    layer = sight.predictor.model.get_submodule(watched.target.call.path)
    theirs = captum.LayerGradientXActivation(sight.predictor.model, layer).attribute(sight.image, target=2)
    assert torch.allclose(watched.maps * watched.gradients, theirs[0].detach(), rtol=1e-4, atol=1e-6)
    # of maps that are nowhere below 0 the positive products are those of positive gradients
    if float(watched.maps.min()) >= 0:
        ours = heats.layercam(watched.maps, watched.gradients)
        assert torch.allclose(ours, theirs[0].detach().relu().sum(dim=0), rtol=1e-4, atol=1e-6)


def test_integrated_gradients(captum: Any, sight: Sight) -> None:
    heat = integrated(sight)
    p = sight.predictor.preprocess
    black = (0 - torch.tensor(p.mean)) / torch.tensor(p.std)
    theirs = captum.IntegratedGradients(sight.predictor.model).attribute(
        sight.image,
        baselines=black.reshape(1, 3, 1, 1).expand_as(sight.image),
        target=2,
        n_steps=heat.facts["steps"],
        method="riemann_middle",
    )
    wanted = theirs[0].sum(dim=0).detach().numpy()
    assert np.abs(wanted).max() > 0
    assert heat.values == pytest.approx(wanted, abs=1e-4 * float(np.abs(wanted).max()))


def test_occlusion(captum: Any, sight: Sight) -> None:
    heat = occlusion(sight, window=8, stride=4)
    with torch.no_grad():
        theirs = captum.Occlusion(sight.predictor.model).attribute(
            sight.image, sliding_window_shapes=(3, 8, 8), strides=(3, 4, 4), baselines=0, target=2
        )
    wanted = theirs[0, 0].numpy()
    assert np.abs(wanted).max() > 0
    assert heat.values == pytest.approx(wanted, abs=1e-4 * float(np.abs(wanted).max()))
