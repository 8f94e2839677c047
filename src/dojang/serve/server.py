"""From a run to a service that listens: the socket, the processes, the terminal, and the way it stops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
import uvicorn
from starlette.routing import BaseRoute

from dojang.data.ahead import cores
from dojang.errors import ConfigError, ServeError
from dojang.predict.familiar import Familiar
from dojang.predict.predictor import Predictor
from dojang.runs.validate import load
from dojang.serve import wire, worker
from dojang.serve.about import about
from dojang.serve.app import App
from dojang.serve.choose import Tried, choose
from dojang.serve.connection import Connection, bounded
from dojang.serve.doors import SHORTEST, Doors, is_local
from dojang.serve.engine import Plan, make
from dojang.serve.limits import Limits
from dojang.serve.nursery import Nursery
from dojang.serve.options import ServeOptions
from dojang.serve.queue import Queue
from dojang.serve.work import Work
from dojang.train.precision import device_named

if TYPE_CHECKING:
    from dojang.serve.worker import Answers

Say = Callable[[str], None]
Routes = Callable[[Predictor, Limits], Sequence[BaseRoute]]

#: seconds that requests which are being answered have when the service is told to stop, beside their deadline
GRACE = 2.0
# seconds between looks at slow clients
_LOOK = 0.5


def serve(
    run: str | Path,
    options: ServeOptions,
    *,
    model: str | None = None,
    token: str = "",
    say: Say,
    log: Say,
    routes: Routes = lambda predictor, limits: (),
) -> int:
    """Serve a run until a signal ends it.

    Args:
        run: A run folder or a weights file.
        model: ``FILE.py:CLASS``, for weights of a network of one's own.
        token: That clients must bring; needed for any host but this machine.
        say: Told what is served, and how.
        log: Told what goes wrong.
        routes: The page's own.

    Returns:
        130 or 143, as the signal was.

    Raises:
        ConfigError: C295 for a host that is not this machine without a token.
        ServeError: S600 for a port that cannot be had, S612 where the network's process does not come up.
    """
    sock = listening(options.host, options.port, token)
    with sock:
        # a process whose kernels have run on several threads cannot be forked
        torch.set_num_threads(1)
        predictor = load(run, model=model, device="cpu")
        nursery = Nursery(lambda line: worker.run(line, beginner(predictor, options)), close=[sock])
        try:
            return _serve(sock, predictor, nursery, options, token, say, log, routes)
        finally:
            nursery.close()


def _serve(
    sock: socket.socket,
    predictor: Predictor,
    nursery: Nursery,
    options: ServeOptions,
    token: str,
    say: Say,
    log: Say,
    routes: Routes,
) -> int:
    limits = Limits.of(options, predictor.preprocess.max_pixels)
    plan = chosen(nursery, say)
    torch.set_num_threads(options.threads or cores())

    def opener() -> tuple[socket.socket, int, bytes]:
        return (*nursery.new(), worker.packed(plan))

    queue = Queue(opener, limits, max_batch=plan.max_batch, seconds=plan.seconds, log=log)
    told = about(predictor, none_of_these=options.none_of_these, unknown_below=options.unknown_below)
    doors = Doors(local=is_local(options.host), token=token)
    app = App(queue, limits, told, doors, token=bool(token), routes=routes(predictor, limits), log=log)
    host, port = sock.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    classes = f"{len(predictor.labels):,} classes"
    say(f"network   {told['network']}, {told['parameters']:,} parameters, {classes}")
    say(f"limits    {limits.waiting:,} pictures waiting, {limits.deadline_seconds:g} s, "
        f"{options.max_body} MB a request")  # fmt: skip
    if token:
        say("token     asked of every request but /, /static, /healthz, /readyz")
    server = Server(app, limits, lambda: say(f"serving   http://{shown}:{port}  (Ctrl-C ends it)"))
    server.run(sockets=[sock])
    if server.failed:
        raise ServeError("S612", "the process that runs the network ended before it was ready.", fix="--engine eager")
    return 128 + (server.signal or signal.SIGTERM)


def listening(host: str, port: int, token: str) -> socket.socket:
    """The socket, bound and not yet open.

    Raises:
        ConfigError: C295 for a host that is not this machine without a token, or with one too short.
        ServeError: S600 where the port cannot be had.
    """
    if not is_local(host) and len(token) < SHORTEST:
        raise ConfigError(
            "C295",
            f"--host {host} lets other machines in, and there is {'no' if not token else 'too short a'} token.",
            context=f"Clients bring it as 'Authorization: Bearer TOKEN'; it has {SHORTEST} letters or more.",
            fix="export DOJANG_TOKEN=$(python -c 'import secrets; print(secrets.token_urlsafe())'), and again.",
        )
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1" if host == "localhost" else host, port))
    except OSError as error:
        sock.close()
        used = error.errno == errno.EADDRINUSE
        why = "another program listens there" if used else (error.strerror or str(error)).lower()
        raise ServeError(
            "S600",
            f"cannot listen on {host} port {port}: {why}.",
            fix=f"--port {port + 1}, or --port 0 for a free one." if used else "another --host or --port.",
        ) from None
    return sock


def beginner(predictor: Predictor, options: ServeOptions) -> worker.Begin:
    """What a new process does with its plan: an empty one has it measure and choose, any other has it work."""

    def begin(plan: Plan) -> tuple[Answers | None, dict[str, Any], Plan]:
        ours = _on(predictor, options.device)
        known = options.none_of_these and isinstance(ours.familiar, Familiar)
        if not plan.engine:
            plan, tried = choose(
                ours,
                with_features=known,
                threads=options.threads or cores(),
                only=options.engine,
                max_batch=options.max_batch,
                set_threads=torch.set_num_threads,
            )
            return None, {"tried": [_row(one) for one in tried]}, plan
        torch.set_num_threads(plan.threads)
        work = Work(
            ours,
            make(plan, ours, known),
            threads=options.threads or cores(),
            unknown_below=options.unknown_below,
            none_of_these=known,
        )
        return work, {"engine": plan.engine}, plan

    return begin


def chosen(nursery: Nursery, say: Say) -> Plan:
    """The plan, made by a process of its own whose memory is given back, and told."""
    sock, _ = nursery.new()
    reader = wire.Reader()
    with sock:
        sock.sendall(wire.pack(wire.PLAN, data=worker.packed(Plan(engine=""))))
        while data := sock.recv(2**20):
            for frame in reader.frames(data):
                line, _, rest = frame.data.partition(b"\n")
                plan = worker.unpacked(rest)
                for told in _lines(json.loads(line)["tried"], plan):
                    say(told)
                return plan
    say("engine    eager: the process that measures ended before it had a result")
    return Plan(threads=cores())


def _row(one: Tried) -> dict[str, Any]:
    gap = one.parity.gap if one.parity is not None else None
    return {"engine": one.engine, "seconds": one.typical if one.seconds else None, "gap": gap, "why": one.why}


def _lines(tried: Sequence[dict[str, Any]], plan: Plan) -> Iterator[str]:
    """What was tried, a line each, of at most 80 columns."""
    threads = f"{plan.threads} thread{'s' * (plan.threads > 1)}"
    yield f"engine    {plan.engine}, {threads}, batches of up to {plan.max_batch}"
    for row in tried:
        if row["why"]:
            yield f"          {row['engine']:8} no: {row['why']}"[:80]
        else:
            yield f"          {row['engine']:8} {1e3 * row['seconds']:.3g} ms a picture, at most {row['gap']:.1g} off"


def _on(predictor: Predictor, device: str) -> Predictor:
    """The same on a device; a GPU must not be touched before a process is forked."""
    where = device_named(device)
    if where.type == "cpu":
        return predictor
    return Predictor(
        predictor.model,
        predictor.labels,
        predictor.preprocess,
        temperature=predictor.temperature,
        device=where,
        familiar=predictor.familiar,
    )


class Server(uvicorn.Server):
    """uvicorn's, which looks at slow clients, and answers what is running before it stops.

    Args:
        started: Called when it listens and the network is ready.
    """

    def __init__(self, app: App, limits: Limits, started: Callable[[], None] = lambda: None) -> None:
        loop = "uvloop" if _there("uvloop") else "asyncio"
        config = uvicorn.Config(
            app,
            http=bounded(limits, app),
            ws="none",
            loop=loop,
            lifespan="on",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=int(limits.idle_seconds),
            timeout_graceful_shutdown=5,
            backlog=1024,
        )
        super().__init__(config)
        self.application, self.limits, self.told = app, limits, started
        self.signal = 0
        self.failed = False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        except SystemExit:
            # what uvicorn does where the application does not come up
            self.failed = True

    async def main_loop(self) -> None:
        self.told()
        loop = asyncio.get_running_loop()
        looked, count = loop.time(), 0
        until: float | None = None
        while True:
            await self.on_tick(count)
            count = (count + 1) % 864_000
            now = loop.time()
            if now - looked > _LOOK:
                looked = now
                for connection in list(self.server_state.connections):
                    if isinstance(connection, Connection):
                        connection.look(now)
            if self.should_exit:
                self.application.stopping = True
                until = until or now + self.limits.deadline_seconds + GRACE
                if not self.application.open or now > until or self.force_exit:
                    return
            await asyncio.sleep(0.1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM stop it gracefully; a second one stops it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        older = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in older.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = self.application.stopping = True
        self.signal = self.signal or sig


def token_of(file: str | None) -> str:
    """The token, from a file or from ``DOJANG_TOKEN``; never from the command line, which others can read."""
    if file is None:
        return os.environ.get("DOJANG_TOKEN", "").strip()
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "it is no text"
        fix = "write a token of 16 letters or more into it, or give another file."
        raise ConfigError("C295", f"the token in {file!r} cannot be read: {why}.", fix=fix) from None


def _there(library: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(library) is not None
