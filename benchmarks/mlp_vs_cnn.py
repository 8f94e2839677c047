"""Dense network against convolutions, with pixels in their places and in one fixed order: cells of the study in pairs.

    python benchmarks/studies.py mlp-vs-cnn-permuted --data-root DATA
    python benchmarks/mlp_vs_cnn.py runs/study/mlp-vs-cnn-permuted

Cells of the finished study are compared in two ways: over the seeds, by Student's paired t of test scores, and seed by
seed over the test pictures, by `dojang compare`.  docs/studies.md quotes benchmarks/results/mlp_vs_cnn.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import dojang
from dojang.metrics.against import paired

CELLS = ("mlp", "mlp, permuted", "cnn", "cnn, permuted")
PAIRS = ((0, 2), (0, 1), (2, 3), (1, 3))
RESULTS = Path(__file__).parent / "results" / "mlp_vs_cnn.json"


def compared(first: Path, second: Path) -> dict[str, Any]:
    """What `dojang compare` says of two runs."""
    command = [sys.executable, "-m", "dojang", "compare", str(first), str(second), "--device", "cpu", "--json"]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    (found,) = told["comparisons"]
    return {"split": told["split"], "n": told["n"], **found}


def pair(place: Path, tops: dict[int, dict[int, float]], one: int, other: int) -> dict[str, Any]:
    """Two cells, over the seeds and seed by seed."""
    seeds = sorted(tops[one])
    over = paired([tops[other][seed] for seed in seeds], [tops[one][seed] for seed in seeds])
    by_seed = []
    for seed in seeds:
        found = compared(*(place / f"cell-{number + 1:02}" / f"seed-{seed}" for number in (one, other)))
        assert found["split"] == "test"
        only = {name: len(found[f"{name}_only_right"]) for name in ("first", "second")}
        by_seed.append({"seed": seed, "top1": found["differences"]["top1"], "p": found["p"], "only_right": only})
    return {
        "first": CELLS[one],
        "second": CELLS[other],
        "over_seeds": {"difference": over.difference, "low": over.low, "high": over.high, "p": over.p},
        "by_seed": by_seed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    tops: dict[int, dict[int, float]] = {number: {} for number in range(len(CELLS))}
    with open(options.study / "runs.csv", newline="") as file:
        for row in csv.DictReader(file):
            tops[int(row["cell"]) - 1][int(row["seed"])] = float(row["test/top1"])
    kept = {
        "command": "dojang study mlp-vs-cnn-permuted",
        "with": {"dojang": dojang.__version__, "torch": torch.__version__},
        "test_top1": {name: list(tops[number].values()) for number, name in enumerate(CELLS)},
        "pairs": [pair(options.study, tops, one, other) for one, other in PAIRS],
    }
    options.out.write_text(json.dumps(kept, indent=2) + "\n")
    for one in kept["pairs"]:
        over = one["over_seeds"]
        interval = f"{over['low']:+.4f} to {over['high']:+.4f}"
        print(f"{one['second']} less {one['first']}: {over['difference']:+.4f} ({interval})")


if __name__ == "__main__":
    main()
