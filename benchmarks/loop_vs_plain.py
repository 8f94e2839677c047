"""Time an epoch of mnist-cnn takes in dojang, beside the plain torchvision Dataset + DataLoader loop.

    python benchmarks/loop_vs_plain.py --data-root DATA [--runs 5] [--epochs 1]

Both train the same network with the same batch, optimizer and arithmetic (fp32) on the 60,000 MNIST pictures,
interleaved, each in a process of its own. Plain: torchvision's MNIST, ToTensor, Normalize, DataLoader(num_workers=1),
as in tutorials; only the training pass is timed, from the first batch asked for to the last step. dojang: the whole
of its loop, with the log, the checks after each step and the saved states, without scoring. Prints the median ratio;
results go to benchmarks/results/loop_vs_plain.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import dojang
from dojang.models.build import build
from dojang.runs import recipe, train

BATCH, LR = 256, 1e-3


def plain_epoch(root: Path, epochs: int) -> float:
    """Seconds an epoch of the plain loop takes."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    change = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    data = datasets.MNIST(root, train=True, transform=change, download=False)
    loader = DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=1)
    model = build("mnist-cnn", in_channels=1, classes=10, image_size=(28, 28), seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    model.train()
    began = time.perf_counter()
    for _ in range(epochs):
        for images, targets in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), targets)
            loss.backward()
            optimizer.step()
    return (time.perf_counter() - began) / epochs


def dojang_epoch(root: Path, epochs: int, project: Path) -> float:
    """Seconds an epoch takes in dojang, by the run's own clock (time spent in its loop)."""
    options = {
        "model": "mnist-cnn",
        "epochs": epochs,
        "batch_size": BATCH,
        "optimizer": "adam",
        "lr": LR,
        "schedule": "constant",
        "val": "none",
        "train_sample": 0,
        "precision": "fp32",
        "data_root": str(root),
        "project": str(project),
    }
    folder = train.begin("mnist", [recipe.read_layer(options, "benchmark")])
    metrics = json.loads((folder / "metrics.json").read_text())
    return metrics["training"]["seconds"] / epochs


def torchvision_layout(data_root: Path, folder: Path) -> Path:
    """The raw files where torchvision looks for them."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (data_root / "mnist").glob("*-ubyte.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return folder


def in_its_own_process(which: str, options: argparse.Namespace, root: Path) -> float:
    """The seconds that one measurement prints; neither inherits anything from the other."""
    words = [sys.executable, __file__, "--one", which, "--data-root", str(root), "--epochs", str(options.epochs)]
    return float(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True, help="folder with mnist/*.gz")
    parser.add_argument("--runs", type=int, default=5, help="interleaved pairs")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "loop_vs_plain.json")
    parser.add_argument("--one", choices=("plain", "dojang"), help=argparse.SUPPRESS)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        if options.one == "plain":
            print(plain_epoch(options.data_root, options.epochs))
            return
        if options.one == "dojang":
            print(dojang_epoch(options.data_root, options.epochs, Path(folder)))
            return
        pairs = []
        root = torchvision_layout(options.data_root, Path(folder) / "torchvision")
        for run in range(options.runs):
            plain = in_its_own_process("plain", options, root)
            ours = in_its_own_process("dojang", options, options.data_root)
            pairs.append({"plain": round(plain, 3), "dojang": round(ours, 3), "ratio": round(ours / plain, 4)})
            print(f"{run + 1}: plain {plain:.2f} s, dojang {ours:.2f} s an epoch, ratio {ours / plain:.3f}", flush=True)
    ratios = [pair["ratio"] for pair in pairs]
    result = {
        "what": "seconds an epoch of mnist-cnn, 60,000 pictures, batch 256, adam, fp32",
        "pairs": pairs,
        "median_ratio": statistics.median(ratios),
        "lowest_ratio": min(ratios),
        "highest_ratio": max(ratios),
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
        "torch": torch.__version__,
        "dojang": dojang.__version__,
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(f"median ratio {result['median_ratio']:.3f} ({min(ratios):.3f} to {max(ratios):.3f}, n {len(ratios)})")


if __name__ == "__main__":
    main()
