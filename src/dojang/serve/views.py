"""The page's own addresses, below ``/page/``: one question at a time, few waiting, each with a deadline.

They go to one thread with a network of its own, so the pictures of /predict never wait for a heat map.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dojang.errors import DataError
from dojang.serve.incoming import GoneError, Held, Keep
from dojang.serve.limits import Limits
from dojang.serve.looking import HTML, Looking, Reply
from dojang.serve.refusals import of_picture, refusal

#: questions that wait for the one that is being answered, at most
WAITING = 32
#: seconds from a question to its answer; a picture is made for a unit in a few
SECONDS = 60.0
#: questions that have a thread of their own
ASIDE = (["run"], ["samples"])
# the report has its style within, and must not reach beyond its frame
_FRAMED = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'self'; sandbox allow-scripts allow-popups"
)
_LEFT = 499


def routes(looking: Looking, limits: Limits) -> Sequence[BaseRoute]:
    """The addresses.

    Args:
        looking: What is asked.
        limits: Of the service; a picture in the page has the same.
    """
    # what does not look into the network need not wait for what does: a report reads many pictures
    asking, aside = Asking(), Asking()
    held = Held(limits)

    async def get(request: Request) -> Response:
        path = request.path_params["path"].split("/")
        who = aside if path in ASIDE else asking
        return _response(await who.ask(functools.partial(looking.get, path, dict(request.query_params))))

    async def post(request: Request) -> Response:
        said = request.headers.get("content-length", "")
        try:
            if (number := request.query_params.get("sample")) is not None:
                return _response(await asking.ask(functools.partial(looking.sample, number)))
            with Keep(held) as keep:
                body = await held.read(request.receive, int(said) if said.isdigit() else None, keep)  # type: ignore[arg-type]
                return _response(await asking.ask(functools.partial(looking.post, body)))
        except GoneError:
            return Response(status_code=_LEFT)
        except DataError as error:
            raise of_picture(error) from None

    return [
        Route("/page/pictures", post, methods=["POST"]),
        Route("/page/{path:path}", get, methods=["GET"]),
    ]


class Asking:
    """One thread that asks, and a short line before it."""

    def __init__(self, *, waiting: int = WAITING, seconds: float = SECONDS) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="page")
        self._waiting, self._most, self._seconds = 0, waiting, seconds

    async def ask(self, question: Callable[[], Reply]) -> Reply:
        """Put a question.

        Raises:
            ServeError: S608 where too many wait, S610 where it takes too long.
        """
        if self._waiting > self._most:
            raise refusal(
                "S608", 429, f"{self._most} questions of the page wait already.", fix="ask again.", retry_after=1
            )
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, question)
        # one that nobody waits for any more is still in the line until the thread comes to it
        future.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._seconds)
        except TimeoutError:
            future.cancel()
            late = f"the answer took longer than {self._seconds:g} s."
            raise refusal("S610", 504, late, fix="ask again, or for less.") from None
        except asyncio.CancelledError:
            future.cancel()
            raise

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not future.cancelled():
            # what nobody waits for any more is nobody's error
            future.exception()


def _response(reply: Reply) -> Response:
    headers = {"content-security-policy": _FRAMED} if reply.type == HTML else {}
    return Response(reply.body, media_type=reply.type, headers=headers)
