"""Cleaning in place: killed or failing at any call, undo gives back the same tree, byte for byte."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dojang import files
from dojang.cli.main import main
from dojang.data.scan import find
from dojang.doctor import inplace
from dojang.doctor.inplace import rearrange
from dojang.doctor.journal import read_journal
from dojang.doctor.plan import Line, Plan
from dojang.doctor.undo import undo
from dojang.errors import DojangError


class Killed(BaseException):
    """The process ends here."""


def tree(root: Path) -> dict[str, str]:
    """Every file and folder below a place, and what is in it."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        found[name] = "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def pictures(root: Path, each: int = 2) -> Path:
    draw = np.random.default_rng(0)
    for number, name in enumerate(["n01-cat", "n02-dog"] * each):
        (root / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (9, 8, 3), np.uint8)).save(root / name / f"{number}.png")
    (root / "n02-dog" / "notes.txt").write_text("mine")
    (root / "n01-cat" / "empty").mkdir()
    return root


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # hundreds of trials: what the disk does with a flush is not tested here
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    return pictures(tmp_path / "photos")


def everything(data: Path) -> Plan:
    """Names swapped, a class renamed, one taken out, one encoded anew, one that is given another's old name."""
    one, two, three, four = sorted(find(data).paths)
    return Plan(
        (
            Line(one, "keep", "cat/2.png", "name"),
            Line(two, "jpeg-90", "cat/0.jpg", "encode"),
            Line(three, "out", "", "blank"),
            Line(four, "keep", "n02-dog/1.png", "name"),
        )
    )


def killing(monkeypatch: pytest.MonkeyPatch, at: int, after: bool, names: tuple[str, ...]) -> list[str]:
    """From the at-th call of some functions of files.py on, the process is dead."""
    made: list[str] = []

    def replaced(name: str) -> Any:
        real = getattr(files, name)

        def call(*args: Any) -> Any:
            if len(made) >= at:
                raise Killed
            made.append(name)
            if len(made) == at:
                if after:
                    real(*args)
                raise Killed
            return real(*args)

        return call

    for name in names:
        monkeypatch.setattr(files, name, replaced(name))
    return made


