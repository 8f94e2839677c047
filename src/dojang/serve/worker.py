"""The process that runs the network: reads pictures, answers as many as are there at once, and ends with its socket."""

from __future__ import annotations

import json
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from dojang.data.ahead import cores
from dojang.serve import wire
from dojang.serve.engine import Plan
from dojang.serve.work import Asked

_CHUNK = 2**18
# seconds that the process stays awake where pictures come one by one: to be put to sleep and woken up again costs a
# twentieth of a millisecond, and cold caches, which is much beside a small network
_AWAKE = 3e-4
_CORES = cores()


class Answers(Protocol):
    """What :class:`dojang.serve.work.Work` does."""

    def frames(self, asked: list[Asked], alive: Callable[[], None]) -> list[bytes]:
        """A frame or more for each picture; ``alive`` is called in between."""
        ...


Begin = Callable[[Plan], tuple[Answers | None, dict[str, Any], Plan]]
"""Makes what answers, of a plan; what there is to tell of it; and the plan that it came to."""


def run(sock: socket.socket, begin: Begin) -> None:
    """Serve one socket until its other end is closed.

    Batching needs no waiting: while one batch runs, the next one gathers.
    """
    reader = wire.Reader()
    waiting: OrderedDict[int, Asked] = OrderedDict()
    work: Answers | None = None
    most, last, seconds = 1, 0, 0.0

    def alive() -> None:
        _sent(sock, wire.pack(wire.ALIVE))

    while True:
        try:
            data = _at_once(sock, seconds) if waiting or seconds else None
            if data is None and not waiting:
                data = sock.recv(_CHUNK)
        except ConnectionError:
            return
        if data == b"":
            return
        if data is not None:
            dropped = []
            for frame in reader.frames(data):
                if frame.kind == wire.PICTURE:
                    name, picture = frame.data[: frame.first], frame.data[frame.first :]
                    waiting[frame.id] = Asked(frame.id, name.decode(), picture)
                elif frame.kind == wire.CANCEL and frame.id in waiting:
                    del waiting[frame.id]
                    dropped.append(wire.pack(wire.DROPPED, frame.id))
                elif frame.kind == wire.PLAN:
                    work, told, plan = begin(unpacked(frame.data))
                    most = plan.max_batch
                    dropped.append(wire.pack(wire.READY, data=json.dumps(told).encode() + b"\n" + packed(plan)))
            if dropped and not _sent(sock, b"".join(dropped)):
                return
            # what lies in the socket belongs to this batch, too
            if len(waiting) < most and (len(data) == _CHUNK or not waiting):
                continue
        if waiting and work is not None:
            batch = [waiting.popitem(last=False)[1] for _ in range(min(most, len(waiting)))]
            # on a single core it would only be in the way
            seconds = _AWAKE if len(batch) == last == 1 and not waiting and _CORES > 1 else 0.0
            last = len(batch)
            if not _sent(sock, b"".join(work.frames(batch, alive))):
                return


def _at_once(sock: socket.socket, seconds: float) -> bytes | None:
    """What is there, or comes within so many seconds; None where nothing does."""
    until = time.perf_counter() + seconds
    while True:
        try:
            return sock.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            if time.perf_counter() >= until:
                return None


def packed(plan: Plan) -> bytes:
    """A plan as bytes.

    >>> unpacked(packed(Plan("onnx", model=b"abc"))).model
    b'abc'
    """
    facts = {"engine": plan.engine, "threads": plan.threads, "max_batch": plan.max_batch, "seconds": plan.seconds}
    return json.dumps(facts).encode() + b"\n" + plan.model


def unpacked(data: bytes) -> Plan:
    """What :func:`packed` gave."""
    facts, _, model = data.partition(b"\n")
    return Plan(**json.loads(facts), model=model)


def _sent(sock: socket.socket, data: bytes) -> bool:
    try:
        sock.sendall(data)
    except ConnectionError:
        return False
    return True
