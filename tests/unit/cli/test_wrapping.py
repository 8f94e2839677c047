"""Errors on a terminal are broken at its width, commands in them never."""

from __future__ import annotations

import sys

import pytest

from dojang.cli.main import main, wrapped


def test_a_command_stays_in_one_piece() -> None:
    command = "dojang train photos/ --splits runs/classify/train/splits.csv --recipe runs/classify/train2/args.yaml"
    assert wrapped(f"  Fix: {command}", 80) == ["  Fix:", f"    {command}"]
    said = f"  Fix: bring back the file from wherever a copy of it is, or move it away and score again: {command}"
    lines = wrapped(said, 80)
    assert lines[-1] == f"    {command}" and all(len(line) <= 80 for line in lines[:-1])
    assert " ".join(line.strip() for line in lines) == said.strip()
    assert wrapped("  Fix: --split test", 80) == ["  Fix: --split test"]


def test_prose_is_broken_between_words_of_any_width() -> None:
    said = "DataError[D141]: " + "words and 낱말 " * 20
    lines = wrapped(said, 40)
    assert " ".join(line.strip() for line in lines) == said.strip() and lines[1].startswith("  ")
    from rich.cells import cell_len

    assert max(map(cell_len, lines)) <= 40
    assert wrapped("x" * 90, 80) == ["x" * 90]


def test_on_a_terminal_and_elsewhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tarin"]) == 2
    whole = capsys.readouterr().err
    assert "The verbs are train, lr-find, val, " in whole and max(map(len, whole.splitlines())) > 80
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["tarin"]) == 2
    broken = capsys.readouterr().err
    assert max(map(len, broken.splitlines())) <= 80 and broken.split() == whole.split()
