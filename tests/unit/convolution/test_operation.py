"""N1 to N3: four ways, torch in float64, SciPy, adjoints and finite differences agree; the worked figures stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import signal

from dojang.convolution import METHODS, conv, conv_gradients, conv_transpose, convolve, correlate, geometry, stuffed
from dojang.convolution.geometry import MODES
from dojang.errors import ConfigError


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape)


TORCH = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
BACK = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@st.composite
def layers(draw: Any, axes: int | None = None) -> dict[str, Any]:
    """The shapes and options of a layer that fits, sizes from 0 on."""
    n_axes = axes or draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    each, part = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    largest = {1: 17, 2: 9, 3: 5}[n_axes]
    options = {
        "stride": tuple(draw(st.integers(1, 3)) for _ in range(n_axes)),
        "dilation": tuple(draw(st.integers(1, 3)) for _ in range(n_axes)),
        "padding": tuple(tuple(draw(st.integers(0, 3)) for _ in range(2)) for _ in range(n_axes)),
    }
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(n_axes))
    sizes = tuple(draw(st.integers(0, largest)) for _ in range(n_axes))
    for n, k, d, (before, behind) in zip(sizes, kernel, options["dilation"], options["padding"], strict=True):
        assume(n + before + behind >= d * (k - 1) + 1)
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    x = random.standard_normal((draw(st.integers(0, 2)), each * groups, *sizes))
    w = random.standard_normal((part * groups, each, *kernel))
    return {"x": x, "w": w, "b": random.standard_normal(len(w)), "groups": groups, **options}


def by_torch(x: np.ndarray, w: np.ndarray, b: np.ndarray | None, fill: float = 0, **o: Any) -> torch.Tensor:
    """The same by torch in float64; its own padding has one number for both sides, so it is done before."""
    pads = [side for pair in reversed(o["padding"]) for side in pair]
    wide = F.pad(torch.as_tensor(x), pads, value=fill)
    bias = None if b is None else torch.as_tensor(b)
    return TORCH[x.ndim - 2](
        wide, torch.as_tensor(w), bias, stride=o["stride"], dilation=o["dilation"], groups=o["groups"]
    )


@settings(max_examples=150, deadline=None)
@given(layer=layers(), fill=st.sampled_from([0.0, 1.5]))
def test_every_way_gives_torch_s_numbers(layer: dict[str, Any], fill: float) -> None:
    expected = by_torch(fill=fill, **layer).numpy()
    for method in METHODS:
        shape = geometry(layer["x"].shape[2:], layer["w"].shape[2:], **{k: layer[k] for k in OPTIONS})
        plain = shape.stride == shape.dilation == (1, 1)
        if method == "winograd" and not (shape.kernel == (3, 3) and plain):
            continue
        found = conv(**layer, fill=fill, method=method)
        assert found.shape == expected.shape, method
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10, err_msg=method)


OPTIONS = ("stride", "padding", "dilation")


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(st.integers(3, 17), st.integers(3, 17)),
    groups=st.integers(1, 2),
    padding=st.integers(0, 2),
    count=st.integers(0, 2),
    seed=st.integers(0, 99),
)
def test_winograd(sizes: tuple[int, int], groups: int, padding: int, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, w = random.standard_normal((count, 2 * groups, *sizes)), random.standard_normal((3 * groups, 2, 3, 3))
    found = conv(x, w, groups=groups, padding=padding, method="winograd")
    np.testing.assert_allclose(found, conv(x, w, groups=groups, padding=padding, method="loops"), atol=1e-11)


@settings(max_examples=100, deadline=None)
@given(layer=layers(), method=st.sampled_from(["loops", "columns"]), fill=st.sampled_from([0.0, 2.0]))
def test_the_backward_pass_is_torch_s(layer: dict[str, Any], method: str, fill: float) -> None:
    b = layer.pop("b")
    tensors = [torch.tensor(one, requires_grad=True) for one in (layer["x"], layer["w"], b)]
    pads = [side for pair in reversed(layer["padding"]) for side in pair]
    out = TORCH[layer["x"].ndim - 2](
        F.pad(tensors[0], pads, value=fill), *tensors[1:], layer["stride"], 0, layer["dilation"], layer["groups"]
    )
    dout = np.random.default_rng(0).standard_normal(out.shape)
    out.backward(torch.as_tensor(dout))
    found = conv_gradients(dout=dout, method=method, fill=fill, **layer)
    for ours, tensor in zip((found.x, found.w, found.b), tensors, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=1e-10, atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(layer=layers(), seed=st.integers(0, 99))
def test_the_backward_pass_is_the_adjoint(layer: dict[str, Any], seed: int) -> None:
    """<C x, y> = <x, C' y>, for x and for w: no derivative is needed to say so."""
    layer.pop("b")
    out = conv(**layer)
    y = np.random.default_rng(seed).standard_normal(out.shape)
    found = conv_gradients(dout=y, **layer)
    left = (out * y).sum()
    assert abs(left - (layer["x"] * found.x).sum()) < 1e-9 * (1 + abs(left))
    assert abs(left - (layer["w"] * found.w).sum()) < 1e-9 * (1 + abs(left))


