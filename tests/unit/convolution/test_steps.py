"""Steps, filters and calculators: the worked figures of the notes, and torch's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from dojang.convolution import calculators, correlate, filters, steps
from dojang.convolution.filters import filtered
from dojang.errors import ConfigError

X = np.arange(1, 10).reshape(3, 3)
ANTI = [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
CROSS = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_the_worked_steps() -> None:
    """SCOPE O3."""
    found = steps.convolution(X, [ANTI, CROSS], padding=1, dout=1)
    assert found["output"].tolist() == [
        [[1, 6, 8], [6, 15, 14], [12, 14, 9]],
        [[6, 12, 8], [14, 25, 16], [12, 18, 14]],
    ]
    assert found["columns"].shape == (9, 9) and found["weights"].shape == (2, 9) and found["product"].shape == (2, 9)
    for dw in found["dW"]:
        assert dw.tolist() == [[12, 21, 16], [27, 45, 33], [24, 39, 28]]
    assert found["db"].tolist() == [9, 9]
    assert steps.convolution(X, ANTI, padding=1, stride=2)["output"].tolist() == [[1, 8], [12, 9]]


def test_the_gradient_of_the_picture() -> None:
    """1 ... 9 with its zeros around it is the picture: 5 x 5."""
    wide = np.pad(X, 1)
    found = steps.convolution(wide, ANTI, dout=np.ones((3, 3), int))
    expected = [[0, 0, 1, 1, 1], [0, 1, 2, 2, 1], [1, 2, 3, 2, 1], [1, 2, 2, 1, 0], [1, 1, 1, 0, 0]]
    assert found["dx"].tolist() == expected
    inner = steps.convolution(X, ANTI, padding=1, dout=1)["dx"]
    assert inner.tolist() == [row[1:4] for row in expected[1:4]]


def test_steps_read_well() -> None:
    found = steps.convolution(X, ANTI, b=1, padding=1, dout=1)
    titles = [step.title for step in found]
    forward = ["input", "padded", "columns", "weights", "product", "output"]
    assert titles == [*forward, "upstream", "dW", "db", "dcolumns", "dx"]
    assert all(f"{title}: " in str(found) for title in titles)
    assert max(map(len, str(found).splitlines())) <= 80
    assert found._repr_html_().count("<table>") == len(titles)
    with pytest.raises(KeyError):
        found["nothing"]
    with pytest.raises(ConfigError, match=r"C251\]"):
        steps.convolution([[1]], ANTI)


def test_transposed_is_torch_s() -> None:
    """3x3, stride 2: 5x5 -> 2x2 -> 5x5, and not the numbers of before."""
    random = np.random.default_rng(0)
    x, w = random.standard_normal((5, 5)), random.standard_normal((3, 3))
    found = steps.transposed(x, w)
    assert found["convolved"].shape == (2, 2)
    theirs = torch.nn.functional.conv_transpose2d(
        torch.as_tensor(found["convolved"])[None, None], torch.as_tensor(w)[None, None], stride=2
    )
    np.testing.assert_allclose(found["transposed"], theirs[0, 0].numpy(), atol=1e-12)
    assert not np.allclose(found["transposed"], x)


def test_equivariance_and_pooling() -> None:
    random = np.random.default_rng(0)
    found = steps.equivariance(random.standard_normal((6, 7)), random.standard_normal((3, 3)), by=2)
    np.testing.assert_allclose(found["moved, convolved"], found["convolved, moved"], atol=1e-12)
    assert not np.array_equal(found["moved"], found["input"])
    kept = steps.pooling(np.diag([1, 2, 3, 4]))
    assert kept["pooled"].tolist() == [[2, 0], [0, 4]]
    assert kept["moved, pooled"].tolist() == [[1, 2], [0, 3]]
    assert "1 of 4 numbers are as before" in str(kept)


def test_words_are_true_of_what_is_shown() -> None:
    again = str(steps.transposed(np.ones((5, 5)), np.ones((3, 3))))
    assert "5 x 5 again" in again and "1 zero between" in again and "2 zeros around: 7 x 7" in again
    other = " ".join(str(steps.transposed(np.ones((6, 6)), np.ones((3, 2)), stride=3)).split())
    assert "again" not in other and "where 6 x 6 was" in other
    assert "2 zeros between" in other and "2 x 1 zeros around" in other
    # wide ones are cut, and say so
    wide = str(steps.convolution(np.ones((3, 3)), np.ones((3, 3)), padding=5))
    assert max(map(len, wide.splitlines())) <= 80 and " columns)" in wide
    assert steps.grid(np.array([12345.678, 1.0])) == "12345.7        1"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda: steps.convolution(X, ANTI, b=[1, 2]), ["b has the shape (2,)", "(1,)"]),
        (lambda: steps.convolution(X, ANTI, dout=[1, 2]), ["dout has the shape (2,)", "(1, 1)"]),
        (lambda: steps.convolution([1, 2], ANTI), ["x has the shape (2,)"]),
        (lambda: steps.convolution(X, [1, 2]), ["w has the shape (2,)"]),
        (lambda: steps.equivariance(X, ANTI, by=1), ["by=0 at most"]),
        (lambda: steps.equivariance([1, 2], ANTI), ["x has the shape (2,)"]),
        (lambda: steps.pooling([1, 2]), ["x has the shape (2,)"]),
        (lambda: filtered(np.zeros((0, 3)), "blur"), ["(0, 3)"]),
    ],
)
def test_shapes_that_cannot_be_shown(asked: Any, words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"C251\]") as caught:
        asked()
    assert all(word in str(caught.value) for word in words)


def test_filters() -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (9, 11, 3), np.uint8)
    assert np.array_equal(filters.filtered(picture, "identity"), picture)
    left = filters.filtered(picture, "shift-left")
    assert np.array_equal(left[:, :-1], picture[:, 1:])
    flat = np.full((6, 6), 7.0)
    for name, value in (("blur", 7), ("gaussian", 7), ("sharpen", 7), ("edges", 0), ("edges-vertical", 0)):
        np.testing.assert_allclose(filters.filtered(flat, name), value, atol=1e-12)
    step = np.repeat([[0.0, 0, 0, 1, 1, 1]], 5, axis=0)
    assert filters.filtered(step, "edges-vertical")[2].tolist() == [0, 0, 4, 4, 0, 0]
    assert filters.filtered(step, "edges-horizontal").any() is np.False_
    assert filters.filtered(step, "sharpen").max() > 1 and filters.filtered(step, "sharpen").min() < 0
    with pytest.raises(ConfigError, match=r"C203\].*\n?.*blur"):
        filters.filtered(step, "blurr")
    with pytest.raises(ConfigError, match=r"C251\]"):
        filters.filtered(np.zeros(4), "blur")


def test_a_pattern_is_found_where_it_is() -> None:
    random = np.random.default_rng(0)
    x, pattern = random.random((20, 24)), random.standard_normal((4, 5))
    x[7:11, 3:8] = 0.01 * pattern
    found = filters.similarity(x, pattern)
    assert np.unravel_index(found.argmax(), found.shape) == (7, 3)
    assert abs(found.max() - 1) < 1e-9 and found.min() >= -1
    # the product alone prefers bright windows
    assert np.unravel_index(correlate(x, pattern).argmax(), found.shape) != (7, 3)


def test_as_a_matrix() -> None:
    random = np.random.default_rng(0)
    for size, kernel in (((7,), (3,)), ((5, 6), (2, 3)), ((4, 3, 5), (2, 2, 2))):
        x, w = random.standard_normal(size), random.standard_normal(kernel)
        matrix = filters.as_matrix(w, size)
        np.testing.assert_allclose(matrix @ x.ravel(), correlate(x, w).ravel(), atol=1e-12)
        assert np.count_nonzero(matrix) == len(matrix) * w.size


def test_calculators() -> None:
    """SCOPE O8."""
    found = calculators.layer(3, (32, 32), 64, (5, 5))
    assert (found.weights, found.biases, found.dense) == (4_800, 64, 154_140_672)
    assert "154,140,672 weights, 32,113 times as many" in " ".join(str(found).split())
    assert calculators.layer(128, (8, 8), 64, (3, 3), padding="same").weights == 73_728
    four = calculators.layer(3, (32, 32), 4, (5, 5))
    assert four.out == (4, 28, 28) and four.weights + four.biases == 304
    assert "2 x (3 x 3) = 18 weights" in str(calculators.stacked(3, 2)) and calculators.stacked(3, 2).result == 18 / 25
    strided = str(calculators.layer(3, (224, 225), 64, (7, 7), stride=2, padding=3, dilation=2, groups=1, bias=False))
    assert "(224 + 6 - 13 [2 x (7 - 1) + 1]) / 2 + 1 = 109 (rounded down)" in strided
    assert "<pre>" in found._repr_html_()
    with pytest.raises(ConfigError, match=r"C251\]"):
        calculators.layer(3, (8, 8), 4, (3, 3), groups=2)
    assert calculators.receptive_field([(3, 1)] * 2).lines[-1] == "3 + (3 - 1) x 1 = 5, stride 1"
    # as torch has it for the first layers of a ResNet and of an AlexNet
    assert [calculators.receptive_field(one).result for one in ([(7, 2), (3, 2)], [(11, 4), (3, 2), (5, 1)])] == [
        11,
        51,
    ]
    assert "17 times more" in str(calculators.bottleneck(64, 256))
    assert "1 filter gives 1 x 6 x 6 = 36 numbers" in str(
        one := calculators.layer(3, (8, 8), 1, 3)
    ) and "1 bias =" in str(one)
    assert calculators.layer(3, 8, 4, 3) == calculators.layer(3, (8,), 4, (3,))
    everything = calculators.layer(64, (200, 210, 90), 64, (3, 5, 3), stride=(2, 1, 2), padding=1, dilation=2, groups=2)
    for shown in (everything, found, calculators.bottleneck(256, 64), calculators.stacked(3, 9)):
        assert max(map(len, str(shown).splitlines())) <= 80
    assert calculators.bottleneck(256, 64)._repr_html_().startswith("<pre>direct")
    for asked, code in (
        (lambda: calculators.layer(4, (8, 8), 4, (3, 3), groups=0), "C251"),
        (lambda: calculators.layer(0, (8, 8), 4, (3, 3)), "C252"),
        (lambda: calculators.layer(3, (8, 8), 4.5, (3, 3)), "C252"),
        (lambda: steps.equivariance(X, ANTI, by=0), "C252"),
        (lambda: calculators.stacked(3, 0), "C252"),
        (lambda: calculators.bottleneck(256, 0), "C252"),
        (lambda: calculators.receptive_field([(3, 0)]), "C252"),
    ):
        with pytest.raises(ConfigError) as caught:
            asked()
        assert caught.value.code == code


@pytest.mark.parametrize("groups", [1, 2])
def test_calculators_count_as_torch_does(groups: int) -> None:
    layer = torch.nn.Conv2d(4, 6, (3, 5), (2, 1), 1, 2, groups)
    found = calculators.layer(4, (20, 21), 6, (3, 5), stride=(2, 1), padding=1, dilation=2, groups=groups)
    assert found.weights + found.biases == sum(p.numel() for p in layer.parameters())
    with torch.no_grad():
        out = layer(torch.zeros(1, 4, 20, 21))
    assert found.out == tuple(out.shape[1:])
    assert found.macs == out[0].numel() * layer.weight[0].numel()
