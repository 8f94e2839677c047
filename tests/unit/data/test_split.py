"""Splits: exact totals, every class in proportion, groups whole, the same on any machine."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dojang.data.manifest import Manifest
from dojang.data.split import assign, describe, in_proportion
from dojang.errors import ConfigError, DataError, DojangError


class Nothing:
    name = "nothing"

    def read(self, path: str) -> bytes:
        return b""


def data(sizes: dict[str, int], split: str = "", groups: tuple[str, ...] = ()) -> Manifest:
    paths = [(f"{name}/{i}.jpg", label) for label, (name, n) in enumerate(sizes.items()) for i in range(n)]
    return Manifest(
        source=Nothing(),
        classes=tuple(sizes),
        paths=tuple(path for path, _ in paths),
        labels=tuple((label,) for _, label in paths),
        splits=(split,) * len(paths),
        groups=groups or ("",) * len(paths),
    )


def joined(*parts: Manifest) -> Manifest:
    first = parts[0]
    return first.replace(
        paths=tuple(f"{part.splits[0]}/{path}" for part in parts for path in part.paths),
        labels=sum((part.labels for part in parts), ()),
        splits=sum((part.splits for part in parts), ()),
        groups=sum((part.groups for part in parts), ()),
    )


def sizes_of(manifest: Manifest) -> dict[str, int]:
    return dict(Counter(manifest.splits))


def error(manifest: Manifest, **wishes: object) -> str:
    with pytest.raises(DojangError) as caught:
        assign(manifest, **wishes)  # type: ignore[arg-type]
    return str(caught.value)


def test_flat_data_is_divided_80_10_10() -> None:
    done = assign(data({f"{i}": n for i, n in enumerate((178, 182, 177, 183, 181, 182, 181, 179, 174, 180))}))
    assert describe(done) == "train 1,437, val 180, test 180; 10 classes"
    for split in ("val", "test"):
        assert all(n in (17, 18, 19) for n in done.counts()[split].values())
    assert done.notes == ("divided 1,797 images: train 1,437, val 180, test 180 (each class in proportion, seed 0)",)


def test_the_same_on_every_machine() -> None:
    done = assign(data({"cat": 12, "dog": 8}), seed=3)
    assert [done.paths[row] for row in done.rows("val")] == ["cat/9.jpg", "dog/5.jpg"]
    assert [done.paths[row] for row in done.rows("test")] == ["cat/7.jpg", "dog/0.jpg"]


def test_seeds_differ_and_repeat() -> None:
    pets = data({"cat": 50, "dog": 50})
    assert assign(pets, seed=1).splits == assign(pets, seed=1).splits != assign(pets, seed=2).splits


def test_row_order_and_other_classes_do_not_matter() -> None:
    pets = data({"cat": 40, "dog": 40})
    splits = dict(zip(pets.paths, assign(pets).splits, strict=True))
    mixed = pets.keep(np.random.default_rng(0).permutation(80))
    assert dict(zip(mixed.paths, assign(mixed).splits, strict=True)) == splits
    # a class more, of the same size
    more = assign(data({"ant": 40, "cat": 40, "dog": 40}))
    assert {path: split for path, split in zip(more.paths, more.splits, strict=True) if path[0] != "a"} == splits


def test_val_does_not_move_test() -> None:
    pets = data({"cat": 100, "dog": 60})
    tests = [assign(pets, val=val).rows("test").tolist() for val in (None, "none", 0.3, 7)]
    assert tests.count(tests[0]) == 4


@pytest.mark.parametrize(
    ("val", "test", "expected"),
    [
        (None, None, {"train": 160, "val": 20, "test": 20}),
        (0.25, None, {"train": 130, "val": 50, "test": 20}),
        (7, None, {"train": 173, "val": 7, "test": 20}),
        (7.0, 33, {"train": 160, "val": 7, "test": 33}),
        ("none", None, {"train": 180, "test": 20}),
        (0, None, {"train": 180, "test": 20}),
        (None, 0, {"train": 180, "val": 20}),
        ("none", 0, {"train": 200}),
        (0.001, 1, {"train": 196, "val": 3, "test": 1}),
    ],
)
def test_flat_data_by_request(val: float | str | None, test: float | None, expected: dict[str, int]) -> None:
    # a share gives each class of three and more a picture; a count is kept to the letter
    assert sizes_of(assign(data({"a": 60, "b": 100, "c": 40}), val=val, test=test)) == expected


@pytest.mark.parametrize(
    ("train", "expected"), [(20_000, 1_000), (50_000, 2_500), (8_000, 500), (1_200, 500), (600, 300), (11, 5)]
)
def test_val_is_held_out_of_train(train: int, expected: int) -> None:
    pets = joined(data({"a": train - train // 3, "b": train // 3}, "train"), data({"a": 50, "b": 50}, "test"))
    done = assign(pets)
    assert sizes_of(done) == {"train": train - expected, "val": expected, "test": 100}
    assert done.splits[train:] == pets.splits[train:]
    counts = done.counts()["val"]
    assert abs(counts["b"] - expected * (train // 3) / train) < 1
    held = f"held out {expected:,} of {train:,} training images for val (each class in proportion, seed 0)"
    assert done.notes == (held,)


def test_train_alone_gets_a_val_and_no_test() -> None:
    assert sizes_of(assign(data({"a": 60, "b": 60}, "train"))) == {"train": 60, "val": 60}
    assert sizes_of(assign(data({"a": 60, "b": 60}, "train"), val=0.1, test=10)) == {"train": 98, "val": 12, "test": 10}


@pytest.mark.parametrize(("val", "expected"), [("none", 0), (0.2, 24), (30, 30), (1, 1)])
def test_val_of_train_by_request(val: float | str, expected: int) -> None:
    pets = joined(data({"a": 60, "b": 60}, "train"), data({"a": 5, "b": 5}, "test"))
    done = assign(pets, val=val)
    assert len(done.rows("val")) == expected and len(done.rows("train")) == 120 - expected
    if val == "none":
        assert done is pets


def test_splits_that_are_there_are_left_alone() -> None:
    whole = joined(*(data({"a": 9, "b": 1}, split) for split in ("train", "val", "test")))
    assert assign(whole) is whole
    without_test = whole.keep(np.r_[whole.rows("train"), whole.rows("val")])
    assert assign(without_test) is without_test


@pytest.mark.parametrize(("wish", "value"), [("val", 0.1), ("val", 5), ("val", "none"), ("test", 0.1), ("test", 0)])
def test_nothing_is_taken_out_of_data_with_its_own(wish: str, value: object) -> None:
    whole = joined(*(data({"a": 900, "b": 200}, split) for split in ("train", "val", "test")))
    assert error(whole, **{wish: value}) == (
        f"ConfigError[C211]: {wish}={value} cannot take {wish} pictures out of data that brings its own "
        f"(1,100 images).\n  Fix: leave --{wish} out, or divide all anew: dojang split nothing --resplit"
    )


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), float("inf"), "all", "0.1"])
def test_shares_and_counts_that_are_none(value: object) -> None:
    assert error(data({"a": 9, "b": 9}), val=value) == (
        f"ConfigError[C202]: val cannot be {value!r}; expected a share below 1 or a whole number of images, or none."
        "\n  Fix: --val 0.1"
    )
    text = error(data({"a": 9, "b": 9}), test=value)
    assert text.startswith(f"ConfigError[C202]: test cannot be {value!r}; expected a share below 1 or a whole number")


def test_more_than_can_be_spared() -> None:
    assert error(data({"a": 10, "b": 1}, "train"), val=10) == (
        "ConfigError[C212]: val=10 would take 10 images of 11; at most 9 can be spared.\n"
        "  Every class keeps at least one image to train on.\n  Fix: --val 9"
    )
    # the other split keeps its one of each class
    assert "test=0.9 would take 9 images of 10; at most 6 can be spared." in error(data({"a": 5, "b": 5}), test=0.9)
    assert "leave --val out." in error(data({"a": 1, "b": 1}, "train"), val=1)


def test_a_class_of_one_cannot_be_divided() -> None:
    assert error(data({"cat": 9, "lynx": 1})) == (
        "DataError[D113]: 1 class has a single image: 'lynx' (e.g. 'lynx/0.jpg'). It cannot both train and test.\n"
        "  Data without train/, val/ and test/ is divided by dojang, each class in proportion.\n"
        "  Fix: add images of the class, remove its folder, or make the splits yourself: train/, val/ and test/."
    )
    text = error(data({"a": 1, "b": 1, "c": 9, "d": 1, "e": 1}))
    assert "4 classes have a single image: 'a', 'b', 'd' and 1 more (e.g. 'a/0.jpg')" in text
    with pytest.raises(DataError):
        assign(data({"cat": 9, "lynx": 1}), val="none")
    # nothing to divide, and divided by the data itself
    assert sizes_of(assign(data({"cat": 9, "lynx": 1}), val="none", test=0)) == {"train": 10}
    train = assign(data({"cat": 9, "lynx": 1}, "train"))
    assert train.counts()["train"]["lynx"] == 1
    assert train.notes[1] == "val has no images of 1 class: lynx"


def test_small_classes_are_everywhere_from_three_on() -> None:
    counts = assign(data({"big": 200, "three": 3, "two": 2})).counts()
    assert {split: n["three"] for split, n in counts.items()} == {"train": 1, "val": 1, "test": 1}
    assert counts["train"]["two"] >= 1
    many_small = assign(data({f"{i}": 3 for i in range(50)}))
    assert sizes_of(many_small) == {"train": 50, "val": 50, "test": 50}


def test_classes_without_any_picture_are_said() -> None:
    done = assign(data({"a": 20, "b": 20, "none": 0}))
    assert done.notes[1:] == ("test has no images of 1 class: none", "val has no images of 1 class: none")


SIZES = st.lists(st.integers(2, 40), min_size=2, max_size=8)


@given(SIZES, st.integers(0, 5))
def test_flat_totals_and_proportions(sizes: list[int], seed: int) -> None:
    pets = data({f"c{i}": n for i, n in enumerate(sizes)})
    done = assign(pets, seed=seed)
    counts = done.counts()
    n, floor = len(pets), sum(size >= 3 for size in sizes)
    for split in ("val", "test"):
        assert sum(counts[split].values()) == max(int(n * 0.1 + 0.5), 1, floor)
    assert min(counts["train"].values()) >= 1
    assert all(counts[split][f"c{i}"] >= 1 for split in counts for i, size in enumerate(sizes) if size >= 3)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.data())
def test_largest_remainder_against_its_definition(sizes: list[int], draw: st.DataObject) -> None:
    total = draw.draw(st.integers(0, sum(sizes)))
    quotas = [Fraction(total * size, sum(sizes)) for size in sizes]
    expected = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (expected[i] - quotas[i], i))
    for i in by_remainder[: total - sum(expected)]:
        expected[i] += 1
    array = np.array(sizes)
    assert in_proportion(array, total, np.zeros_like(array), array).tolist() == expected


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.data())
def test_bounds_are_kept_and_the_total_exact(sizes: list[int], draw: st.DataObject) -> None:
    high = [draw.draw(st.integers(0, size)) for size in sizes]
    low = [draw.draw(st.integers(0, most)) for most in high]
    total = draw.draw(st.integers(sum(low), sum(high)))
    counts = in_proportion(np.array(sizes), total, np.array(low), np.array(high))
    assert counts.sum() == total and (counts >= low).all() and (counts <= high).all()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12)), min_size=6, max_size=80), st.integers(0, 3))
def test_groups_are_never_divided(rows: list[tuple[int, int]], seed: int) -> None:
    rows = [(0, 0), (0, 0), (1, 0), (1, 0), (2, 0), (2, 0), *rows]
    pets = Manifest(
        source=Nothing(),
        classes=("a", "b", "c"),
        paths=tuple(f"{i}" for i in range(len(rows))),
        labels=tuple((label,) for label, _ in rows),
        splits=("",) * len(rows),
        groups=tuple(f"g{group}" if group else "" for _, group in rows),
    )
    done = assign(pets, seed=seed)
    where: dict[str, set[str]] = {}
    for group, split in zip(done.groups, done.splits, strict=True):
        if group:
            where.setdefault(group, set()).add(split)
    assert all(len(splits) == 1 for splits in where.values())
    assert "" not in done.splits and min(done.counts()["train"].values()) >= 1
    order = np.random.default_rng(seed).permutation(len(rows))
    again = assign(pets.keep(order), seed=seed)
    assert dict(zip(again.paths, again.splits, strict=True)) == dict(zip(done.paths, done.splits, strict=True))


def test_groups_of_equal_size_are_divided_as_rows_are() -> None:
    pets = data({"a": 400, "b": 200}, groups=tuple(f"p{i // 4}" for i in range(600)))
    done = assign(pets)
    counts = done.counts()
    assert counts["val"] == counts["test"] == {"a": 40, "b": 20}
    assert "(each class in proportion, whole groups, seed 0)" in done.notes[0]


def test_groups_are_placed_before_rows_that_stand_alone() -> None:
    pets = data({"a": 200, "b": 200}, groups=tuple(f"p{i // 10}" if i % 200 < 100 else "" for i in range(400)))
    done = assign(pets)
    assert done.counts()["test"] == done.counts()["val"] == {"a": 20, "b": 20}
    assert {done.groups[row] for row in done.rows("test")} - {""}


@pytest.mark.parametrize("seed", range(5))
def test_large_groups_do_not_all_stay_in_train(seed: int) -> None:
    # rows that stand alone would fill a split of 30 before one of the four groups of 25 came up
    pets = data({"a": 150, "b": 150}, groups=tuple(f"p{i // 25}" if i < 100 else "" for i in range(300)))
    done = assign(pets, seed=seed)
    assert {done.groups[row] for row in (*done.rows("test"), *done.rows("val"))} - {""}


def test_train_keeps_a_group_of_each_class() -> None:
    # test takes one of the two groups of b; val then finds none to spare
    groups = ("",) * 40 + ("p", "q") * 5
    done = assign(data({"a": 40, "b": 10}, groups=groups))
    assert {split: n["b"] for split, n in done.counts().items()} == {"train": 5, "val": 0, "test": 5}


def test_groups_larger_than_a_split_still_give_one() -> None:
    # five patients: a tenth of the rows is less than any of them has
    pets = data({"a": 50, "b": 50}, groups=tuple(f"p{i % 5}" for i in range(100)))
    assert sizes_of(assign(pets)) == {"train": 60, "val": 20, "test": 20}


def test_a_class_in_one_group_stays_in_train_and_is_said() -> None:
    done = assign(data({"a": 40, "b": 40}, groups=("",) * 40 + ("one",) * 40))
    assert done.counts()["train"]["b"] == 40
    assert "val has no images of 1 class: b" in done.notes and "test has no images of 1 class: b" in done.notes


def test_class_names_that_are_no_text_can_be_divided() -> None:
    done = assign(data({"\udcff": 20, "고양이": 20}))
    assert sizes_of(done) == {"train": 32, "val": 4, "test": 4}


def test_describe() -> None:
    assert describe(data({"a": 1_000, "b": 797})) == "1,797 not in a split; 2 classes"
    assert describe(data({"a": 0})) == "no images; 1 class"
    assert describe(assign(data({"a": 10, "b": 10}), val="none")) == "train 18, test 2; 2 classes"


def test_c211_is_a_usage_error() -> None:
    assert issubclass(ConfigError, DojangError) and ConfigError.exit_code == 2 and DataError.exit_code == 3
