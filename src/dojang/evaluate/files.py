"""The files that an evaluation leaves in a run folder; a split's rows replace its older ones, other splits stay."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dojang import files
from dojang.data.manifest import plain
from dojang.errors import ConfigError, many
from dojang.evaluate import answered, ours, reliability, shape, worst
from dojang.evaluate.chosen import WORDS, known, sentence
from dojang.evaluate.evaluate import Evaluation
from dojang.tasks.classify import letters, pictures

#: the names of classes, where pictures show their numbers
LEGEND = "legend.csv"
WORST_PICTURE = "worst.png"
FORMAT = 1

PREDICTIONS = ("path", "true", "predicted", "probability", "correct", "split")
PER_CLASS = (
    *("class", "split", "precision", "recall", "f1", "support"),
    *("precision_low", "precision_high", "recall_low", "recall_high", "f1_low", "f1_high"),
    *("roc_auc", "average_precision"),
)
WORST = ("path", "true", "predicted", "probability", "probability_of_true", "split")
# columns that hold no numbers
_WORDS = ("path", "true", "predicted", "class", "split")
# that every dojang has written
_ALWAYS = ("confusion_matrix.csv", "confusion_matrix.png")


# the order in which splits tell how good a network is: pictures are of the first that was scored
_JUDGING = ("test", "out_of_fold", "val", "train")


def write(
    folder: Path,
    evaluations: Sequence[Evaluation],
    *,
    chosen: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Merge evaluations into a run folder: scores, answers, per-class scores, what is surely wrong, pictures.

    The confusion matrix files and the pictures show the split that judges: test, else out-of-fold answers, else val.
    Where metrics.json has one that is not among the evaluations, those of its are left as they are.  Everything is
    read and checked before anything is written; metrics.json is written last.

    Args:
        chosen: From :func:`dojang.evaluate.chosen.chosen`: by what the weights were chosen.
        extra: Further entries of metrics.json, which stand behind the others.

    Returns:
        What metrics.json now holds.

    Raises:
        ConfigError: C223 where a file is not as dojang wrote it, C202 where one that would be written is not dojang's.
    """
    metrics = metrics_in(folder) or {"format": FORMAT}
    if chosen is not None:
        metrics["weights"] = dict(chosen)
    for evaluation in evaluations:
        metrics[evaluation.split] = evaluation.metrics()
    metrics |= extra or {}
    # before its header is looked at as that of a table of ours
    ours.must_be_ours([folder / "worst.csv"])
    splits = {evaluation.split for evaluation in evaluations}
    made: dict[str, str | bytes] = {
        name: _merged(folder / name, header, splits, [row for e in evaluations for row in rows(e)])
        for name, header, rows in (
            ("predictions.csv", PREDICTIONS, answers),
            ("per_class.csv", PER_CLASS, _per_class),
            ("worst.csv", WORST, _worst),
        )
    }
    judging = next((name for name in _JUDGING if name in metrics), evaluations[-1].split)
    gone = []
    for shown in evaluations:
        if shown.split == judging:
            drawn = _drawn(shown, metrics)
            ours.must_be_ours(folder / name for name in drawn if name not in _ALWAYS)
            made |= drawn
            # those of older answers would be taken for theirs
            gone = [name for name in (WORST_PICTURE, LEGEND) if name not in drawn and ours.is_ours(folder / name)]
    for name, data in made.items():
        if isinstance(data, bytes):
            files.write_bytes(folder / name, data)
        else:
            files.write_text(folder / name, data)
    for name in gone:
        files.remove(folder / name)
    files.write_json(folder / "metrics.json", metrics)
    return metrics


def scored(folder: Path) -> list[str]:
    """The splits that a run folder has scores of or, where metrics.json is gone, answers to; the one that judges last.

    Raises:
        ConfigError: C223 where a file is not as dojang wrote it.
    """
    found = set(metrics_in(folder))
    if not found and (folder / "predictions.csv").exists():
        found = {answer.split for answer in answered.answers(folder)}
    return [split for split in reversed(_JUDGING) if split in found]


def metrics_in(folder: Path) -> dict[str, Any]:
    """What a folder's metrics.json holds; nothing where there is none.  Its one reader: what others rely on is checked.

    Raises:
        ConfigError: C221 where it cannot be read, C223 where it is not as dojang wrote it, or a newer dojang wrote it.
    """
    path = folder / "metrics.json"
    if not path.exists():
        return {}
    text = answered.text(path)
    try:
        found = json.loads(text, parse_constant=_no_number)
        if not isinstance(found, dict):
            raise ValueError("no table")
        if isinstance(found.get("format"), int) and found["format"] > FORMAT:
            raise ValueError(f"format {found['format']} is that of a newer dojang")
        shape.check(found)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            "C223",
            f"cannot read {str(path)!r}: it is not as dojang wrote it ({type(error).__name__}: {str(error)[:80]}).",
            fix=answered.again(path),
        ) from None
    return found


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _drawn(e: Evaluation, metrics: Mapping[str, Any]) -> dict[str, str | bytes]:
    """The confusion matrix, the pictures, and the names of the classes beside them where they show numbers."""
    matrix = [["true \\ predicted", *e.labels]]
    matrix += [[name, *map(str, row)] for name, row in zip(e.labels, e.matrix.tolist(), strict=True)]
    made: dict[str, str | bytes] = {"confusion_matrix.csv": table(matrix)}
    top1 = e.summary.scores["top1"]
    title = f"{e.split}: top-1 {top1.value:.4f} ({top1.low:.4f} to {top1.high:.4f}), n = {top1.n:,}"
    # of weights that were chosen by another score than one expects
    by = known(metrics)[0]
    by = None if by == "top1" else by
    if by:
        title += f"\n{sentence(metrics)}"
    made["confusion_matrix.png"] = ours.marked(pictures.confusion_matrix(e.matrix, e.labels, title))
    title = f"{e.split}, n = {top1.n:,}" + (f"; {sentence(metrics)}" if by else "")
    made["reliability.png"] = ours.marked(reliability.reliability(e.summary.calibration, title))
    rows = worst.shown(e.pictures, e.paths, e.worst.tolist())
    if rows:
        title = f"{e.split}: most surely wrong, {len(rows)} of {many(len(e.worst), 'wrong answer')}"
        title += f" (chosen by {WORDS[by]})" if by else ""
        said = e.predicted[rows]
        sure = e.probabilities[rows, said].tolist()
        shown = [e.pictures[e.paths[row]] for row in rows]
        sheet = worst.sheet(shown, said.tolist(), sure, e.true[rows].tolist(), e.labels, title)
        made[WORST_PICTURE] = ours.marked(sheet)
    if any(name.numbered for name in letters.drawn(e.labels)):
        made[LEGEND] = table([("number", "class"), *((f"#{i}", name) for i, name in enumerate(e.labels))])
    return made


