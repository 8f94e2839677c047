"""Every registered network: a heat map at a layer that is found, and every number traced is the network's own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from patches import noise, untaught

from dojang.explain.explain import Asked, one
from dojang.explain.sight import look
from dojang.explain.unit import Unit
from dojang.explain.xray import xray
from dojang.models.build import MODELS

# layers of a network that are looked through, at two units each
LAYERS = 24
DENSE = {"mlp", "mnist-mlp"}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", MODELS)
def test_it_is_explained_and_every_number_is_the_networks_own(name: str) -> None:
    sight = look(untaught(name, (28, 28), 1), noise((28, 28)), "noise")
    explanation = one(sight, Asked(methods=("occlusion",) if name in DENSE else ("gradcam", "layercam")))
    for heat in explanation.heats:
        assert heat.values.shape == (28, 28) and np.isfinite(heat.values).all()
        assert heat.layer is not None or name in DENSE
    # what speaks for a class on average may be nothing; place by place something does
    assert np.ptp(explanation.heats[-1].values) > 0
    if name not in DENSE:
        call = sight.trace.find(explanation.layer or "")
        # as near the answer as there are at least 4 x 4 places
        assert call.gave is not None and min(sight.trace.nodes[call.gave].shape[1:]) >= 4
    calls = [call for call in sight.trace.calls if call.gave is not None and call.path]
    draw = np.random.default_rng(len(calls))
    for number in sorted(draw.permutation(len(calls))[:LAYERS].tolist()):
        shape = sight.trace.nodes[calls[number].gave or 0].shape
        for _ in range(2):
            unit = Unit(calls[number], tuple(int(draw.integers(side)) for side in shape))
            found = xray(sight, unit)
            own = float(sight.trace.value(calls[number].gave or 0)[unit.index])
            assert found.value == own
            assert found.work.result is not None, f"{found.unit} is not written out"
            assert abs(found.work.result - own) <= 1e-5 * max(1.0, abs(own)), found.unit
            assert found.readers, f"nobody reads {found.unit}"
            assert max(map(len, str(found).split("\n"))) <= 80
