"""The service, asked without a network: answers, refusals, doors, what it says of itself."""

from __future__ import annotations

import asyncio
import json
import threading

import numpy as np
import pytest

for library in ("starlette", "uvicorn", "httptools", "python_multipart", "httpx"):
    pytest.importorskip(library)

from serving import LABELS, png
from starlette.responses import Response
from starlette.routing import Route

from dojang.errors import DataError
from dojang.serve import doors
from dojang.serve.limits import Limits
from dojang.serve.work import Work


def expected(predictor, data):
    return next(predictor.predict([("image", data)]))


def same(answer, wanted):
    assert answer["label"] == wanted.label
    for label, share in zip(wanted.labels, wanted.probabilities, strict=True):
        assert answer["probabilities"][label] == pytest.approx(share, abs=2e-5)


def test_sixty_four_clients_with_different_pictures_each_get_their_own_answer(service, predictor):
    pictures = [png(number) for number in range(64)]
    wanted = [expected(predictor, data) for data in pictures]
    # or a mix-up could not be seen
    shares = np.array([one.probabilities for one in wanted])
    gaps = np.abs(shares[:, None] - shares[None]).max(axis=2) + np.eye(64)
    assert gaps.min() > 4e-5

    async def ask():
        async with service() as made, made.client() as client:
            found = await asyncio.gather(*(client.post("/predict", content=data) for data in pictures))
            assert made.queue.batches < 64
            return found

    for reply, one in zip(asyncio.run(ask()), wanted, strict=True):
        assert reply.status_code == 200
        same(reply.json()["answers"][0], one)


def test_a_form_gives_an_answer_or_an_error_for_each_picture_in_order(service, predictor):
    async def ask():
        async with service() as made, made.client() as client:
            parts = [("image", ("a.png", png(1))), ("image", ("b.txt", b"text")), ("image", ("<b>.png", png(2)))]
            return await client.post("/predict", files=parts)

    reply = asyncio.run(ask())
    first, second, third = reply.json()["answers"]
    assert reply.status_code == 200 and first["source"] == "a.png" and third["source"] == "<b>.png"
    same(first, expected(predictor, png(1)))
    same(third, expected(predictor, png(2)))
    assert second["error"]["code"] == "D103"
    assert set(reply.json()["timing"]) == {"queue_ms", "decode_ms", "network_ms", "total_ms"}
    # X6: what a label or a file name holds is JSON to a browser, too
    assert reply.headers["content-type"] == "application/json" and reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"", 400, "S607"), (b"<html>", 415, "D103"), (png(1)[:200], 422, "D102"), (png(1, side=80), 413, "S601")],
)
def test_a_picture_that_cannot_be_read_is_refused_by_what_it_is(service, body, status, code):
    async def ask():
        async with service() as made, made.client() as client:
            return await client.post("/predict", content=body)

    reply = asyncio.run(ask())
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert reply.json()["request_id"] == reply.headers["x-request-id"]
    assert reply.json()["error"]["fix"] and "--bad" not in reply.text


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"nothing", "cut"),
        (b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\na\r\n--x--\r\n', "no part"),
        (b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nabc', "cut"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(service, body, told):
    async def ask():
        async with service() as made, made.client() as client:
            return await client.post(
                "/predict", content=body, headers={"content-type": "multipart/form-data; boundary=x"}
            )

    reply = asyncio.run(ask())
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "S607")
    assert told in reply.text or "cannot be read" in reply.text


class Breaks(Work):
    """What answers, but for one picture that it cannot."""

    poison = png(66)

    def _batch(self, asked, pixels, whole):
        if any(asked[number].data == self.poison for number in whole):
            raise RuntimeError("/secret/path of the machine")
        return super()._batch(asked, pixels, whole)


def test_a_poisoned_picture_costs_its_own_request_only_and_nothing_is_told_of_the_inside(service, predictor):
    """S7 and S9: the others of the same batch are answered; no path and no traceback reaches a client."""

    def wrap(work):
        return Breaks(predictor, work.engine, threads=2)

    async def ask():
        async with service(wrap=wrap) as made, made.client() as client:
            bodies = [png(1), Breaks.poison, png(2), png(3)]
            return await asyncio.gather(*(client.post("/predict", content=data) for data in bodies)), made.lines

    replies, lines = asyncio.run(ask())
    assert [reply.status_code for reply in replies] == [200, 500, 200, 200]
    error = replies[1].json()
    assert error["error"]["code"] == "S611" and error["request_id"] in error["error"]["fix"]
    assert "secret" not in replies[1].text and "Traceback" not in replies[1].text
    assert any("/secret/path" in line and error["request_id"] in line for line in lines)


def test_probabilities_that_are_not_finite_are_no_answer(service, predictor):
    def wrap(work):
        return Work(predictor, lambda pixels: (None, np.full((len(pixels), 3), np.nan, np.float32)))

    async def ask():
        async with service(wrap=wrap) as made, made.client() as client:
            return await client.post("/predict", content=png(1))

    assert asyncio.run(ask()).status_code == 500


class Gate:
    """What answers, when it is let."""

    def __init__(self, work):
        self.work, self.open, self.seen = work, threading.Event(), []

    def frames(self, asked, alive):
        self.open.wait(10)
        self.seen += [one.name for one in asked]
        return self.work.frames(asked, alive)


def gated(made):
    """Puts a gate into a service that is about to be made."""

    def wrap(work):
        made.append(Gate(work))
        return made[-1]

    return wrap


def test_one_beyond_what_may_wait_is_refused_at_once_and_told_when_to_come_back(service):
    """S4, S5 (waiting): 429 with Retry-After before the body is read, and all that was taken is answered."""
    gates = []

    async def ask():
        # two batches of two are with the worker, three wait
        async with service(Limits(waiting=3), wrap=gated(gates), max_batch=2) as made, made.client() as client:
            asked = [asyncio.create_task(client.post("/predict", content=png(number))) for number in range(7)]
            while made.queue.waiting < 3:
                await asyncio.sleep(0.005)
            began = asyncio.get_running_loop().time()
            refused = await client.post("/predict", content=png(9))
            took = asyncio.get_running_loop().time() - began
            gates[0].open.set()
            return refused, took, await asyncio.gather(*asked)

    refused, took, taken = asyncio.run(ask())
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "S608")
    assert int(refused.headers["retry-after"]) >= 1 and took < 0.5
    assert [reply.status_code for reply in taken] == [200] * 7


