"""What the graph does to a picture, against :class:`Preprocess`, which has Pillow do it: the same bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from dojang.data.preprocess import Preprocess
from dojang.export import onnx
from dojang.export.graph import Graph, Preparation
from dojang.export.resize_graph import coefficients, resized
from dojang.export.tracing import traced
from dojang.predict.predictor import Predictor

SIDES = st.integers(1, 90)
# up, down, both at once, odd, of one pixel, long and thin; Pillow goes the other way round where a picture is high
SHAPES = [(1, 1), (1, 9), (9, 1), (2, 3), (16, 16), (33, 47), (47, 33), (200, 5), (5, 200), (150, 152), (301, 17)]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Black and white with steps of 1: sums leave 0 to 255 on both sides, and halves come up."""
    return np.random.default_rng(seed).choice(np.array([0, 1, 254, 255], np.uint8), (height, width, 3))


def pillows(preprocess: Preprocess, pixels: np.ndarray) -> np.ndarray:
    """(c, h, w)."""
    return preprocess.picture(pixels, "noise").transpose(2, 0, 1)


def graphs(preprocess: Preprocess, pixels: np.ndarray) -> np.ndarray:
    found: Tensor = Preparation(preprocess).levels(torch.from_numpy(pixels[None].copy()))
    assert found.dtype == torch.float32
    return found[0].numpy()


