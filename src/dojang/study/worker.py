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
from collections.abc import Iterator

from dojang.study.engines import work


def main() -> None:
    """Work until the input ends."""
    lines: queue.Queue[str] = queue.Queue()
    # nothing but outcomes goes to the study; what a network prints goes where the study's own words go
    out, sys.stdout = sys.stdout, sys.stderr
    busy = threading.Event()
    # Ctrl-C reaches all processes of a terminal; a run that is under way takes notice of it, and nothing else does
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def listen() -> None:
        for line in sys.stdin:
            busy.set()
            lines.put(line)
        if busy.is_set():
            os._exit(0)
        lines.put("")

    def given() -> Iterator[str]:
        while line := lines.get():
            yield line
            busy.clear()

    threading.Thread(target=listen, daemon=True).start()
    work(given(), out)


if __name__ == "__main__":
    main()
