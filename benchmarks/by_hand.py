"""The convolution by hand beside torch's: NumPy's matrix products over columns, and the other ways, in float32.

    python benchmarks/by_hand.py [--rounds 25]

A layer of 3x3 from 64 to 64 channels on maps of 32x32, batch 32.  Each round times torch and every way once, one after
the other in this process, so that a slow moment of the machine meets all of them; the ratio is taken within the round.
Kept in benchmarks/results/by_hand.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

import dojang
from dojang.convolution import conv, conv_gradients

RESULTS = Path(__file__).parent / "results" / "by_hand.json"
WARM = 3


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    draw = np.random.default_rng(0)
    x = draw.standard_normal((32, 64, 32, 32)).astype(np.float32)
    w = draw.standard_normal((64, 64, 3, 3)).astype(np.float32)
    images, filters = torch.from_numpy(x), torch.from_numpy(w)
    dout = draw.standard_normal(x.shape).astype(np.float32)
    upstream = torch.from_numpy(dout)
    leaves = [images.clone().requires_grad_(), filters.clone().requires_grad_()]
    made = F.conv2d(*leaves, padding=1)

    torch_s: dict[str, Callable[[], Any]] = {
        "forward": lambda: F.conv2d(images, filters, padding=1),
        "backward": lambda: torch.autograd.grad(made, leaves, upstream, retain_graph=True),
    }
    ways: dict[str, tuple[str, Callable[[], Any]]] = {
        "columns": ("forward", lambda: conv(x, w, padding=1)),
        "winograd": ("forward", lambda: conv(x, w, padding=1, method="winograd")),
        "fourier": ("forward", lambda: conv(x, w, padding=1, method="fourier")),
        "columns, backward": ("backward", lambda: conv_gradients(x, w, dout, padding=1)),
    }
    expected = torch_s["forward"]().numpy()
    apart = {name: float(np.abs(ways[name][1]() - expected).max()) for name in ("columns", "winograd", "fourier")}

    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(WARM + options.rounds):
        theirs = {name: seconds(work) for name, work in torch_s.items()}
        for name, (beside, work) in ways.items():
            pair = (theirs[beside], seconds(work))
            if number >= WARM:
                rounds[name].append(pair)

    kept: dict[str, Any] = {
        "layer": "3x3, 64 to 64 channels, maps of 32x32, batch 32, float32",
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "dojang": dojang.__version__,
        },
        "rounds": options.rounds,
        "largest_difference_to_torch": apart,
        "ways": {},
    }
    for name, pairs in rounds.items():
        ratios = sorted(mine / theirs for theirs, mine in pairs)
        kept["ways"][name] = {
            "torch_ms": round(1e3 * statistics.median(pair[0] for pair in pairs), 2),
            "ms": round(1e3 * statistics.median(pair[1] for pair in pairs), 2),
            "ratio": round(statistics.median(ratios), 2),
            "ratio_low": round(ratios[0], 2),
            "ratio_high": round(ratios[-1], 2),
        }
        print(f"{name:18} {kept['ways'][name]}")
    options.out.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
