"""A study on the terminal: its plan, its progress, its table."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from dojang.cli.main import print_json
from dojang.cli.progress import reporter, say
from dojang.data.manifest import plain
from dojang.data.named import NAMES
from dojang.errors import ConfigError, TrainError
from dojang.recipe import canonical
from dojang.runs.recipe import OPTIONS
from dojang.study import drawings, estimate, named, plan, results, study
from dojang.study.plan import Plan
from dojang.train.precision import device_named

# lines of a table that are shown; all of them are in table.md
_SHOWN = 20


def show_names() -> None:
    """A line for each ready-made study."""
    for name in named.names():
        found = named.plan(name)
        say(f"{name:22} {found.title}")


def show_text(name: str) -> None:
    """A ready-made study as it stands in its file."""
    for line in named.text(name).splitlines():
        say(line)


def begin(what: str, data: str | None, layer: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Read the plan, show it, carry it out."""
    grid = _grid(own["grid"])
    # their flags have none: beside --resume it counts whether they were given
    own = {**own, "project": own["project"] or "runs/study", "device": own["device"] or "auto"}
    source: Path | None = None
    if grid and data is None and not _is_file(what) and what not in named.names():
        made, called = (
            Plan(data=what, grid=grid, recipe=layer, seeds=plan.seeds_of(own["seeds"] or 3, "--seeds")),
            "study",
        )
    else:
        _something_differs(what)
        source = Path(what) if _is_file(what) else None
        made = plan.read_file(what) if source else named.plan(what)
        called = Path(what).stem
        _only_drawings(made, what, data, layer, own)
        changes: dict[str, Any] = {"recipe": {**made.recipe, **layer}, "grid": {**made.grid, **grid}}
        changes |= {"data": data} if data is not None else {}
        changes |= {"seeds": plan.seeds_of(own["seeds"], "--seeds")} if own["seeds"] is not None else {}
        made = plan.changed(made, **changes)
    for name in ("judge", "score"):
        if own[name] is not None:
            made = plan.changed(made, **{name: plan.one_of(own[name], plan.CHOICES[name], f"--{name}")})
    if made.trains and not made.data:
        raise ConfigError("C280", "the study names no data.", fix=f"dojang study {what} DATA")
    _show_plan(made)
    if own["dry_run"]:
        _show_cost(made, own)
        return
    folder = study.begin(
        made,
        source=source,
        project=own["project"],
        name=own["name"] or called,
        jobs=own["jobs"],
        engine=own["engine"],
        device=own["device"],
        prune=own["prune"],
        reporter=reporter(),
    )
    show(folder, own["as_json"])


def resume(own: Mapping[str, Any]) -> None:
    """Go on with a study."""
    given = {name: own[name] for name in ("jobs", "engine", "prune", "as_begun", "retry")}
    show(study.resume(own["resumed"], **given, reporter=reporter()), own["as_json"])


def show(folder: Path, as_json: bool) -> None:
    """The table of a study that is finished, within 80 columns."""
    made, settings, lines = study.table(folder)
    drawn = drawings.kept(folder)
    if as_json:
        print_json(
            {
                "study": str(folder),
                "judge": settings.judge or None,
                "score": made.score if made.trains else None,
                "cells": [_plain(one) for one in lines],
                "pictures": _drawn(folder, made, lines),
                "drawings": drawn,
            }
        )
        return
    if made.trains:
        _show_table(made, settings, lines)
        if shown := _drawn(folder, made, lines):
            say(f"pictures  {', '.join(shown)}")
    for name, one in drawn.items():
        for line in one["said"]:
            say(line)
        say(f"{name}  {', '.join(one['files'])}")
    say(f"study  {folder}")


def _show_table(made: Plan, settings: study.Settings, lines: Sequence[results.Line]) -> None:
    names = [plain(one.cell.name) for one in lines]
    wide = min(max([*map(cell_len, names), 4]), 34)
    say(f"{'cell':{wide}}  {'n':>3}  {settings.judge + ' ' + made.score:>16}  beside the best")
    for name, one in list(zip(names, lines, strict=True))[:_SHOWN]:
        mean = "-" if math.isnan(one.mean) else f"{one.mean:.4f}"
        half = "" if (spread := results.half(one)) is None else f" ±{spread:.4f}"
        first, *rest = wrapped(name, wide)
        space = " " * (wide - cell_len(first))
        aside = ", ".join(word for word in (results.beside(one), results.missing(one)) if word)
        say(f"{first}{space}  {len(one.values):>3}  {mean + half:>16}  {aside}".rstrip())
        for part in rest:
            say(f"  {part}")
    if len(lines) > _SHOWN:
        say(f"and {len(lines) - _SHOWN:,} more")
    for sentence in results.closing(made, settings.judge, lines).split(". "):
        say(sentence.rstrip(".") + ".")


def _show_plan(made: Plan) -> None:
    notes = reporter()
    cells = f"{made.count:,} combination{'s' * (made.count != 1)}"
    notes.note(f"study: {made.title or ' x '.join(made.fields) or 'variants'}")
    if made.trains:
        seeds, count = len(made.seeds), made.count * len(made.seeds)
        runs = f"{seeds:,} seed{'s' * (seeds != 1)} = {count:,} run{'s' * (count != 1)}"
        notes.note(f"plan: {cells} x {runs} on {plain(made.data)}")
    for name, changes in made.variants.items():
        told = ", ".join(f"{key} {plan.shown(value)}" for key, value in changes.items()) or "as it is"
        notes.note(f"  {plain(name)}: {told}")
    for name, values in made.grid.items():
        notes.note(f"  {name}: {', '.join(map(plan.shown, values))}")
    if made.search:
        notes.note(f"  {made.search.method} search over {', '.join(made.search.space)}")
    if made.draw:
        notes.note(f"draw: {', '.join(made.draw)}" + ("" if made.trains else "; nothing is trained"))


