"""N3: arrays of any make give the right numbers everywhere, and nothing that is given is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from dojang.convolution import (
    METHODS,
    blocks,
    conv,
    conv_gradients,
    conv_transpose,
    correlate,
    filters,
    pool,
    pool_gradients,
    steps,
)
from dojang.convolution.arrays import floats_of, numbers_of
from dojang.convolution.graph import value
from dojang.errors import ConfigError

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 200, (2, 2, 8, 9)).astype(float)
W = RANDOM.integers(0, 4, (3, 2, 3, 3)).astype(float)
UP = RANDOM.integers(0, 9, (2, 3, 8, 9)).astype(float)
SMALL = RANDOM.integers(0, 9, (2, 2, 4, 4)).astype(float)
PLANE, WINDOW = X[0, 0], W[0, 0]


def _both(found: Any) -> list[np.ndarray]:
    return [found.x, found.w, found.b]


def _graph(x: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
    a, b = value(x), value(w)
    made = (a @ b).relu().sum()
    made.backward()
    return [made.data, a.gradient, b.gradient]


# what is done, and to what: every array is remade
DONE: Mapping[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    **{f"conv by {name}": (lambda x, w, name=name: conv(x, w, padding=1, method=name), (X, W)) for name in METHODS},
    "conv_gradients": (lambda x, w, up: _both(conv_gradients(x, w, up, padding=1)), (X, W, UP)),
    "conv_gradients by loops": (
        lambda x, w, up: _both(conv_gradients(x, w, up, padding=1, method="loops")),
        (X[:1, :, :4, :4], W, UP[:1, :, :4, :4]),
    ),
    "conv_transpose": (lambda x, w: conv_transpose(x, w, stride=2), (UP, W)),
    "pool": (lambda x: pool(x, 3, stride=2, padding=1), (X,)),
    "pool, average": (lambda x: pool(x, 3, stride=2, padding=1, kind="average"), (X,)),
    "pool_gradients": (lambda x, up: pool_gradients(x, up, 2), (X[..., :8, :8], SMALL)),
    "softmax": (blocks.softmax, (PLANE / 50,)),
    "batch_norm": (lambda x: blocks.batch_norm(x, [1, 2], [0, 1]).y, (X,)),
    **{f"{name}": (one.forward, (PLANE - 100,)) for name, one in blocks.ACTIVATIONS.items()},
    **{f"slope of {name}": (one.slope, (PLANE - 100,)) for name, one in blocks.ACTIVATIONS.items()},
    "binary_cross_entropy": (lambda s, t: np.array(blocks.binary_cross_entropy(s, t)), (PLANE, PLANE > 100)),
    "steps": (lambda x, w: [step.array for step in steps.convolution(x, w, dout=1)], (PLANE, WINDOW)),
    "similarity": (filters.similarity, (PLANE, WINDOW)),
    "filtered": (lambda x: filters.filtered(x, "sharpen"), (PLANE,)),
    "as_matrix": (lambda w: filters.as_matrix(w, (4, 4)), (WINDOW,)),
    "correlate": (lambda x, w: correlate(x, w, padding="same"), (PLANE, WINDOW)),
    "graph": (_graph, (PLANE[:4, :3], WINDOW)),
}
KINDS = ("strided", "reversed", "read-only", "fortran", "uint8", "int16", "bool", "float32", "list")


def remade(array: np.ndarray, kind: str) -> Any:
    """The same numbers otherwise, as far as the kind can hold them."""
    if kind == "strided":
        wide = np.repeat(np.repeat(array, 2, axis=-2), 3, axis=-1)
        return wide[..., ::2, ::3]
    if kind == "reversed":
        return np.ascontiguousarray(array[..., ::-1, :])[..., ::-1, :]
    if kind == "fortran":
        return np.asfortranarray(array)
    if kind == "list":
        return array.tolist()
    if kind == "read-only":
        copy = array.copy()
        copy.setflags(write=False)
        return copy
    if kind == "bool":
        return array > array.mean()
    # nothing negative in bytes without a sign
    return (abs(array) if kind == "uint8" else array).astype(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(DONE))
def test_arrays_of_any_make(name: str, kind: str) -> None:
    work, arrays = DONE[name]
    given = [remade(array, kind) for array in arrays]
    before = [np.array(one) for one in given]
    # the same numbers as plain float64
    expected = work(*(np.array(one, np.float64) for one in given))
    found = work(*given)
    for one, other in zip(*(x if isinstance(x, list) else [x] for x in (found, expected)), strict=True):
        loose = {"rtol": 2e-5, "atol": 1e-2} if kind == "float32" else {"rtol": 1e-9, "atol": 1e-9}
        np.testing.assert_allclose(one, other, **loose)
    for one, was in zip(given, before, strict=True):
        assert np.array_equal(one, was)


@pytest.mark.parametrize("method", list(METHODS))
def test_batches_of_nothing(method: str) -> None:
    assert conv(X[:0], W, padding=1, method=method).shape == (0, 3, 8, 9)
    assert pool(X[:0], 2).shape == (0, 2, 4, 4)
    found = conv_gradients(X[:0], W, UP[:0], padding=1)
    assert found.x.shape == (0, 2, 8, 9) and not found.w.any() and not found.b.any()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([[1, 2], [3]], "differ in length"),
        (["a"], "text"),
        ([b"a"], "bytes"),
        ([1j], "complex numbers"),
        ([object()], "objects"),
        (np.array([2**63], np.uint64), "beyond"),
    ],
)
def test_what_holds_no_numbers(given: Any, words: str) -> None:
    for read in (numbers_of, floats_of):
        with pytest.raises(ConfigError, match=r"C252\]") as caught:
            read(given, "x")
        assert words in str(caught.value)
