"""Arrays inside JSON: a byte for each number, which is enough for what is looked at."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from jaxtyping import Float32


def packed(values: Float32[np.ndarray, "*sides"], *, apart: bool = False) -> dict[str, Any]:
    """An array as ``shape``, ``most`` and ``data``: a number is its byte (-127 to 127, base64) times most over 127.

    Args:
        apart: Each part along the first side by its own largest number; ``most`` is a list then.

    Example:
        >>> found = packed(np.array([[0.0, -2.0], [1.0, 4.0]], np.float32))
        >>> found["shape"], found["most"], np.frombuffer(base64.b64decode(found["data"]), np.int8).tolist()
        ([2, 2], 4.0, [0, -64, 32, 127])
    """
    sides = tuple(range(1 if apart else 0, values.ndim))
    most = np.abs(values).max(axis=sides, keepdims=True, initial=0)
    levels = np.rint(values / np.where(most > 0, most, 1) * 127).astype(np.int8)
    sizes = [float(f"{size:.7g}") for size in most.ravel().tolist()]
    data = base64.b64encode(np.ascontiguousarray(levels).tobytes()).decode("ascii")
    return {"shape": list(values.shape), "most": sizes if apart else sizes[0], "data": data}
