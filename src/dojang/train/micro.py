"""Steps in parts: the gradient of a large batch from small ones, whose maps stay in the processor's caches.

Batch normalisation then sees one part at a time ("ghost batches": Hoffer et al., arXiv:1705.08741).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextlib.contextmanager
def norms_over(model: nn.Module, parts: int) -> Iterator[None]:
    """For the length of a step, let running statistics move with ``parts`` parts as far as they would with one batch.

    Example:
        >>> norm = nn.BatchNorm2d(1, momentum=0.19)
        >>> with norms_over(norm, 2):
        ...     print(round(norm.momentum, 6))
        0.1
        >>> norm.momentum
        0.19
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.momentum] if parts > 1 else []
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1 - (1 - (norm.momentum or 0.0)) ** (1 / parts)
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
