"""`dojang serve` beside a plain FastAPI server with the same weights in eager PyTorch, and LitServe, on the same cores.

    python benchmarks/serve.py --run RUN --pictures FOLDER [--clients 1 8 64] [--seconds 10] [--rounds 5]
        [--servers dojang plain plain-1 litserve] [--name mnist-cnn]

RUN is a run folder, FOLDER holds the pictures that are sent.  The others are peers/serve_plain.py, as it is and with
one thread of torch's, and peers/serve_litserve.py; they need peers/requirements-serve.txt.  Each server is begun in a
process of its own, warmed up, asked by 1, 8 and 64 clients, and ended, in turn, round after round.  All clients are one
process: connections on one event loop, kept alive, a request ready as bytes; what it costs is told as the processor
time that it took of a request (``client_us``).  It runs on the same cores, so it takes the same from every server.

An answer is wrong where a probability is not the predictor's own for that picture, within 1e-4.  ``--overload`` asks
dojang with four times the clients that fill its queue, and reports accepted p99, refusals, what they take, wrong
answers, and the memory of all its processes over time.
Kept in benchmarks/results/serve.json, a row for each name.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

# a request as bytes, and what the predictor says
Pictures = list[tuple[bytes, dict[str, float]]]

RESULTS = Path(__file__).parent / "results" / "serve.json"
PEERS = Path(__file__).resolve().parent / "peers"
SERVERS = {
    "dojang": [],
    "plain": [str(PEERS / "serve_plain.py")],
    "plain-1": [str(PEERS / "serve_plain.py"), "--threads", "1"],
    "litserve": [str(PEERS / "serve_litserve.py")],
}


def begun(server: str, run: str, port: int) -> subprocess.Popen[bytes]:
    """The server, up and asked once."""
    words = [*SERVERS[server], "--run", run, "--port", str(port)]
    if server == "dojang":
        words = ["-m", "dojang", "serve", run, "--port", str(port), "--queue", "128"]
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.2)
    raise SystemExit(f"{server} does not come up")


def ended(process: subprocess.Popen[bytes]) -> None:
    """With all that it has begun."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


class Tallied:
    """What clients saw."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.refused: list[float] = []
        self.failed = 0
        # bodies are looked at afterwards: until then the cores are the servers'
        self.bodies: list[tuple[int, bytes]] = []

    def wrong(self, pictures: Pictures) -> int:
        """Answers that are not the predictor's."""
        return sum(
            any(abs(shares[label] - share) > 1e-4 for label, share in pictures[at][1].items())
            for at, body in self.bodies
            for shares in (json.loads(body)["answers"][0]["probabilities"],)
        )


