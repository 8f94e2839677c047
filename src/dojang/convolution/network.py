"""Layers enough to train a small network in NumPy alone: each keeps what its backward pass needs, and nothing else.

A layer has ``forward(x, training)``, ``backward(dout)`` which gives the gradient of x and fills ``gradients``, and
``parameters`` by name.  :class:`Network` is layers in a row; :func:`train` is the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from dojang.convolution import blocks, operation, pooling
from dojang.convolution.geometry import Padding, numbers
from dojang.errors import ConfigError, did_you_mean


class Layer:
    """A step from arrays to arrays."""

    def __init__(self) -> None:
        self.parameters: dict[str, np.ndarray] = {}
        self.gradients: dict[str, np.ndarray] = {}
        self.x: np.ndarray | None = None

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """The output for a batch; what backward needs is kept while training."""
        raise NotImplementedError

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """The gradient of x, of that of the output; those of the parameters go to ``gradients``."""
        raise NotImplementedError

    def kept(self) -> np.ndarray:
        """What the last forward pass in training was given.

        Raises:
            ConfigError: C252 when there was none.
        """
        if self.x is None:
            raise ConfigError(
                "C252", "backward follows a forward pass in training.", fix="forward(x, training=True) first."
            )
        return self.x


class Conv(Layer):
    """A convolution with biases; He's start.

    Args:
        channels, filters: How many come in and go out.
        kernel: Of the window, for each axis; one number for both of a picture's.
        stride, padding: As :func:`dojang.convolution.conv`.
        draw: Where the weights come from.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int | Sequence[int],
        draw: np.random.Generator,
        *,
        stride: int = 1,
        padding: Padding = "valid",
    ) -> None:
        super().__init__()
        kernel = numbers("kernel", kernel, len(list(kernel)) if isinstance(kernel, Iterable) else 2, 1)
        self.options: dict[str, Any] = {"stride": stride, "padding": padding}
        self.parameters = {
            "w": _he(draw, (filters, channels, *kernel), channels * int(np.prod(kernel))),
            "b": np.zeros(filters, np.float32),
        }

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.x = x if training else None
        return operation.conv(x, self.parameters["w"], self.parameters["b"], **self.options)

    def backward(self, dout: np.ndarray) -> np.ndarray:
        found = operation.conv_gradients(self.kept(), self.parameters["w"], dout, **self.options)
        self.gradients = {"w": found.w, "b": found.b}
        return found.x


class Dense(Layer):
    """x W + b for rows x; He's start."""

    def __init__(self, features: int, out: int, draw: np.random.Generator) -> None:
        super().__init__()
        self.parameters = {"w": _he(draw, (features, out), features), "b": np.zeros(out, np.float32)}

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        w = self.parameters["w"]
        if x.ndim != 2 or x.shape[1] != len(w):
            raise ConfigError("C251", f"x {x.shape} does not fit w {w.shape}; expected (n, {len(w)}).")
        self.x = x if training else None
        found: np.ndarray = x @ self.parameters["w"] + self.parameters["b"]
        return found

    def backward(self, dout: np.ndarray) -> np.ndarray:
        self.gradients = {"w": self.kept().T @ dout, "b": dout.sum(axis=0)}
        found: np.ndarray = dout @ self.parameters["w"].T
        return found


class BatchNorm(Layer):
    """Batch normalisation with running statistics for evaluation."""

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.parameters = {"gamma": np.ones(channels, np.float32), "beta": np.zeros(channels, np.float32)}
        self.running: tuple[np.ndarray, np.ndarray] = (np.zeros(channels, np.float32), np.ones(channels, np.float32))
        self.momentum, self.eps = momentum, eps

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        gamma, beta = self.parameters["gamma"], self.parameters["beta"]
        self.x = x if training else None
        self.found = blocks.batch_norm(x, gamma, beta, running=None if training else self.running, eps=self.eps)
        if training:
            count, m = x.size // x.shape[1], self.momentum
            # what is kept is an estimate for all pictures, which a batch's own variance is too small for
            variance = self.found.variance * (count / max(count - 1, 1))
            new = (self.found.mean, variance)
            self.running = ((1 - m) * self.running[0] + m * new[0], (1 - m) * self.running[1] + m * new[1])
        return self.found.y

    def backward(self, dout: np.ndarray) -> np.ndarray:
        self.kept()
        dx, dgamma, dbeta = blocks.batch_norm_gradients(dout, self.found, self.parameters["gamma"])
        self.gradients = {"gamma": dgamma, "beta": dbeta}
        return dx


