"""From a C file of this folder to functions that Python can call: compiled once for this machine, kept in the cache.

Kernels of the network use OpenMP's threads, and torch has a team of them already; a second team would spin on the same
cores.  So they are compiled for GNU OpenMP but linked without it: its symbols are found in the one that torch loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import torch  # noqa: F401 (loads the OpenMP that the kernels use)

from dojang import files, folders
from dojang.errors import DojangError

_SHARED = ("-O3", "-march=native", "-std=gnu11", "-fPIC")
# -ffinite-math-only lets comparisons become minimum and maximum; where NaN matters the C looks at its bits
_OPENMP = (
    *("-fopenmp", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"),
    *("-ffinite-math-only", *(["-mprefer-vector-width=512"] if platform.machine() == "x86_64" else [])),
)

_allowed = True


def compiler() -> str | None:
    """The C compiler of this machine that the kernels can be built with."""
    return shutil.which("gcc") or shutil.which("cc")


def possible() -> bool:
    """Whether kernels can be built and run here: a compiler, and GNU OpenMP in torch."""
    return compiler() is not None and hasattr(ctypes.CDLL(None), "GOMP_parallel")


@contextlib.contextmanager
def using(native: bool) -> Iterator[None]:
    """For the length of a block, use the kernels where they can be built, or never."""
    global _allowed
    before, _allowed = _allowed, native
    try:
        yield
    finally:
        _allowed = before


def library(name: str, *defines: str) -> ctypes.CDLL | None:
    """The functions of ``name.c``, or None where kernels are switched off or cannot be built.

    Args:
        defines: Macros, as in ``BF16``; each choice of them is a library of its own.
    """
    return _library(name, defines) if _allowed else None


@functools.cache
def _library(name: str, defines: tuple[str, ...]) -> ctypes.CDLL | None:
    return load(name, (*_OPENMP, *(f"-D{word}" for word in defines))) if possible() else None


def load(name: str, flags: tuple[str, ...]) -> ctypes.CDLL | None:
    """The functions of ``name.c``, compiled with these flags beside those of all kernels; None where they cannot be."""
    source = Path(__file__).with_name(f"{name}.c")
    words = [compiler() or "", *_SHARED, *flags]
    try:
        path = _built(source, words)
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            # damaged, or of a system that is no more: made anew once
            return ctypes.CDLL(str(_built(source, words, anew=True)))
    except (OSError, subprocess.SubprocessError, DojangError):
        # no compiler that works, a cache that cannot be written, another OpenMP: another road does it all
        return None


def _built(source: Path, words: list[str], anew: bool = False) -> Path:
    """The shared library of a source file and a compiler's command, compiled if the cache does not hold it."""
    facts = [source.read_bytes(), "\0".join(words).encode(), _processor().encode(), str(os.stat(words[0])).encode()]
    key = hashlib.sha256(b"\0".join(hashlib.sha256(fact).digest() for fact in facts)).hexdigest()[:24]
    target = files.cache_folder() / "native" / f"{source.stem}-{key}.so"
    if target.exists() and not anew:
        return target
    with folders.scratch() as folder:
        made, linked = folder / "kernel.o", folder / "kernel.so"
        # no -fopenmp in the second, see above
        for command in (
            [*words, "-c", str(source), "-o", str(made)],
            [words[0], "-shared", str(made), "-o", str(linked), "-lm"],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603
        # two processes that build at once put the same library there
        files.write_bytes(target, linked.read_bytes())
    return target


@functools.cache
def processor_has(*words: str) -> bool:
    """Whether this machine's processor names one of these among its abilities, as in "amx_bf16"; Linux alone tells."""
    return any(word in _processor().split() for word in words)


def _processor() -> str:
    """What decides the instructions that -march=native means; the cache may be shared by several machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(next((line for line in lines if line.startswith(word)), "") for word in ("model name", "flags"))
