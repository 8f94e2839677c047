"""The works behind the rates compute what they are named after, and are counted as torch counts them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from dojang.bench import decoding as decoding_room
from dojang.bench import rates
from dojang.bench.decoding import HEIGHT, WIDTH, decoding, jpeg
from dojang.bench.measure import Times
from dojang.data.decode import decode

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_SIDE", {"cpu": 48})
    monkeypatch.setattr(rates, "_BATCH", {"cpu": 3})
    monkeypatch.setattr(rates, "_COPIED", {"cpu": 4096})
    monkeypatch.setattr(decoding_room, "PICTURES", 2)
    monkeypatch.setattr(rates, "SHAPES", ((4, 6, 5), (8, 8, 3)))


def flop_of(call: object) -> int:
    with FlopCounterMode(display=False) as counter:
        call()  # type: ignore[operator]
    return counter.get_total_flops()


def test_operations_are_counted_as_torch_counts_them() -> None:
    found = [*rates.gemm(CPU), *rates.convolution(CPU)]
    assert len(found) == 2 + 2 * 2 * 3
    for rate in found:
        assert rate.amounts["tflop_per_s"] * 1e12 == pytest.approx(flop_of(rate.work.prepare()), rel=1e-12)


def test_a_product_is_a_product() -> None:
    for rate in rates.gemm(CPU):
        dtype = rates.PRECISIONS[rate.facts["precision"]]
        out = rate.work.prepare()()
        assert isinstance(out, torch.Tensor)
        a, b = (rates._draw((48, 48), CPU, dtype, part) for part in (0, 1))
        assert out.dtype == dtype
        assert not torch.equal(a, b)
        # one rounding of the result: 2**-8 for bf16; sums of 48 products for fp32
        assert torch.allclose(out.double(), a.double() @ b.double(), rtol=2**-8 if dtype == torch.bfloat16 else 1e-5,
                              atol=1e-4)  # fmt: skip


@pytest.mark.parametrize("shape", [(4, 6, 5), (8, 8, 3)])
def test_passes_are_those_of_autograd(shape: tuple[int, int, int]) -> None:
    x, weight, gradient = rates._layer(shape, 3, CPU, torch.float32)
    for tensor in (x, weight, gradient):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    wide, filters = x.double().requires_grad_(), weight.double().requires_grad_()
    expected = F.conv2d(wide, filters, padding=1)
    expected.backward(gradient.double())
    found = {
        rate.facts["pass"]: rate.work.prepare()()
        for rate in rates.convolution(CPU)
        if rate.facts["precision"] == "fp32" and rate.facts["in_channels"] == shape[0]
    }
    assert list(found) == list(rates.PASSES)
    # sums of at most 9 * 8 products in fp32
    close = {"rtol": 1e-4, "atol": 1e-4}
    assert torch.allclose(found["forward"].double(), expected, **close)
    data, weights, bias = found["data_gradient"]
    assert torch.allclose(data.double(), wide.grad, **close)
    assert weights is None
    data, weights, bias = found["weight_gradient"]
    assert torch.allclose(weights.double(), filters.grad, **close)
    assert data is None
    assert bias is None


def test_bf16_passes_are_bf16() -> None:
    for rate in rates.convolution(CPU):
        out = rate.work.prepare()()
        tensors = [t for t in (out if isinstance(out, tuple) else (out,)) if t is not None]
        assert {t.dtype for t in tensors} == {rates.PRECISIONS[rate.facts["precision"]]}


def test_a_copy_copies_and_counts_both_ways() -> None:
    (rate,) = rates.copy(CPU)
    target = rate.work.prepare()()
    assert isinstance(target, torch.Tensor)
    assert target.nbytes == 4096
    assert bool((target == 1).all())
    assert rate.amounts == {"gb_per_s": 8192e-9}


def test_inputs_are_the_same_every_time_and_no_generator_moves() -> None:
    before = torch.get_rng_state()
    first, second = (rates._draw((5, 5), CPU, torch.float32, 1) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_peak_is_the_best_that_ran() -> None:
    rows = [
        {"precision": "fp32", "tflop_per_s": {"median": 0.25, "max": 9.0}},
        {"precision": "fp32", "tflop_per_s": {"median": 0.5, "max": 0.6}},
        {"precision": "bf16", "tflop_per_s": None, "failed": "out of memory"},
    ]
    assert rates.peak(rows) == {"fp32": 0.5, "bf16": None}
    assert rates.peak([]) == {"fp32": None, "bf16": None}


def test_the_jpegs_are_pictures_with_something_in_them() -> None:
    pixels = decode(jpeg(0), "a.jpg", mode="RGB")
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert pixels.std() > 20
    # photographs take some tenths of a byte a pixel
    assert 0.2 < len(jpeg(0)) / (HEIGHT * WIDTH) < 0.8
    assert jpeg(0) == jpeg(0) != jpeg(1)


def test_decoding_with_one_thread_and_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [rate.facts["threads"] for rate in decoding(1)] == [1]
    found = decoding(2)
    assert [rate.facts["threads"] for rate in found] == [1, 2]
    seen: list[str] = []
    monkeypatch.setattr("dojang.bench.decoding.decode", lambda data, where, mode: seen.append(mode))
    for rate in found:
        rate.work.prepare()()
    assert seen == ["RGB"] * 4
    row = found[0].row(Times((2.0,)))
    assert row["images_per_s"]["median"] == 1.0
    assert row["megapixel_per_s"]["median"] == WIDTH * HEIGHT / 1e6
    assert row["bytes"] == sum(len(jpeg(i)) for i in range(2)) // 2


def test_a_failing_decoder_is_a_failure_in_threads_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes, where: str, mode: str) -> None:
        raise ValueError("no")

    monkeypatch.setattr("dojang.bench.decoding.decode", broken)
    for rate in decoding(2):
        with pytest.raises(ValueError, match="no"):
            rate.work.prepare()()
