"""I6 to I9: folders that are not as they should be, each with its own message; nothing hangs, nothing is guessed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dojang.data.scan import find
from dojang.data.split import assign
from dojang.errors import DataError

AsNobody = Callable[[Callable[[], object]], str]


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


@pytest.fixture
def pets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """data/pets, from whose grandparent the test runs, so that messages have no more than that in them."""
    monkeypatch.chdir(tmp_path)
    folder = Path("data/pets")
    folder.mkdir(parents=True)
    return folder


def message(data: Path | str, code: str) -> str:
    with pytest.raises(DataError) as caught:
        assign(find(data))
    assert caught.value.code == code and caught.value.exit_code == 3 and caught.value.fix
    return str(caught.value)


READ = "  Read: jpg, png, webp, bmp, gif, tiff (by content)."
GIVE = "  Fix: give the folder that holds one folder of pictures a class."


# I6


def test_no_images_as_the_handbook_has_it(pets: Path) -> None:
    touch(pets, *(f"cat/{i}.txt" for i in range(9)), *(f"dog/{i}.txt" for i in range(5)))
    assert message(pets, "D101") == (
        "DataError[D101]: 'data/pets' holds no images: its 2 folders, cat/ and dog/, contain 14 .txt files.\n"
        f"{READ}\n{GIVE}"
    )


@pytest.mark.parametrize(
    ("names", "held"),
    [
        ((), "the folder is empty"),
        (("cat/", "dog/"), "its 2 folders, cat/ and dog/, are empty"),
        (("cat/",), "its 1 folder, cat/, is empty"),
        (("cat/x.txt",), "its 1 folder, cat/, contains 1 .txt file"),
        (("notes.txt", "Makefile"), "it contains 1 .txt, 1 nameless files"),
        (
            ("a/1.npy", "b/1.npy", "c/1.json", "d/", "e/", "f/", "g/1.c", "g/1.h"),
            "its 7 folders, a/, b/, c/, d/, e/ and 2 more, contain 2 .npy, 1 .c, 1 .h and 1 other files",
        ),
    ],
)
def test_no_images(pets: Path, names: tuple[str, ...], held: str) -> None:
    for name in names:
        if name.endswith("/"):
            (pets / name).mkdir()
        else:
            touch(pets, name)
    assert message(pets, "D101") == f"DataError[D101]: 'data/pets' holds no images: {held}.\n{READ}\n{GIVE}"


def test_images_in_hidden_folders_only(pets: Path) -> None:
    touch(pets, ".git/1.jpg", "__MACOSX/cat/1.jpg", "cat/.DS_Store")
    text = message(pets, "D101")
    assert "holds no images: its 1 folder, cat/, is empty.\n" in text
    assert "Hidden files and folders are passed over: .git, __MACOSX, cat/.DS_Store." in text


def test_an_archive_in_the_folder_is_pointed_at(pets: Path) -> None:
    assert message(touch(pets, "my photos.tar.gz"), "D101").endswith(
        "Fix: give the file itself: 'data/pets/my photos.tar.gz'"
    )


def test_pictures_without_class_folders(pets: Path) -> None:
    assert message(touch(pets, "b.jpg", "a.jpg"), "D122") == (
        "DataError[D122]: 'data/pets' holds 2 images but no class folders, e.g. a.jpg.\n"
        "  The label of a picture is the name of the folder it lies in.\n"
        "  Fix: mkdir data/pets/cat data/pets/dog and so on, and move each picture into the folder of its class."
    )
    assert message(touch(pets, "labels.csv"), "D122").endswith(
        "Fix: give the table, if it has the columns path,label: data/pets/labels.csv"
    )


def test_train_without_class_folders(pets: Path) -> None:
    text = message(touch(pets, "train/1.jpg", "test/2.jpg"), "D122")
    assert text.startswith("DataError[D122]: 'data/pets/train' holds 1 image but no class folders, e.g. train/1.jpg.")


def test_one_class(pets: Path) -> None:
    assert message(touch(pets, "cat/1.jpg", "cat/2.jpg"), "D109") == (
        "DataError[D109]: 'data/pets' has one class only: 'cat' (2 images). A classifier needs at least two.\n"
        "  Fix: add pictures of what it is to be told apart from, in a class of their own."
    )


def test_one_class_in_train(pets: Path) -> None:
    assert "has one class only: 'cat' (1 image)" in message(touch(pets, "train/cat/1.jpg", "test/cat/2.jpg"), "D109")


def test_one_class_beside_an_empty_one(pets: Path) -> None:
    touch(pets, "cat/1.jpg", "dog/notes.txt")
    assert "has one class only: 'cat' (1 image)" in message(pets, "D109")


@pytest.mark.parametrize(
    ("names", "outer", "inner", "held"),
    [
        (("photos/cat/1.jpg", "photos/dog/1.jpg"), "photos/", "data/pets/photos", "cat/ and dog/"),
        (("a/b/c/1.jpg", "a/b/d/1.jpg", "README.md", ".git/x"), "a/b/", "data/pets/a/b", "c/ and d/"),
        (("my set/train/c/1.jpg", "my set/val/c/1.jpg"), "my set/", "'data/pets/my set'", "train/ and val/"),
    ],
)
def test_the_parent_folder_by_mistake(pets: Path, names: tuple[str, ...], outer: str, inner: str, held: str) -> None:
    assert message(touch(pets, *names), "D123") == (
        f"DataError[D123]: 'data/pets' holds no class folders itself but one folder, {outer}, with {held} in it.\n"
        f"  Fix: give the folder inside: {inner}"
    )


def test_the_fix_for_the_parent_folder_works(pets: Path) -> None:
    text = message(touch(pets, "a/b/c/1.jpg", "a/b/d/1.jpg"), "D123")
    assert find(text.rpartition(": ")[2]).classes == ("c", "d")


def test_a_single_picture_in_a_class(pets: Path) -> None:
    touch(pets, "cat/1.jpg", "cat/2.jpg", "cat/3.jpg", "lynx/1.jpg")
    assert message(pets, "D113").startswith(
        "DataError[D113]: 1 class has a single image: 'lynx' (e.g. 'lynx/1.jpg'). It cannot both train and test."
    )


def test_no_train(pets: Path) -> None:
    touch(pets, "test/cat/1.jpg", "test/dog/1.jpg", "val/cat/1.jpg")
    assert message(pets, "D124") == (
        "DataError[D124]: 'data/pets' has test/ and val/ but no train/ with pictures.\n"
        "  Fix: add train/ with one folder of pictures a class; or give data/pets/test, which is then divided."
    )


def test_an_empty_train(pets: Path) -> None:
    touch(pets, "test/cat/1.jpg", "test/dog/1.jpg")
    (pets / "train").mkdir()
    assert "has test/ but no train/ with pictures" in message(pets, "D124")


def test_classes_beside_a_test_part(pets: Path) -> None:
    touch(pets, "cat/1.jpg", "dog/1.jpg", "test/cat/1.jpg", "test/dog/1.jpg")
    assert message(pets, "D124") == (
        "DataError[D124]: 'data/pets' has class folders beside test/, which holds folders of the same names.\n"
        "  Fix: move the class folders into train/, so that only train/, val/ and test/ remain."
    )


def test_splits_inside_the_classes(pets: Path) -> None:
    touch(pets, "cat/train/1.jpg", "cat/test/1.jpg", "dog/train/1.jpg")
    assert message(pets, "D124") == (
        "DataError[D124]: 'data/pets' has its splits inside the class folders: cat/test/ and cat/train/.\n"
        "  Fix: put the splits outside: test/cat/ and so on."
    )


def test_two_folders_for_one_split(pets: Path) -> None:
    touch(pets, "train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg", "valid/dog/1.jpg")
    assert message(pets, "D125") == (
        "DataError[D125]: 'data/pets' has two folders for the val split: val/ and valid/.\n"
        "  Fix: put their pictures into one, or move valid/ elsewhere."
    )


# I7


def test_a_class_that_train_lacks(pets: Path) -> None:
    touch(pets, "train/bobcat/1.jpg", "train/cat/1.jpg", "train/dog/1.jpg")
    touch(pets, *(f"val/bobcats/{i}.jpg" for i in range(27)), "val/cat/1.jpg")
    assert message(pets, "D107") == (
        "DataError[D107]: the validation set has a class the training set lacks: 'bobcats' (27 images). "
        "Known: bobcat, cat, dog.\n"
        "  Did you mean 'bobcat'? Scoring it would be meaningless.\n"
        "  Fix: rename the folder, or add the class to train/."
    )


def test_as_many_classes_under_other_names(pets: Path) -> None:
    touch(pets, "train/cat/1.jpg", "train/dog/1.jpg", "test/0/1.jpg", "test/1/1.jpg")
    text = message(pets, "D107")
    assert text.startswith(
        "DataError[D107]: the test set has 2 classes the training set lacks: '0' (1 image), '1' (1 image). "
        "Known: cat, dog.\n  Scoring them would be meaningless."
    )


def test_another_case_is_another_class(pets: Path) -> None:
    touch(pets, "train/cat/1.jpg", "train/dog/1.jpg", "val/CAT/1.jpg")
    assert "lacks: 'CAT' (1 image). Known: cat, dog.\n  Did you mean 'cat'?" in message(pets, "D107")


def test_a_class_that_val_lacks_is_said_and_shows_as_zero(pets: Path) -> None:
    touch(pets, "train/ant/1.jpg", "train/cat/1.jpg", "train/dog/1.jpg", "val/dog/1.jpg", "val/cat/1.jpg")
    found = find(pets)
    # by position cat would be class 0 in val
    assert [found.classes[label] for label in found.targets[found.rows("val")]] == ["cat", "dog"]
    assert found.counts()["val"] == {"ant": 0, "cat": 1, "dog": 1}
    assert found.notes == ("val has no images of 1 class: ant",)


def test_hostile_class_names_stay_inert_in_messages(pets: Path) -> None:
    touch(pets, "train/\x1b[31mcat/1.jpg", "train/dog/1.jpg", "val/\x1b]0;x\x07/1.jpg")
    text = message(pets, "D107")
    assert "\x1b" not in text and "\x07" not in text
    assert r"'\x1b]0;x\x07' (1 image). Known: \x1b[31mcat, dog." in text
    note = find(touch(pets.parent / "b", "\x1bcat/1.jpg", "dog/1.jpg", "\x1bcat/\x1b.txt")).notes[0]
    assert note == r"ignored 1 file that is not a picture: \x1bcat/\x1b.txt"


def test_hostile_names_stay_inert_in_fixes_and_can_be_pasted(pets: Path) -> None:
    name = "\x1b[31m it's\n" + os.fsdecode(b"\xff")
    text = message(touch(pets, f"{name}/cat/1.jpg", f"{name}/dog/1.jpg"), "D123")
    assert all(c.isprintable() or c == "\n" for c in text)
    path = text.rpartition("Fix: give the folder inside: ")[2]
    shown = subprocess.run(["bash", "-c", f"ls {path}"], capture_output=True, check=True).stdout
    assert shown == b"cat\ndog\n"


# I9


def test_links_in_a_circle_do_not_hang(pets: Path) -> None:
    touch(pets, "cat/1.jpg", "dog/1.jpg")
    (pets / "cat" / "up").symlink_to("..", target_is_directory=True)
    (pets / "dog" / "self").symlink_to(".", target_is_directory=True)
    found = find(pets)
    assert found.paths == ("cat/1.jpg", "dog/1.jpg")
    assert found.notes == ("did not follow links back to a folder above: cat/up, dog/self",)


def test_links_to_each_other_do_not_hang(pets: Path) -> None:
    touch(pets, "cat/1.jpg", "dog/1.jpg")
    (pets / "cat" / "dog").symlink_to("../dog", target_is_directory=True)
    (pets / "dog" / "cat").symlink_to("../cat", target_is_directory=True)
    found = find(pets)
    assert found.paths == ("cat/1.jpg", "cat/dog/1.jpg", "dog/1.jpg", "dog/cat/1.jpg")
    assert "did not follow links back to a folder above: cat/dog/cat, dog/cat/dog" in found.notes


def test_a_link_that_leads_to_itself_is_told_when_read(pets: Path) -> None:
    touch(pets, "cat/1.jpg", "dog/1.jpg")
    (pets / "cat" / "2.jpg").symlink_to("2.jpg")
    found = find(pets)
    assert found.paths == ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg")
    with pytest.raises(DataError, match=r"D112\]: cannot read cat/2.jpg in 'data/pets': Too many levels of symbolic"):
        found.source.read("cat/2.jpg")


def test_a_file_that_vanishes(pets: Path) -> None:
    found = find(touch(pets, "cat/1.jpg", "dog/1.jpg"))
    (pets / "cat" / "1.jpg").unlink()
    with pytest.raises(DataError) as caught:
        found.source.read("cat/1.jpg")
    assert str(caught.value) == (
        "DataError[D112]: cannot read cat/1.jpg in 'data/pets': No such file or directory.\n"
        "  It was there when the data was scanned.\n"
        "  Fix: put it back, or start again without it."
    )


def test_a_folder_that_vanishes_while_it_is_scanned(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(pets, "cat/1.jpg", "dog/1.jpg")
    real = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("cat"):
            raise FileNotFoundError(2, "No such file or directory")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert message(pets, "D112").startswith("DataError[D112]: cannot read cat in 'data/pets': No such file or dir")


def test_pipes_and_folders_named_like_pictures_do_not_hang(pets: Path) -> None:
    touch(pets, "cat/1.jpg", "dog/1.jpg", "dog/2.jpg/3.jpg")
    os.mkfifo(pets / "cat" / "pipe.jpg")
    found = find(pets)
    assert found.paths == ("cat/1.jpg", "cat/pipe.jpg", "dog/1.jpg", "dog/2.jpg/3.jpg")
    held = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for path in ("cat/pipe.jpg", "dog"):
        with pytest.raises(DataError, match=rf"D112\]: cannot read {path} in 'data/pets': it is not a file\."):
            found.source.read(path)
    assert not held or len(os.listdir("/proc/self/fd")) == held


def test_a_file_too_long_to_be_a_picture(pets: Path) -> None:
    touch(pets, "cat/1.jpg", "dog/1.jpg")
    with open(pets / "cat" / "1.jpg", "r+b") as file:
        # takes no room on the disk
        file.truncate(2**30 + 1)
    with pytest.raises(DataError, match=r"it has 1,073,741,825 bytes; at most 1,073,741,824 are read as one picture"):
        find(pets).source.read("cat/1.jpg")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder to which everybody has a way, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        folder = Path(name)
        touch(folder, "cat/1.jpg", "cat/2.jpg", "dog/1.jpg")
        find(folder)  # all modules are loaded before a child loses its rights
        yield folder
        for path in (folder, *folder.iterdir()):
            os.chmod(path, 0o755)


def test_a_file_without_permission(open_folder: Path, as_nobody: AsNobody) -> None:
    os.chmod(open_folder / "cat" / "1.jpg", 0)
    found = find(open_folder)
    assert as_nobody(lambda: found.source.read("cat/1.jpg")) == (
        f"DataError[D112]: cannot read cat/1.jpg in {str(open_folder)!r}: Permission denied.\n"
        f"  Fix: chmod u+rX {open_folder}/cat/1.jpg (as the owner of the file)"
    )
    assert as_nobody(lambda: found.source.read("cat/2.jpg")) == "no error"


def test_a_class_folder_without_permission(open_folder: Path, as_nobody: AsNobody) -> None:
    os.chmod(open_folder / "cat", 0)
    assert as_nobody(lambda: find(open_folder)) == (
        f"DataError[D112]: cannot read cat in {str(open_folder)!r}: Permission denied.\n"
        f"  Fix: chmod u+rX {open_folder}/cat (as the owner of the file)"
    )


def test_data_without_permission(open_folder: Path, as_nobody: AsNobody) -> None:
    os.chmod(open_folder, 0)
    assert as_nobody(lambda: find(open_folder)) == (
        f"DataError[D112]: cannot read {open_folder}: Permission denied.\n"
        f"  Fix: chmod u+rX {open_folder} (as the owner of the file)"
    )
    assert as_nobody(lambda: find(open_folder / "cat")).startswith(
        f"DataError[D112]: cannot read {open_folder}/cat: Permission denied."
    )


def test_archives_and_tables_without_permission(open_folder: Path, as_nobody: AsNobody) -> None:
    for name in ("t.csv", "t.tar"):
        touch(open_folder, name)
        os.chmod(open_folder / name, 0)

        def check(name: str = name) -> object:
            return find(open_folder / name)

        assert as_nobody(check).startswith(f"DataError[D112]: cannot read {open_folder}/{name}: Permission denied.")
