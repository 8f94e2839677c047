"""How far a study is: shares of runs that are under way count, and the pace says how long it may still take."""

from __future__ import annotations

from pathlib import Path

import pytest

from dojang.cli.studied import wrapped
from dojang.study import underway
from dojang.study.underway import Underway, share


def run_at(folder: Path, *progress: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{i},0,{value},0.1,2.3" for i, value in enumerate(progress, 1)]
    (folder / "steps.csv").write_text("\n".join(["step,epoch,progress,lr,loss", *rows]) + "\n")
    return folder


def test_a_run_is_as_far_as_its_last_row(tmp_path: Path) -> None:
    assert share(tmp_path) == 0
    assert share(run_at(tmp_path / "none")) == 0
    # the rest is for its scores
    assert share(run_at(tmp_path / "some", "0.1", "0.4")) == pytest.approx(0.38)
    assert share(run_at(tmp_path / "scoring", "0.5", "1")) == pytest.approx(0.95)
    # longer than what is looked at
    assert share(run_at(tmp_path / "many", *(f"{i / 9999:.6g}" for i in range(9999)))) == pytest.approx(0.95, abs=1e-3)


def test_the_pace_is_that_of_shares_made_since_it_went_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(underway.time, "perf_counter", lambda: now[0])
    found = Underway()
    # one was half done when it was killed
    folders = [run_at(tmp_path / "a", repr(0.5 / 0.95)), tmp_path / "b", tmp_path / "c", tmp_path / "d"]
    found.begin(folders, later=2)
    assert found.share() == pytest.approx(0.125) and found.left() is None
    now[0] = 110.0
    found.ended(folders[0])
    run_at(tmp_path / "b", repr(0.5 / 0.95))
    # half a run and half a run in ten seconds: one run, and 2.5 and the two of later are left
    assert found.share() == pytest.approx(1.5 / 4)
    assert found.left() == pytest.approx(10 * (2.5 + 2))
    for folder in folders[1:]:
        found.ended(folder)
    assert found.share() == 1 and found.left() == pytest.approx(10 / 3.5 * 2)
    found.begin([], later=0)
    assert found.share() == 1


def test_it_looks_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(underway.time, "perf_counter", lambda: now[0])
    found = Underway()
    looked = []
    for tenth in range(100):
        now[0] = tenth / 10
        if found.due():
            looked.append(now[0])
    assert looked == [2, 4, 6, 8]


def test_long_names_lose_nothing() -> None:
    name = "relu, batch norm, adam .001, init default"
    assert wrapped(name, 60) == [name]
    for wide in (12, 20, 34):
        lines = wrapped(name, wide)
        assert " ".join(lines) == name
        assert len(lines[0]) <= wide and all(len(line) <= wide - 2 for line in lines[1:])
    assert "".join(wrapped("가나다라마바사아자차카타파하", 10)) == "가나다라마바사아자차카타파하"
    # Hangul takes two columns a letter
    assert wrapped("가나다라마바사아", 10) == ["가나다라마", "바사아"]
