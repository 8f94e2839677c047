"""The names in a run folder. What each file holds is told in the README."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from dojang import files
from dojang.errors import ConfigError
from dojang.evaluate import ours

ARGS, ENVIRONMENT, SPLITS, BAD = "args.yaml", "env.json", "splits.csv", "bad.csv"
METRICS, CURVES, LOCK, STATE = "metrics.json", "results.png", ".lock", "state"
BEST, LAST = "weights/best.safetensors", "weights/last.safetensors"
RESULTS, STEPS, PREDICTIONS, PER_CLASS = "results.csv", "steps.csv", "predictions.csv", "per_class.csv"
PROBABILITIES = "probabilities.csv"
# of scores on other data: whose weights, and which data
VAL = "val.json"
REPORT = "report.html"
# how a page of dojang's begins
_OURS = b'<meta name="generator" content="dojang '
_OF_A_RUN = (
    *(ARGS, ENVIRONMENT, SPLITS, BAD, METRICS, CURVES, BEST, LAST, RESULTS, STEPS, PREDICTIONS, PER_CLASS),
    *("confusion_matrix.csv", "confusion_matrix.png", PROBABILITIES, f"{STATE}/step-*.safetensors"),
)
_MARKED = ("reliability.png", "worst.csv", "worst.png", "legend.csv")
# where the runs of a cross-validation lie in its folder
FOLD, SEED = "fold-{}", "seed-{}"


def find(run: str | Path) -> Path:
    """The run folder that a user names: the folder itself, or anything inside it.

    Raises:
        ConfigError: C215 when there is none.
    """
    path = Path(run)
    # weights and states lie two levels deep; an args.yaml further up is somebody else's
    for folder in (path, *path.parents[:2]):
        if (folder / ARGS).is_file():
            return folder
    of_a_study = sorted(path.glob(f"{SEED.format('*')}/{ARGS}")) or sorted(
        path.glob(f"cell-*/{SEED.format('*')}/{ARGS}")
    )
    if of_a_study:
        raise ConfigError(
            "C215",
            f"{str(run)!r} is no run folder: it is of a study, and holds several runs.",
            fix=f"name one of them, such as {shlex.quote(str(of_a_study[0].parent))}",
        )
    why = f"it holds no {ARGS}" if path.exists() else "there is nothing of that name"
    raise ConfigError(
        "C215",
        f"{str(run)!r} is no run folder: {why}.",
        fix="give the folder that training printed, such as runs/classify/train.",
    )


def clear(folder: Path) -> None:
    """Remove the files of the run that is in a folder; whatever else is there stays.

    A new run must not find an older one's states, which a resume would take for its own, or its scores.
    """
    if (folder / ARGS).exists():
        for pattern in _OF_A_RUN:
            for path in folder.glob(pattern):
                files.remove(path)
        for name in _MARKED:
            # older dojangs did not write these, so a file of that name may be the user's
            if ours.is_ours(folder / name):
                files.remove(folder / name)
        if is_report(folder / REPORT):
            files.remove(folder / REPORT)
        for part in (*folder.glob(FOLD.format("*")), *folder.glob(SEED.format("*"))):
            clear(part)


def must_be_free(folder: Path) -> None:
    """Refuse a folder in which something of the user's has a name of a file that a run leaves. Raises C202."""
    ours.must_be_ours(folder / name for name in _MARKED)


def is_report(path: Path) -> bool:
    """Whether a file is a report that dojang made, which may be made anew; what a user put there is none."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return _OURS in file.read(500)


def outside(project: str | Path, data: object) -> Path:
    """The project folder, sure to lie outside the user's data.

    Raises:
        ConfigError: C244 when it lies inside: pictures of the run would be data next time.
    """
    path = Path(project)
    if not isinstance(data, (str, os.PathLike)) or not os.path.isdir(data):
        return path
    pictures = Path(data).resolve()
    if path.resolve().is_relative_to(pictures):
        beside = pictures.parent / "runs" / "classify"
        raise ConfigError(
            "C244",
            f"the run folder would lie inside the data: {str(path)!r} is in {str(data)!r}.",
            context="dojang never writes into the folder of your pictures.",
            fix=f"--project {shlex.quote(str(beside))}",
        )
    return path


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
    if folds := sorted(folder.glob(FOLD.format(f"*/{ARGS}"))):
        raise ConfigError(
            "C216",
            f"{str(folder)!r} is a cross-validation: it has no weights of its own, each of its runs has.",
            context="It says how well a recipe does; the network to use is then trained on all of the data.",
            fix=f"name one of them, such as {shlex.quote(str(folds[0].parent))}; or: dojang train DATA --val none",
        )
    if runs := sorted(folder.glob(SEED.format(f"*/{ARGS}"))):
        raise ConfigError(
            "C216",
            f"{str(folder)!r} is several runs of one recipe: it has no weights of its own, each of its runs has.",
            fix=f"name one of them, such as {shlex.quote(str(runs[0].parent))}",
        )
    raise ConfigError(
        "C216",
        f"{str(folder)!r} has no weights yet.",
        fix=f"dojang train --resume {shlex.quote(str(folder))}, to go on with the run.",
    )
