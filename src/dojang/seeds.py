"""Randomness as a function: one counter hash gives the order, the augmentation and the initialisation.

Nothing random is ever saved. A draw is ``hash(key, counter)``, where the key names the purpose (seed, "order", epoch)
and the counter names the sample, so the same bits come out on any torch, any thread count, CPU or GPU, and from the
middle of an epoch as well as from its start. The functions take NumPy int64 arrays and torch int64 tensors alike.

Source: splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

_GOLDEN = 0x9E3779B97F4A7C15
_MIX1 = 0xBF58476D1CE4E5B9
_MIX2 = 0x94D049BB133111EB


def _signed(value: int) -> int:
    """The int64 that has the same 64 bits."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


def _shift(x: Any, bits: int) -> Any:
    # int64 shifts copy the sign bit in; the mask makes the shift a logical one
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def key(*parts: int | str) -> int:
    """An int64 key for a purpose, from a seed and words that name it.

    >>> key(0, "order", 3) == key(0, "order", 3) != key(0, "order", 4)
    True
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little", signed=True)


def bits(key: int, counters: Any) -> Any:
    """64 random bits for each counter, as int64.

    Args:
        key: From :func:`key`.
        counters: int64 array or tensor of any shape; the result has its type and shape.
    """
    x = counters * _signed(_GOLDEN) + _signed(key + _GOLDEN)
    x = (x ^ _shift(x, 30)) * _signed(_MIX1)
    x = (x ^ _shift(x, 27)) * _signed(_MIX2)
    return x ^ _shift(x, 31)


def uniform(key: int, counters: Any) -> Any:
    """A float64 in [0, 1) for each counter, from the upper 53 bits.

    >>> draws = uniform(key(0, "example"), np.arange(1000))
    >>> bool(draws.min() >= 0 and draws.max() < 1 and abs(draws.mean() - 0.5) < 0.05)
    True
    """
    upper = _shift(bits(key, counters), 11)
    # torch would promote int64 * float to float32, which has too few bits
    return (upper.astype(np.float64) if isinstance(upper, np.ndarray) else upper.double()) * 2.0**-53


def integers(key: int, counters: Any, high: Any) -> Any:
    """An int64 in [0, high) for each counter; ``high`` is a number or an array of the same shape."""
    draws = uniform(key, counters) * high
    return draws.astype(np.int64) if isinstance(draws, np.ndarray) else draws.long()


def permutation(key: int, n: int) -> np.ndarray:
    """The numbers 0 to n-1 in an order that the key fixes, as int64 of shape (n,)."""
    return np.argsort(bits(key, np.arange(n, dtype=np.int64)), kind="stable")


def torch_seed(*parts: int | str) -> int:
    """A seed for torch's own generators (dropout, initialisation), in [0, 2**63)."""
    return key(*parts) & (2**63 - 1)
