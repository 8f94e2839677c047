"""A study carried out: the pictures divided once, every run, the table. Killed at any moment it goes on."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dojang import files, folders, recipe
from dojang.data import division, split
from dojang.data.ahead import cores
from dojang.data.manifest import Manifest
from dojang.data.prepare import bad_pictures, inspect
from dojang.errors import ConfigError, TrainError
from dojang.runs import folder as run_folder
from dojang.runs import recipe as recipes
from dojang.runs import train
from dojang.runs.signals import asking
from dojang.study import drawings, engines, inside_picture, pictures, results
from dojang.study.inside import inside
from dojang.study.plan import Cell, Plan, layer, read_file
from dojang.study.results import Row
from dojang.study.underway import Underway
from dojang.study.work import Job, Outcome, finished
from dojang.train.guard import Stopped
from dojang.train.log import Reporter, Silent
from dojang.train.precision import device_named

#: what a study folder holds, beside its runs
PLAN, STATE, SPLITS, LOCK = "study.yaml", "state.json", "splits.csv", ".lock"
FORMAT = 1
SEED = run_folder.SEED


@dataclass(frozen=True)
class Settings:
    """What was decided when a study began, and holds to its end.

    Args:
        data: A path or a data set's name.
        judge: The split whose scores rank the cells.
        threads: Of each run: they decide its bits.
        device: Where the runs are trained.
        source: The study file it began from; "" for one made of flags.
        digest: Of that file.
    """

    data: str
    judge: str
    threads: int
    device: str
    source: str = ""
    digest: str = ""


def at_once(jobs: int | None, count: int, device: str) -> int:
    """How many runs go side by side: as many as the machine has cores, one on a GPU, unless it is said."""
    if jobs is None:
        jobs = 1 if device.startswith("cuda") else min(cores(), 8)
    return max(1, min(jobs, count))


def threads_of(count: int) -> int:
    """Threads of each of so many runs side by side."""
    return max(1, cores() // count)


def table(folder: Path) -> tuple[Plan, Settings, list[results.Line]]:
    """What a study found so far, best first. Raises C281 where the folder is no study."""
    plan, settings = load(folder)
    ended = _Ended(folder, plan, settings, Silent())
    cells = plan.cells()
    if plan.search:
        while len(more := plan.cells(ended.means())) > len(cells):
            cells = more
    for cell in cells:
        for seed in plan.seeds:
            ended.knows(cell, seed)
    return plan, settings, results.lines(plan, settings.judge, cells, ended.rows)


def begin(
    plan: Plan,
    *,
    source: str | Path | None = None,
    project: str | Path = "runs/study",
    name: str = "study",
    jobs: int | None = None,
    engine: str = "processes",
    device: str = "auto",
    prune: bool = False,
    reporter: Reporter | None = None,
) -> Path:
    """Carry out a study.

    Args:
        plan: With its data, where it trains.
        source: The file that it was read from, which then must not change until the study is finished.
        jobs: Runs side by side; None takes one a core, each with one thread.
        engine: "processes" or "ray".
        prune: Stop runs that are hopeless; they are in no table.

    Returns:
        The study's folder.

    Raises:
        ConfigError: C280 for a plan without data; C250 for an engine that is not installed.
        DataError: Of the data.
        TrainError: T320 when stopped by a signal; ``resume`` goes on.
    """
    reporter = reporter or Silent()
    if plan.trains and not plan.data:
        raise ConfigError("C280", "the study names no data.", fix="dojang study FILE DATA")
    where = str(device_named(device))
    side_by_side = at_once(jobs, plan.count * len(plan.seeds), where)
    threads = threads_of(side_by_side)
    judge, splits = _judged(plan, divided(plan, threads, reporter)) if plan.trains else ("", "")
    settings = Settings(_place(plan.data), judge, threads, where, *_source(source))
    place = folders.numbered(run_folder.outside(project, plan.data), name)
    if splits:
        files.write_text(place / SPLITS, splits)
    files.write_text(place / PLAN, recipe.dump_yaml(plan.as_dict()))
    files.write_json(place / STATE, {"format": FORMAT, **dataclasses.asdict(settings)})
    return _carry(place, plan, settings, side_by_side, engine, prune, reporter)


def resume(
    folder: str | Path,
    *,
    jobs: int | None = None,
    engine: str = "processes",
    prune: bool = False,
    as_begun: bool = False,
    retry: bool = False,
    reporter: Reporter | None = None,
) -> Path:
    """Go on with a study that was stopped; of one that is finished the table is made again.

    Args:
        as_begun: Go on by the plan in the folder although the file that it was read from has changed.
        retry: Try runs that failed again; one that was stopped as hopeless stays so.

    Raises:
        ConfigError: C281 for what is no study, C282 where its file has changed.
    """
    place = Path(folder)
    plan, settings = load(place)
    source = Path(settings.source)
    if settings.source and not as_begun and source.exists() and _source(source)[1] != settings.digest:
        raise ConfigError(
            "C282",
            f"{settings.source!r} has changed since the study in {str(place)!r} began.",
            context=f"It can go on by the plan that it began with: {place / PLAN}.",
            fix=f"dojang study --resume {shlex.quote(str(place))} --as-begun; or begin another study.",
        )
    count = at_once(jobs, plan.count * len(plan.seeds), settings.device)
    return _carry(place, plan, settings, count, engine, prune, reporter or Silent(), retry)


def load(folder: Path) -> tuple[Plan, Settings]:
    """The plan and settings of a study's folder. Raises C281 where it is none, C223 where a file of it is broken."""
    if not (folder / PLAN).exists() or not (folder / STATE).exists():
        raise ConfigError(
            "C281",
            f"{str(folder)!r} is no study: it holds no {PLAN}.",
            fix="give the folder that dojang study printed.",
        )
    try:
        found = json.loads(files.read_text(folder / STATE))
        known = {field.name for field in dataclasses.fields(Settings)}
        if found["format"] > FORMAT:
            raise ConfigError("C213", f"{str(folder)!r} was written by a newer dojang (format {found['format']}).")
        settings = _checked(Settings(**{name: value for name, value in found.items() if name in known}))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError) as error:
        raise ConfigError("C223", f"{str(folder / STATE)!r} is not as dojang wrote it: {error}.") from None
    plan = read_file(folder / PLAN)
    if plan.trains and not settings.judge:
        raise ConfigError("C223", f"{str(folder / STATE)!r} is not as dojang wrote it: judge is ''.")
    return plan, settings


