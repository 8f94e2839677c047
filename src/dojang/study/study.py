"""A study carried out: the pictures divided once, every run, the table. Killed at any moment it goes on."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Mapping
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
from dojang.runs.opened import open_data
from dojang.runs.signals import asking
from dojang.study import drawings, engines, inside_picture, pictures, results
from dojang.study.inside import inside
from dojang.study.plan import Cell, Plan, layer, read, read_file
from dojang.study.results import Row
from dojang.study.underway import Underway
from dojang.study.work import Job, Outcome, finished
from dojang.train.guard import Stop, Stopped
from dojang.train.log import Reporter, Silent
from dojang.train.precision import device_named

#: what a study folder holds, beside its runs
PLAN, STATE, SPLITS, LOCK = "study.yaml", "state.json", "splits.csv", ".lock"
#: what a cell's folder says of itself, beside its runs
CELL = "cell.json"
# options that may name a file or a folder
_PLACES = ("data_root", "splits", "pretrained", "model")
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
        prune: Whether runs that are hopeless are stopped.
    """

    data: str
    judge: str
    threads: int
    device: str
    source: str = ""
    digest: str = ""
    prune: bool = False


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
    return plan, settings, results.lines(plan, settings.judge, ended.cells(), ended.rows)


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
        ConfigError: C280 for a plan without data, and for one that study.yaml cannot hold; C250 for an engine
            that is not installed.
        DataError: Of the data.
        TrainError: T320 when stopped by a signal; ``resume`` goes on. C284 where no run could be finished.
    """
    reporter, plan = reporter or Silent(), _absolute(plan)
    if plan.trains and not plan.data:
        raise ConfigError("C280", "the study names no data.", fix="dojang study FILE DATA")
    text = _text(plan)
    where = str(device_named(device))
    side_by_side = at_once(jobs, plan.count * len(plan.seeds), where)
    threads = threads_of(side_by_side)
    judge, splits = _judged(plan, divided(plan, threads, reporter)) if plan.trains else ("", "")
    settings = Settings(_place(plan.data), judge, threads, where, *_source(source), prune=prune)
    place = folders.numbered(run_folder.outside(project, plan.data), name)
    if splits:
        files.write_text(place / SPLITS, splits)
    files.write_text(place / PLAN, text)
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
    return _carry(place, plan, settings, count, engine, prune or settings.prune, reporter or Silent(), retry)


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
    manifest = open_data(plan.data, options.data_root, options.download)
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
                cells = ended.cells()
                todo = [one for one in jobs_of(place, plan, settings, cells, prune) if not ended.knows(one[0], one[1])]
                if not todo or stop.signal:
                    break
                for cell in {cell.number: cell for cell, _, _ in todo}.values():
                    files.write_json(place / cell.folder / CELL, _said_of(plan, cell))
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
            raise _stopped(place, stop.signal, engine)
        if plan.trains:
            pictures.write(place, plan, settings.judge, results.write(place, plan, settings.judge, cells, ended.rows))
        try:
            if plan.inside:
                _look(place, plan, cells, reporter, stop)
            drawings.carry_out(drawings.Scene(place, plan, settings, cells, ended.rows, reporter, stop))
        except Stopped as stopped:
            raise _stopped(place, stopped.signal, engine) from None
        if stop.signal:
            raise _stopped(place, stop.signal, engine)
    ended.must_have_one()
    return place


def _stopped(place: Path, number: int, engine: str) -> TrainError:
    """Says how to go on after a signal."""
    how = "" if engine == "processes" else f" --engine {engine}"
    error = TrainError(
        "T320",
        f"stopped by {'Ctrl-C' if number == 2 else f'signal {number}'}; what was done is kept.",
        fix=f"dojang study --resume {shlex.quote(str(place))}{how}",
    )
    error.exit_code = 128 + number
    return error


def _look(place: Path, plan: Plan, cells: list[Cell], reporter: Reporter, stop: Stop) -> None:
    """What happens inside the networks of the first seed, cell by cell, and a picture of them all."""
    found = {}
    for cell in cells:
        if stop.signal:
            raise Stopped(stop.signal)
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

    def cells(self) -> list[Cell]:
        """Those that are known: of a grid all, of a search those that follow from the scores of the ones before.

        Raises:
            ConfigError: C282 where runs of a cell were begun with other values than the plan has for it now.
        """
        found: list[Cell] = []
        while len(more := self.plan.cells(self.means())) > len(found):
            for cell in more[len(found) :]:
                _same(self.place, self.plan, cell)
                for seed in self.plan.seeds:
                    self.knows(cell, seed)
            found = more
        return found

    def must_have_one(self) -> None:
        """Raise C284 where there are runs, and not one of them was finished."""
        first = next((row for row in self.rows.values() if row.status == "failed"), None)
        if first and not any(row.status == "done" for row in self.rows.values()):
            raise TrainError(
                "C284",
                f"no run of the study was finished; of {first.name}, seed {first.seed}, is said: {first.error[:300]}",
                context=f"All that was said is in {self.place / results.RUNS}.",
                fix=f"put it right, then dojang study --resume {shlex.quote(str(self.place))} --retry",
            )

    def knows(self, cell: Cell, seed: int) -> bool:
        """Whether a run has come to its end; one that failed is tried again only where that is asked for, one that was
        stopped as hopeless is not."""
        key = cell.number, seed
        if key not in self.rows or self.rows[key].status == "failed":
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
        """The mean score of each cell all of whose runs have come to their end, in order; None where one of them has no
        score: the others would be its lucky ones."""
        found: list[float | None] = []
        number = 1
        while all((number, seed) in self.rows for seed in self.plan.seeds):
            own = [self.rows[number, seed] for seed in self.plan.seeds]
            values = [row.score(self.settings.judge, self.plan.score) if row.status == "done" else None for row in own]
            known = [value for value in values if value is not None]
            found.append(sum(known) / len(known) if len(known) == len(values) else None)
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


def _said_of(plan: Plan, cell: Cell) -> dict[str, Any]:
    return {"format": FORMAT, "options": layer({**plan.recipe, **cell.changes})}


def _same(place: Path, plan: Plan, cell: Cell) -> None:
    """Refuse runs that were begun with other options than their cell has."""
    path = place / cell.folder / CELL
    if not path.exists():
        return
    try:
        had = json.loads(files.read_text(path))["options"]
        # as JSON gives them back
        has = json.loads(json.dumps(_said_of(plan, cell)["options"]))
        other = sorted(name for name in {*had, *has} if had.get(name) != has.get(name))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError("C223", f"{str(path)!r} is not as dojang wrote it: {error}.") from None
    if other:
        raise ConfigError(
            "C282",
            f"{str(place / cell.folder)!r} was begun with {other[0]} {had.get(other[0])!r}; the plan has "
            f"{has.get(other[0])!r} for it now.",
            context="The plan was changed, or a search draws otherwise with this version of Optuna.",
            fix=f"undo the change in {place / PLAN}; or begin another study.",
        )


def _absolute(plan: Plan) -> Plan:
    """The plan with the whole way to files and folders that are named from here: it may go on from elsewhere."""

    def whole(name: str, value: Any) -> Any:
        if name not in _PLACES or not isinstance(value, str):
            return value
        path, is_, rest = value.partition(".py:")
        path += ".py" if is_ else ""
        # a word such as "auto" or the name of a network is none, whatever lies here
        named = bool(is_ if name == "model" else name == "data_root" or Path(path).suffix or "/" in path)
        return f"{Path(path).absolute()}{':' if is_ else ''}{rest}" if named and Path(path).exists() else value

    def all_of(given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: whole(name, value) for name, value in given.items()}

    variants = {name: all_of(one) for name, one in plan.variants.items()}
    grid = {name: tuple(whole(name, value) for value in values) for name, values in plan.grid.items()}
    return dataclasses.replace(plan, recipe=all_of(plan.recipe), variants=variants, grid=grid)


def _text(plan: Plan) -> str:
    """What study.yaml will hold. Raises C280 where the plan could not be read from it, and the study not go on."""
    own = plan.as_dict()
    text = recipe.dump_yaml(own)
    again = read(text, PLAN).as_dict()
    if other := [name for name in own if again[name] != own[name]]:
        raise ConfigError(
            "C280",
            f"the study cannot be written down: {other[0]} is {recipe.told(own[other[0]])}, and read back "
            f"{recipe.told(again[other[0]])}.",
            fix="values of each option's own type.",
        )
    return text


def _place(data: str) -> str:
    path = Path(data)
    return str(path.absolute()) if data and path.exists() else data


def _source(source: str | Path | None) -> tuple[str, str]:
    if source is None:
        return "", ""
    return str(Path(source).absolute()), files.sha256(Path(source).read_bytes())
