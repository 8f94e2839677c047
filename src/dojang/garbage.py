"""Python's search for circular garbage, kept from where there is none.

The collector looks through every object that there is whenever a quarter more have come; with torch and its neighbours
imported that is half a million, a tenth of a second each time. Importing and listing many pictures make objects
that stay, so each of those searches finds nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def unsearched() -> Iterator[None]:
    """For the length of a block, or of a decorated function, nothing is searched for garbage."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Around a verb's imports, in a process of dojang's own: what is there at the end is never searched again.

    Done once in a process: a program that runs verbs one after the other keeps its garbage collected.
    """
    with unsearched():
        yield
        # before the collector is on again: it would begin with a search of everything
        _freeze()


@functools.cache
def _freeze() -> None:
    gc.freeze()
    # or libraries that count their objects at the end would report all of them as lost
    atexit.register(gc.unfreeze)
