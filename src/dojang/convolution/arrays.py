"""What is given as numbers becomes arrays that sums of products fit into; anything else is a coded error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dojang.errors import ConfigError


def numbers_of(value: npt.ArrayLike, name: str) -> np.ndarray:
    """An array of numbers, itself where it can be used as it is: int64, float32 or float64.

    Args:
        name: Of the argument, for the error.

    Raises:
        ConfigError: C252 for what holds no numbers, rows of different lengths, and whole numbers beyond 64 bits.

    >>> numbers_of([True, False], "x").dtype.name, numbers_of(np.float16([1]), "x").dtype.name
    ('int64', 'float32')
    """
    try:
        found = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        raise ConfigError("C252", f"{name} is no array of numbers: its rows differ in length.") from None
    if found.dtype.kind in "bui":
        if found.dtype == np.uint64 and found.size and found.max() > np.iinfo(np.int64).max:
            raise ConfigError("C252", f"{name} holds whole numbers beyond 2^63 - 1.", fix=f"{name}.astype(float)")
        # sums of bytes do not fit into bytes
        return found.astype(np.int64, copy=False)
    if found.dtype.kind != "f":
        raise ConfigError("C252", f"{name} holds {_kind(found)}, and numbers are expected.")
    return found.astype(np.float32) if found.dtype == np.float16 else found


def floats_of(value: npt.ArrayLike, name: str = "x") -> np.ndarray:
    """The same as numbers that can be divided: float32 or float64; whole numbers become float64.

    >>> floats_of([1, 2]).dtype.name
    'float64'
    """
    found = numbers_of(value, name)
    return found if found.dtype.kind == "f" else found.astype(np.float64)


def _kind(found: np.ndarray) -> str:
    words = {"U": "text", "S": "bytes", "c": "complex numbers", "O": "objects"}
    return words.get(found.dtype.kind, str(found.dtype))
