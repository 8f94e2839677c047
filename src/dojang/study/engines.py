"""Who carries out the runs of a study: processes of this machine, or a Ray cluster.

Both are handed the same jobs and bring back outcomes as they come; what a run finds lies in its folder.  Each run has
the number of threads that the study decided, so the engine changes no bit of what it finds.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dojang.errors import ConfigError
from dojang.study.work import Job, Outcome, carry_out

ENGINES = ("processes", "ray")

Results = Iterator[tuple[int, Outcome]]
# stopped, and not to be begun again
_STOPPED = Outcome("stopped")


def run(
    jobs: Sequence[Job],
    *,
    engine: str,
    at_once: int,
    threads: int,
    stopped: Callable[[], bool],
    tick: Callable[[], None] = lambda: None,
    device: str = "cpu",
) -> Results:
    """Outcomes of jobs by their number, in the order in which they come.

    Args:
        engine: "processes" or "ray".
        at_once: How many run side by side.
        threads: Of each.
        stopped: Whether somebody asked to stop; no job is begun after that.
        tick: Called again and again while jobs are waited for.
        device: Where the runs are trained; for "cuda" Ray is asked for a GPU each.

    Raises:
        ConfigError: C250 where Ray is asked for and is not there; C202 where no machine of its cluster has the CPUs or
            GPUs of a run, or a GPU is named by number, which Ray chooses itself.
    """
    if engine == "ray":
        return _ray(jobs, at_once, threads, stopped, tick, device)
    return _processes(jobs, at_once, stopped, tick)


class _Worker:
    """A process that does one job after the other, until its input is closed: by the study, or by its end."""

    def __init__(self, done: queue.Queue[tuple[_Worker, dict[str, Any] | None]]) -> None:
        self.number = -1
        # it has the environment of the study, and finds the same dojang
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dojang.study.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._done, self._asked = done, False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def give(self, number: int, job: Job) -> None:
        """Let it begin with a job."""
        self.number = number
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            # one that has died is heard of by its output
            self._process.stdin.write(json.dumps(job.as_dict()) + "\n")
            self._process.stdin.flush()

    def stop(self) -> None:
        """Ask its run to stop, once; its state is saved."""
        if not self._asked:
            self._asked = True
            self._process.send_signal(signal.SIGTERM)

    def ended(self) -> str:
        """How it died, in words."""
        code = self._process.wait()
        return f"its process was ended by signal {-code}" if code < 0 else f"its process ended with status {code}"

    def close(self) -> None:
        """Let it end, when it has nothing to do."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self._process.stdout
        with self._process.stdout:
            for line in self._process.stdout:
                # what a network of one's own prints is none of ours
                if line.startswith(_MARK):
                    self._done.put((self, json.loads(line[len(_MARK) :])))
        self._done.put((self, None))


_MARK = "dojang-outcome "


def _processes(jobs: Sequence[Job], at_once: int, stopped: Callable[[], bool], tick: Callable[[], None]) -> Results:
    done: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = queue.Queue()
    waiting = list(enumerate(jobs))[::-1]
    workers: list[_Worker] = []
    idle: list[_Worker] = []
    try:
        while True:
            while waiting and not stopped() and (idle or len(workers) < at_once):
                if not idle:
                    workers.append(_Worker(done))
                    idle.append(workers[-1])
                worker = idle.pop()
                worker.give(*waiting.pop())
            if len(idle) == len(workers):
                break
            try:
                worker, found = done.get(timeout=0.5)
            except queue.Empty:
                tick()
                if stopped():
                    for one in workers:
                        one.stop()
                continue
            if found is None:
                workers.remove(worker)
                worker.close()
                if worker in idle:
                    idle.remove(worker)
                    continue
                yield worker.number, _STOPPED if stopped() else Outcome("failed", worker.ended())
            else:
                idle.append(worker)
                yield worker.number, Outcome(**found)
        for number, _ in waiting:
            yield number, _STOPPED
    finally:
        for worker in workers:
            worker.close()


def work(lines: Iterable[str], out: Any) -> None:
    """What a worker does: a job for each line, an outcome for each job."""
    for line in lines:
        found = carry_out(Job(**json.loads(line)))
        out.write("\n" + _MARK + json.dumps(found.as_dict()) + "\n")
        out.flush()


def _ray(
    jobs: Sequence[Job], at_once: int, threads: int, stopped: Callable[[], bool], tick: Callable[[], None], device: str
) -> Results:
    # Ray tells its makers that it is used, unless it is told not to
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "C250",
            "--engine ray needs Ray, which is not installed.",
            fix="pip install 'dojang[ray]'; or --engine processes",
        ) from None
    began = not ray.is_initialized()
    if began:
        # a cluster that is up and named in RAY_ADDRESS, or one of this machine
        ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
    waiting, going = list(enumerate(jobs))[::-1], dict[Any, int]()
    cancelled = set[int]()
    try:
        gpus = _must_fit(ray.nodes(), threads, device)
        # none is begun anew by Ray: a run that ends its process is a failed one, as with processes
        task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(_remote)
        while waiting or going:
            while waiting and not stopped() and len(going) < at_once:
                number, job = waiting.pop()
                going[task.remote(job.as_dict())] = number
            if not going:
                break
            ready, _ = ray.wait(list(going), timeout=1)
            tick()
            for one in ready:
                number = going.pop(one)
                try:
                    found = Outcome(**ray.get(one))
                except ray.exceptions.RayError as error:
                    # one that was cancelled before it began ends with an error, too; it has not failed
                    found = _STOPPED if stopped() else Outcome("failed", f"{type(error).__name__}: {error}"[:2000])
                yield number, found
            if stopped():
                for one, number in going.items():
                    # once: a second interrupt would hit a run while it saves its state
                    if number not in cancelled:
                        cancelled.add(number)
                        ray.cancel(one)
        for number, _ in waiting:
            yield number, _STOPPED
    finally:
        if began:
            ray.shutdown()


def _must_fit(nodes: Sequence[Mapping[str, Any]], threads: int, device: str) -> int:
    """GPUs that a run is to ask for; raises C202 for what no machine can give, for which Ray would wait for ever."""
    gpus = int(device.startswith("cuda"))
    if gpus and device not in ("cuda", "cuda:0"):
        raise ConfigError(
            "C202",
            f"--device {device} names a GPU by its number; with --engine ray each run sees one GPU, which Ray chooses.",
            fix="--device cuda",
        )
    machines = [one["Resources"] for one in nodes if one["Alive"]]
    # a run is on one machine, however many CPUs all of them have
    for name, needed, fix in (
        ("CPU", threads, "more --jobs, which gives each run fewer threads; or --engine processes"),
        ("GPU", gpus, "--device cpu; or --engine processes"),
    ):
        most = max((one.get(name, 0) for one in machines), default=0)
        if needed > most:
            raise ConfigError(
                "C202",
                f"--engine ray: each run needs {needed} {name}s, and no machine of the cluster has more than {most:g}.",
                fix=fix,
            )
    return gpus


def _remote(job: dict[str, Any]) -> dict[str, Any]:
    return carry_out(Job(**job)).as_dict()
