"""What a network's figures are of: its operations by hand, its steps, its rows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from dojang.bench import network
from dojang.bench.measure import Times, interleaved
from dojang.bench.network import Measured
from dojang.bench.options import BenchOptions
from dojang.bench.rates import PRECISIONS
from dojang.errors import ConfigError
from dojang.models.presets import PRESETS

CPU = torch.device("cpu")
SMALL = BenchOptions(imgsz=12, channels=1, classes=4, batch_size=6)
OWN = """
import torch
from torch import nn

class Fussy(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.filters = nn.Conv2d(1, 4, 3)
        self.out = nn.Linear(4, classes)

    def forward(self, x):
        x = self.filters(x)
        if x.dtype == torch.bfloat16:
            raise RuntimeError("no kernel for bf16")
        return self.out(x.mean(dim=(2, 3)))
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(OWN)
    return f"{path}:Fussy"


def test_operations_of_mnist_cnn_by_hand() -> None:
    found = Measured("mnist-cnn", BenchOptions(imgsz=28, channels=1), CPU)
    # 1->32 at 28x28, 32->64 at 14x14 after a pool, then 64*7*7 -> 32 -> 10
    by_hand = 2 * (9 * 1 * 32 * 28**2 + 9 * 32 * 64 * 14**2 + 64 * 7**2 * 32 + 32 * 10)
    assert found.facts()["forward_flop_per_image"] == by_hand
    assert found.facts()["training_flop_per_image"] == 3 * by_hand
    assert found.facts()["parameters"] == 119530
    assert found.facts()["optimizer"] == "adam"


def test_counting_leaves_every_layer_in_its_mode() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    network.flop(model, 1, 5)
    assert [layer.training for layer in model] == [True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_recipe_is_the_presets() -> None:
    found = Measured("mnist-mlp", SMALL, CPU)
    assert (found.recipe.train.optimizer, found.recipe.task.loss) == ("sgd", "bce")
    assert Measured(None, SMALL, CPU).name in PRESETS


def test_a_row_is_the_arithmetic_of_its_times() -> None:
    found = Measured("mlp", SMALL, CPU)
    facts = {"mode": "training", "precision": "fp32", "layout": "contiguous"}
    peak = {"fp32": 1e-6, "bf16": None}
    cost = 2 * (144 * 128 + 128 * 4)
    row = found.row(facts, Times((0.5,)), peak)
    assert row["images_per_s"] == {"n": 1, "median": 12.0, "min": 12.0, "max": 12.0}
    assert row["tflop_per_s"] == pytest.approx(12 * 3 * cost / 1e12, rel=1e-12)
    assert row["share_of_peak"] == pytest.approx(12 * 3 * cost / 1e12 / 1e-6, rel=1e-12)
    row = found.row(facts | {"mode": "inference", "precision": "bf16"}, Times((0.5,)), peak)
    assert row["tflop_per_s"] == pytest.approx(12 * cost / 1e12, rel=1e-12)
    assert row["share_of_peak"] is None
    row = found.row(facts, Times(failed="out of memory"), peak)
    assert (row["images_per_s"], row["tflop_per_s"], row["share_of_peak"]) == (None, None, None)
    assert row["failed"] == "out of memory"


def test_every_mode_precision_and_layout_once() -> None:
    facts = [tuple(found.values()) for found, _ in Measured("mlp", SMALL, CPU).works()]
    assert len(set(facts)) == len(facts) == 8
    assert facts[0] == ("training", "fp32", "channels_last")


def test_a_step_is_that_of_the_loop() -> None:
    made = Measured("cnn", SMALL, CPU)
    subject = network._Subject(made, "fp32", "channels_last")
    # the same by hand; the preset's dropout draws from torch's generator
    twin = network._Subject(made, "fp32", "channels_last").model
    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-3)
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        subject.train()
        torch.manual_seed(3)
        twin.train()
        nn.functional.cross_entropy(twin(subject.batch.images), subject.batch.targets).backward()
        optimizer.step()
    for mine, other, old in zip(subject.model.parameters(), twin.parameters(), made.model.parameters(), strict=True):
        # fused and unfused Adam round differently; a step is 1e-3
        assert torch.allclose(mine, other, rtol=0, atol=1e-5)
        assert mine.data_ptr() != old.data_ptr()
    assert any(
        not torch.equal(mine, old)
        for mine, old in zip(subject.model.parameters(), made.model.parameters(), strict=True)
    )


@pytest.mark.parametrize("layout", list(network.LAYOUTS))
@pytest.mark.parametrize(("precision", "dtype"), list(PRECISIONS.items()))
def test_layouts_and_precisions_are_what_they_say(layout: str, precision: str, dtype: torch.dtype) -> None:
    options = BenchOptions(imgsz=12, channels=3, classes=4, batch_size=6)
    subject = network._Subject(Measured("cnn", options, CPU), precision, layout)
    form = network.LAYOUTS[layout]
    other = next(value for name, value in network.LAYOUTS.items() if name != layout)
    filters = [p for p in subject.model.parameters() if p.ndim == 4 and p.shape[1] > 1]
    assert filters
    for tensor in (subject.batch.images, *filters):
        assert tensor.is_contiguous(memory_format=form)
        assert not tensor.is_contiguous(memory_format=other)
    logits = subject.infer()
    assert logits.shape == (6, 4)
    assert logits.dtype == dtype
    assert logits.is_inference()
    assert not subject.model.training
    subject.train()
    assert subject.model.training
    assert {p.dtype for p in subject.model.parameters()} == {torch.float32}


def test_training_and_inference_share_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str]] = []
    real = network._Subject

    def subject(measured: Measured, precision: str, layout: str) -> object:
        made.append((precision, layout))
        return real(measured, precision, layout)

    monkeypatch.setattr(network, "_Subject", subject)
    for _, work in Measured("mlp", SMALL, CPU).works():
        work.prepare()
    assert len(made) == len(set(made)) == 4


def test_a_network_that_cannot_do_bf16_says_so(own: str) -> None:
    found = Measured(own, SMALL, CPU)
    works = found.works()
    times = interleaved([work for _, work in works], 1e-3)
    for (facts, _), time in zip(works, times, strict=True):
        if facts["precision"] == "bf16":
            assert found.row(facts, time, {})["failed"] == "RuntimeError: no kernel for bf16"
        else:
            assert len(time.seconds) >= 3


def test_networks_that_cannot_be_measured_at_all(own: str) -> None:
    with pytest.raises(ConfigError, match="C203"):
        Measured("cmm", SMALL, CPU)
    with pytest.raises(ConfigError, match="cannot take a picture of 12x12, 3 channels") as caught:
        Measured(own, BenchOptions(imgsz=12, channels=3, classes=4), CPU)
    assert caught.value.code == "C208"
    assert "--channels" in caught.value.fix
