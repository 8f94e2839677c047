"""One HTTP connection: uvicorn's, with the limits that it does not have, and a word when the client leaves."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from dojang.errors import ServeError
from dojang.serve import refusals
from dojang.serve.app import CONNECTION, App
from dojang.serve.doors import Headers
from dojang.serve.limits import Limits
from dojang.serve.refusals import refusal


class _Short:
    """In place of uvicorn's cycle where a request is answered without a task; what the protocol asks of one."""

    __slots__ = ("body", "disconnected", "keep_alive", "message_event", "more_body", "response_complete")

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive, self.message_event, self.body = keep_alive, self, b""
        self.disconnected = self.more_body = self.response_complete = False

    def set(self) -> None:
        """As an event; nobody waits for it."""


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
        self._in_head = self._in_body = self._refused = self._began = self._ended = False
        self._head = self._wasted = 0
        # bytes that have come behind a request that is being answered
        self._behind = 0
        # the body of a request that may be answered without a task; None where there is none
        self._whole: list[bytes] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.crowded = len(self.connections) > self.limits.connections
        if len(self.connections) > 2 * self.limits.connections:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._let_go()
        if self.leaving is not None:
            self.leaving()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._ended = False
        super().data_received(data)
        # where the end of another request came with it, nobody says how much of it is of this head; the next piece is
        if self._in_head and not self._ended:
            self._head += len(data)
            if self._head > self.limits.header_bytes:
                self._refuse(self._too_long())
        if self._whole is not None:
            # its end is still on the way: the application has clocks for that
            pieces, self._whole = self._whole, None
            super().on_headers_complete()
            for piece in pieces:
                self.on_body(piece)
        if self.pipeline:
            # uvicorn keeps every request that comes behind one that is being answered
            held = self.application.held
            self._behind += len(data)
            held.bytes += len(data)
            if self._behind > self.limits.body_bytes or held.bytes > self.limits.held_bytes:
                self._let_go()
                self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline:
            self._let_go()

    def _let_go(self) -> None:
        self.application.held.bytes -= self._behind
        self._behind = 0

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._in_body = self._began = True
        self._head = self._wasted = 0
        self._since = self.loop.time()
        self.scope[CONNECTION] = self  # type: ignore[literal-required]

    def on_headers_complete(self) -> None:
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.header_bytes:
            self._refuse(self._too_long())
            return
        if self._may_be_short():
            self._whole = []
        else:
            super().on_headers_complete()

    def _may_be_short(self) -> bool:
        """Whether this is a request that is answered without a task, if all of it is there."""
        return (
            self.url == b"/predict"
            and self.parser.get_method() == b"POST"
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and (self.cycle is None or self.cycle.response_complete)
            # whoever does not read its answers waits for the next one
            and not self.flow.write_paused
        )

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
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
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        short = _Short(keep_alive)
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
        elif not self._began and age > limits.idle_seconds:
            # after its first request, uvicorn looks after that
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._refuse(refusal("S607", 400, "this is no HTTP request.", fix="curl --data-binary @cat.jpg"))

    def _too_long(self) -> ServeError:
        most = f"{self.limits.header_bytes:,} bytes"
        return refusal("S605", 431, f"the headers are longer than {most}.", fix="send fewer or shorter headers.")

    def _refuse(self, error: ServeError) -> None:
        """Answer without the application, which has not heard of this request, and close."""
        if self._refused:
            return
        self._refused, self._whole = True, None
        body = refusals.body(error, "none")
        self.transport.write(
            b"%bcontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (STATUS_LINE[error.status], len(body), body)
        )
        self.transport.close()


def bounded(limits: Limits, application: App) -> type[Connection]:
    """The class of connections of a service."""
    return type("Bounded", (Connection,), {"limits": limits, "application": application})
