"""Tables: a CSV of path and label, and errors that name the file and the line."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from dojang.data.manifest import Manifest, csv_line
from dojang.data.scan import find
from dojang.data.split import assign
from dojang.errors import DataError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "sub/e.jpg"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def table(text: str | bytes) -> str:
    Path("t.csv").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
    return "t.csv"


def rows(found: Manifest) -> list[tuple[str, str, str, str]]:
    names = [found.classes[label] for label in found.targets]
    return list(zip(found.paths, names, found.splits, found.groups, strict=True))


def test_path_and_label() -> None:
    found = find(table("path,label\nb.jpg,dog\na.jpg,cat\nsub/e.jpg,cat\n"))
    assert rows(found) == [("a.jpg", "cat", "", ""), ("b.jpg", "dog", "", ""), ("sub/e.jpg", "cat", "", "")]
    assert found.notes == () and found.source.name == "t.csv"
    assert found.source.read("sub/e.jpg") == b"sub/e.jpg"


@pytest.mark.parametrize("path", ["path", "file", "filename", "image", "Path", " FILE "])
@pytest.mark.parametrize("label", ["label", "class", "target", "Label"])
def test_names_of_columns_in_any_order(path: str, label: str) -> None:
    assert find(table(f"{label},{path}\r\ncat,a.jpg\r\ndog,b.jpg\r\n")).paths == ("a.jpg", "b.jpg")


def test_splits_and_groups() -> None:
    text = "group,path,split,label\np1,a.jpg,train,cat\np1,b.jpg,Train,dog\n,c.jpg,validation,cat\np2,d.jpg,test,dog\n"
    found = find(table(text))
    assert rows(found) == [
        ("a.jpg", "cat", "train", "p1"),
        ("b.jpg", "dog", "train", "p1"),
        ("c.jpg", "cat", "val", ""),
        ("d.jpg", "dog", "test", "p2"),
    ]
    assert found.notes == ("val has no images of 1 class: dog", "test has no images of 1 class: cat")


@pytest.mark.parametrize("word", ["val", "valid", "Validation"])
def test_words_for_val(word: str) -> None:
    found = find(table(f"path,label,split\na.jpg,cat,train\nb.jpg,dog,train\nc.jpg,cat,{word}\n"))
    assert found.splits == ("train", "train", "val")


def test_an_empty_split_column_is_none() -> None:
    assert find(table("path,label,split\na.jpg,cat,\nb.jpg,dog,\n")).splits == ("", "")


def test_labels_are_strings() -> None:
    assert find(table("path,label\na.jpg,1\nb.jpg,10\nc.jpg,01\nd.jpg,2\n")).classes == ("01", "1", "10", "2")


def test_other_columns_are_said() -> None:
    found = find(table("path,age,label,x\na.jpg,3,cat,\nb.jpg,4,dog,\n"))
    assert found.notes == ("ignored 2 columns: age, x",)


def test_a_byte_order_mark_blank_lines_and_absolute_paths(folder: Path) -> None:
    found = find(table("\ufeffpath,label\n\n" + csv_line([str(folder / "a.jpg"), "cat"]) + "\nb.jpg,dog\n"))
    assert set(found.paths) == {str(folder / "a.jpg"), "b.jpg"}
    assert found.source.read(str(folder / "a.jpg")) == b"a.jpg"


@pytest.mark.parametrize("name", ["고양이", "a,b", 'say "x"', "a\nb", "=cmd()", os.fsdecode(b"\xff"), " lead"])
def test_any_name(name: str, folder: Path) -> None:
    (folder / f"{name}.jpg").write_bytes(b"here")
    found = find(table("path,label\n" + csv_line([f"{name}.jpg", name]) + "a.jpg,other\n"))
    assert f"{name}.jpg" in found.paths and name in found.classes
    assert found.source.read(f"{name}.jpg") == b"here"


def test_labels_are_compared_in_one_form() -> None:
    text = "path,label,split\na.jpg,cafe\u0301,train\nb.jpg,dog,train\nc.jpg,caf\u00e9,val\n"
    assert find(table(text)).counts()["val"] == {"caf\u00e9": 1, "dog": 0}


def test_labels_easily_mistaken_are_said() -> None:
    found = find(table("path,label\na.jpg,cat\nb.jpg, cat\nc.jpg,Cat\nd.jpg,dog\n"))
    assert found.notes == ("these are different classes: ' cat', 'Cat', 'cat'",)


GOOD = "path,label,split\na.jpg,cat,train\nb.jpg,dog,train\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "picture,label\na.jpg,cat\n",
            "D111]: t.csv line 1: no column for the path (path, file, filename, image) in the header, "
            "which has 'picture', 'label'.\n  Fix: begin the file with the line: path,label",
        ),
        ("a.jpg,cat\nb.jpg,dog\n", "D111]: t.csv line 1: no column for the path"),
        ("path;lable\na.jpg;cat\n", "D111]: t.csv line 1: no column for the label (label, class, target)"),
        ("path,lable\na.jpg,cat\n", "D111]: t.csv line 1: no column for the label (label, class, target)"),
        ("", "D111]: t.csv line 1: no column for the path (path, file, filename, image) in the header, which has noth"),
        ("path,file,label\n", "D111]: t.csv line 1: two columns could be the path: 'path' and 'file'.\n  Fix: rename"),
        ("path,label,class\n", "D111]: t.csv line 1: two columns could be the label: 'label' and 'class'."),
        ("path,label\n", "D101]: 't.csv' names no images: it has no lines below its header.\n  Fix: cat/1.jpg,cat"),
        ("path,label\na.jpg,cat\nb.jpg\n", "D111]: t.csv line 3: 1 field, but the header has 2.\n  Fix: put a name"),
        ("path,label\na.jpg,cat,x\n", "D111]: t.csv line 2: 3 fields, but the header has 2."),
        ("path,label\na.jpg,cat\nb.jpg,\n", "D111]: t.csv line 3: the label is empty.\n  Fix: fill in the label"),
        ("path,label\n,cat\n", "D111]: t.csv line 2: the path is empty."),
        (
            GOOD + "c.jpg,cat,tset\n",
            "D111]: t.csv line 4: the split is 'tset'; expected train, val, test or nothing.\n",
        ),
        (GOOD + "c.jpg,cat,\n", "D111]: t.csv line 4: no split, though other lines have one.\n  Fix: write train,"),
        (GOOD + "./a.jpg,dog,val\n", "D111]: t.csv line 4: './a.jpg' is on line 2 too.\n  Fix: remove one of the two."),
        ('path,label\n"a.jpg,cat\n', "D111]: t.csv line 2: the CSV is broken: unexpected end of data.\n  Fix: close"),
        ('path,label\n"x\ny.jpg",cat\nz\n', "D111]: t.csv line 4: 1 field"),
        ("path,label\n" + "x" * 200_000 + ",cat\n", "D111]: t.csv line 2: the CSV is broken: field larger than"),
        (
            "path,label,split\na.jpg,cat,val\nb.jpg,dog,test\n",
            "D124]: 't.csv' has test and val rows but no train rows.\n  Fix: write train in the split column",
        ),
        ("path,label\na.jpg,cat\nb.jpg,cat\n", "D109]: 't.csv' has one class only: 'cat' (2 images)."),
        (
            GOOD + "c.jpg,Dog,val\nd.jpg,Dog,val\n",
            "D107]: the validation set has a class the training set lacks: 'Dog' (2 images). Known: cat, dog.\n"
            "  Did you mean 'dog'? Scoring it would be meaningless.\n"
            "  Fix: correct the label, or add the class to the train rows.",
        ),
    ],
)
def test_errors_name_file_and_line(text: str, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        assign(find(table(text)))
    assert str(caught.value).startswith(f"DataError[{expected}")


def test_missing_files_are_counted_and_listed(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        find(table("path,label\na.jpg,cat\n1.jpg,cat\nsub\\e.jpg,cat\nsub,dog\n3.jpg,dog\n"))
    assert str(caught.value) == (
        "DataError[D111]: t.csv: 4 of 5 images do not exist: '1.jpg' (line 3), 'sub\\\\e.jpg' (line 4), "
        "'sub' (line 5) and 1 more.\n"
        f"  Looked in {str(folder)!r}. Folders are separated by / in a table.\n"
        "  Fix: write each path relative to the folder of the CSV, or remove these lines."
    )


def test_a_table_as_spreadsheets_write_it_with_semicolons() -> None:
    found = find(table('\ufeffpath;label\r\na.jpg;cat, grey\r\n"b.jpg";dog\r\n'))
    assert found.paths == ("a.jpg", "b.jpg") and found.classes == ("cat, grey", "dog")


def test_accents_and_korean_in_one_character_or_in_several(folder: Path) -> None:
    # a Mac writes names in several; its spreadsheet writes them in one
    name = unicodedata.normalize("NFD", "고양이.jpg")
    (folder / name).write_bytes(b"here")
    found = find(table("path,label\n고양이.jpg,cat\na.jpg,dog\n"))
    assert name in found.paths and found.source.read(name) == b"here"
    with pytest.raises(DataError, match="is on line 2 too"):
        find(table(f"path,label\n고양이.jpg,cat\n{name},dog\n"))


def test_a_table_that_is_not_utf8_says_so(folder: Path) -> None:
    (folder / "고양이.jpg").write_bytes(b"here")
    (folder / "old.csv").write_bytes("path,label\n고양이.jpg,cat\n".encode("cp949"))
    with pytest.raises(DataError, match='not UTF-8: save it as "CSV UTF-8"'):
        find(str(folder / "old.csv"))
