"""The names in a run folder. What each file holds is told in the README."""

from __future__ import annotations

from pathlib import Path

from dojang.errors import ConfigError

ARGS, ENVIRONMENT, SPLITS, BAD = "args.yaml", "env.json", "splits.csv", "bad.csv"
METRICS, CURVES, LOCK, STATE = "metrics.json", "results.png", ".lock", "state"
BEST, LAST = "weights/best.safetensors", "weights/last.safetensors"


def find(run: str | Path) -> Path:
    """The run folder that a user names: the folder itself, or anything inside it.

    Raises:
        ConfigError: C215 when there is none.
    """
    path = Path(run)
    for folder in (path, *path.parents):
        if (folder / ARGS).is_file():
            return folder
    raise ConfigError(
        "C215",
        f"{str(run)!r} is no run folder: it holds no {ARGS}.",
        fix="give the folder that training printed, such as runs/classify/train.",
    )


def weights_of(run: str | Path) -> Path:
    """The weights that a user means: a weights file, or the best (without validation: the last) of a run folder.

    Raises:
        ConfigError: C216 when the run has none yet; C215.
    """
    path = Path(run)
    if path.is_file() and path.name != ARGS:
        return path
    folder = find(path)
    for name in (BEST, LAST):
        if (folder / name).exists():
            return folder / name
    raise ConfigError(
        "C216", f"{str(folder)!r} has no weights yet.", fix=f"dojang train --resume {folder}, to go on with the run."
    )