def test_what_would_wait_beyond_its_deadline_is_refused_at_once(service):
    gates = []

    async def ask():
        # a picture takes a second, so the tenth would be late
        limits = Limits(deadline_seconds=10)
        async with service(limits, wrap=gated(gates), seconds=1.0) as made, made.client() as client:
            asked = [asyncio.create_task(client.post("/predict", content=png(number))) for number in range(7)]
            while made.queue.waiting + made.queue.running < 7:
                await asyncio.sleep(0.005)
            made.queue.seconds = 1.1
            refused = await client.post("/predict", content=png(9))
            gates[0].open.set()
            await asyncio.gather(*asked)
            return refused

    refused = asyncio.run(ask())
    assert refused.status_code == 429 and refused.headers["retry-after"] == "9"


def test_a_request_that_is_late_is_given_up_and_not_computed(service):
    """S5 (deadline): 504 within a tick of it; the counters return to zero."""
    gates = []

    async def ask():
        limits = Limits(deadline_seconds=0.3)
        async with service(limits, wrap=gated(gates), max_batch=1) as made, made.client() as client:
            replies = await asyncio.gather(*(client.post("/predict", content=png(number)) for number in range(4)))
            waiting = made.queue.waiting
            gates[0].open.set()
            while made.queue.running:
                await asyncio.sleep(0.005)
            return replies, waiting, len(gates[0].seen)

    replies, waiting, computed = asyncio.run(ask())
    assert {reply.status_code for reply in replies} == {504} and replies[0].json()["error"]["code"] == "S610"
    # one was in the network's hands, the second may have been picked with it
    assert waiting == 0 and computed <= 2


