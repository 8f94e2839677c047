"""One run of a study, wherever it is carried out: here, in a process beside this one, or on another machine.

A run is an ordinary run folder.  It is skipped where it is finished, resumed where it was begun, and begun otherwise;
so a study is killed and goes on as its runs do, bit for bit.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dojang.errors import DojangError, TrainError
from dojang.runs import folder as names
from dojang.runs import train, validate
from dojang.runs.recipe import read_layer
from dojang.study import prune
from dojang.train.log import Silent
from dojang.train.state import Keeper


@dataclass(frozen=True)
class Job:
    """What is to be carried out; plain values only, so that it can be sent.

    Args:
        folder: Of the run; absolute.
        data: A path or a data set's name.
        options: Of the recipe, from which all others follow, as a file would hold them.
        prune: Whether to stop it where it is hopeless.
        score: By which that is judged.
    """

    folder: str
    data: str
    options: Mapping[str, Any] = field(default_factory=dict)
    prune: bool = False
    score: str = "top1"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        status: "done", "failed", "pruned", or "stopped" where somebody asked.
        error: What went wrong, with its code.
        seconds: From the job's begin to its end, all that is around training included.
    """

    status: str
    error: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class _Watcher(Silent):
    """Asks training to stop when the run is hopeless."""

    def __init__(self, job: Job) -> None:
        self.job, self.pruned = job, False
        self._steps: int | None = None

    def begin(self, steps: int | None, seconds: float | None, done: int) -> None:
        self._steps = steps

    def validated(self, row: Mapping[str, float]) -> None:
        if not self.job.prune or not self._steps or self.pruned:
            return
        if prune.hopeless(Path(self.job.folder), row, self._steps, self.job.score):
            self.pruned = True
            # as Ctrl-C would: the state is saved, so the run can be finished by hand
            signal.raise_signal(signal.SIGINT)


def finished(folder: Path) -> bool:
    """Whether a run has come to its end."""
    return (folder / names.METRICS).exists() and "training" in validate.metrics_of(folder)


def carry_out(job: Job) -> Outcome:
    """Do a job, whatever of it is left to do. What goes wrong in a run is its outcome, not an error of the study."""
    began = time.perf_counter()
    found = _carry_out(job)
    return replace(found, seconds=time.perf_counter() - began)


def _carry_out(job: Job) -> Outcome:
    folder = Path(job.folder)
    watcher = _Watcher(job)
    try:
        if finished(folder):
            return Outcome("done")
        if (folder / names.ARGS).exists() and Keeper(folder / names.STATE).files():
            train.resume(folder, reporter=watcher)
        else:
            ours = {"project": str(folder.parent), "name": folder.name, "exist_ok": True}
            train.begin(job.data, [read_layer({**job.options, **ours}, "the study")], reporter=watcher)
    except TrainError as error:
        if error.code == "T320":
            return Outcome("pruned" if watcher.pruned else "stopped")
        return Outcome("failed", _told(error))
    except DojangError as error:
        return Outcome("failed", _told(error))
    except Exception as error:
        # a network of one's own may go wrong in any way; the other runs go on, and the table says what happened
        return Outcome("failed", f"{type(error).__name__}: {error}"[:2000])
    return Outcome("done")


def _told(error: DojangError) -> str:
    return f"{error.code}: {error.what}"
