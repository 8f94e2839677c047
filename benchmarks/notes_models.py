"""The networks of the notes, trained by dojang's own commands, three seeds each.

    python benchmarks/notes_models.py --data-root DATA [--only NAME...] [--seeds 3]

Every row is a command; the test score is looked at once, at its end.  This is about accuracy: the machine may be busy
with other things meanwhile, so no times are kept.  Results are kept run by run in
benchmarks/results/notes_models.json, so an interrupted series goes on where it stopped; docs/notes.md quotes them.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import dojang

_MLP = "train mnist --model mnist-mlp --val none"
ROWS = {
    "mnist-cnn": "train mnist --model mnist-cnn --epochs 10 --batch-size 256 --optimizer adam --lr 1e-3",
    "fashion-cnn": "train fashion-mnist --model fashion-cnn --epochs 15 --batch-size 128 --optimizer adam --lr 1e-3",
    "lenet-bn": "train mnist --model lenet-bn",
    "cifar-cnn": "train cifar10 --model cifar-cnn",
    "cifar-vgg": "train cifar10 --model cifar-vgg --precision bf16",
    "mlp uniform: sigmoid": f"{_MLP} --init uniform",
    "mlp uniform: relu": f"{_MLP} --init uniform --activation relu",
    "mlp uniform: relu, batch norm": f"{_MLP} --init uniform --activation relu --batch-norm",
    "mlp uniform: relu, batch norm, adam": f"{_MLP} --init uniform --activation relu --batch-norm "
    "--optimizer adam --lr 0.01",
    "mlp scaled: sigmoid": f"{_MLP} --init default",
    "mlp scaled: relu": f"{_MLP} --init default --activation relu",
    "mlp scaled: relu, batch norm": f"{_MLP} --init default --activation relu --batch-norm",
    "mlp scaled: relu, batch norm, adam": f"{_MLP} --init default --activation relu --batch-norm "
    "--optimizer adam --lr 1e-3",
}
RESULTS = Path(__file__).parent / "results" / "notes_models.json"


def run(command: str, seed: int, data_root: Path, project: Path) -> dict[str, Any]:
    """One run by the command line; gives what is worth keeping of it."""
    # in fp32, as these networks are taught, unless the row says otherwise
    command += "" if "--precision" in command else " --precision fp32"
    words = [*command.split(), "--seed", str(seed), "--data-root", str(data_root), "--project", str(project), "--json"]
    out = subprocess.run([sys.executable, "-m", "dojang", *words], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = json.loads(out)
    folder = Path(found["run"])
    top1 = found["metrics"]["test"]["top1"]["value"]
    last = (folder / "results.csv").read_text().splitlines()[-1].split(",")
    header = (folder / "results.csv").read_text().splitlines()[0].split(",")
    train = dict(zip(header, last, strict=True)).get("train/top1")
    return {"seed": seed, "top1": top1, "train": float(train or "nan")}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, standard deviation and range of the test scores."""
    scores = [r["top1"] for r in runs]
    deviation = statistics.stdev(scores) if len(scores) > 1 else math.nan
    return {
        "n": len(scores),
        "mean": round(statistics.mean(scores), 5),
        "sd": round(deviation, 5) if len(scores) > 1 else None,
        "low": min(scores),
        "high": max(scores),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    kept: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {"rows": {}}
    kept["machine"] = {
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "dojang": dojang.__version__,
    }
    for name in options.only:
        row = kept["rows"].setdefault(name, {"command": f"dojang {ROWS[name]}", "runs": []})
        for seed in range(len(row["runs"]), options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                row["runs"].append(run(ROWS[name], seed, options.data_root, Path(folder)))
            row["test"] = summary(row["runs"])
            options.out.write_text(json.dumps(kept, indent=2) + "\n")
            print(f"{name}, seed {seed}: {row['runs'][-1]}", flush=True)
    for name, row in kept["rows"].items():
        if not row["runs"]:
            continue
        test = row["test"]
        print(f"{name:38} {test['mean']:.4f} (sd {test['sd']}, {test['low']:.4f} to {test['high']:.4f}, n {test['n']})")


if __name__ == "__main__":
    main()