def test_a_client_that_leaves_takes_its_picture_along(service):
    """S6: while it waits and while it is being answered; the counters return to zero."""
    gates = []

    async def ask():
        async with service(wrap=gated(gates), max_batch=1) as made, made.client() as client:
            asked = [asyncio.create_task(client.post("/predict", content=png(number))) for number in range(6)]
            while made.queue.waiting + made.queue.running < 6:
                await asyncio.sleep(0.005)
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            gone = made.queue.waiting, made.app.open, made.app.held.bytes
            gates[0].open.set()
            while made.queue.running:
                await asyncio.sleep(0.005)
            after = await client.post("/predict", content=png(1))
            return gone, len(gates[0].seen), after.status_code

    gone, computed, after = asyncio.run(ask())
    assert gone == (0, 0, 0) and computed <= 3 and after == 200


def test_bodies_together_are_bounded(service):
    """S5 (held_bytes)."""
    gates, size = [], len(png(1))

    async def ask():
        limits = Limits(held_bytes=2 * size)
        async with service(limits, wrap=gated(gates)) as made, made.client() as client:
            asked = [asyncio.create_task(client.post("/predict", content=png(1))) for _ in range(2)]
            while made.queue.waiting + made.queue.running < 2:
                await asyncio.sleep(0.005)
            full = made.app.held.bytes
            refused = await client.post("/predict", content=png(1))
            gates[0].open.set()
            taken = await asyncio.gather(*asked)
            return full, refused, taken, made.app.held.bytes

    full, refused, taken, left = asyncio.run(ask())
    assert full == 2 * size and left == 0
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "S608")
    assert [reply.status_code for reply in taken] == [200, 200]


def test_limits_of_bodies_forms_and_parts(service):
    """S5 (body_bytes, pictures, part_header_bytes): the limit passes, one more is refused."""
    size = len(png(1))

    async def chunks(count):
        yield b"x" * (size - 1)
        yield b"x" * count

    def form(header):
        line = b'Content-Disposition: form-data; name="image"; filename="a.png"\r\nX-More: '
        return b"--x\r\n" + line + b"x" * (header - len(line) + 2) + b"\r\n\r\n" + png(1) + b"\r\n--x--\r\n"

    async def ask():
        found = []
        async with service(Limits(body_bytes=size)) as made, made.client() as client:
            found.append(await client.post("/predict", content=png(1)))
            found.append(await client.post("/predict", content=png(1) + b"x"))
            found.append(await client.post("/predict", content=chunks(2)))
        async with service(Limits(pictures=2)) as made, made.client() as client:
            for count in (2, 3):
                found.append(await client.post("/predict", files=[("image", ("a.png", png(1)))] * count))
        async with service(Limits(part_header_bytes=200)) as made, made.client() as client:
            for header in (190, 220):
                kind = {"content-type": "multipart/form-data; boundary=x"}
                found.append(await client.post("/predict", content=form(header), headers=kind))
        return [(reply.status_code, reply.json().get("error", {}).get("code")) for reply in found]

    fine = (200, None)
    assert asyncio.run(ask()) == [fine, (413, "S602"), (413, "S602"), fine, (413, "S603"), fine, (400, "S607")]


def test_a_body_that_does_not_end_is_given_up(service):
    """S5 (body_seconds), as the application sees it; tests/faults asks through a socket."""

    async def ask():
        sent = []
        async with service(Limits(body_seconds=0.1)) as made:

            async def receive():
                await asyncio.sleep(0.03)
                return {"type": "http.request", "body": b"x", "more_body": True}

            async def send(message):
                sent.append(message)

            scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"host", b"127.0.0.1")]}
            await made.app(scope, receive, send)
            return sent

    start, body = asyncio.run(ask())
    assert start["status"] == 408 and json.loads(body["body"])["error"]["code"] == "S604"


def test_the_token_is_asked_for_but_of_what_says_nothing(service):
    async def ask():
        found = {}
        async with service(token="0123456789abcdef") as made, made.client() as client:
            for path in ("/", "/static/index.html", "/healthz", "/readyz", "/metrics", "/model", "/nothing"):
                found[path] = (await client.get(path)).status_code
            for given in ("", "Bearer 0123456789abcdeF", "Bearer 0123456789abcdef"):
                reply = await client.post("/predict", content=png(1), headers={"authorization": given})
                found[given] = reply.status_code, reply.json().get("error", {}).get("code")
            found["right"] = (await client.get("/model", headers={"authorization": given})).status_code
        return found

    found = asyncio.run(ask())
    assert [found[path] for path in ("/", "/static/index.html", "/healthz", "/readyz")] == [200] * 4
    assert [found[path] for path in ("/metrics", "/model", "/nothing")] == [401] * 3
    assert found[""] == found["Bearer 0123456789abcdeF"] == (401, "S613")
    assert found["Bearer 0123456789abcdef"] == (200, None) and found["right"] == 200


