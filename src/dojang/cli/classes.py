"""The scores of each class, on stdout."""

from __future__ import annotations

from pathlib import Path

from rich.cells import cell_len

from dojang.cli.progress import say
from dojang.data.manifest import plain, readable
from dojang.evaluate import files as evaluation_files

_SCORES = ("precision", "recall", "f1")
# of a terminal, for the name of a class
_NAME = 21


def show_classes(folder: Path, split: str) -> None:
    """Precision, recall and F1 of each class with their intervals, the least F1 first, within 80 columns."""
    rows = [row for row in evaluation_files.read(folder / "per_class.csv") if row["split"] == split]
    names = readable([row["class"] for row in rows])
    table = sorted(zip(names, rows, strict=True), key=lambda one: (_support(one[1]) == 0, _number(one[1], "f1")))
    say(f"  {'class':<{_NAME}}" + "".join(f"{title:<17}" for title in ("precision", "recall", "F1")) + f"{'n':>6}")
    for name, row in table:
        cells = "".join(f"{_cell(row, score):<17}" for score in _SCORES) if _support(row) else f"{'no pictures':<51}"
        shown = short(name, _NAME - 2)
        say(f"  {shown}{' ' * (_NAME - cell_len(shown))}{cells}{_support(row):>6,}")


def short(name: str, most: int = 18, end: bool = False) -> str:
    """A name in so many columns of a terminal: its end is left out, or all but its end."""
    name = plain(name)
    if cell_len(name) <= most:
        return name
    kept = name[-most:] if end else name[:most]
    # letters of Hangul are two columns wide
    while cell_len(kept) > most - 3:
        kept = kept[1:] if end else kept[:-1]
    return f"...{kept}" if end else f"{kept}..."


def _cell(row: dict[str, str], score: str) -> str:
    """A value and its interval; "-" for what has none, as a precision of a class that was never answered."""
    low, high = row.get(f"{score}_low"), row.get(f"{score}_high")
    return f"{_number(row, score):.3f} {float(low):.2f}-{float(high):.2f}" if low and high else "-"


def _number(row: dict[str, str], name: str) -> float:
    return float(row.get(name) or 0)


def _support(row: dict[str, str]) -> int:
    return int(_number(row, "support"))
