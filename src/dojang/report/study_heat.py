"""The heat maps of a study's page, as tables: their figures are text that can be read, searched and copied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dojang.data.manifest import plain
from dojang.report.study_words import aside, keys, told
from dojang.report.text import Words, number
from dojang.study.looks import NONE, REST, Scale, mark, scale, worded
from dojang.study.plan import Plan
from dojang.study.results import Line, half
from dojang.study.squares import heat_map

#: how strong a colour must be for white letters on it, on a white page, and for black ones on a dark page
WHITE_FROM, BLACK_FROM = 0.931, 0.643
#: the weakest colour of a square that has a score
WEAKEST = 0.08
# with more squares they have no figures in them
_TOLD = 400


@dataclass(frozen=True)
class Square:
    """A square of a heat map.

    Args:
        kind: Its mark, and which letters can be read on it: classes of the style sheet.
        strength: Of its colour, 0 to 1.
        said: What stands in it, line by line.
        told: All that there is to say of it.
    """

    kind: str
    strength: float
    said: tuple[str, ...]
    told: str


def heat(plan: Plan, lines: Sequence[Line], t: Words) -> dict[str, Any]:
    """What the template needs to draw them.

    Args:
        lines: The table, best first.
    """
    found, scale_ = heat_map(plan, lines), scale(lines, plan.score)
    count = len(found.rows.values) * len(found.columns.values) * len(found.panels)
    small = count > _TOLD
    panels = [
        {
            "name": plain(panel.name),
            "rows": [
                (name, [_square(one, scale_, plan, t, small=small) for one in row])
                for name, row in zip(found.rows.words, panel.squares, strict=True)
            ],
        }
        for panel in found.panels
    ]
    marks = [mark(one, len(plan.seeds)) for one in lines]
    left = [t("study_values_left", name=name, n=n, of=of) for name, n, of in found.cut]
    if found.left_out:
        left.append(t("study_maps_left", n=len(found.panels), of=len(found.panels) + found.left_out))
    return {
        "rows": found.rows.name,
        "columns": found.columns.name,
        "names": found.columns.words,
        "panels": panels,
        "small": small,
        "left": left,
        # the others have no outline, and those without a score say so
        "legend": [one for one in keys(marks, len(plan.seeds), t) if one[0] not in (NONE, REST)],
    }


def _square(line: Line | None, scale_: Scale | None, plan: Plan, t: Words, *, small: bool) -> Square:
    if line is None:
        missing = t("study_not_drawn" if plan.search else "study_not_run")
        return Square(NONE, 0.0, () if small else (missing,), missing)
    kind, strength, said = mark(line, len(plan.seeds)), 0.0, aside(line, t)
    if kind != NONE and scale_ is not None:
        strength = round(WEAKEST + (1 - WEAKEST) * scale_.good(line.mean), 3)
        spread = half(line)
        said = [number(line.mean), *([f"±{worded(spread)}"] if spread is not None else []), *said]
        kind += " white" * (strength >= WHITE_FROM) + " black" * (strength >= BLACK_FROM)
    return Square(kind, strength, () if small else tuple(said), told(line, len(plan.seeds), t))
