"""Where processes that run the network come from: one that has the weights, has run no kernel, and does nothing else.

Forked from it, a new worker stands ready at once with the weights the service began with, whatever has happened to the
file since; and the memory of the weights is shared.  A process whose kernels have run cannot be forked: the threads of
its arithmetic would be missing in the child.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn

Child = Callable[[socket.socket], None]


class Nursery:
    """Forks processes on demand; made before anything else runs in this one.

    Args:
        child: What a new process does with its socket.
        close: Sockets of this process that the others must not keep open.
    """

    def __init__(self, child: Child, close: Sequence[socket.socket] = ()) -> None:
        self._line, far = socket.socketpair()
        self.pid = _fork()
        if self.pid == 0:
            for one in (self._line, *close):
                one.close()
            _leave(lambda: _keep(far, child))
        far.close()

    def new(self) -> tuple[socket.socket, int]:
        """A new process: the socket to it, and its number.

        Raises:
            OSError: Where there is no memory for one, or the nursery itself has gone.
        """
        near, far = socket.socketpair()
        with far:
            socket.send_fds(self._line, [b"n"], [far.fileno()])
        pid = int.from_bytes(self._line.recv(8), "little")
        if not pid:
            near.close()
            raise ChildProcessError("no process could be begun")
        return near, pid

    def close(self) -> None:
        """Let it end; it does so by itself where this process ends."""
        self._line.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _keep(line: socket.socket, child: Child) -> None:
    """Fork at each word, until the other end is closed."""
    # children that have ended need no burial
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    while True:
        word, files, _, _ = socket.recv_fds(line, 1, 1)
        if not word or not files:
            return
        with socket.socket(fileno=files[0]) as sock:
            try:
                pid = _fork()
            except OSError:
                pid = -1
            if pid == 0:
                line.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _leave(lambda sock=sock: child(sock))  # type: ignore[misc]
        line.sendall(max(pid, 0).to_bytes(8, "little"))


def _fork() -> int:
    with warnings.catch_warnings():
        # newer Pythons warn of threads; those of an idle BLAS, which looks after its own forks
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _leave(act: Callable[[], None]) -> NoReturn:
    """Do it, and end this process without what its parent would do at the end."""
    status = 1
    try:
        # Ctrl-C reaches all of a terminal's processes: running requests are answered before these end
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        act()
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)