def _something_differs(what: str) -> None:
    """Refuse data alone, of which nothing says what is to be changed. Raises C200."""
    if what not in named.names() and not _is_file(what) and (what in NAMES or Path(what).exists()):
        if (Path(what) / study.PLAN).exists():
            raise ConfigError(
                "C200", f"{what!r} is a study that has begun.", fix=f"dojang study --resume {shlex.quote(what)}"
            )
        raise ConfigError(
            "C200",
            f"{what!r} is data; what is to differ between the runs?",
            fix=f"dojang study {shlex.quote(what)} --grid optimizer=adam,sgd; or a ready-made study (--list) of it.",
        )


def _only_drawings(made: Plan, what: str, data: str | None, layer: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse what is for runs where a study has none."""
    words = {"DATA": data, **{OPTIONS[name].flag: True for name in layer}}
    words |= {f"--{name}": own[name] for name in ("grid", "seeds", "jobs", "prune", "judge", "score")}
    given = [word for word, value in words.items() if value]
    if not made.trains and given:
        raise ConfigError(
            "C200",
            f"the study {what} trains nothing, it draws {', '.join(made.draw)}: {given[0]} is not for it.",
            fix=f"dojang study {what}; its settings: dojang study --print {what}",
        )


def _show_cost(made: Plan, own: Mapping[str, Any]) -> None:
    for name, drawing in made.draw.items():
        if told := drawing.cost(made):
            say(f"{name}: {told}" + (", which is not in the figure below" if made.trains else ""))
    if not made.trains:
        say("nothing is trained: it takes seconds; nothing was kept")
        return
    where = str(device_named(own["device"]))
    # as the runs will: data that is not there is told once
    study.divided(made, study.threads_of(1), reporter())
    count = study.at_once(own["jobs"], made.count * len(made.seeds), where)
    threads = study.threads_of(count)
    found = estimate.estimate(made, threads, count, where)
    for name, seconds in found.tried.items():
        say(f"{plain(name)}: about {study.duration(seconds)} a run")
    for name, why in found.failed.items():
        say(f"{plain(name)}: cannot be trained: {why}")
    if not found.tried:
        raise TrainError(
            "C284", "no combination that was tried can be trained.", fix="see what is said of each, above."
        )
    if found.seconds is not None:
        each = f"{threads} thread{'s' * (threads != 1)}"
        say(f"all: about {study.duration(found.seconds)}, {count} at once with {each} each; nothing was kept")


def _grid(words: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """From ``field=a,b``; numbers of a list are joined by +, as in conv_dims=32+64,64."""
    found: dict[str, tuple[Any, ...]] = {}
    for word in words:
        name, is_, text = word.partition("=")
        if not is_ or not text:
            raise ConfigError("C200", f"--grid is {word!r}; expected a field and its values.", fix="--grid lr=0.1,0.01")
        own = canonical(name, OPTIONS, "--grid")
        if own in found:
            raise ConfigError("C200", f"--grid gives {own} twice.", fix=f"--grid {own}=A,B")
        found[own] = tuple(OPTIONS[own].read(one.replace("+", ","), "--grid") for one in text.split(","))
    return found


def _is_file(what: str) -> bool:
    return Path(what).suffix in (".yaml", ".yml")


def wrapped(name: str, wide: int) -> list[str]:
    """A long name in lines of at most so many columns, broken behind its commas and between words; nothing is left out.

    >>> wrapped("relu, batch norm, init uniform", 20)
    ['relu, batch norm,', 'init uniform']
    """
    lines = [""]
    for word in name.split(" "):
        room = wide - (2 if len(lines) > 1 else 0)
        joined = f"{lines[-1]} {word}".strip()
        if lines[-1] and cell_len(joined) > room:
            lines.append("")
            joined, room = word, wide - 2
        while cell_len(joined) > room:
            # one word that is longer than a line
            keep = next(i for i in range(len(joined), 0, -1) if cell_len(joined[:i]) <= room)
            lines[-1], joined = joined[:keep], joined[keep:]
            lines.append("")
            room = wide - 2
        lines[-1] = joined
    return lines


def _drawn(folder: Path, made: Plan, lines: Sequence[results.Line]) -> list[str]:
    return [name for name in results.pictures(made, lines) if (folder / name).exists()]


def _plain(one: results.Line) -> dict[str, Any]:
    over, beside = one.over, one.against
    found: dict[str, Any] = {"cell": one.cell.number, "name": one.cell.name, "fields": dict(one.cell.changes)}
    found |= {"n": len(one.values), "failed": one.failed, "pruned": one.pruned, "values": list(one.values.values())}
    found |= {"mean": _number(one.mean), "over": over.as_dict() if over else None, "told": one.told}
    numbers = ("difference", "low", "high", "p", "corrected")
    return found | {"beside": {name: _number(getattr(beside, name)) for name in numbers} if beside else None}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
