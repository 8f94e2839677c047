"""`dojang serve` beside a plain FastAPI server with the same weights in eager PyTorch, and LitServe, on the same cores.

    python benchmarks/serve.py --run RUN --pictures FOLDER [--clients 1 8 64] [--seconds 10] [--rounds 5]
        [--servers dojang plain litserve] [--name mnist-cnn]

RUN is a run folder, FOLDER holds the pictures that are sent.  Each server is begun in a process of its own, warmed up,
asked by 1, 8 and 64 clients, and ended, in turn, round after round.  All clients are one process: raw sockets on one
event loop, kept alive, a request ready as bytes; what it costs is told as the processor seconds that it took of a
request (``client_us``).  It runs on the same cores, so it takes the same from every server.

An answer is wrong where its label is not the predictor's own for that picture (ties within 1e-3 aside) or a
probability is off by more than 1e-4.  ``--overload`` asks dojang with four times the clients that fill its queue, and
reports accepted p99, refusals, what they take, wrong answers, and the memory of all its processes over time.
Kept in benchmarks/results/serve.json, a row for each name.
"""

from __future__ import annotations

import argparse
import asyncio
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

RESULTS = Path(__file__).parent / "results" / "serve.json"
HERE = str(Path(__file__).resolve())


def plain(run: str, port: int) -> None:
    """What is written first by most: FastAPI, a form or body, Pillow, torchvision's transforms' arithmetic, eager."""
    import io

    import numpy as np
    import torch
    import uvicorn
    from fastapi import FastAPI, Request
    from PIL import Image

    from dojang.runs.validate import load

    predictor = load(run, device="cpu")
    p, model = predictor.preprocess, predictor.model.to(memory_format=torch.contiguous_format)
    mean, std = (torch.tensor(v)[:, None, None] for v in (p.mean, p.std))
    app = FastAPI()

    def answer(data: bytes) -> dict[str, Any]:
        image = Image.open(io.BytesIO(data)).convert(p.mode)
        height, width = p.stored_size(image.height, image.width)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        top, left = p.centre(height, width)
        pixels = np.asarray(image.crop((left, top, left + p.width, top + p.height))).reshape(p.height, p.width, -1)
        tensor = (torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255 - mean) / std
        with torch.inference_mode():
            shares = (model(tensor[None]) / predictor.temperature).softmax(1)[0].tolist()
        best = max(range(len(shares)), key=shares.__getitem__)
        return {"label": predictor.labels[best], "probabilities": dict(zip(predictor.labels, shares, strict=True))}

    async def predict(request: Request) -> dict[str, Any]:
        data = await request.body()
        # as `def` endpoints are run: on the pool of threads
        return {"answers": [await asyncio.to_thread(answer, data)]}

    # FastAPI looks for names of types among those of the file, where this one is not
    predict.__annotations__ = {"request": Request, "return": dict[str, Any]}
    app.post("/predict")(predict)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def lit(run: str, port: int) -> None:
    """LitServe with batching, as its documents have it."""
    import io

    import litserve
    import numpy as np
    import torch
    from fastapi import Request
    from PIL import Image

    from dojang.runs.validate import load

    class Api(litserve.LitAPI):
        def setup(self, device: str) -> None:
            self.predictor = load(run, device="cpu")

        async def decode_request(self, request: Request) -> Any:
            p = self.predictor.preprocess
            image = Image.open(io.BytesIO(await request.body())).convert(p.mode)
            height, width = p.stored_size(image.height, image.width)
            image = image.resize((width, height), Image.Resampling.BILINEAR)
            top, left = p.centre(height, width)
            cut = np.asarray(image.crop((left, top, left + p.width, top + p.height)))
            return cut.reshape(p.height, p.width, -1)

        def batch(self, inputs: list[Any]) -> Any:
            return np.stack(inputs)

        def predict(self, pixels: Any) -> Any:
            with torch.inference_mode():
                return self.predictor.probabilities(pixels)

        def unbatch(self, output: Any) -> list[Any]:
            return list(output)

        def encode_response(self, row: Any) -> dict[str, Any]:
            labels = self.predictor.labels
            shares = dict(zip(labels, row.tolist(), strict=True))
            return {"answers": [{"label": labels[int(row.argmax())], "probabilities": shares}]}

    Api.decode_request.__annotations__ = {"request": Request}
    api = Api(max_batch_size=16, batch_timeout=0.001)
    litserve.LitServer(api, accelerator="cpu").run(
        host="127.0.0.1", port=port, log_level="warning", generate_client_file=False
    )


