"""Every limit of the service, a row each: its name, its value, and what a client is told who goes beyond it.

`docs/serve.md` lists the same rows, and a test holds the two together; each row has a test that goes one beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

from dojang.serve.options import ServeOptions

MEGABYTE = 2**20


@dataclass(frozen=True)
class Limit:
    """One row.

    Args:
        name: Of the field of :class:`Limits`.
        unit: Of its value.
        status: Of the answer; 0 where the connection is closed without one.
        code: Of the error.
        what: It bounds.
    """

    name: str
    unit: str
    status: int
    code: str
    what: str


ROWS = (
    Limit("body_bytes", "bytes", 413, "S602", "the body of a request"),
    Limit("pixels", "pixels", 413, "S601", "a picture, by its header"),
    Limit("pictures", "pictures", 413, "S603", "in one request"),
    Limit("part_header_bytes", "bytes", 400, "S607", "the headers of one part of a form"),
    Limit("header_bytes", "bytes", 431, "S605", "the first line and the headers of a request"),
    Limit("header_seconds", "seconds", 408, "S604", "from the first byte of a request to the end of its headers"),
    Limit("body_seconds", "seconds", 408, "S604", "from there to the end of its body"),
    Limit("waiting", "pictures", 429, "S608", "that wait for the network"),
    Limit("held_bytes", "bytes", 429, "S608", "of all bodies that are read, waiting or being answered"),
    Limit("deadline_seconds", "seconds", 504, "S610", "from the end of a request to its answer"),
    Limit("connections", "connections", 503, "S609", "at a time"),
    Limit("idle_seconds", "seconds", 0, "", "a connection without a request is kept"),
    Limit(
        "hang_seconds",
        "seconds",
        500,
        "S611",
        "without a sign from the network, before its process is ended and another begun",
    ),
)


@dataclass(frozen=True)
class Limits:
    """The values of one service. What may wait is bounded twice, in pictures and in bytes, so memory is bounded.

    Example:
        >>> Limits.of(ServeOptions(max_body=2), pixels=10**6).body_bytes
        2097152
    """

    body_bytes: int = 32 * MEGABYTE
    pixels: int = 50_000_000
    pictures: int = 32
    part_header_bytes: int = 4096
    header_bytes: int = 16 * 1024
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    waiting: int = 256
    held_bytes: int = 256 * MEGABYTE
    deadline_seconds: float = 10.0
    connections: int = 1024
    idle_seconds: float = 75.0
    hang_seconds: float = 3.0

    @classmethod
    def of(cls, options: ServeOptions, pixels: int) -> Limits:
        """Those that the options say.

        Args:
            pixels: What the network's own preprocessing takes.
        """
        body = options.max_body * MEGABYTE
        return cls(
            body_bytes=body,
            pixels=pixels,
            pictures=options.max_pictures,
            waiting=options.queue,
            # one large request must always fit
            held_bytes=max(cls.held_bytes, 2 * body),
            deadline_seconds=options.deadline,
            # twice that, and what waits behind can still be answered in time
            hang_seconds=max(cls.hang_seconds, 0.3 * options.deadline),
        )
