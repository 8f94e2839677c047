"""Runs that are killed inside a save, each in a child of one process that has imported torch and run no kernel.

    python nursery.py DATA FOLDER TRIALS

Prints a line of JSON a trial: at which call it was killed, whether the resumed run equals the unbroken one to the last
byte, and what stray files are left.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import matplotlib.backends.backend_agg
import matplotlib.figure  # noqa: F401 (imported once here, not in every child)
import torch._dynamo  # noqa: F401 (the first optimizer imports it)

from dojang import files
from dojang.runs import recipe, train

OPTIONS = {
    "model": "mnist-cnn",
    "conv_dims": "4,4",
    "hidden_dims": "8",
    "epochs": 2,
    "batch_size": 20,
    "val": 10,
    "optimizer": "sgd",
    "lr": 0.02,
    "save_every": 2,
    "ema": 0.5,
    "threads": 1,
}
CALLS = ("_open", "_write", "_sync", "_replace", "_sync_folder")


def run(data: str, project: Path) -> None:
    train.begin(data, [recipe.read_layer(OPTIONS | {"project": str(project)}, "test")])


def in_child(work: Any) -> int:
    """Run something in a child; gives its exit status, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def digests(folder: Path) -> dict[str, str]:
    names = ["steps.csv", "predictions.csv", "metrics.json", *(f"weights/{n}.safetensors" for n in ("best", "last"))]
    found = {name: (folder / name).read_bytes() for name in names}
    metrics = json.loads(found["metrics.json"])
    for name in ("seconds", "evaluation_seconds"):
        del metrics["training"][name]
    found["metrics.json"] = json.dumps(metrics).encode()
    return {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}


def kill_at(call: str, number: int, after: bool) -> None:
    """From the first state on, die at the number-th call of a kind: before it, or just after it."""
    real = getattr(files, call)
    count = 0

    def deadly(*args: Any) -> Any:
        nonlocal count
        count += 1
        if count != number:
            return real(*args)
        if after:
            real(*args)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    setattr(files, call, deadly)


def killed(data: str, project: Path, call: str, number: int, after: bool) -> None:
    begin = train.Session.train

    def armed(self: Any) -> None:
        # without a state there is nothing to resume: the fuse starts when training does
        self.save(self.state)
        kill_at(call, number, after)
        begin(self)

    train.Session.train = armed  # type: ignore[method-assign]
    run(data, project)


def main(data: str, folder: Path, trials: int) -> None:
    assert in_child(lambda: run(data, folder / "unbroken")) == 0
    expected = digests(folder / "unbroken" / "train")
    draw = random.Random(0)
    for trial in range(trials):
        project = folder / str(trial)
        call = CALLS[trial % len(CALLS)]
        number, after = draw.randrange(1, 16), draw.random() < 0.5
        status = in_child(lambda: killed(data, project, call, number, after))  # noqa: B023 (called at once)
        resumed = in_child(lambda: train.resume(project / "train"))  # noqa: B023
        found = digests(project / "train") if resumed == 0 else {}
        stray = [path.name for path in project.rglob("*.dojang-tmp")]
        line = {"trial": trial, "call": call, "number": number, "after": after, "killed": status == -signal.SIGKILL}
        print(json.dumps(line | {"equal": found == expected, "resumed": resumed, "stray": stray}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