CALLS = ("_rename", "_open", "_write", "_sync", "_replace", "_sync_folder")


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_undo_brings_everything_back(
    data: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    before = tree(data)
    names = 0
    for at in range(1, 1000):
        with monkeypatch.context() as patch:
            killing(patch, at, after, CALLS)
            try:
                rearrange(find(data), everything(data))
                ended = True
            except Killed:
                ended = False
        taken = sorted(data.parent.glob("photos-taken-out*"))
        if (taken[0] / "journal.csv").exists():
            names += tree(data) != before
            undo(taken[0])
            # a second time changes nothing
            assert undo(taken[0])[1] == 0
        assert tree(data) == before, at
        for folder in taken:
            shutil.rmtree(folder)
        if ended:
            break
    assert at > 30 and names > 8


@pytest.mark.parametrize("after", [False, True])
def test_an_undo_that_is_killed_goes_on(data: Path, monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    before = tree(data)
    for at in range(1, 1000):
        journal = rearrange(find(data), everything(data))
        assert journal is not None and tree(data) != before
        with monkeypatch.context() as patch:
            killing(patch, at, after, CALLS)
            try:
                undo(journal.folder)
                ended = True
            except Killed:
                ended = False
        undo(journal.folder)
        assert tree(data) == before, at
        shutil.rmtree(journal.folder)
        if ended:
            break
    assert at > 10


def test_moves_that_fail_are_said_with_the_way_back(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(data)
    real, count = files._rename, 0

    def failing(source: Path, target: Path) -> None:
        nonlocal count
        count += 1
        if count == 5:
            raise OSError(28, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_rename", failing)
        with pytest.raises(DojangError) as caught:
            rearrange(find(data), everything(data))
    error = caught.value
    assert error.code == "R401" and error.exit_code == 4
    assert error.fix == f"dojang clean --undo {data}-taken-out, then once more."
    # until then nothing else is begun
    for more in ((), ("--in-place", "--apply"), ("--out", "new")):
        assert main(["clean", "photos", *more]) == 3
        said = capsys.readouterr().err
        assert "DataError[D157]: a clean of" in said and f"Fix: dojang clean --undo {data}-taken-out" in said
    undo(f"{data}-taken-out")
    assert tree(data) == before


def test_all_of_it_and_back(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(data)
    journal = rearrange(find(data), everything(data))
    assert journal is not None
    left = ["cat", "cat/0.jpg", "cat/2.png", "n02-dog", "n02-dog/1.png", "n02-dog/notes.txt"]
    assert sorted(tree(data)) == left
    taken = journal.folder
    assert (taken / "out/n02-dog/1.png").is_file() and (taken / "originals/n01-cat/2.png").is_file()
    assert main(["clean", "--undo", "photos-taken-out"]) == 0
    assert "4 files are back in" in capsys.readouterr().out
    assert tree(data) == before
    assert main(["clean", "--undo", "photos-taken-out"]) == 0
    assert "everything was back already" in capsys.readouterr().out


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) in (2, 3)
    return capsys.readouterr().err


def test_undo_refuses_what_stands_in_the_way(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rearrange(find(data), everything(data))
    (data / "n01-cat").mkdir(exist_ok=True)
    (data / "n01-cat" / "0.png").write_text("new")
    after = tree(data.parent)
    said = refusal(capsys, "clean", "--undo", "photos-taken-out")
    assert "DataError[D158]: cannot bring everything back: something stands at n01-cat/0.png." in said
    assert tree(data.parent) == after
    (data / "n01-cat" / "0.png").unlink()
    (data / "cat" / "2.png").rename(data / "cat" / "9.png")
    said = refusal(capsys, "clean", "--undo", "photos-taken-out")
    assert "DataError[D158]" in said and "cat/2.png is not where dojang put it" in said
    (data.parent / "begun" / "moving").mkdir(parents=True)
    assert "the clean was stopped before its first move" in refusal(capsys, "clean", "--undo", "begun")
    said = refusal(capsys, "clean", "--undo", "photos")
    assert "DataError[D159]: 'photos' holds no journal" in said and "--undo photos-taken-out" in said


@pytest.mark.parametrize(
    "line", ["0,../../x,out/x,taken", "0,a,/etc/x,", ",,../x,made", "x,a,b,", "0,a,b", "0,a/../../b,c,"]
)
def test_a_journal_from_elsewhere_moves_nothing(data: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    taken = data.parent / "photos-taken-out"
    taken.mkdir()
    (taken / "journal.csv").write_text(f"number,from,to,taken\n,,{data},data\n{line}\n")
    before = tree(data.parent)
    said = refusal(capsys, "clean", "--undo", "photos-taken-out")
    assert "DataError[D111]" in said and "journal.csv line 3: it is no line that dojang writes" in said
    assert tree(data.parent) == before


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ("{other}/inside", "D159]: 'photos-taken-out' is of '{other}/inside', which does not lie beside it."),
        ("", "D111]"),
        ("{other}/..", "D111]"),
    ],
)
def test_pictures_come_back_beside_it_and_nowhere_else(
    data: Path, kept: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = data.parent / "other"
    (other / "inside").mkdir(parents=True)
    taken = data.parent / "photos-taken-out"
    (taken / "moving").mkdir(parents=True)
    (taken / "moving" / "0").write_text("planted")
    kept, words = kept.format(other=other), words.format(other=other)
    (taken / "journal.csv").write_text(f"number,from,to,taken\n,,{kept},data\n0,rc,out/rc,taken\n")
    before = tree(data.parent)
    assert words in refusal(capsys, "clean", "--undo", "photos-taken-out")
    assert tree(data.parent) == before


@pytest.mark.parametrize("line", ["../../other,x", "0,../x", "0,/tmp/x", "0"])
def test_emptied_folders_from_elsewhere_stay(data: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    (data.parent / "other").mkdir()
    rearrange(find(data), everything(data))
    taken = data.parent / "photos-taken-out"
    (taken / "emptied.csv").write_text(f"number,from\n{line}\n")
    before = tree(data.parent)
    said = refusal(capsys, "clean", "--undo", "photos-taken-out")
    assert "emptied.csv line 2: it is no line that dojang writes" in said
    assert tree(data.parent) == before and (data.parent / "other").is_dir()


def test_a_second_clean_gets_a_folder_of_its_own(data: Path) -> None:
    before = tree(data)
    first = rearrange(find(data), everything(data))
    between = tree(data)
    paths = find(data).paths
    second = rearrange(find(data), Plan((Line(paths[0], "out", ""), *(Line(path, "keep", path) for path in paths[1:]))))
    assert first is not None and second is not None
    assert (first.folder.name, second.folder.name) == ("photos-taken-out", "photos-taken-out2")
    undo(second.folder)
    assert tree(data) == between
    undo(first.folder)
    assert tree(data) == before


def test_data_and_what_was_taken_out_may_be_moved_together(data: Path, tmp_path: Path) -> None:
    before = tree(data)
    rearrange(find(data), everything(data))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("photos", "photos-taken-out"):
        (tmp_path / name).rename(elsewhere / name)
    undo(elsewhere / "photos-taken-out")
    assert tree(elsewhere / "photos") == before


@pytest.mark.parametrize("name", ["=cmd()", "<script>", "a\nb", "\x1b[31m", os.fsdecode(b"\xff"), 'a"b,c;d', "고양이"])
def test_any_name_survives(tmp_path: Path, name: str) -> None:
    root = pictures(tmp_path / "photos")
    (root / "n01-cat").rename(root / name)
    (root / name / "0.png").rename(root / name / f"{name}.png")
    before = tree(root)
    manifest = find(root)
    plan = Plan(tuple(Line(path, "keep", f"x/{path.replace('/', '_')}") for path in manifest.paths))
    journal = rearrange(manifest, plan)
    assert journal is not None and tree(root) != before
    assert read_journal(journal.folder) == journal
    undo(journal.folder)
    assert tree(root) == before


@pytest.fixture
def linked(data: Path) -> Iterator[Path]:
    (data / "n01-cat" / "9.png").symlink_to(data / "n02-dog" / "1.png")
    yield data


def test_what_cannot_be_done_in_place(linked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(linked)
    said = refusal(capsys, "clean", "photos", "--rename-files", "{number}", "--in-place", "--apply")
    assert "ConfigError[C260]: n01-cat/9.png is a link" in said and "--out NEW" in said
    (linked / "n01-cat" / "9.png").unlink()
    shutil.make_archive("packed", "tar", linked.parent, "photos")
    said = refusal(capsys, "clean", "packed.tar", "--in-place", "--apply")
    assert "ConfigError[C260]: 'packed.tar' cannot be changed in place" in said
    (linked / "n02-dog" / "0001.txt").write_text("")
    (linked / "n02-dog" / "a.png").mkdir()
    paths = find(linked).paths
    plan = Plan((*(Line(path, "keep", path) for path in paths[:-1]), Line(paths[-1], "keep", "n02-dog/a.png")))
    with pytest.raises(DojangError, match=r"D158\]: something stands where pictures are to go: n02-dog/a.png"):
        rearrange(find(linked), plan)
    plan = Plan((*(Line(path, "keep", path) for path in paths[:-1]), Line(paths[-1], "keep", "x/a.png", "", "0" * 64)))
    with pytest.raises(DojangError, match=r"D151\]: n02-dog/3.png has changed since the plan was made"):
        rearrange(find(linked), plan)
    assert not list(linked.parent.glob("*taken-out*"))
    assert {k: v for k, v in tree(linked).items() if k in before} == {k: v for k, v in before.items() if "9" not in k}


def test_data_that_may_not_be_written(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(data.parent)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != data / "n02-dog")
    with pytest.raises(DojangError) as caught:
        rearrange(find(data), everything(data))
    assert caught.value.code == "R402" and caught.value.context == "Nothing was moved."
    assert f"cannot write {str(data / 'n02-dog')!r}: Permission denied." in caught.value.what
    assert tree(data.parent) == before


def test_a_folder_is_looked_through_once_however_many_pictures_leave_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # of 100,000 files in one folder each look takes long
    looked: list[Path] = []
    real = inplace.holds_nothing
    monkeypatch.setattr(inplace, "holds_nothing", lambda folder: looked.append(folder) or real(folder))
    paths = find(data).paths
    rearrange(
        find(data),
        Plan(tuple(Line(path, "keep", f"{path.rpartition('/')[0]}/new {i}.png") for i, path in enumerate(paths))),
    )
    assert len(paths) > len(looked) == len({path.rpartition("/")[0] for path in paths})
