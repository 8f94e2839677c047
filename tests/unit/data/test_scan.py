"""What DATA can be: folders, splits, links and names, and what is said of what is passed over."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from dojang.data import scan
from dojang.data.manifest import Manifest, read_splits
from dojang.data.scan import find
from dojang.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))
    return root


def rows(found: Manifest) -> list[tuple[str, str, str]]:
    names = [found.classes[label] for label in found.targets]
    return list(zip(found.paths, names, found.splits, strict=True))


def test_class_folders(tmp_path: Path) -> None:
    found = find(touch(tmp_path, "dog/b.png", "cat/2.jpg", "cat/10.jpg"))
    assert rows(found) == [("cat/10.jpg", "cat", ""), ("cat/2.jpg", "cat", ""), ("dog/b.png", "dog", "")]
    assert found.classes == ("cat", "dog") and found.groups == ("", "", "") and found.notes == ()
    assert found.source.name == str(tmp_path)
    assert found.source.read("cat/2.jpg") == b"cat/2.jpg"


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("train", "val", "test"), ("train", "val", "test")),
        (("Train", "VALID", "Test"), ("train", "val", "test")),
        (("training", "validation", "testing"), ("train", "val", "test")),
        (("train", "test"), ("train", "test")),
        (("train", "valid"), ("train", "val")),
        (("train",), ("train",)),
    ],
)
def test_split_folders(tmp_path: Path, folders: tuple[str, ...], splits: tuple[str, ...]) -> None:
    for folder in folders:
        touch(tmp_path, f"{folder}/cat/1.jpg", f"{folder}/dog/1.jpg")
    found = find(tmp_path)
    expected = [(f"{f}/{c}/1.jpg", c, s) for f, s in zip(folders, splits, strict=True) for c in ("cat", "dog")]
    assert rows(found) == sorted(expected)
    assert found.notes == ()


def test_pictures_further_down_belong_to_the_class(tmp_path: Path) -> None:
    found = find(touch(tmp_path, "cat/1.jpg", "cat/summer/june/2.jpg", "dog/3.jpg"))
    assert rows(found) == [("cat/1.jpg", "cat", ""), ("cat/summer/june/2.jpg", "cat", ""), ("dog/3.jpg", "dog", "")]


def test_nested_classes_are_said(tmp_path: Path) -> None:
    found = find(touch(tmp_path, "2023/cat/1.jpg", "2023/dog/1.jpg", "2024/cat/1.jpg"))
    assert found.classes == ("2023", "2024")
    assert found.notes == ("where folders are nested, the outer one names the class, e.g. of 2023/cat/1.jpg",)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.Png", "a.webp", "a.bmp", "a.gif", "a.tif", "a.TIFF", "a.b.mpo"])
def test_extensions_of_pictures(tmp_path: Path, name: str) -> None:
    found = find(touch(tmp_path, f"cat/{name}", "dog/1.jpg"))
    assert f"cat/{name}" in found.paths and found.notes == ()


def test_other_files_are_counted(tmp_path: Path) -> None:
    found = find(touch(tmp_path, "cat/1.jpg", "dog/1.jpg", "cat/notes.txt", "README", "dog/jpg", "dog/x.jpg.part"))
    assert len(found) == 2
    assert found.notes == ("ignored 4 files that are not pictures, e.g. README",)
    touch(tmp_path / "one", "cat/1.jpg", "dog/1.jpg", "cat/notes.txt")
    assert find(tmp_path / "one").notes == ("ignored 1 file that is not a picture: cat/notes.txt",)


def test_hidden_things_are_reported(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg", ".git/a.jpg", "cat/.ipynb_checkpoints/1.jpg", "__MACOSX/cat/1.jpg")
    touch(tmp_path, "cat/Thumbs.db", "dog/.DS_Store", "dog/._1.jpg")
    found = find(tmp_path)
    assert found.paths == ("cat/1.jpg", "dog/1.jpg")
    assert found.notes == (
        "ignored 6 hidden files and folders: "
        ".git, __MACOSX, cat/.ipynb_checkpoints, cat/Thumbs.db, dog/.DS_Store and 1 more",
    )


def test_empty_class_folder_among_others_is_left_out_and_said(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg", "bird/notes.txt")
    (tmp_path / "eel").mkdir()
    found = find(tmp_path)
    assert found.classes == ("cat", "dog")
    assert "left out 2 folders without pictures: bird/, eel/" in found.notes


def test_empty_split_and_class_folders_are_said(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/1.jpg")
    (tmp_path / "val").mkdir()
    (tmp_path / "test" / "dog").mkdir()
    found = find(tmp_path)
    assert set(found.splits) == {"train", "test"}
    assert found.notes == (
        "left out 1 folder without pictures: test/dog/",
        "left out 1 folder without pictures: val/",
        "test has no images of 1 class: dog",
    )


def test_pictures_in_no_class_folder_are_said(tmp_path: Path) -> None:
    found = find(touch(tmp_path, "cat/1.jpg", "dog/1.jpg", "z.jpg", "b.jpg"))
    assert found.notes == ("left out 2 images in no class folder, e.g. b.jpg",)
    touch(tmp_path / "k", "train/cat/1.jpg", "train/dog/1.jpg", "test/1.jpg", "test/2.jpg")
    found = find(tmp_path / "k")
    assert set(found.splits) == {"train"}
    assert found.notes == ("left out 2 images in no class folder, e.g. test/1.jpg",)


def test_what_lies_beside_train_is_said(tmp_path: Path) -> None:
    found = find(touch(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg", "pred/1.jpg", "pred/2.jpg"))
    assert "left out what lies beside train/: pred/ (2 images)" in found.notes
    assert not any(path.startswith("pred") for path in found.paths)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    found = find(touch(tmp_path, "bus/1.jpg", "car/1.jpg", "train/1.jpg"))
    assert found.classes == ("bus", "car", "train") and set(found.splits) == {""}
    assert found.notes == ("took train/ for a class, not a split, because of the folders beside it",)


def test_case_clash_is_said(tmp_path: Path) -> None:
    found = find(touch(tmp_path, "Cat/1.jpg", "cat/1.jpg", "dog/1.jpg"))
    assert found.classes == ("Cat", "cat", "dog")
    assert found.notes == ("these are different classes: 'Cat', 'cat'",)


NAMES = ["고양이", "🐈‍⬛", "a\nb", "e\u0301t\u00e9", "=cmd()", "\x1b[31m", os.fsdecode(b"\xff\xfe"), "x" * 251]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_scanned_read_and_written(tmp_path: Path, name: str) -> None:
    found = find(touch(tmp_path, f"{name}/1.jpg", f"dog/{name}.jpg"))
    assert set(found.paths) == {f"{name}/1.jpg", f"dog/{name}.jpg"}
    for path in found.paths:
        assert found.source.read(path) == os.fsencode(path)
    assert {row.path for row in read_splits(found.to_csv())} == set(found.paths)


def test_class_names_are_compared_in_one_form(tmp_path: Path) -> None:
    nfd, nfc = "cafe\u0301", "caf\u00e9"
    touch(tmp_path, f"train/{nfd}/1.jpg", "train/dog/1.jpg", f"val/{nfc}/1.jpg", "val/dog/1.jpg")
    found = find(tmp_path)
    assert found.classes == (nfc, "dog")
    # paths keep the bytes they have on the disk
    assert f"train/{nfd}/1.jpg" in found.paths and f"val/{nfc}/1.jpg" in found.paths
    assert found.counts()["val"] == {nfc: 1, "dog": 1}


def test_two_forms_of_one_name_are_one_class_and_said(tmp_path: Path) -> None:
    found = find(touch(tmp_path, "cafe\u0301/1.jpg", "caf\u00e9/2.jpg", "dog/1.jpg"))
    assert found.counts() == {"": {"caf\u00e9": 2, "dog": 1}}
    assert found.notes == (
        "two folders are one class, for their names are the same in Unicode: 'cafe\\u0301' and 'caf\\xe9'",
    )


def test_order_does_not_depend_on_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, *(f"{c}/{i}.jpg" for c in ("b", "a", "c") for i in range(12)), "a/sub/1.jpg")
    first = find(tmp_path)
    assert list(first.paths) == sorted(first.paths)
    real = os.scandir

    class Reversed:
        def __init__(self, path: str) -> None:
            with real(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return iter(self.entries)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Reversed)
    assert find(tmp_path).replace(source=None) == first.replace(source=None)


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/1.jpg", "data/dog/1.jpg")
    (tmp_path / "data" / "cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "dog" / "2.jpg").symlink_to(tmp_path / "elsewhere" / "1.jpg")
    found = find(tmp_path / "data")
    assert found.paths == ("cat/1.jpg", "dog/1.jpg", "dog/2.jpg") and found.notes == ()
    assert found.source.read("cat/1.jpg") == found.source.read("dog/2.jpg") == b"elsewhere/1.jpg"


def test_relative_data_can_be_read_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "pets/cat/1.jpg", "pets/dog/1.jpg")
    monkeypatch.chdir(tmp_path)
    found = find("pets")
    monkeypatch.chdir("/")
    assert found.source.name == "pets" and found.source.read("cat/1.jpg") == b"pets/cat/1.jpg"


def test_home_is_understood(home: Path) -> None:
    touch(home, "pets/cat/1.jpg", "pets/dog/1.jpg")
    assert len(find("~/pets")) == 2


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """A stand-in for the named data sets; records how they are opened."""
    calls: list[tuple[object, ...]] = []
    module = types.ModuleType("dojang.data.named")
    module.NAMES = {"mnist": None, "cifar10": None}  # type: ignore[attr-defined]

    def open_named(*given: object) -> str:
        calls.append(given)
        return "opened"

    module.open_named = open_named  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dojang.data.named", module)
    return calls


def test_names(names: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[object] = [find("mnist", "root", True), find("MNIST")]
    assert opened == ["opened", "opened"]
    assert names == [("mnist", "root", True), ("mnist", None, False)]
    # what is on the disk wins
    touch(tmp_path, "mnist/a/1.jpg", "mnist/b/1.jpg")
    assert find("mnist").classes == ("a", "b")
    assert len(names) == 2


@pytest.mark.parametrize("room, function", [("idx", "find_idx"), ("cifar", "find_cifar")])
def test_known_layouts_come_before_class_folders(
    room: str, function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/1.jpg", "b/1.jpg")
    expected = find(tmp_path).keep([])  # type: ignore[arg-type]
    module = types.ModuleType(f"dojang.data.{room}")
    setattr(module, function, lambda folder: expected)
    monkeypatch.setitem(sys.modules, f"dojang.data.{room}", module)
    # though it is empty, and so false
    assert find(tmp_path) is expected


def test_idx_files_are_found(stripes: Path) -> None:
    found = find(stripes)
    assert len(found) == 120 and set(found.splits) == {"train", "test"}


def message(data: object) -> str:
    with pytest.raises(DataError) as caught:
        find(data)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("pests", "there is no file or folder 'pests', and no data set of that name. Did you mean 'pets'?"),
        ("mnits", "there is no file or folder 'mnits', and no data set of that name. Did you mean 'mnist'?"),
        ("CIFAR-10", "there is no file or folder 'CIFAR-10', and no data set of that name. Did you mean 'cifar10'?"),
        ("pets/kats", "there is no file or folder 'pets/kats'. Did you mean 'pets/cats'?"),
        ("qqq/kats", "there is no file or folder 'qqq/kats'.\n"),
        ("pets/cats/1.jpg/x", "there is no file or folder 'pets/cats/1.jpg/x'.\n"),
        ("", "DATA is empty."),
    ],
)
def test_data_that_does_not_exist(
    data: str, expected: str, names: list[tuple[object, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "pets/cats/1.jpg", "pets/dogs/1.jpg")
    monkeypatch.chdir(tmp_path)
    text = message(data)
    assert text.startswith(f"DataError[D100]: {expected}")
    assert "Fix: give a folder with one folder of pictures a class, a tar or zip of such a folder" in text
    assert not data or "Data sets by name: cifar10, mnist." in text


def test_files_of_another_kind(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "data.parquet")
    assert message(tmp_path / "1.jpg").startswith(
        f"DataError[D100]: {str(tmp_path / '1.jpg')!r} is neither a tar, a zip nor a CSV."
    )
    os.mkfifo(tmp_path / "pipe")
    assert "is neither a file nor a folder" in message(tmp_path / "pipe")


def test_a_name_with_a_zero_byte() -> None:
    assert message("a\0b").startswith("DataError[D112]: cannot read a\\x00b: embedded null byte.")


def test_scanning_writes_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.jpg", "dog/1.jpg")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    find(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_walk_lists_everything_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/c/1.jpg", "a/2.png", "a/b/x.txt", ".hidden/1.jpg")
    found = scan.walk(tmp_path, "data")
    assert sorted(found.pictures) == ["a/2.png", "a/b/c/1.jpg"] and found.others == ["a/b/x.txt"]
    assert found.folders == {"a", "a/b", "a/b/c"} and found.hidden == {".hidden"}
