"""What a run writes down as it goes, and whom it tells: results.csv, steps.csv, and a reporter."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from dojang import files

STEPS = ("step", "epoch", "progress", "lr", "loss")


class Reporter(Protocol):
    """Who is told of progress. The library's own says nothing; the command line draws bars."""

    def begin(self, steps: int | None, seconds: float | None, done: int) -> None:
        """Training starts, of so many steps or seconds, some of them done already."""

    def step(self, step: int, epoch: int, progress: float, loss: float, pictures: int) -> None:
        """A step was made."""

    def validated(self, row: Mapping[str, float]) -> None:
        """A row of results.csv."""

    def note(self, text: str) -> None:
        """Something the user should know."""

    def preparing(self, stage: str, done: int, total: int) -> None:
        """Pictures are being read or decoded."""

    def underway(self, share: float, text: str) -> None:
        """Several runs are being trained: how far all of them are, and what there is to say of it."""

    def end(self) -> None:
        """Training is over."""


class Silent:
    """A reporter that says nothing."""

    def begin(self, steps: int | None, seconds: float | None, done: int) -> None: ...
    def step(self, step: int, epoch: int, progress: float, loss: float, pictures: int) -> None: ...
    def validated(self, row: Mapping[str, float]) -> None: ...
    def note(self, text: str) -> None: ...
    def preparing(self, stage: str, done: int, total: int) -> None: ...
    def underway(self, share: float, text: str) -> None: ...
    def end(self) -> None: ...


class Log:
    """The two tables of a run. Rows are kept back until :meth:`flush`, which puts them on the disk.

    Args:
        folder: The run folder.
        step: Rows of later steps, from a run that was killed, are cut.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        self.steps, self.results = folder / "steps.csv", folder / "results.csv"
        self._waiting: dict[Path, list[str]] = {self.steps: [], self.results: []}
        self._columns: tuple[str, ...] | None = None
        for path in (self.steps, self.results):
            self._cut(path, step)

    def step(self, step: int, epoch: int, progress: float, lr: float, loss: float) -> None:
        """A row of steps.csv; ``step`` counts the steps made, this one included."""
        if not self._waiting[self.steps] and not self.steps.exists():
            self._add(self.steps, STEPS)
        # repr of a float reads back as the same bits
        self._add(self.steps, (step, epoch, f"{progress:.6g}", repr(lr), repr(loss)))

    def validated(self, row: Mapping[str, float]) -> None:
        """A row of results.csv."""
        if not self._waiting[self.results] and not self.results.exists():
            self._add(self.results, tuple(row))
        self._add(self.results, tuple(_short(value) for value in row.values()))

    def flush(self) -> None:
        """Put every row on the disk."""
        for path, rows in self._waiting.items():
            if rows:
                files.append_text(path, "".join(rows))
                rows.clear()

    def _add(self, path: Path, cells: Sequence[object]) -> None:
        self._waiting[path].append(",".join(str(cell) for cell in cells) + "\n")

    @staticmethod
    def _cut(path: Path, step: int) -> None:
        if not path.exists():
            return
        lines = files.read_text(path).splitlines(keepends=True)
        if not lines or not lines[0].endswith("\n"):
            # killed while it was begun: the heading is written again
            files.remove(path)
            return
        # a kill may leave half a line; its step is past the last state or it would be whole
        kept = [line for line in lines[1:] if line.endswith("\n") and int(line.split(",", 1)[0]) <= step]
        files.write_text(path, "".join(lines[:1] + kept))


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file that a run left; none of one it never began, for want of time."""
    if not path.exists():
        return []
    return list(csv.DictReader(io.StringIO(files.read_text(path))))


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