class Activate(Layer):
    """A function of each number, by its name in :data:`dojang.convolution.blocks.ACTIVATIONS`."""

    def __init__(self, name: str = "relu") -> None:
        super().__init__()
        if name not in blocks.ACTIVATIONS:
            raise ConfigError("C252", f"there is no activation {name!r}.{did_you_mean(str(name), blocks.ACTIVATIONS)}")
        self.function = blocks.ACTIVATIONS[name]

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.x = x if training else None
        return self.function.forward(x)

    def backward(self, dout: np.ndarray) -> np.ndarray:
        found: np.ndarray = dout * self.function.slope(self.kept())
        return found


class Pool(Layer):
    """Pooling by windows side by side."""

    def __init__(self, kernel: int, kind: str = "max") -> None:
        super().__init__()
        self.kernel, self.kind = kernel, kind

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.x = x if training else None
        return pooling.pool(x, self.kernel, kind=self.kind)

    def backward(self, dout: np.ndarray) -> np.ndarray:
        return pooling.pool_gradients(self.kept(), dout, self.kernel, kind=self.kind)


class Flatten(Layer):
    """A map as one row of numbers."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.x = x if training else None
        return x.reshape(len(x), -1)

    def backward(self, dout: np.ndarray) -> np.ndarray:
        return dout.reshape(self.kept().shape)


class Dropout(Layer):
    """Inverted dropout."""

    def __init__(self, share: float, draw: np.random.Generator) -> None:
        super().__init__()
        self.share, self.draw = share, draw

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.x = x if training else None
        found, self.mask = blocks.dropout(x, self.share, self.draw if training else None)
        return found

    def backward(self, dout: np.ndarray) -> np.ndarray:
        self.kept()
        found: np.ndarray = dout * self.mask
        return found


class Network(Layer):
    """Layers in a row."""

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, dout: np.ndarray) -> np.ndarray:
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        return dout

    def weights(self) -> Iterator[tuple[Layer, str]]:
        """Every parameter, as its layer and its name there, also of networks in a network."""
        for layer in self.layers:
            if isinstance(layer, Network):
                yield from layer.weights()
            for name in layer.parameters:
                yield layer, name

    def count(self) -> int:
        """How many numbers training changes."""
        return sum(layer.parameters[name].size for layer, name in self.weights())


def lenet(draw: np.random.Generator, *, channels: int = 1, size: int = 8, classes: int = 10) -> Network:
    """A LeNet for small pictures: two convolutions of 3x3, each with a pooling behind it, and two dense layers.

    >>> lenet(np.random.default_rng(0)).count()
    13706
    """
    (side,) = numbers("size", size, 1, 4)
    side = side // 2 // 2
    return Network(
        Conv(channels, 16, (3, 3), draw, padding="same"),
        Activate("relu"),
        Pool(2),
        Conv(16, 32, (3, 3), draw, padding="same"),
        Activate("relu"),
        Pool(2),
        Flatten(),
        Dense(32 * side * side, 64, draw),
        Activate("relu"),
        Dense(64, classes, draw),
    )


def train(
    network: Network,
    x: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    batch_size: int = 32,
    lr: float = 0.1,
    momentum: float = 0.9,
    seed: int = 0,
    tell: Callable[[int, float], None] = lambda epoch, loss: None,
) -> list[float]:
    """Stochastic gradient descent with momentum on the cross-entropy; the rate falls to 0 in a straight line.

    Args:
        x: float32 (n, c, *sizes).
        labels: (n,).
        tell: Told of each epoch and its mean loss.

    Returns:
        The mean loss of each epoch.

    Raises:
        ConfigError: C251 for labels that are not as many as the pictures, C252 for values that cannot be used.
    """
    labels = np.asarray(labels)
    if labels.shape != x.shape[:1]:
        raise ConfigError("C251", f"x {x.shape} and labels {labels.shape} do not fit.", fix=f"{len(x)} labels.")
    numbers("batch_size", batch_size, 1, 1)
    numbers("epochs", epochs, 1, 0)
    draw = np.random.default_rng(seed)
    speed = {(id(layer), name): np.zeros_like(layer.parameters[name]) for layer, name in network.weights()}
    losses, step, steps = [], 0, epochs * -(-len(x) // batch_size)
    for epoch in range(1, epochs + 1):
        total, order = 0.0, draw.permutation(len(x))
        for first in range(0, len(x), batch_size):
            rows = order[first : first + batch_size]
            scores = network.forward(x[rows], training=True)
            total += blocks.cross_entropy(scores, labels[rows]) * len(rows)
            network.backward(blocks.cross_entropy_gradient(scores, labels[rows]))
            rate = lr * (1 - step / steps)
            step += 1
            for layer, name in network.weights():
                v = speed[id(layer), name] = momentum * speed[id(layer), name] - rate * layer.gradients[name]
                layer.parameters[name] = layer.parameters[name] + v
        losses.append(total / max(len(x), 1))
        tell(epoch, losses[-1])
    return losses


def _he(draw: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """N(0, 2 / inputs): the variance of what goes through stays. Source: He et al., arXiv:1502.01852."""
    found: np.ndarray = (draw.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)
    return found
