"""One measurement: a command in a process of its own, the times and scores it leaves, and its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Outcome:
    """What a process left behind.

    Args:
        out: Its standard output.
        error: The end of its standard error where it failed, else empty.
        wall: Seconds from before it was started until it had ended.
        peak: Bytes that it, or the largest process that it waited for, had in memory at most.
    """

    out: str
    error: str
    wall: float
    peak: int


def process(words: list[str]) -> Outcome:
    """Run a command to its end."""
    with tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert child.stdout is not None
        out = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        tail = errors.read()[-600:] if child.returncode else ""
    if child.returncode and not tail:
        tail = f"exit status {child.returncode}"
    # Linux counts in KiB, macOS in bytes
    return Outcome(out, tail, wall, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def warm(folder: Path) -> None:
    """Read every file once, so that none of the entrants waits for the disk where another did not."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.read_bytes()


def entrant(python: str, name: str, dataset: str, data: Path, seed: int, more: list[str]) -> dict[str, Any]:
    """A peer, or the plain loop, by its script.

    Args:
        python: Of the environment that it lives in.
        name: ``plain``, ``fastai``, ...; with a network after a colon: ``timm:resnet18``.
        dataset: ``mnist``, ``fashion-mnist`` or ``cifar10``.
        data: Made by prepare.py.
        seed: Of its own generators.
        more: Further arguments: ``--epochs``, ``--limit-seconds``, ...

    Returns:
        A record of the run; with ``failed``, the reason, where there is no result.
    """
    peer, _, model = name.partition(":")
    script = HERE / ("plain.py" if peer == "plain" else f"{peer}_peer.py")
    words = [python, str(script), "--data", str(data), "--dataset", dataset, "--seed", str(seed), *more]
    warm(data / "folders" / dataset)
    outcome = process([*words, "--model", model] if model else words)
    if outcome.error:
        return {"failed": outcome.error}
    found = json.loads(outcome.out.splitlines()[-1])
    forward = found["forward_flops_per_image"]
    return _record(
        outcome,
        train_seconds=found["train_seconds"],
        test_seconds=found["test_seconds"],
        top1=found["test_top1"],
        precision="fp32",
        # a backward pass takes two products where the forward pass takes one
        training_flop=3 * forward * found["images"] if forward else None,
        details=found,
    )


def dojang(flags: str, dataset: str, data_root: Path, seed: int) -> dict[str, Any]:
    """``dojang train`` in a fresh process, as a user types it.

    Args:
        flags: What follows the data set's name.
        dataset: By its name.
        data_root: Where it lies.
        seed: Of the run.
    """
    with tempfile.TemporaryDirectory() as project:
        words = [sys.executable, "-m", "dojang", "train", dataset, *flags.split(), "--seed", str(seed)]
        outcome = process([*words, "--data-root", str(data_root), "--project", project, "--json"])
        if outcome.error:
            return {"failed": outcome.error}
        folder = Path(json.loads(outcome.out)["run"])
        metrics = json.loads((folder / "metrics.json").read_text())
        environment = json.loads((folder / "env.json").read_text())
        arithmetic = _arithmetic(folder)
    test, training = metrics["test"], metrics["training"]
    return _record(
        outcome,
        train_seconds=training["seconds"],
        test_seconds=_first(training.get("evaluation_seconds"), test.get("seconds")),
        top1=_value(test["top1"]),
        top1_tta=_value(test.get("top1_tta")),
        precision=arithmetic.get("precision", environment["precision"]),
        training_flop=_training_flop(arithmetic, training["steps"]),
        details={"flags": flags, "training": training, "environment": environment},
    )


def _record(outcome: Outcome, *, train_seconds: float, test_seconds: float | None, **facts: Any) -> dict[str, Any]:
    return {
        # without the second part where nothing says how long the test took
        "algorithm_seconds": round(train_seconds + (test_seconds or 0), 3),
        "train_seconds": train_seconds,
        "test_seconds": test_seconds,
        "cold_wall_seconds": round(outcome.wall, 3),
        "peak_mb": round(outcome.peak / 1e6),
        **facts,
    }


def _arithmetic(folder: Path) -> dict[str, Any]:
    """What yardstick.py finds in a run folder, in a process of its own; nothing where it cannot."""
    outcome = process([sys.executable, str(HERE / "yardstick.py"), "--run", str(folder)])
    return {} if outcome.error else dict(json.loads(outcome.out))


def _training_flop(arithmetic: dict[str, Any], steps: int) -> int | None:
    """Floating-point operations of a training of so many steps; None where a forward pass could not be counted."""
    forward = arithmetic.get("forward_flops_per_image")
    return 3 * forward * arithmetic["batch_size"] * steps if forward else None


def _value(score: Any) -> float | None:
    if isinstance(score, dict):
        score = score["value"]
    return None if score is None else float(score)


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
