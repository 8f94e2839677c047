"""What passes between the service and the process that runs the network: frames of a few numbers and bytes.

Nothing is pickled.  To the worker: a plan first, then pictures and ids that nobody waits for any more.  From it: what
it is made of, then an answer for every id.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

#: kinds of frames to the worker
PLAN, PICTURE, CANCEL = 1, 2, 3
#: and from it
READY, ANSWER, REFUSED, FAILED, DROPPED, LOG, ALIVE = 11, 12, 13, 14, 15, 16, 17

# kind, id, two numbers that depend on the kind, length of what follows
_HEAD = struct.Struct("<BQIII")


class Frame(NamedTuple):
    """One message.

    Args:
        first, second: Of a picture: bytes of its name in front of its own, and nothing.  Of an answer: microseconds of
            decoding and of the network.  Of a refusal: its status, and nothing.
    """

    kind: int
    id: int
    first: int
    second: int
    data: bytes


def pack(kind: int, id: int = 0, data: bytes = b"", first: int = 0, second: int = 0) -> bytes:
    """A frame as bytes.

    >>> reader = Reader()
    >>> list(reader.frames(pack(ANSWER, 7, b"yes", 1, 2)))
    [Frame(kind=12, id=7, first=1, second=2, data=b'yes')]
    """
    return _HEAD.pack(kind, id, first, second, len(data)) + data


class Reader:
    """Makes frames of bytes that arrive in pieces of any size."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def frames(self, more: bytes) -> Iterator[Frame]:
        """Those that are whole now."""
        self._bytes += more
        at, have = 0, len(self._bytes)
        while have - at >= _HEAD.size:
            kind, id, first, second, length = _HEAD.unpack_from(self._bytes, at)
            if have - at - _HEAD.size < length:
                break
            at += _HEAD.size
            yield Frame(kind, id, first, second, bytes(self._bytes[at : at + length]))
            at += length
        if at:
            del self._bytes[:at]
