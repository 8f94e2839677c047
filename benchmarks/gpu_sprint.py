"""CIFAR-10 by the record recipe on one GPU, timed by the convention of airbench, beside a plain eager loop.

    python benchmarks/gpu_sprint.py [--data-root DATA] [--runs 20] [--plain-runs 5]

Timed, with CUDA events: the whitening statistics, every training step with its augmentation, and the final scoring with
test-time augmentation. Not timed, as in airbench: imports, reading the data to the GPU, building and initialising the
network, and one warm-up run on random labels, in which kernels are compiled and chosen. The schedule is fixed (8 epochs
of 25 steps, batch 2000) and nothing is looked at before the end; all seeds count. The data set lies on the GPU as bytes
and is cropped and mirrored there, an epoch at a time; forward and backward are compiled; Muon works on stacks of
filters. The plain loop is the same network and recipe, eager, in bf16 autocast.
Results go to benchmarks/results/gpu_sprint.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dojang
from dojang.data import scan
from dojang.data.options import DataOptions
from dojang.data.prepare import prepare
from dojang.models.build import build
from dojang.models.sprint import Sprint
from dojang.train import optimizers
from dojang.train.options import TrainOptions

EPOCHS, BATCH, SMOOTHING, PAD, DOUBTFUL = 8, 2000, 0.2, 2, 0.25


class Data:
    """All pictures on the device, normalised to bf16 when they are asked for."""

    def __init__(self, data: str, root: str | None, device: torch.device, most: int | None) -> None:
        manifest = scan.find(data, root)
        made = prepare(manifest, DataOptions(val="none"), seed=0, default_size=32, threads=2)
        block = made.store.block()
        assert block is not None
        pixels = torch.from_numpy(block.copy()).permute(0, 3, 1, 2)
        targets = torch.from_numpy(made.manifest.targets)
        parts = {name: torch.from_numpy(made.manifest.rows(name))[:most] for name in ("train", "test")}
        self.pixels = {name: pixels[rows].to(device) for name, rows in parts.items()}
        self.targets = {name: targets[rows].to(device) for name, rows in parts.items()}
        self.mean = torch.tensor(made.preprocess.mean, device=device).view(1, 3, 1, 1) * 255
        self.std = torch.tensor(made.preprocess.std, device=device).view(1, 3, 1, 1) * 255

    def normalised(self, pixels: Tensor) -> Tensor:
        """float32, channels_last."""
        return ((pixels.float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


def augmented(padded: Tensor, flipped: Tensor, epoch: int, side: int, draw: torch.Generator) -> Tensor:
    """A whole epoch of crops in one gather; every picture is mirrored in every other epoch."""
    n, device = len(padded), padded.device
    down, right = (torch.randint(2 * PAD + 1, (n, 1), device=device, generator=draw) for _ in range(2))
    line = torch.arange(side, device=device)[None]
    rows = down + line  # (n, side)
    columns = right + torch.where((flipped ^ (epoch % 2 == 1))[:, None], side - 1 - line, line)
    picture = torch.arange(n, device=device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[picture, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def one_run(
    data: Data, seed: int, model: Sprint, net: nn.Module, device: torch.device, labels: Tensor
) -> dict[str, float]:
    """Train and score once.

    Args:
        model: The network, whose weights are set anew.
        net: The same network, or what a compiler made of it; it is compiled once for all runs.
    """
    fresh = build("sprint", in_channels=3, classes=10, image_size=(32, 32), seed=seed)
    model.load_state_dict(fresh.state_dict())
    model.train()
    options = TrainOptions(optimizer="muon", lr=0.24, momentum=0.6, batch_size=BATCH, precision="bf16")
    optimizer = optimizers.make(model, options)
    draw = torch.Generator(device).manual_seed(seed)
    train = data.pixels["train"]
    per_epoch = len(train) // BATCH
    total = EPOCHS * per_epoch
    clock = Clock(device)

    model.fit_stem(data.normalised(train[torch.randperm(len(train), device=device, generator=draw)[:5000]]))
    padded = F.pad(data.normalised(train), (PAD,) * 4, mode="reflect").bfloat16()
    flipped = torch.rand(len(train), device=device, generator=draw) < 0.5
    step = 0
    for epoch in range(EPOCHS):
        pictures = augmented(padded, flipped, epoch, train.shape[2], draw)
        order = torch.randperm(len(train), device=device, generator=draw)
        for first in range(0, per_epoch * BATCH, BATCH):
            rows = order[first : first + BATCH]
            for group in optimizer.param_groups:
                group["lr"] = 0.24 * group["share"] * max(0.0, 1 - step / total / group["until"])
            with torch.autocast(device.type, torch.bfloat16):
                outputs = net(pictures[rows].contiguous(memory_format=torch.channels_last))
            F.cross_entropy(outputs.float(), labels[rows], label_smoothing=SMOOTHING).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
    top1, with_views = score(model.eval(), data, device)
    return {"seed": seed, "seconds": clock.seconds(), "top1": top1, "top1_tta": with_views}


@torch.inference_mode()
def score(model: nn.Module, data: Data, device: torch.device) -> tuple[float, float]:
    """Accuracy from one view, and with six views of the least confident quarter."""
    images, targets = data.normalised(data.pixels["test"]), data.targets["test"]

    def ask(x: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return torch.cat([model(part).float() for part in x.split(2000)])

    single = ask(images)
    found = single.clone()
    rows = single.softmax(1).amax(1).argsort()[: int(DOUBTFUL * len(single))]
    wide = F.pad(images[rows], (1,) * 4, mode="reflect")
    side = images.shape[2]
    views = [(0.5, images[rows]), (0.25, wide[:, :, :side, :side]), (0.25, wide[:, :, 2:, 2:])]
    found[rows] = sum((w / 2 * (ask(v) + ask(v.flip(3))) for w, v in views), torch.zeros_like(single[rows]))
    return tuple(float((answer.argmax(1) == targets).float().mean()) for answer in (single, found))  # type: ignore[return-value]


class Clock:
    """Time on the device, by its own events."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        if self.cuda:
            torch.cuda.synchronize()
            self.events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            self.events[0].record()
        self.began = time.perf_counter()

    def seconds(self) -> float:
        if not self.cuda:
            return time.perf_counter() - self.began
        self.events[1].record()
        torch.cuda.synchronize()
        return self.events[0].elapsed_time(self.events[1]) / 1000


