"""`dojang bench` from the shell: its words, what goes where, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from dojang import recipe
from dojang.bench import run
from dojang.bench import table as tables
from dojang.bench.options import BenchOptions
from dojang.cli.main import main
from dojang.runs.recipe import OPTIONS

RESULT = {"format": 1, "rates": {}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the room is asked for, without measuring."""
    found: dict[str, Any] = {}

    def bench(model: str | None, options: BenchOptions, *, out: str | None, tell: Any) -> dict[str, Any]:
        found.update(model=model, options=options, out=out)
        tell(0, 4, "warming up: a")
        tell(1, 4, "warming up: b")
        tell(2, 4, "a")
        return RESULT

    monkeypatch.setattr(run, "bench", bench)
    monkeypatch.setattr(tables, "table", lambda result: f"table of {len(result)}")
    return found


def test_without_words_it_is_the_default(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench"]) == 0
    assert asked == {"model": None, "options": BenchOptions(), "out": None}
    out, err = capsys.readouterr()
    assert out == "table of 2\n"
    assert err == "warming up\nmeasuring\n"


def test_words_reach_the_room(asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["mnist-cnn", "--imgsz", "28", "channels=1", "--classes=7", "--batch", "64", "--device", "cpu"]
    assert main(["bench", *words, "--threads", "3", "--seconds", "0.5", "--out", "a.json", "--json"]) == 0
    assert asked["options"] == BenchOptions(28, 1, 7, 64, "cpu", 3, 0.5)
    assert (asked["model"], asked["out"]) == ("mnist-cnn", "a.json")
    assert json.loads(capsys.readouterr().out) == RESULT


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--secondz", "1"], "C201"),
        (["--seconds", "0"], "C202"),
        (["--imgsz", "0"], "C202"),
        (["--classes", "1"], "C202"),
        (["--batch-size", "many"], "C202"),
        (["a", "b"], "C200"),
    ],
)
def test_wrong_words(words: list[str], code: str, asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words]) == 2
    assert code in capsys.readouterr().err
    assert not asked


def test_an_unknown_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "mnist-cmn"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "C203" in err
    assert "mnist-cnn" in err


def test_an_interrupt_ends_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*words: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "bench", interrupt)
    assert main(["bench"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    # it saves no states, so it speaks of none
    assert err.endswith("stopped at once.\n")


def test_help_shows_every_option_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--help"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for entry in recipe.options_of(BenchOptions).values():
        assert entry.flag in out
    assert "--out" in out
    main(["--help"])
    assert "\n  bench " in capsys.readouterr().out


def test_help_is_shown_without_torch() -> None:
    code = "import sys; from dojang.cli.main import main; main(['bench', '--help']); print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.endswith("False\n")


def test_names_that_other_rooms_have_mean_the_same() -> None:
    own = recipe.options_of(BenchOptions)
    shared = {name for name in own if name in OPTIONS}
    assert shared == {"imgsz", "batch_size", "device", "threads"}
    for name in shared:
        mine, theirs = own[name].facts, OPTIONS[name].facts
        for fact in ("aliases", "choices", "low", "high", "above", "unit"):
            assert mine[fact] == theirs[fact], name
        assert set(own[name].kinds) <= set(OPTIONS[name].kinds)
    # and none of the others is an alias there
    aliases = {alias for entry in OPTIONS.values() for alias in entry.facts["aliases"]}
    assert not aliases & (set(own) - shared)
