"""The computational graph beside torch's autograd; the three classic examples; drawings that can be read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang.convolution import graph
from dojang.convolution.graph import GATES, Node, apply, neuron, value
from dojang.convolution.graph_drawing import draw, text
from dojang.errors import ConfigError


def test_the_classic_examples() -> None:
    """SCOPE O7."""
    x, y, z = value(-2), value(5), value(-4)
    f = (x + y) * z
    f.backward()
    assert [float(one.gradient) for one in (x, y, z)] == [-4, -4, 3]
    out, weights, inputs = neuron((2, -3, -3), (-1, -2))
    out.backward()
    assert round(float(out), 2) == 0.73
    assert [round(float(one.gradient), 2) for one in weights] == [-0.20, -0.39, 0.20]
    assert [round(float(one.gradient), 2) for one in inputs] == [0.39, -0.59]
    w, x = value([[0.1, 0.5], [-0.3, 0.8]]), value([0.2, 0.4])
    f = (w @ x).square().sum()
    f.backward()
    assert round(float(f), 3) == 0.116
    np.testing.assert_allclose(w.gradient, [[0.088, 0.176], [0.104, 0.208]], atol=1e-12)
    np.testing.assert_allclose(x.gradient, [-0.112, 0.636], atol=1e-12)


THEIRS: dict[str, Any] = {
    "add": torch.add,
    "mul": torch.mul,
    "max": torch.maximum,
    "neg": torch.neg,
    "reciprocal": torch.reciprocal,
    "square": torch.square,
    "sum": torch.sum,
    "exp": torch.exp,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "matmul": torch.matmul,
    "conv": torch.nn.functional.conv2d,
}
SHAPES = [((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 1, 4), (3, 1)), ((), (2, 3)), ((1,), (5,))]


def test_every_gate_is_compared() -> None:
    assert set(THEIRS) == set(GATES)


@pytest.mark.parametrize("name", list(GATES))
def test_a_gate_beside_autograd(name: str) -> None:
    random = np.random.default_rng(0)
    shapes = {
        "matmul": [
            ((3, 4), (4, 2)),
            ((3, 4), (4,)),
            ((4,), (4, 2)),
            ((4,), (4,)),
            ((2, 3, 4), (2, 4, 5)),
            # one matrix for many, and a vector for many
            ((3, 4), (5, 4, 2)),
            ((5, 3, 4), (4, 2)),
            ((5, 3, 4), (4,)),
            ((4,), (5, 4, 2)),
        ],
        "conv": [((2, 3, 5, 6), (4, 3, 3, 2))],
    }.get(name, SHAPES)
    for pair in shapes:
        arrays = [0.5 + random.random(shape) * random.choice([-1, 1], shape) for shape in pair]
        nodes, tensors = [value(one) for one in arrays], [torch.tensor(one, requires_grad=True) for one in arrays]
        if name not in ("add", "mul", "max", "matmul", "conv"):
            nodes, tensors = nodes[:1], tensors[:1]
        ours, theirs = apply(name, *nodes), THEIRS[name](*tensors)
        np.testing.assert_allclose(ours.data, theirs.detach().numpy(), atol=1e-12)
        weights = random.standard_normal(ours.data.shape)
        (ours * weights).sum().backward()
        (theirs * torch.as_tensor(weights)).sum().backward()
        for node, tensor in zip(nodes, tensors, strict=True):
            assert tensor.grad is not None
            np.testing.assert_allclose(node.gradient, tensor.grad.numpy(), atol=1e-12)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_graphs_of_any_form_beside_autograd(data: Any) -> None:
    """Gates chosen at random among all numbers so far, so that roads part and meet."""
    draw_ = data.draw
    start = [draw_(st.floats(-2, 2).filter(lambda one: abs(one) > 0.1)) for _ in range(3)]
    nodes = [value(one) for one in start]
    tensors = [torch.tensor(one, requires_grad=True, dtype=torch.float64) for one in start]
    every = list(tensors)
    for _ in range(draw_(st.integers(1, 8))):
        name = draw_(st.sampled_from(["add", "mul", "max", "neg", "square", "relu", "sigmoid"]))
        picked = [draw_(st.integers(0, len(nodes) - 1)) for _ in range(2 if name in ("add", "mul", "max") else 1)]
        nodes.append(apply(name, *(nodes[i] for i in picked)))
        every.append(THEIRS[name](*(every[i] for i in picked)))
        if abs(float(nodes[-1])) > 1e6:
            return
    nodes[-1].backward()
    if every[-1].requires_grad:
        every[-1].backward()
    for node, tensor in zip(nodes[:3], tensors, strict=True):
        expected = 0.0 if tensor.grad is None else tensor.grad.item()
        assert abs(float(node.gradient) - expected) <= 1e-9 * (1 + abs(expected))


def test_equals_share_a_maximum_as_in_torch() -> None:
    ours, theirs = (
        (value([1.0, 1.0]), value([1.0, 2.0])),
        [torch.tensor(one, requires_grad=True) for one in ([1.0, 1], [1.0, 2])],
    )
    ours[0].maximum(ours[1]).sum().backward()
    torch.maximum(*theirs).sum().backward()
    assert [node.gradient.tolist() for node in ours] == [one.grad.tolist() for one in theirs] == [[0.5, 0], [0.5, 1]]


def test_what_is_given_is_copied_and_either_side_may_be_an_array() -> None:
    given = np.array([1.0, 2.0])
    x = value(given)
    for product in (np.eye(2) @ x, [[1, 0], [0, 1]] @ x):
        assert isinstance(product, Node) and product.data.tolist() == [1, 2]
    given[0] = 9
    assert x.data.tolist() == [1, 2] and float(value([2.0])) == 2


def test_operators() -> None:
    x, y = value(3.0), value(2.0)
    found = ((x - y, 1), (x / y, 1.5), (-x, -3), (1 - x, -2), (6 / x, 2), (2 * x + 1, 7), (np.float64(2) * x, 6))
    for ours, expected in found:
        assert isinstance(ours, Node) and float(ours) == expected
    f = x * x
    f.backward()
    assert float(x.gradient) == 6
    f.backward()
    # asked twice it is the same, not twice as much
    assert float(x.gradient) == 6
    assert x.maximum(y).exp().relu().sigmoid().gate == "sigmoid"


def test_long_sums() -> None:
    total = x = value(1.0)
    for _ in range(5000):
        total = total + x
    total.backward()
    assert float(x.gradient) == 5001


def test_errors() -> None:
    with pytest.raises(ConfigError, match=r"C251\]: a gradient is of one number"):
        value([1, 2]).backward()
    with pytest.raises(ConfigError, match=r"C251\]: matmul cannot be done with shapes \(2, 3\) and \(2,\)"):
        value(np.zeros((2, 3))) @ value([1, 2])
    with pytest.raises(ConfigError, match=r"C203\]: there is no gate 'plus'"):
        apply("plus", 1, 2)
    for asked, code in (
        (lambda: float(value([1, 2])), "C251"),
        (lambda: value([1, 2]) + value([1, 2, 3]), "C251"),
        (lambda: apply("add", 1), "C252"),
        (lambda: apply("relu", 1, 2), "C252"),
        (lambda: value("a"), "C252"),
        (lambda: value(1j), "C252"),
        (lambda: value([[1], [1, 2]]), "C252"),
        (lambda: neuron((), ()), "C251"),
        (lambda: neuron((1, 2), (1, 2, 3)), "C251"),
    ):
        with pytest.raises(ConfigError) as caught:
            asked()
        assert caught.value.code == code


def test_drawings_say_values_and_gradients() -> None:
    x, y, z = value(-2, "x"), value(5, "y"), value(-4, "z")
    f = (x + y) * z
    f.backward()
    drawn = draw(f)
    words = [element.text for element in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    for expected in ("x", "y", "z", "+", "×", "-2", "5", "-4", "3", "-12", "1"):
        assert expected in words
    assert words.count("-4") >= 3
    # the local slopes, on the lines
    assert sorted(word for word in words if word.startswith("× ")) == ["× -4", "× 1", "× 1", "× 3"]
    assert f._repr_html_() == drawn and graph.ordered(f)[-1] is f
    lines = text(f).splitlines()
    assert len(lines) == 6 and lines[-1].startswith("n2 = n1 × z") and lines[-1].endswith("-4, 3   n1 -4, z 3")
    # of arrays that change their form there is no slope number by number
    w = value(np.ones((2, 3)), "w")
    g = (w @ value(np.ones(3))).square().sum()
    g.backward()
    squares, product = text(g).splitlines()[-2], text(g).splitlines()[-3]
    assert squares.endswith("  n2 [6 6]") and "@" in product and "× " not in draw(g)
    neuron_s = neuron((2, -3, -3), (-1, -2))[0]
    neuron_s.backward()
    assert max(map(len, text(neuron_s).splitlines())) <= 80


def test_drawings_have_room() -> None:
    """Nothing is drawn over a circle or beyond the edge, however long the numbers are; no zero is negative."""
    w, x = value([[0.1, 0.5], [-0.3, 0.8]], "W"), value([0.2, 0.4], "x")
    norm = (w @ x).square().sum()
    norm.backward()
    drawn = ET.fromstring(draw(norm))
    space = "{http://www.w3.org/2000/svg}"
    circles = [(float(one.get("cx", 0)), float(one.get("cy", 0))) for one in drawn.iter(f"{space}circle")]
    for label in drawn.iter(f"{space}text"):
        if label.get("text-anchor") == "start" and label.get("fill") in ("#0072b2", "#d55e00"):
            left, y = float(label.get("x", 0)), float(label.get("y", 0))
            right = left + 6.3 * len(label.text or "")
            assert right <= float(drawn.get("width", 0))
            assert not any(left < cx - 17 < right and abs(cy - y) < 17 for cx, cy in circles), label.text
    assert "[0.088 0.176; 0.104 0.208]" in {label.text for label in drawn.iter(f"{space}text")}
    a = value(3.0, "a")
    twice = a * a
    twice.backward()
    lines = {(one.get("y1"), one.get("y2")) for one in ET.fromstring(draw(twice)).iter(f"{space}line")}
    assert len(lines) == 2
    low = (-value(0.0, "z")).relu()
    low.backward()
    assert "-0 " not in text(low) and ">-0<" not in draw(low)
