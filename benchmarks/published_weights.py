"""What published weights score through dojang: converted, then `dojang val`.

    python benchmarks/published_weights.py --weights FOLDER --data-root DATA --dogs PHOTOGRAPHS

FOLDER holds resnet20-12fca82f.th and resnet56-4bfd9763.th (their authors' test errors on CIFAR-10 give 91.73 % and
93.39 %) and squeezenet1_1-caffe-1d9d35bd.pth (ImageNet). DATA is where `dojang val WEIGHTS cifar10 --data-root DATA`
finds the set; PHOTOGRAPHS a folder or archive of class folders named as ImageNet's classes. Nothing is fetched.
Results go to benchmarks/results/published_weights.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import dojang

RESULTS = Path(__file__).parent / "results" / "published_weights.json"


def dojang_says(*words: str) -> dict[str, Any]:
    out = subprocess.run(
        [sys.executable, "-m", "dojang", *words, "--json"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    found: dict[str, Any] = json.loads(out)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--dogs", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    cifar = ("cifar10", "--data-root", str(options.data_root), "--split", "test")
    rows = [
        ("resnet20", "resnet20-12fca82f.th", ("--labels", "cifar10"), cifar),
        ("resnet56", "resnet56-4bfd9763.th", ("--labels", "cifar10"), cifar),
        ("squeezenet1_1", "squeezenet1_1-caffe-1d9d35bd.pth", (), (str(options.dogs),)),
    ]
    kept: dict[str, Any] = {"torch": torch.__version__, "dojang": dojang.__version__, "networks": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, file, labels, data in rows:
            weights = f"{folder}/{name}.safetensors"
            dojang_says("convert", str(options.weights / file), "--model", name, "--out", weights, *labels)
            metrics = dojang_says("val", weights, *data, "--project", folder)["metrics"]
            (scores,) = (part for part in metrics.values() if isinstance(part, dict) and "top1" in part)
            kept["networks"][name] = {"weights": file, "top1": scores["top1"]["value"], "n": scores["n"]}
            print(name, kept["networks"][name], flush=True)
    options.out.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
