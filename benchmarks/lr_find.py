"""Whether the learning-rate finder's suggestions are near the best rate of a grid.

    python benchmarks/lr_find.py [--data-root DATA]

For each network and optimizer one range test, and a training at each of sixteen rates, 10^(1/3) apart, of the same
data and seed; 10 epochs of the 8x8 digits that come with scikit-learn (30 % held out), one of MNIST (5,000 held out;
with --data-root).  `behind` is what a rule's rate would cost in validation top-1 beside the best of the grid, linear
in the logarithm of the rate between its points.  A rate at which training breaks off, or ends with a
network whose answers are no numbers, counts as chance.

Which rule dojang names first was chosen with "mlp" and "cnn" in view; "mnist-cnn" was looked at afterwards.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import dojang
from dojang.errors import DojangError
from dojang.runs import lr_find, train, validate
from dojang.runs.recipe import read_layer

GRID = [10 ** (power / 3) for power in range(-12, 4)]
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "momentum": 0.0},
    "momentum": {"optimizer": "sgd", "momentum": 0.9},
    "adam": {"optimizer": "adam"},
}
SETS: dict[str, dict[str, Any]] = {
    "digits": {"val": 540, "test": 0.1, "epochs": 10},
    "mnist": {"val": 5000, "epochs": 1},
}
NETWORKS = {"digits": ("mlp", "cnn", "mnist-cnn"), "mnist": ("mlp",)}
RESULTS = Path(__file__).parent / "results" / "lr_find.json"


def score(data: str, options: dict[str, Any]) -> float:
    """Validation top-1 of a training; chance where it breaks off."""
    with tempfile.TemporaryDirectory() as project:
        given = options | {"project": project, "familiar": False, "train_sample": 0}
        try:
            folder = train.begin(data, [read_layer(given, "benchmark")])
        except DojangError as error:
            # a loss, or what the trained network answers, is no number
            if error.code not in ("T301", "X506"):
                raise
            return 0.1
        return float(validate.metrics_of(folder)["val"]["top1"]["value"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    kept: dict[str, Any] = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": 1,
            "torch": torch.__version__,
            "dojang": dojang.__version__,
        },
        "grid": [float(f"{rate:.3g}") for rate in GRID],
        "tests": [],
    }
    for data in SETS if options.data_root else ("digits",):
        for model in NETWORKS[data]:
            for name, optimizer in OPTIMIZERS.items():
                given = {"model": model, "threads": 1, "data_root": options.data_root, **SETS[data], **optimizer}
                began = time.perf_counter()
                found = lr_find.find(data, [read_layer(given, "benchmark")])
                seconds = time.perf_counter() - began
                top1 = [score(data, given | {"lr": rate}) for rate in GRID]
                best = int(np.argmax(top1))
                rules = {}
                for one in found.suggestions:
                    assert one.rate is not None, (data, model, name)
                    there = float(np.interp(np.log(one.rate), np.log(GRID), top1))
                    rules[one.rule] = {"lr": float(f"{one.rate:.3g}"), "behind": round(top1[best] - there, 4)}
                facts = {"data": data, "model": model, "optimizer": name, "seconds": round(seconds, 1)}
                facts |= {"lowest": float(f"{found.lowest[0]:.3g}"), "best": float(f"{GRID[best]:.3g}")}
                kept["tests"].append(facts | {"rules": rules, "top1": [round(value, 4) for value in top1]})
                print(json.dumps(kept["tests"][-1]), flush=True)
    kept["mean_behind"] = {
        when: {rule: round(float(np.mean([one["rules"][rule]["behind"] for one in some])), 4) for rule in rules}
        for when, some in (
            ("in view", [one for one in kept["tests"] if one["model"] != "mnist-cnn"]),
            ("afterwards", [one for one in kept["tests"] if one["model"] == "mnist-cnn"]),
        )
    }
    options.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
