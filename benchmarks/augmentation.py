"""What augmentation costs: a training step of sprint on CIFAR-10 with each policy, beside one whose pictures stay.

    python benchmarks/augmentation.py [--data-root FOLDER] [--rounds 15]

A step is what the loop does: cut the pictures of a batch, change them, normalise, forward, backward, update; of the
batch, parts, precision, kernels and threads that training takes here.  Each round takes one step with every policy, one
after the other in this process; the ratio is taken within the round.  Half of sprint's training is on pictures shown at
24 x 24, where a step is cheaper and augmentation is not, so both sizes are timed.  Kept in
benchmarks/results/augmentation.json.
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

import dojang
from dojang.data import policies
from dojang.data.augment import Augment
from dojang.data.loader import Loader
from dojang.data.options import AugmentOptions, DataOptions
from dojang.data.prepare import prepare
from dojang.data.scan import find
from dojang.models import build
from dojang.native import compiler
from dojang.runs import recipe as recipes
from dojang.tasks.classify.task import Classify
from dojang.train import allocator, optimizers
from dojang.train.micro import norms_over
from dojang.train.precision import autocast, has_bf16

RESULTS = Path(__file__).parent / "results" / "augmentation.json"
WARM = 2
COLOUR = {"flip": "alternating", "crop_padding": 2, "crop_fill": "reflect"}
WAYS: dict[str, dict[str, Any]] = {
    "none": policies.values("none", 50_000, 32),
    "sprint's own": COLOUR,
    **{name: policies.values(name, 50_000, 32) | {"flip": "alternating"} for name in ("light", "notes", "strong")},
    **{
        f"none and {name}": policies.values("none", 50_000, 32) | values
        for name, values in {
            "affine": {"degrees": 15.0, "translate": 0.1, "zoom": 0.1, "shear": 5.0},
            "brightness": {"brightness": 0.2},
            "contrast": {"contrast": 0.2},
            "saturation": {"saturation": 0.2},
            "hue": {"hue": 0.1},
            "grey": {"grey": 0.2},
            "blur": {"blur": 0.5},
            "noise": {"noise": 0.05},
            "erase": {"erase": 0.25},
            "cutout": {"cutout": 8},
            "mixup": {"mixup": 0.2},
            "cutmix": {"cutmix": 1.0},
            "randaugment": {"random_ops": "randaugment"},
            "trivialaugment": {"random_ops": "trivialaugment"},
        }.items()
    },
}


def steps_of(data_root: str | None, pictures: int) -> Callable[[str, int, tuple[int, int]], tuple[float, float]]:
    """A function that makes a step by a policy's name, its number, and the size shown; seconds, and those before it."""
    device = torch.device("cpu")
    threads = torch.get_num_threads()
    manifest = find("cifar10", data_root)
    manifest = manifest.keep(manifest.rows("train")[:pictures])
    prepared = prepare(manifest, DataOptions(val="none"), seed=0, default_size=32, threads=threads)
    p = prepared.preprocess
    known = recipes.Circumstances(p.height, p.width, 50_000, "cpu")
    recipe = recipes.resolve([{"model": "sprint"}], known)
    recipe = recipe.replace(precision="bf16" if has_bf16(device) else "fp32")
    options = recipe.train
    model = build.build("sprint", in_channels=p.channels, classes=10, image_size=(p.height, p.width), seed=0)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.train()
    optimizer = optimizers.make(model, options)
    task = Classify(prepared.manifest.targets, 10, p, recipe.task, device)
    rows = prepared.manifest.rows("train")
    loaders = {
        name: Loader(
            prepared.store,
            rows,
            p,
            batch_size=options.batch_size,
            augment=Augment.by(AugmentOptions(**values)),
        )
        for name, values in WAYS.items()
    }

    def step(name: str, number: int, size: tuple[int, int]) -> tuple[float, float]:
        loader = loaders[name]
        chosen = loader.order(0)[number % loader.steps * options.batch_size :][: options.batch_size]
        began = time.perf_counter()
        batch = loader.assemble(chosen, 0)
        before = time.perf_counter() - began
        optimizer.zero_grad(set_to_none=True)
        parts = batch.parts(options.micro_batch)
        with norms_over(model, len(parts)), autocast(options.precision, device):
            for part in parts:
                start = time.perf_counter()
                made = task.collate(part, size)
                before += time.perf_counter() - start
                loss, _ = task.loss(model, made)
                (loss * (len(part) / len(batch))).backward()
        optimizer.step()
        return time.perf_counter() - began, before

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--data-root")
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    native = compiler.library("blocks") is not None
    kept: dict[str, Any] = {
        "step": "sprint, CIFAR-10, batch 1000 in parts of 500",
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "dojang": dojang.__version__,
            "C kernels": native,
        },
        "rounds": options.rounds,
        "policies": {name: {k: v for k, v in values.items() if v} for name, values in WAYS.items()},
        "shown at 32": {},
        "shown at 24": {},
    }
    with compiler.using(native), allocator.keeping():
        step = steps_of(options.data_root, options.pictures)
        for side in (32, 24):
            rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
            for number in range(WARM + options.rounds):
                for name in WAYS:
                    taken = step(name, number, (side, side))
                    if number >= WARM:
                        rounds[name].append(taken)
            plain = rounds["none"]
            for name, taken in rounds.items():
                # the step beside its own plain one, and the share of the plain step that is spent before the network
                whole = [mine[0] / theirs[0] for mine, theirs in zip(taken, plain, strict=True)]
                more = [(mine[1] - theirs[1]) / theirs[0] for mine, theirs in zip(taken, plain, strict=True)]
                row = {
                    "n": len(taken),
                    "seconds": round(statistics.median(one[0] for one in taken), 4),
                    "ratio": round(statistics.median(whole), 3),
                    "low": round(min(whole), 3),
                    "high": round(max(whole), 3),
                    "pictures_cost": round(statistics.median(more), 4),
                }
                kept[f"shown at {side}"][name] = row
                print(
                    f"{side}  {name:24} {row['seconds']:7.3f} s  x {row['ratio']:.3f} "
                    f"({row['low']:.3f} to {row['high']:.3f})"
                    f"  before the network {100 * row['pictures_cost']:+.1f} % of a plain step"
                )
    options.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
