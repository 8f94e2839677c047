"""One HTTP connection: uvicorn's, with the limits that it does not have, and a word when the client leaves."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from dojang.errors import ServeError
from dojang.serve import refusals
from dojang.serve.app import CONNECTION, App
from dojang.serve.doors import Headers
from dojang.serve.limits import Limits
from dojang.serve.refusals import refusal

# bytes that are read at once, and that may come before a body has begun
_ROOM = 2**18


class _Short:
    """In place of uvicorn's cycle where a request is answered without a task; what the protocol asks of one."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive, self.message_event = keep_alive, self
        self.disconnected = self.response_complete = False

    def set(self) -> None:
        """As an event; nobody waits for it."""


class _Flow(FlowControl):
    """Reads no further while requests lie behind the one that is being answered: they take memory."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.transport)
        self._connection = connection

    def resume_reading(self) -> None:
        if not self._connection.pipeline:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """Made by :func:`bounded`, with the limits of a service and its application."""

    limits: Limits
    application: App

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: called when the client leaves before its answer
        self.leaving: Callable[[], None] | None = None
        #: whether there were too many connections when this one was made
        self.crowded = False
        self._since = self.loop.time()
        self._in_head = self._in_body = self._refused = self._ended = False
        self._keep_alive = True
        # bytes of a request: of its head, of all of it, of its body, and of a body that nobody wants any more
        self._head = self._all = self._got = self._wasted = 0
        # the body of a request that may be answered without a task; None where there is none
        self._whole: list[bytes] | None = None
        # what is being answered, of those that have a task
        self._running: RequestResponseCycle | None = None
        # what is said once those that came before have their answers
        self._last: ServeError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(self)
        self.crowded = len(self.connections) > self.limits.connections
        if len(self.connections) > 2 * self.limits.connections:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # uvicorn tells the newest of them only
        for cycle in (self._running, *(behind for behind, _ in self.pipeline)):
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()
        if self.leaving is not None:
            self.leaving()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._ended = False
        super().data_received(data)
        # where the end of another request came with it, nobody says how much of it is of this one; the next piece is
        if not self._ended and (self._in_head or self._in_body):
            self._head += len(data) if self._in_head else 0
            self._all += len(data)
            # chunks of a byte take six; what takes more is no body
            if (
                self._head > self.limits.header_bytes
                or self._all > 2 * _ROOM + self.limits.header_bytes + 8 * self._got
            ):
                self._refuse(self._too_long())
        if self._whole is not None:
            # its end is still on the way: the application has clocks for that
            pieces, self._whole = self._whole, None
            self._long()
            for piece in pieces:
                self.on_body(piece)

    def on_response_complete(self) -> None:
        # its idle time begins
        self._since = self.loop.time()
        self._running = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        if self._last is not None and self._running is None and not self.transport.is_closing():
            self._say(self._last)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._in_head = self._in_body = True
        self._head = self._all = self._got = self._wasted = 0
        self._since = self.loop.time()
        self.scope[CONNECTION] = self  # type: ignore[literal-required]

    def on_header(self, name: bytes, value: bytes) -> None:
        # what comes behind a body is not looked at: doors have been passed by then
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._refused:
            return
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.header_bytes:
            self._refuse(self._too_long())
            return
        if self.parser.should_upgrade() and self._has_body():
            # the parser would take the body for the next request
            self._refuse(refusal("S607", 400, "this service speaks HTTP/1.1 only.", fix="ask without 'Upgrade'."))
            return
        self._keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        if self._may_be_short():
            self._whole = []
        else:
            self._long()

    def _long(self) -> None:
        """The road of everything else: a task of its own, or a place behind the one that is being answered."""
        behind = len(self.pipeline)
        super().on_headers_complete()
        if len(self.pipeline) == behind:
            self._running = self.cycle

    def _has_body(self) -> bool:
        return any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0")
            for name, value in self.headers
        )

    def _may_be_short(self) -> bool:
        """Whether this is a request that is answered without a task, if all of it is there."""
        return (
            self.url == b"/predict"
            and self.parser.get_method() == b"POST"
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and (self.cycle is None or self.cycle.response_complete)
            # one of each packet: the others stand in line with other clients' requests
            and not self._ended
            and not self.transport.is_closing()
            # whoever does not read its answers waits for the next one
            and not self.flow.write_paused
        )

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        self._got += len(body)
        if self._whole is not None:
            self._whole.append(body)
            return
        if self.cycle.response_complete:
            # what is still on its way after a refusal is read and forgotten, so that the client gets to read it
            self._wasted += len(body)
            if self._wasted > 4 * self.limits.body_bytes:
                self.transport.abort()
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body, self._ended = False, True
        if self._refused:
            return
        if self._whole is None:
            super().on_message_complete()
            return
        pieces, self._whole = self._whole, None
        short = _Short(self._keep_alive)
        self.cycle = short  # type: ignore[assignment]
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        job = self.application.short(
            self.headers, body, crowded=self.crowded, respond=functools.partial(self._respond, short)
        )
        if job is not None:
            self.leaving = lambda: self.application.queue.withdraw(job)

    def _respond(self, short: _Short, status: int, body: bytes, headers: Headers) -> None:
        """What uvicorn's cycle does with an answer that is all there.

        Args:
            short: The request's own; the next one of the connection may have come already.
        """
        self.leaving = None
        short.response_complete = True
        if short.disconnected or self.transport.is_closing():
            return
        lines = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n" if short.keep_alive else b"connection: close\r\n\r\n")
        lines.append(body)
        self.transport.write(b"".join(lines))
        if not short.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def look(self, now: float) -> None:
        """Called now and then: give up a client that is too slow."""
        if self._refused or self.transport.is_closing():
            return
        age, limits = now - self._since, self.limits
        if self._in_head:
            if age > limits.header_seconds:
                late = f"the headers did not arrive within {limits.header_seconds:g} s."
                self._refuse(refusal("S604", 408, late, fix="send it again."))
        elif self._in_body:
            # within its time the application answers; this is what comes after its answer
            if age > limits.header_seconds + 2 * limits.body_seconds:
                self.transport.abort()
        elif (self.cycle is None or self.cycle.response_complete) and age > limits.idle_seconds:
            # uvicorn's own clock is stopped by an empty line
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._refuse(refusal("S607", 400, "this is no HTTP request.", fix="curl --data-binary @cat.jpg"))

    def _too_long(self) -> ServeError:
        most = f"{self.limits.header_bytes:,} bytes"
        return refusal("S605", 431, f"the headers are longer than {most}.", fix="send fewer or shorter headers.")

    def _refuse(self, error: ServeError) -> None:
        """Answer without the application, which has not heard of this request, and close.

        What came before on this connection is answered first.
        """
        if self._refused:
            return
        self._refused, self._whole = True, None
        own = self._in_body and not self._in_head and self._running is self.cycle
        if not own and self.cycle is not None and (self.pipeline or not self.cycle.response_complete):
            self._last = error
        else:
            self._say(error)

    def _say(self, error: ServeError) -> None:
        self._last = None
        body = refusals.body(error, "none")
        self.transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (STATUS_LINE[error.status], len(body), body)
        )
        self.transport.close()


def bounded(limits: Limits, application: App) -> type[Connection]:
    """The class of connections of a service."""
    return type("Bounded", (Connection,), {"limits": limits, "application": application})
