"""The two tables of a run: rows, when they reach the disk, and what a resume cuts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dojang import files
from dojang.train.log import Log, read_table

ROW = {"step": 4, "epoch": 1, "time": 1.25, "lr": 0.1, "val/loss": 0.5, "val/top1": 1 / 3}


def filled(folder: Path) -> Log:
    log = Log(folder)
    for step in range(1, 7):
        log.step(step, (step - 1) // 3, step / 6, 0.1 / step, 1 / 7 + step)
        if step % 2 == 0:
            log.validated(ROW | {"step": step})
    log.flush()
    return log


def test_rows(tmp_path: Path) -> None:
    filled(tmp_path)
    rows = read_table(tmp_path / "steps.csv")
    assert list(rows[0]) == ["step", "epoch", "progress", "lr", "loss"]
    assert [row["step"] for row in rows] == list("123456")
    assert [row["epoch"] for row in rows] == list("000111")
    assert rows[0]["progress"] == "0.166667"
    results = read_table(tmp_path / "results.csv")
    assert [row["step"] for row in results] == list("246")
    assert results[0] == {
        "step": "2",
        "epoch": "1",
        "time": "1.25",
        "lr": "0.1",
        "val/loss": "0.5",
        "val/top1": "0.333333",
    }


def test_losses_and_rates_read_back_as_the_same_bits(tmp_path: Path) -> None:
    values = [0.1 + 0.2, 1 / 3, 1e-300, 2**-1074, 12345.678901234567, math.pi]
    log = Log(tmp_path)
    for step, value in enumerate(values, 1):
        log.step(step, 0, 0.0, value, value)
    log.flush()
    rows = read_table(tmp_path / "steps.csv")
    assert [float(row["loss"]) for row in rows] == values
    assert [float(row["lr"]) for row in rows] == values


def test_nothing_is_on_the_disk_before_a_flush(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.step(1, 0, 0.0, 0.1, 1.0)
    log.validated(ROW)
    assert list(tmp_path.iterdir()) == []
    log.flush()
    whole = {name: (tmp_path / name).read_text() for name in ("steps.csv", "results.csv")}
    log.flush()
    assert {name: (tmp_path / name).read_text() for name in whole} == whole
    log.step(2, 0, 0.0, 0.1, 1.0)
    assert (tmp_path / "steps.csv").read_text() == whole["steps.csv"]
    log.flush()
    assert (tmp_path / "steps.csv").read_text() == whole["steps.csv"] + "2,0,0,0.1,1.0\n"


def test_one_heading_however_often_it_is_flushed(tmp_path: Path) -> None:
    log = filled(tmp_path)
    log.step(7, 2, 1.0, 0.1, 1.0)
    log.validated(ROW | {"step": 7})
    log.flush()
    again = Log(tmp_path, 7)
    again.step(8, 2, 1.0, 0.1, 1.0)
    again.flush()
    assert (tmp_path / "steps.csv").read_text().count("step,") == 1
    assert (tmp_path / "results.csv").read_text().count("step,") == 1
    assert len(read_table(tmp_path / "steps.csv")) == 8


@pytest.mark.parametrize("step", range(7))
def test_a_resume_cuts_what_is_past_its_state(tmp_path: Path, step: int) -> None:
    filled(tmp_path)
    Log(tmp_path, step)
    assert [int(row["step"]) for row in read_table(tmp_path / "steps.csv")] == list(range(1, step + 1))
    assert [int(row["step"]) for row in read_table(tmp_path / "results.csv")] == list(range(2, step + 1, 2))


def test_a_table_cut_anywhere_by_a_kill_reads_as_its_whole_rows(tmp_path: Path) -> None:
    """Every place in the last two lines where it may end: the torn line goes, and what follows is well-formed."""
    filled(tmp_path)
    path = tmp_path / "steps.csv"
    text = path.read_text()
    kept = text.splitlines(keepends=True)[:-2]
    for end in range(len("".join(kept)), len(text) + 1):
        path.write_text(text[:end])
        whole = text[:end].count("\n") - 1
        log = Log(tmp_path, 6)
        assert [int(row["step"]) for row in read_table(path)] == list(range(1, whole + 1))
        log.step(whole + 1, 0, 0.5, 0.25, 0.75)
        log.flush()
        assert read_table(path)[-1] == {
            "step": str(whole + 1),
            "epoch": "0",
            "progress": "0.5",
            "lr": "0.25",
            "loss": "0.75",
        }


def test_a_heading_torn_by_a_kill_is_written_anew(tmp_path: Path) -> None:
    for torn in ("", "st", "step,epoch,progress,lr,loss"):
        (tmp_path / "steps.csv").write_text(torn)
        log = Log(tmp_path, 0)
        log.step(1, 0, 0.5, 0.25, 0.75)
        log.flush()
        assert (tmp_path / "steps.csv").read_text() == "step,epoch,progress,lr,loss\n1,0,0.5,0.25,0.75\n", torn


def test_a_full_disk_is_an_error_with_a_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    log = Log(tmp_path)
    log.step(1, 0, 0.0, 0.1, 1.0)
    monkeypatch.setattr(files, "_write", full)
    with pytest.raises(files.ResourceError, match=r"R401\]: cannot write steps.csv"):
        log.flush()
