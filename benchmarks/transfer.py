"""What weights that were trained before are worth on few photographs: the same command with and without them.

    dojang convert FILE.pth --model squeezenet1_1
    python benchmarks/transfer.py --data FOLDER [--seeds 5] [--only NAME...]

FOLDER holds one folder of photographs a class.  A fifth of each class, drawn once, is the test part of every run and is
looked at once, at its end; the seeds change what is held out for validation of the rest, the order, and what is drawn.
Epochs were chosen on validation pictures.  Scores, and the seconds of each whole command, are kept run by run in
benchmarks/results/transfer.json, so an interrupted series goes on where it stopped; for its times let the machine be
idle.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import dojang

MODEL = "train TABLE --model squeezenet1_1"
ARMS = {
    "pretrained": f"{MODEL} --pretrained",
    "from scratch": MODEL,
    "from scratch, longer": f"{MODEL} --epochs 90",
    # what is chosen where nothing is said: smaller, with batch norm, easier to train
    "cnn from scratch": "train TABLE --epochs 60",
}
RESULTS = Path(__file__).parent / "results" / "transfer.json"
TEST = 5


def table(folder: Path, target: Path) -> dict[str, int]:
    """A table of the photographs with a fifth of each class for testing; gives how many there are of each part."""
    draw, counts = random.Random(0), {"train": 0, "test": 0}
    with open(target, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split"])
        for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
            files = sorted(path for path in kind.iterdir() if path.is_file())
            test = set(draw.sample(files, len(files) // TEST))
            for file_ in files:
                split = "test" if file_ in test else "train"
                counts[split] += 1
                rows.writerow([str(file_.absolute()), kind.name, split])
    return counts


def run(command: str, seed: int, data: Path) -> dict[str, Any]:
    """One run by the command line; gives what is worth keeping of it."""
    with tempfile.TemporaryDirectory() as project:
        words = [*command.replace("TABLE", str(data)).split(), "--val", "0.15", "--seed", str(seed)]
        words += ["--project", project, "--json"]
        began = time.perf_counter()
        out = subprocess.run(
            [sys.executable, "-m", "dojang", *words], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        seconds = time.perf_counter() - began
        found = json.loads(out)["metrics"]
    return {
        "seed": seed,
        "val": found["val"]["top1"]["value"],
        "test": found["test"]["top1"]["value"],
        "seconds": round(seconds, 1),
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, deviation and range of the test scores, and the median of the seconds of the whole command."""
    scores = [one["test"] for one in runs]
    return {
        "n": len(runs),
        "mean": round(statistics.mean(scores), 4),
        "sd": round(statistics.stdev(scores), 4) if len(scores) > 1 else None,
        "low": min(scores),
        "high": max(scores),
        "median_seconds": statistics.median(one["seconds"] for one in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of class folders")
    parser.add_argument("--only", nargs="*", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    kept: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {"arms": {}}
    kept["machine"] = {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "dojang": dojang.__version__,
    }
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "table.csv"
        kept["pictures"] = table(options.data, data)
        for seed in range(options.seeds):
            # in turn, so that a slow hour of the machine meets all of them
            for name in options.only:
                arm = kept["arms"].setdefault(name, {"command": f"dojang {ARMS[name]}", "runs": []})
                if any(one["seed"] == seed for one in arm["runs"]):
                    continue
                arm["runs"].append(run(ARMS[name], seed, data))
                arm["summary"] = summary(arm["runs"])
                options.out.write_text(json.dumps(kept, indent=2) + "\n")
                print(f"{name}, seed {seed}: {arm['runs'][-1]}", flush=True)
    for name, arm in kept["arms"].items():
        print(f"{name:22} {arm['summary']}")


if __name__ == "__main__":
    main()
