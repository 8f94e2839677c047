"""env.json: versions, hardware and choices that decide the bits of a run; and what must be equal to resume exactly."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch

import dojang
from dojang.errors import ConfigError

#: a resume is exact only where these agree
DECISIVE = ("torch", "machine", "device", "threads", "native")


def describe(device: torch.device, threads: int, choices: dict[str, Any]) -> dict[str, Any]:
    """The environment as plain values.

    Args:
        device: Where the network runs.
        threads: Of the arithmetic.
        choices: Precision, memory format and kernels, as resolved.
    """
    import numpy
    import PIL

    return {
        "format": 1,
        "dojang": dojang.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "system": platform.platform(),
        "machine": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "cpu": _cpu(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": threads,
        **choices,
    }


def check_same(then: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to resume where the bits would differ.

    Raises:
        ConfigError: C217 naming both values.
    """
    for name in DECISIVE:
        # what an older dojang did not write down yet, it did not have
        if then.get(name, False if name == "native" else None) != now.get(name):
            raise ConfigError(
                "C217",
                f"this run began with {name} {then.get(name)!r}; here it is {now.get(name)!r}.",
                context="Resumed here, its weights would not equal those of the run that was never stopped.",
                fix="resume where it began, or add --inexact to go on all the same (recorded in args.yaml).",
            )


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor()