def test_finite_differences() -> None:
    random = np.random.default_rng(0)
    x, w = random.standard_normal((2, 4, 5, 6)), random.standard_normal((6, 2, 3, 2))
    how: dict[str, Any] = {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "groups": 2}
    dout = random.standard_normal(conv(x, w, **how).shape)
    found = conv_gradients(x, w, dout, **how)
    for array, gradient in ((x, found.x), (w, found.w)):
        for at in list(np.ndindex(*array.shape))[::7]:
            kept, values = array[at], []
            for step in (1e-5, -1e-5):
                array[at] = kept + step
                values.append((conv(x, w, **how) * dout).sum())
            array[at] = kept
            assert abs((values[0] - values[1]) / 2e-5 - gradient[at]) < 1e-7


@settings(max_examples=100, deadline=None)
@given(data=st.data(), axes=st.integers(1, 3))
def test_the_transposed_convolution_is_torch_s(data: Any, axes: int) -> None:
    draw = data.draw
    groups, each, part = draw(st.sampled_from([1, 2])), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    sizes = tuple(draw(st.integers(1, 4)) for _ in range(axes))
    stride = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(axes))
    extra = tuple(draw(st.integers(0, s - 1)) for s in stride)
    padding = tuple(draw(st.integers(0, 1)) for _ in range(axes))
    full = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(sizes, stride, dilation, kernel, strict=True)]
    assume(all(n - 2 * p + e > 0 for n, p, e in zip(full, padding, extra, strict=True)))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    x = random.standard_normal((2, part * groups, *sizes))
    w = random.standard_normal((part * groups, each, *kernel))
    b = random.standard_normal(each * groups)
    expected = BACK[axes](
        torch.as_tensor(x), torch.as_tensor(w), torch.as_tensor(b), stride, padding, extra, groups, dilation
    ).numpy()
    how: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": groups}
    found = conv_transpose(x, w, b, padding=padding, output_padding=extra, **how)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    # zeros between the numbers, and an ordinary convolution with the turned filters
    turned = np.flip(w.reshape(groups, part, each, *kernel), tuple(range(3, 3 + axes))).swapaxes(1, 2)
    again = conv(
        stuffed(x, stride), turned.reshape(each * groups, part, *kernel), b, padding="full", dilation=dilation,
        groups=groups,
    )  # fmt: skip
    inner = tuple(slice(p, n - p) for p, n in zip(padding, full, strict=True))
    if not any(extra):
        np.testing.assert_allclose(again[(slice(None), slice(None), *inner)], expected, rtol=1e-10, atol=1e-10)