def answers(e: Evaluation) -> Iterable[list[str]]:
    """The rows of predictions.csv."""
    for path, true, predicted, row in zip(e.paths, e.true, e.predicted, e.probabilities, strict=True):
        correct = "1" if true == predicted else "0"
        yield [path, e.labels[true], e.labels[predicted], f"{row[predicted]:.6f}", correct, e.split]


def _per_class(e: Evaluation) -> Iterable[list[str]]:
    found, ends, ranked = e.summary.per_class, e.summary.ends, e.summary.ranking
    for i, name in enumerate(e.labels):
        values = (found.precision[i], found.recall[i], found.f1[i])
        more = [end[i] for score in (ends.precision, ends.recall, ends.f1) for end in (score.low, score.high)]
        more += [ranked.roc_auc[i], ranked.average_precision[i]]
        # what a class without pictures has no value of stays empty
        told = ("" if math.isnan(value) else f"{value:.6f}" for value in more)
        yield [name, e.split, *(f"{value:.6f}" for value in values), str(int(found.support[i])), *told]


def _worst(e: Evaluation) -> Iterable[list[str]]:
    for row in e.worst[: worst.LISTED].tolist():
        true, said = int(e.true[row]), int(e.predicted[row])
        sure, given = e.probabilities[row, said], e.probabilities[row, true]
        yield [e.paths[row], e.labels[true], e.labels[said], f"{sure:.6f}", f"{given:.6g}", e.split]


def _merged(path: Path, header: Sequence[str], splits: set[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with the rows of these splits in place of its older ones."""
    # an older file may have fewer columns
    kept = [[row.get(name) or "" for name in header] for row in read(path) if row["split"] not in splits]
    return table([list(header), *kept, *rows])


def read(path: Path) -> list[dict[str, str]]:
    """The rows of predictions.csv, per_class.csv or worst.csv; none where there is no file.

    Raises:
        ConfigError: C221 where it cannot be read, C223 where it is not as dojang wrote it.
    """
    if not path.exists():
        return []
    header, rows = answered.table(path)
    wanted = ("class", "split") if path.name == "per_class.csv" else (*PREDICTIONS[:4], "split")
    if missing := [name for name in wanted if name not in header]:
        had = plain(", ".join(header)) or "none"
        raise answered.broken(path, 1, f"it has no column {', '.join(missing)}, but {had}")
    found = []
    for line, row in rows:
        fields = dict(zip(header, row, strict=True))
        for name, value in fields.items():
            if name not in _WORDS and value and not _is_number(value):
                raise answered.broken(path, line, f"{plain(value)!r} in the column {plain(name)} is no number")
        found.append(fields)
    return found


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def complete(folder: Path, splits: Sequence[str]) -> dict[str, Any]:
    """What metrics.json has no room for, for programs: per-class scores, confusion matrices, what is surely wrong.

    Args:
        folder: Of a run, with the files of :func:`write`.
        splits: Of which; a split that was not scored is left out.
    """
    found: dict[str, Any] = {"per_class": {}, "confusion_matrix": {}, "worst": {}}
    per_class, wrong = (read(folder / f"{name}.csv") for name in ("per_class", "worst"))
    said = answered.answers(folder) if (folder / "predictions.csv").exists() else []
    for split in splits:
        mine = [row for row in per_class if row["split"] == split]
        if not mine:
            continue
        labels = [row["class"] for row in mine]
        place = {name: i for i, name in enumerate(labels)}
        matrix = [[0] * len(labels) for _ in labels]
        for answer in said:
            if answer.split == split:
                matrix[place[answer.true]][place[answer.predicted]] += 1
        found["per_class"][split] = [_numbers(row, ("class",)) for row in mine]
        found["confusion_matrix"][split] = {"classes": labels, "counts": matrix}
        found["worst"][split] = [_numbers(row, WORST[:3]) for row in wrong if row["split"] == split]
    return found


def _numbers(row: Mapping[str, str], words: Sequence[str]) -> dict[str, Any]:
    """A row with its numbers as numbers; what is empty is None."""
    return {
        name: value if name in words else int(float(value)) if name == "support" else float(value) if value else None
        for name, value in row.items()
        if name != "split"
    }


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV text."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
