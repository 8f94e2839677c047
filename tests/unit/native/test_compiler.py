"""From a C file to functions: built once, switched off by a word, and None where it cannot be had."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dojang.models import fusion
from dojang.native import compiler

needs_compiler = pytest.mark.skipif(not compiler.possible(), reason="no C compiler, or another OpenMP")
SOURCE = """
#ifndef ANSWER
#define ANSWER 42
#endif
int answer(void) { return ANSWER; }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources of one's own, an empty cache, and nothing known of what was built before."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "small.c").write_text(SOURCE)
    monkeypatch.setattr(compiler, "__file__", str(source / "compiler.py"))
    monkeypatch.setenv("DOJANG_CACHE", str(tmp_path / "cache"))
    forget(monkeypatch)
    return tmp_path


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process."""
    monkeypatch.setattr(compiler, "_library", functools.cache(compiler._library.__wrapped__))


def built(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cache" / "native").iterdir()}


@needs_compiler
def test_a_file_becomes_functions(folder: Path) -> None:
    library = compiler.library("small")
    assert library is not None
    assert library.answer() == 42
    # every choice of macros is a library of its own
    other = compiler.library("small", "ANSWER=7")
    assert other is not None
    assert (other.answer(), library.answer()) == (7, 42)
    assert len(built(folder)) == 2
    assert all(name.startswith("small-") and name.endswith(".so") for name in built(folder))


@needs_compiler
def test_the_cache_is_used_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiler.library("small") is not None
    before = built(folder)
    forget(monkeypatch)

    def never(*args: Any, **more: Any) -> None:
        raise AssertionError("compiled again")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", never)
        library = compiler.library("small")
        assert library is not None
        assert library.answer() == 42
    assert built(folder) == before
    # another text is another library, and the old one is left for those who use it
    (folder / "source" / "small.c").write_text(SOURCE.replace("42", "43"))
    forget(monkeypatch)
    library = compiler.library("small")
    assert library is not None
    assert library.answer() == 43
    assert before.items() < built(folder).items()


@needs_compiler
def test_another_processor_has_another_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache on a shared disk: -march=native means something else there."""
    assert compiler.library("small") is not None
    forget(monkeypatch)
    monkeypatch.setattr(compiler, "_processor", lambda: "flags: none")
    assert compiler.library("small") is not None
    assert len(built(folder)) == 2


@needs_compiler
def test_switched_off_for_a_while(folder: Path) -> None:
    with compiler.using(False):
        assert compiler.library("small") is None
        with compiler.using(True):
            assert compiler.library("small") is not None
        assert compiler.library("small") is None
    assert compiler.library("small") is not None
    with pytest.raises(KeyError), compiler.using(False):
        raise KeyError
    assert compiler.library("small") is not None


def test_switched_off_nothing_is_built(folder: Path) -> None:
    with compiler.using(False):
        assert compiler.library("small") is None
    assert not (folder / "cache").exists()


@pytest.mark.usefixtures("folder")
def test_without_a_compiler_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert compiler.compiler() is None
    assert not compiler.possible()
    assert compiler.library("small") is None


@pytest.mark.usefixtures("folder")
def test_without_a_compiler_networks_run_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    layers = [nn.Conv2d(2, 32, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(32), nn.ReLU()]
    x = torch.randn(3, 2, 8, 8).contiguous(memory_format=torch.channels_last)
    assert torch.equal(fusion.run(layers, x), nn.Sequential(*layers)(x))


@needs_compiler
@pytest.mark.parametrize("text", ["not C", "#error none of this", "int answer(void) { return missing(); }"])
def test_a_source_that_cannot_be_built_is_none(folder: Path, text: str) -> None:
    (folder / "source" / "small.c").write_text(text)
    assert compiler.library("small") is None
    assert compiler.library("no such file") is None


@needs_compiler
@pytest.mark.usefixtures("folder")
def test_a_compiler_that_hangs_or_fails_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (subprocess.TimeoutExpired("gcc", 120), OSError(8, "Exec format error")):

        def fail(command: Sequence[str], error: Exception = error, **more: Any) -> None:
            raise error

        forget(monkeypatch)
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "run", fail)
            assert compiler.library("small") is None


@needs_compiler
def test_a_cache_that_cannot_be_written_is_none(folder: Path) -> None:
    (folder / "cache").write_text("a file where the folder should be")
    assert compiler.library("small") is None


@needs_compiler
def test_a_damaged_library_is_built_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiler.library("small") is not None
    (name,) = built(folder)
    # in another cache: a library that is open is not read again
    (folder / "other" / "native").mkdir(parents=True)
    (folder / "other" / "native" / name).write_bytes(b"")
    monkeypatch.setenv("DOJANG_CACHE", str(folder / "other"))
    forget(monkeypatch)
    found = compiler.library("small")
    assert found is not None
    assert (folder / "other" / "native" / name).stat().st_size > 1000


def test_either_name_of_the_compiler_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", {"gcc": None, "cc": "/bin/cc"}.get)
    assert compiler.compiler() == "/bin/cc"
    monkeypatch.setattr(shutil, "which", {"gcc": "/bin/gcc", "cc": "/bin/cc"}.get)
    assert compiler.compiler() == "/bin/gcc"
