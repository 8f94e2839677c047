"""Run folders made without training, in a blink: real pictures and answers that were made up."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dojang import files, seeds
from dojang.evaluate import files as evaluation_files
from dojang.evaluate.evaluate import Evaluation
from dojang.models import build, weights
from dojang.runs import recipe as recipes


def picture(path: Path, seed: int, side: int = 12) -> bytes:
    """A small colour picture as PNG, and its bytes."""
    levels = np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)
    return path.read_bytes()


def table(rows: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Makes a run folder whose answers are right with a given share, beside the folder of its pictures."""

    def make(
        classes: Sequence[str] = ("cat", "dog", "owl"),
        *,
        each: int = 8,
        right: float = 0.6,
        curves: Sequence[tuple[float, float]] = ((1.0, 1.1), (0.6, 0.7), (0.3, 0.9)),
        options: dict[str, Any] | None = None,
        scores: dict[str, Any] | None = None,
        side: int = 12,
        name: str = "train",
    ) -> Path:
        data, folder = tmp_path / "photos", tmp_path / "runs" / name
        rows, paths, true = [], [], []
        for label, kind in enumerate(classes):
            for i in range(2 * each):
                # a class may be called anything; its folder may not
                path = f"{label:03}/{i}.png"
                bytes_ = picture(data / path, 1000 * label + i, side)
                split = "train" if i < each else "test"
                rows.append((path, kind, split, "", files.sha256(bytes_)))
                if split == "test":
                    paths.append(path)
                    true.append(label)
        n = len(true)
        draw = np.array([seeds.key(0, "answers", i) % 10_000 for i in range(n)]) / 10_000
        given = np.where(draw < right, true, (np.array(true) + 1 + (draw * 97).astype(int)) % len(classes))
        sure = 0.55 + 0.4 * ((draw * 31) % 1)
        rest = (1 - sure) / max(len(classes) - 1, 1)
        probabilities = np.repeat(rest[:, None], len(classes), axis=1).astype(np.float32)
        probabilities[np.arange(n), given] = sure if len(classes) > 1 else 1
        folder.mkdir(parents=True)
        layer = recipes.read_layer({"model": "cnn", "data_root": str(tmp_path)} | (options or {}), "test")
        facts = {"format": 1, "task": "classify", "data": str(data), "data_sha256": "0" * 64, "segments": []}
        (folder / "args.yaml").write_text(recipes.dump(recipes.resolve([layer]), facts))
        (folder / "env.json").write_text('{"format": 1, "dojang": "0", "torch": "0", "cpu": "<i>", "threads": 1}')
        splits = table([("path", "label", "split", "group", "sha256"), *rows])
        files.write_text(folder / "splits.csv", splits)
        answered = Evaluation("test", tuple(paths), np.array(true), probabilities, tuple(classes))
        files.write_text(
            folder / "predictions.csv", table([evaluation_files.PREDICTIONS, *evaluation_files.answers(answered)])
        )
        named = [(label, "test", 0, 0, 0, each) for label in classes]
        files.write_text(folder / "per_class.csv", table([evaluation_files.PER_CLASS, *named]))
        found = answered.metrics() | (scores or {})
        metrics: dict[str, Any] = {"format": 1, "test": found}
        metrics["training"] = {"weights": "best.safetensors", "step": 2, "steps": len(curves), "seconds": 1.0,
                               "evaluation_seconds": 0.5, "ended": "epochs"}  # fmt: skip
        (folder / "metrics.json").write_text(json.dumps(metrics))
        head = ("step", "epoch", "time", "lr", "train/loss", "train/top1", "val/loss", "val/top1")
        told = [(i, i, 1, 0.1, t, 1 - t / 2, v, 1 - v / 2) for i, (t, v) in enumerate(curves, 1)]
        (folder / "results.csv").write_text(table([head, *told]))
        steps_rows = [(i, i, 0.5, 0.1 / i, t) for i, (t, _) in enumerate(curves, 1)]
        (folder / "steps.csv").write_text(table([("step", "epoch", "progress", "lr", "loss"), *steps_rows]))
        model = build.build("cnn", in_channels=3, classes=len(classes), image_size=(12, 12), seed=0)
        preprocess = {"mode": "RGB", "height": 12, "width": 12}
        card = weights.Card(architecture=build.architecture(model), labels=tuple(classes), preprocess=preprocess)
        files.write_bytes(folder / "weights" / "best.safetensors", weights.dump(model.state_dict(), card))
        return folder

    return make
