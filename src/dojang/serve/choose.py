"""Which engine is the fastest one here that gives the same answers: measured, checked, and told."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from dojang.models.summary import summarise
from dojang.predict.predictor import Predictor
from dojang.serve import engine as engines
from dojang.serve import parity
from dojang.serve.engine import Engine, Plan

BATCHES = (1, 8, 32)
_SIZES = (1, 2, 4, 8, 16, 32, 64)
# seconds of each measurement
_SHARE = 0.15
# a batch that takes longer makes everybody wait
_LONGEST = 0.5
# and one that takes less, nobody feels
_UNFELT = 0.02
# a network with fewer multiplications a picture gains less by a second thread than those who read requests lose by it
_SMALL = 20_000_000


@dataclasses.dataclass(frozen=True)
class Tried:
    """What one engine came to.

    Args:
        engine: Its name.
        seconds: A picture, in batches of :data:`BATCHES`.
        parity: None where it could not be run.
        why: It is not taken; empty where it could be.
    """

    engine: str
    seconds: tuple[float, ...] = ()
    parity: parity.Parity | None = None
    why: str = ""

    @property
    def typical(self) -> float:
        """The geometric mean over batches: single pictures and full batches count alike."""
        return float(np.exp(np.mean(np.log(self.seconds)))) if self.seconds else float("inf")


def choose(
    predictor: Predictor,
    *,
    with_features: bool,
    threads: int,
    only: str = "auto",
    max_batch: int | None = None,
    set_threads: Callable[[int], None],
) -> tuple[Plan, list[Tried]]:
    """The plan of the fastest engine whose answers are those of the eager float32 network, and what was tried.

    Args:
        only: One engine, which must hold all the same.
        max_batch: None for the smallest batch that is within a tenth of the best rate, or a larger one that is quick.
        set_threads: Sets torch's own.
    """
    p = predictor.preprocess
    shown = parity.pictures(parity.PICTURES, p.height, p.width, p.channels)
    set_threads(threads)
    eager = engines.make(Plan(), predictor, with_features)
    reference = eager(shown)
    small = summarise(predictor.model, (p.height, p.width), p.channels).macs < _SMALL
    count = 1 if small and predictor.device.type == "cpu" else threads
    set_threads(count)
    names = [name for name in engines.available(predictor.device) if only in ("auto", name) or name == "eager"]
    tried: list[Tried] = []
    plans: dict[str, tuple[Plan, Engine]] = {}
    data = b""
    for name in names:
        try:
            if name in ("onnx", "openvino") and not data:
                data = engines.in_memory_onnx(predictor, with_features)
            plan = Plan(name, count, model=data if name in ("onnx", "openvino") else b"")
            made = engines.make(plan, predictor, with_features)
            held = parity.compare(made, reference, shown)
            if not held.holds:
                why = f"off by {held.gap:.1g} of a probability, {held.relative:.1g} of a logit"
                tried.append(Tried(name, (), held, why))
                continue
            tried.append(Tried(name, tuple(_time(made, _many(shown, size)) / size for size in BATCHES), held))
            plans[name] = plan, made
        except Exception as error:
            # a network that a library cannot take is no reason not to serve it; the reason is told
            first = str(error).strip().partition("\n")[0][:160]
            tried.append(Tried(name, why=f"{type(error).__name__}: {first}"))
    fit = [one for one in tried if one.engine in plans and (only == "auto" or one.engine == only)]
    best = min(fit or [one for one in tried if one.engine == "eager"], key=lambda one: one.typical)
    plan, made = plans[best.engine]
    size, seconds = _batch(made, shown, max_batch)
    return dataclasses.replace(plan, max_batch=size, seconds=seconds), tried


def _batch(made: Engine, shown: np.ndarray, given: int | None) -> tuple[int, float]:
    """The size of a batch, and the seconds of a picture in it."""
    if given is not None:
        return given, _time(made, _many(shown, given)) / given
    rates: dict[int, float] = {}
    for size in _SIZES:
        whole = _time(made, _many(shown, size))
        rates[size] = whole / size
        if whole > _LONGEST:
            break
    best = min(rates.values())
    enough = next(size for size, seconds in rates.items() if seconds <= 1.1 * best)
    # what else is done once a batch costs less in larger ones, as long as nobody feels the wait
    quick = [size for size, seconds in rates.items() if size * seconds < _UNFELT]
    size = max([enough, *quick])
    return size, rates[size]


def _many(shown: np.ndarray, size: int) -> np.ndarray:
    return np.ascontiguousarray(np.resize(shown, (size, *shown.shape[1:])))


def _time(made: Engine, pixels: np.ndarray) -> float:
    """Seconds of one call, the best of several: what else runs here only makes it longer."""
    made(pixels)
    best, spent = float("inf"), 0.0
    while spent < _SHARE:
        began = time.perf_counter()
        made(pixels)
        took = time.perf_counter() - began
        best, spent = min(best, took), spent + took
    return best
