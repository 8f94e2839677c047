"""The arithmetic of a run: device, threads, precision, decided once and recorded."""

from __future__ import annotations

import contextlib
import os

import torch

from dojang.errors import ConfigError


def device_named(name: str) -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:N", "N" or "mps".

    Raises:
        ConfigError: C230 for a device that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    text = f"cuda:{name}" if name.isdigit() else name
    try:
        device = torch.device(text)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError("C230", f"device {name!r} cannot be used: {reason}", fix="--device cpu") from None
    return device


def threads_given(threads: int | None) -> int:
    """The number of CPU threads to use: the one given, or one a core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # torch counts real cores where it can; two threads on one core gain nothing
    return threads or min(cores, torch.get_num_threads())


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Run the network's matrix work in bf16 over fp32 weights, or leave everything in fp32."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()
