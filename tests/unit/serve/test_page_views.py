"""The page's addresses: limits, deadlines, a short line, and what is told of pictures that are none."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from dojang.data.preprocess import Preprocess
from dojang.errors import DojangError, ServeError
from dojang.models.build import build
from dojang.predict.predictor import Predictor
from dojang.serve import views
from dojang.serve.limits import Limits
from dojang.serve.looking import Looking, Reply
from dojang.serve.views import Asking


async def refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DojangError)
    return JSONResponse({"code": error.code, "fix": error.fix}, getattr(error, "status", 400))


@pytest.fixture
def client() -> TestClient:
    net = build("mnist-cnn", in_channels=1, classes=2, image_size=(12, 12), seed=0)
    looking = Looking(Predictor(net, ("a", "b"), Preprocess("L", 12, 12, mean=(0.0,), std=(1.0,))), "net")
    limits = dataclasses.replace(Limits(), body_bytes=100)
    routes = views.routes(looking, limits)
    return TestClient(Starlette(routes=list(routes), exception_handlers={DojangError: refused}))


def test_answers_and_refusals(client: TestClient) -> None:
    assert client.get("/page/about").json()["labels"] == ["a", "b"]
    assert client.get("/page/nowhere").status_code == 404
    assert client.get("/page/pictures/x/heat").json()["code"] == "S616"
    told = client.post("/page/pictures", content=b"x" * 100)
    assert (told.status_code, told.json()["code"]) == (415, "D103")
    assert told.json()["fix"].startswith("send one picture as the body")
    # one more, said and unsaid
    told = client.post("/page/pictures", content=b"x" * 101)
    assert (told.status_code, told.json()["code"]) == (413, "S602")
    told = client.post("/page/pictures", content=iter([b"x" * 60, b"x" * 41]))
    assert (told.status_code, told.json()["code"]) == (413, "S602")
    assert client.post("/page/pictures?sample=0").json()["code"] == "S616"
    assert client.put("/page/about").status_code == 405


def test_a_report_keeps_to_its_frame(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Looking, "get", lambda *_: Reply(b"<p>", views.HTML))
    policy = client.get("/page/run").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy and "connect-src" not in policy


def test_the_line_is_short() -> None:
    gate = threading.Event()

    def slow() -> Reply:
        gate.wait(10)
        return Reply(b"")

    async def run() -> None:
        asking = Asking(waiting=2)
        # one that is being answered and two that wait; one more is refused
        tasks = [asyncio.create_task(asking.ask(slow)) for _ in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(ServeError, match=r"S608.*2 questions of the page wait already.") as caught:
            await asking.ask(slow)
        assert (caught.value.status, caught.value.retry_after) == (429, 1)
        # one that nobody waits for any more leaves the line without being asked
        tasks[-1].cancel()
        await asyncio.sleep(0.05)
        last = asyncio.create_task(asking.ask(slow))
        gate.set()
        assert all(isinstance(one, Reply) for one in await asyncio.gather(*tasks[:2], last))
        assert tasks[-1].cancelled()

    asyncio.run(run())


def test_an_answer_has_a_deadline() -> None:
    gate, asked = threading.Event(), []

    def slow() -> Reply:
        asked.append(1)
        gate.wait(10)
        return Reply(b"late")

    async def run() -> None:
        asking = Asking(seconds=0.1)
        first, second = (asyncio.create_task(asking.ask(slow)) for _ in range(2))
        for task in (first, second):
            with pytest.raises(ServeError, match=r"S610.*longer than 0.1 s") as caught:
                await task
            assert caught.value.status == 504
        gate.set()
        assert (await asking.ask(lambda: Reply(b"next"))).body == b"next"
        # the second was never begun
        assert asked == [1]

    asyncio.run(run())