def test_a_ticket_opens_the_report_once_and_nothing_else(service):
    """A frame cannot bring a token."""

    async def report(request):
        return Response("report")

    routes = [Route("/page/run", report), Route("/page/about", report)]
    headers = {"authorization": "Bearer 0123456789abcdef"}

    async def ask():
        found = {}
        async with service(token="0123456789abcdef", routes=routes) as made, made.client() as client:
            found["no token"] = (await client.post("/page/ticket")).status_code
            one, two = [(await client.post("/page/ticket", headers=headers)).json()["ticket"] for _ in range(2)]
            for path in (
                f"/page/about?ticket={one}",
                f"/page/run?lang=en&ticket={one}",
                f"/page/run?ticket={one}",
                "/page/run?ticket=",
                "/page/run?ticket=x",
                "/page/run",
            ):
                found[path.replace(one, "one")] = (await client.get(path)).status_code
            made.app.doors._tickets[two] -= doors.TICKET_SECONDS
            found["late"] = (await client.get(f"/page/run?ticket={two}")).status_code
            many = [(await client.post("/page/ticket", headers=headers)).json()["ticket"] for _ in range(40)]
            found["kept"] = len(made.app.doors._tickets)
            found["oldest"] = (await client.get(f"/page/run?ticket={many[0]}")).status_code
            found["newest"] = (await client.get(f"/page/run?ticket={many[-1]}")).status_code
        return found

    assert asyncio.run(ask()) == {
        "no token": 401,
        "/page/about?ticket=one": 401,
        "/page/run?lang=en&ticket=one": 200,
        "/page/run?ticket=one": 401,
        "/page/run?ticket=": 401,
        "/page/run?ticket=x": 401,
        "/page/run": 401,
        "late": 401,
        "kept": doors.TICKETS,
        "oldest": 401,
        "newest": 200,
    }


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_a_page_that_gives_its_own_name_our_address_is_sent_away(service, host):
    async def ask():
        async with service() as made, made.client() as client:
            return [await client.get("/model", headers={"host": host}),
                    await client.post("/predict", content=png(1), headers={"host": host})]  # fmt: skip

    for reply in asyncio.run(ask()):
        assert (reply.status_code, reply.json()["error"]["code"]) == (421, "S614")


def test_nothing_loads_models_and_unknown_addresses_have_a_code(service):
    """X7: every address there is, and none takes a model."""

    async def ask():
        async with service() as made, made.client() as client:
            document = (await client.get("/openapi.json")).json()
            others = [
                await client.get("/predict"),
                await client.post("/models/load"),
                await client.get("/static/../app.py"),
            ]
            return document, others

    document, others = asyncio.run(ask())
    methods = {(path, method) for path, found in document["paths"].items() for method in found}
    assert methods == {("/predict", "post"), *((path, "get") for path in document["paths"] if path != "/predict")}
    assert [reply.status_code for reply in others] == [405, 404, 404]
    assert {reply.json()["error"]["code"] for reply in others} == {"S615"}


