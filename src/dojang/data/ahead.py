"""Work done on threads a few items ahead of its consumer, its results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def cores() -> int:
    """The processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(work: Callable[[A], B], items: Iterable[A], threads: int, together: int = 1) -> Iterator[B]:
    """``map(work, items)`` on some threads; at most two parcels a thread are in the making, so memory stays bounded.

    An error in ``work`` is raised here, at the item's turn.  ``threads=0`` works in the caller's own thread.

    Args:
        together: Items in a parcel. Handing one over takes a while; more than one is for work that takes no longer.

    >>> list(in_order(abs, [-1, 2, -3], threads=2)), list(in_order(abs, [-1, 2, -3], threads=1, together=2))
    ([1, 2, 3], [1, 2, 3])
    """
    if threads == 0:
        yield from map(work, items)
        return

    def parcel(several: tuple[A, ...]) -> tuple[list[B], BaseException | None]:
        done: list[B] = []
        try:
            for item in several:
                done.append(work(item))
        except BaseException as error:
            # raised again where it is waited for
            return done, error
        return done, None

    pool = ThreadPoolExecutor(threads, thread_name_prefix="dojang")
    waiting: deque[Future[tuple[list[B], BaseException | None]]] = deque()
    parcels = iter(items)
    try:
        while True:
            several = tuple(islice(parcels, together))
            if several:
                waiting.append(pool.submit(parcel, several))
            if not waiting:
                return
            if not several or len(waiting) > 2 * threads:
                done, error = waiting.popleft().result()
                yield from done
                if error is not None:
                    raise error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
