"""Time the road from photographs on the disk to pictures that training can cut batches from, beside torchvision's.

    python benchmarks/photo_road.py --data FOLDER [--runs 5] [--threads 2]

FOLDER holds one folder of photographs a class. Three comparisons, interleaved, each measurement in a process of its
own:

- first pass over the photographs: all of ``dojang.data.prepare`` (digest, header, split, decode, resize, mean and
  deviation) against one epoch of ImageFolder + Resize + CenterCrop + ToTensor through DataLoader(num_workers=2);
- the same on photographs of 8 megapixels, made from the first ones by Pillow (bicubic, JPEG quality 88), all of them
  for training: dojang decodes those at 1/8 of their sides (``--scaled-decoding``, on unless switched off; also timed
  off, and with 80 % of them for training, as data without splits is divided);
- later epochs, the mean of three: dojang's Loader on the store, with random cuts and mirroring, against torchvision's
  decoding again, in the same process as its first.

Each begins with the list of files not yet read and ends with the last picture in hand; imports are done before on both
sides, the files are in the page cache on both sides, and the kernel that resizes is compiled before
(``compile_seconds`` says what that takes, once a machine). Results go to benchmarks/results/photo_road.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image

import dojang
from dojang.data import resize
from dojang.data.augment import Augment
from dojang.data.loader import Loader
from dojang.data.options import DataOptions
from dojang.data.prepare import prepare
from dojang.data.scan import find
from dojang.train import allocator

BATCH = 64
# of the shorter side that is kept to the side that the network sees, as in torchvision's Resize(256), CenterCrop(224)
MARGIN = 256 / 224
LARGE = 3264, 2448
LATER = 3


def torchvision_epochs(folder: Path, size: int, workers: int) -> dict[str, float]:
    """Seconds of the first epoch and of later ones."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms  # type: ignore[import-untyped]

    change = transforms.Compose(
        [transforms.Resize(round(size * MARGIN)), transforms.CenterCrop(size), transforms.ToTensor()]
    )
    seconds = []
    for _ in range(1 + LATER):
        began = time.perf_counter()
        data = datasets.ImageFolder(folder, transform=change)
        count = sum(len(images) for images, _ in DataLoader(data, batch_size=BATCH, num_workers=workers))
        seconds.append(time.perf_counter() - began)
    return {"first": seconds[0], "later": statistics.mean(seconds[1:]), "pictures": count}


def dojang_epochs(folder: Path, size: int, threads: int, options: DataOptions) -> dict[str, float]:
    """Seconds of all that is done before training, and of an epoch of batches."""
    resize.kernel()
    began = time.perf_counter()
    manifest = find(folder)
    if options.val == "none":
        manifest = manifest.replace(splits=("train",) * len(manifest))
    # as `dojang train` does: freed memory is kept for the next pictures, and for the next batches
    with allocator.keeping():
        prepared = prepare(manifest, options, seed=0, default_size=size, threads=threads)
    first = time.perf_counter() - began
    rows = np.arange(len(prepared.store))
    augment = Augment("horizontal")
    loader = Loader(prepared.store, rows, prepared.preprocess, batch_size=BATCH, augment=augment, threads=threads)
    with allocator.keeping():
        began = time.perf_counter()
        count = sum(len(batch.rows) for epoch in range(1, 1 + LATER) for batch in loader.batches(epoch))
        later = (time.perf_counter() - began) / LATER
    return {"first": first, "later": later, "pictures": count // LATER}


def enlarge(folder: Path, target: Path, count: int) -> None:
    """Some of the photographs, evenly taken, as JPEGs of 8 megapixels."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    for path in paths[:: max(1, len(paths) // count)][:count]:
        with Image.open(path) as image:
            large = LARGE if image.width >= image.height else LARGE[::-1]
            place = target / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            image.convert("RGB").resize(large, Image.Resampling.BICUBIC).save(place, "JPEG", quality=88)


def compile_seconds() -> float:
    """What the kernel takes to compile, in an empty cache."""
    code = "import time; from dojang.data import resize; t = time.perf_counter(); resize.kernel(); "
    code += "print(time.perf_counter() - t)"
    with tempfile.TemporaryDirectory() as cache:
        words = [sys.executable, "-c", code]
        found = subprocess.run(words, env=os.environ | {"DOJANG_CACHE": cache}, stdout=subprocess.PIPE, check=True)
        return float(found.stdout)


def resize_rates(folder: Path, size: int) -> dict[str, float]:
    """Milliseconds a megapixel of decoded picture, by Pillow and by the kernel, on one thread."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[:300]
    images = [Image.open(path).convert("RGB") for path in paths]
    scales = [size * MARGIN / min(image.size) for image in images]
    sizes = [(round(i.height * s), round(i.width * s)) for i, s in zip(images, scales, strict=True)]
    pixels = sum(image.width * image.height for image in images)
    found = {}
    for name, one in (("pillow", resize.with_pillow), ("kernel", resize.kernel() or resize.with_pillow)):
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            for image, to in zip(images, sizes, strict=True):
                one(image, to, "bilinear", None)
            seconds.append(time.perf_counter() - began)
        found[name] = round(statistics.median(seconds) / pixels * 1e9, 3)
    return found


def in_its_own_process(which: str, folder: Path, options: argparse.Namespace, size: int) -> dict[str, float]:
    words = [sys.executable, __file__, "--one", which, "--data", str(folder), "--size", str(size)]
    words += ["--threads", str(options.threads)]
    printed = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, float] = json.loads(printed.splitlines()[-1])
    return found


