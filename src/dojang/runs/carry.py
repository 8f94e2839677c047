"""A session carried to its end, on the machine as it was decided."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from dojang.errors import TrainError
from dojang.native import compiler
from dojang.runs import environment
from dojang.runs.recipe import Recipe
from dojang.runs.session import Session
from dojang.train import allocator
from dojang.train.guard import Stopped
from dojang.train.options import TrainOptions


def to_the_end(work: Session, whole: Path | None = None) -> None:
    """Train, if there is anything left to train, and score.

    Args:
        whole: The folder that is to be resumed, where that is not the session's own.

    Raises:
        TrainError: T320 when stopped by a signal; the run can be resumed.
    """
    try:
        if not work.state.counters.ended:
            work.train()
    except Stopped as stopped:
        word = "Ctrl-C" if stopped.signal == 2 else f"signal {stopped.signal}"
        of = f" of {work.folder.name}" if whole else ""
        error = TrainError(
            "T320",
            f"stopped by {word} after step {work.state.counters.step:,}{of}; the state is saved.",
            fix=f"dojang train --resume {shlex.quote(str(whole or work.folder))}",
        )
        error.exit_code = 128 + stopped.signal
        raise error from None
    work.settle(quiet=whole is not None)
    work.finish()


def surroundings(recipe: Recipe, device: torch.device) -> dict[str, Any]:
    """What env.json says of a resolved recipe on this machine."""
    t = recipe.train
    choices = {"precision": t.precision, "channels_last": t.channels_last, "fused": t.fused}
    choices |= {"memory_kept": allocator.can_keep(), "native": bool(t.native)}
    return environment.describe(device, t.threads or 1, choices)


@contextlib.contextmanager
def machine(options: TrainOptions) -> Iterator[None]:
    """Run the arithmetic as it was decided: threads, kernels, memory kept between steps; then all is as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads or before)
    try:
        with compiler.using(bool(options.native)), allocator.keeping():
            yield
    finally:
        torch.set_num_threads(before)
