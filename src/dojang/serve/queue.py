"""The bounded queue in front of the network: what waits, what is with the worker, deadlines, and what was given up.

All of it runs on the event loop.  Pictures leave in the order in which they came, as many as make two batches, so that
the next batch is there when one is done; everything else waits here, where it can be counted and withdrawn.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from dojang.data.ahead import cores
from dojang.errors import ServeError
from dojang.serve import refusals, wire
from dojang.serve.jobs import Item, Job, Reply
from dojang.serve.limits import Limits
from dojang.serve.link import Link, Opener

# seconds between looks for what is late
_LOOK = 0.05
# how much of an old measurement stays in the rate when a new one comes
_KEEP = 0.8
# seconds that a lone picture is awaited without going to sleep, where it should take no longer; as in the worker
_AWAKE = 1e-3
# of the deadline: what is expected to wait longer is refused
_PROMPT = 0.8


class Queue:
    """Takes pictures, gives replies.

    Args:
        opener: Begins a worker.
        limits: How many may wait, and how long.
        max_batch: Pictures the worker takes at once.
        seconds: A picture takes at first guess.
        log: Told what who runs the service should know.
    """

    def __init__(
        self,
        opener: Opener,
        limits: Limits,
        *,
        max_batch: int,
        seconds: float,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.limits, self.log = limits, log
        self.window, self.seconds, self.max_batch = 2 * max_batch, seconds, max_batch
        self.link = Link(opener, self._arrived, self._lost, self._up, log)
        self._waiting: OrderedDict[int, Item] = OrderedDict()
        self._running: OrderedDict[int, Item] = OrderedDict()
        self._jobs: OrderedDict[Job, None] = OrderedDict()
        self._next = 0
        self._look: asyncio.TimerHandle | None = None
        self._moved = self._until = 0.0
        # on a single core it would keep the worker from working
        self._may_spin = cores() > 1
        self._batch: tuple[int, int, int] = (0, 0, 0)
        self.batches, self.pictures = 0, 0

    @property
    def waiting(self) -> int:
        """Pictures that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Pictures that are with the worker, withdrawn ones included until it says so."""
        return len(self._running)

    @property
    def ready(self) -> bool:
        """Whether a worker is there."""
        return self.link.up

    async def start(self) -> None:
        """Begin the first worker and wait until it is ready.

        Raises:
            ServeError: S612 where it does not come up.
        """
        await self.link.start()

    async def close(self) -> None:
        """Let the worker end; what is left is refused."""
        for job in list(self._jobs):
            self._end(job, refusals.refusal("S609", 503, "the service is stopping.", retry_after=1))
        if self._look is not None:
            self._look.cancel()
        await self.link.close()

    def check(self, pictures: int = 1) -> None:
        """Refuse what could not be taken, before its body is read.

        Raises:
            ServeError: S608 with the seconds after which to ask again.
        """
        ahead = len(self._waiting) + len(self._running)
        wait = (ahead + pictures) * self.seconds
        if len(self._waiting) + pictures > self.limits.waiting or (
            ahead and wait > _PROMPT * self.limits.deadline_seconds
        ):
            raise refusals.refusal(
                "S608",
                429,
                f"{len(self._waiting):,} pictures wait already, of at most {self.limits.waiting:,}; "
                f"another would wait about {wait:.1f} s.",
                fix="ask again after Retry-After seconds.",
                retry_after=max(1, math.ceil(wait)),
            )

    def submit(self, pictures: Sequence[tuple[str, bytes]], request: str) -> Job:
        """Queue the pictures of a request.

        Args:
            pictures: Names and bytes.

        Raises:
            ServeError: S608 where too many wait.
        """
        self.check(len(pictures))
        loop = asyncio.get_running_loop()
        now = loop.time()
        job = Job(request, loop.create_future(), now + self.limits.deadline_seconds, now)
        job.left = len(pictures)
        job.replies = [None] * len(pictures)
        for place, (name, data) in enumerate(pictures):
            self._next += 1
            item = Item(self._next, job, place, name, data)
            job.items.append(item)
            self._waiting[item.id] = item
        self._jobs[job] = None
        self._pump()
        if self._look is None:
            self._moved = now
            self._look = loop.call_later(_LOOK, self._late)
        return job

    def withdraw(self, job: Job) -> None:
        """Nobody waits for it any more: what has not begun is not done."""
        if job in self._jobs:
            self._drop(job)
            job.done.cancel()

    def _drop(self, job: Job) -> None:
        """Take a job out of every list but that of what the worker has."""
        del self._jobs[job]
        for item in job.items:
            if self._waiting.pop(item.id, None) is None and item.id in self._running:
                self.link.send(wire.pack(wire.CANCEL, item.id))
            item.data = b""
        self._pump()

    def _end(self, job: Job, error: ServeError) -> None:
        self._drop(job)
        if not job.done.done():
            job.done.set_exception(error)
            # where its handler has gone, nobody asks
            job.done.exception()

    def _pump(self) -> None:
        """Send what fits."""
        while self._waiting and self.link.up and len(self._running) < self.window:
            item = next(iter(self._waiting.values()))
            alone = item.suspect or (self._running and next(iter(self._running.values())).suspect)
            if alone and self._running:
                return
            del self._waiting[item.id]
            if not self._running:
                self._moved = asyncio.get_running_loop().time()
            self._running[item.id] = item
            if not item.job.sent:
                item.job.sent = asyncio.get_running_loop().time()
            name = item.name.encode()
            self.link.send(wire.pack(wire.PICTURE, item.id, name + item.data, len(name)))
            if self._may_spin and len(self._running) == 1 and self.seconds < _AWAKE:
                stays, self._until = self._until > 0, time.perf_counter() + _AWAKE
                if not stays:
                    asyncio.get_running_loop().call_soon(self._stay)

    def _stay(self) -> None:
        """Have the loop look at once again, while one picture is with the worker and nobody else asks."""
        if len(self._running) == 1 and time.perf_counter() < self._until:
            asyncio.get_running_loop().call_soon(self._stay)
        else:
            self._until = 0.0

    def _arrived(self, frames: list[wire.Frame]) -> None:
        """Replies from the worker."""
        self._moved = asyncio.get_running_loop().time()
        for frame in frames:
            if frame.kind == wire.ALIVE:
                continue
            if frame.kind == wire.LOG:
                item = self._running.get(frame.id)
                self.log(f"request {item.job.request if item else '?'}: {frame.data.decode(errors='replace')}")
                continue
            item = self._running.pop(frame.id, None)
            if item is None:
                continue
            item.data = b""
            job = item.job
            if frame.kind == wire.ANSWER:
                self._measure(frame)
                reply = Reply(frame.data, 200, frame.first, frame.second)
            elif frame.kind == wire.REFUSED:
                reply = Reply(frame.data, frame.first)
            elif frame.kind == wire.FAILED:
                reply = _failed(job.request)
            else:
                continue
            self._replied(job, item.place, reply)
        self._pump()

    def _replied(self, job: Job, place: int, reply: Reply) -> None:
        if job not in self._jobs:
            return
        job.replies[place] = reply
        job.left -= 1
        if not job.left:
            del self._jobs[job]
            if not job.done.done():
                job.done.set_result([one for one in job.replies if one is not None])

    def _measure(self, frame: wire.Frame) -> None:
        """Seconds a picture takes, from batches as they come: answers of one batch have the same network time."""
        self.pictures += 1
        count, decode, network = self._batch
        if count and (decode, network) == (frame.first, frame.second):
            self._batch = count + 1, decode, network
            return
        if count:
            took = (decode * count + network) / count / 1e6
            self.seconds = _KEEP * self.seconds + (1 - _KEEP) * took
        self.batches += 1
        self._batch = 1, frame.first, frame.second

    def _lost(self) -> None:
        """The worker has gone: what it had is asked again, one by one, so that what ended it is found."""
        had = list(self._running.values())
        self._running.clear()
        if len(had) == 1 and had[0].suspect:
            item = had.pop()
            self.log(f"request {item.job.request}: its picture ended the worker twice, it is refused")
            self._replied(item.job, item.place, _failed(item.job.request))
        for item in reversed(had):
            if item.job in self._jobs:
                item.suspect = True
                self._waiting[item.id] = item
                self._waiting.move_to_end(item.id, last=False)

    def _up(self, told: dict[str, Any]) -> None:
        self._pump()

    def _hang(self) -> float:
        """Seconds without a sign after which a worker is ended: more than any batch takes."""
        return max(self.limits.hang_seconds, 20 * self.seconds * self.max_batch)

    def _late(self) -> None:
        """Give up what nobody should wait for any longer, and end a worker that hangs."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._jobs:
            job = next(iter(self._jobs))
            if job.deadline > now:
                break
            late = f"there was no answer within {self.limits.deadline_seconds:g} s."
            self._end(job, refusals.refusal("S610", 504, late, fix="ask again later.", retry_after=1))
        if self._running and self.link.up and now - self._moved > self._hang():
            self.log(f"the worker has given no sign for {self._hang():.1f} s: it is ended")
            self._moved = now
            self.link.kill()
        self._look = loop.call_later(_LOOK, self._late) if self._jobs or self._running else None


def _failed(request: str) -> Reply:
    error = refusals.broken(request)
    return Reply(json.dumps(refusals.as_dict(error)).encode(), error.status)
