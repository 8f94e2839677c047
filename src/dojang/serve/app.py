"""The service as an ASGI application: POST /predict on a road of its own, everything else by Starlette.

There is no address that loads a model, reads a file of the user's or changes anything.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dojang.errors import DojangError, ServeError
from dojang.serve import openapi, parts, refusals
from dojang.serve.answers import Send, answer, answered, as_json, guarded, headers_of, not_found, refused
from dojang.serve.doors import Doors, Headers
from dojang.serve.incoming import GoneError, Held, Keep
from dojang.serve.jobs import Job, Reply
from dojang.serve.limits import Limits
from dojang.serve.queue import Queue
from dojang.serve.refusals import refusal
from dojang.serve.tally import CONTENT_TYPE, Tally

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]

PAGE = Path(__file__).parent / "page"
#: status of a request whose client left; nobody is told
_LEFT = 499
#: where a server of ours says how to hear that a client leaves
CONNECTION = "dojang.connection"


class App:
    """The application.

    Args:
        queue: Where pictures go.
        model: What GET /model says.
        routes: More of them: the page's own. They run behind the same doors; what they refuse, they raise as
            :class:`ServeError`.
        log: For who runs the service.
    """

    def __init__(
        self,
        queue: Queue,
        limits: Limits,
        model: dict[str, Any],
        doors: Doors,
        *,
        token: bool = False,
        routes: Sequence[BaseRoute] = (),
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.queue, self.limits, self.doors, self.log = queue, limits, doors, log
        self.held, self.tally = Held(limits), Tally()
        #: set when the service is told to stop: what is running is answered, what comes is refused
        self.stopping = False
        self.open = 0
        self._ids, self._prefix = itertools.count(1), secrets.token_hex(4)
        self._model = json.dumps(model, ensure_ascii=False).encode()
        self._document = json.dumps(openapi.document(limits, token=token)).encode()
        self._rest = Starlette(
            routes=[
                Route("/", self._page),
                Mount("/static", StaticFiles(directory=PAGE)),
                # POST never comes so far; this is for who asks otherwise
                Route("/predict", self._health, methods=["POST"]),
                Route("/healthz", self._health),
                Route("/readyz", self._readiness),
                Route("/metrics", self._metrics),
                Route("/model", self._about),
                Route("/openapi.json", self._openapi),
                Route("/page/ticket", self._ticket, methods=["POST"]),
                # the page's own routes: serve/looking.py
                *routes,
            ],
            exception_handlers={HTTPException: not_found, ServeError: refused, DojangError: refused},
        )
        # what asks for /predict/ is told, and not sent elsewhere without a word
        self._rest.router.redirect_slashes = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        request = f"{self._prefix}-{next(self._ids):x}"
        if scope["path"] == "/predict" and scope["method"] == "POST":
            await self._predict(scope, receive, send, request)
            return
        try:
            self.doors.check(scope["path"], scope["headers"], scope.get("query_string", b""))
            if self.stopping and scope["path"] not in ("/healthz", "/readyz", "/metrics"):
                raise _stopping()
        except ServeError as error:
            await answer(send, error.status, refusals.body(error, request), request, error)
            return
        scope["request_id"] = request
        try:
            await self._rest(scope, receive, guarded(send, request))  # type: ignore[arg-type]
        except Exception as error:
            # Starlette has answered 500 without a word; who runs the service is told
            self.log(f"request {request}: {type(error).__name__}: {error}")

    async def _predict(self, scope: Scope, receive: Receive, send: Send, request: str) -> None:
        began = time.perf_counter()
        status, error, body = 200, None, b""
        self.open += 1
        try:
            with Keep(self.held) as keep:
                body, status = await self._answers(scope, receive, request, keep, began)
        except (GoneError, asyncio.CancelledError) as found:
            status = _LEFT
            if isinstance(found, asyncio.CancelledError) and (task := asyncio.current_task()) and task.cancelling():
                raise
        except Exception as found:
            error = self._told(found, request)
            status, body = error.status, refusals.body(error, request)
        finally:
            self.open -= 1
            self.tally.count(status, time.perf_counter() - began)
        if status != _LEFT:
            await answer(send, status, body, request, error)

    async def _answers(
        self, scope: Scope, receive: Receive, request: str, keep: Keep, began: float
    ) -> tuple[bytes, int]:
        """The body of the answer, and its status."""
        headers = scope["headers"]
        self._let_in(headers, CONNECTION in scope and scope[CONNECTION].crowded)
        length = next((int(value) for name, value in headers if name == b"content-length" and value.isdigit()), None)
        job = self._submitted(await self.held.read(receive, length, keep), headers, request)
        return answered(await self._replies(job, scope, receive), job, began)

    def short(
        self, headers: Headers, body: bytes, *, crowded: bool, respond: Callable[[int, bytes, Headers], None]
    ) -> Job | None:
        """POST /predict where the whole request is there at once: the same, without a task.

        Args:
            crowded: Whether there are too many connections.
            respond: Called once, maybe at once, with the status, the body and the headers of the answer; never where
                the job is withdrawn.

        Returns:
            What to withdraw where the client leaves.
        """
        began, request, keep = time.perf_counter(), f"{self._prefix}-{next(self._ids):x}", Keep(self.held)
        self.open += 1

        def end(status: int, body: bytes, error: ServeError | None = None) -> None:
            self.open -= 1
            keep.let_go()
            self.tally.count(status, time.perf_counter() - began)
            if status != _LEFT:
                respond(status, body, headers_of(status, body, request, error))

        def fail(found: Exception) -> None:
            told = self._told(found, request)
            end(told.status, refusals.body(told, request), told)

        def done(replies: asyncio.Future[list[Reply]]) -> None:
            if replies.cancelled():
                end(_LEFT, b"")
                return
            try:
                body, status = answered(replies.result(), job, began)
            except Exception as found:
                fail(found)
            else:
                end(status, body)

        try:
            self._let_in(headers, crowded)
            self.held.check(len(body))
            keep.take(len(body))
            job = self._submitted(body, headers, request)
        except Exception as found:
            fail(found)
            return None
        job.done.add_done_callback(done)
        return job

    def _told(self, found: Exception, request: str) -> ServeError:
        """What a client hears of what went wrong; of what nobody foresaw, who runs the service hears the rest."""
        if isinstance(found, ServeError):
            return found
        self.log(f"request {request}: {type(found).__name__}: {found}")
        return refusals.broken(request)

    def _let_in(self, headers: Headers, crowded: bool) -> None:
        """Refuse what need not be read. Raises ServeError."""
        self.doors.check("/predict", headers)
        if self.stopping:
            raise _stopping()
        if crowded:
            raise refusal("S609", 503, f"there are {self.limits.connections:,} connections already.", retry_after=1)
        if not self.queue.ready:
            raise refusal("S609", 503, "the network is not ready.", fix="ask again.", retry_after=1)
        self.queue.check()

    def _submitted(self, body: bytes, headers: Headers, request: str) -> Job:
        """The pictures of a body, in the queue. Raises ServeError."""
        content_type = next((value.decode("latin-1") for name, value in headers if name == b"content-type"), "")
        pictures = parts.pictures_of(body, content_type, self.limits)
        job = self.queue.submit(pictures, request)
        job.alone = len(pictures) == 1 and not content_type.lower().startswith("multipart/")
        return job

    async def _replies(self, job: Job, scope: Scope, receive: Receive) -> list[Reply]:
        """Wait for the replies, and withdraw the job where its client leaves."""
        connection = scope.get(CONNECTION)
        watch: asyncio.Task[None] | None = None
        if connection is not None:
            connection.leaving = lambda: self.queue.withdraw(job)
        else:
            watch = asyncio.create_task(self._watch(job, receive))
        try:
            return await job.done
        except BaseException:
            self.queue.withdraw(job)
            raise
        finally:
            if connection is not None:
                connection.leaving = None
            if watch is not None:
                watch.cancel()

    async def _watch(self, job: Job, receive: Receive) -> None:
        """Of a server that is not ours."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.queue.withdraw(job)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.queue.start()
                except ServeError as error:
                    self.log(str(error))
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.queue.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _page(self, request: Request) -> Response:
        return Response((PAGE / "index.html").read_bytes(), media_type="text/html")

    async def _health(self, request: Request) -> Response:
        return as_json({"status": "ok"})

    async def _readiness(self, request: Request) -> Response:
        if self.stopping:
            return as_json({"status": "stopping"}, 503)
        return as_json({"status": "ready"}) if self.queue.ready else as_json({"status": "not ready"}, 503)

    async def _about(self, request: Request) -> Response:
        return Response(self._model, media_type="application/json")

    async def _ticket(self, request: Request) -> Response:
        return as_json({"ticket": self.doors.ticket()})

    async def _openapi(self, request: Request) -> Response:
        return Response(self._document, media_type="application/json")

    async def _metrics(self, request: Request) -> Response:
        queue = self.queue
        lines = self.tally.text(
            [
                ("ready", "gauge", "Whether the network answers.", float(queue.ready and not self.stopping)),
                ("open_requests", "gauge", "Requests to /predict that are not answered yet.", self.open),
                ("waiting_pictures", "gauge", "Pictures that wait for the network.", queue.waiting),
                ("running_pictures", "gauge", "Pictures that are with the network.", queue.running),
                ("held_bytes", "gauge", "Of bodies of open requests.", self.held.bytes),
                ("pictures_total", "counter", "Pictures answered.", queue.pictures),
                ("batches_total", "counter", "Batches run.", queue.batches),
                ("picture_seconds", "gauge", "Seconds a picture takes now, decoding and network.", queue.seconds),
                ("workers_total", "counter", "Processes begun to run the network.", queue.link.begun),
            ]
        )
        return Response("\n".join(lines) + "\n", media_type=CONTENT_TYPE)


def _stopping() -> ServeError:
    return refusal("S609", 503, "the service is stopping.", fix="ask again.", retry_after=2)
