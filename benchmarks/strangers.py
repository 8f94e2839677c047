"""How many pictures of something else are among the farthest tenth, and how many are named.

    dojang convert FILE.pth --model squeezenet1_1
    python benchmarks/strangers.py --photos FOLDER --weights FILE.safetensors --data-root FOLDER \\
        --cells TAR --streets TAR

FOLDER holds photographs in class folders.  Among them 45 pictures of one kind are put, under labels drawn by seed; the
features come from the weights.  The measure was chosen on seeds 100 to 102, with pictures of the first seven kinds; the
last three kinds were not looked at before.  Kept in benchmarks/results/strangers.json.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import dojang
from dojang.data.manifest import Manifest
from dojang.data.pairs import from_pairs
from dojang.data.scan import find
from dojang.doctor import strangers, suspects
from dojang.predict.predictor import Predictor

RESULTS = Path(__file__).parent / "results" / "strangers.json"
# pictures of each kind that the choice was made with, and that the figures are of
CHOSEN, REPORTED, PLANTED = 100, 100, 45
UNSEEN = ("fashion", "charts", "architecture")
WORDS = ("the", "of", "and", "to", "in", "is", "that", "it", "was", "for", "on", "are", "as", "with", "this", "from")


def png(levels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def larger(levels: np.ndarray) -> bytes:
    image = Image.fromarray(levels.reshape(levels.shape[:2]) if levels.shape[-1] == 1 else levels)
    return png(np.asarray(image.resize((256, 256), Image.Resampling.BILINEAR)))


def from_set(name: str, root: Path | None, draw: np.random.Generator, count: int) -> list[bytes]:
    manifest = find(name, None if root is None else str(root))
    rows = [row for row, label in enumerate(manifest.targets.tolist()) if manifest.classes[label] != "dog"]
    return [larger(np.asarray(manifest.source.read(manifest.paths[row]))) for row in draw.choice(rows, count, False)]


def from_tar(path: Path, draw: np.random.Generator, count: int) -> list[bytes]:
    with tarfile.open(path) as archive:
        names = sorted(name for name in archive.getnames() if name.endswith(".jpg"))
        picked = [archive.extractfile(names[i]) for i in draw.choice(len(names), count, False)]
        return [file.read() for file in picked if file is not None]


def noise(draw: np.random.Generator, number: int) -> np.ndarray:
    levels = draw.integers(0, 256, (256, 340, 3), dtype=np.uint8)
    if number % 2:
        soft = Image.fromarray(levels).filter(ImageFilter.GaussianBlur(draw.uniform(1, 8)))
        return (np.asarray(soft, float) - 128) * draw.uniform(2, 10) + 128
    return levels


def texture(draw: np.random.Generator, number: int) -> np.ndarray:
    y, x = np.mgrid[:256, :340]
    angle, width = draw.uniform(0, 6.3), int(draw.integers(8, 60))
    slope = np.cos(angle) * x / 340 + np.sin(angle) * y / 256
    found = [
        np.zeros((256, 340)),
        (slope - slope.min()) / np.ptp(slope),
        (x * np.cos(angle) + y * np.sin(angle)) // width % 2,
        (x // width + y // width) % 2,
    ][number % 4]
    one, other = draw.integers(0, 256, 3), draw.integers(0, 256, 3)
    levels: np.ndarray = one + (other - one) * found[..., None] + draw.normal(0, 2, (256, 340, 3))
    return levels


def text(draw: np.random.Generator, number: int) -> np.ndarray:
    page = Image.new("RGB", (400, 300), tuple(draw.integers(225, 256, 3).tolist()))
    pen, size = ImageDraw.Draw(page), int(draw.integers(9, 22))
    font, ink = ImageFont.load_default(size), tuple(draw.integers(0, 70, 3).tolist())
    for top in range(8, 300, int(size * 1.4)):
        pen.text((10, top), " ".join(draw.choice(WORDS, 40))[: int(760 / size)], fill=ink, font=font)
    return np.asarray(page)


def chart(draw: np.random.Generator, number: int) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4, 2.56), dpi=100)
    canvas, axes = FigureCanvasAgg(figure), figure.subplots()
    values = draw.normal(size=(3, 20)).cumsum(axis=1)
    if number % 3 == 0:
        axes.plot(values.T)
    elif number % 3 == 1:
        axes.bar(range(20), np.abs(values[0]))
    else:
        axes.scatter(values[0], values[1])
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3]


def architecture(draw: np.random.Generator, number: int) -> np.ndarray:
    """A cut of scikit-learn's photograph of a palace."""
    from sklearn.datasets import load_sample_image

    whole = load_sample_image("china.jpg")
    height, width = (int(draw.integers(150, 300)) for _ in range(2))
    top, left = int(draw.integers(0, 427 - height)), int(draw.integers(0, 640 - width))
    levels: np.ndarray = whole[top : top + height, left : left + width]
    return levels