def _checked(found: Settings) -> Settings:
    """Settings as a folder has them, if each can be what it is. Raises ValueError."""
    for name in ("data", "judge", "device", "source", "digest"):
        value = getattr(found, name)
        if not isinstance(value, str):
            raise ValueError(f"{name} is {value!r}; expected text")
    if isinstance(found.threads, bool) or not isinstance(found.threads, int) or found.threads < 1:
        raise ValueError(f"threads is {found.threads!r}; expected 1 or more")
    if found.judge not in ("", *results.SPLITS):
        raise ValueError(f"judge is {found.judge!r}; expected one of {', '.join(results.SPLITS)}")
    try:
        torch.device(found.device)
    except RuntimeError:
        raise ValueError(f"device is {found.device!r}; expected cpu, cuda or mps") from None
    if found.source and os.path.isdir(found.source):
        raise ValueError(f"source is {found.source!r}, a folder; expected a study file")
    return found


def divided(plan: Plan, threads: int, reporter: Reporter) -> Manifest:
    """The pictures of a study, each in its part: divided once for all runs, by the first seed."""
    options = recipes.resolve([plan.recipe]).data
    manifest = train.open_data(plan.data, options.data_root, options.download)
    if options.splits is not None:
        manifest = division.given(manifest, options.splits)
    total = len(manifest)
    manifest, _, bad = inspect(manifest, options.max_pixels, threads, lambda n: reporter.preparing("reading", n, total))
    if bad and options.bad == "stop":
        raise bad_pictures(bad, total, "")
    if options.splits is None:
        manifest = split.assign(manifest, val=options.val, test=options.test, seed=plan.seeds[0])
    reporter.note(f"data: {split.describe(manifest)}, the same for all runs")
    return manifest


def _judged(plan: Plan, manifest: Manifest) -> tuple[str, str]:
    """The split that judges, and the text of splits.csv. Raises C280 where there are no pictures to judge by."""
    counts = manifest.counts()
    judge = plan.judge or ("val" if sum(counts.get("val", {}).values()) else "test")
    if not sum(counts.get(judge, {}).values()):
        raise ConfigError(
            "C280", f"the data has no {judge!r} pictures to judge by.", fix="judge: test, or val: 0.1 under recipe"
        )
    return judge, manifest.to_csv()


def jobs_of(place: Path, plan: Plan, settings: Settings, cells: list[Cell], prune: bool) -> list[tuple[Cell, int, Job]]:
    """Every run of some cells: cell, seed, job; the first seed of all cells comes first."""
    ours: dict[str, Any] = {"splits": str((place / SPLITS).absolute()), "val": None, "test": None}
    ours |= {"threads": settings.threads, "device": settings.device}
    made = []
    for seed in plan.seeds:
        for cell in cells:
            options = layer({**plan.recipe, **cell.changes}) | ours | {"seed": seed}
            folder = str((place / cell.folder / SEED.format(seed)).absolute())
            made.append((cell, seed, Job(folder, settings.data, options, prune, plan.score)))
    return made


