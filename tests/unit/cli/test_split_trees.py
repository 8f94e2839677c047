"""`dojang split --tree`, --ratio and --resplit: the division as folders, and what cannot be made into them."""

from __future__ import annotations

import json
import os
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dojang import files
from dojang.cli.main import main
from dojang.data.decode import decode
from dojang.data.division import anew, ratio
from dojang.data.manifest import Manifest
from dojang.data.pairs import from_pairs
from dojang.data.scan import find
from dojang.data.sources import FolderSource
from dojang.data.split import describe
from dojang.data.tree import grow, plan
from dojang.errors import ConfigError, ResourceError


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(1)
    for number in range(40):
        folder = Path("photos", "ab"[number % 2], "xy"[number % 4 // 2])
        folder.mkdir(parents=True, exist_ok=True)
        # the same name in x/ and y/
        Image.fromarray(draw.integers(0, 256, (9, 9), np.uint8)).save(folder / f"{number // 4}.png")
    return Path("photos")


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("how", ["link", "hardlink", "copy"])
def test_a_tree_is_read_back_as_the_division(data: Path, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(data)
    words = ["split", "photos", "--ratio", "60/20/20", "--tree", "made", "--out", "made.csv", "--json"]
    assert main([*words, *([] if how == "link" else [f"--{how}"])]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["trees"] == ["made"] and told["files"] == ["made.csv"]
    made = find("made")
    assert describe(made) == "train 24, val 8, test 8; 2 classes"
    assert sorted(contents(Path("made")).values()) == sorted(before.values()) and contents(data) == before
    some = next(Path("made").rglob("*.png"))
    assert some.is_symlink() == (how == "link") and (some.stat().st_nlink == 2) == (how == "hardlink")
    # pictures of one name in one class: the second is renamed, and that is said
    renamed = told["renamed"][0]["pictures"]
    assert renamed and all(name.endswith("-2.png") for name in renamed.values())
    assert any("renamed, for the name is taken in the folder: " in note for note in told["notes"])
    assert not list(Path().glob(".*")), "nothing of the making is left"


def test_training_reads_it_and_it_is_divided_anew(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["split", "photos", "--val", "8", "--test", "8", "--tree", "made"]) == 0
    out = capsys.readouterr().out
    assert "made/  train 24, val 8, test 8; 2 classes" in out and "train with it: dojang train made\n" in out
    assert not Path("splits.csv").exists()
    assert main(["train", "made", "--model", "mlp", "--epochs", "1"]) == 0
    capsys.readouterr()
    assert main(["split", "made"]) == 0
    assert "left as the data brings it: train, val, test (--resplit divides anew)" in capsys.readouterr().out
    assert main(["split", "made", "--test", "4", "--out", "b.csv"]) == 2
    assert "or divide all anew: dojang split made --resplit" in capsys.readouterr().err
    assert main(["split", "made", "--resplit", "--ratio", "75/0/25", "--out", "c.csv"]) == 0
    out = capsys.readouterr().out
    assert "set aside the division that the data brings: train 24, val 8, test 8" in out
    assert "c.csv  train 30, test 10; 2 classes" in out and max(map(len, out.splitlines())) <= 80


def test_a_tree_for_each_fold(data: Path) -> None:
    assert main(["split", "photos", "--folds", "2", "--tree", "cv", "--no-pairs"]) == 0
    assert [describe(find(f"cv-{k}")) for k in (1, 2)] == ["train 20, val 20; 2 classes"] * 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--copy"], "ConfigError[C200]: --copy says how a tree is made, and none is asked for."),
        (["--tree", "photos"], "ConfigError[C202]: --tree 'photos' is there already; nothing is overwritten."),
        (["--tree", "photos/a/made"], "ConfigError[C244]: the tree would lie inside the data: 'photos/a/made' is in"),
        (["--ratio", "8/1/1", "--val", "0.1"], "ConfigError[C200]: --ratio says what --val and --test say."),
        (["--ratio", "70-15-15"], "ConfigError[C202]: --ratio '70-15-15' is no ratio of train, val and test; expected"),
        (["--ratio", "75/25"], "Fix: --ratio 75/0/25 without val, or with the 0 last without test."),
        (["--ratio", "0/1/1"], "is no ratio"),
        (["--ratio", "nan/1/1"], "is no ratio"),
    ],
)
def test_what_cannot_be_asked_for(
    data: Path, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["split", "photos", *words]) == 2
    assert expected in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["photos"]


def test_archives_and_arrays_are_copied(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tarfile.open("photos.tar", "w") as tar:
        tar.add("photos")
    assert main(["split", "photos.tar", "--tree", "made"]) == 2
    error = capsys.readouterr().err
    assert "ConfigError[C270]: pictures of 'photos.tar' are no files of their own, so there is nothing to link" in error
    assert "Fix: --tree made --copy" in error
    assert main(["split", "photos.tar", "--tree", "made", "--copy"]) == 0
    assert sorted(contents(Path("made")).values()) == sorted(contents(data).values())


def test_pixels_become_png_files_of_the_same_levels(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 256, shape, np.uint8) for shape in ((3, 4), (3, 4, 1), (3, 4, 3), (3, 4, 4))]
    made = from_pairs([(picture, "T-shirt/top") for picture in pictures]).replace(splits=("train",) * 4)
    tree = plan(made)
    assert tree.places[0] == "train/T-shirt_top/pairs-0.png"
    assert tree.notes == ("class 'T-shirt/top' is the folder 'T-shirt_top'",)
    grow(made, tree, tmp_path / "new", "copy")
    for path, place in zip(made.paths, tree.places, strict=True):
        written = decode((tmp_path / "new" / place).read_bytes(), place, mode="RGB")
        np.testing.assert_array_equal(written, decode(made.source.read(path), path, mode="RGB"))


HOSTILE = [
    "",
    ".git",
    "a/b",
    "a_b",
    "=cmd()",
    "<script>",
    "\x1b[31m",
    "x" * 300,
    "x" * 299 + "y",
    "lost+found",
    "\ud800",
]


def hostile(paths: list[str]) -> Manifest:
    return Manifest(
        source=FolderSource(Path("/nowhere"), "nowhere"),
        classes=tuple(HOSTILE),
        paths=tuple(paths),
        labels=tuple((i % len(HOSTILE),) for i in range(len(paths))),
        splits=("train",) * len(paths),
        groups=("",) * len(paths),
    )


def test_names_that_no_folder_can_have() -> None:
    tree = plan(hostile([f"d/{i}.png" for i in range(2 * len(HOSTILE))]))
    folders = [place.split("/")[1] for place in tree.places]
    assert len(set(folders)) == len(HOSTILE) and len(set(tree.places)) == len(tree.places)
    for folder in folders:
        assert 0 < len(os.fsencode(folder)) < 255 and not folder.startswith(".") and "\0" not in folder
    assert folders[1] == "_.git" and folders[2:4] == ["a_b", "a_b-2"] and folders[4:7] == HOSTILE[4:7]
    assert all(note.isprintable() for note in tree.notes)


def test_names_of_files() -> None:
    paths = ["x/1.jpg", *["pad.png"] * 10, "y/1.jpg", *["pad.png"] * 10, "z/.hidden.jpg", *["pad.png"] * 10, "no-end"]
    tree = plan(hostile(paths))
    assert [tree.places[i].rpartition("/")[2] for i in (0, 11, 22, 33)] == [
        *("1.jpg", "1-2.jpg", "_.hidden.jpg", "no-end.png"),
    ]
    assert tree.renamed["y/1.jpg"] == "1-2.jpg"


def test_rows_in_no_split_are_in_no_folder() -> None:
    made = hostile(["a.png", "b.png"]).replace(splits=("train", ""))
    assert plan(made).places == ("train/_/a.png", "")


def test_a_tree_is_whole_or_not_there(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = find("photos").replace(splits=("train",) * 40)
    tree = plan(made)
    tried = 0

    def fail(fd: int, data: memoryview) -> int:
        nonlocal tried
        tried += 1
        if tried == 7:
            raise OSError(28, "No space left on device")
        return os.write(fd, data)

    monkeypatch.setattr(files, "_write", fail)
    with pytest.raises(ResourceError, match=r"R401\]"):
        grow(made, tree, "made", "copy")
    assert [path.name for path in Path().iterdir()] == ["photos"]


@pytest.mark.parametrize(("hard", "kind"), [(True, "a second name"), (False, "a symbolic link")])
def test_disks_without_links(data: Path, monkeypatch: pytest.MonkeyPatch, hard: bool, kind: str) -> None:
    def refuse(source: str, path: Path, hard: bool) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(files, "_link", refuse)
    made = find("photos").replace(splits=("train",) * 40)
    with pytest.raises(ConfigError) as caught:
        grow(made, plan(made), "made", "hardlink" if hard else "link")
    assert f"cannot get {kind} there: Invalid cross-device link." in str(caught.value)
    assert "Fix: --copy" in str(caught.value) and not Path("made").exists()


def test_ratios() -> None:
    for text, expected in (("70/15/15", (0.15, 0.15)), ("0.8/0.1/0.1", (0.1, 0.1)), ("8 : 1 : 1", (0.1, 0.1))):
        assert ratio(text) == pytest.approx(expected)


def test_data_that_brings_no_division_is_left_alone(data: Path) -> None:
    found = find("photos")
    assert anew(found) is found


def test_a_tree_beside_a_table(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # the table's folder is where people stand; only what the table names is its data
    Path("t.csv").write_text("path,label\n" + "".join(f"{path},{path.parts[1]}\n" for path in data.rglob("*.png")))
    assert main(["split", "t.csv", "--tree", "made", "--ratio", "60/20/20"]) == 0
    assert len(find("made")) == 40 and "train with it: dojang train made" in capsys.readouterr().out


def test_pictures_that_cannot_be_read_are_to_be_cleaned(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "a" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["split", "photos"]) == 3
    said = capsys.readouterr().err
    assert "Fix: dojang clean photos --drop unreadable --out NEW --apply, and divide that." in said


def test_thousands_of_pictures_of_one_name() -> None:
    # one folder a patient, and in each the same name; counted through from 2 each time this took minutes
    dots = from_pairs([(np.zeros((1, 1), np.uint8), "a")] * 4)
    count, began = 20_000, time.process_time()
    many = dots.keep(np.zeros(count, np.int64)).replace(splits=("train",) * count)
    made = plan(many.replace(paths=tuple(f"{row}/x.png" for row in range(count)), splits=("train",) * count))
    assert made.places[:3] == ("train/a/x.png", "train/a/x-2.png", "train/a/x-3.png")
    assert len(set(made.places)) == count and time.process_time() - began < 10
