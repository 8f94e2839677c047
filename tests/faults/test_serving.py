"""S4 to S9 and X7 through real sockets and real processes: limits, slow clients, workers that end or hang, SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

for library in ("starlette", "uvicorn", "httptools", "python_multipart", "httpx"):
    pytest.importorskip(library)

import httpx

from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError, ServeError
from dojang.models import build, weights
from dojang.predict.predictor import Predictor
from dojang.serve import server, wire, worker
from dojang.serve.app import App
from dojang.serve.doors import Doors
from dojang.serve.engine import Plan, make
from dojang.serve.limits import ROWS, Limits
from dojang.serve.nursery import Nursery
from dojang.serve.options import ServeOptions
from dojang.serve.queue import Queue
from dojang.serve.work import Work

PREPROCESS = Preprocess("L", 28, 28, mean=(0.5,), std=(0.25,))


def png(number: int) -> bytes:
    draw = np.random.default_rng(number)
    file = io.BytesIO()
    Image.fromarray(draw.integers(0, 256, (28, 28), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def predictor():
    model = build.build("mnist-cnn", in_channels=1, classes=3, image_size=(28, 28), seed=0)
    return Predictor(model, ("a", "b", "c"), PREPROCESS, temperature=0.05)


class Evil(Work):
    """Ends or hangs at certain pictures; there is no such switch in the package."""

    def frames(self, asked, alive=lambda: None):
        for one in asked:
            if one.data.endswith(b"kill"):
                os.kill(os.getpid(), signal.SIGKILL)
            if one.data.endswith(b"hang"):
                time.sleep(60)
        return super().frames(asked, alive)


@contextlib.contextmanager
def listens(predictor, limits, *, kind=Work):
    """A service on a port, its worker a process from a nursery; gives the address, the application and its log."""

    def begin(plan):
        # this process may have run kernels on several threads before it was forked, which are not there any more
        torch.set_num_threads(plan.threads)
        return kind(predictor, make(plan, predictor, False)), {}, plan

    sock = server.listening("127.0.0.1", 0, "")
    nursery = Nursery(lambda line: worker.run(line, begin), close=[sock])
    lines = []
    queue = Queue(
        lambda: (*nursery.new(), worker.packed(Plan(max_batch=4))), limits, max_batch=4, seconds=0.001, log=lines.append
    )
    app = App(queue, limits, {}, Doors(local=True), log=lines.append)
    up = threading.Event()
    running = server.Server(app, limits, up.set)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        assert up.wait(20)
        yield sock.getsockname(), app, lines
    finally:
        running.should_exit = True
        thread.join(20)
        nursery.close()
        sock.close()
    assert not thread.is_alive()


def talk(address, data, *, pause=0.0, then=b""):
    """What a raw client gets to read."""
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(data)
        if then:
            time.sleep(pause)
            client.sendall(then)
        found = b""
        with contextlib.suppress(ConnectionError):
            while more := client.recv(65536):
                found += more
                head, _, body = found.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head)
                if length and len(body) >= int(length[1]):
                    break
    return found


def status_of(reply):
    return int(reply.split(b" ", 2)[1]) if reply else 0


def post(body, *, length=None, headers=b""):
    size = len(body) if length is None else length
    return b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n%bContent-Length: %d\r\n\r\n%b" % (headers, size, body)


@pytest.mark.sockets
def test_limits_through_a_socket(predictor):
    """S5 (header_bytes, header_seconds, body_bytes, body_seconds, idle_seconds): one beyond each."""
    size = len(png(1))
    limits = Limits(body_bytes=size, header_bytes=500, header_seconds=1, body_seconds=0.6, idle_seconds=1)
    with listens(predictor, limits) as (address, app, _):
        fits = post(png(1), headers=b"X-More: " + b"x" * 400 + b"\r\n")
        assert status_of(talk(address, fits)) == 200
        assert status_of(talk(address, post(png(1), headers=b"X-More: " + b"x" * 500 + b"\r\n"))) == 431
        long = talk(address, post(png(1), headers=b"X-More: " + b"x" * 500 + b"\r\n"))
        assert b"S605" in long
        # neither is a head that comes in two pieces, the second with a picture behind it
        split = post(png(1), headers=b"X-More: " + b"x" * 400 + b"\r\n")
        assert status_of(talk(address, split[:60], pause=0.1, then=split[60:])) == 200
        # a header that never ends
        assert status_of(talk(address, b"GET /" + b"x" * 300, pause=0.1, then=b"x" * 600)) == 431
        assert status_of(talk(address, b"GET / HTTP/1.1\r\nHost: 127")) == 408
        assert status_of(talk(address, post(png(1) + b"x"))) == 413
        # a length that lies: far too long, and what never comes
        assert status_of(talk(address, post(b"x", length=10**12))) == 413
        slow = talk(address, post(b"x", length=50))
        assert status_of(slow) == 408 and b"S604" in slow
        chunks = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert status_of(talk(address, chunks + b"%x\r\n%b\r\n" % (size + 1, b"x" * (size + 1)))) == 413
        nonsense = talk(address, b"\x16\x03\x01 no http\r\n\r\n")
        assert status_of(nonsense) == 400 and b"S607" in nonsense
        began = time.monotonic()
        assert talk(address, b"") == b"" and time.monotonic() - began < 5
        assert status_of(talk(address, post(png(1)))) == 200
        assert app.open == 0 and app.held.bytes == 0


def replies_of(client, count):
    """Statuses, heads and bodies of so many answers or more, in the order in which they come."""
    found, kept = [], b""
    client.settimeout(10)
    while len(found) < count or kept:
        more = client.recv(65536)
        assert more, (found, kept)
        kept += more
        while True:
            head, end, rest = kept.partition(b"\r\n\r\n")
            size = int(re.search(rb"content-length: (\d+)", head)[1]) if end else 0
            if not end or len(rest) < size:
                break
            found.append((status_of(head), head, json.loads(rest[:size])))
            kept = rest[size:]
    return found


@pytest.mark.sockets
def test_requests_on_one_connection_are_answered_in_their_order(predictor):
    """Whole ones, which need no task, chunked ones, which do, ones in pieces and bad ones, all at once or not."""
    chunked = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    pictures = [png(number) for number in range(6)]
    with listens(predictor, Limits()) as (address, app, _):
        alone = [json.loads(talk(address, post(one)).partition(b"\r\n\r\n")[2])["answers"] for one in pictures]
        wanted = [(200, alone[0]), (200, alone[1]), (400, None), (200, alone[2]), (404, None), (200, alone[3])]
        asked = [
            post(pictures[0]),
            chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(pictures[1]), pictures[1]),
            post(b""),
            post(pictures[2]),
            b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            post(pictures[3]),
        ]
        whole = b"".join(asked)
        for pieces in (
            [whole],
            asked,
            [whole[:-700], whole[-700:]],
            [whole[at : at + 997] for at in range(0, len(whole), 997)],
            [b"".join(asked[:3]), b"".join(asked[3:])],
        ):
            with socket.create_connection(address, timeout=10) as client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for piece in pieces:
                    client.sendall(piece)
                    time.sleep(0.01)
                found = replies_of(client, len(wanted))
            assert [(status, told.get("answers")) for status, _, told in found] == wanted
            assert len({told["request_id"] for _, _, told in found}) == len(found)
        # the last words of a connection
        closing = talk(address, post(pictures[4], headers=b"Connection: close\r\n"))
        assert status_of(closing) == 200 and b"\r\nconnection: close\r\n" in closing
        assert app.open == 0 and app.held.bytes == 0


@pytest.mark.sockets
def test_a_client_that_never_reads_its_answers_is_not_read_any_further(predictor):
    """Neither answers that nobody takes nor requests behind them may fill the memory."""
    ask = post(png(1)) * 64
    with listens(predictor, Limits(body_bytes=2**20)) as (address, app, _):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(address)
            client.settimeout(2)
            sent = 0
            with contextlib.suppress(TimeoutError, ConnectionError):
                while sent < 64 * 2**20:
                    sent += client.send(ask)
            # what lies in the buffers of the system comes on top
            assert sent < 32 * 2**20
            answered = app.tally.statuses[200]
            time.sleep(0.5)
            assert app.tally.statuses[200] == answered and app.held.bytes < 2**20
        assert status_of(talk(address, post(png(1)))) == 200
        assert app.open == 0 and app.held.bytes == 0


@pytest.mark.sockets
def test_one_connection_too_many_is_told_so(predictor):
    """S5 (connections)."""
    with listens(predictor, Limits(connections=2)) as (address, _, _), contextlib.ExitStack() as kept:
        for _ in range(2):
            kept.enter_context(socket.create_connection(address, timeout=5))
        time.sleep(0.2)
        refused = talk(address, post(png(1)))
        assert status_of(refused) == 503 and b"S609" in refused and b"retry-after" in refused
        kept.close()
        time.sleep(0.2)
        assert status_of(talk(address, post(png(1)))) == 200


def asked(address, bodies):
    """All at once; status and error code of each, and whether the service is ready again soon."""

    async def ask():
        url = f"http://127.0.0.1:{address[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
            replies = await asyncio.gather(*(client.post("/predict", content=body) for body in bodies))
            # where the one that ended its worker was the last to be tried, the next worker is not there yet
            until = time.monotonic() + 10
            while (ready := (await client.get("/readyz")).status_code) != 200 and time.monotonic() < until:
                await asyncio.sleep(0.02)
            return [(one.status_code, one.json().get("error", {}).get("code")) for one in replies], ready

    return asyncio.run(ask())


@pytest.mark.sockets
@pytest.mark.parametrize("fault", [b"kill", b"hang"])
def test_a_picture_that_ends_its_worker_costs_its_own_request_only(predictor, fault):
    """S7: the process is begun anew, what else it had is answered, and the service is ready again."""
    limits = Limits(hang_seconds=0.5, deadline_seconds=20)
    with listens(predictor, limits, kind=Evil) as (address, app, lines):
        bodies = [png(number) for number in range(6)]
        bodies.insert(3, png(9) + fault)
        found, ready = asked(address, bodies)
        assert found.pop(3) == (500, "S611")
        assert found == [(200, None)] * 6 and ready == 200
        # once with the others, once alone; each time another one was begun
        assert app.queue.link.begun == 3
        assert sum("ended; another is begun" in line for line in lines) == 2
        assert app.queue.waiting == app.queue.running == app.open == 0


@pytest.mark.sockets
def test_while_there_is_no_worker_the_service_says_so(predictor):
    """S7: /readyz is false meanwhile; /healthz is not."""
    with listens(predictor, Limits()) as (address, app, _):
        app.queue.link._back_off = 1.0
        os.kill(app.queue.link.pid, signal.SIGKILL)
        until = time.monotonic() + 5
        while app.queue.ready and time.monotonic() < until:
            time.sleep(0.01)
        line = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert status_of(talk(address, line % b"readyz")) == 503
        assert status_of(talk(address, line % b"healthz")) == 200
        refused = talk(address, post(png(1)))
        assert status_of(refused) == 503 and b"S609" in refused
        while not app.queue.ready and time.monotonic() < until:
            time.sleep(0.01)
        assert status_of(talk(address, post(png(1)))) == 200


@pytest.mark.sockets
def test_a_client_that_hangs_up_takes_its_picture_along(predictor):
    """S6, through a socket: the worker is told, and the counters return to zero."""

    with listens(predictor, Limits(hang_seconds=30), kind=Evil) as (address, app, _):
        clients = [socket.create_connection(address, timeout=5) for _ in range(12)]
        for number, client in enumerate(clients):
            client.sendall(post(png(number) + (b"hang" if number == 0 else b"")))
        until = time.monotonic() + 5
        while app.open < 12 and time.monotonic() < until:
            time.sleep(0.01)
        assert app.open == 12
        for client in clients:
            client.close()
        while app.open and time.monotonic() < until:
            time.sleep(0.01)
        assert app.open == app.queue.waiting == app.held.bytes == 0
        assert app.tally.statuses == {499: 12}
        os.kill(app.queue.link.pid, signal.SIGKILL)
        while (app.queue.running or not app.queue.ready) and time.monotonic() < until + 10:
            time.sleep(0.01)
        assert app.queue.running == 0
        assert status_of(talk(address, post(png(1)))) == 200


def test_every_documented_limit_has_a_row_and_a_test():
    """S5: docs/serve.md lists the limits as they are, and each is gone beyond in some test."""
    root = Path(__file__).parents[2]
    text = (root / "docs/serve.md").read_text()
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE))
    assert set(listed) == {row.name for row in ROWS}
    for row in ROWS:
        line = next(line for line in text.splitlines() if line.startswith(f"| `{row.name}` |"))
        value = getattr(Limits(), row.name)
        assert f"{value:,g}" in listed[row.name] or f"{value:,}" in listed[row.name], row.name
        assert (str(row.status) in line or not row.status) and row.code in line
    tests = "".join(path.read_text() for path in (root / "tests").rglob("test_serv*.py"))
    for row in ROWS:
        assert re.search(rf"\b{row.name}=|S5 \([^)]*\b{row.name}\b", tests) or row.name == "pixels", row.name
    assert "max_pixels=4000" in (root / "tests/unit/serve/serving.py").read_text()


def test_a_host_that_others_reach_needs_a_token():
    """X7."""
    for host in ("0.0.0.0", "::", "192.168.1.5"):
        for token in ("", "short"):
            with pytest.raises(ConfigError, match="lets other machines in") as found:
                server.listening(host, 0, token)
            assert found.value.code == "C295" and found.value.exit_code == 2
    assert ServeOptions().host == "127.0.0.1"


def test_a_token_file_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("DOJANG_TOKEN", " abc ")
    assert server.token_of(None) == "abc"
    (tmp_path / "t").write_text("def\n")
    assert server.token_of(str(tmp_path / "t")) == "def"
    with pytest.raises(ConfigError, match="cannot be read"):
        server.token_of(str(tmp_path / "none"))


@pytest.mark.sockets
def test_a_port_in_use_is_told_with_another():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServeError, match="another program listens there") as found:
            server.listening("127.0.0.1", port, "")
    assert found.value.code == "S600" and f"--port {port + 1}" in found.value.fix


def test_a_worker_that_never_comes_up_is_told():
    """S612, and the nursery ends with its line."""

    def begin(plan):
        os._exit(1)

    nursery = Nursery(lambda line: worker.run(line, begin))

    async def start():
        queue = Queue(lambda: (*nursery.new(), b"{}\n"), Limits(), max_batch=1, seconds=1)
        with pytest.raises(ServeError, match="ended before it was ready") as found:
            await queue.start()
        await queue.close()
        return found.value.code

    assert asyncio.run(start()) == "S612"
    nursery.close()
    with pytest.raises(ProcessLookupError):
        os.kill(nursery.pid, 0)


def test_frames_that_arrive_in_pieces_are_the_same():
    data = b"".join(wire.pack(wire.PICTURE, number, bytes(number)) for number in range(5))
    for step in (1, 7, len(data)):
        reader, found = wire.Reader(), []
        for at in range(0, len(data), step):
            found += reader.frames(data[at : at + step])
        assert [(one.id, len(one.data)) for one in found] == [(number, number) for number in range(5)]


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory, predictor):
    path = tmp_path_factory.mktemp("weights") / "best.safetensors"
    model = predictor.model
    card = weights.Card(
        labels=("a", "b", "c"),
        preprocess=PREPROCESS.as_dict(),
        architecture=build.architecture(model),
        temperature=0.05,
    )
    path.write_bytes(weights.dump(model.state_dict(), card))
    return path


@pytest.mark.sockets
def test_sigterm_under_load_answers_what_runs_and_old_weights_go_on(weights_file, tmp_path):
    """S8: `dojang serve` as its user has it: the file is swapped for a bad one, its worker killed; then SIGTERM."""
    path = tmp_path / "w.safetensors"
    path.write_bytes(weights_file.read_bytes())
    words = ["serve", str(path), "--port", "0", "--engine", "eager", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dojang", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        address = None
        for line in process.stdout:
            if found := re.search(r"http://127.0.0.1:(\d+)", line):
                address = ("127.0.0.1", int(found[1]))
                break
        assert address is not None, process.stderr.read()
        before = json.loads(talk(address, post(png(1))).partition(b"\r\n\r\n")[2])
        path.write_bytes(b"no weights at all")
        # of all descendants, the one that is no child of the service itself
        listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = dict(map(int, line.split()) for line in listing.splitlines())
        nursery = next(pid for pid, parent in parents.items() if parent == process.pid)
        os.kill(next(pid for pid, parent in parents.items() if parent == nursery), signal.SIGKILL)
        until = time.monotonic() + 20
        while status_of(after := talk(address, post(png(1)))) != 200 and time.monotonic() < until:
            time.sleep(0.05)
        assert json.loads(after.partition(b"\r\n\r\n")[2])["answers"] == before["answers"]

        replies, stop = [], threading.Event()

        def load(number):
            with contextlib.suppress(ConnectionRefusedError):
                while not stop.is_set():
                    try:
                        replies.append(status_of(talk(address, post(png(number)))))
                    except (ConnectionResetError, BrokenPipeError):
                        replies.append(0)

        threads = [threading.Thread(target=load, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
        stop.set()
        for thread in threads:
            thread.join()
        # a connection not yet read from when the service ended has no answer (0): it may be asked again
        assert set(replies) <= {200, 503, 0} and replies.count(200) > 10 and replies.count(0) <= len(threads)
        assert "Traceback" not in process.stderr.read()


class Slow(Work):
    """Takes its time."""

    def frames(self, asked, alive=lambda: None):
        time.sleep(0.4)
        return super().frames(asked, alive)


@pytest.mark.sockets
def test_what_comes_behind_a_request_does_not_take_its_answer(predictor):
    """Garbage, a head too long, half a head, an empty line: the request before them is answered first."""
    long = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 900 + b"\r\n\r\n"
    limits = Limits(header_bytes=500, header_seconds=0.8, idle_seconds=2)
    with listens(predictor, limits, kind=Slow) as (address, app, _):
        for behind, status in ((b"\x16\x03 no http\r\n\r\n", 400), (long, 431), (long[:100], 408)):
            for pieces in ([post(png(1)) + behind], [post(png(1)), behind]):
                with socket.create_connection(address, timeout=10) as client:
                    for piece in pieces:
                        client.sendall(piece)
                        time.sleep(0.02)
                    assert [found[0] for found in replies_of(client, 2)] == [200, status], (behind, len(pieces))
                    assert client.recv(1) == b""
        # one that is refused at once must not set the clock for the one behind it
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(post(b"") + post(png(1)))
            assert [found[0] for found in replies_of(client, 2)] == [400, 200]
            # an empty line begins nothing, and keeps nothing open
            client.sendall(b"\r\n")
            began = time.monotonic()
            assert client.recv(1) == b"" and time.monotonic() - began < 5
        assert app.open == 0 and app.held.bytes == 0


@pytest.mark.sockets
def test_a_client_with_several_requests_on_the_way_is_served_for_ever(predictor):
    """However much it sends in all, never more than little of it waits."""
    ask = post(png(1))
    with listens(predictor, Limits(body_bytes=20_000)) as (address, app, _):
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(ask * 3)
            sent, answered = 3, 0
            while answered < 60:
                found = replies_of(client, 1)
                assert {one[0] for one in found} == {200}
                answered += len(found)
                client.sendall(ask * min(len(found), 60 - sent))
                sent += min(len(found), 60 - sent)
            assert sent == answered == 60
        assert app.held.bytes == 0


@pytest.mark.sockets
def test_what_comes_behind_a_body_is_bounded_and_says_nothing(predictor):
    """Trailers: neither do they fill the memory, nor does a door look at them."""
    head = b"POST /predict HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"%x\r\n%b\r\n0\r\n" % (len(png(1)), png(1))
    with listens(predictor, Limits()) as (address, app, _):
        assert status_of(talk(address, head % b"127.0.0.1" + body + b"Host: evil.example\r\n\r\n")) == 200
        assert status_of(talk(address, head % b"evil.example" + body + b"Host: 127.0.0.1\r\n\r\n")) == 421
        twice = b"POST /predict HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\n\r\nx"
        assert status_of(talk(address, twice)) == 421
        kept = talk(address, head % b"127.0.0.1" + body + b"Connection: close\r\n\r\n")
        assert b"connection: close" not in kept.lower()
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(head % b"127.0.0.1" + body)
            sent = 0
            with contextlib.suppress(ConnectionError):
                while sent < 64 * 2**20:
                    sent += client.send(b"X-More: " + b"x" * 65536 + b"\r\n")
            assert sent < 16 * 2**20
        # where no host is named, none is a stranger's
        assert status_of(talk(address, b"GET /healthz HTTP/1.0\r\n\r\n")) == 200
        # the parser would take such a body for the next request
        upgrade = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
        inner = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(upgrade + b"Content-Length: %d\r\n\r\n" % len(inner))
            time.sleep(0.05)
            with contextlib.suppress(ConnectionError):
                client.sendall(inner)
            assert replies_of(client, 1)[0][0] == 400
            with contextlib.suppress(ConnectionError):
                assert client.recv(1) == b""
        assert status_of(talk(address, post(png(1)))) == 200
        assert app.open == 0 and app.held.bytes == 0


@pytest.mark.sockets
def test_one_connection_does_not_keep_the_others_waiting(predictor):
    """Thousands of requests in a few packets, each refused at once."""
    with listens(predictor, Limits()) as (address, _, _):
        stop = threading.Event()

        def flood():
            with socket.create_connection(address, timeout=20) as client, contextlib.suppress(OSError):
                client.setblocking(False)
                at, ask = 0, post(b"") * 4000
                while not stop.is_set():
                    with contextlib.suppress(BlockingIOError):
                        at = (at + client.send(ask[at:])) % len(ask)
                    with contextlib.suppress(BlockingIOError):
                        client.recv(2**20)
                    time.sleep(0.001)

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            time.sleep(0.3)
            for number in range(5):
                assert status_of(talk(address, post(png(number)))) == 200
        finally:
            stop.set()
            thread.join()
