"""What runs the network: norms folded, other runtimes, and the check of parity that they all go through."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from torch import nn

from dojang.data.preprocess import Preprocess
from dojang.models import build
from dojang.predict.familiar import fit
from dojang.predict.predictor import Predictor
from dojang.serve import choose, engine, parity
from dojang.serve.engine import Plan
from dojang.serve.fold import folded
from dojang.serve.work import Asked, Work


def lived_in(model):
    """Norms that do something, as after training."""
    draw = torch.Generator().manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1, generator=draw)
            layer.running_var.uniform_(0.5, 2, generator=draw)
    return model.eval()


@pytest.fixture(scope="module")
def resnet():
    model = lived_in(build.build("resnet20", in_channels=3, classes=4, image_size=(32, 32), seed=0))
    how = Preprocess("RGB", 32, 32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    return Predictor(model, ("a", "b", "c", "d"), how, temperature=1.7)


def test_folding_leaves_the_function_and_the_network_as_they_were(resnet):
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    before = {name: value.clone() for name, value in resnet.model.state_dict().items()}
    made, count = folded(resnet.model, images)
    norms = sum(isinstance(layer, nn.BatchNorm2d) for layer in resnet.model.modules())
    assert count == norms > 15 and not any(isinstance(layer, nn.BatchNorm2d) for layer in made.modules())
    with torch.no_grad():
        assert torch.allclose(made(images), resnet.model(images), atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in resnet.model.state_dict().items())


def test_a_convolution_that_something_else_reads_fails_the_check_of_parity():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.end = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)

        def forward(self, x):
            y = self.conv(x)
            return self.end((y + self.norm(y)).mean((2, 3)))

    torch.manual_seed(0)
    model = lived_in(Shared())
    asked = Predictor(model, ("a", "b", "c"), Preprocess("L", 9, 9, mean=(0.5,), std=(0.25,)))
    shown = parity.pictures(12, 9, 9, 1)
    reference = engine.make(Plan(), asked, False)(shown)
    assert parity.compare(engine.make(Plan(), asked, False), reference, shown).holds
    assert not parity.compare(engine.make(Plan("folded"), asked, False), reference, shown).holds


@pytest.mark.parametrize("off", [2e-4, -2e-4, np.nan])
def test_parity_sees_small_changes_and_nan(resnet, off):
    shown = parity.pictures(8, 32, 32, 3)
    eager = engine.make(Plan(), resnet, True)
    reference = eager(shown)

    def wrong(pixels):
        seen, logits = eager(pixels)
        return seen, logits + np.float32([off * 100, 0, 0, 0]) * np.abs(reference[1]).max()

    assert parity.compare(eager, reference, shown).holds
    assert not parity.compare(wrong, reference, shown).holds


def test_eager_is_the_predictor_to_the_bit(resnet):
    shown = parity.pictures(6, 32, 32, 3)
    seen, logits = engine.make(Plan(), resnet, True)(shown)
    wanted = resnet.look(shown)
    assert np.array_equal(seen, wanted[0].numpy()) and np.array_equal(logits, wanted[1].numpy())


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_other_runtimes_answer_the_same_for_any_batch(resnet, name):
    for library in ("onnx", "onnxscript", {"onnx": "onnxruntime"}.get(name, name)):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    shown = parity.pictures(10, 32, 32, 3)
    data = engine.in_memory_onnx(resnet, True)
    made = engine.make(Plan(name, 1, model=data), resnet, True)
    held = parity.compare(made, engine.make(Plan(), resnet, True)(shown), shown)
    assert held.holds and held.gap < 2e-5


def test_the_fastest_that_agrees_is_chosen_and_the_others_are_told(resnet, monkeypatch):
    """An engine that is quick and wrong is never taken; one that cannot be made is told with its reason."""
    real = engine.make

    def make(plan, predictor, with_features):
        made = real(Plan(), predictor, with_features)
        if plan.engine == "bf16":
            return lambda pixels: (made(pixels)[0], np.roll(made(pixels)[1], 1, axis=1))
        if plan.engine == "onnx":
            raise RuntimeError("no such operator\nand more")
        return made

    times = {"eager": 0.003, "folded": 0.001}
    monkeypatch.setattr(engine, "available", lambda device: ["eager", "bf16", "onnx", "folded"])
    monkeypatch.setattr(engine, "make", make)
    monkeypatch.setattr(engine, "in_memory_onnx", lambda *_: b"x")
    calls = iter([*[times["eager"]] * 3, *[times["folded"]] * 3])
    monkeypatch.setattr(choose, "_time", lambda made, pixels: next(calls, 0.001) * len(pixels))
    plan, tried = choose.choose(resnet, with_features=True, threads=1, set_threads=lambda n: None)
    assert plan.engine == "folded" and plan.threads == 1
    why = {one.engine: one.why for one in tried}
    assert why["bf16"].startswith("off by ") and why["onnx"] == "RuntimeError: no such operator"
    assert why["eager"] == why["folded"] == ""


def test_unknown_is_what_the_predictor_says(resnet):
    shown = parity.pictures(60, 32, 32, 3)
    seen = resnet.look(shown)[0]
    familiar = fit(seen[:30], torch.arange(30) % 4, seen[30:50])
    known = Predictor(resnet.model, resnet.labels, resnet.preprocess, temperature=1.7, familiar=familiar)
    wanted = list(known.predict([(str(n), one) for n, one in enumerate(shown)], none_of_these=True, batch_size=7))
    work = Work(known, engine.make(Plan(), known, True), none_of_these=True)
    found = [work._batch([Asked(0, str(n), b"")], shown[n : n + 1], [0])[0] for n in range(60)]
    import json

    rows = [json.loads(one) for one in found]
    assert [one["unknown"] for one in rows] == [one.unknown for one in wanted]
    assert {True, False} == {one.unknown for one in wanted}
    assert [one["familiarity"] for one in rows] == pytest.approx([one.familiarity for one in wanted], abs=0.05)
