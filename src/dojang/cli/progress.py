"""Progress on stderr: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from dojang.cli.main import inert
from dojang.train.log import Reporter

# seconds after which a log hears of runs that take long
_QUIET = 300.0


def reporter() -> Reporter:
    """The reporter that suits stderr."""
    console = Console(stderr=True, highlight=False)
    return Bars(console) if console.is_terminal else Lines(console)


class Lines:
    """A line for each validation and each thing worth knowing."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.steps: int | None = None
        self.seconds: float | None = None
        self._began = self._mark = self._said = time.perf_counter()
        self._first = self._pictures = 0
        self._progress = self._start = 0.0

    def preparing(self, stage: str, done: int, total: int) -> None:
        """Nothing: it is soon over, or the next line says that it is."""

    def underway(self, share: float, text: str) -> None:
        # a log is not to be filled: a line where a long time nothing else was said
        if time.perf_counter() - self._said > _QUIET:
            self._print(inert(f"{share:.0%} done: {text}"))

    def begin(self, steps: int | None, seconds: float | None, done: int) -> None:
        self.steps, self.seconds, self._first = steps, seconds, done
        self._began = time.perf_counter()
        self._pictures, self._start = 0, -1.0

    def step(self, step: int, epoch: int, progress: float, loss: float, pictures: int) -> None:
        if self._start < 0:
            self._start = progress
        self._pictures += pictures
        self._progress = progress

    def validated(self, row: Mapping[str, float]) -> None:
        self._print(self._row(row))

    def note(self, text: str) -> None:
        self._print(inert(text))

    def end(self) -> None:
        """Nothing more to say."""

    def _row(self, row: Mapping[str, float]) -> str:
        parts = [f"epoch {row['epoch']:.0f}"]
        if "train/loss" in row:
            parts.append(f"train loss {row['train/loss']:.4f} top-1 {row['train/top1']:.4f}")
        if "val/loss" in row:
            parts.append(f"val loss {row['val/loss']:.4f} top-1 {row['val/top1']:.4f}")
        return "  ".join([*parts, *self._pace()])

    def _pace(self) -> list[str]:
        return [f"{self._rate():,.0f} images/s", f"{self._left()} left"]

    def _print(self, text: str) -> None:
        self._said = time.perf_counter()
        # a terminal gets lines broken between words, a log whole ones
        self.console.print(Text(text), soft_wrap=not self.console.is_terminal)

    def _rate(self) -> float:
        return self._pictures / max(time.perf_counter() - self._began, 1e-9)

    def _left(self) -> str:
        done = self._progress - max(self._start, 0.0)
        if self.seconds is not None:
            seconds = self.seconds * (1 - self._progress)
        else:
            seconds = (time.perf_counter() - self._began) * (1 - self._progress) / max(done, 1e-9)
        return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


class Bars(Lines):
    """A bar that shows where training stands; validations scroll above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._bar: Progress | None = None
        self._last = 0.0
        self._loss: float | None = None
        self._epoch = 0

    def preparing(self, stage: str, done: int, total: int) -> None:
        now = time.perf_counter()
        if done == 1:
            self._mark = now
        # quick ones pass without a word
        if now - self._mark > 0.5 and self._bar is None and done < total:
            self._open(total, stage + " pictures")
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)
            if done == total:
                self._close()

    def underway(self, share: float, text: str) -> None:
        if self._bar is None:
            self._open(1000, text)
        assert self._bar
        self._bar.update(self._bar.task_ids[0], completed=int(share * 1000), description=text)

    def begin(self, steps: int | None, seconds: float | None, done: int) -> None:
        self._close()
        super().begin(steps, seconds, done)
        self._open(1000, "training")

    def step(self, step: int, epoch: int, progress: float, loss: float, pictures: int) -> None:
        super().step(step, epoch, progress, loss, pictures)
        self._loss = loss if self._loss is None else 0.95 * self._loss + 0.05 * loss
        now = time.perf_counter()
        if self._bar is not None and now - self._last > 0.1:
            self._last = now
            text = f"epoch {epoch + 1}  loss {self._loss:.3f}  {self._rate():,.0f} images/s  {self._left()} left"
            self._bar.update(self._bar.task_ids[0], completed=int(progress * 1000), description=text)

    def end(self) -> None:
        self._close()

    def _pace(self) -> list[str]:
        return []  # the bar shows it

    def _open(self, total: int, text: str) -> None:
        columns = BarColumn(bar_width=20), TextColumn("{task.percentage:3.0f} %"), TextColumn("{task.description}")
        self._bar = Progress(*columns, console=self.console, transient=True)
        self._bar.add_task(text, total=total)
        self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def say(text: str) -> None:
    """A line of the result, to stdout."""
    sys.stdout.write(inert(text) + "\n")
