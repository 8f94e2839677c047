"""One HTTP connection: uvicorn's, with the limits that it does not have, and a word when the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dojang.errors import ServeError
from dojang.serve import refusals
from dojang.serve.app import CONNECTION
from dojang.serve.limits import Limits
from dojang.serve.refusals import refusal

_PHRASES = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class Connection(HttpToolsProtocol):
    """Made by :func:`bounded`, with the limits of a service."""

    limits: Limits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: called when the client leaves before its answer
        self.leaving: Callable[[], None] | None = None
        #: whether there were too many connections when this one was made
        self.crowded = False
        self._since = self.loop.time()
        self._in_head = self._in_body = self._refused = self._began = False
        self._head = self._wasted = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.crowded = len(self.connections) > self.limits.connections
        if len(self.connections) > 2 * self.limits.connections:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.leaving is not None:
            self.leaving()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_head:
            self._head += len(data)
            if self._head > self.limits.header_bytes:
                self._refuse(self._too_long())
                return
        super().data_received(data)

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
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        if self.cycle.response_complete:
            # what is still on its way after a refusal is read and forgotten, so that the client gets to read it
            self._wasted += len(body)
            if self._wasted > 4 * self.limits.body_bytes:
                self.transport.abort()
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        if not self._refused:
            super().on_message_complete()

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
        self._refused = True
        body = refusals.body(error, "none")
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (error.status, _PHRASES[error.status], len(body), body)
        )
        self.transport.close()


def bounded(limits: Limits) -> type[Connection]:
    """The class of connections of a service."""
    return type("Bounded", (Connection,), {"limits": limits})
