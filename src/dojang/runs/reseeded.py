"""Several runs of one recipe that differ in their seed alone: how much of a score is luck.

The seed decides how a network is initialised, in which order it meets the pictures, and how they are augmented.  The
pictures are divided once, by the first seed, so every run learns from the same ones and is judged by the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dojang import files
from dojang.data.prepare import Prepared
from dojang.errors import TrainError, many
from dojang.evaluate.chosen import chosen
from dojang.metrics.repeats import of_runs
from dojang.runs import folder as names
from dojang.runs import several, validate
from dojang.runs.recipe import Recipe
from dojang.runs.several import Part
from dojang.train.guard import Stop
from dojang.train.log import Reporter


def parts(prepared: Prepared, recipe: Recipe) -> list[Part]:
    """A run for each seed, from the recipe's own on; none for a recipe without ``--seeds``."""
    first = recipe.train.seed
    seeds = range(first, first + (recipe.run.seeds or 0))
    return [Part(names.SEED.format(seed), prepared, {"seed": seed}) for seed in seeds]


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
    """Train the runs that are not finished, then put their scores together.

    Raises:
        TrainError: T321 where all of it was done before; those of :func:`dojang.runs.several.train`.
    """
    if "training" in validate.metrics_of(folder):
        raise TrainError("T321", f"{str(folder)!r} is finished: all {len(made)} seeds.", fix="train anew.")
    first, last = (part.changes["seed"] for part in (made[0], made[-1]))
    reporter.note(f"seeds: {many(len(made), 'run')}, seeds {first} to {last}, all on the division of seed {first}")
    if model is not None:
        reporter.note(
            "seeds: the network was given with its weights, so all begin alike; order and augmentation differ"
        )

    def line(part: Part, metrics: Mapping[str, Any]) -> str:
        found = metrics.get("test") or metrics.get("val")
        scores = f"top-1 {found['top1']['value']:.4f}  macro F1 {found['macro_f1']['value']:.4f}" if found else ""
        count = f"  n {found['n']:,}" if found else ""
        return f"{part.name}  {scores}{count}  {metrics['training']['seconds']:.1f} s"

    several.train(folder, recipe, made, facts, device=device, model=model, reporter=reporter, stop=stop, line=line)
    by = {name: value for name, value in chosen(names.weights_of(folder / made[0].name)).items() if name != "file"}
    metrics = summary([validate.metrics_of(folder / part.name) for part in made], made)
    files.write_json(folder / names.METRICS, metrics | {"weights": by})


def summary(runs: Sequence[Mapping[str, Any]], made: Sequence[Part]) -> dict[str, Any]:
    """What metrics.json above the runs holds: each score of each split run by run, mean, deviation, interval.

    The interval is Student's t over the runs, which differ in nothing but their seed: it is of the mean over all seeds,
    on these very pictures.  What another division or other test pictures would change is not in it.

    Args:
        runs: The metrics of each run.
    """
    found = {split: of_runs([run[split] for run in runs]) for split in ("test", "val") if split in runs[0]}
    # what judges: test, where there is one
    split = next(iter(found), "")
    n = runs[0][split]["n"] if split else 0
    return {
        "format": 1,
        "seeds": {
            "count": len(made),
            "division": made[0].changes["seed"],
            "split": split,
            "runs": [{"name": part.name, "seed": part.changes["seed"], "n": n} for part in made],
            "scores": found.get(split, {}),
            "others": {name: scores for name, scores in found.items() if name != split},
        },
        "training": {
            name: round(sum(run["training"][name] for run in runs), 3)
            for name in ("steps", "seconds", "evaluation_seconds")
        },
    }
