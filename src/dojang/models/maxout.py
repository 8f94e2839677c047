"""Maxout: a unit is the larger of two linear pieces, so the network learns the shape of its activation, too.

The layer before gives each unit's pieces and so has twice the outputs, and twice the weights.  Source: Goodfellow,
Warde-Farley, Mirza, Courville, Bengio, "Maxout Networks", ICML 2013, arXiv:1302.4389.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dojang.errors import ConfigError, many

#: linear pieces of a unit: two make |x|, ReLU and leaky ReLU; each further one costs the layer before as many weights
PIECES = 2


class Maxout(nn.Module):
    """The larger of two numbers for each unit: number i of the first half of dimension 1, or of the second half.

    Shapes:
        (B, 2 * n, ...) to (B, n, ...).

    Raises:
        ConfigError: C204 for an odd number of inputs.

    Example:
        >>> Maxout()(torch.tensor([[1.0, -2.0, 0.0, 3.0]]))
        tensor([[1., 3.]])
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[1] % PIECES:
            raise ConfigError(
                "C204",
                f"maxout takes {PIECES} numbers for each unit, and was given {many(x.shape[1], 'number')} a picture."
                if x.ndim > 1
                else f"maxout takes a batch of numbers, and was given the shape {tuple(x.shape)}.",
                fix=f"{PIECES} * n outputs of the layer before, for n units.",
            )
        first, second = x.chunk(PIECES, dim=1)
        return torch.maximum(first, second)


def outputs(activation: str, units: int) -> int:
    """How many numbers the layer before an activation has to give for so many units.

    >>> outputs("relu", 64), outputs("maxout", 64)
    (64, 128)
    """
    return PIECES * units if activation == "maxout" else units
