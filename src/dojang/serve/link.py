"""The line to the worker: begun, begun anew with back-off where it ends, killed where it hangs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any, cast

from dojang.serve import refusals, wire

Opener = Callable[[], tuple[socket.socket, int, bytes]]
"""Begins a worker: the socket to it, the number of its process (0 for a thread), and the plan that it is sent."""

# seconds before a worker is begun anew: at once the first time, then twice as long each time, up to
_MOST_BACK_OFF = 10.0
_FIRST_BACK_OFF = 0.05
# after so many seconds without a death, the next one counts as the first
_FORGIVEN = 60.0
# a worker that is not ready by then is ended
_PATIENCE = 120.0


class Link(asyncio.Protocol):
    """One worker at a time.

    Args:
        opener: Begins one.
        arrived: Told the frames that came.
        lost: Told that it ended.
        ready: Told what a worker says of itself when it is ready.
        log: For people.
    """

    def __init__(
        self,
        opener: Opener,
        arrived: Callable[[list[wire.Frame]], None],
        lost: Callable[[], None],
        ready: Callable[[dict[str, Any]], None],
        log: Callable[[str], None],
    ) -> None:
        self._opener, self._arrived, self._lost, self._ready, self._log = opener, arrived, lost, ready, log
        self.up, self.begun, self.pid = False, 0, 0
        self.told: dict[str, Any] = {}
        self._transport: asyncio.Transport | None = None
        self._reader = wire.Reader()
        self._first: asyncio.Future[None] | None = None
        self._closing = False
        self._back_off = _FIRST_BACK_OFF
        self._since = 0.0
        self._later: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin the first worker; raises S612 where it ends before it is ready."""
        self._first = asyncio.get_running_loop().create_future()
        await self._open()
        await self._first

    async def close(self) -> None:
        """Let it end."""
        self._closing = True
        for handle in (self._later, self._patience):
            if handle is not None:
                handle.cancel()
        if self._transport is not None:
            self._transport.close()
            # its loop hears of it in the next turn
            await asyncio.sleep(0)

    def send(self, data: bytes) -> None:
        """A frame to it."""
        if self._transport is not None:
            self._transport.write(data)

    def kill(self) -> None:
        """End it now; it is begun anew."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        elif self._transport is not None:
            self._transport.abort()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        sock, self.pid, plan = self._opener()
        self.begun += 1
        self._reader = wire.Reader()
        # large pictures pass in fewer pieces
        for side in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, side, 2**20)
        sock.setblocking(False)
        await loop.create_unix_connection(lambda: self, sock=sock)
        self._patience = loop.call_later(_PATIENCE, self.kill)
        self.send(wire.pack(wire.PLAN, data=plan))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none of asyncio's classes
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        frames = list(self._reader.frames(data))
        if frames and frames[0].kind == wire.READY:
            self._came_up(json.loads(frames.pop(0).data.partition(b"\n")[0]))
        if frames:
            self._arrived(frames)

    def _came_up(self, told: dict[str, Any]) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self.up, self.told, self._since = True, told, asyncio.get_running_loop().time()
        if self._first is not None and not self._first.done():
            self._first.set_result(None)
        self._ready(told)

    def connection_lost(self, error: Exception | None) -> None:
        was, self.up, self._transport = self.up, False, None
        if self._patience is not None:
            self._patience.cancel()
        if self._closing:
            return
        loop = asyncio.get_running_loop()
        if self._first is not None and not self._first.done():
            why = "the process that runs the network ended before it was ready."
            self._first.set_exception(refusals.refusal("S612", 503, why, fix="--engine eager"))
            return
        if was and loop.time() - self._since > _FORGIVEN:
            self._back_off = _FIRST_BACK_OFF
        self._log(f"the worker (process {self.pid}) ended; another is begun in {self._back_off:g} s")
        self._lost()
        self._later = loop.call_later(self._back_off, self._again)
        self._back_off = min(2 * self._back_off, _MOST_BACK_OFF)

    def _again(self) -> None:
        async def attempt() -> None:
            try:
                await self._open()
            except OSError as error:
                self._log(f"no worker could be begun ({error}); again in {self._back_off:g} s")
                self._later = asyncio.get_running_loop().call_later(self._back_off, self._again)
                self._back_off = min(2 * self._back_off, _MOST_BACK_OFF)

        self._task = asyncio.get_running_loop().create_task(attempt())
