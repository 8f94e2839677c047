"""Pooling and the other blocks beside torch in float64; the NumPy network learns the digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dojang.convolution import blocks, global_pool, network, pool, pool_gradients
from dojang.convolution.blocks import ACTIVATIONS
from dojang.errors import ConfigError

POOLS = {
    ("max", 1): F.max_pool1d,
    ("max", 2): F.max_pool2d,
    ("max", 3): F.max_pool3d,
    ("average", 1): F.avg_pool1d,
    ("average", 2): F.avg_pool2d,
    ("average", 3): F.avg_pool3d,
}
DRAW = np.random.default_rng(0)


@settings(max_examples=120, deadline=None)
@given(data=st.data(), axes=st.integers(1, 3), kind=st.sampled_from(["max", "average"]))
def test_pooling_is_torch_s(data: Any, axes: int, kind: str) -> None:
    draw = data.draw
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    stride = draw(st.none() | st.tuples(*[st.integers(1, 3)] * axes))
    # torch's padding is at most half the window
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    sizes = tuple(draw(st.integers(1, 7)) for _ in range(axes))
    assume(all(n + 2 * p >= k for n, p, k in zip(sizes, padding, kernel, strict=True)))
    # of three axes torch's mean wants the window inside the array itself
    assume(axes < 3 or kind == "max" or all(n >= k for n, k in zip(sizes, kernel, strict=True)))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    # few different numbers, so that there are equals
    x = random.integers(-3, 4, (draw(st.integers(0, 2)), 2, *sizes)).astype(float)
    tensor = torch.tensor(x, requires_grad=True)
    found = pool(x, kernel, stride=stride, padding=padding, kind=kind)
    if not len(x):
        assert found.shape[0] == 0
        return
    expected = POOLS[kind, axes](tensor, kernel, stride, padding)
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-12)
    dout = random.standard_normal(found.shape)
    expected.backward(torch.as_tensor(dout))
    gradient = pool_gradients(x, dout, kernel, stride=stride, padding=padding, kind=kind)
    assert tensor.grad is not None
    np.testing.assert_allclose(gradient, tensor.grad.numpy(), atol=1e-12)


def test_pooling_of_whole_numbers_and_of_everything() -> None:
    x = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4)
    assert pool(x, 2).dtype == np.uint8
    assert pool(x, 2, kind="average")[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert pool(np.zeros((1, 3, 100, 100)), 2).shape == (1, 3, 50, 50)
    assert pool(-np.ones((1, 1, 2, 2), int), 2, padding=1).tolist() == [[[[-1, -1], [-1, -1]]]]
    assert pool(x > 14, 2, padding=1)[0, 0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert np.array_equal(pool(x, np.int64(2)), pool(x, 2))
    # sixteen bits are enough for numbers and not for their sum
    half = np.full((1, 1, 4), 60_000, np.float16)
    assert pool(half, 2, kind="average").tolist() == [[[60_000, 60_000]]] and pool(half, 2).dtype == np.float16
    # what was added around the array never takes a gradient, also where it is as low as the numbers
    for low in (np.zeros((1, 1, 2), np.uint8), np.full((1, 1, 2), -np.inf), np.full((1, 1, 2), np.nan)):
        assert pool_gradients(low, np.ones((1, 1, 2)), 2, padding=1).tolist() == [[[1, 1]]]
    assert global_pool(x).tolist() == [[7.5]] and global_pool(x, "max").tolist() == [[15]]
    for asked, code in (
        (lambda: pool(x, 2, kind="mean"), "C252"),
        (lambda: pool(x, 5), "C251"),
        (lambda: pool(np.zeros(4), 2), "C251"),
        (lambda: pool_gradients(x, np.zeros((1, 1, 3, 3)), 2), "C251"),
        # a window that lies outside altogether has no largest number
        (lambda: pool(x, 2, padding=2), "C252"),
        (lambda: pool(x, 2, padding=((0, 0), (0, 2)), kind="average"), "C252"),
        (lambda: pool(np.zeros((1, 1, 0)), 2, padding=1), "C251"),
        (lambda: pool(x, 2.0), "C252"),
        (lambda: pool([[["a", "b"]]], 2), "C252"),
        (lambda: pool(np.zeros((1, 1, 2), complex), 2), "C252"),
        (lambda: pool_gradients(x, "a", 2), "C252"),
        (lambda: global_pool(np.zeros((2, 2))), "C251"),
    ):
        with pytest.raises(ConfigError) as caught:
            asked()
        assert caught.value.code == code


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 5), classes=st.integers(1, 6), large=st.sampled_from([1.0, 100.0, 1e4]), seed=st.integers(0, 99)
)
def test_losses_are_torch_s(n: int, classes: int, large: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    scores, labels = large * random.standard_normal((n, classes)), random.integers(0, classes, n)
    tensor = torch.tensor(scores, requires_grad=True)
    np.testing.assert_allclose(blocks.softmax(scores), tensor.softmax(1).detach().numpy(), atol=1e-12)
    loss = F.cross_entropy(tensor, torch.as_tensor(labels))
    loss.backward()
    assert abs(blocks.cross_entropy(scores, labels) - loss.item()) < 1e-10 * (1 + loss.item())
    np.testing.assert_allclose(blocks.cross_entropy_gradient(scores, labels), tensor.grad.numpy(), atol=1e-12)
    targets = random.random((n, classes))
    tensor = torch.tensor(scores, requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(tensor, torch.as_tensor(targets))
    loss.backward()
    assert abs(blocks.binary_cross_entropy(scores, targets) - loss.item()) < 1e-10 * (1 + loss.item())
    np.testing.assert_allclose(blocks.binary_cross_entropy_gradient(scores, targets), tensor.grad.numpy(), atol=1e-12)


def test_one_hot() -> None:
    assert blocks.one_hot([1, 0], 2).tolist() == [[0, 1], [1, 0]]
    assert blocks.one_hot(np.array([], int), 3).shape == (0, 3)
    for labels in ([3], [-1], [0.5]):
        with pytest.raises(ConfigError, match=r"C252\]: labels are whole numbers from 0 to 2"):
            blocks.one_hot(labels, 3)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 2, 5), (2, 3, 2, 3, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_is_torch_s(shape: tuple[int, ...], training: bool) -> None:
    random = np.random.default_rng(0)
    x, gamma, beta = 3 + 2 * random.standard_normal(shape), random.standard_normal(3), random.standard_normal(3)
    running = (random.standard_normal(3), random.random(3) + 0.5)
    tensors = [torch.tensor(one, requires_grad=True) for one in (x, gamma, beta)]
    mean, variance = (torch.tensor(one) for one in running)
    out = F.batch_norm(tensors[0], mean, variance, tensors[1], tensors[2], training, eps=1e-3)
    dout = random.standard_normal(shape)
    out.backward(torch.as_tensor(dout))
    found = blocks.batch_norm(x, gamma, beta, running=None if training else running, eps=1e-3)
    np.testing.assert_allclose(found.y, out.detach().numpy(), atol=1e-12)
    gradients = blocks.batch_norm_gradients(dout, found, gamma, running=not training)
    for ours, tensor in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda: blocks.cross_entropy(np.zeros((2, 3)), [1]), ["(2, 3)", "(1,)", "labels of shape (2,)"]),
        (lambda: blocks.cross_entropy_gradient(np.zeros((2, 3)), [[1], [0]]), ["(2, 3)", "(2, 1)"]),
        (lambda: blocks.cross_entropy(np.zeros(3), 1), ["(3,)", "(n, classes)"]),
        (lambda: blocks.binary_cross_entropy(np.zeros((2, 1)), np.zeros(2)), ["(2, 1)", "(2,)"]),
        (lambda: blocks.binary_cross_entropy_gradient(np.zeros((2, 1)), np.zeros(2)), ["(2, 1)", "(2,)"]),
        (lambda: blocks.batch_norm(np.zeros((2, 3)), np.ones(2), np.zeros(3)), ["gamma (2,)", "(2, 3)", "shape (3,)"]),
        (lambda: blocks.batch_norm(np.zeros((2, 3)), np.ones(3), 0.0), ["beta ()", "shape (3,)"]),
        (lambda: blocks.batch_norm(
            np.zeros((2, 3)), np.ones(3), np.ones(3), running=(np.ones(3), np.ones(1))
        ), ["running (1,)"]),
        (lambda: blocks.batch_norm(np.zeros(3), np.ones(3), np.ones(3)), ["(3,)", "(n, c)"]),
        (lambda: blocks.batch_norm(np.zeros((0, 3)), np.ones(3), np.ones(3)), ["(0, 3)", "running"]),
        (lambda: blocks.batch_norm_gradients(
            np.zeros((2, 3)), blocks.batch_norm(np.ones((2, 3)), np.ones(3), np.ones(3)), np.ones(2)
        ), ["gamma (2,)", "(3,)"]),
        (lambda: blocks.softmax(np.zeros((2, 0))), ["(2, 0)"]),
        (lambda: network.Dense(3, 2, DRAW).forward(np.zeros((4, 5))), ["(4, 5)", "(n, 3)"]),
        (lambda: network.train(network.lenet(DRAW), np.zeros((4, 1, 8, 8)), [1, 2], epochs=1), ["8, 8)", "(2,)"]),
        (lambda: blocks.batch_norm_gradients(
            np.zeros((1, 3)), blocks.batch_norm(np.ones((2, 3)), np.ones(3), np.ones(3)), np.ones(3)
        ), ["dout (1, 3)", "y (2, 3)"]),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit(asked: Any, words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"C251\]") as caught:
        asked()
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    "asked",
    [
        lambda: blocks.softmax("a"),
        lambda: blocks.dropout([1.0], "a", None),
        lambda: network.Conv(1, 2, 2.5, DRAW),
        lambda: network.lenet(DRAW, size=3),
        lambda: network.Activate("rely"),
        lambda: network.Dense(3, 2, DRAW).backward(np.zeros((1, 2))),
        lambda: network.train(network.lenet(DRAW), np.zeros((1, 1, 8, 8)), [1], epochs=1, batch_size=0),
    ],
)
def test_values_that_cannot_be_used(asked: Any) -> None:
    with pytest.raises(ConfigError, match=r"C252\]"):
        asked()


def test_batches_of_nothing() -> None:
    for labels in ([], np.array([], int)):
        assert blocks.cross_entropy(np.zeros((0, 3)), labels) == 0 == blocks.binary_cross_entropy([], [])
        assert blocks.cross_entropy_gradient(np.zeros((0, 3)), labels).shape == (0, 3)
        assert blocks.one_hot(labels, 3).shape == (0, 3)
    norm = network.BatchNorm(2)
    with pytest.raises(ConfigError, match=r"C251\]"):
        norm.forward(np.zeros((0, 2)), training=True)
    assert norm.running[0].tolist() == [0, 0] and norm.forward(np.zeros((0, 2))).shape == (0, 2)


def test_what_is_impossible_costs_nothing() -> None:
    assert blocks.cross_entropy([[0, -np.inf]], [0]) == 0
    assert blocks.cross_entropy([[0, -np.inf]], [1]) == np.inf


def test_one_number_is_both_sides_of_a_window() -> None:
    assert network.Conv(1, 2, 3, DRAW).parameters["w"].shape == (2, 1, 3, 3)


def test_backward_needs_a_forward_in_training() -> None:
    norm, x = network.BatchNorm(2), np.random.default_rng(0).standard_normal((4, 2))
    norm.forward(x, training=True)
    norm.forward(x)
    with pytest.raises(ConfigError, match="backward follows a forward pass in training"):
        norm.backward(np.ones((4, 2)))


def test_a_network_in_a_network_is_trained() -> None:
    inner = network.Network(network.Dense(2, 3, DRAW))
    outer = network.Network(inner, network.Dense(3, 2, DRAW))
    assert outer.count() == (2 * 3 + 3) + (3 * 2 + 2)
    before = inner.layers[0].parameters["w"].copy()
    network.train(outer, np.ones((4, 2), np.float32), np.array([0, 1, 0, 0]), epochs=1)
    assert not np.array_equal(before, inner.layers[0].parameters["w"])


def test_dropout() -> None:
    x = np.ones((100, 100))
    found, mask = blocks.dropout(x, 0.25, np.random.default_rng(0))
    assert set(np.unique(found)) == {0, 1 / 0.75} and np.array_equal(found, mask)
    assert abs((found == 0).mean() - 0.25) < 0.02
    kept, mask = blocks.dropout(x, 0.25, None)
    assert kept is not x
    assert np.array_equal(kept, x) and (mask == 1).all()
    with pytest.raises(ConfigError, match=r"C252\]"):
        blocks.dropout(x, 1.0, None)


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_activations_are_torch_s(name: str) -> None:
    theirs: dict[str, Any] = {
        "relu": F.relu,
        "leaky-relu": lambda x: F.leaky_relu(x, 0.1),
        "elu": F.elu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
    }
    x = np.concatenate([[-800.0, 0.0, 800.0], np.random.default_rng(0).standard_normal(50)])
    tensor = torch.tensor(x, requires_grad=True)
    out = theirs[name](tensor)
    out.sum().backward()
    np.testing.assert_allclose(ACTIVATIONS[name].forward(x), out.detach().numpy(), atol=1e-14)
    assert tensor.grad is not None
    np.testing.assert_allclose(ACTIVATIONS[name].slope(x), tensor.grad.numpy(), atol=1e-14)
    assert ACTIVATIONS[name].forward(x.astype(np.float32)).dtype == np.float32


def test_every_layer_backwards() -> None:
    """Each parameter's gradient, and the input's, by finite differences in float64."""
    draw = np.random.default_rng(0)
    net = network.Network(
        network.Conv(2, 3, (3, 3), draw, padding="same"),
        network.BatchNorm(3),
        network.Activate("tanh"),
        network.Pool(2),
        network.Flatten(),
        network.Dense(12, 5, draw),
        network.Activate("sigmoid"),
        network.Dense(5, 4, draw),
    )
    for layer, name in net.weights():
        layer.parameters[name] = layer.parameters[name].astype(np.float64)
    x, labels = draw.standard_normal((6, 2, 4, 4)), draw.integers(0, 4, 6)

    def loss() -> float:
        return blocks.cross_entropy(net.forward(x, training=True), labels)

    scores = net.forward(x, training=True)
    dx = net.backward(blocks.cross_entropy_gradient(scores, labels))
    arrays = [(layer.parameters[name], layer.gradients[name]) for layer, name in net.weights()]
    for array, gradient in [*arrays, (x, dx)]:
        assert array.shape == gradient.shape
        for at in list(np.ndindex(*array.shape))[::5]:
            kept, values = array[at], []
            for step in (1e-5, -1e-5):
                array[at] = kept + step
                values.append(loss())
            array[at] = kept
            assert abs((values[0] - values[1]) / 2e-5 - gradient[at]) < 1e-8


def test_a_lenet_learns_the_digits() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = (digits.images[:, None] / 16 - 0.3).astype(np.float32)
    # every fifth is looked at once, at the end
    test = np.arange(len(x)) % 5 == 0
    net = network.lenet(np.random.default_rng(0))
    losses = network.train(net, x[~test], digits.target[~test], epochs=8)
    assert losses[-1] < 0.1 < losses[0]
    right = net.forward(x[test]).argmax(axis=1) == digits.target[test]
    assert right.mean() >= 0.95


def test_dropout_and_flatten_layers_backwards() -> None:
    layer = network.Dropout(0.5, np.random.default_rng(0))
    x = np.ones((4, 6))
    out = layer.forward(x, training=True)
    assert np.array_equal(layer.backward(np.full_like(x, 3)), 3 * out)
    assert np.array_equal(layer.forward(x), x)
    flat = network.Flatten()
    assert flat.forward(np.zeros((2, 3, 4)), training=True).shape == (2, 12)
    assert flat.backward(np.zeros((2, 12))).shape == (2, 3, 4)