def steps(mode: str, fit: str, interpolation: str, height: int, width: int, resize: float = 1.0) -> Preprocess:
    channels = 1 if mode == "L" else 3
    return Preprocess(
        mode, height, width, resize=resize, fit=fit, interpolation=interpolation, background=77,
        mean=(0.1, 0.4, 0.5)[:channels], std=(0.3, 0.2, 0.7)[:channels],
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_bits_of_pillow(mode: str, fit: str, interpolation: str, shape: tuple[int, int]) -> None:
    for seen in ((16, 16), (7, 24), (1, 1)):
        ours = steps(mode, fit, interpolation, *seen)
        pixels = noise(*shape)
        assert np.array_equal(graphs(ours, pixels), pillows(ours, pixels)), seen


@settings(max_examples=150, deadline=None)
@given(
    shape=st.tuples(SIDES, SIDES),
    seen=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    mode=st.sampled_from(["L", "RGB"]),
    fit=st.sampled_from(["crop", "pad"]),
    interpolation=st.sampled_from(["bilinear", "bicubic"]),
    resize=st.sampled_from([1.0, 8 / 7, 1.31]),
    seed=st.integers(0, 9),
)
def test_the_bits_of_pillow_at_any_size(
    shape: tuple[int, int], seen: tuple[int, int], mode: str, fit: str, interpolation: str, resize: float, seed: int
) -> None:
    ours = steps(mode, fit, interpolation, *seen, resize)
    pixels = noise(*shape, seed)
    assert np.array_equal(graphs(ours, pixels), pillows(ours, pixels))


def test_a_large_picture() -> None:
    """Sums of thousands of products are exact, too."""
    ours, pixels = steps("RGB", "crop", "bicubic", 64, 64, 8 / 7), noise(1500, 2011)
    assert np.array_equal(graphs(ours, pixels), pillows(ours, pixels))


def test_greys_where_rounding_turns() -> None:
    """Colours whose weighted sum lies exactly on a half or just below one, and others; all at one size."""
    red, green, blue = np.meshgrid(*[np.arange(256)] * 3, indexing="ij", sparse=True)
    rest = (19595 * red + 38470 * green + 7471 * blue) % 65536
    colours = np.argwhere((rest == 32768) | (rest == 32767))
    assert len(colours) > 400
    draw = np.random.default_rng(0)
    pixels = np.concatenate([colours, draw.integers(0, 256, (4096 - len(colours), 3))]).astype(np.uint8)
    pixels = pixels.reshape(64, 64, 3)
    ours = steps("L", "crop", "bilinear", 64, 64)
    assert np.array_equal(graphs(ours, pixels)[0], np.asarray(Image.fromarray(pixels).convert("L")))


@pytest.mark.parametrize("permute", [False, True])
def test_what_the_network_is_given(permute: bool) -> None:
    """Scaled, normalised and in their order, to the last bit."""
    ours = Preprocess("RGB", 8, 6, mean=(0.1, 0.4, 0.5), std=(0.3, 0.2, 0.7), permute_pixels=permute)
    pixels = np.stack([noise(13, 11, seed) for seed in range(3)])
    with torch.no_grad():
        found = Preparation(ours)(torch.from_numpy(pixels))
    prepared = np.stack([ours.picture(one, "noise") for one in pixels])
    assert torch.equal(found, ours.normalise(torch.from_numpy(prepared)))


def test_the_order_of_pixels_is_not_theirs() -> None:
    """Or the test above could hold two that both do nothing."""
    plain, permuted = (
        Preprocess("L", 8, 8, mean=(0.0,), std=(1.0,), permute_pixels=permute) for permute in (False, True)
    )
    pixels = torch.from_numpy(noise(8, 8)[None])
    assert not torch.equal(Preparation(plain)(pixels), Preparation(permuted)(pixels))


def test_coefficients_are_whole_shares() -> None:
    """By hand: of 4 pixels the first of 2 lies at 1; the filter is 2 wide, so 3/4, 3/4, 1/4 of 7/4."""
    number = lambda value: torch.tensor(float(value), dtype=torch.float64)  # noqa: E731
    found = coefficients(number(4), torch.arange(4.0).double(), number(2), torch.arange(2.0).double(), "bilinear")
    first = [round(share * 2**22 / 7) for share in (3, 3, 1, 0)]
    assert found.tolist() == [first, first[::-1]]


def test_which_way_first_matters() -> None:
    """Pillow rounds between the two, so the graph has to choose as it does; here the other way is another picture."""
    pixels = noise(200, 40)
    levels = torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float64))
    number = lambda value: torch.tensor(float(value), dtype=torch.float64)  # noqa: E731
    down, across = (
        coefficients(
            number(n), torch.arange(float(n)).double(), number(to), torch.arange(float(to)).double(), "bicubic"
        )
        for n, to in ((200, 30), (40, 30))
    )
    across = across.t().contiguous()
    one, other = (resized(levels, down, across, torch.tensor(first)) for first in (True, False))
    assert not torch.equal(one, other)
    right = np.asarray(Image.fromarray(pixels).resize((30, 30), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.array_equal(one[0].numpy(), right)


class Prepared(Graph):
    """A graph that ends where the network begins."""

    def forward(self, pictures: Tensor) -> Tensor:
        return self.preparation.levels(pictures)


@pytest.fixture(
    scope="module",
    params=[("L", "pad", "bicubic", True), ("RGB", "crop", "bilinear", False)],
    ids=str,
)
def in_onnx(request: pytest.FixtureRequest) -> tuple[Preprocess, Callable[[np.ndarray], np.ndarray]]:
    """Steps, and the same in an ONNX file; with Pillow's choice as a branch, and as what OpenVINO is given."""
    mode, fit, interpolation, branch = request.param
    ours = steps(mode, fit, interpolation, 14, 12, 8 / 7)
    graph = Prepared(Predictor(torch.nn.Identity(), ("a",), ours), branch=branch)
    return ours, onnx.asking(onnx.made(graph, traced(graph), {"dojang": "0"}).data, 1)


def test_the_bits_of_pillow_in_onnx_runtime(in_onnx: tuple[Preprocess, Callable[[np.ndarray], np.ndarray]]) -> None:
    ours, ask = in_onnx
    for shape in [*SHAPES, (14, 12), (16, 14), (640, 480)]:
        pixels = noise(*shape)
        assert np.array_equal(ask(pixels[None])[0], pillows(ours, pixels)), shape
    for batch in (2, 7):
        pixels = np.stack([noise(23, 19, seed) for seed in range(batch)])
        assert np.array_equal(ask(pixels), np.stack([pillows(ours, one) for one in pixels]))
