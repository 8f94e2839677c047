"""bf16 is trusted only where a network's own layers agree with fp32; else the run says so and uses fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dojang.models import build
from dojang.native import compiler, convolution
from dojang.runs import recipe, session, train
from dojang.runs.session import Session
from dojang.train import precision
from dojang.train.log import Silent
from dojang.train.precision import Agreement, compare, has_bf16

CPU = torch.device("cpu")
CPUINFO = "processor\t: 0\nmodel name\t: one\nflags\t\t: fpu avx512f {}\n\nprocessor\t: 1\nflags\t\t: fpu\n"


def network() -> nn.Module:
    net = build.build("sprint-s", in_channels=1, classes=4, image_size=(28, 28), seed=0)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def pictures() -> Tensor:
    return torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def break_layer(monkeypatch: pytest.MonkeyPatch, number: int, change: Any) -> None:
    """From here on bf16 is wrong in one layer, the ``number``-th that is run."""
    real, runs = precision._apply, [0]

    def wrong(layer: nn.Module, x: Tensor, weight: Tensor) -> Tensor:
        y = real(layer, x, weight)  # type: ignore[arg-type]
        if x.dtype == torch.bfloat16:
            runs[0] += 1
            return change(y) if runs[0] == number else y  # type: ignore[no-any-return]
        return y

    monkeypatch.setattr(precision, "_apply", wrong)


def test_a_real_network_agrees() -> None:
    found = compare(network(), pictures())
    # two roundings of inputs that are the same, sums in fp32, one rounding of the result: 2^-9 on average
    assert 0 < found.error < 0.01
    assert found.close
    assert found.layer in dict(network().named_modules())
    assert found.what in ("forward", "data gradient", "weight gradient")


@pytest.mark.skipif(not compiler.processor_has("avx512_bf16"), reason="the processor lacks AVX512-BF16")
@pytest.mark.skipif(not compiler.possible(), reason="no C compiler, or another OpenMP")
def test_what_is_compared_is_what_training_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel for filters is part of training in bf16, so it is looked at, too."""
    real = convolution.weight_gradient
    net = build.build("sprint-s", in_channels=3, classes=4, image_size=(32, 32), seed=0)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert compare(net, images).close
    monkeypatch.setattr(convolution, "weight_gradient", lambda x, grad: 1.5 * real(x, grad))
    found = compare(net, images)
    assert found.what == "weight gradient"
    assert found.error == pytest.approx(0.5, abs=0.02)


def test_every_layer_is_asked_with_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = precision._apply

    def noted(layer: nn.Module, x: Tensor, weight: Tensor) -> Tensor:
        asked.append((type(layer), tuple(x.shape), x.dtype))
        return real(layer, x, weight)  # type: ignore[arg-type]

    monkeypatch.setattr(precision, "_apply", noted)
    compare(network(), pictures())
    convs = [(8, 1, 28, 28), (8, 8, 27, 27), (8, 16, 13, 13), (8, 16, 13, 13), (8, 32, 6, 6), (8, 32, 6, 6)]
    shapes = [*convs, (8, 32, 3, 3)]
    assert asked[::2] == [(nn.Conv2d, shape, torch.bfloat16) for shape in shapes] + [
        (nn.Linear, (8, 32), torch.bfloat16)
    ]
    assert asked[1::2] == [(kind, shape, torch.float32) for kind, shape, _ in asked[::2]]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda y: y * 1.1, ""),
        (lambda y: y + y.detach().roll(1, 0), "forward"),
        (lambda y: y.detach() + 2 * (y - y.detach()), "gradient"),
    ],
    ids=["too large", "mixed up", "wrong only on the way back"],
)
@pytest.mark.parametrize(("number", "name"), [(1, "whiten1"), (3, "conv2"), (8, "fc1")])
def test_a_wrong_layer_is_found(
    monkeypatch: pytest.MonkeyPatch, change: Any, what: str, number: int, name: str
) -> None:
    break_layer(monkeypatch, number, change)
    found = compare(network(), pictures())
    assert found.layer == name
    assert what in found.what
    assert found.error > 0.05
    assert not found.close


