"""The network of a page: its numbers, and its layers in a short table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dojang.errors import DojangError
from dojang.models import build, weights
from dojang.models.summary import Row, Summary, short, summarise

#: lines of the table; with more, layers are put together by block
MOST = 24


@dataclass(frozen=True)
class Layers:
    """What the page says of a network.

    Args:
        parameters: How many; for a network of somebody's own, the numbers in its weights file.
        macs: Multiplications for one picture.
        rows: (name, output, parameters, multiplications) of each layer or block; none for a network of one's own.
        blocks: Whether layers were put together.
        some: Whether layers were left out.
    """

    parameters: int
    macs: int = 0
    rows: tuple[tuple[str, str, str, str], ...] = ()
    blocks: bool = False
    some: bool = False


def layers(card: weights.Card) -> Layers | None:
    """The layers that a weights file's card describes, by one blank picture; its weights are not read.

    No code of a run folder is run: a network of somebody's own has no layers here.

    Returns:
        None where the network cannot be built by this dojang.
    """
    p = card.preprocess
    if card.architecture is None:
        return None
    try:
        model = build.rebuild(card.architecture)
        found = summarise(model, (p["height"], p["width"]), 1 if p["mode"] == "L" else 3)
    except (DojangError, KeyError, TypeError):
        return None
    rows = [row for row in found.rows if row.shape is not None]
    telling = [row for row in rows if row.parameters or row.macs] or rows
    # what only changes the shape is worth a line, where there is room for it
    reshaping = [row for row in rows if row in telling or (row.given and row.given != row.shape)]
    chosen = next((some for some in (rows, reshaping, telling) if len(some) <= MOST), None)
    if chosen is not None:
        return Layers(found.total, found.macs, tuple(map(_line, chosen)), some=len(chosen) < len(rows))
    return Layers(found.total, found.macs, tuple(_blocks(found)), blocks=True)


def _line(row: Row) -> tuple[str, str, str, str]:
    return row.name, _shape(row.shape), f"{row.parameters:,}", short(row.macs) if row.macs else ""


def _blocks(found: Summary) -> list[tuple[str, str, str, str]]:
    """Layers put together by the first parts of their names, as many parts as the table has room for."""
    grouped = [(row.name, [row]) for row in found.rows]
    for depth in (3, 2, 1):
        grouped = []
        for row in found.rows:
            name = ".".join(row.path.split(".")[:depth])
            if grouped and grouped[-1][0] == name:
                grouped[-1][1].append(row)
            else:
                grouped.append((name, [row]))
        if len(grouped) <= MOST:
            break
    return [_together(name, rows) for name, rows in grouped[:MOST]]


def _together(name: str, rows: Sequence[Row]) -> tuple[str, str, str, str]:
    last = next((row.shape for row in reversed(rows) if row.shape is not None), None)
    macs = sum(row.macs for row in rows)
    return name, _shape(last), f"{sum(row.parameters for row in rows):,}", short(macs) if macs else ""


def _shape(shape: tuple[int, ...] | None) -> str:
    return " x ".join(str(side) for side in shape) if shape else "–"
