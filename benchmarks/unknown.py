"""Which distance tells pictures from elsewhere, and how many of them are called unknown.

    dojang train mnist --model mnist-cnn --epochs 3 --name mnist
    dojang convert resnet20.th --model resnet20 --labels cifar10 ... --out resnet20.safetensors
    dojang convert squeezenet.pth --model squeezenet1_1 --out squeezenet.safetensors
    dojang train dogs/ --model squeezenet1_1 --pretrained squeezenet.safetensors --val 0.2 --test 0.25 --epochs 5
    python benchmarks/unknown.py --mnist RUN --dogs RUN --cifar resnet20.safetensors --data-root FOLDER \\
        --cells bccd.tar --streets camvid.tar

Known pictures are the test part of each run; what is fitted is fitted on its training part, the limit is set on its
validation part so that 95 % of it is known.  (The ResNet-20 was published without a run: 2,500 of CIFAR-10's test
pictures stand for validation, 2,500 others for test.)  For each kind of pictures from elsewhere: AUROC, and the share
that is taken for known at that limit.  The measure was chosen by these kinds; pages of text and cuts of a palace were
not looked at before, and stand by themselves.
Kept in benchmarks/results/unknown.json.
"""

from __future__ import annotations

import argparse
import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import dojang
from dojang.data import division
from dojang.data.scan import find
from dojang.metrics.scores import softmax
from dojang.predict import familiar
from dojang.predict.predictor import Predictor, batches
from dojang.runs import comparison, validate
from dojang.runs import folder as names

RESULTS = Path(__file__).parent / "results" / "unknown.json"
MOST, OUTSIDE = 5000, 400
UNSEEN = ("pages of text", "a palace")
COUNTS = (100, 250, 500, 1000, 2000, 5000)
Measure = Callable[[np.ndarray], np.ndarray]


