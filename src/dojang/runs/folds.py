"""K-fold cross-validation: every picture judged once, by a network that has not learned it.

The pictures are divided into K parts; each network learns from all parts but one, and that one is its test part, looked
at once, at the end.  Nothing is chosen by it: without ``--val`` the last weights are scored, with it the best by a part
of what the network may learn from.  Pictures are decoded once for all.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dojang import files
from dojang.data import division, split
from dojang.data.manifest import Manifest
from dojang.data.options import DataOptions
from dojang.data.prepare import Prepared
from dojang.data.statistics import statistics
from dojang.errors import TrainError, many
from dojang.evaluate import files as evaluation_files
from dojang.evaluate.chosen import chosen
from dojang.evaluate.evaluate import Evaluation, evaluate
from dojang.metrics.repeats import of_runs
from dojang.runs import folder as names
from dojang.runs import several, validate
from dojang.runs.recipe import Recipe
from dojang.runs.several import Part
from dojang.train.guard import Stop
from dojang.train.log import Reporter

#: the split of predictions that no network has learned, in the files above the folds
OUT_OF_FOLD = "out_of_fold"
#: what is not left open here: a picture that trains one network judges another, so all of its pixels are read
FIXED: Mapping[str, Any] = {"scaled_decoding": False}


def pooled(manifest: Manifest) -> Manifest:
    """The manifest as folds are made of it: what is not test takes part, a validation part of the data too."""
    return manifest.replace(splits=tuple("test" if split == "test" else "train" for split in manifest.splits))


def undivided(options: DataOptions) -> DataOptions:
    """The options with which pictures are prepared for all folds at once: only a test part is set apart."""
    return replace(options, val="none")


def parts(prepared: Prepared, recipe: Recipe) -> list[Part]:
    """A run for each fold; none for a recipe without folds.

    Raises:
        ConfigError: C212 where a class has fewer pictures, or groups, than there are folds.
    """
    if recipe.run.folds is None:
        return []
    chosen = recipe.data.val not in (None, "none")
    made = []
    whole = prepared.manifest
    aside = np.array(whole.splits) == "test"
    for number, fold in enumerate(division.folds(whole, recipe.run.folds, recipe.train.seed), 1):
        # what judges a network is its test part
        manifest = fold.replace(splits=tuple("test" if split == "val" else split for split in fold.splits))
        if chosen:
            manifest = split.assign(manifest, val=recipe.data.val, seed=recipe.train.seed)
        # nobody looks at what is set aside
        manifest = manifest.replace(
            splits=tuple("" if out else name for out, name in zip(aside, manifest.splits, strict=True)), notes=()
        )
        preprocess = prepared.preprocess
        if recipe.data.normalize != "weights":
            # of what this network learns from, and of nothing else
            mean, std = statistics(prepared.store, manifest.rows("train"), preprocess, recipe.data.normalize)
            preprocess = replace(preprocess, mean=mean, std=std)
        made.append(Part(names.FOLD.format(number), replace(prepared, manifest=manifest, preprocess=preprocess)))
    return made


def table(prepared: Prepared, made: Sequence[Part]) -> str:
    """splits.csv of them all: that of a run, and for each picture the fold that judges it."""
    manifest = prepared.manifest.replace(groups=made[0].prepared.manifest.groups)
    return manifest.to_csv(_folds(made).tolist())


def train(
    folder: Path,
    recipe: Recipe,
    made: Sequence[Part],
    facts: Mapping[str, Any],
    device: torch.device,
    model: nn.Module | None,
    reporter: Reporter,
    stop: Stop,
) -> None:
    """Train the folds that are not finished, then put the answers of all together.

    Raises:
        TrainError: T321 where all of it was done before; those of :func:`dojang.runs.several.train`.
    """
    if "training" in validate.metrics_of(folder):
        raise TrainError("T321", f"{str(folder)!r} is finished: all {len(made)} folds.", fix="train anew.")
    manifest = made[0].prepared.manifest
    aside = sum(1 for name in manifest.splits if not name)
    count = len(manifest) - aside
    said = f"folds: {many(count, 'picture')} in {len(made)} parts, each class in proportion"
    said += ", whole groups" if any(manifest.groups) else ""
    reporter.note(f"{said}, seed {recipe.train.seed}")
    if aside:
        reporter.note(f"test: {many(aside, 'picture')} set aside; the folds do not look at them")

    def line(part: Part, metrics: Mapping[str, Any]) -> str:
        found = metrics["test"]
        return (
            f"{part.name} of {len(made)}  top-1 {found['top1']['value']:.4f}  macro F1 {found['macro_f1']['value']:.4f}"
            f"  n {found['n']:,}  {metrics['training']['seconds']:.1f} s"
        )

    recipe = several.train(
        folder, recipe, made, facts, device=device, model=model, reporter=reporter, stop=stop, line=line
    )
    _summary(folder, recipe, made, device, model, aside)


def _folds(made: Sequence[Part]) -> np.ndarray:
    """The number of the fold that judges each row, from 1 on; 0 for none. int64 (n,)."""
    number = np.zeros(len(made[0].prepared.manifest), np.int64)
    for fold, part in enumerate(made, 1):
        number[part.prepared.manifest.rows("test")] = fold
    return number


def _summary(
    folder: Path, recipe: Recipe, made: Sequence[Part], device: torch.device, model: nn.Module | None, aside: int
) -> None:
    """The files above the folds: scores, every picture's answer, the confusion matrix."""
    found = []
    for part in made:
        predictor = validate.load(folder / part.name, model=copy.deepcopy(model), device=str(device))
        p = part.prepared
        found.append(evaluate(predictor, p.store, p.manifest, "test", tta=recipe.task.tta))
    number = _folds(made)
    rows = np.concatenate([part.prepared.manifest.rows("test") for part in made])
    order = np.argsort(rows, kind="stable")

    def together(columns: Sequence[np.ndarray]) -> np.ndarray:
        joined: np.ndarray = np.concatenate(columns)[order]
        return joined

    paths = [path for one in found for path in one.paths]
    whole = Evaluation(
        OUT_OF_FOLD,
        tuple(paths[i] for i in order.tolist()),
        together([one.true for one in found]),
        together([one.probabilities for one in found]),
        found[0].labels,
        sum(one.seconds for one in found),
        together([one.augmented for one in found]) if recipe.task.tta != "none" else None,  # type: ignore[misc]
        pictures={path: picture for one in found for path, picture in one.pictures.items()},
    )
    # weights of a cross-validation are chosen where --val takes pictures from what each network learns from
    by = {name: value for name, value in chosen(names.weights_of(folder / made[0].name)).items() if name != "file"}
    metrics = evaluation_files.write(folder, [whole], chosen=by)
    judged = number[rows[order]].tolist()
    answers = zip(evaluation_files.answers(whole), judged, strict=True)
    header = (*evaluation_files.PREDICTIONS, "fold")
    rows_of = ([*answer, str(fold)] for answer, fold in answers)
    files.write_text(folder / names.PREDICTIONS, evaluation_files.table([header, *rows_of]))
    sure = zip(whole.paths, whole.probabilities.tolist(), strict=True)
    shares = ([path, *(f"{value:.6g}" for value in row)] for path, row in sure)
    files.write_text(folder / names.PROBABILITIES, evaluation_files.table([("path", *whole.labels), *shares]))
    runs = [validate.metrics_of(folder / part.name) for part in made]
    metrics["folds"] = {
        "count": len(made),
        "runs": [{"name": part.name, "n": run["test"]["n"]} for part, run in zip(made, runs, strict=True)],
        "scores": of_runs([run["test"] for run in runs], shared=1 / (len(made) - 1)),
        "set_aside": aside,
    }
    metrics["training"] = {
        "steps": sum(run["training"]["steps"] for run in runs),
        "seconds": round(sum(run["training"]["seconds"] for run in runs), 3),
        "evaluation_seconds": round(sum(run["training"]["evaluation_seconds"] for run in runs) + whole.seconds, 3),
    }
    files.write_json(folder / names.METRICS, metrics)