def test_the_document_says_what_is_answered(service):
    """Every address of the document is there, and what comes back has the shape that it says."""

    def check(schema, value, document):
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if "anyOf" in schema:
            errors = []
            for one in schema["anyOf"]:
                try:
                    return check(one, value, document)
                except AssertionError as error:
                    errors.append(error)
            raise errors[0]
        kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
        if "enum" in schema:
            assert value in schema["enum"]
        if schema.get("type") == "null":
            assert value is None
        elif "type" in schema:
            assert isinstance(value, kinds[schema["type"]]), (schema, value)
        if schema.get("type") == "object":
            assert set(schema.get("required", ())) <= set(value)
            known, more = schema.get("properties", {}), schema.get("additionalProperties")
            assert more is not None or set(value) <= set(known) or not known, set(value) - set(known)
            for name, item in value.items():
                if name in known or more:
                    check(known.get(name, more), item, document)
        if schema.get("type") == "array":
            for item in value:
                check(schema["items"], item, document)
        return None

    async def ask():
        async with service() as made, made.client() as client:
            document = (await client.get("/openapi.json")).json()
            found = []
            for path, methods in document["paths"].items():
                if path == "/predict":
                    found.append((path, "post", await client.post(path, content=png(1))))
                    found.append((path, "post", await client.post(path, content=b"no picture")))
                    both = [("image", ("a.png", png(1))), ("image", ("b.png", b"no"))]
                    found.append((path, "post", await client.post(path, files=both)))
                elif "get" in methods:
                    found.append((path, "get", await client.get(path)))
            made.app.stopping = True
            found.append(("/readyz", "get", await client.get("/readyz")))
            found.append(("/predict", "post", await client.post("/predict", content=png(1))))
            return document, found

    document, found = asyncio.run(ask())
    assert document["openapi"] == "3.1.0"
    names = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names))
    assert {reply.status_code for _, _, reply in found} >= {200, 415, 503}
    for path, method, reply in found:
        told = document["paths"][path][method]["responses"][str(reply.status_code)]["content"]
        kind = reply.headers["content-type"].partition(";")[0]
        assert kind in told
        if kind == "application/json":
            check(told[kind]["schema"], reply.json(), document)


def test_what_is_counted_reads_as_prometheus_text(service):
    async def ask():
        async with service() as made, made.client() as client:
            await client.post("/predict", content=png(1))
            await client.post("/predict", content=b"no")
            return (await client.get("/metrics")).text

    lines = asyncio.run(ask()).splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert values['dojang_requests_total{status="200"}'] == values['dojang_requests_total{status="415"}'] == "1"
    assert values["dojang_pictures_total"] == values["dojang_workers_total"] == values["dojang_ready"] == "1"
    assert values["dojang_request_seconds_count"] == values['dojang_request_seconds_bucket{le="+Inf"}'] == "2"
    assert [
        values[f"dojang_{name}"] for name in ("waiting_pictures", "running_pictures", "held_bytes", "open_requests")
    ] == ["0"] * 4
    # none of a family's samples stands before its type
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {
        name.partition("{")[0].removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in values
    } <= typed


def test_the_page_may_load_nothing_from_elsewhere(service):
    async def ask():
        async with service() as made, made.client() as client:
            return await client.get("/"), (await client.get("/model")).json()

    page, model = asyncio.run(ask())
    assert (
        "default-src 'self'" in page.headers["content-security-policy"]
        and page.headers["x-content-type-options"] == "nosniff"
    )
    assert "http:" not in page.text.replace("http://127.0.0.1", "") and "https:" not in page.text
    assert model["labels"] == list(LABELS) and model["input"] == {"height": 28, "width": 28, "channels": 1, "mode": "L"}
    assert [row["kind"] for row in model["layers"]].count("Conv2d") >= 2


def test_routes_that_are_added_have_the_same_doors_and_the_same_words(service):
    async def broken(request):
        raise DataError("D102", "'a.png' is cut.", fix="send a whole one.")

    async def bad(request):
        raise RuntimeError("/secret/path")

    async def fine(request):
        return Response("x")

    routes = [Route("/page/a", broken), Route("/page/b", bad), Route("/page/c", fine)]

    async def ask():
        async with service(token="0123456789abcdef", routes=routes) as made, made.client() as client:
            key = {"authorization": "Bearer 0123456789abcdef"}
            replies = [await client.get("/page/c")]
            for path in ("/page/a", "/page/c"):
                replies.append(await client.get(path, headers=key))
            try:
                replies.append(await client.get("/page/b", headers=key))
            except RuntimeError:
                pytest.fail("a fault of a route must not reach the server")
            return replies, made.lines

    (shut, told, opened, inside), lines = asyncio.run(ask())
    assert (
        shut.status_code == 401
        and opened.status_code == 200
        and "default-src" in opened.headers["content-security-policy"]
    )
    assert (told.status_code, told.json()["error"]["code"]) == (400, "D102")
    assert inside.status_code == 500 and "secret" not in inside.text and any("secret" in line for line in lines)
