"""The options of a run as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from dojang.recipe import option


@dataclass(frozen=True)
class RunOptions:
    """Where a run is kept."""

    project: str = option("runs/classify", "folder that holds the run folders")
    name: str = option("train", "name of the run folder; a number is added when it exists")
    folds: int | None = option(
        None, "K-fold cross-validation: K runs, each judged by another part of the data", low=2, high=100, metavar="K"
    )
    seeds: int | None = option(
        None, "N runs that differ in their seed alone, on one division of the data", low=2, high=100, metavar="N"
    )
    exist_ok: bool = option(False, "write into a run folder that exists")
