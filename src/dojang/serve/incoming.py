"""Bodies on their way in: counted against what all requests may hold, and against the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dojang.errors import ServeError
from dojang.serve.limits import Limits
from dojang.serve.refusals import refusal

Receive = Callable[[], Awaitable[dict[str, Any]]]


class GoneError(Exception):
    """The client has left."""


class Held:
    """Bytes that all requests together hold."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.bytes = limits, 0

    async def read(self, receive: Receive, length: int | None, keep: Keep) -> bytes:
        """The body of a request; ``keep`` counts it until it is let go.

        Args:
            length: What its header says, if it does.

        Raises:
            ServeError: S602 for one that is too large or is said to be, S604 for one too slow, S608 where all together
                are too large.
            GoneError: Where the client left before its end.
        """
        if length is not None:
            self.check(length)
        pieces: list[bytes] = []
        had = 0
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise GoneError
                    piece = message.get("body", b"")
                    had += len(piece)
                    self.check(had)
                    keep.take(len(piece))
                    pieces.append(piece)
                    if not message.get("more_body", False):
                        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        except TimeoutError:
            slow = f"the body did not arrive within {self.limits.body_seconds:g} s ({had:,} bytes did)."
            raise refusal("S604", 408, slow, fix="send it again.") from None

    def check(self, size: int) -> None:
        """Refuse a body of so many bytes. Raises S602."""
        if size > self.limits.body_bytes:
            raise too_large(self.limits)

    def full(self, more: int) -> None:
        """Refuse bytes for which there is no room. Raises S608."""
        if self.bytes + more > self.limits.held_bytes:
            raise refusal(
                "S608",
                429,
                f"the requests that are being answered hold {self.bytes:,} bytes, of at most "
                f"{self.limits.held_bytes:,}.",
                fix="ask again after Retry-After seconds.",
                retry_after=1,
            )


class Keep:
    """What one request holds; let go at the end of its block."""

    def __init__(self, held: Held) -> None:
        self.held, self.bytes = held, 0

    def take(self, size: int) -> None:
        """Count more."""
        self.held.full(size)
        self.bytes += size
        self.held.bytes += size

    def __enter__(self) -> Keep:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def let_go(self) -> None:
        """Count none of it any more."""
        self.held.bytes -= self.bytes
        self.bytes = 0


def too_large(limits: Limits) -> ServeError:
    """S602."""
    megabytes = f"{limits.body_bytes / 2**20:g} MB"
    return refusal(
        "S602",
        413,
        f"the body is larger than {megabytes}.",
        fix=f"send a smaller picture, or fewer at once ({megabytes}).",
    )
