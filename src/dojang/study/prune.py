"""Whether a run that is under way is hopeless: worse than the median of the others where they were as far.

Source: the median stopping rule of Golovin et al., "Google Vizier", KDD 2017, section 3.2.2.  It looks at the
validation score alone.  A run that it stops is never in a table: what it would have reached is not known.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path

from dojang.runs import folder as names
from dojang.train.log import read_table

#: share of a run's steps before which nothing is stopped, and other runs that must have come as far
EARLIEST, FEWEST = 1 / 3, 4


def hopeless(folder: Path, row: Mapping[str, float], steps: int, score: str) -> bool:
    """Whether a run's best validation so far lies below the median of the others' bests at the same share of training.

    Args:
        folder: Of the run; the others are those of its study.
        row: Of results.csv, just measured.
        steps: That the run has in all.
        score: As in results.csv.
    """
    column = "val/loss" if score == "log_loss" else f"val/{score if score in _MEASURED else 'top1'}"
    step = round(row["step"])
    if step < EARLIEST * steps or step >= steps or column not in row:
        return False
    sign = -1 if column == "val/loss" else 1
    own = _best(folder, column, step, steps, sign)
    mine = max([sign * row[column], *([] if own is None else [own])])
    others = [
        best
        for path in folder.parent.parent.glob(f"*/*/{names.RESULTS}")
        if path.parent != folder and (best := _best(path.parent, column, step, steps, sign)) is not None
    ]
    return len(others) >= FEWEST and mine < statistics.median(others)


_MEASURED = ("top1", "balanced_accuracy", "macro_f1")


def _best(folder: Path, column: str, step: int, steps: int, sign: int) -> float | None:
    """The best of a run up to the share ``step / steps`` of its training; None where it has not come as far."""
    try:
        rows = read_table(folder / names.RESULTS)
        total = _total(folder)
    except (OSError, ValueError):
        return None
    if total is None or not rows or column not in rows[0]:
        return None
    # in whole numbers: a share that is rounded would leave out the row that it was made of
    made = [(round(float(row["step"])) * steps, row[column]) for row in rows]
    if made[-1][0] < step * total:
        return None
    return max((sign * float(value) for at, value in made if at <= step * total and value), default=None)


def _total(folder: Path) -> int | None:
    """The steps that a run has in all, from its last row of steps.csv: so many at this share."""
    rows = read_table(folder / names.STEPS)
    if not rows or not float(rows[-1]["progress"]):
        return None
    return round(float(rows[-1]["step"]) / float(rows[-1]["progress"]))
