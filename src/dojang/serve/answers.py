"""How an answer or a refusal is put: its bytes, its headers, and the words of those that no address has."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dojang.errors import DojangError, ServeError
from dojang.serve import refusals
from dojang.serve.doors import Headers
from dojang.serve.jobs import Job, Reply
from dojang.serve.refusals import refusal

Send = Callable[[dict[str, Any]], Awaitable[None]]

#: nothing from other hosts; pictures that were chosen in the page are blobs
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)
_PLAIN = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


def answered(replies: Sequence[Reply], job: Job, began: float) -> tuple[bytes, int]:
    """The JSON of answers, made of JSON that the worker made, and its status."""
    request = job.request.encode()
    if job.alone and replies[0].status != 200:
        return b'{"error": %b, "request_id": "%b"}' % (replies[0].data, request), replies[0].status
    made = [
        one.data if one.status == 200 else b'{"source": %b, "error": %b}' % (json.dumps(item.name).encode(), one.data)
        for one, item in zip(replies, job.items, strict=True)
    ]
    timing = b'"queue_ms": %.3f, "decode_ms": %.3f, "network_ms": %.3f, "total_ms": %.3f' % (
        1e3 * max(0.0, job.sent - job.arrived),
        sum(one.decode for one in replies) / 1e3,
        max(one.network for one in replies) / 1e3,
        1e3 * (time.perf_counter() - began),
    )
    return b'{"answers": [%b], "timing": {%b}, "request_id": "%b"}' % (b", ".join(made), timing, request), 200


def headers_of(status: int, body: bytes, request: str, error: ServeError | None) -> Headers:
    """Of an answer to /predict, or of a refusal."""
    headers = [*_PLAIN, (b"content-length", b"%d" % len(body)), (b"x-request-id", request.encode())]
    if error is not None and error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


async def answer(send: Send, status: int, body: bytes, request: str, error: ServeError | None = None) -> None:
    """Send an answer to /predict, or a refusal."""
    headers = headers_of(status, body, request, error)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def guarded(send: Send, request: str) -> Send:
    """Adds to every answer what keeps a browser from doing harm with it."""

    async def guard(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            have = {name.lower() for name, _ in headers}
            for name, value in (
                (b"content-security-policy", POLICY.encode()),
                (b"x-content-type-options", b"nosniff"),
                (b"referrer-policy", b"no-referrer"),
                (b"cache-control", b"no-store"),
                (b"x-request-id", request.encode()),
            ):
                if name not in have:
                    headers.append((name, value))
            message = {**message, "headers": headers}
        await send(message)

    return guard


def as_json(values: dict[str, Any], status: int = 200) -> Response:
    """Plain values as a response."""
    return Response(json.dumps(values), status, media_type="application/json")


async def not_found(request: Request, error: Exception) -> Response:
    """404 and 405 in the same words as everything else."""
    assert isinstance(error, HTTPException)
    known = "POST /predict, GET /model, /healthz, /readyz, /metrics, /openapi.json, /"
    path = request.url.path[:80]
    if path == "/predict":
        told = refusal("S615", 405, "pictures come by POST.", fix="curl --data-binary @cat.jpg, to this address.")
    elif error.status_code == 405:
        told = refusal("S615", 405, f"there is no {request.method} at {path}.", fix=known)
    else:
        told = refusal("S615", error.status_code, f"there is nothing at {path}.", fix=known)
    response = await refused(request, told)
    if error.headers:
        response.headers.update(error.headers)
    return response


async def refused(request: Request, error: Exception) -> Response:
    """What a route has raised, as its response."""
    if not isinstance(error, ServeError):
        assert isinstance(error, DojangError)
        error = refusal(error.code, 400 if error.exit_code != 1 else 500, error.what, fix=error.fix)
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    body = refusals.body(error, request.scope["request_id"])
    return Response(body, error.status, headers, media_type="application/json")
