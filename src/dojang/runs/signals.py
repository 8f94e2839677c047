"""Ctrl-C and termination, turned into a request that the loop reads between steps."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from dojang.train.guard import Stop


@contextlib.contextmanager
def asking() -> Iterator[Stop]:
    """A :class:`Stop` that the first SIGINT or SIGTERM sets; a second SIGINT interrupts at once.

    Outside the main thread signals cannot be caught; there the request is simply never set.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.signal = number

    older = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in older.items():
            signal.signal(number, handler)
