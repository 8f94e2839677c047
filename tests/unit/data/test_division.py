"""Divisions that are written down, groups, and folds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang.data import division
from dojang.data.manifest import Manifest
from dojang.data.pairs import from_pairs
from dojang.errors import ConfigError, DataError


def pictures(labels: str, groups: tuple[str, ...] | None = None) -> Manifest:
    made = from_pairs((np.full((1, 1), i % 256, np.uint8), label) for i, label in enumerate(labels))
    return made.replace(groups=groups or ("",) * len(labels))


def test_a_division_comes_back_as_it_was_written(tmp_path: Path) -> None:
    manifest = pictures("abababab", tuple("xx") + ("",) * 6)
    splits = ("train", "train", "val", "val", "test", "test", "", "train")
    written = tmp_path / "splits.csv"
    written.write_text(manifest.replace(splits=splits).to_csv())
    found = division.given(manifest, written)
    assert found.splits == ("train", "train", "val", "val", "test", "test", "train")
    assert found.groups[:2] == ("x", "x") and len(found) == 7
    assert found.notes[-1].endswith("1 picture in no split left out")


def test_a_division_that_a_spreadsheet_has_saved(tmp_path: Path) -> None:
    manifest = pictures("abab").replace(splits=("train", "train", "val", ""))
    written = tmp_path / "splits.csv"
    written.write_bytes(b"\xef\xbb\xbf" + manifest.to_csv().replace(",", ";").replace("\n", "\r\n").encode())
    assert division.given(manifest, written).splits == ("train", "train", "val")


def test_a_division_of_other_pictures_is_refused(tmp_path: Path) -> None:
    manifest = pictures("abab").replace(splits=("train",) * 4)
    written = tmp_path / "splits.csv"
    written.write_text(manifest.to_csv())
    for other, words in (
        (pictures("ababa"), "1 picture of the data is not in it"),
        (pictures("aba"), "1 picture in it is not in the data"),
        (pictures("abba"), "2 pictures have another label there"),
    ):
        with pytest.raises(DataError, match=r"D140\]") as caught:
            division.given(other, written)
        assert words in str(caught.value)
    written.write_text(manifest.replace(splits=("test",) * 4).to_csv())
    with pytest.raises(DataError, match=r"D140\]: .* has no pictures in train"):
        division.given(manifest, written)
    with pytest.raises(ConfigError, match=r"C202\]: cannot read"):
        division.given(manifest, tmp_path / "nothing.csv")


def test_groups_by_pattern() -> None:
    manifest = pictures("abab").replace(paths=("a/p1_x.jpg", "b/p2_x.jpg", "a/p1_y.jpg", "b/q.jpg"))
    found = division.grouped(manifest, r"(p\d)")
    assert found.groups[0] == found.groups[2] != "" and found.groups[1] == found.groups[3] == ""
    assert found.notes[-1] == "2 groups by '(p\\\\d)'; 1 picture in none"
    for pattern, words in (("(", "cannot be read"), ("zz", "finds nothing in the paths, e.g. a/p1_x.jpg")):
        with pytest.raises(ConfigError, match=r"C202\]") as caught:
            division.grouped(manifest, pattern)
        assert words in str(caught.value)


def test_pairs_join_groups() -> None:
    manifest = pictures("ababab", ("x", "", "", "y", "", ""))
    found = division.together(manifest, [(0, 1), (1, 3), (4, 5)])
    assert found.groups == ("x", "x", "", "x", "4", "4")
    # a number that is a name of the data already
    assert division.together(pictures("abab", ("2", "", "", "")), [(2, 3)]).groups == ("2", "", "=2", "=2")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_folds_are_a_partition(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 5))
    classes = data.draw(st.integers(2, 4))
    labels, groups = "", []
    for name in "abcd"[:classes]:
        for unit in range(data.draw(st.integers(count, 12))):
            size = data.draw(st.sampled_from([1, 1, 1, 2, 3]))
            labels += name * size
            groups += [f"{name}{unit}" if size > 1 else ""] * size
    manifest = pictures(labels, tuple(groups))
    made = division.folds(manifest, count, seed=data.draw(st.integers(0, 9)))
    held = np.stack([[split == "val" for split in one.splits] for one in made])
    # each picture is held out once, each fold has some of each class to learn from and to be scored on
    assert (held.sum(axis=0) == 1).all()
    for one in made:
        counts = one.counts()
        assert set(counts) == {"train", "val"} and all(counts["train"].values())
        for group in set(groups) - {""}:
            assert len({s for s, g in zip(one.splits, one.groups, strict=True) if g == group}) == 1


def test_folds_of_single_pictures_are_even_and_stratified() -> None:
    manifest = pictures("a" * 50 + "b" * 30 + "c" * 20)
    for one in division.folds(manifest, 5):
        assert one.counts()["val"] == {"a": 10, "b": 6, "c": 4}
    again = [one.splits for one in division.folds(manifest, 5)]
    assert again == [one.splits for one in division.folds(manifest, 5)]
    assert again != [one.splits for one in division.folds(manifest, 5, seed=1)]


def test_a_test_part_stays_out_of_the_folds() -> None:
    manifest = pictures("ab" * 10).replace(splits=("test",) * 4 + ("train",) * 16)
    for one in division.folds(manifest, 2):
        assert one.splits[:4] == ("test",) * 4 and Counter(one.splits)["val"] == 8


def test_too_many_folds() -> None:
    with pytest.raises(ConfigError, match=r"C212\]: 5 folds cannot each have 'b'") as caught:
        division.folds(pictures("a" * 9 + "b" * 3), 5)
    assert "--folds 3" in str(caught.value)
    # of one group a class has one
    with pytest.raises(ConfigError, match=r"C212\]"):
        division.folds(pictures("aabb", ("x", "x", "", "")), 2)