def summary(runs: list[dict[str, float]]) -> dict[str, object]:
    """n, mean, spread."""
    found: dict[str, object] = {"n": len(runs)}
    for name in ("seconds", "top1", "top1_tta"):
        values = [run[name] for run in runs]
        spread = statistics.stdev(values) if len(values) > 1 else None
        found[name] = {"mean": statistics.mean(values), "sd": spread, "min": min(values), "max": max(values)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", help="folder with cifar-10-batches-py")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--plain-runs", type=int, default=5)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--pictures", type=int, help="take only so many of each split, to try the script")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "gpu_sprint.json")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    data = Data(options.data, options.data_root, device, options.pictures)
    result: dict[str, object] = {
        "what": "CIFAR-10, sprint, 8 epochs; seconds of whitening, training and scoring (airbench's convention)",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor(),
        "torch": torch.__version__,
        "dojang": dojang.__version__,
    }
    for name, count in (("compiled", options.runs), ("plain", options.plain_runs)):
        if not count:
            continue
        model = build("sprint", in_channels=3, classes=10, image_size=(32, 32), seed=0)
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        net = torch.compile(model, mode="max-autotune-no-cudagraphs") if name == "compiled" else model
        # the warm-up learns nothing: its labels are random
        noise = torch.randint(10, data.targets["train"].shape, device=device)
        one_run(data, 10_000, model, net, device, noise)
        runs = []
        for seed in range(count):
            runs.append(one_run(data, seed, model, net, device, data.targets["train"]))
            print(f"{name} {seed}: {runs[-1]}", flush=True)
        result[name] = summary(runs) | {"runs": runs}
        options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k not in ("compiled", "plain")}, indent=2))


if __name__ == "__main__":
    main()