def test_the_worked_example() -> None:
    """SCOPE O2."""
    x = [[10, 20, 30, 40], [0, 1, 0, 1], [30, 0, 10, 20], [0, 10, 20, 30]]
    w = [[1, 0], [0, 2]]
    assert correlate(x, w).tolist() == [[12, 20, 32], [0, 21, 40], [50, 40, 70]]
    assert convolve(x, w).tolist() == [[21, 40, 61], [0, 12, 20], [70, 20, 50]]
    full = [[20, 40, 60, 80, 0], [0, 12, 20, 32, 40], [60, 0, 21, 40, 1], [0, 50, 40, 70, 20], [0, 0, 10, 20, 30]]
    assert correlate(x, w, padding="full").tolist() == full
    same = [[12, 20, 32, 40], [0, 21, 40, 1], [50, 40, 70, 20], [0, 10, 20, 30]]
    assert correlate(x, w, padding="same").tolist() == same
    with pytest.warns(UserWarning, match="even kernel"):
        torch_s = F.conv2d(torch.tensor([[x]]).double(), torch.tensor([[w]]).double(), padding="same")
    assert torch_s[0, 0].tolist() == same
    # SciPy has the odd zeros before, and in one of its functions behind
    assert correlate(x, w, padding="same-before").tolist() == signal.correlate(x, w, mode="same").tolist() != same
    assert signal.correlate2d(x, w, mode="same").tolist() == same


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 99),
)
def test_modes_are_scipy_s(sizes: tuple[int, int], kernel: tuple[int, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    x, w = random.standard_normal(sizes), random.standard_normal(kernel)
    inside = sizes[0] >= kernel[0] and sizes[1] >= kernel[1]
    for theirs, mine in ((signal.correlate, correlate), (signal.convolve, convolve)):
        np.testing.assert_allclose(mine(x, w, padding="full"), theirs(x, w, mode="full"), atol=1e-12)
        if inside:
            np.testing.assert_allclose(mine(x, w, padding="same-before"), theirs(x, w, mode="same"), atol=1e-12)
            np.testing.assert_allclose(mine(x, w), theirs(x, w, mode="valid"), atol=1e-12)
    if inside:
        np.testing.assert_allclose(correlate(x, w, padding="same"), signal.correlate2d(x, w, mode="same"), atol=1e-12)
    np.testing.assert_allclose(convolve(x, w, padding="full"), convolve(w, x, padding="full"), atol=1e-12)


def test_sizes() -> None:
    """N - K + 1, N, N + K - 1; ceil(N / s) with "same", floor without padding."""
    assert [geometry((32,), (5,), padding=mode).out[0] for mode in MODES] == [28, 32, 32, 36]
    n, sames, floors = 32, [], []
    for _ in range(3):
        n = geometry((n,), (3,), stride=2, padding="same").out[0]
        sames.append(n)
    n = 32
    for _ in range(3):
        n = geometry((n,), (3,), stride=2).out[0]
        floors.append(n)
    assert (sames, floors) == ([16, 8, 4], [15, 7, 3])
    assert conv(np.zeros((1, 3, 32, 32)), np.zeros((4, 3, 5, 5))).shape == (1, 4, 28, 28)


@settings(max_examples=40, deadline=None)
@given(layer=layers(axes=2), seed=st.integers(0, 99))
def test_linear(layer: dict[str, Any], seed: int) -> None:
    layer.pop("b")
    x = layer.pop("x")
    other = np.random.default_rng(seed).standard_normal(x.shape)
    both = conv(2 * x - 3 * other, **layer)
    np.testing.assert_allclose(both, 2 * conv(x, **layer) - 3 * conv(other, **layer), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(layer=layers(axes=2), by=st.integers(1, 4), method=st.sampled_from(["columns", "loops", "fourier"]))
def test_the_same_everywhere(layer: dict[str, Any], by: int, method: str) -> None:
    """What is moved by whole strides comes out moved by as many places; zeros come in at the edge of both."""
    layer.pop("b")
    x, w, stride = layer["x"], layer["w"], layer["stride"]
    assume(min(x.shape[2:]) > 0)
    rows, columns = (by * s for s in stride)
    # so much room that nothing falls out, and windows that touch no more than zeros beside it
    reach = [d * (k - 1) + s for k, d, s in zip(w.shape[2:], layer["dilation"], stride, strict=True)]
    room = [(-(-r // s) * s, -(-r // s) * s + by * s + s) for r, s in zip(reach, stride, strict=True)]
    wide = np.pad(x, [(0, 0), (0, 0), *room])
    moved = np.roll(wide, (rows, columns), axis=(2, 3))
    options = {"stride": stride, "dilation": layer["dilation"], "groups": layer["groups"], "method": method}
    here, there = conv(wide, w, **options), conv(moved, w, **options)
    np.testing.assert_allclose(there[:, :, by:, by:], here[:, :, :-by, :-by], atol=1e-9)


def test_whole_numbers_stay_exact() -> None:
    large = 2**40 + 1
    for method in ("loops", "columns"):
        found = conv(np.full((1, 1, 3), large), np.ones((1, 1, 3), np.int8), method=method)
        assert found.dtype == np.int64 and found.item() == 3 * large
        # 200 + 200 does not fit into a byte
        assert conv(np.full((1, 1, 2), 200, np.uint8), np.ones((1, 1, 2), np.uint8), method=method).item() == 400
    assert conv(np.ones((1, 1, 4), np.float32), np.ones((1, 1, 2), np.float32)).dtype == np.float32
    assert conv(np.ones((1, 1, 4), np.float16), np.ones((1, 1, 2), np.float16)).dtype == np.float32
    # biases do not make it wider, and a fill that is no whole number of 64 bits does
    assert conv(np.ones((1, 1, 4), np.float32), np.ones((1, 1, 2), np.float32), [0]).dtype == np.float32
    assert conv(np.ones((1, 1, 1), int), np.ones((1, 1, 2), int), padding=1, fill=1e30).max() > 9e29


@pytest.mark.parametrize("method", ["loops", "columns", "fourier"])
def test_no_filters_and_no_channels(method: str) -> None:
    assert conv(np.ones((1, 2, 8)), np.ones((0, 2, 3)), method=method).shape == (1, 0, 6)
    assert conv(np.ones((1, 0, 8)), np.ones((4, 0, 3)), method=method).tolist() == np.zeros((1, 4, 6)).tolist()


def test_no_channels_back_and_across() -> None:
    found = conv_gradients(np.ones((1, 2, 8)), np.ones((0, 2, 3)), np.ones((1, 0, 6)))
    assert found.x.tolist() == np.zeros((1, 2, 8)).tolist() and found.w.shape == (0, 2, 3)
    assert conv_transpose(np.ones((1, 0, 8)), np.ones((0, 1, 3))).tolist() == np.zeros((1, 1, 10)).tolist()


def test_numpy_s_whole_numbers_are_as_good() -> None:
    x, w, two = np.arange(16.0).reshape(1, 2, 8), np.ones((2, 1, 3)), np.int64(2)
    expected = conv(x, w, stride=2, padding=2, dilation=2, groups=2)
    assert np.array_equal(conv(x, w, stride=two, padding=two, dilation=two, groups=two), expected)
    assert np.array_equal(conv(x, w, stride=(two,), padding=(two,), dilation=2, groups=2), expected)
    assert np.array_equal(stuffed(x, two), stuffed(x, 2))
    assert geometry(32, 5) == geometry((32,), (5,)) and geometry((32, 32), 3) == geometry((32, 32), (3, 3))


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        (lambda: conv(zeros(1, 3, 8, 8), zeros(4, 2, 3, 3)), "C251", ["(1, 3, 8, 8)", "w of shape (4, 3, 3, 3)"]),
        (lambda: conv(zeros(1, 3, 4, 8), zeros(4, 3, 5, 3)), "C251", ["5 x 3", "4 x 8", "fit into 5"]),
        (lambda: conv(zeros(8, 8), zeros(3, 3)), "C251", ["2 axes", "correlate(x, w)"]),
        (lambda: conv(zeros(1, 6, 8), zeros(4, 2, 3), groups=3), "C251", ["3 groups", "groups of 1, 2"]),
        (lambda: conv(zeros(1, 1, 8), zeros(4, 1, 3), zeros(3)), "C251", ["b of shape (3,)", "b of shape (4,)"]),
        (lambda: correlate([[1, 2]], [1, 2]), "C251", ["2 axes", "1"]),
        (lambda: conv(zeros(1, 1, 8), zeros(4, 1, 3), padding="sam"), "C252", ["'sam'", "same"]),
        (lambda: conv(zeros(1, 1, 8), zeros(4, 1, 3), method="column"), "C252", ["columns"]),
        (lambda: conv(zeros(1, 1, 8), zeros(4, 1, 3), stride=0), "C252", ["stride", "1"]),
        (lambda: conv(zeros(1, 1, 8), zeros(4, 1, 3), padding=-1), "C252", ["padding"]),
        (lambda: conv(zeros(1, 1, 8), zeros(4, 1, 3), padding=(1, 2, 3)), "C252", ["padding"]),
        (lambda: conv(zeros(1, 1, 8, 8), zeros(4, 1, 5, 5), method="winograd"), "C252", ["3 x 3", "5 x 5"]),
        (lambda: conv(np.array([[["a"]]]), zeros(1, 1, 1)), "C252", ["x holds"]),
        (lambda: conv_gradients(zeros(1, 1, 8), zeros(4, 1, 3), zeros(1, 4, 5)), "C251", ["(1, 4, 5)", "(1, 4, 6)"]),
        (lambda: conv_gradients(zeros(1, 1, 8), zeros(4, 1, 3), 0, method="fourier"), "C252", ["backwards"]),
        (lambda: conv_transpose(zeros(1, 3, 8), zeros(4, 1, 3)), "C251", ["(1, 3, 8)", "w of shape (3, 1, 3)"]),
        (lambda: conv_transpose(zeros(1, 1, 8), zeros(1, 1, 3), stride=2, output_padding=2), "C252", ["0 to 1"]),
        (lambda: conv_transpose(zeros(1, 1, 1), zeros(1, 1, 1), padding=1), "C251", ["nothing is left"]),
        (lambda: conv_transpose(zeros(1, 1, 8), zeros(1, 2, 3), zeros(1)), "C251", ["2 filters", "b of shape (2,)"]),
        (lambda: conv_transpose(zeros(1, 1, 8), zeros(1, 1, 3), stride=(2, 2)), "C252", ["stride", "(2, 2)"]),
        (lambda: conv_transpose(zeros(1, 1, 8), zeros(1, 1, 3), stride=0), "C252", ["stride cannot be 0"]),
        (lambda: conv_transpose(zeros(1, 1, 8), zeros(1, 1, 3), output_padding=-1), "C252", ["output_padding cannot"]),
        (lambda: stuffed(zeros(1, 1, 8), (2, 2)), "C252", ["stride", "(2, 2)"]),
        (lambda: stuffed(zeros(8), 2), "C251", ["(8,)"]),
        (lambda: geometry((4, 4), (3,)), "C251", ["3", "4 x 4"]),
        (lambda: conv(zeros(1, 1, 8, 8), zeros(1, 3, 3)), "C251", ["w with 4 axes"]),
        (lambda: conv_transpose(zeros(1, 1, 8), zeros(1, 1, 3, 3)), "C251", ["as many axes"]),
        (lambda: conv(np.full((1, 1, 1), 2**63, np.uint64), zeros(1, 1, 1)), "C252", ["2^63"]),
        (lambda: conv([[1, 2], [3]], zeros(1, 1, 1)), "C252", ["differ in length"]),
        (lambda: conv(zeros(1, 1, 8), zeros(1, 1, 3), padding=1, fill="a"), "C252", ["fill holds text"]),
        (lambda: conv(zeros(1, 1, 8), zeros(1, 1, 3), padding=1, fill=[1, 2]), "C252", ["fill is one number"]),
        (lambda: conv(zeros(1, 1, 8), zeros(1, 1, 3), stride=2.0), "C252", ["stride cannot be 2.0"]),
        (lambda: conv(zeros(1, 1, 8), zeros(1, 1, 3), stride=None), "C252", ["stride cannot be None"]),
        (lambda: conv(zeros(1, 1, 8), zeros(1, 1, 3), padding=1.5), "C252", ["padding cannot be 1.5"]),
        (lambda: conv(zeros(1, 1, 8), zeros(1, 1, 3), method=None), "C252", ["no method None"]),
    ],
)
def test_what_cannot_be_done_is_said(asked: Any, code: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        asked()
    assert caught.value.code == code
    for word in words:
        assert word in str(caught.value), str(caught.value)
