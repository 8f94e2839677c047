"""What the pictures of a study's page say of its cells, in the language of the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from dojang.data.manifest import plain
from dojang.report.text import Words, number
from dojang.study.looks import ALIKE, BEST, NONE, OPEN, REST, mark, why, worded
from dojang.study.results import Line, half

#: marks in the order in which they are explained
ORDER = (BEST, ALIKE, OPEN, REST, NONE)


def figures(line: Line) -> str:
    """Mean and half of the interval: ``0.9123 ±0.0102``; "" without a score."""
    if not math.isfinite(line.mean):
        return ""
    spread = half(line)
    return number(line.mean) + ("" if spread is None else f" ±{worded(spread)}")


def fallen(line: Line, t: Words) -> list[str]:
    """Which runs are not in a cell's figures."""
    return [t(key, n=n) for key, n in (("study_n_failed", line.failed), ("study_n_pruned", line.pruned)) if n]


def aside(line: Line, t: Words) -> list[str]:
    """The same, or why it has no figures."""
    said = fallen(line, t)
    if not said and not math.isfinite(line.mean):
        said = [t("study_not_run" if why(line) == "waiting" else "study_no_score")]
    return said


def told(line: Line, seeds: int, t: Words) -> str:
    """All that there is to say of a cell, in a line."""
    kind = mark(line, seeds)
    stands = [t(f"study_mark_{kind}")] if kind in (BEST, ALIKE, OPEN) or (kind == REST and seeds > 1) else []
    return f"{plain(line.cell.name)}: " + ", ".join(one for one in [figures(line), *aside(line, t), *stands] if one)


def keys(marks: Iterable[str], seeds: int, t: Words) -> list[tuple[str, str]]:
    """(mark, words) of those that occur, for a legend."""
    there = set(marks)
    return [(kind, t(f"study_mark_{kind}")) for kind in ORDER if kind in there and (kind != REST or seeds > 1)]


def without(lines: Sequence[Line], t: Words) -> str:
    """How many cells have no score; "" where all have one."""
    n = sum(not math.isfinite(one.mean) for one in lines)
    return t("study_without", n=n) if n else ""
