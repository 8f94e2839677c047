"""What class weights, balanced sampling and focal loss are worth where some classes are rare.

    python benchmarks/imbalance.py [--seeds 5]

The 8x8 digits that come with scikit-learn: every third is for testing; of the others 3, 8 and 9 are thinned out to 6 %,
drawn once.  Each recipe is a command; what was scored is kept in benchmarks/results/imbalance.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import dojang

COMMAND = "train TABLE --model cnn --val none --epochs 15"
RECIPES = {
    "as they are": "",
    "as they are, moved by a pixel": "--crop-padding 1",
    "class weights": "--class-weights balanced",
    "balanced sampling, moved by a pixel": "--sampler balanced --crop-padding 1",
    "focal loss": "--loss focal",
}
RARE, KEPT = (3, 8, 9), 0.06
RESULTS = Path(__file__).parent / "results" / "imbalance.json"


def digits(folder: Path) -> dict[str, int]:
    """The pictures as files with a table of them; gives how many of each class there are to learn from."""
    from sklearn.datasets import load_digits

    found = load_digits()
    draw = np.random.default_rng(0)
    counts: dict[str, int] = {}
    with open(folder / "table.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "split"))
        for number, (image, label) in enumerate(zip(found.images, found.target, strict=True)):
            # drawn for every picture, so that one class does not move another
            kept = draw.random() < KEPT or label not in RARE
            if number % 3 and not kept:
                continue
            Image.fromarray((image * 15.9375).round().astype(np.uint8)).save(folder / f"{number}.png")
            rows.writerow((f"{number}.png", int(label), "train" if number % 3 else "test"))
            if number % 3:
                counts[str(label)] = counts.get(str(label), 0) + 1
    return counts


def run(table: Path, words: str, seed: int) -> float:
    """Balanced accuracy on the test part."""
    with tempfile.TemporaryDirectory() as project:
        command = [*COMMAND.replace("TABLE", str(table)).split(), *words.split()]
        command += ["--seed", str(seed), "--project", project, "--json"]
        words_ = [sys.executable, "-m", "dojang", *command]
        done = subprocess.run(words_, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
        return float(json.loads(done.stdout)["metrics"]["test"]["balanced_accuracy"]["value"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    kept: dict[str, Any] = {
        "command": f"dojang {COMMAND}",
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "dojang": dojang.__version__,
        },
        "recipes": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        kept["training_pictures"] = digits(Path(folder))
        for name, words in RECIPES.items():
            scores = [run(Path(folder) / "table.csv", words, seed) for seed in range(options.seeds)]
            kept["recipes"][name] = {
                "options": words,
                "balanced_accuracy": [round(score, 4) for score in scores],
                "n": len(scores),
                "mean": round(statistics.mean(scores), 4),
                "sd": round(statistics.stdev(scores), 4) if len(scores) > 1 else None,
            }
            print(f"{name:36} {kept['recipes'][name]}", flush=True)
    options.out.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
