"""Loose files sorted by a table: what is named once and is there goes into its class, the rest is said."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dojang import files
from dojang.cli.main import main
from dojang.data.scan import find


@pytest.fixture
def loose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "_sync_all", lambda: None)
    draw = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "deep/c.png", "deep/er/d.webp", "e.png"):
        path = tmp_path / "loose" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (9, 9, 3), np.uint8)).save(path)
    (tmp_path / "loose" / "notes.txt").write_text("")
    return tmp_path / "loose"


def gather(capsys: pytest.CaptureFixture[str], text: str, *words: str, status: int = 0) -> str:
    Path("t.csv").write_text(text)
    assert main(["data", "gather", "loose", "--by", "t.csv", *words]) == status
    said = capsys.readouterr()
    assert "--json" in words or max(map(len, said.out.splitlines() or [""])) <= 80
    return said.err if status else said.out


# a path, a path with ./, a file name, and a name without its extension, as competitions have it
TABLE = "id,breed\n./a.png,cat\nb,dog\nc.png,dog\ndeep/er/d.webp,cat\n"


def test_files_are_sorted(loose: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in loose.rglob("*") if path.is_file()}
    said = gather(capsys, TABLE, "--out", "new")
    assert "4 pictures of loose in 2 classes" in said and "        2  cat" in said
    assert "        1  not named by the table, left where they are\n             e.png" in said
    assert "nothing was changed; to do it: --out NEW --apply" in said and not Path("new").exists()
    told = json.loads(gather(capsys, TABLE, "--out", "new", "--apply", "--json"))
    assert told["counts"] == {"cat": 2, "dog": 2} and told["unnamed"] == ["e.png"] and told["applied"]
    found = find("new")
    assert found.paths == ("cat/a.png", "cat/d.webp", "dog/b.jpg", "dog/c.png")
    assert found.source.read("dog/c.png") == (loose / "deep/c.png").read_bytes()
    assert {path: path.read_bytes() for path in loose.rglob("*") if path.is_file()} == before
    assert "C202]: --out 'new' is there already" in gather(capsys, TABLE, "--out", "new", "--apply", status=2)


def test_a_plan_of_it(loose: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gather(capsys, TABLE, "--plan", "p.csv")
    Path("p.csv").write_text(Path("p.csv").read_text().replace("cat/a.png", "bird/a.png"))
    gather(capsys, TABLE, "--plan", "p.csv", "--out", "new", "--apply")
    assert find("new").classes == ("bird", "cat", "dog")


def test_what_is_not_there_is_said_and_skipped_on_request_alone(
    loose: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = TABLE + "zebra.png,cat\n"
    said = gather(capsys, more)
    assert "        1  named by the table, not there\n             zebra.png" in said
    said = gather(capsys, more, "--out", "new", "--apply", status=3)
    assert "DataError[D155]: t.csv names 1 picture that is not in 'loose': zebra.png." in said
    assert not Path("new").exists() and "--skip-missing" in said
    gather(capsys, more, "--out", "new", "--apply", "--skip-missing")
    assert len(find("new")) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,label\nx,cat\n", "D155]: t.csv names none of the 6 pictures in 'loose'."),
        ("path,label\ne.png,cat\n", "D155]: t.csv line 2: e.png may be 2 files: e.png/e.png, x/e.png."),
        ("path,label\na.png,cat\n./a.png,dog\n", "D155]: t.csv line 3: a.png is on line 2 too, with another label."),
        ("path,label\na.png,cat\na,cat\n", "D155]: t.csv line 3: a.png is on line 2 too, with the same label."),
        ("path,label\na.png,..\n", "D111]: t.csv line 2: the label '..' cannot be the name of a folder"),
        ("path,label\na.png,\n", "D111]: t.csv line 2: the label '' cannot be the name of a folder: it is empty"),
        ("path,label\n,cat\n", "D111]: t.csv line 2: it names no picture"),
        ('path,label\n"a.png,cat\n', "D111]: t.csv line 2: the CSV is broken"),
    ],
)
def test_tables_that_cannot_be_followed(loose: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    (loose / "x").mkdir()
    if "may be" in words:
        (loose / "e.png").rename(loose / "other.png")
        (loose / "e.png").mkdir()
        (loose / "other.png").rename(loose / "e.png" / "e.png")
    (loose / "x" / "e.png").write_bytes(b"")
    assert words in gather(capsys, text, status=3)


def test_files_of_one_name_in_one_class(loose: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (loose / "deep" / "a.png").write_bytes((loose / "a.png").read_bytes())
    said = gather(capsys, "path,label\na.png,cat\ndeep/a.png,cat\n", status=3)
    assert "DataError[D153]: a.png and deep/a.png would both be 'cat/a.png'." in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gather", "loose"], "C200]: gather needs --by labels.csv."),
        (["gather", "--by", "t.csv"], "C200]: gather needs the folder of FILES."),
        (["gather", "loose", "--by", "t.csv", "--apply"], "C200]: it needs a place: --out NEW"),
        (["gather", "loose", "--by", "t.csv", "--out", "n", "--download"], "C200]: 't.csv' names files"),
        (["gather", "nowhere", "--by", "t.csv"], "C205]: 'nowhere' is no folder."),
        (["gather", "loose", "--by", "t.csv", "--out", "loose/n", "--apply"], "C244]: --out 'loose/n' lies inside"),
        (["gahter"], "C200]: unknown verb 'data gahter'. Did you mean 'gather'?"),
    ],
)
def test_mistakes_with_flags(loose: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    Path("t.csv").write_text(TABLE)
    assert main(["data", *words]) == 2
    assert said in capsys.readouterr().err and not Path("n").exists()


def test_names_in_another_form_a_missing_header_and_foreign_letters(
    loose: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (loose / "e.png").rename(loose / unicodedata.normalize("NFD", "고양이.png"))
    assert "1 picture of loose in 1 class\n" in gather(capsys, "\ufefffile;label\r\n고양이;cat\r\n")
    said = gather(capsys, "a.png,cat\nb.jpg,dog\n", status=3)
    assert "line 1: it names 'a.png' where the columns are to be named" in said
    assert "Folders are separated by / in a table." in gather(capsys, "id,breed\ndeep\\er\\d.webp,cat\n", status=3)
