"""Engines: what a Ray cluster is asked for, runs that were stopped before they began, and how a worker ends."""

from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Iterator
from typing import Any

import pytest

from dojang.errors import ConfigError
from dojang.study import engines
from dojang.study.work import Job, Outcome
from dojang.study.worker import Lines


class RayError(Exception):
    """As Ray's."""


class TaskCancelledError(RayError):
    """As Ray's, of a task that was cancelled before it began."""


class Ray(types.ModuleType):
    """What the engine uses of Ray: tasks that never begin, or that end with an error; all calls are noted."""

    def __init__(self, *machines: dict[str, float], error: RayError | None = None) -> None:
        super().__init__("ray")
        self.machines, self.error = machines, error
        self.asked: dict[str, Any] = {}
        self.cancelled: list[int] = []
        self.waits = self.downs = 0
        self.exceptions = types.SimpleNamespace(RayError=RayError)

    def is_initialized(self) -> bool:
        return False

    def init(self, **options: Any) -> None: ...

    def shutdown(self) -> None:
        self.downs += 1

    def nodes(self) -> list[dict[str, Any]]:
        gone = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
        return [gone, *({"Alive": True, "Resources": machine} for machine in self.machines)]

    def remote(self, **options: Any) -> Any:
        self.asked = options
        numbers = iter(range(100))
        return lambda _: types.SimpleNamespace(remote=lambda job: next(numbers))

    def wait(self, going: list[int], timeout: float) -> tuple[list[int], list[int]]:
        self.waits += 1
        # a cancelled task takes a while to be heard of
        ready = going if self.error or self.waits > 4 else []
        return ready, []

    def cancel(self, task: int) -> None:
        self.cancelled.append(task)

    def get(self, task: int) -> Any:
        raise self.error or TaskCancelledError("task was cancelled")


def outcomes(
    monkeypatch: pytest.MonkeyPatch, ray: Ray, *, stops: int = 100, threads: int = 2, device: str = "cpu"
) -> dict[int, Outcome]:
    """Of three jobs, two at once; somebody stops them at a wait."""
    monkeypatch.setitem(sys.modules, "ray", ray)
    jobs = [Job(f"run-{number}", "digits") for number in range(3)]
    asked: dict[str, Any] = {"engine": "ray", "at_once": 2, "threads": threads, "device": device}
    return dict(engines.run(jobs, stopped=lambda: ray.waits >= stops, **asked))


def test_runs_that_ray_never_began_have_not_failed_when_somebody_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = Ray({"CPU": 2.0})
    found = outcomes(monkeypatch, ray, stops=2)
    assert found == dict.fromkeys(range(3), Outcome("stopped"))
    # each once, though it was waited for again and again: a second interrupt hits a run while it saves its state
    assert ray.waits == 5 and sorted(ray.cancelled) == [0, 1] and ray.downs == 1


def test_what_ray_says_of_a_run_that_died_is_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    found = outcomes(monkeypatch, Ray({"CPU": 2.0}, error=RayError("the worker died")))
    assert found == dict.fromkeys(range(3), Outcome("failed", "RayError: the worker died"))


def test_ray_is_asked_for_a_gpu_where_runs_train_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for device, gpus in (("cpu", 0), ("cuda", 1), ("cuda:0", 1)):
        ray = Ray({"CPU": 4.0, "GPU": 1.0})
        outcomes(monkeypatch, ray, stops=1, device=device)
        assert ray.asked == {"num_cpus": 2, "num_gpus": gpus, "max_retries": 0}


@pytest.mark.parametrize(
    ("threads", "device", "said", "fix"),
    [
        (6, "cpu", "each run needs 6 CPUs, and no machine of the cluster has more than 4.", "more --jobs"),
        (2, "cuda", "each run needs 1 GPUs, and no machine of the cluster has more than 0.", "--device cpu"),
        (2, "cuda:1", "--device cuda:1 names a GPU by its number", "--device cuda"),
    ],
)
def test_what_no_machine_of_the_cluster_has_is_said_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, threads: int, device: str, said: str, fix: str
) -> None:
    # together they have eight; a run is on one
    ray = Ray({"CPU": 4.0}, {"CPU": 4.0})
    with pytest.raises(ConfigError) as caught:
        outcomes(monkeypatch, ray, threads=threads, device=device, stops=1)
    assert caught.value.code == "C202" and said in caught.value.what and caught.value.fix.startswith(fix)
    assert ray.waits == 0 and ray.downs == 1


def test_a_worker_is_busy_though_the_next_job_came_before_the_last_was_counted() -> None:
    left: list[str] = []
    lines = Lines(lambda: left.append("in the middle"))
    taken = iter(lines)

    def source() -> Iterator[str]:
        yield "one"
        assert next(taken) == "one"
        yield "two"
        # only now it is known that the first is done
        assert next(taken) == "two"

    lines.listen(source())
    assert left == ["in the middle"]


def test_a_worker_without_work_ends_of_itself() -> None:
    left: list[str] = []
    lines = Lines(lambda: left.append("in the middle"))
    done: list[str] = []
    worker = threading.Thread(target=lambda: done.extend(lines), daemon=True)

    def source() -> Iterator[str]:
        yield "one"
        worker.start()
        limit = time.monotonic() + 30
        while lines.busy and time.monotonic() < limit:
            time.sleep(0.001)

    lines.listen(source())
    worker.join(30)
    assert not worker.is_alive() and done == ["one"] and left == []
