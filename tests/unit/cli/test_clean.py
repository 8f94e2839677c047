"""`dojang clean`: the dry run, the plan, the new folder, and mistakes with flags."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dojang import files, folders
from dojang.cli.main import main
from dojang.data.scan import find
from dojang.doctor.plan import read_plan


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # a flush of the whole machine would wait for everybody
    monkeypatch.setattr(files, "_sync_all", lambda: None)
    draw = np.random.default_rng(0)
    for split in ("training", "test"):
        for number in range(6):
            folder = Path("photos") / split / f"n0208562{number % 2}-{'cat' if number % 2 else 'dog'}"
            folder.mkdir(parents=True, exist_ok=True)
            levels = draw.integers(0, 256, (12, 12, 3), np.uint8)
            Image.fromarray(levels).save(folder / f"IMG {number}.png")
    (Path("photos") / "test" / "n02085620-dog" / "broken.jpg").write_bytes(b"<html>")
    return Path("photos")


def run(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(["clean", *words]) == status
    said = capsys.readouterr()
    assert max(map(len, said.out.splitlines() or [""])) <= 80
    return said.err if status else said.out


REPAIRS = ["--drop", "unreadable,duplicates", "--rename-classes", "wnid", "--rename-files", "{class}_{number:03}"]


def test_without_apply_it_only_tells(data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    before = tree(tmp_path)
    said = run(capsys, "photos", *REPAIRS, "--out", "new")
    assert said.splitlines()[0] == "13 pictures in photos"
    assert "       12  change\n" in said and "n02085620-dog -> dog" in said and "        1  are taken out\n" in said
    assert "test/n02085620-dog/broken.jpg" in said and "it looks like an HTML page" in said
    assert "nothing was changed; to do it: --out NEW --apply or --in-place --apply" in said
    said = run(capsys, "photos")
    assert "       13  stay as they are" in said and "no repair was chosen" in said and "dojang scan photos" in said
    assert tree(tmp_path) == before


def test_a_plan_is_written_edited_and_followed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(data)
    run(capsys, "photos", *REPAIRS, "--plan", "p.csv")
    plan = read_plan("p.csv")
    assert {line.to for line in plan.staying} == {
        f"{split}/{name}/{name}_{n:03}.png"
        for split in ("training", "test")
        for name in ("cat", "dog")
        for n in (1, 2, 3)
    }
    text = Path("p.csv").read_text()
    Path("p.csv").write_text(text.replace("training/cat/cat_002.png", "training/bird/one.png"))
    # looked at again, checked, and not changed
    assert "training/bird/one.png" in run_json(capsys, "photos", "--plan", "p.csv", "--json")
    said = run(capsys, "photos", "--plan", "p.csv", "--out", "new", "--apply")
    assert "made  new   what was done: new.plan.csv" in said
    made = tree(Path("new"))
    assert len(made) == 12 and "training/bird/one.png" in made
    by_path = {line.path: line for line in read_plan("new.plan.csv").lines}
    for path, digest in before.items():
        if by_path[path].stays:
            assert made[by_path[path].to] == digest == by_path[path].sha256
    assert tree(data) == before
    # a copy of its own, no other name of the same file
    assert all(path.stat().st_nlink == 1 for path in Path("new").rglob("*.png"))
    assert run(capsys, "photos", "--plan", "p.csv", "--out", "new", "--apply", status=2).startswith("ConfigError[C202]")


def test_in_one_go_in_place_and_back(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(data)
    told = json.loads(run_json(capsys, "photos", *REPAIRS, "--in-place", "--apply", "--json"))
    assert (
        told["applied"]
        and told["taken"].endswith("photos-taken-out")
        and (told["changed"], told["taken_out"]) == (12, 1)
    )
    assert told["why"] == {"changed": {"class": 12, "name": 12}, "taken_out": {"unreadable": 1}}
    found = find("photos")
    assert found.classes == ("cat", "dog") and len(found) == 12 and set(found.splits) == {"train", "test"}
    assert json.loads(run_json(capsys, "--undo", "photos-taken-out", "--json"))["back"] == 13
    assert tree(data) == before
    said = run(capsys, "photos", "--in-place", "--apply")
    assert "nothing had to be changed." in said and not Path("photos-taken-out2").exists()


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["clean", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 2, "C200]: clean needs DATA, or --undo FOLDER."),
        (["photos", "--undo", "x"], 2, "C200]: DATA and --undo FOLDER are both given."),
        (["--undo", "x", "--drop", "blank"], 2, "C200]: --undo stands alone"),
        (["--undo", "nowhere"], 3, "D159]: there is no folder 'nowhere'"),
        (["photos", "--apply"], 2, "C200]: --apply needs a place: --out NEW for a new folder, or --in-place."),
        (["photos", "--out", "x", "--in-place"], 2, "C200]: --out and --in-place are both given."),
        (["photos", "--drop", "blnk"], 2, "Did you mean 'blank'?"),
        (["photos", "--dorp", "blank"], 2, "C201]: unknown option '--dorp' in the command. Did you mean '--drop'?"),
        (["photos", "--move", "blank"], 2, "C202]: --move cannot be 'blank'; expected KIND=CLASS."),
        (["photos", "--reencode", "gif"], 2, "C200"),
        (["photos", "--quality", "0", "--reencode", "jpeg"], 2, "C200"),
        (["nowhere"], 3, "D100]"),
        (["mnist", "--drop", "blank"], 3, "D150]: the pictures of 'mnist' are no files but arrays"),
        (["photos", "--out", "photos/new", "--apply"], 2, "C244]: --out 'photos/new' lies inside the data 'photos'."),
        (["photos", "--out", "photos", "--apply"], 2, "C244]: --out 'photos' is the data 'photos'."),
        (["photos", "--out", ".", "--apply"], 2, "C244]: --out '.' holds the data 'photos'."),
        (["photos", "--plan", "photos/p.csv"], 2, "C244]: --plan 'photos/p.csv' lies inside the data"),
        (["photos", "--out", "taken", "--apply"], 2, "C202]: --out 'taken' is there already; nothing is overwritten."),
        (["photos", "--plan", "taken", "--drop", "blank"], 2, "C200]: --plan 'taken' is there already, and repairs"),
        (["photos", "--plan", "taken"], 3, "D111]: taken line 1"),
        (["photos", "--relabel", "no.csv"], 3, "D112]: cannot read no.csv"),
    ],
)  # fmt: skip
def test_mistakes(
    data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], status: int, said: str
) -> None:
    Path("taken").write_text("mine")
    before = tree(tmp_path)
    assert said in run(capsys, *words, status=status)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", ["blank", "near", "same", "shape", "dark"])
def test_a_kind_with_a_class_is_no_option(data: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    # "blank" is two letters from "plan": ``plan=x`` is how an option may be spelled, the value of --move is not one
    assert "stay as they are" in run(capsys, "photos", "--move", f"{kind}=nothing")
    assert "stay as they are" in run(capsys, "move=blank=nothing", "data=photos")


def test_a_plan_of_other_data_or_older_pictures(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "photos", "--drop", "unreadable", "--plan", "p.csv")
    changed = next(data.glob("test/*cat/*.png"))
    changed.write_bytes(changed.read_bytes() + b"0")
    for where in (["--out", "new"], ["--in-place"]):
        said = run(capsys, "photos", "--plan", "p.csv", *where, "--apply", status=0 if where[0] == "--in-place" else 3)
        if where[0] == "--out":
            assert "D151]" in said and "has changed since the plan was made" in said and not Path("new").exists()
    (data / "test" / "n02085621-cat" / "more.png").write_bytes(changed.read_bytes())
    said = run(capsys, "photos", "--plan", "p.csv", status=3)
    assert "D151]" in said


def test_a_table_becomes_class_folders(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [path for path in find("photos").paths if path.endswith(".png")][:4]
    splits = ("train", "train", "val", "val")
    lines = [f"photos/{path},{label},{split}" for path, label, split in zip(paths, "abab", splits, strict=True)]
    Path("t.csv").write_text("path,label,split\n" + "\n".join(lines) + "\n")
    run(capsys, "t.csv", "--out", "new", "--rename-files", "{number}", "--apply")
    assert sorted(tree(Path("new"))) == ["train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"]
    assert run(capsys, "t.csv", "--in-place", "--apply", status=2).startswith("ConfigError[C260]")
    Path("t.csv").write_text(f"path,label\nphotos/{paths[0]},a/b\n")
    assert "D152]: the label 'a/b' cannot be the name of a folder" in run(capsys, "t.csv", status=3)


CALLS = ("_open", "_write", "_sync", "_close", "_replace", "_sync_folder", "_rename", "_sync_all")


def test_every_call_that_can_fail_and_a_second_run_goes_on(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(data)
    words = ["photos", "--drop", "unreadable", "--reencode", "jpeg", "--apply"]
    run(capsys, *words, "--out", "whole")
    expected = tree(Path("whole"))
    for at in range(1, 1000):
        count = 0

        def failing(name: str) -> Any:
            real = getattr(files, name)

            def call(*args: Any) -> Any:
                nonlocal count
                count += 1
                if count == at:  # noqa: B023 (called at once)
                    if name == "_close":
                        real(*args)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return real(*args)

            return call

        new = f"new{at}"
        with monkeypatch.context() as patch:
            for name in CALLS:
                patch.setattr(files, name, failing(name))
            status = main(["clean", *words, "--out", new])
        if status:
            assert status == 4 and "ResourceError[R401]" in capsys.readouterr().err
            assert not Path(new).exists()
            run(capsys, *words, "--out", new)
        assert tree(Path(new)) == expected, at
        assert not Path(f"{new}.unfinished").exists() and not list(Path().rglob("*.dojang-tmp"))
        if count < at:
            break
    assert at > 40 and tree(data) == before


@pytest.mark.parametrize("plan", [[], ["--plan", "p.csv"]], ids=["", "plan"])
def test_what_a_kill_left_torn_is_written_again(
    data: Path, plan: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["photos", "--drop", "unreadable", "--out", "new", "--apply", *plan]
    with monkeypatch.context() as patch:
        patch.setattr(folders, "finish", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main(["clean", *words]) == 130
    made = sorted(Path("new.unfinished").rglob("*.png"))
    made[0].write_bytes(made[0].read_bytes()[:20])
    made[1].unlink()
    capsys.readouterr()
    if plan:
        assert "C200]: --plan 'p.csv' is there already" in run(capsys, *words, "--rename-classes", "wnid", status=2)
    run(capsys, *words)
    assert sorted(tree(Path("new")).values()) == sorted(
        digest for path, digest in tree(data).items() if path.endswith(".png")
    )


def test_an_unfinished_folder_of_another_plan(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.unfinished").mkdir()
    said = run(capsys, "photos", "--drop", "unreadable", "--out", "new", "--apply", status=3)
    assert "DataError[D160]: 'new.unfinished' is there, of another plan than this one." in said
    Path("new.unfinished").rmdir()
    Path("new.plan.csv").write_text("mine")
    said = run(capsys, "photos", "--drop", "unreadable", "--out", "new", "--apply", status=3)
    assert "DataError[D160]: 'new.plan.csv' is there" in said and Path("new.plan.csv").read_text() == "mine"


def test_everything_taken_out(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in data.rglob("*.png"):
        path.write_bytes(b"")
    said = run(capsys, "photos", "--drop", "unreadable", status=3)
    assert "DataError[D156]: no picture would be left: all 13 are taken out." in said
    Path("photos/training/n02085620-dog/IMG 0.png").write_bytes(b"\x89PNG")
    next_to = Image.fromarray(np.random.default_rng(3).integers(0, 256, (12, 12, 3), np.uint8))
    next_to.save("photos/training/n02085620-dog/IMG 0.png")
    assert "warning: no picture would be left of 1 class: n02085621-cat" in run(
        capsys, "photos", "--drop", "unreadable"
    )


def test_names_of_any_kind_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "_sync_all", lambda: None)
    names = ["=cmd()", "\x1b[31mred", os.fsdecode(b"\xff"), "a\nb"]
    for number, name in enumerate(names):
        folder = Path("photos") / name
        folder.mkdir(parents=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (9, 9), np.uint8)).save(folder / f"{name}.png")
    said = run(capsys, "photos", "--rename-files", "{class}_{name}", "--out", "new", "--plan", "p.csv", "--apply")
    assert "\x1b" not in said and said.isascii()
    assert sorted(tree(Path("new"))) == sorted(f"{name}/{name}_{name}.png" for name in names)


def test_a_semicolon_in_a_name_is_no_reason(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = data / "test" / "a; b"
    next(data.glob("test/*cat")).rename(folder)
    next(data.glob("training/*cat")).rename(data / "training" / "a; b")
    (folder / "twin.png").write_bytes(sorted(folder.glob("*.png"))[0].read_bytes())
    told = json.loads(run_json(capsys, "photos", "--drop", "duplicates", "--rename-files", "{number}", "--json"))
    assert set(told["why"]["taken_out"]) == {"same"} and set(told["why"]["changed"]) == {"name"}
