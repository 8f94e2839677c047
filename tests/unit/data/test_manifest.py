"""The manifest: its columns, and names that come back from CSV exactly as they were."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dojang import files
from dojang.data.manifest import SPLITS, Manifest, SplitRow, plain, read_splits
from dojang.errors import DataError


class Nothing:
    name = "nothing"

    def read(self, path: str) -> bytes:
        return path.encode("utf-8", "surrogateescape")


def manifest(rows: list[tuple[str, int, str]], classes: tuple[str, ...] = ("cat", "dog"), **more: object) -> Manifest:
    return Manifest(
        source=Nothing(),
        classes=classes,
        paths=tuple(path for path, _, _ in rows),
        labels=tuple((label,) for _, label, _ in rows),
        splits=tuple(split for _, _, split in rows),
        groups=("",) * len(rows),
    ).replace(**more)


FOUR = [("cat/1.png", 0, "train"), ("cat/2.png", 0, "val"), ("dog/1.png", 1, "train"), ("dog/2.png", 1, "test")]
# any bytes that a file system takes as a name
NAMES = st.binary(min_size=1, max_size=40).filter(lambda b: b"\0" not in b).map(os.fsdecode)


def test_columns() -> None:
    found = manifest(FOUR)
    assert len(found) == 4
    assert found.targets.tolist() == [0, 0, 1, 1] and found.targets.dtype == np.int64
    assert found.rows("train").tolist() == [0, 2] and found.rows("train").dtype == np.int64
    assert found.rows("").tolist() == []


def test_counts_show_classes_without_pictures() -> None:
    assert manifest(FOUR).counts() == {
        "train": {"cat": 1, "dog": 1},
        "val": {"cat": 1, "dog": 0},
        "test": {"cat": 0, "dog": 1},
    }


def test_counts_against_a_loop() -> None:
    draw = np.random.default_rng(0)
    rows = [(f"{i}", int(draw.integers(3)), str(draw.choice([*SPLITS, ""]))) for i in range(200)]
    expected = Counter((split, label) for _, label, split in rows)
    counts = manifest(rows, ("a", "b", "c")).counts()
    assert {(s, "abc".index(c)): n for s, classes in counts.items() for c, n in classes.items() if n} == expected
    assert list(counts) == ["train", "val", "test", ""]


def test_keep_takes_rows_and_their_digests() -> None:
    found = manifest(FOUR, digests=("a", "b", "c", "d"), groups=("g", "", "h", ""), notes=("seen",))
    kept = found.keep(np.array([2, 0]))
    assert kept.paths == ("dog/1.png", "cat/1.png") and kept.digests == ("c", "a") and kept.groups == ("h", "g")
    assert kept.labels == ((1,), (0,)) and kept.splits == ("train", "train")
    assert kept.classes == found.classes and kept.notes == found.notes
    assert manifest(FOUR).keep(np.array([1])).digests == ()


def test_targets_refuse_rows_with_two_labels() -> None:
    with pytest.raises(ValueError, match="too many values"):
        _ = manifest(FOUR, labels=((0,), (0, 1), (1,), (1,))).targets


@pytest.mark.parametrize("column", ["paths", "labels", "splits", "groups", "digests"])
def test_columns_have_one_length(column: str) -> None:
    with pytest.raises(ValueError, match="one length"):
        manifest(FOUR).replace(**{column: ("x",)})


def test_csv_text() -> None:
    found = manifest(FOUR[:2], digests=("ab", "cd"), groups=("", "g, h"))
    assert found.to_csv() == ('path,label,split,group,sha256\ncat/1.png,cat,train,,ab\ncat/2.png,cat,val,"g, h",cd\n')


@given(st.lists(st.tuples(NAMES, NAMES, st.sampled_from([*SPLITS, ""]), NAMES), max_size=6))
def test_any_name_comes_back_from_csv(rows: list[tuple[str, str, str, str]]) -> None:
    classes = tuple(sorted({label for _, label, _, _ in rows}))
    found = manifest(
        [(path, classes.index(label), split) for path, label, split, _ in rows],
        classes,
        groups=tuple(group for *_, group in rows),
    )
    # as it lies on the disk
    text = found.to_csv().encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    assert read_splits(text) == [SplitRow(*row, "") for row in rows]
    # and as anybody else's reader has it
    assert list(csv.reader(io.StringIO(text, newline="")))[1:] == [[*row, ""] for row in rows]


HOSTILE = [
    "=cmd()",
    "<script>alert(1)</script>",
    "\x1b[31mred",
    'a"b',
    "a,b",
    "a\nb",
    "a\r\nb",
    "\r",
    " lead",
    "-1",
    "@x",
]


@pytest.mark.parametrize("name", [*HOSTILE, "고양이", "🐈", "e\u0301", "é", "\udcff\udcfe", "x" * 255])
def test_hostile_names_come_back_from_a_file(name: str, tmp_path: Path) -> None:
    found = manifest([(f"{name}/1.png", 0, "train")], (name, name + "2"))
    files.write_text(tmp_path / "splits.csv", found.to_csv())
    assert read_splits(files.read_text(tmp_path / "splits.csv")) == [SplitRow(f"{name}/1.png", name, "train", "", "")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "runs/splits.csv line 1: the columns are []; expected path, label, split, group, sha256."),
        ("path,label\n", "runs/splits.csv line 1: the columns are ['path', 'label']; expected"),
        ("path,label,split,group,sha256\na,b,train\n", "runs/splits.csv line 2: 3 fields; expected 5."),
        (
            'path,label,split,group,sha256\n"a\nb",c,train,,\na,b,trian,,\n',
            "runs/splits.csv line 4: the split is 'trian'; expected train, val, test or nothing.",
        ),
        ('path,label,split,group,sha256\n"a,b,train,,\n', "runs/splits.csv line 2: the CSV is broken: unexpected end"),
    ],
)
def test_bad_splits_name_file_and_line(text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_splits(text, "runs/splits.csv")
    assert str(caught.value).startswith(f"DataError[D111]: {message}")


def test_fingerprint_changes_with_what_matters_only() -> None:
    found = manifest(FOUR, digests=("a", "b", "c", "d"))
    same = found.replace(notes=("x",), groups=("g", "g", "", ""), source=None)
    assert same.fingerprint() == found.fingerprint()
    # another order of classes is no other data: labels are names
    assert found.replace(classes=("dog", "cat"), labels=((1,), (1,), (0,), (0,))).fingerprint() == found.fingerprint()
    others = [
        found.replace(paths=("cat/0.png", *found.paths[1:])),
        found.replace(classes=("cat", "fox")),
        found.replace(splits=("train", "train", "train", "test")),
        found.replace(digests=("a", "b", "c", "e")),
        found.replace(digests=()),
        found.keep(np.array([0, 1, 2])),
        found.keep(np.array([1, 0, 2, 3])),
    ]
    assert len({other.fingerprint() for other in [found, *others]}) == len(others) + 1


def test_fingerprint_is_the_same_on_every_machine() -> None:
    found = manifest(FOUR, digests=("a", "b", "c", "d"))
    text = "cat/1.png,cat,train,a\ncat/2.png,cat,val,b\ndog/1.png,dog,train,c\ndog/2.png,dog,test,d\n"
    assert found.fingerprint() == files.sha256(text.encode())


@pytest.mark.parametrize("name", ["고양이", "a b.jpg", "🐈"])
def test_plain_leaves_what_prints(name: str) -> None:
    assert plain(name) == name


@pytest.mark.parametrize("name", ["\x1b]0;title\x07", "a\nb", "\udcff", "\u202egpj.exe"])
def test_plain_escapes_what_does_not(name: str) -> None:
    assert plain(name).isprintable() and plain(name) != name