def begun(server: str, run: str, port: int) -> subprocess.Popen[bytes]:
    """The server, up and asked once."""
    words = [HERE, "--server", server, "--run", run, "--port", str(port)]
    if server == "dojang":
        words = ["-m", "dojang", "serve", run, "--port", str(port), "--queue", "128"]
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
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


class Tallied:
    """What clients saw."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.refused: list[float] = []
        self.wrong = self.failed = 0


async def client(
    port: int, pictures: list[tuple[bytes, dict[str, float]]], first: int, until: float, seen: Tallied
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    at = first
    while time.perf_counter() < until:
        request, wanted = pictures[at % len(pictures)]
        at += 7
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        took = time.perf_counter() - began
        status = int(head[9:12])
        if status == 200:
            seen.took.append(took)
            shares = json.loads(body)["answers"][0]["probabilities"]
            seen.wrong += any(abs(shares[label] - share) > 1e-4 for label, share in wanted.items())
        elif status in (429, 503):
            seen.refused.append(took)
            await asyncio.sleep(0.05)
        else:
            seen.failed += 1
    writer.close()


def asked(port: int, pictures: list[tuple[bytes, dict[str, float]]], clients: int, seconds: float) -> dict[str, Any]:
    """Ask for some seconds; figures of it."""
    seen = Tallied()

    async def all_of_them() -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(client(port, pictures, 13 * n, until, seen) for n in range(clients)))

    cpu, began = time.process_time(), time.perf_counter()
    asyncio.run(all_of_them())
    spent, wall = time.process_time() - cpu, time.perf_counter() - began
    took, count = sorted(seen.took), len(seen.took)
    ms = {f"p{q}_ms": round(1e3 * took[min(count - 1, count * q // 100)], 2) for q in (50, 99)} if took else {}
    return {
        "images_per_s": round(count / wall, 1),
        **ms,
        "client_us": round(1e6 * spent / max(1, count + len(seen.refused))),
        "wrong": seen.wrong,
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


def prepared(run: str, folder: Path) -> list[tuple[bytes, dict[str, float]]]:
    """Requests as bytes, and what the predictor says of each."""
    from dojang.runs.validate import load

    predictor = load(run, device="cpu")
    files = sorted(path for path in folder.rglob("*") if path.is_file())[:512]
    data = [path.read_bytes() for path in files]
    answers = predictor.predict([(path.name, one) for path, one in zip(files, data, strict=True)], batch_size=1)
    head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    line = head + "Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n"
    return [
        (line.format(len(one)).encode() + one, dict(zip(answer.labels, answer.probabilities, strict=True)))
        for one, answer in zip(data, answers, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", required=True)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--name", default="mnist-cnn")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--servers", nargs="*", default=["dojang", "plain", "litserve"])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--overload", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--port", type=int, default=8200)
    parser.add_argument("--server", choices=["plain", "litserve"])
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.server:
        (plain if given.server == "plain" else lit)(given.run, given.port)
        return
    pictures = prepared(given.run, given.pictures)
    rows: dict[str, Any] = {server: {str(n): [] for n in given.clients} for server in given.servers}
    port = given.port
    for _ in range(given.rounds):
        for server in given.servers:
            port += 1
            process = begun(server, given.run, port)
            try:
                asked(port, pictures, 8, min(2.0, given.seconds))
                for n in given.clients:
                    rows[server][str(n)].append(asked(port, pictures, n, given.seconds))
                    print(server, n, rows[server][str(n)][-1], flush=True)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
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
    result: dict[str, Any] = {"pictures": len(pictures), "seconds": given.seconds, "figures": medians, "rounds": rows}
    if given.overload:
        result["overload"] = overloaded(given.run, port + 1, pictures, given.overload)
        print(result["overload"])
    kept = json.loads(given.out.read_text()) if given.out.exists() else {"format": 1}
    kept[given.name] = result | {"machine": machine()}
    given.out.write_text(json.dumps(kept, indent=1) + "\n")


def overloaded(run: str, port: int, pictures: list[tuple[bytes, dict[str, float]]], seconds: float) -> dict[str, Any]:
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
        process.send_signal(signal.SIGTERM)
        process.wait(30)


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