@pytest.mark.parametrize("what", ["data gradient", "weight gradient"])
def test_each_way_back_is_compared_by_itself(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    real, runs = precision._apply, [0]

    def wrong(layer: nn.Module, x: Tensor, weight: Tensor) -> Tensor:
        if x.dtype == torch.bfloat16:
            runs[0] += 1
            if runs[0] == 5:
                # the same numbers, and twice the gradient
                twice = lambda t: t.detach() + 2 * (t - t.detach())  # noqa: E731
                x, weight = (twice(x), weight) if what == "data gradient" else (x, twice(weight))
        return real(layer, x, weight)  # type: ignore[arg-type]

    monkeypatch.setattr(precision, "_apply", wrong)
    found = compare(network(), pictures())
    assert (found.layer, found.what) == ("conv4", what)
    assert found.error == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("number", [3, 8])
def test_nan_is_no_agreement(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    break_layer(monkeypatch, number, lambda y: y * float("nan"))
    found = compare(network(), pictures())
    assert not found.close
    assert found.layer == {3: "conv2", 8: "fc1"}[number]


def test_nothing_is_changed_by_the_comparison() -> None:
    net = network().train()
    net.get_submodule("conv2").eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = pictures()
    compare(net, x)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(x, pictures())
    assert all(p.grad is None for p in net.parameters())
    assert not any(module._forward_pre_hooks for module in net.modules())
    assert net.training


def test_hooks_are_taken_away_when_the_network_fails() -> None:
    net = network()
    with pytest.raises(Exception, match="C204"):
        compare(net, torch.zeros(2, 3, 28, 28))
    assert not any(module._forward_pre_hooks for module in net.modules())
    assert net.training


def test_a_network_without_such_layers_agrees() -> None:
    assert compare(nn.Sequential(nn.Flatten(), nn.ReLU()), pictures()) == Agreement("", "", 0.0)


# The choice


@pytest.mark.parametrize(
    ("flags", "expected"), [("avx512_bf16", True), ("amx_bf16 amx_tile", True), ("avx512_vnni", False), ("", False)]
)
def test_units_are_read_from_the_processor_s_flags(monkeypatch: pytest.MonkeyPatch, flags: str, expected: bool) -> None:
    monkeypatch.setattr(compiler, "processor_has", compiler.processor_has.__wrapped__)
    monkeypatch.setattr(Path, "read_text", lambda self: CPUINFO.format(flags))
    assert has_bf16(CPU) is expected


def test_where_nothing_is_known_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(self: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(compiler, "processor_has", compiler.processor_has.__wrapped__)
    monkeypatch.setattr(Path, "read_text", absent)
    assert not has_bf16(CPU)
    assert not has_bf16(torch.device("mps"))


class Listening(Silent):
    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def trained(data: Path, project: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[str, list[str]]:
    """The precision that args.yaml records, and what was said."""
    monkeypatch.setattr(Session, "finish", lambda self: {})
    tiny = {"model": "mnist-cnn", "conv_dims": "3,4", "hidden_dims": "6", "epochs": 1, "batch_size": 40, "threads": 1}
    reporter = Listening()
    layer = recipe.read_layer(tiny | {"project": str(project)} | options, "test")
    folder = train.begin(str(data), [layer], reporter=reporter)
    return recipe.load(folder / "args.yaml")[0].train.precision, [
        note for note in reporter.notes if "precision" in note
    ]


@pytest.mark.parametrize(
    ("units", "error", "expected"), [(True, 0.003, "bf16"), (True, 0.3, "fp32"), (False, 0.003, "fp32")]
)
def test_auto_is_bf16_where_it_is_fast_and_right(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, units: bool, error: float, expected: str
) -> None:
    monkeypatch.setattr(session, "has_bf16", lambda device: units)
    monkeypatch.setattr(session, "compare", lambda model, images: Agreement("conv2", "data gradient", error))
    found, notes = trained(stripes, tmp_path, monkeypatch)
    assert found == expected
    said = ["precision: fp32, since bf16 is off by 30 % in the data gradient of conv2"]
    assert notes == (said if units and expected == "fp32" else [])


@pytest.mark.parametrize("given", ["fp32", "bf16"])
def test_a_precision_that_was_given_is_not_asked_about(
    stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    def never(*asked: Any) -> Agreement:
        raise AssertionError("it was compared")

    monkeypatch.setattr(session, "compare", never)
    assert trained(stripes, tmp_path, monkeypatch, precision=given) == (given, [])