def summary(pairs: list[dict[str, dict[str, float]]], ours: str, ours_pass: str, theirs_pass: str) -> dict[str, Any]:
    """Median and spread of seconds, pictures a second, and of the ratio in each pair."""
    ratios = [pair["torchvision"][theirs_pass] / pair[ours][ours_pass] for pair in pairs]
    found: dict[str, Any] = {"n": len(pairs)}
    for name, step in (("torchvision", theirs_pass), (ours, ours_pass)):
        seconds = [pair[name][step] for pair in pairs]
        found[name] = {
            "median_seconds": round(statistics.median(seconds), 4),
            "lowest": round(min(seconds), 4),
            "highest": round(max(seconds), 4),
            "images_per_second": round(pairs[0][name]["pictures"] / statistics.median(seconds)),
        }
    found["median_ratio"] = round(statistics.median(ratios), 3)
    found["lowest_ratio"], found["highest_ratio"] = round(min(ratios), 3), round(max(ratios), 3)
    return found


def compare(sides: tuple[str, ...], folder: Path, options: argparse.Namespace, size: int) -> list[Any]:
    """Interleaved measurements; after each round the other side begins, and a first round is not counted."""
    pairs = []
    for run in range(options.runs + 1):
        order = sides if run % 2 else sides[::-1]
        found = {side: in_its_own_process(side, folder, options, size) for side in order}
        told = ", ".join(f"{side} {found[side]['first']:.3f} / {found[side]['later']:.4f} s" for side in sides)
        print(f"{size} px, {'round ' + str(run) if run else 'not counted'}: {told}", flush=True)
        if run:
            pairs.append(found)
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of class folders of JPEGs")
    parser.add_argument("--runs", type=int, default=5, help="interleaved rounds")
    parser.add_argument("--threads", type=int, default=2, help="dojang's threads and torchvision's workers")
    parser.add_argument("--large", type=int, default=60, help="photographs of 8 megapixels")
    parser.add_argument("--size", type=int, default=128, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "photo_road.json")
    parser.add_argument("--only", choices=("photographs", "large"), help="the other's results in the file stay")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one == "torchvision":
        print(json.dumps(torchvision_epochs(options.data, options.size, options.threads)))
        return
    if options.one:
        chosen = {
            "dojang": DataOptions(),
            "dojang_train": DataOptions(val="none"),
            "dojang_unscaled": DataOptions(val="none", scaled_decoding=False),
        }[options.one]
        print(json.dumps(dojang_epochs(options.data, options.size, options.threads, chosen)))
        return
    result: dict[str, Any] = json.loads(options.out.read_text()) if options.only and options.out.exists() else {}
    result |= {
        "what": "seconds from files in the page cache to the last picture; torchvision: ImageFolder, Resize, "
        f"CenterCrop, ToTensor, DataLoader(num_workers={options.threads}); dojang: find and prepare on as many threads",
        "compile_seconds": round(statistics.median(compile_seconds() for _ in range(3)), 3),
        "resize_ms_per_megapixel": resize_rates(options.data, 128),
    }
    for size in (128, 224) if options.only != "large" else ():
        pairs = compare(("torchvision", "dojang"), options.data, options, size)
        result[f"photographs_{size}"] = summary(pairs, "dojang", "first", "first")
        result[f"later_epochs_{size}"] = summary(pairs, "dojang", "later", "later")
    if options.only != "photographs":
        with tempfile.TemporaryDirectory() as folder:
            enlarge(options.data, Path(folder), options.large)
            pairs = compare(("torchvision", "dojang_train", "dojang_unscaled", "dojang"), Path(folder), options, 128)
        result["eight_megapixels_128"] = {
            "all_for_training": summary(pairs, "dojang_train", "first", "first"),
            "all_for_training_not_scaled": summary(pairs, "dojang_unscaled", "first", "first"),
            "divided_80_10_10": summary(pairs, "dojang", "first", "first"),
            "later_epochs": summary(pairs, "dojang_train", "later", "later"),
        }
    result |= {
        "cores": os.cpu_count(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": importlib.metadata.version("torchvision"),
        "pillow": PIL.__version__,
        "numpy": np.__version__,
        "dojang": dojang.__version__,
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
