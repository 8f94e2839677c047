"""The operation itself, in NumPy alone: convolution and all that networks put around it, forward and backward, by hand.

It teaches, and it is what dojang's own tests measure by.  Layers: :func:`conv`; plain arrays: :func:`correlate`,
:func:`convolve`.
"""

from dojang.convolution.geometry import geometry
from dojang.convolution.operation import (
    METHODS,
    conv,
    conv_gradients,
    conv_transpose,
    convolve,
    correlate,
    stuffed,
)
from dojang.convolution.pooling import global_pool, pool, pool_gradients

__all__ = [
    "METHODS",
    "conv",
    "conv_gradients",
    "conv_transpose",
    "convolve",
    "correlate",
    "geometry",
    "global_pool",
    "pool",
    "pool_gradients",
    "stuffed",
]
