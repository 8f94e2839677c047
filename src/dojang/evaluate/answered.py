"""The answers in a run folder, as its tables hold them: read in one place, so that what is broken is always named."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dojang import files
from dojang.data.manifest import csv_rows, pasted, plain
from dojang.errors import ConfigError, DataError

_WANTED = ("path", "true", "predicted", "probability", "split")
# what a score of the run does not bring back in any case
_LOST = {
    "splits.csv": "bring back the file, from a copy of the run. Where dojang divided the data itself, dojang val RUN "
    "writes it again.",
    "probabilities.csv": "bring back the file, from a copy of the run.",
}


@dataclass(frozen=True)
class Answer:
    """A row of predictions.csv: what was said of one picture.

    Args:
        path: Of the picture, as splits.csv names it.
        true, predicted: Labels, by name.
        probability: Of the answer, in [0, 1].
        split: That the picture is of.
    """

    path: str
    true: str
    predicted: str
    probability: float
    split: str


def answers(folder: Path) -> list[Answer]:
    """The rows of a run folder's predictions.csv.

    Raises:
        ConfigError: C221 where there is none or it cannot be read, C223 where it is not as dojang wrote it.
    """
    path = folder / "predictions.csv"
    found = []
    header, rows = table(path)
    if missing := [name for name in _WANTED if name not in header]:
        raise broken(path, 1, f"it has no column {', '.join(missing)}, but {plain(', '.join(header)) or 'none'}")
    # older tables have other columns beside these
    at = [header.index(name) for name in _WANTED]
    for line, row in rows:
        named, true, predicted, sure, split = (row[i] for i in at)
        found.append(Answer(named, true, predicted, share(path, line, sure), split))
    return found


def shares(folder: Path) -> dict[str, dict[str, float]]:
    """By path, the probability of each label, as probabilities.csv has them; nothing where there is none.

    Raises:
        ConfigError: C221 where it cannot be read, C223 where it is not as dojang wrote it.
    """
    path = folder / "probabilities.csv"
    if not path.exists():
        return {}
    header, rows = table(path)
    if header[:1] != ["path"]:
        raise broken(path, 1, f"the first column is {plain(''.join(header[:1]))!r}; expected path")
    # labels may be called anything, "path" too
    return {
        row[0]: {name: share(path, line, word) for name, word in zip(header[1:], row[1:], strict=True)}
        for line, row in rows
    }


def text(path: Path) -> str:
    """The text of a file in a run folder.

    Raises:
        ConfigError: C221 where it cannot be read.
    """
    try:
        return files.read_text(path)
    except OSError as error:
        raise ConfigError(
            "C221",
            f"cannot read {plain(str(path))!r}: {error.strerror}.",
            fix=_LOST.get(
                path.name, "name a run folder that is whole; dojang val RUN writes the answers of a run again."
            ),
        ) from None


def table(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The columns of a CSV file, and its other rows, each with its line and as many fields as there are columns.

    Raises:
        ConfigError: C221 where it cannot be read, C223 where its quoting is broken; with the rows, where one is uneven.
    """
    whole = text(path)

    def rows() -> Iterator[tuple[int, list[str]]]:
        try:
            for line, fields in csv_rows(whole, str(path)):
                if line > 1 and len(fields) != len(header):
                    raise broken(path, line, f"{len(fields)} fields; expected {len(header)}")
                yield line, fields
        except DataError as error:
            raise ConfigError("C223", str(error.what), fix=again(path)) from None

    header: list[str] = []
    found = rows()
    _, header = next(found, (1, []))
    return header, found


def share(path: Path, line: int, word: str) -> float:
    """A number of a table that is a probability. Raises ConfigError C223 where it is none."""
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise broken(path, line, f"{plain(word)!r} is no probability")
    return value


def broken(path: Path, line: int, what: str) -> ConfigError:
    """The error for a line of a table that is not as dojang wrote it."""
    where = f"{plain(str(path))!r} line {line:,}"
    return ConfigError("C223", f"{where} is not as dojang wrote it: {what}.", fix=again(path))


def again(path: Path) -> str:
    """How a broken file of a run folder is made anew, whatever kind of run folder it is."""
    folder = path.parent
    if any(folder.glob("fold-*/args.yaml")) or any(folder.glob("seed-*/args.yaml")):
        moves = [aside(path)] + ([aside(folder / "metrics.json")] if path.name != "metrics.json" else [])
        return f"bring back the file, or: {' && '.join(moves)} && dojang train --resume {pasted(str(folder))}"
    if (folder / "val.json").exists():
        return "bring back the file, or score those pictures again, in a new folder: dojang val RUN DATA"
    return f"bring back the file, or: {aside(path)} && dojang val {pasted(str(folder))}"


def aside(path: Path) -> str:
    """The command that moves a file out of the way; nothing is lost by it."""
    return f"mv {pasted(str(path))} {pasted(f'{path}.broken')}"
