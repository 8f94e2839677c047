"""The process that carries out runs of a study: ``python -m dojang.study.worker``, jobs in, outcomes out.

When its input ends it ends at once, in the middle of a run, too: then the study is gone, and nobody waits for it.
What it had saved is where the study goes on.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator

from dojang.study.engines import work


class Lines:
    """Lines as they come, read aside while one of them is worked on.

    Args:
        leave: Called when the input ends in the middle of a line's work.
    """

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._waiting: queue.Queue[str] = queue.Queue()
        # the next line may come before the last one is known to be done, so they are counted
        self._lock = threading.Lock()
        self._given = self._done = 0

    def listen(self, source: Iterable[str]) -> None:
        """Take in lines until there are no more."""
        for line in source:
            with self._lock:
                self._given += 1
            self._waiting.put(line)
        if self.busy:
            self._leave()
        self._waiting.put("")

    @property
    def busy(self) -> bool:
        """Whether a line is being worked on, or waits for it."""
        with self._lock:
            return self._given > self._done

    def __iter__(self) -> Iterator[str]:
        while line := self._waiting.get():
            yield line
            # whoever asks for the next one has done this one
            with self._lock:
                self._done += 1


def main() -> None:
    """Work until the input ends."""
    # nothing but outcomes goes to the study; what a network prints goes where the study's own words go
    out, sys.stdout = sys.stdout, sys.stderr
    # Ctrl-C reaches all processes of a terminal; a run that is under way takes notice of it, and nothing else does
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines = Lines(lambda: os._exit(0))
    threading.Thread(target=lines.listen, args=(sys.stdin,), daemon=True).start()
    work(lines, out)


if __name__ == "__main__":
    main()
