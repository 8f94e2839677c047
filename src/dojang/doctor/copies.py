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
    exact, near = _relations(pairs)

    def kind_of(one: int, other: int) -> str:
        # as a scan says it: labels first, then splits
        first = "" if other in exact.get(one, ()) else "near-"
        if labels[one] != labels[other]:
            return f"{first}two-labels"
        if splits[one] != splits[other]:
            return f"{first or 'same-'}across"
        return first.rstrip("-") or "same"

    def better(row: int) -> tuple[int, int, int, str]:
        # without its extension "a" comes before "a copy" and "a (1)"
        return _RANK.get(splits[row], 2), -int(areas[row]), -sizes[row], paths[row].rpartition(".")[0]

    gone: dict[int, Double] = {}
    rows = sorted(set(exact) | set(near), key=better)
    related = {row: sorted((exact.get(row, set()) | near.get(row, set())) - {row}, key=better) for row in rows}
    for row in rows:
        for other in related[row]:
            kind = kind_of(row, other)
            if kind.endswith("two-labels") and kind in kinds:
                gone[row] = Double(row, kind, other)
                break
    kept: set[int] = set()
    for row in rows:
        if row in gone:
            continue
        stands = next((other for other in related[row] if other in kept and kind_of(row, other) in kinds), None)
        if stands is None:
            kept.add(row)
        else:
            gone[row] = Double(row, kind_of(row, stands), stands)
    return sorted(gone.values())


def _relations(pairs: Sequence[Pair]) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """Which rows are the same picture as which, and nearly the same; both ways.

    Of pictures with the same bytes only the first was compared with others, and it speaks for all.
    """
    first = {pair.rows[1]: pair.rows[0] for pair in pairs if pair.how == "bytes"}
    members: dict[int, set[int]] = defaultdict(set)
    for pair in pairs:
        for row in pair.rows:
            members[first.get(row, row)].add(row)
    groups = _joined([(first.get(a, a), first.get(b, b)) for (a, b), how, _ in map(_parts, pairs) if how != "near"])
    exact: dict[int, set[int]] = {}
    for group in groups:
        rows = set().union(*(members[one] for one in group))
        exact |= dict.fromkeys(rows, rows)
    near: dict[int, set[int]] = defaultdict(set)
    for (a, b), how, _ in map(_parts, pairs):
        if how == "near":
            ones = exact.get(a) or members[first.get(a, a)] | {a}
            others = exact.get(b) or members[first.get(b, b)] | {b}
            for row in ones:
                near[row] |= others
            for row in others:
                near[row] |= ones
    return exact, dict(near)


def _parts(pair: Pair) -> tuple[tuple[int, int], str, float]:
    return pair.rows, pair.how, pair.score


def _joined(links: Sequence[tuple[int, int]]) -> list[set[int]]:
    """Groups of what is linked, directly or over others."""
    group: dict[int, set[int]] = {}
    for a, b in links:
        both = group.get(a, {a}) | group.get(b, {b})
        group |= dict.fromkeys(both, both)
    return list({id(one): one for one in group.values()}.values())
