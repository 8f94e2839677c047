"""The table of a plan: read back as it was, whatever the names, and refused where it cannot be carried out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dojang.doctor.plan import Line, Plan, check, read_plan
from dojang.errors import DataError

NAMES = some.text(some.characters(codec="utf-8"), min_size=1, max_size=12)


@given(some.lists(some.tuples(NAMES, NAMES, NAMES), max_size=6, unique_by=lambda row: row[0]))
def test_any_names_are_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]) -> None:
    path = tmp_path_factory.mktemp("plan") / "p.csv"
    plan = Plan(tuple(Line(name, "keep", to, why, "") for name, to, why in rows))
    path.write_bytes(plan.to_csv().encode("utf-8", "surrogateescape"))
    assert read_plan(path).lines == plan.lines


def test_names_that_are_no_text_are_read_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff/\xfe.jpg")
    plan = Plan((Line(name, "keep", name), Line("=cmd()|'/c calc'!A1.jpg", "out", "")))
    (tmp_path / "p.csv").write_bytes(plan.to_csv().encode("utf-8", "surrogateescape"))
    assert read_plan(tmp_path / "p.csv").lines == plan.lines


def test_a_table_as_a_spreadsheet_saves_it(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(b"\xef\xbb\xbfTo,path,Action,comment\r\nx/1.jpg,cat/1.jpg, KEEP,fine\r\n,cat/2.jpg,out,\r\n")
    assert read_plan(path).lines == (Line("cat/1.jpg", "keep", "x/1.jpg"), Line("cat/2.jpg", "out", ""))


def test_a_plan_as_a_spreadsheet_writes_it_with_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(b'\xef\xbb\xbfpath;action;to\r\n"a;b.jpg";keep;x/a,b.jpg\r\n')
    assert read_plan(path).lines == (Line("a;b.jpg", "keep", "x/a,b.jpg"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: the header needs the column 'path' once; it has nothing"),
        ("path,to\n", "line 1: the header needs the column 'action' once; it has 'path', 'to'"),
        ("path;action\n", "line 1: the header needs the column 'to' once; it has 'path', 'action'"),
        ("path,action,to\na,keep\n", "line 2: 2 fields, but the header has 3"),
        ("path,action,to\na,keep,b\na,out,\n", "line 3: 'a' is on line 2 too"),
        ('path,action,to\n"a,keep,b\n', "line 2: the CSV is broken"),
    ],
)
def test_what_is_no_plan(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_plan(path)
    assert caught.value.code == "D111" and words in caught.value.what
    with pytest.raises(DataError, match="D112"):
        read_plan(tmp_path / "none.csv")


PATHS = ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg")


def refused(code: str, words: str, *lines: Line) -> None:
    with pytest.raises(DataError) as caught:
        check(Plan(lines, "p.csv", {line.path: number for number, line in enumerate(lines, 2)}), PATHS)
    assert caught.value.code == code and words in str(caught.value) and caught.value.fix


def lines(*to: str, action: str = "keep") -> tuple[Line, ...]:
    return tuple(Line(path, action, place) for path, place in zip(PATHS, to, strict=True))


def test_plans_that_fit() -> None:
    check(Plan(lines(*PATHS)), PATHS)
    check(Plan((*lines(*PATHS)[:2], Line(PATHS[2], "out", "../whatever"))), PATHS)
    check(Plan((Line(PATHS[0], "jpeg-1", "a/b.JPEG"), Line(PATHS[1], "png", "a/b/c.png"), *lines(*PATHS)[2:])), PATHS)


def test_a_plan_for_other_pictures() -> None:
    refused("D151", "p.csv names 1 picture that is not in the data: cat/3.jpg. Did you mean 'cat/2.jpg'?",
            *lines(*PATHS)[:1], Line("cat/3.jpg", "keep", "x/3.jpg"), lines(*PATHS)[2])  # fmt: skip
    refused("D151", "p.csv says nothing of 2 pictures of the data: cat/2.jpg, dog/1.jpg.", lines(*PATHS)[0])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (Line(PATHS[0], "kep", "a/1.jpg"), "p.csv line 2: the action is 'kep'; expected keep, out, png"),
        (Line(PATHS[0], "jpeg-101", "a/1.jpg"), "the action is 'jpeg-101'"),
        (Line(PATHS[0], "", "a/1.jpg"), "the action is ''"),
        (Line(PATHS[0], "keep", ""), "'' is no place in the new folder"),
        (Line(PATHS[0], "keep", "a/../b/1.jpg"), "is no place in the new folder"),
        (Line(PATHS[0], "keep", "/a/1.jpg"), "is no place in the new folder"),
        (Line(PATHS[0], "keep", "C:/a/1.jpg"), "is no place in the new folder"),
        (Line(PATHS[0], "keep", "a\0/1.jpg"), "is no place in the new folder"),
        (Line(PATHS[0], "keep", "1.jpg"), "1.jpg lies in no class folder"),
        (Line(PATHS[0], "keep", "a//1.jpg"), "has the part ''"),
        (Line(PATHS[0], "keep", "a/.1.jpg"), "has the part '.1.jpg', which dojang passes over"),
        (Line(PATHS[0], "keep", "a/" + "x" * 252 + ".jpg"), "a name of 256 bytes; disks take 255"),
        (Line(PATHS[0], "keep", "a/1.txt"), "a/1.txt has no extension of a picture"),
        (Line(PATHS[0], "png", "a/1.jpg"), "a/1.jpg is to be written as png"),
        (Line(PATHS[0], "jpeg-90", "a/1.png"), "Fix: end it in .jpg or .jpeg, or write keep."),
    ],
)
def test_lines_that_cannot_be_carried_out(line: Line, words: str) -> None:
    refused("D152", words, line, *lines(*PATHS)[1:])


def test_two_pictures_of_one_name() -> None:
    refused("D153", "cat/1.jpg and dog/1.jpg would both be 'x/1.jpg'.", *lines("x/1.jpg", "x/2.jpg", "x/1.jpg"))
    refused("D153", "which are one name on many disks", *lines("x/1.jpg", "X/1.JPG", "y/1.jpg"))
    refused("D153", "which are one name on many disks", *lines("é/1.jpg", "e\u0301/1.jpg", "y/1.jpg"))
    refused("D153", "'x/1.jpg' would be a file and a folder", *lines("x/1.jpg", "x/1.jpg/2.jpg", "y/1.jpg"))
    # two names that lie so in the data are the user's own
    paths = ("a/x.jpg", "a/X.jpg")
    check(Plan(tuple(Line(path, "keep", path) for path in paths)), paths)


def test_no_picture_left() -> None:
    refused("D156", "no picture would be left: all 3 are taken out.", *lines("", "", "", action="out"))
