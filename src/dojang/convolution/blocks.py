"""The other blocks by hand, forward and backward: softmax, losses, batch normalisation, dropout, activations.

Each is a function of arrays; what its backward pass needs is handed to it again, so nothing is hidden in objects.
Sums and exponentials are shifted so that no number overflows; everything else is the formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dojang.convolution.arrays import floats_of, numbers_of
from dojang.errors import ConfigError


def softmax(scores: npt.ArrayLike) -> np.ndarray:
    """Scores (..., classes) to probabilities: exp(s_i) / sum_j exp(s_j).

    >>> softmax([[0.0, np.log(3.0)], [1000.0, 1000.0]]).tolist()
    [[0.25, 0.75], [0.5, 0.5]]
    """
    found: np.ndarray = np.exp(log_softmax(scores))
    return found


def log_softmax(scores: npt.ArrayLike) -> np.ndarray:
    """The logarithm of softmax, also where a probability would be too small for a number."""
    given = floats_of(scores, "scores")
    if not given.ndim or not given.shape[-1]:
        raise ConfigError("C251", f"scores of shape {given.shape} are for no class at all.")
    # the largest becomes 0; the quotient stays what it was
    shifted = given - given.max(axis=-1, keepdims=True)
    found: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def one_hot(labels: npt.ArrayLike, classes: int) -> np.ndarray:
    """Labels (n,) to rows (n, classes) with a 1 where the label says.

    Raises:
        ConfigError: C252 for a label that is no class.

    >>> one_hot([2, 0], 3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    found = np.asarray(labels) if np.size(labels) else np.zeros(np.shape(labels), np.int64)
    if found.size and (found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= classes):
        raise ConfigError("C252", f"labels are whole numbers from 0 to {classes - 1}.")
    rows: np.ndarray = np.eye(classes)[found]
    return rows


def cross_entropy(scores: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """The mean of -log p(label), 0 of none; scores (n, classes), labels (n,).

    >>> round(cross_entropy([[0.0, 0.0]], [1]), 6)
    0.693147
    """
    logs = log_softmax(scores)
    # picked, not multiplied: what is impossible, and not the label, has no part in it
    return float(-logs[_rows(logs, labels) > 0].sum() / max(len(logs), 1)) + 0.0


def cross_entropy_gradient(scores: npt.ArrayLike, labels: npt.ArrayLike) -> np.ndarray:
    """Of the scores: (p - one_hot) / n.

    >>> cross_entropy_gradient([[0.0, 0.0]], [1]).tolist()
    [[0.5, -0.5]]
    """
    p = softmax(scores)
    found: np.ndarray = (p - _rows(p, labels)) / max(len(p), 1)
    return found


def _rows(scores: np.ndarray, labels: npt.ArrayLike) -> np.ndarray:
    """Labels as rows beside scores."""
    if scores.ndim != 2 or np.shape(labels) != scores.shape[:1]:
        raise ConfigError(
            "C251",
            f"scores {scores.shape} and labels {np.shape(labels)} do not fit; expected (n, classes) and (n,).",
            fix=f"labels of shape {scores.shape[:1]}.",
        )
    return one_hot(labels, scores.shape[1]).astype(scores.dtype)


def binary_cross_entropy(scores: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """The mean of -(t log q + (1 - t) log(1 - q)) with q = sigmoid(score), over all numbers; 0 of none.

    >>> round(binary_cross_entropy([0.0, 100.0], [1.0, 1.0]), 6)
    0.346574
    """
    s, t = floats_of(scores, "scores"), floats_of(targets, "targets")
    _alike("scores", s, "targets", t)
    # max(s, 0) - s t + log(1 + exp(-|s|)) is the same, and overflows nowhere
    return float((np.maximum(s, 0) - s * t + np.log1p(np.exp(-np.abs(s)))).sum() / max(s.size, 1))


def binary_cross_entropy_gradient(scores: npt.ArrayLike, targets: npt.ArrayLike) -> np.ndarray:
    """Of the scores: (sigmoid(s) - t) / n."""
    s, t = floats_of(scores, "scores"), floats_of(targets, "targets")
    _alike("scores", s, "targets", t)
    found: np.ndarray = (ACTIVATIONS["sigmoid"].forward(s) - t) / max(s.size, 1)
    return found


@dataclass(frozen=True)
class Normalised:
    """What batch normalisation gives, and what its backward pass needs.

    Args:
        y: gamma * x_hat + beta, of x's shape.
        x_hat: x with mean 0 and variance 1 in each channel.
        mean, variance: (c,), of this batch, or the running ones that were given.
        scale: (c,), 1 / sqrt(variance + eps).
    """

    y: np.ndarray
    x_hat: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    scale: np.ndarray


def batch_norm(
    x: npt.ArrayLike,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    *,
    running: tuple[np.ndarray, np.ndarray] | None = None,
    eps: float = 1e-5,
) -> Normalised:
    """Batch normalisation.

    Args:
        x: (n, c) or (n, c, *sizes).
        gamma, beta: (c,).
        running: Mean and variance for evaluation; None takes the batch's own, as training does.
        eps: Added to the variance.

    Raises:
        ConfigError: C251 for shapes that do not fit.

    Source: Ioffe, Szegedy, arXiv:1502.03167.
    """
    given = floats_of(x)
    if given.ndim < 2:
        raise ConfigError("C251", f"x has the shape {given.shape}; expected (n, c) or (n, c, *sizes).")
    for name, values in (("gamma", gamma), ("beta", beta), *(("running", one) for one in running or ())):
        if np.shape(values) != given.shape[1:2]:
            raise ConfigError(
                "C251",
                f"{name} {np.shape(values)} does not fit x {given.shape}; a number for each channel is expected.",
                fix=f"{name} of shape {given.shape[1:2]}.",
            )
    over = (0, *range(2, given.ndim))
    if running is None and not given.size:
        raise ConfigError("C251", f"x {given.shape} has no numbers to take a mean of.", fix="running=(mean, variance).")
    if running is not None:
        mean, variance = (floats_of(one, "running") for one in running)
    else:
        mean, variance = given.mean(axis=over), given.var(axis=over)
    scale = 1 / np.sqrt(variance + eps)
    x_hat = (given - _channels(mean, given)) * _channels(scale, given)
    y = _channels(numbers_of(gamma, "gamma"), given) * x_hat + _channels(numbers_of(beta, "beta"), given)
    return Normalised(y, x_hat, mean, variance, scale)


def batch_norm_gradients(
    dout: npt.ArrayLike, found: Normalised, gamma: npt.ArrayLike, *, running: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of x, gamma and beta.

    Args:
        dout: Of y.
        found: What the forward pass gave.
        running: Whether mean and variance were given, and so do not depend on x.
    """
    upstream = numbers_of(dout, "dout")
    _alike("dout", upstream, "y", found.y)
    _alike("gamma", numbers_of(gamma, "gamma"), "scale", found.scale)
    over = (0, *range(2, upstream.ndim))
    dgamma, dbeta = (upstream * found.x_hat).sum(axis=over), upstream.sum(axis=over)
    factor = _channels(np.asarray(gamma) * found.scale, upstream)
    if running:
        return factor * upstream, dgamma, dbeta
    m = upstream.size // max(upstream.shape[1], 1)
    # the mean takes what all share, the variance what goes along with x_hat
    shared = _channels(dbeta / m, upstream) + found.x_hat * _channels(dgamma / m, upstream)
    return factor * (upstream - shared), dgamma, dbeta


def dropout(x: npt.ArrayLike, share: float, draw: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
    """Numbers set to 0 with a probability, the others divided by what is left of it (inverted dropout).

    Args:
        share: The probability, below 1.
        draw: None in evaluation: everything stays.

    Returns:
        The result, and the mask that the backward pass multiplies by too.
    """
    given = floats_of(x)
    if not isinstance(share, (int, float, np.number)) or not 0 <= share < 1:
        raise ConfigError("C252", f"a dropout share is from 0 up to, not including, 1, and not {share!r}.")
    if draw is None:
        return given.copy(), np.ones_like(given)
    mask = ((draw.random(given.shape) >= share) / (1 - share)).astype(given.dtype)
    return given * mask, mask


@dataclass(frozen=True)
class Activation:
    """A function of each number, and its slope.

    Args:
        function, derivative: Of an array of floating-point numbers.
    """

    function: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray], np.ndarray]

    def forward(self, x: npt.ArrayLike) -> np.ndarray:
        """The function of each number; of whole numbers as of others."""
        return self.function(floats_of(x))

    def slope(self, x: npt.ArrayLike) -> np.ndarray:
        """Its derivative there."""
        return self.derivative(floats_of(x))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(x))
    found: np.ndarray = np.where(x >= 0, 1, small) / (1 + small)
    return found


# where a function has a corner, the slope is torch's
ACTIVATIONS: Mapping[str, Activation] = {
    "relu": Activation(lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype)),
    "leaky-relu": Activation(
        lambda x: np.where(x > 0, x, x * x.dtype.type(0.1)), lambda x: np.where(x > 0, 1, 0.1).astype(x.dtype)
    ),
    "elu": Activation(
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))).astype(x.dtype),
    ),
    "sigmoid": Activation(_sigmoid, lambda x: _sigmoid(x) * (1 - _sigmoid(x))),
    "tanh": Activation(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
}


def _alike(one: str, a: np.ndarray, other: str, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise ConfigError("C251", f"{one} {a.shape} and {other} {b.shape} do not fit; they are to have one shape.")


def _channels(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """(c,) as (1, c, 1, ...), to be used beside an array (n, c, ...)."""
    return values.reshape(1, -1, *[1] * (like.ndim - 2))