def kinds(options: argparse.Namespace, first: bool = False) -> dict[str, list[bytes]]:
    """Pictures by kind: those that the figures are of, or the ``first``, that the choice was made with."""
    count = CHOSEN + REPORTED
    draw = np.random.default_rng(5)
    found = {
        "digits": from_set("mnist", options.data_root, draw, count),
        "cifar": from_set("cifar10", options.data_root, draw, count),
        "noise": [png(noise(draw, i)) for i in range(count)],
        "textures": [png(texture(draw, i)) for i in range(count)],
        "text": [png(text(draw, i)) for i in range(count)],
        "cells": from_tar(options.cells, draw, count),
        "streets": from_tar(options.streets, draw, count),
        "fashion": from_set("fashion-mnist", options.data_root, draw, count),
        "charts": [png(chart(draw, i)) for i in range(count)],
        "architecture": [png(architecture(draw, i)) for i in range(count)],
    }
    part = slice(CHOSEN) if first else slice(CHOSEN, count)
    return {kind: pictures[part] for kind, pictures in found.items()}


def features(predictor: Predictor, manifest: Manifest) -> np.ndarray:
    return suspects.features(predictor, manifest, threads=2)[1]


def spread(values: list[float]) -> dict[str, Any]:
    found = {"values": [round(v, 4) for v in values], "mean": round(statistics.mean(values), 4)}
    return found | {"sd": round(statistics.stdev(values), 4) if len(values) > 1 else None}


def arguments(about: str | None, out: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--cells", type=Path, required=True)
    parser.add_argument("--streets", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=out)
    return parser


def main() -> None:
    options = arguments(__doc__, RESULTS).parse_args()

    predictor, photos = Predictor.load(options.weights), find(options.photos)
    own, targets, classes = features(predictor, photos), photos.targets, len(photos.classes)
    count = len(own)
    clean = strangers.findings(photos, np.arange(count), strangers.apart(own, targets, classes))
    pool = {}
    for kind, pictures in kinds(options).items():
        pool[kind] = features(predictor, from_pairs([(picture, 0) for picture in pictures], ["any"]))
    pool["all kinds mixed"] = np.concatenate(list(pool.values()))
    kept: dict[str, Any] = {}
    for kind, seen in pool.items():
        shares: dict[str, list[float]] = {name: [] for name in ("top_5_percent", "top_10_percent", "named", "false")}
        for seed in range(options.seeds):
            draw = np.random.default_rng(seed)
            picked = seen[draw.choice(len(seen), PLANTED, replace=False)]
            labels = np.concatenate([targets, draw.integers(0, classes, PLANTED)])
            far = strangers.apart(np.concatenate([own, picked]), labels, classes)
            order = np.argsort(-far, kind="stable")
            for name, share in (("top_5_percent", 0.05), ("top_10_percent", 0.1)):
                shares[name].append(float((order[: round(share * len(far))] >= count).sum()) / PLANTED)
            made = photos.replace(
                paths=tuple(map(str, range(len(far)))),
                labels=tuple((int(label),) for label in labels),
                splits=("",) * len(far),
                groups=("",) * len(far),
            )
            named = [int(finding.paths[0]) for finding in strangers.findings(made, np.arange(len(far)), far)]
            shares["named"].append(sum(row >= count for row in named) / PLANTED)
            shares["false"].append(sum(row < count for row in named))
        kept[kind] = {"looked_at_before": kind not in UNSEEN} | {name: spread(v) for name, v in shares.items()}
        print(kind, {name: kept[kind][name]["mean"] for name in shares}, flush=True)
    found = {
        "pictures": count,
        "planted": PLANTED,
        "seeds": options.seeds,
        "weights": options.weights.stem,
        "named_of_clean_pictures": len(clean),
        "named": [finding.paths[0] for finding in clean],
        "kinds": kept,
        "dojang": dojang.__version__,
    }
    print("named where nothing was planted:", found["named"])
    options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
