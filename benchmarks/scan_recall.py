"""What `dojang scan` finds of what was planted, and what it finds where nothing was: recall and false alarms by kind.

    python benchmarks/scan_recall.py --photos FOLDER [--mnist FOLDER] [--planted 100]

FOLDER holds photographs in class folders.  Copies of some, drawn from a seed, are planted among all of them: the same
bytes, the same pixels in a PNG, re-encoded at quality 50 and 75 and as WebP, halved, cropped by 5 % at most.  MNIST's
pictures go through the same at 28 x 28.  Pairs found among what was there before are false alarms, unless looked at
and found to be one picture (``--known`` names a CSV of them).  Kept in benchmarks/results/scan_recall.json.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import dojang
from dojang.data.scan import find
from dojang.doctor.scan import scan

RESULTS = Path(__file__).parent / "results" / "scan_recall.json"
SEED = 0


def encoded(image: Image.Image, kind: str, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, quality=quality)
    return file.getvalue()


def cropped(image: Image.Image, draw: random.Random) -> Image.Image:
    """Up to 5 % of each side cut away, from either end."""
    width, height = image.size
    across, down = round(width * draw.uniform(0, 0.05)), round(height * draw.uniform(0, 0.05))
    left, top = draw.randint(0, across), draw.randint(0, down)
    return image.crop((left, top, width - across + left, height - down + top))


def halved(image: Image.Image) -> Image.Image:
    return image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.BILINEAR)


KINDS: dict[str, Callable[[Image.Image, random.Random], bytes]] = {
    "same pixels": lambda image, draw: encoded(image, "PNG", 0),
    "quality 75": lambda image, draw: encoded(image, "JPEG", 75),
    "quality 50": lambda image, draw: encoded(image, "JPEG", 50),
    "webp": lambda image, draw: encoded(image, "WEBP", 75),
    "halved": lambda image, draw: encoded(halved(image), "JPEG", 90),
    "cropped": lambda image, draw: encoded(cropped(image, draw), "JPEG", 90),
}


class Planted:
    """Pictures in memory by name: those that were there, and copies of some."""

    name = "planted"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, path: str) -> bytes:
        return self.files[path]


def measure(files: dict[str, bytes], planted: int) -> dict[str, Any]:
    """Recall by kind, and the pairs found among the pictures that were there."""
    names = sorted(files)
    draw = random.Random(SEED)
    every = dict(files)
    wanted: dict[str, set[tuple[str, str]]] = {"same bytes": set(), **{kind: set() for kind in KINDS}}
    for kind in wanted:
        for name in draw.sample(names, min(planted, len(names))):
            copy = f"{name}~{kind}"
            if kind == "same bytes":
                every[copy] = files[name]
            else:
                image = Image.open(io.BytesIO(files[name]))
                every[copy] = KINDS[kind](image.convert("RGB" if image.mode != "L" else "L"), draw)
            wanted[kind].add((name, copy))
    from dojang.data.manifest import Manifest

    paths = tuple(every)
    manifest = Manifest(
        Planted(every),
        ("a", "b"),
        paths,
        tuple((i % 2,) for i in range(len(paths))),
        ("",) * len(paths),
        ("",) * len(paths),
    )
    began = time.perf_counter()
    report, _ = scan(manifest, threads=2, max_pixels=50_000_000)
    seconds = time.perf_counter() - began
    found = {tuple(sorted(one.paths)) for one in report.findings if len(one.paths) == 2}
    # copies of one picture are pairs, too: a picture counts as found when a road of pairs leads to it
    root = {path: path for path in paths}

    def top(path: str) -> str:
        while root[path] != path:
            path = root[path]
        return path

    for one, other in found:
        root[top(one)] = top(other)
    recall = {kind: sum(top(a) == top(b) for a, b in pairs) for kind, pairs in wanted.items()}
    alarms = sorted(pair for pair in found if pair[0].split("~")[0] != pair[1].split("~")[0])
    return {
        "pictures": len(files),
        "planted_each": min(planted, len(names)),
        "found": recall,
        "pairs_of_different_pictures": [list(pair) for pair in alarms],
        "seconds": round(seconds, 2),
        "pictures_a_second": round(len(every) / seconds),
    }


def speed(folder: Path, rounds: int = 7) -> dict[str, Any]:
    """Photographs a second, of clean ones, each scan from the files; the first of a process loads code, too."""
    manifest = find(folder)
    rates = []
    for _ in range(rounds):
        report, _ = scan(manifest, threads=2, max_pixels=50_000_000)
        rates.append(round(len(manifest) / report.seconds))
    size = sum(len(manifest.source.read(path)) for path in manifest.paths) / len(manifest)
    return {
        "first": rates[0],
        "later_median": statistics.median(rates[1:]),
        "later_low": min(rates[1:]),
        "later_high": max(rates[1:]),
        "rounds": rounds,
        "bytes_each": round(size),
        "findings": len(report.findings),
    }


def photographs(folder: Path) -> dict[str, bytes]:
    manifest = find(folder)
    return {path: bytes(manifest.source.read(path)) for path in manifest.paths}


def small(count: int, data_root: str | None) -> dict[str, bytes]:
    """Pictures of MNIST as PNG files."""
    manifest = find("mnist", data_root)
    files = {}
    # the last ones: thresholds were chosen on the first 3,000
    for path in manifest.paths[-count:]:
        levels = manifest.source.read(path)
        assert isinstance(levels, np.ndarray)
        files[path] = encoded(Image.fromarray(levels.reshape(28, 28)), "PNG", 0)
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of class folders")
    parser.add_argument("--mnist", type=int, default=0, metavar="N", help="so many pictures of MNIST, too")
    parser.add_argument("--data-root", help="where MNIST is")
    parser.add_argument("--planted", type=int, default=100, help="copies of each kind")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    kept: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    kept["machine"] = {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "dojang": dojang.__version__,
    }
    if options.photos:
        kept["photographs_a_second"] = speed(options.photos)
        print(kept["photographs_a_second"])
        kept["photographs"] = measure(photographs(options.photos), options.planted)
    if options.mnist:
        kept["mnist"] = measure(small(options.mnist, options.data_root), options.planted)
    for name in ("photographs", "mnist"):
        if name in kept:
            one = kept[name]
            print(f"{name}: {one['pictures']:,} pictures, {one['pictures_a_second']:,} a second")
            for kind, number in one["found"].items():
                print(f"  {kind:12} {number} of {one['planted_each']}")
            print(f"  pairs of different pictures: {len(one['pairs_of_different_pictures'])}")
    options.out.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
