"""Labels and strangers by a cross-validation: each picture judged by the one network that has not learned it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dojang import files
from dojang.data.manifest import Manifest, pasted, read_splits
from dojang.doctor import strangers, suspects
from dojang.doctor.suspects import Suspects
from dojang.errors import ConfigError, many
from dojang.evaluate.evaluate import match
from dojang.runs import folder as names
from dojang.runs import validate
from dojang.runs.validate import metrics_of


@dataclass(frozen=True)
class Unseen:
    """What the folds of a run said of the pictures that each had not learned.

    Args:
        folder: The run.
        labels: Of its classes.
        probabilities: By digest of the picture, float64 (classes,).
        fold: By digest, from 1 on.
    """

    folder: Path
    labels: tuple[str, ...]
    probabilities: dict[str, np.ndarray]
    fold: dict[str, int]


def load(run: str | Path) -> Unseen | None:
    """The answers of a cross-validation; None for a run of any other kind.

    Raises:
        ConfigError: C216 where it is not finished; C215 for a place that is no run.
    """
    folder = names.find(run)
    if not any(folder.glob(names.FOLD.format(f"*/{names.ARGS}"))):
        return None
    if "folds" not in metrics_of(folder):
        raise ConfigError(
            "C216",
            f"{str(folder)!r} is a cross-validation that is not finished.",
            fix=f"dojang train --resume {pasted(str(folder))}",
        )
    digest = {row.path: row.sha256 for row in read_splits(files.read_text(folder / names.SPLITS))}
    header, *rows = _table(folder / names.PROBABILITIES)
    probabilities = {digest[row[0]]: np.array(row[1:], np.float64) for row in rows}
    _, *answers = _table(folder / names.PREDICTIONS)
    fold = {digest[row[0]]: int(row[-1]) for row in answers}
    return Unseen(folder, tuple(header[1:]), probabilities, fold)


def _table(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(files.read_text(path), newline="")))


def judge(unseen: Unseen, manifest: Manifest, digests: Sequence[str]) -> Suspects:
    """Labels judged by the folds. Pictures are known by their bytes, wherever they lie and whatever they are labelled.

    Args:
        digests: Of the manifest's rows; "" for those that cannot be read.

    Raises:
        ConfigError: C218 where the run knows none of the pictures.
        DataError: D107 for a class that it does not know.
    """
    rows = np.array([row for row, digest in enumerate(digests) if digest in unseen.probabilities], np.int64)
    if not len(rows):
        raise ConfigError(
            "C218",
            f"{str(unseen.folder)!r} has judged none of the {many(len(manifest), 'picture')} in "
            f"{pasted(manifest.source.name)}.",
            fix="give the run whose folds were made of these pictures.",
        )
    part = manifest.keep(rows).replace(splits=("test",) * len(rows))
    place = match(part, unseen.labels, "test")
    found = np.stack([unseen.probabilities[digests[row]] for row in rows.tolist()])
    # a class that no picture has any more is suggested no more
    known = place >= 0
    probabilities = np.zeros((len(rows), len(manifest.classes)))
    probabilities[:, known] = found[:, place[known]]
    return suspects.judged(rows, probabilities, manifest.targets[rows])


def apart(
    unseen: Unseen,
    manifest: Manifest,
    digests: Sequence[str],
    rows: np.ndarray,
    *,
    threads: int = 0,
    tick: Callable[[int], None] = lambda done: None,
) -> tuple[np.ndarray, np.ndarray]:
    """How far pictures are from all classes, each among those of its fold, as the network sees them that learned none.

    Returns:
        Rows int64 (n,) of the manifest, and float64 (n,) as :func:`dojang.doctor.strangers.apart`.

    Raises:
        ConfigError: C240 and C248 for a network of one's own.
    """
    number = np.array([unseen.fold[digests[row]] for row in rows.tolist()])
    judged, far, done = [], [], 0
    for fold in sorted(set(number.tolist())):
        part = rows[number == fold]
        predictor = validate.load(unseen.folder / names.FOLD.format(fold))
        before = done

        def further(n: int, before: int = before) -> None:
            tick(before + n)

        some = manifest.keep(part)
        inside, seen = suspects.features(predictor, some, threads=threads, tick=further)
        judged.append(part[inside])
        far.append(strangers.apart(seen, some.targets[inside], len(manifest.classes)))
        done += len(part)
    return np.concatenate(judged), np.concatenate(far)