def _carry(
    place: Path,
    plan: Plan,
    settings: Settings,
    count: int,
    engine: str,
    prune: bool,
    reporter: Reporter,
    retry: bool = False,
) -> Path:
    with files.locked(place / LOCK, f"{str(place)!r}"), asking() as stop:
        ended = _Ended(place, plan, settings, reporter, retry)
        try:
            while True:
                cells = plan.cells(ended.means())
                todo = [one for one in jobs_of(place, plan, settings, cells, prune) if not ended.knows(one[0], one[1])]
                if not todo or stop.signal:
                    break
                jobs = [job for _, _, job in todo]
                later = len(plan.seeds) * (plan.count - len(cells))
                ended.underway.begin([Path(job.folder) for job in jobs], later)
                done = engines.run(
                    jobs,
                    engine=engine,
                    at_once=count,
                    threads=settings.threads,
                    stopped=lambda: bool(stop.signal),
                    tick=ended.look,
                )
                for number, outcome in done:
                    ended.add(todo[number][0], todo[number][1], outcome)
        finally:
            reporter.end()
        if stop.signal:
            raise _stopped(place, stop.signal)
        if plan.trains:
            pictures.write(place, plan, settings.judge, results.write(place, plan, settings.judge, cells, ended.rows))
        if plan.inside:
            _look(place, plan, cells, reporter)
        try:
            drawings.carry_out(drawings.Scene(place, plan, settings, cells, ended.rows, reporter, stop))
        except Stopped as stopped:
            raise _stopped(place, stopped.signal) from None
    return place


def _stopped(place: Path, number: int) -> TrainError:
    """Says how to go on after a signal."""
    error = TrainError(
        "T320",
        f"stopped by {'Ctrl-C' if number == 2 else f'signal {number}'}; what was done is kept.",
        fix=f"dojang study --resume {shlex.quote(str(place))}",
    )
    error.exit_code = 128 + number
    return error


def _look(place: Path, plan: Plan, cells: list[Cell], reporter: Reporter) -> None:
    """What happens inside the networks of the first seed, cell by cell, and a picture of them all."""
    found = {}
    for cell in cells:
        folder = place / cell.folder / SEED.format(plan.seeds[0])
        if finished(folder):
            found[cell.name] = inside(folder)
            files.write_text(place / cell.folder / "inside.csv", found[cell.name].csv())
            reporter.note(f"looked into the layers of {cell.name}")
    if found:
        files.write_bytes(place / results.INSIDE, inside_picture.compared(found))


class _Ended:
    """The runs that came to an end, in runs.csv and in mind."""

    def __init__(self, place: Path, plan: Plan, settings: Settings, reporter: Reporter, retry: bool = False) -> None:
        self.place, self.plan, self.settings, self.reporter = place, plan, settings, reporter
        self.underway = Underway()
        known = {row.key: row for row in results.rows(place)}
        #: by cell and seed; what is finished on the disk counts, whatever a table says
        self.rows: dict[tuple[int, int], Row] = {}
        for key, row in known.items():
            if row.status == "pruned" or (row.status == "failed" and not retry):
                self.rows[key] = row

    def knows(self, cell: Cell, seed: int) -> bool:
        """Whether a run has come to its end; one that failed is tried again only where that is asked for, one that was
        stopped as hopeless is not."""
        key = cell.number, seed
        if key not in self.rows:
            folder = self.place / cell.folder / SEED.format(seed)
            if finished(folder):
                self.rows[key] = results.row(self.place, self.plan, cell, seed, Outcome("done"))
        return key in self.rows

    def add(self, cell: Cell, seed: int, outcome: Outcome) -> None:
        """A run that has come to its end just now."""
        if outcome.status == "stopped":
            return
        row = results.row(self.place, self.plan, cell, seed, outcome)
        self.rows[row.key] = row
        results.write_rows(self.place, self.plan, list(self.rows.values()))
        self.underway.ended((self.place / cell.folder / SEED.format(seed)).absolute())
        self.reporter.note(
            f"[{len(self.rows)}/{self._total}] {cell.name}, seed {seed}: {self._said(row)}{self._left()}"
        )

    def look(self) -> None:
        """Tell how far the runs under way are, now and then."""
        if self.underway.due():
            said = f"{len(self.rows)} of {self._total} runs{self._left()}"
            self.reporter.underway(self.underway.share(), said)

    @property
    def _total(self) -> int:
        return self.plan.count * len(self.plan.seeds)

    def _left(self) -> str:
        left = self.underway.left()
        return f"; about {duration(left)} left" if left else ""

    def means(self) -> list[float | None]:
        """The mean score of each cell all of whose runs have come to their end, in order."""
        found: list[float | None] = []
        number = 1
        while all((number, seed) in self.rows for seed in self.plan.seeds):
            values = [self.rows[number, seed].score(self.settings.judge, self.plan.score) for seed in self.plan.seeds]
            known = [value for value in values if value is not None]
            found.append(sum(known) / len(known) if known else None)
            number += 1
        return found

    def _said(self, row: Row) -> str:
        if row.status != "done":
            return row.status + (f": {row.error[:120]}" if row.error else "")
        score = row.score(self.settings.judge, self.plan.score)
        told = "-" if score is None else f"{score:.4f}"
        return f"{self.settings.judge} {self.plan.score} {told}  {row.seconds:.1f} s"


def duration(seconds: float) -> str:
    """In words: 45 s, 12 min, 3.5 h."""
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def _place(data: str) -> str:
    path = Path(data)
    return str(path.absolute()) if data and path.exists() else data


def _source(source: str | Path | None) -> tuple[str, str]:
    if source is None:
        return "", ""
    return str(Path(source).absolute()), files.sha256(Path(source).read_bytes())
