"""Of pictures that are one picture: which is kept.

Before train comes val, before val test, so that nothing that is scored is lost; then the larger picture, then the
longer file, then the earlier name.  A picture goes only where one that is kept stands for it, so of a
chain of pictures, each nearly the next, none is lost that no kept one is nearly.  Where labels differ, nobody knows
which is right: such pictures stay unless they are asked for, and then all of them go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from dojang.doctor.pairs import Pair

KINDS = ("same", "same-across", "near", "near-across", "two-labels", "near-two-labels")
_RANK = {"test": 0, "val": 1}


class Double(NamedTuple):
    """A picture that goes: its row, the kind of it, and the row that stands for it."""

    row: int
    kind: str
    kept: int


def doubles(
    pairs: Sequence[Pair],
    kinds: Collection[str],
    *,
    labels: Sequence[str],
    splits: Sequence[str],
    paths: Sequence[str],
    areas: np.ndarray,
    sizes: Sequence[int],
) -> list[Double]:
    """The pictures that are taken out, by row.

    Args:
        pairs: From :func:`dojang.doctor.pairs.pairs`.
        kinds: Of :data:`KINDS`, those that are asked for.
        labels, splits, paths: Of every row.
        areas: Pixels of every row, int64 (n,).
        sizes: Bytes of every row.
    """
    group_of, beside = _groups(pairs)

    def better(row: int) -> tuple[int, int, int, str]:
        # without its extension "a" comes before "a copy" and "a (1)"
        return _RANK.get(splits[row], 2), -int(areas[row]), -sizes[row], paths[row].rpartition(".")[0]

    rows = sorted(sorted(group_of), key=better)
    place = {row: number for number, row in enumerate(rows)}

    def kind_of(row: int, label: str, split: str, first: str) -> str:
        # as a scan says it: labels first, then splits
        if labels[row] != label:
            return f"{first}two-labels"
        if splits[row] != split:
            return f"{first or 'same-'}across"
        return first.rstrip("-") or "same"

    def best(row: int, known: _Known, wanted: Collection[str]) -> Double | None:
        """The best of the known pictures that are the same as a row, or nearly, in one of the ways that are wanted."""
        group = group_of[row]
        found = []
        for other, first in ((group, ""), *((one, "near-") for one in beside.get(group, ()))):
            for (label, split), at in known[other].items():
                kind = kind_of(row, label, split, first)
                if kind in wanted:
                    found.append(Double(row, kind, at))
        return min(found, key=lambda double: place[double.kept], default=None)

    every: _Known = defaultdict(dict)
    for row in rows:
        every[group_of[row]].setdefault((labels[row], splits[row]), row)
    differing = [kind for kind in kinds if kind.endswith("two-labels")]
    # of one label and split the first stands for all
    gone = {row: double for row in rows if (double := best(row, every, differing))}
    kept: _Known = defaultdict(dict)
    for row in rows:
        if row in gone:
            continue
        double = best(row, kept, kinds)
        if double is None:
            kept[group_of[row]].setdefault((labels[row], splits[row]), row)
        else:
            gone[row] = double
    return sorted(gone.values())


# by group, then label and split, the best row there is
_Known = defaultdict[int, dict[tuple[str, str], int]]


def _groups(pairs: Sequence[Pair]) -> tuple[dict[int, int], dict[int, set[int]]]:
    """The group of each row, in which all are the same picture; and by group those that are nearly the same.

    Of pictures with the same bytes only the first was compared with others, and it speaks for all.
    """
    above: dict[int, int] = {}

    def top(row: int) -> int:
        while above[row] != row:
            above[row] = above[above[row]]
            row = above[row]
        return row

    for pair in pairs:
        for row in pair.rows:
            above.setdefault(row, row)
        if pair.how != "near":
            low, high = sorted(map(top, pair.rows))
            above[high] = low
    groups = {row: top(row) for row in above}
    beside: dict[int, set[int]] = defaultdict(set)
    for pair in pairs:
        one, other = (groups[row] for row in pair.rows)
        if one != other:
            beside[one].add(other)
            beside[other].add(one)
    return groups, beside
