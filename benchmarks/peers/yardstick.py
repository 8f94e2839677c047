"""What the times are divided by: the machine's matrix products, and the arithmetic of a dojang run.

python benchmarks/peers/yardstick.py               rates of matrix products, fp32 and bf16
python benchmarks/peers/yardstick.py --run RUN     operations of one forward pass of its network, batch, precision
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
import yaml
from entrant import flops

from dojang.bench import rates
from dojang.bench.measure import interleaved
from dojang.models.build import rebuild
from dojang.models.weights import load
from dojang.train import allocator


def products() -> list[dict[str, Any]]:
    """Square matrix products in each precision, TFLOP/s."""
    found = rates.gemm(torch.device("cpu"))
    with allocator.keeping():
        times = interleaved([rate.work for rate in found], seconds=2.0)
    return [rate.row(taken) for rate, taken in zip(found, times, strict=True)]


def arithmetic(run: Path) -> dict[str, Any]:
    """Of the network in a run folder, as saved: a forward pass of one picture, at the size that it is scored with."""
    _, card = load(run / "weights" / "last.safetensors")
    model = rebuild(card.architecture or {})
    size = card.preprocess
    example = torch.zeros(1, 1 if size["mode"] == "L" else 3, size["height"], size["width"])
    recipe = yaml.safe_load((run / "args.yaml").read_text())
    return {
        "forward_flops_per_image": flops(model, example),
        "batch_size": recipe["batch_size"],
        "precision": recipe["precision"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    options = parser.parse_args()
    print(json.dumps(arithmetic(options.run) if options.run else products()))


if __name__ == "__main__":
    main()
