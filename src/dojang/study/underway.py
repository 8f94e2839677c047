"""How far a study is: the runs that have ended, and the shares that those under way have done."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from dojang.runs import folder as names

#: seconds between two looks at the runs under way
EVERY = 2.0
# of steps.csv, which may be long: its last rows
_TAIL = 4096
# a run that has made its last step is still to be scored, which may take long where many pictures judge
_TRAINED = 0.95


class Underway:
    """Where a study stands, and how long it may still take.

    Runs go side by side and end at any moment, so time is reckoned by shares of runs, those under way included, and
    not by the number that has ended.
    """

    def __init__(self) -> None:
        self._began = self._looked = time.perf_counter()
        self._waiting: list[Path] = []
        self._later = self._done = 0
        self._first = 0.0

    def begin(self, folders: Iterable[Path], later: int) -> None:
        """Runs that are to be carried out now, and how many come after them."""
        self._waiting, self._later, self._done = list(folders), later, 0
        self._began, self._first = time.perf_counter(), sum(map(share, self._waiting))

    def ended(self, folder: Path) -> None:
        """One of them has come to its end."""
        if folder in self._waiting:
            self._waiting.remove(folder)
            self._done += 1

    def due(self) -> bool:
        """Whether it is time for another look."""
        now = time.perf_counter()
        if now - self._looked < EVERY:
            return False
        self._looked = now
        return True

    def share(self) -> float:
        """Of the runs that are to be carried out, from 0 to 1."""
        total = self._done + len(self._waiting)
        return (self._done + sum(map(share, self._waiting))) / total if total else 1.0

    def left(self) -> float | None:
        """Seconds until the end, at the pace so far; None while nothing is known."""
        total = self._done + len(self._waiting)
        made = self.share() * total - self._first
        if made <= 0:
            return None
        return (time.perf_counter() - self._began) / made * (total - self._first - made + self._later)


def share(folder: Path) -> float:
    """How much of a run that has not ended is done, as the last saved row of its steps says; 0 where there is none."""
    try:
        with (folder / names.STEPS).open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL))
            # step, epoch, progress, ...
            return min(1.0, float(file.read().splitlines()[-1].split(b",")[2])) * _TRAINED
    except (OSError, IndexError, ValueError):
        return 0.0
