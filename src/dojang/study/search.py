"""Combinations that are drawn instead of listed: at random, or where earlier ones did well (Optuna).

They come in batches, each a function of the seed and of what the cells before it scored.  So it does not matter how
many runs go side by side, on which machine, or how often the study was killed: the combinations are the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dojang import seeds
from dojang.errors import ConfigError, did_you_mean
from dojang.recipe import told
from dojang.runs.recipe import OPTIONS
from dojang.study.entries import fields, written

METHODS = ("random", "tpe")
#: cells that are drawn at a time by what came before
BATCH = 4
_ENTRIES = ("method", "trials", "seed", "space")
_RANGE = ("low", "high", "log")


@dataclass(frozen=True)
class Span:
    """Numbers from low to high; with ``log`` each power of ten gets as many."""

    low: float
    high: float
    log: bool
    whole: bool

    def at(self, share: float) -> float | int:
        """The value at a share of the way.

        >>> Span(1e-4, 1e-2, True, False).at(0.5), Span(1, 4, False, True).at(0.999)
        (0.001, 4)
        """
        if self.whole and not self.log:
            return int(self.low + math.floor(share * (self.high - self.low + 1)))
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + share * (high - low)
        value = math.exp(value) if self.log else value
        # what is written down is what is used
        return round(value) if self.whole else float(f"{value:.4g}")


@dataclass(frozen=True)
class Search:
    """How combinations are drawn.

    Args:
        method: "random", or "tpe", which needs Optuna.
        trials: How many.
        seed: Of the draws.
        space: By field a span, or the values to choose from.
    """

    method: str
    trials: int
    seed: int
    space: Mapping[str, Span | tuple[Any, ...]]

    @classmethod
    def read(cls, found: Mapping[Any, Any], where: str) -> Search:
        """From a study file. Raises C280, C201, C202."""
        for name in found:
            if name not in _ENTRIES:
                meant = did_you_mean(str(name), _ENTRIES)
                raise ConfigError("C280", f"unknown entry {str(name)!r} in {where}.{meant}")
        method, trials, seed = found.get("method", "random"), found.get("trials", 20), found.get("seed", 0)
        if method not in METHODS:
            meant = did_you_mean(method, METHODS) if isinstance(method, str) else ""
            raise ConfigError("C280", f"{where}: method is {told(method)}; expected random or tpe.{meant}")
        for name, value, least in (("trials", trials, 1), ("seed", seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError("C280", f"{where}: {name} is {told(value)}; expected a whole number from {least}.")
        space = found.get("space")
        if not isinstance(space, dict) or not space:
            example = "space: {lr: {low: 1e-4, high: 0.1, log: true}}"
            raise ConfigError("C280", f"{where}: space is {told(space)}; expected a field and its values.", fix=example)
        found = fields(space, f"{where}, space")
        return cls(method, trials, seed, {name: _values(name, value, where) for name, value in found.items()})

    def as_dict(self) -> dict[str, Any]:
        """Plain values; :meth:`read` gives it back."""
        space: dict[str, Any] = {}
        for name, one in self.space.items():
            if isinstance(one, Span):
                space[name] = {"low": written(name, one.low), "high": written(name, one.high), "log": one.log}
            else:
                space[name] = [written(name, value) for value in one]
        return {"method": self.method, "trials": self.trials, "seed": self.seed, "space": space}

    def combinations(self, scores: Sequence[float | None], *, higher: bool) -> list[dict[str, Any]]:
        """Those that are known when so many of them have scores.

        Args:
            scores: Of the first ones, in order; None for one that failed.
            higher: Whether more is better.

        Raises:
            ConfigError: C250 where Optuna is needed and is not there.
        """
        if self.method == "random":
            return [self._random(number) for number in range(self.trials)]
        return list(self._tpe(scores, higher))

    def _random(self, number: int) -> dict[str, Any]:
        drawn = {}
        for name, one in self.space.items():
            share = float(seeds.uniform(seeds.key(self.seed, "search", name), np.array([number]))[0])
            drawn[name] = one.at(share) if isinstance(one, Span) else one[min(int(share * len(one)), len(one) - 1)]
        return drawn

    def _tpe(self, scores: Sequence[float | None], higher: bool) -> Iterator[dict[str, Any]]:
        optuna = _optuna()
        sampler = optuna.samplers.TPESampler(seed=self.seed, n_startup_trials=min(10, max(BATCH, self.trials // 3)))
        study = optuna.create_study(direction="maximize" if higher else "minimize", sampler=sampler)
        for begin in range(0, self.trials, BATCH):
            if begin > len(scores):
                # what comes next depends on cells that have no score yet
                return
            asked = [study.ask(self._distributions(optuna)) for _ in range(min(BATCH, self.trials - begin))]
            for trial in asked:
                yield {name: self._value(name, trial.params[name]) for name in self.space}
            for trial, score in zip(asked, scores[begin:], strict=False):
                if score is None or not math.isfinite(score):
                    study.tell(trial, state=optuna.trial.TrialState.FAIL)
                else:
                    study.tell(trial, score)

    def _distributions(self, optuna: Any) -> dict[str, Any]:
        kinds = optuna.distributions
        found = {}
        for name, one in self.space.items():
            if not isinstance(one, Span):
                # by number: Optuna keeps no tuples
                found[name] = kinds.CategoricalDistribution(list(range(len(one))))
            elif one.whole:
                found[name] = kinds.IntDistribution(int(one.low), int(one.high), log=one.log)
            else:
                found[name] = kinds.FloatDistribution(one.low, one.high, log=one.log)
        return found

    def _value(self, name: str, drawn: Any) -> Any:
        one = self.space[name]
        if not isinstance(one, Span):
            return one[drawn]
        return int(drawn) if one.whole else float(f"{drawn:.4g}")


def _values(name: str, value: Any, where: str) -> Span | tuple[Any, ...]:
    entry = OPTIONS[name]
    if isinstance(value, list) and value:
        return tuple(entry.read(one, f"{where}, space") for one in value)
    if isinstance(value, dict) and set(value) <= set(_RANGE) and {"low", "high"} <= set(value):
        low, high = (entry.read(value[end], f"{where}, space") for end in ("low", "high"))
        numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in (low, high))
        log = value.get("log", False)
        if not isinstance(log, bool):
            raise ConfigError("C280", f"{where}, space: log of {name} is {told(log)}; expected true or false.")
        if numbers and low < high and (low > 0 or not log):
            return Span(low, high, log, isinstance(low, int))
    raise ConfigError(
        "C280",
        f"{where}, space: {name} is {told(value)}; expected values, or low and high.",
        fix=f"{name}: [A, B]; or {name}: {{low: 1e-4, high: 0.1, log: true}}",
    )


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError(
            "C250",
            "method: tpe needs Optuna, which is not installed.",
            fix="pip install 'dojang[study]'; or method: random",
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
