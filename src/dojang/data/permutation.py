"""One fixed order of a picture's pixels, the same for all pictures of a size, all runs and all machines.

To a dense network it is nothing: each pixel has weights of its own, wherever it lies. A convolution goes by neighbours,
and in this order there are none. So training both on permuted pictures shows what a convolution takes for granted.
Sources: LeCun and others, "Gradient-based learning applied to document recognition", 1998, section II: the inputs of a
dense network may come in any fixed order; permuted MNIST is in Goodfellow and others, arXiv:1312.6211.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from dojang import seeds

# no option: weights that were trained on an order must find the same one wherever they are used
_SEED = 0


def order(height: int, width: int) -> Int64[np.ndarray, " pixels"]:
    """Which pixel comes to each place, both counted row by row; a function of the size and of nothing else.

    Args:
        height, width: Of the pictures.

    >>> order(2, 3).tolist()
    [5, 0, 3, 1, 2, 4]
    """
    return seeds.permutation(seeds.key(_SEED, "pixels", height, width), height * width)


def permuted(pixels: Tensor) -> Tensor:
    """Pictures with their pixels in :func:`order`; the channels of a pixel stay together.

    Args:
        pixels: Of any type, (..., h, w, c); not changed.

    >>> permuted(torch.arange(6).reshape(2, 3, 1))[:, :, 0].tolist()
    [[5, 0, 3], [1, 2, 4]]
    """
    height, width, channels = pixels.shape[-3:]
    flat = pixels.reshape(-1, height * width, channels)
    # indexing would share a batch of a millisecond out among threads
    return flat.index_select(1, _index(height, width, pixels.device)).reshape(pixels.shape)


@functools.lru_cache(maxsize=8)
def _index(height: int, width: int, device: torch.device) -> Tensor:
    # one that was made while answering would be of no use to gradients by the picture
    with torch.inference_mode(False):
        return torch.from_numpy(order(height, width)).to(device)
