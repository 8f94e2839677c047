"""The whole bench: the machine's rates and a network's speeds, measured in turn, as one result."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from dojang import files
from dojang.bench import rates
from dojang.bench.decoding import decoding
from dojang.bench.measure import Tell, interleaved
from dojang.bench.network import Measured
from dojang.bench.options import BenchOptions
from dojang.errors import ResourceError
from dojang.runs import environment
from dojang.train import allocator
from dojang.train.precision import device_named, threads_given

_VERSIONS = ("dojang", "python", "torch", "numpy", "pillow")


def bench(
    model: str | None = None,
    options: BenchOptions | None = None,
    *,
    out: str | Path | None = None,
    tell: Tell = lambda done, total, what: None,
) -> dict[str, Any]:
    """Measure what the machine can do and how much of it a network reaches.

    Threads and memory are set as in training, and put back; torch's generators are left as they were.

    Args:
        model: A preset or ``FILE.py:CLASS``; None for the default one.
        options: Sizes, device, time for each measurement.
        out: A file for the result, as JSON.
        tell: Told of progress.

    Returns:
        ``{"format": 1, "machine", "versions", "settings", "rates", "model"}``; units stand in the names, and each
        figure has n, median, min and max.

    Raises:
        ConfigError: C203, C204, C208 for the network, C230 for the device.
        ResourceError: R401, R402 when the file cannot be written; a wrong place is told before anything is measured.
    """
    options = options or BenchOptions()
    device, threads = device_named(options.device), threads_given(options.threads)
    if out is not None:
        _try(out)
    with _as_in_training(threads, device) as kept:
        network = Measured(model, options, device)
        result = _measure(network, device, threads, options.seconds, tell)
        found = environment.describe(device, threads, {"keeps_memory": kept})
    machine = {name: value for name, value in found.items() if name not in (*_VERSIONS, "format")}
    versions = {name: found[name] for name in _VERSIONS}
    settings = {"seconds": options.seconds}
    result = {"format": 1, "machine": machine, "versions": versions, "settings": settings} | result
    if out is not None:
        files.write_json(out, result)
    return result


def _measure(network: Measured, device: torch.device, threads: int, seconds: float, tell: Tell) -> dict[str, Any]:
    groups = {
        "gemm": rates.gemm(device),
        "convolution": rates.convolution(device),
        "copy": rates.copy(device),
        "decode": decoding(threads),
    }
    flat = [rate for group in groups.values() for rate in group]
    speeds = network.works()

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    # all in one turn: the share of the peak is a ratio, so both sides must meet the same machine
    works = [*(rate.work for rate in flat), *(work for _, work in speeds)]
    times = interleaved(works, seconds, wait=wait, tell=tell)
    ends = iter(times)
    rows: dict[str, Any] = {name: [rate.row(next(ends)) for rate in group] for name, group in groups.items()}
    peak = rates.peak([*rows["gemm"], *rows["convolution"]])
    rows["peak"] = {f"{precision}_tflop_per_s": value for precision, value in peak.items()}
    model = network.facts() | {"speeds": [network.row(facts, next(ends), peak) for facts, _ in speeds]}
    return {"rates": rows, "model": model}


@contextlib.contextmanager
def _as_in_training(threads: int, device: torch.device) -> Iterator[bool]:
    """Threads set, freed memory kept, and dropout's draws the same every time; gives whether memory is kept."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with allocator.keeping() as kept, torch.random.fork_rng([device] if device.type == "cuda" else []):
            # not torch.manual_seed: it would also seed the GPUs, which the block has not set aside
            torch.default_generator.manual_seed(0)
            if device.type == "cuda":
                torch.cuda.manual_seed(0)
            yield kept
    finally:
        torch.set_num_threads(before)


class _TriedError(Exception):
    """Ends a trial of writing before anything is put in place."""


def _try(out: str | Path) -> None:
    """Fail now, and not after the measurements, where the file cannot be written."""
    if Path(out).is_dir():
        fix = f"--out {Path(out) / 'bench.json'}"
        raise ResourceError("R402", f"cannot write {str(out)!r}: it is a folder.", fix=fix)
    with contextlib.suppress(_TriedError), files.writing(out):
        raise _TriedError
