"""Learning-rate schedules: functions of progress in [0, 1] that give a share of the highest rate.

Progress is the share of the epochs, or of the time budget, that is used; so every schedule works for both.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def constant(progress: float) -> float:
    """1 all the way."""
    return 1.0


def linear(progress: float) -> float:
    """From 1 straight down to 0."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """From 1 down to 0 along half a cosine. Source: Loshchilov and Hutter, arXiv:1608.03983, without restarts."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def onecycle(progress: float) -> float:
    """Up from 0.04 to 1 in the first 30 %, then down to 0, both along a cosine. Source: Smith, arXiv:1708.07120."""
    if progress < 0.3:
        return 0.04 + 0.96 * (1.0 - cosine(progress / 0.3))
    return cosine((progress - 0.3) / 0.7)


def step(progress: float) -> float:
    """1, then 0.1 from one half, 0.01 from three quarters on. Source: He et al., arXiv:1512.03385, section 4.2."""
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "onecycle": onecycle,
    "step": step,
}

#: up from ``final`` to 1 in equal ratios: the range test's own, which no recipe can have
RISING = "rising"


def rate(schedule: str, progress: float, warmup: float = 0.0, final: float = 0.0) -> float:
    """The share of the highest rate at some progress.

    Args:
        schedule: A name of :data:`SCHEDULES`, or :data:`RISING`.
        progress: In [0, 1]; beyond it is cut.
        warmup: Share of progress in which the rate first rises linearly; the schedule has the rest.
        final: Where the schedule's 0 is put; where RISING begins, above 0.

    >>> [round(rate("cosine", p, warmup=0.2), 3) for p in (0, 0.1, 0.2, 0.6, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    progress = min(max(progress, 0.0), 1.0)
    if schedule == RISING:
        return float(final ** (1.0 - progress))
    if warmup and progress < warmup:
        return progress / warmup
    share = SCHEDULES[schedule]((progress - warmup) / (1.0 - warmup))
    return final + (1.0 - final) * share
