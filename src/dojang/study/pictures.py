"""The pictures of a study's table, drawn and written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dojang import files
from dojang.study import dots_picture, heatmap_picture, parallel_picture
from dojang.study.plan import Plan
from dojang.study.results import DOTS, HEATMAP, PARALLEL, Line, pictures

_DRAWN = {HEATMAP: heatmap_picture.draw, DOTS: dots_picture.draw, PARALLEL: parallel_picture.draw}


def write(place: Path, plan: Plan, judge: str, lines: Sequence[Line]) -> None:
    """Draw the pictures of a table into a study's folder; the same table gives the same pixels.

    What is inside the networks is drawn where it is looked at.

    Args:
        lines: The table, best first.
    """
    for name in pictures(plan, lines):
        if name in _DRAWN:
            files.write_bytes(place / name, _DRAWN[name](plan, judge, lines))