def ask(predictor: Predictor, pictures: Iterable[bytes | np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Features and scores."""
    found = []
    for several in batches(pictures, 64):
        found.append(predictor.look(np.stack([predictor.preprocess.picture(one, "a picture") for one in several])))
    seen, scores = (torch.cat([one[i] for one in found]).cpu().numpy().astype(np.float64) for i in (0, 1))  # type: ignore[misc]
    return seen, scores


def from_tar(path: Path) -> list[bytes]:
    with tarfile.open(path) as archive:
        names = sorted(name for name in archive.getnames() if name.endswith(".jpg"))
        files = [archive.extractfile(name) for name in names[:: max(1, len(names) // OUTSIDE)][:OUTSIDE]]
        return [file.read() for file in files if file is not None]


def from_set(name: str, root: str | None) -> list[Any]:
    manifest = find(name, root)
    return [manifest.source.read(manifest.paths[row]) for row in manifest.rows("test")[:OUTSIDE]]


def shapes(draw: np.random.Generator) -> list[np.ndarray]:
    """White rectangles, ellipses, triangles and gates on black, 28 x 28."""
    made = []
    for number in range(OUTSIDE):
        image = Image.new("L", (112, 112))
        pen, fill = ImageDraw.Draw(image), int(draw.integers(120, 256))
        width, height = (int(side) for side in draw.integers(30, 90, 2))
        x, y = int(draw.integers(0, 112 - width)), int(draw.integers(0, 112 - height))
        if number % 4 == 0:
            pen.rectangle((x, y, x + width, y + height), fill=fill)
        elif number % 4 == 1:
            pen.ellipse((x, y, x + width, y + height), fill=fill)
        elif number % 4 == 2:
            pen.polygon([(x, y + height), (x + width, y + height), (x + width // 2, y)], fill=fill)
        else:
            pen.rectangle((x, y, x + width // 3, y + height), fill=fill)
            pen.rectangle((x + 2 * width // 3, y, x + width, y + height), fill=fill)
            pen.rectangle((x, y, x + width, y + height // 3), fill=fill)
        made.append(np.asarray(image.resize((28, 28), Image.Resampling.BOX))[..., None])
    return made


def letters(draw: np.random.Generator) -> list[np.ndarray]:
    """White printed letters on black, a little moved and turned, 28 x 28; none that is a digit's twin."""
    font, made = ImageFont.load_default(20), []
    for number in range(OUTSIDE):
        image = Image.new("L", (28, 28))
        at = tuple((14 + draw.integers(-2, 3, 2)).tolist())
        ImageDraw.Draw(image).text(
            at, "ABCDEFGHKMNPQRTUVWXYabdefhkmnprty"[number % 33], fill=255, font=font, anchor="mm"
        )
        made.append(np.asarray(image.rotate(float(draw.normal() * 8), resample=Image.Resampling.BILINEAR))[..., None])
    return made


def pages(draw: np.random.Generator) -> list[np.ndarray]:
    """Dark words on white."""
    words = [
        "the",
        "of",
        "and",
        "to",
        "in",
        "is",
        "that",
        "it",
        "was",
        "for",
        "on",
        "are",
        "as",
        "with",
        "this",
        "from",
    ]
    made = []
    for _ in range(OUTSIDE):
        page, size = Image.new("RGB", (400, 300), "white"), int(draw.integers(9, 22))
        for top in range(8, 300, int(size * 1.4)):
            line = " ".join(draw.choice(words, 40))[: int(760 / size)]
            ImageDraw.Draw(page).text((10, top), line, fill="black", font=ImageFont.load_default(size))
        made.append(np.asarray(page))
    return made


def palace(draw: np.random.Generator) -> list[np.ndarray]:
    """Cuts of scikit-learn's photograph."""
    from sklearn.datasets import load_sample_image

    whole, made = load_sample_image("china.jpg"), []
    for _ in range(OUTSIDE):
        side = int(draw.integers(150, 300))
        top, left = int(draw.integers(0, 427 - side)), int(draw.integers(0, 640 - side))
        made.append(np.ascontiguousarray(whole[top : top + side, left : left + side]))
    return made


def unit(rows: np.ndarray) -> np.ndarray:
    made: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return made


def mahalanobis(learned: np.ndarray, labels: np.ndarray, scale: Measure, relative: bool = False) -> Measure:
    """To the nearest class, with all of the shrunk covariance; relative: less the distance to one class of all."""
    from sklearn.covariance import ledoit_wolf

    rows = scale(learned)
    classes, own = np.unique(labels, return_inverse=True)
    means = np.array([rows[own == i].mean(axis=0) for i in range(len(classes))])
    inverse = np.linalg.inv(ledoit_wolf(rows - means[own], assume_centered=True)[0])
    middle = rows.mean(axis=0)
    background = np.linalg.inv(ledoit_wolf(rows - middle, assume_centered=True)[0])

    def of(seen: np.ndarray) -> np.ndarray:
        gaps = scale(seen)[:, None] - means
        found: np.ndarray = np.einsum("ncd,de,nce->nc", gaps, inverse, gaps).min(axis=1)
        one = scale(seen) - middle
        return found - np.einsum("nd,de,ne->n", one, background, one) if relative else found

    return of


def neighbours(learned: np.ndarray, scale: Measure, k: int = 10, most: int = 1000) -> Measure:
    kept = scale(learned[:most])

    def of(seen: np.ndarray) -> np.ndarray:
        rows = scale(seen)
        squares = (rows**2).sum(axis=1)[:, None] + (kept**2).sum(axis=1) - 2 * rows @ kept.T
        found: np.ndarray = np.sort(squares, axis=1)[:, k - 1]
        return found

    return of


def medians(learned: np.ndarray, labels: np.ndarray) -> Measure:
    """As dojang scan looks for strangers: the median cosine distance to a class, over what is usual in it."""
    rows = unit(learned)
    classes = [rows[labels == label] for label in np.unique(labels)]
    usual = [np.median(np.median(1 - some @ some.T, axis=1)) for some in classes]

    def of(seen: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.min(
            [np.median(1 - unit(seen) @ some.T, axis=1) / one for some, one in zip(classes, usual, strict=True)], axis=0
        )
        return found

    return of


def ours(learned: np.ndarray, labels: np.ndarray, held_out: np.ndarray) -> Measure:
    made = familiar.fit(torch.from_numpy(learned), torch.from_numpy(labels), torch.from_numpy(held_out))
    assert not isinstance(made, str)
    return lambda seen: made.distances(torch.from_numpy(seen)).numpy()  # type: ignore[no-any-return]


def auroc(known: np.ndarray, strange: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.r_[np.zeros(len(known)), np.ones(len(strange))], np.r_[known, strange]))


def judged(of: Measure, val: np.ndarray, test: np.ndarray, outside: dict[str, np.ndarray]) -> dict[str, Any]:
    limit = np.sort(of(val))[int(np.ceil(0.95 * (len(val) + 1))) - 1]
    known = of(test)
    found: dict[str, Any] = {"test_known": round(float((known <= limit).mean()), 4), "outside": {}}
    for name, rows in outside.items():
        far = of(rows)
        share = float((far <= limit).mean())
        found["outside"][name] = {"auroc": round(auroc(known, far), 4), "taken_for_known": round(share, 4)}
    for word, unseen in (("mean", False), ("unseen", True)):
        several = [one for name, one in found["outside"].items() if (name in UNSEEN) == unseen]
        for score in ("auroc", "taken_for_known"):
            found[f"{word}_{score}"] = round(float(np.mean([one[score] for one in several])), 4)
    return found


def one_network(
    predictor: Predictor, parts: dict[str, tuple[list[Any], np.ndarray]], strange: dict[str, list[Any]]
) -> dict[str, Any]:
    """All measures for a network.

    Args:
        parts: Pictures and label ids of train, val and test.
        strange: Pictures from elsewhere, by kind.
    """
    predictor.temperature = 1.0
    seen = {name: ask(predictor, pictures) for name, (pictures, _) in parts.items()}
    outside = {name: ask(predictor, pictures) for name, pictures in strange.items()}
    learned, labels = seen["train"][0], parts["train"][1]
    plainly: Measure = lambda rows: rows  # noqa: E731
    measures = {
        "familiar: Mahalanobis, unit length, 64 directions, 2,000 pictures": ours(
            learned[:2000], labels[:2000], seen["val"][0]
        ),
        "Mahalanobis, unit length": mahalanobis(learned, labels, unit),
        "Mahalanobis": mahalanobis(learned, labels, plainly),
        "Mahalanobis, relative": mahalanobis(learned, labels, plainly, relative=True),
        "10th neighbour of 1,000, unit length": neighbours(learned, unit),
        "10th neighbour of 1,000": neighbours(learned, plainly),
        "median cosine to a class (as scan)": medians(learned, labels),
    }
    by_scores: dict[str, Measure] = {
        "1 - top probability": lambda scores: -softmax(scores).max(axis=1),
        "energy": lambda scores: -np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1)) - scores.max(1),
    }
    found: dict[str, Any] = {"train": len(learned), "val": len(seen["val"][0]), "test": len(seen["test"][0])}
    found["features"] = learned.shape[1]
    found["measures"] = {
        name: judged(of, *(seen[part][i] for part in ("val", "test")), {k: v[i] for k, v in outside.items()})
        for i, several in enumerate((measures, by_scores))
        for name, of in several.items()
    }
    features = {name: rows for name, (rows, _) in outside.items()}
    found["familiar_by_training_pictures"] = {
        count: judged(ours(learned[:count], labels[:count], seen["val"][0]), seen["val"][0], seen["test"][0], features)
        for count in COUNTS
        if count <= len(learned)
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("mnist", "dogs"):
        parser.add_argument(f"--{name}", required=True, metavar="RUN")
    for name in ("cifar", "cells", "streets"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--data-root")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    common = {"cells": from_tar(options.cells), "streets": from_tar(options.streets)}
    common |= {"pages of text": pages(draw), "a palace": palace(draw)}
    digits, small = from_set("mnist", options.data_root), from_set("cifar10", options.data_root)
    kept: dict[str, Any] = {"dojang": dojang.__version__, "torch": torch.__version__, "networks": {}}

    def noise(side: int, channels: int) -> list[np.ndarray]:
        return list(draw.integers(0, 256, (OUTSIDE, side, side, channels), dtype=np.uint8))

    for name, run in (("mnist", options.mnist), ("dogs", options.dogs)):
        predictor = validate.load(run)

        manifest = division.again(comparison.pictures(run), names.find(run) / names.SPLITS)
        parts = {}
        for split in ("train", "val", "test"):
            rows = draw.permutation(manifest.rows(split))[:MOST]
            labels = np.array([predictor.labels.index(manifest.classes[label]) for label in manifest.targets[rows]])
            parts[split] = [manifest.source.read(manifest.paths[row]) for row in rows], labels
        strange = common | {"photographs, 32 x 32": small, "noise": noise(64, predictor.preprocess.channels)}
        strange |= {"shapes": shapes(draw), "letters": letters(draw)} if name == "mnist" else {"digits": digits}
        kept["networks"][name] = one_network(predictor, parts, strange)
    predictor, manifest = Predictor.load(options.cifar), find("cifar10", options.data_root)
    learned, others = (draw.permutation(manifest.rows(split))[:MOST] for split in ("train", "test"))
    parts = {
        split: ([manifest.source.read(manifest.paths[row]) for row in rows], manifest.targets[rows])
        for split, rows in (("train", learned), ("val", others[:2500]), ("test", others[2500:]))
    }
    kept["networks"]["cifar10"] = one_network(predictor, parts, common | {"digits": digits, "noise": noise(32, 3)})
    options.out.write_text(json.dumps(kept, indent=1) + "\n")
    for name, found in kept["networks"].items():
        print(name)
        for measure, one in found["measures"].items():
            print(
                f"  {measure:68} {one['mean_auroc']:.3f} {one['mean_taken_for_known']:.3f}  "
                f"{one['unseen_auroc']:.3f} {one['unseen_taken_for_known']:.3f}  {one['test_known']:.3f}"
            )


if __name__ == "__main__":
    main()
