"""Round numbers for the axes of drawings."""

from __future__ import annotations

import math
from collections.abc import Iterable

_SLACK = 1e-9


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two others, at most so many and one.

    >>> ticks(0, 57, 4), ticks(0.93, 1.0, 5)
    ([0, 20, 40], [0.94, 0.96, 0.98, 1.0])
    """
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    each = next(power * n for n in (1, 2, 5, 10) if power * n >= rough)
    digits = max(0, -math.floor(math.log10(each)))
    first = math.ceil(low / each - _SLACK)
    return [
        round(i * each, digits) if digits else round(i * each)
        for i in range(first, math.floor(high / each + _SLACK) + 1)
    ]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers of a log axis: powers of ten; where it spans fewer than three, 1, 2 and 5 times them.

    Args:
        low, high: The ends, above 0.
        most: How many there are at most.

    >>> log_ticks(1e-4, 0.1, 6), log_ticks(16, 300, 6), log_ticks(2.1, 2.9, 4)
    ([0.0001, 0.001, 0.01, 0.1], [20.0, 50.0, 100.0, 200.0], [2.2, 2.4, 2.6, 2.8])
    """
    if not high > low:
        return [low]
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = _within((float(f"1e{power}") for power in range(first, last + 1)), low, high)
    if len(powers) < 3:
        powers = _within((float(f"{n}e{power}") for power in range(first, last + 1) for n in (1, 2, 5)), low, high)
    if len(powers) < 2:
        return ticks(low, high, most)
    return powers[:: math.ceil(len(powers) / most)]


def _within(values: Iterable[float], low: float, high: float) -> list[float]:
    slack = 1 + _SLACK
    return [value for value in values if low / slack <= value <= high * slack]
