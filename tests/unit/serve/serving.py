"""A small service without processes and without ports: the worker is a thread, requests are function calls."""

from __future__ import annotations

import contextlib
import functools
import io
import socket
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from PIL import Image

from dojang.data.preprocess import Preprocess
from dojang.models import build
from dojang.predict.predictor import Predictor
from dojang.serve import worker
from dojang.serve.about import about
from dojang.serve.app import App
from dojang.serve.doors import Doors
from dojang.serve.engine import Plan, make
from dojang.serve.limits import Limits
from dojang.serve.queue import Queue
from dojang.serve.work import Work

_LIMITS = Limits(pixels=4000)
LABELS = ("cat", "<script>alert(1)</script>", "=cmd()")


def png(number: int, side: int = 28) -> bytes:
    """A picture that no other number has."""
    draw = np.random.default_rng(number)
    file = io.BytesIO()
    Image.fromarray(draw.integers(0, 256, (side, side), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


@functools.cache
def predictor() -> Predictor:
    model = build.build("mnist-cnn", in_channels=1, classes=3, image_size=(28, 28), seed=0)
    return Predictor(
        model, LABELS, Preprocess("L", 28, 28, max_pixels=4000, mean=(0.5,), std=(0.25,)), temperature=0.05
    )


@dataclass
class Service:
    """An application and what it logged."""

    app: App
    queue: Queue
    lines: list[str]
    opened: list[socket.socket] = field(default_factory=list)

    def client(self, **more: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://127.0.0.1", **more)


@contextlib.asynccontextmanager
async def service(
    limits: Limits = _LIMITS,
    *,
    wrap: Callable[[Work], Any] = lambda work: work,
    token: str = "",
    max_batch: int = 4,
    seconds: float = 0.001,
    routes: Any = (),
) -> AsyncIterator[Service]:
    def begin(plan: Plan) -> tuple[Any, dict[str, Any], Plan]:
        return wrap(Work(predictor(), make(plan, predictor(), False), threads=2)), {}, plan

    threads: list[threading.Thread] = []

    def opener() -> tuple[socket.socket, int, bytes]:
        near, far = socket.socketpair()

        def live() -> None:
            with far:
                worker.run(far, begin)

        threads.append(threading.Thread(target=live, daemon=True))
        threads[-1].start()
        return near, 0, worker.packed(Plan(max_batch=max_batch))

    lines: list[str] = []
    queue = Queue(opener, limits, max_batch=max_batch, seconds=seconds, log=lines.append)
    told = about(predictor(), none_of_these=False, unknown_below=None)
    app = App(queue, limits, told, Doors(local=True, token=token), token=bool(token), routes=routes, log=lines.append)
    await queue.start()
    try:
        yield Service(app, queue, lines)
    finally:
        await queue.close()
        for thread in threads:
            thread.join(10)
