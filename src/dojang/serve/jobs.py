"""One request's pictures on their way: what waits, what is being answered, and what has come back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Reply:
    """What came back for one picture.

    Args:
        data: JSON of the answer, or of an error's code, message and fix.
        status: 200, or that of the error.
        decode, network: Microseconds.
    """

    data: bytes
    status: int = 200
    decode: int = 0
    network: int = 0


@dataclass(slots=True, eq=False)
class Job:
    """A request.

    Args:
        request: Its id.
        done: Resolved when every picture has its reply; or the error for all of them.
        deadline: On the loop's clock.
        alone: It is one picture as a body: where that is refused, the request is.
    """

    request: str
    done: asyncio.Future[list[Reply]]
    deadline: float
    arrived: float
    items: list[Item] = field(default_factory=list)
    replies: list[Reply | None] = field(default_factory=list)
    left: int = 0
    sent: float = 0.0
    alone: bool = False


@dataclass(slots=True, eq=False)
class Item:
    """A picture of a request.

    Args:
        place: In its job.
        suspect: It was in the hands of a process that ended; asked again, it is asked alone.
    """

    id: int
    job: Job
    place: int
    name: str
    data: bytes
    suspect: bool = False