class Client(asyncio.Protocol):
    """One connection, kept alive: the next request when an answer is there."""

    def __init__(self, pictures: Pictures, first: int, until: float, seen: Tallied) -> None:
        self.pictures, self.at, self.until, self.seen = pictures, first, until, seen
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.got = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        if time.perf_counter() >= self.until:
            self.transport.close()
            return
        self.at = (self.at + 7) % len(self.pictures)
        self.began = time.perf_counter()
        self.transport.write(self.pictures[self.at][0])

    def data_received(self, data: bytes) -> None:
        self.got = self.got + data if self.got else data
        end = self.got.find(b"\r\n\r\n")
        if end < 0:
            return
        length = int(self.got[:end].lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(self.got) < end + 4 + length:
            return
        took, status = time.perf_counter() - self.began, int(self.got[9:12])
        body, self.got = self.got[end + 4 :], b""
        if status == 200:
            self.seen.took.append(took)
            self.seen.bodies.append((self.at, body))
        elif status in (429, 503):
            self.seen.refused.append(took)
            self.loop.call_later(0.05, self.ask)
            return
        else:
            self.seen.failed += 1
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        self.seen.failed += time.perf_counter() < self.until
        if not self.done.done():
            self.done.set_result(None)


def asked(port: int, pictures: Pictures, clients: int, seconds: float) -> dict[str, Any]:
    """Ask for some seconds; figures of it."""
    seen = Tallied()

    async def all_of_them() -> None:
        until = time.perf_counter() + seconds
        loop = asyncio.get_running_loop()
        made = [
            (await loop.create_connection(lambda n=n: Client(pictures, 13 * n, until, seen), "127.0.0.1", port))[1]
            for n in range(clients)
        ]
        await asyncio.gather(*(one.done for one in made))

    cpu, began = time.process_time(), time.perf_counter()
    # the lightest client that Python has
    uvloop.run(all_of_them())
    spent, wall = time.process_time() - cpu, time.perf_counter() - began
    took, count = sorted(seen.took), len(seen.took)
    ms = {f"p{q}_ms": round(1e3 * took[min(count - 1, count * q // 100)], 2) for q in (50, 99)} if took else {}
    return {
        "images_per_s": round(count / wall, 1),
        **ms,
        "client_us": round(1e6 * spent / max(1, count + len(seen.refused))),
        "wrong": seen.wrong(pictures),
        "failed": seen.failed,
        "refused": len(seen.refused),
        "refused_p99_ms": round(1e3 * sorted(seen.refused)[len(seen.refused) * 99 // 100], 2) if seen.refused else None,
    }


def memory(pid: int) -> int:
    """Proportional bytes of a process and all below it, so that shared weights count once."""
    found, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            found += int(Path(f"/proc/{one}/smaps_rollup").read_text().split("\nPss:")[1].split()[0]) * 1024
            waiting += [
                int(n) for t in os.listdir(f"/proc/{one}/task")
                for n in Path(f"/proc/{one}/task/{t}/children").read_text().split()
            ]  # fmt: skip
        except OSError:
            continue
    return found


def prepared(run: str, folder: Path) -> dict[str, Pictures]:
    """For each server, requests as bytes and what the predictor says of each."""
    from dojang.runs.validate import load

    predictor = load(run, device="cpu")
    files = sorted(path for path in folder.rglob("*") if path.is_file())[:512]
    data = [path.read_bytes() for path in files]
    answers = predictor.predict([(path.name, one) for path, one in zip(files, data, strict=True)], batch_size=1)
    right = [dict(zip(answer.labels, answer.probabilities, strict=True)) for answer in answers]
    plain = [(request(one, "application/octet-stream"), said) for one, said in zip(data, right, strict=True)]
    # LitServe takes no bodies of bytes
    coded = [json.dumps({"image": base64.b64encode(one).decode()}).encode() for one in data]
    return {
        server: plain
        if server != "litserve"
        else [(request(one, "application/json"), said) for one, said in zip(coded, right, strict=True)]
        for server in SERVERS
    }


def request(body: bytes, kind: str) -> bytes:
    """As it goes over the wire."""
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", required=True)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--name", default="mnist-cnn")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--servers", nargs="*", choices=[*SERVERS], default=[*SERVERS])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--overload", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--port", type=int, default=8200)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    pictures = prepared(given.run, given.pictures)
    rows: dict[str, Any] = {server: {str(n): [] for n in given.clients} for server in given.servers}
    port = given.port
    for _ in range(given.rounds):
        for server in given.servers:
            port += 1
            process = begun(server, given.run, port)
            try:
                asked(port, pictures[server], 8, min(2.0, given.seconds))
                for n in given.clients:
                    rows[server][str(n)].append(asked(port, pictures[server], n, given.seconds))
                    print(server, n, rows[server][str(n)][-1], flush=True)
            finally:
                ended(process)
    medians = {
        server: {
            n: {
                name: {"n": len(found), "median": statistics.median(values), "min": min(values), "max": max(values)}
                for name in ("images_per_s", "p50_ms", "p99_ms")
                if (values := [one[name] for one in found if name in one])
            }
            for n, found in row.items()
        }
        for server, row in rows.items()
    }
    result: dict[str, Any] = {
        "pictures": len(pictures["plain"]),
        "seconds": given.seconds,
        "figures": medians,
        "rounds": rows,
    }
    if given.overload:
        result["overload"] = overloaded(given.run, port + 1, pictures["dojang"], given.overload)
        print(result["overload"])
    kept = json.loads(given.out.read_text()) if given.out.exists() else {"format": 1}
    kept[given.name] = result | {"machine": machine()}
    given.out.write_text(json.dumps(kept, indent=1) + "\n")


def overloaded(run: str, port: int, pictures: Pictures, seconds: float) -> dict[str, Any]:
    """Four times the clients that fill the queue (128) and the network's hands."""
    process = begun("dojang", run, port)
    try:
        asked(port, pictures, 8, 2)
        before, slices, sizes = memory(process.pid), [], []
        for _ in range(6):
            slices.append(asked(port, pictures, 512, seconds / 6))
            sizes.append(memory(process.pid))
        after = asked(port, pictures, 1, 1)
        return {"slices": slices, "bytes_before": before, "bytes": sizes, "after": after}
    finally:
        ended(process)


def machine() -> dict[str, Any]:
    import torch

    import dojang
    from dojang.data.ahead import cores

    name = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "",
    )
    return {
        "cpu": name,
        "cores": cores(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "dojang": dojang.__version__,
    }


if __name__ == "__main__":
    main()
