"""Time several pieces of work side by side, so that a machine that grows slower or faster is unjust to none of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from dojang.errors import DojangError

ROUNDS = 7
"""Most samples of a work; few enough that each can last."""
FEWEST = 3
"""Samples of a work that is slow: below three there is no median to speak of."""
# seconds a call may take; as many times more where more than a second is given to each work
_PATIENCE = 20.0
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "Unable to allocate")

Tell = Callable[[int, int, str], None]
"""Told how many of how many samples are done, and what comes next."""


@dataclass(frozen=True)
class Work:
    """Something to be timed.

    Args:
        what: Its name, for progress.
        prepare: Makes its inputs and gives what is to be called; not timed.
    """

    what: str
    prepare: Callable[[], Callable[[], object]]


@dataclass(frozen=True)
class Times:
    """How long a call took.

    Args:
        seconds: Of a call; one number a sample.
        failed: Why there are none, in words; empty where there are.
    """

    seconds: tuple[float, ...] = ()
    failed: str = ""

    def rate(self, amount: float) -> dict[str, float] | None:
        """``amount`` a second: n samples, their median, and the slowest and fastest of them; None where it failed.

        Example:
            >>> Times((0.5, 0.25, 0.2)).rate(10)
            {'n': 3, 'median': 40.0, 'min': 20.0, 'max': 50.0}
        """
        if self.failed:
            return None
        rates = [amount / seconds for seconds in self.seconds]
        return {"n": len(rates), "median": statistics.median(rates), "min": min(rates), "max": max(rates)}


def interleaved(
    works: Sequence[Work],
    seconds: float,
    *,
    wait: Callable[[], None] = lambda: None,
    tell: Tell = lambda done, total, what: None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Times]:
    """Time every work in turn, round after round.

    Each is prepared and called once or twice before, which is not counted.  Then there are up to :data:`ROUNDS`
    rounds; a sample is as many calls as fit its share of the time.  Slow works take part in fewer rounds, spread over
    all of them, but in no fewer than :data:`FEWEST`.  A work that raises is left out with its reason; the others go on.

    Args:
        works: What to time.
        seconds: For each of them, beside the warm-up.
        wait: Returns when all that was asked of the device is done.
        tell: Told of progress.
        clock: Seconds.

    Returns:
        The times, in the order of the works.

    Example:
        >>> found = interleaved([Work("sum", lambda: lambda: sum(range(100)))], seconds=0.01)
        >>> len(found[0].seconds)
        7
    """
    timers: list[_Timer] = []
    for i, work in enumerate(works):
        tell(i, 2 * len(works), f"warming up: {work.what}")
        timers.append(_Timer(work, seconds, wait, clock))
    total = sum(timer.samples for timer in timers)
    done = total
    for turn in range(ROUNDS):
        for timer in timers:
            if timer.takes_part(turn):
                tell(done, 2 * total, timer.what)
                timer.sample()
                done += 1
    return [Times((), timer.failed) if timer.failed else Times(tuple(timer.found)) for timer in timers]


class _Timer:
    """A work with what is known of it."""

    def __init__(self, work: Work, seconds: float, wait: Callable[[], None], clock: Callable[[], float]) -> None:
        self.what, self.wait, self.clock = work.what, wait, clock
        self.failed, self.found = "", list[float]()
        self.samples = self.calls = 0
        self.call: Callable[[], object] | None = None
        try:
            self.call = work.prepare()
            once = self._time(1)
            # the first call also allocates, and picks and builds kernels
            if once < seconds:
                once = self._time(1)
        except Exception as error:
            self._fail(reason(error))
            return
        if once > _PATIENCE * max(seconds, 1.0):
            self._fail(f"too slow: one call took {once:.3g} s (a smaller --batch-size, or more --seconds)")
            return
        once = max(once, 1e-9)
        self.samples = min(max(int(seconds / once), FEWEST), ROUNDS)
        self.calls = max(1, round(seconds / self.samples / once))

    def takes_part(self, turn: int) -> bool:
        """Whether a sample is due in this round; they are spread evenly."""
        return not self.failed and (turn + 1) * self.samples // ROUNDS > turn * self.samples // ROUNDS

    def sample(self) -> None:
        try:
            self.found.append(self._time(self.calls) / self.calls)
        except Exception as error:
            self._fail(reason(error))

    def _time(self, calls: int) -> float:
        assert self.call is not None
        self.wait()
        began = self.clock()
        for _ in range(calls):
            self.call()
        self.wait()
        return self.clock() - began

    def _fail(self, text: str) -> None:
        # what it holds is let go, so that the others have room
        self.failed, self.call = text, None


def reason(error: Exception) -> str:
    """Why something could not be measured, in one line.

    Example:
        >>> reason(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."))
        'out of memory'
    """
    text = error.what if isinstance(error, DojangError) else str(error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(word in text for word in _NO_MEMORY):
        return "out of memory"
    first = text.strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
