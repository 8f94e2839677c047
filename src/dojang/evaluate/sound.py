"""Whether metrics.json holds what dojang writes: asked once, by those who show it, so that they need not ask again."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dojang.data.manifest import pasted, plain
from dojang.errors import ConfigError
from dojang.evaluate.files import metrics_in
from dojang.evaluate.kept import JUDGING

#: what metrics.json calls runs of one recipe that were put together
REPEATS = ("folds", "seeds")
_ENDS = ("value", "low", "high")
_PART = re.compile(r"(fold|seed)-[0-9]+")


def metrics(folder: Path) -> dict[str, Any]:
    """What a folder's metrics.json holds, each value of the type that is shown; nothing where there is none.

    Raises:
        ConfigError: C223 for a file that is not as dojang wrote it, or that a newer dojang wrote.
    """
    path = folder / "metrics.json"
    found = metrics_in(folder)
    wrong = next(_wrong(found), None)
    if wrong is None:
        return found
    repeats = any(name in found for name in REPEATS)
    again = f"dojang train --resume {pasted(str(folder))}" if repeats else f"dojang val {pasted(str(folder))}"
    raise ConfigError(
        "C223",
        f"cannot read {plain(str(path))!r}: it is not as dojang wrote it ({wrong}).",
        fix=f"bring back the file, or: {aside(path)} && {again}",
    )


def repeated(found: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """("folds" or "seeds", what metrics.json says of them) where several runs were put together."""
    return next(((kind, found[kind]) for kind in REPEATS if kind in found), None)


def parts(found: Mapping[str, Any]) -> list[str]:
    """Names of the runs that were put together; one that leads elsewhere was not written by dojang."""
    of = repeated(found)
    return [run["name"] for run in of[1].get("runs", []) if _PART.fullmatch(run["name"])] if of else []


def aside(path: Path) -> str:
    """The command that moves a file out of the way; nothing is lost by it."""
    return f"mv {pasted(str(path))} {pasted(f'{path}.broken')}"


def _wrong(found: Mapping[str, Any]) -> Iterator[str]:
    """Each value that is of another type, in words."""
    for name in (*JUDGING, "training", "weights", "calibration", *REPEATS):
        if name in found and not isinstance(found[name], dict):
            yield f"{name} is {_told(found[name])}"
            return
    for split, one in found.items():
        if isinstance(one, dict) and (split in JUDGING or "top1" in one):
            yield from _of_split(split, one)
    training, weights = found.get("training", {}), found.get("weights", {})
    for name in ("step", "steps"):
        yield from _counted("training", training, name)
    for name in ("seconds", "evaluation_seconds"):
        yield from _number("training", training, name)
    for where, table, names in (
        ("training", training, ("weights", "ended")),
        ("weights", weights, ("file", "chosen_by", "chosen_on")),
    ):
        yield from (text for name in names for text in _word(where, table, name))
    yield from _of_temperature(found.get("calibration", {}))
    for kind in REPEATS:
        if kind in found:
            yield from _of_runs(kind, found[kind])


def _of_split(split: str, found: Mapping[str, Any]) -> Iterator[str]:
    yield from _counted(split, found, "n")
    yield from _counted(split, found, "leaked")
    if split in JUDGING and not (isinstance(found.get("top1"), dict) and "value" in found["top1"]):
        yield f"{split} has no top1"
    for name, one in found.items():
        if isinstance(one, dict) and "value" in one:
            yield from (text for end in _ENDS for text in _number(f"{split}: {name}", one, end))
            yield from _word(f"{split}: {name}", one, "why")
    measured = found.get("calibration", {})
    if not isinstance(measured, dict) or not isinstance(measured.get("bins", []), list):
        yield f"{split}: calibration is {_told(measured)}"
        return
    for name in ("ece", "by_chance", "by_chance_high"):
        yield from _number(f"{split}: calibration", measured, name)
    for one in measured.get("bins", []):
        needed = ("confidence", "accuracy", "low", "high", "n")
        if not isinstance(one, dict) or not all(_is_number(one.get(name)) for name in needed):
            yield f"{split}: calibration has a bin {_told(one)}"


def _of_temperature(found: Mapping[str, Any]) -> Iterator[str]:
    yield from _number("calibration", found, "temperature")
    yield from _counted("calibration", found, "n")
    yield from _word("calibration", found, "why")
    val = found.get("val", {})
    error = val.get("calibration_error", {}) if isinstance(val, dict) else None
    if not isinstance(error, dict) or (error and not all(_is_number(error.get(key)) for key in ("before", "after"))):
        yield f"calibration: val is {_told(val)}"


def _of_runs(kind: str, found: Mapping[str, Any]) -> Iterator[str]:
    runs, others = found.get("runs", []), found.get("others", {})
    named = isinstance(runs, list) and all(isinstance(run, dict) and isinstance(run.get("name"), str) for run in runs)
    if not named:
        yield f"{kind}: runs is {_told(runs)}"
        return
    yield from (text for run in runs for text in _counted(f"{kind}: {run['name']}", run, "n"))
    yield from _counted(kind, found, "set_aside")
    if not isinstance(others, dict):
        yield f"{kind}: others is {_told(others)}"
        return
    for scores in (found.get("scores", {}), *others.values()):
        if not isinstance(scores, dict):
            yield f"{kind}: scores is {_told(scores)}"
            return
        for name, one in scores.items():
            values = one.get("values") if isinstance(one, dict) else None
            if not isinstance(values, list) or len(values) != len(runs):
                yield f"{kind}: {name} is {_told(one)}"
                return
            if not all(value is None or _is_number(value) for value in (*values, *map(one.get, _ROW))):
                yield f"{kind}: {name} holds what is no number"


_ROW = ("mean", "sd", "low", "high")


def _number(where: str, table: Mapping[str, Any], name: str) -> Iterator[str]:
    if table.get(name) is not None and not _is_number(table[name]):
        yield f"{where}: {name} is {_told(table[name])}"


def _counted(where: str, table: Mapping[str, Any], name: str) -> Iterator[str]:
    if name in table and (not isinstance(table[name], int) or isinstance(table[name], bool)):
        yield f"{where}: {name} is {_told(table[name])}"


def _word(where: str, table: Mapping[str, Any], name: str) -> Iterator[str]:
    if table.get(name) is not None and not isinstance(table[name], str):
        yield f"{where}: {name} is {_told(table[name])}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _told(value: Any) -> str:
    """A value as a message can hold it."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"a list of {len(value)}"
    return plain(repr(value))[:60]
