"""The operation shown on small arrays, each demonstration a function that gives the arrays of its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dojang.convolution import blocks as by_hand
from dojang.convolution import filters, operation, steps
from dojang.convolution.geometry import Padding
from dojang.convolution.graph import Node, value
from dojang.convolution.graph_drawing import draw, text
from dojang.convolution.steps import Step, Steps

_PICTURE = np.array([[10, 20, 30, 40], [0, 1, 0, 1], [30, 0, 10, 20], [0, 10, 20, 30]])
_WINDOW = np.array([[1, 0], [0, 2]])


def modes() -> Steps:
    """One picture and one window: correlation and convolution, and what each mode keeps of it.

    >>> modes()["valid"].shape, modes()["full"].shape, modes()["same"].shape
    ((3, 3), (5, 5), (4, 4))
    """
    x, w = _PICTURE, _WINDOW
    return Steps(
        (
            Step("input", "4 x 4", x),
            Step("window", "2 x 2", w),
            Step("valid", "cross-correlation where the window lies inside: N - K + 1 = 3", operation.correlate(x, w)),
            Step("convolution", "the window turned round first", operation.convolve(x, w)),
            Step("full", "wherever they touch: N + K - 1 = 5", operation.correlate(x, w, padding="full")),
            Step("same", "N = 4, zeros behind, as torch has it", operation.correlate(x, w, padding="same")),
            Step(
                "same-before",
                "zeros before, as SciPy's correlate has it",
                operation.correlate(x, w, padding="same-before"),
            ),
        )
    )


def columns(stride: int = 1, padding: Padding = 1) -> Steps:
    """The numbers 1 to 9 with zeros around, two filters, forward and back.

    >>> columns(stride=2)["output"][0].tolist()
    [[1, 8], [12, 9]]
    """
    x = np.arange(1, 10).reshape(3, 3)
    w = np.array([[[0, 0, 1], [0, 1, 0], [1, 0, 0]], [[1, 0, 1], [0, 1, 0], [1, 0, 1]]])
    return steps.convolution(x, w, stride=stride, padding=padding, dout=1)


def series() -> Steps:
    """A time series, one dimension: a mean of three smooths it, a difference finds where it jumps."""
    x = np.array([2, 3, 2, 4, 3, 9, 10, 9, 11, 10.0])
    smooth, edge = np.full(3, 1 / 3), np.array([-1.0, 1.0])
    return Steps(
        (
            Step("series", "ten values, a jump between the fifth and the sixth", x),
            Step("smooth", "windows of three, each weight 1/3", operation.correlate(x, smooth).round(2)),
            Step("jump", "window -1, 1: the difference of neighbours", operation.correlate(x, edge)),
        )
    )


def video() -> Steps:
    """A film, three dimensions: a window over time sees what moves, and nothing where all stands still.

    >>> found = video()
    >>> found["film"].shape, found["moved"].shape
    ((3, 4, 5), (2, 4, 5))
    """
    film = np.zeros((3, 4, 5), int)
    film[:, 3, :] = 5
    for time in range(3):
        film[time, 1, 1 + time] = 9
    window = np.array([[[-1]], [[1]]])
    return Steps(
        (
            Step("film", "three frames of 4 x 5: a floor, and a ball that moves to the right", film),
            Step("moved", "window 2 x 1 x 1 over time, -1 and 1: the floor is gone", operation.correlate(film, window)),
        )
    )


def matrix() -> Steps:
    """A convolution as a product with a matrix that has few different numbers and many zeros."""
    x, w = np.arange(1, 10).reshape(3, 3), np.array([[1, 2], [3, 4]])
    found, line = filters.as_matrix(w, x.shape), filters.as_matrix([1, 2], (4,))
    return Steps(
        (
            Step("one axis", "the window 1, 2 over four numbers: a row for each place", line),
            Step("input", "3 x 3, read as a column of 9", x),
            Step("window", "2 x 2", w),
            Step("matrix", "a row for each place, a column for each number; 0 where the window is not", found),
            Step("product", "matrix @ input", (found @ x.ravel()).reshape(2, 2)),
            Step("convolved", "the same without the matrix", operation.correlate(x, w)),
        )
    )


def pattern() -> Steps:
    """A convolution as a search: the product is large where the window is bright, the cosine where it is alike."""
    wanted = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    x = np.zeros((5, 9), int)
    x[1:4, 0:3], x[1:4, 4:7] = wanted * 2, 9
    return Steps(
        (
            Step("input", "a dim cross on the left, a bright square on the right", x),
            Step("pattern", "a cross", wanted),
            Step("product", "the scalar product is largest on the square", operation.correlate(x, wanted)),
            Step("cosine", "divided by both lengths it is 1 on the cross", filters.similarity(x, wanted).round(2)),
        )
    )


def picture() -> Steps:
    """A small picture, a bright corner, behind every filter."""
    x = np.full((5, 6), 1)
    x[2:, 3:] = 9
    behind = (Step(name, filters.MEANINGS[name], filters.filtered(x, name).round(1) + 0.0) for name in filters.FILTERS)
    return Steps((Step("picture", "5 x 6: a bright corner", x), *behind))


def field() -> Steps:
    """Two windows of 3 x 3, one behind the other, see 5 x 5; what lies in the middle is seen on more roads."""
    one = np.ones((1, 1, 3, 3), int)
    first = operation.conv_transpose(np.ones((1, 1, 1, 1), int), one)
    second = operation.conv_transpose(first, one)
    return Steps(
        (
            Step("a number", "behind both windows", np.ones((1, 1), int)),
            Step("seen by the second", "3 x 3 numbers of the layer between", first[0, 0]),
            Step("seen by both", "5 x 5 of the picture; the roads to each", second[0, 0]),
        )
    )


def blocks() -> Steps:
    """From scores to a loss and back, a batch normalised, and the activations."""
    scores, labels = np.array([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), [0, 2]
    x = np.array([[1.0], [3.0], [5.0], [7.0]])
    along = np.array([-2.0, -1, 0, 1, 2])
    curves = np.stack([along, *(one.forward(along) for one in by_hand.ACTIVATIONS.values())])
    loss = by_hand.cross_entropy(scores, labels)
    return Steps(
        (
            Step("scores", "two pictures, three classes", scores),
            Step("softmax", "exp(s), divided by the sum of its row", by_hand.softmax(scores).round(3)),
            Step("one-hot", "the labels 0 and 2", by_hand.one_hot(labels, 3)),
            Step("cross-entropy", "the mean of -log p(label)", np.array([[loss]]).round(3)),
            Step("gradient", "(softmax - one-hot) / 2", by_hand.cross_entropy_gradient(scores, labels).round(3)),
            Step("batch", "four numbers of one channel, mean 4, variance 5", x),
            Step("normalised", "less the mean, over the deviation", by_hand.batch_norm(x, [1.0], [0.0]).y.round(3)),
            Step("activations", f"x, then {', '.join(by_hand.ACTIVATIONS)}", curves.round(3) + 0.0),
        )
    )


def commutes() -> Steps:
    """The two forms of the definition: whichever of the two is turned round, the sums are the same."""
    f, g = np.array([1, 2, 3]), np.array([0, 1, 10])
    return Steps(
        (
            Step("f", "", f),
            Step("g", "", g),
            Step("f * g", "sum over k of f(k) g(n - k)", operation.convolve(f, g, padding="full")),
            Step("g * f", "sum over k of g(k) f(n - k)", operation.convolve(g, f, padding="full")),
            Step("correlated", "not turned round it is not commutative", operation.correlate(f, g, padding="full")),
            Step("correlated, exchanged", "", operation.correlate(g, f, padding="full")),
        )
    )


def transposed() -> Steps:
    """5 x 5 to 2 x 2 and back to 5 x 5."""
    return steps.transposed(np.arange(1, 26).reshape(5, 5), np.array([[0, 1, 0], [1, 2, 1], [0, 1, 0]]))


def pooling() -> Steps:
    """What a maximum leaves unchanged when the picture moves, and what it does not."""
    return steps.pooling([[0, 9, 0, 0], [0, 0, 0, 0], [0, 0, 7, 0], [0, 0, 0, 3]])


def equivariance() -> Steps:
    """A picture moved and convolved, and convolved and moved."""
    return steps.equivariance(_PICTURE, _WINDOW)


class Graph:
    """A computational graph that was run forward and back; ``str`` writes it, a notebook draws it."""

    def __init__(self, node: Node) -> None:
        node.backward()
        self.node = node

    def __str__(self) -> str:
        return text(self.node)

    def _repr_html_(self) -> str:
        return draw(self.node)


def graph() -> Graph:
    """(x + y) z, and the gradients that flow back.

    >>> print(str(graph()).splitlines()[-1])
    f = q × z  -12    1         -4, 3   q -4, z 3
    """
    q = (value(-2, "x") + value(5, "y")).named("q")
    return Graph((q * value(-4, "z")).named("f"))


DEMONSTRATIONS: Mapping[str, Callable[[], Steps | Graph]] = {
    "modes": modes,
    "columns": columns,
    "commutes": commutes,
    "series": series,
    "video": video,
    "filters": picture,
    "pattern": pattern,
    "matrix": matrix,
    "equivariance": equivariance,
    "pooling": pooling,
    "transposed": transposed,
    "field": field,
    "blocks": blocks,
    "graph": graph,
}
"""Every demonstration by name."""
