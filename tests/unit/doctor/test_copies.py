"""Which of several copies is kept: by the definition, written out as loops, and for many copies of one picture."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang.doctor.copies import KINDS, doubles
from dojang.doctor.pairs import Pair

N = 9


def by_definition(
    pairs: list[Pair], kinds: set[str], labels: str, splits: list[str], areas: np.ndarray
) -> list[tuple[int, str, int]]:
    """As the docstring of dojang.doctor.copies says it, every picture with every other."""
    same = np.eye(N, dtype=bool)
    for pair in pairs:
        if pair.how != "near":
            same[pair.rows] = same[pair.rows[::-1]] = True
    for middle in range(N):
        same |= same[:, [middle]] & same[[middle]]
    near = np.zeros_like(same)
    for pair in pairs:
        near |= np.outer(same[pair.rows[0]], same[pair.rows[1]])
    near = (near | near.T) & ~same
    known = {row for pair in pairs for row in pair.rows}
    order = sorted(known, key=lambda row: ({"test": 0, "val": 1}.get(splits[row], 2), -areas[row], f"{row:02}"))

    def kind(one: int, other: int) -> str | None:
        if one == other or not (same[one, other] or near[one, other]):
            return None
        first = "" if same[one, other] else "near-"
        if labels[one] != labels[other]:
            return f"{first}two-labels"
        return f"{first or 'same-'}across" if splits[one] != splits[other] else first.rstrip("-") or "same"

    gone: dict[int, tuple[int, str, int]] = {}
    for row in order:
        for other in order:
            what = kind(row, other)
            if what in kinds and what.endswith("two-labels"):
                gone.setdefault(row, (row, what, other))
    kept: list[int] = []
    for row in order:
        stands = [other for other in kept if kind(row, other) in kinds]
        if row not in gone and stands:
            gone[row] = row, str(kind(row, stands[0])), stands[0]
        elif row not in gone:
            kept.append(row)
    return sorted(gone.values())


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, N - 1), st.integers(0, N - 1), st.sampled_from(["pixels", "near"])), max_size=9),
    st.sets(st.sampled_from(KINDS)),
    st.lists(st.sampled_from("ab"), min_size=N, max_size=N),
    st.lists(st.sampled_from(["train", "val", "test"]), min_size=N, max_size=N),
    st.lists(st.integers(1, 3), min_size=N, max_size=N),
)
def test_by_definition(
    links: list[tuple[int, int, str]], kinds: set[str], labels: list[str], splits: list[str], areas: list[int]
) -> None:
    pairs = [Pair((min(a, b), max(a, b)), how, 1.0) for a, b, how in links if a != b]
    found = doubles(
        pairs,
        kinds,
        labels=labels,
        splits=splits,
        paths=[f"{row:02}.jpg" for row in range(N)],
        areas=np.array(areas),
        sizes=[1] * N,
    )
    assert [tuple(one) for one in found] == by_definition(pairs, kinds, "".join(labels), splits, np.array(areas))


def test_thousands_of_copies_of_one_picture() -> None:
    # such as "image not available": with every one beside every other this would take minutes and gigabytes
    count = 20_000
    began = time.process_time()
    found = doubles(
        [Pair((0, row), "bytes", 1.0) for row in range(1, count)],
        {"same"},
        labels=["x"] * count,
        splits=[""] * count,
        paths=[f"{row:05}.jpg" for row in range(count)],
        areas=np.ones(count, np.int64),
        sizes=[1] * count,
    )
    assert [one.row for one in found] == list(range(1, count)) and {one.kept for one in found} == {0}
    assert time.process_time() - began < 5
