"""When Python's search for garbage rests, and that it goes on afterwards."""

import gc
import json
import subprocess
import sys

import pytest

from dojang import garbage


def test_on_again_afterwards() -> None:
    assert gc.isenabled()
    with garbage.unsearched():
        assert not gc.isenabled()
        with garbage.unsearched():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), garbage.unsearched():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_whoever_turned_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with garbage.unsearched():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


SCRIPT = """
import atexit, gc, json
from dojang import garbage
# what is registered first runs last
atexit.register(lambda: print(json.dumps(gc.get_freeze_count() - before)))
before = gc.get_freeze_count()
searches = []
gc.callbacks.append(lambda phase, info: searches.append(info["generation"]))
with garbage.importing():
    kept = [[] for _ in range(100_000)]
during, first = len(searches), gc.get_freeze_count()
with garbage.importing():
    more = [[] for _ in range(1_000)]
print(*map(json.dumps, [during, first, gc.get_freeze_count(), gc.isenabled()]), sep=",")
"""


def test_imports_are_frozen_once_and_never_searched() -> None:
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    during, first, second, on, at_exit = json.loads(f"[{said.replace(chr(10), ',', 1)}]")
    assert during == 0
    # all that was made, and little more
    assert first > 100_000
    # objects that die leave it
    assert second <= first
    assert on
    # nothing is left when libraries count what they still have
    assert at_exit <= 0
