"""Turns, warm-up and failures of the timer, on a clock that only moves when a work says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dojang.bench.measure import FEWEST, ROUNDS, Times, Work, interleaved, reason
from dojang.errors import ConfigError


class Bench:
    """A clock, and works that move it and write down that they ran."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ran: list[str] = []
        self.waits = 0

    def work(self, name: str, *lasts: float) -> Work:
        """Calls that last the given times, the last of them for ever after; an error where a time is negative."""
        times = list(lasts)

        def call() -> None:
            self.ran.append(name)
            seconds = times.pop(0) if len(times) > 1 else times[0]
            if seconds < 0:
                raise RuntimeError(f"{name} broke\nmore of it")
            self.now += seconds

        return Work(name, lambda: call)

    def run(self, works: list[Work], seconds: float, **more: Any) -> list[Times]:
        return interleaved(works, seconds, wait=self._wait, clock=lambda: self.now, **more)

    def _wait(self) -> None:
        self.waits += 1


def test_a_quick_work_fills_its_time() -> None:
    bench = Bench()
    # binary fractions: no rounding on the way
    found = bench.run([bench.work("a", 1 / 64)], 7.0)
    assert found == [Times((1 / 64,) * ROUNDS)]
    assert len(bench.ran) == 2 + 7 * 64


def test_the_first_calls_do_not_count() -> None:
    bench = Bench()
    found = bench.run([bench.work("a", 0.5, 0.125, 0.25)], 7.0)
    assert set(found[0].seconds) == {0.25}
    # neither do they decide how many samples there are, unless waiting for another would take long
    bench = Bench()
    found = bench.run([bench.work("a", 6.0, 1.0)], 7.0)
    assert found == [Times((1.0,) * ROUNDS)]


def test_a_slow_work_has_its_least() -> None:
    bench = Bench()
    assert bench.run([bench.work("a", 5.0)], 1.0) == [Times((5.0,) * FEWEST)]
    assert len(bench.ran) == 1 + FEWEST


def test_works_take_turns_and_slow_ones_are_spread() -> None:
    bench = Bench()
    bench.run([bench.work("a", 1.0), bench.work("b", 1.0), bench.work("s", 7.0)], 7.0)
    turns = "".join(bench.ran)
    # twice those that are quick
    assert turns.startswith("aabbs")
    rounds = turns[5:].replace("ab", "|").split("|")[1:]
    assert len(rounds) == ROUNDS
    # three samples over seven rounds, the last in the last
    assert [i for i, found in enumerate(rounds) if found == "s"] == [2, 4, 6]


def test_what_drifts_is_shared() -> None:
    # a machine that halves its speed half-way is no advantage to the one that is named first
    bench = Bench()
    works = [bench.work(name, *[1.0] * 5, *[2.0] * 9) for name in "ab"]
    first, second = bench.run(works, 7.0)
    assert first == second
    assert set(first.seconds) == {1.0, 2.0}


def test_the_device_is_waited_for_on_both_sides_of_every_sample() -> None:
    bench = Bench()
    bench.run([bench.work("a", 1.0)], 7.0)
    assert bench.waits == 2 * (2 + ROUNDS)


def _broken() -> Callable[[], object]:
    raise MemoryError


def test_a_work_that_fails_says_why_and_the_others_go_on() -> None:
    bench = Bench()
    works = [
        Work("never", _broken),
        bench.work("at once", -1.0),
        bench.work("later", 1.0, 1.0, 1.0, 1.0, -1.0),
        bench.work("good", 1.0),
    ]
    found = bench.run(works, 7.0)
    assert [times.failed for times in found] == [
        "out of memory",
        "RuntimeError: at once broke",
        "RuntimeError: later broke",
        "",
    ]
    assert found[3].seconds == (1.0,) * ROUNDS
    assert found[2].seconds == ()
    assert bench.ran.count("later") == 5


def test_what_would_take_for_ever_is_left_out() -> None:
    bench = Bench()
    found = bench.run([bench.work("a", 21.0), bench.work("b", 20.0)], 1.0)
    assert found[0].failed.startswith("too slow: one call took 21 s")
    assert found[1].seconds == (20.0,) * FEWEST


def test_an_interrupt_is_no_failure_of_the_work() -> None:
    def interrupt() -> Callable[[], object]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interleaved([Work("a", interrupt)], 1.0)


def test_progress_rises_to_its_total() -> None:
    bench = Bench()
    told: list[tuple[int, int, str]] = []
    works = [bench.work("a", 1.0), bench.work("b", 7.0)]
    bench.run(works, 7.0, tell=lambda *words: told.append(words))
    shares = [done / total for done, total, _ in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[2] == 0.5
    assert shares[-1] < 1
    assert [what for _, _, what in told[:3]] == ["warming up: a", "warming up: b", "a"]
    assert len(told) == 2 + ROUNDS + FEWEST


def test_a_work_too_short_for_the_clock_is_no_error() -> None:
    calls = []

    def call() -> None:
        calls.append(1)

    ticks = iter(range(10**6))
    found = interleaved([Work("a", lambda: call)], 1e-6, clock=lambda: next(ticks) * 1e-9)
    assert len(found[0].seconds) == ROUNDS


def test_rates_are_of_the_samples() -> None:
    assert Times((0.5, 0.125, 0.25, 1.0)).rate(2.0) == {"n": 4, "median": 6.0, "min": 2.0, "max": 16.0}
    assert Times(failed="no").rate(2.0) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory"),
        (ValueError("first\nsecond"), "ValueError: first"),
        (ValueError(), "ValueError"),
        (ConfigError("C204", "too small", fix="x"), "ConfigError: too small"),
    ],
)
def test_reasons(error: Exception, words: str) -> None:
    assert reason(error) == words
