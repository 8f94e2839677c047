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
from dojang.errors import ConfigError, many
from dojang.evaluate import answered, reliability, worst
from dojang.evaluate.chosen import sentence
from dojang.evaluate.evaluate import Evaluation
from dojang.tasks.classify import letters, pictures

#: the names of classes, where pictures show their numbers
LEGEND = "legend.csv"
FORMAT = 1

PREDICTIONS = ("path", "true", "predicted", "probability", "correct", "split")
PER_CLASS = (
    *("class", "split", "precision", "recall", "f1", "support"),
    *("precision_low", "precision_high", "recall_low", "recall_high", "f1_low", "f1_high"),
    *("roc_auc", "average_precision"),
)
WORST = ("path", "true", "predicted", "probability", "probability_of_true", "split")


def write(
    folder: Path, evaluations: Sequence[Evaluation], *, chosen: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Merge evaluations into a run folder: scores, answers, per-class scores, what is surely wrong, pictures.

    The confusion matrix files and the pictures show the last of ``evaluations`` (test, where there is one).

    Args:
        chosen: From :func:`dojang.evaluate.chosen.chosen`: by what the weights were chosen.

    Returns:
        What metrics.json now holds.
    """
    path = folder / "metrics.json"
    metrics = metrics_in(folder) or {"format": FORMAT}
    if chosen is not None:
        metrics["weights"] = dict(chosen)
    for evaluation in evaluations:
        metrics[evaluation.split] = evaluation.metrics()
    splits = {evaluation.split for evaluation in evaluations}
    _merge(folder / "predictions.csv", PREDICTIONS, splits, (row for e in evaluations for row in answers(e)))
    _merge(folder / "per_class.csv", PER_CLASS, splits, (row for e in evaluations for row in _per_class(e)))
    _merge(folder / "worst.csv", WORST, splits, (row for e in evaluations for row in _worst(e)))
    shown = evaluations[-1]
    matrix = [["true \\ predicted", *shown.labels]]
    matrix += [[name, *map(str, row)] for name, row in zip(shown.labels, shown.matrix.tolist(), strict=True)]
    files.write_text(folder / "confusion_matrix.csv", table(matrix))
    _draw(folder, shown, metrics)
    files.write_json(path, metrics)
    return metrics


def metrics_in(folder: Path) -> dict[str, Any]:
    """What a folder's metrics.json holds; nothing where there is none.

    Raises:
        ConfigError: C223 for a file that is not as dojang wrote it, or that a newer dojang wrote.
    """
    path = folder / "metrics.json"
    if not path.exists():
        return {}
    try:
        found = json.loads(files.read_text(path))
        newer = isinstance(found, dict) and isinstance(found.get("format"), int) and found["format"] > FORMAT
        if not isinstance(found, dict) or newer:
            raise ValueError(f"format {found['format']} is that of a newer dojang" if newer else "no table")
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            "C223",
            f"cannot read {str(path)!r}: it is not as dojang wrote it ({type(error).__name__}: {str(error)[:80]}).",
            fix="bring back the file, or move it away and score the run again with dojang val.",
        ) from None
    return found


def _draw(folder: Path, e: Evaluation, metrics: Mapping[str, Any]) -> None:
    """The pictures, and the names of the classes beside them where they show numbers."""
    top1 = e.summary.scores["top1"]
    by = (metrics.get("weights") or {}).get("chosen_by")
    title = f"{e.split}: top-1 {top1.value:.4f} ({top1.low:.4f} to {top1.high:.4f}), n = {top1.n:,}"
    if by not in (None, "top1"):
        title += f"\n{sentence(metrics)}"
    files.write_bytes(folder / "confusion_matrix.png", pictures.confusion_matrix(e.matrix, e.labels, title))
    title = f"{e.split}, n = {top1.n:,}"
    files.write_bytes(folder / "reliability.png", reliability.reliability(e.summary.calibration, title))
    rows = worst.shown(e.pictures, e.paths, e.worst.tolist())
    if rows:
        title = f"{e.split}: most surely wrong, {len(rows)} of {many(len(e.worst), 'wrong answer')}"
        said = e.predicted[rows]
        sure = e.probabilities[rows, said].tolist()
        shown = [e.pictures[e.paths[row]] for row in rows]
        made = worst.sheet(shown, said.tolist(), sure, e.true[rows].tolist(), e.labels, title)
        files.write_bytes(folder / "worst.png", made)
    else:
        # that of older answers would be taken for theirs
        files.remove(folder / "worst.png")
    if any(name.numbered for name in letters.drawn(e.labels)):
        names = [("number", "class"), *((f"#{i}", name) for i, name in enumerate(e.labels))]
        files.write_text(folder / LEGEND, table(names))
    else:
        files.remove(folder / LEGEND)


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


def _merge(path: Path, header: Sequence[str], splits: set[str], rows: Iterable[Sequence[str]]) -> None:
    kept: list[list[str]] = []
    for row in read(path):
        if row["split"] not in splits:
            # an older file may have fewer columns
            kept.append([row.get(name) or "" for name in header])
    files.write_text(path, table([list(header), *kept, *rows]))


def read(path: Path) -> list[dict[str, str]]:
    """The rows of one of these tables; none where there is no file."""
    return list(csv.DictReader(io.StringIO(files.read_text(path), newline=""))) if path.exists() else []


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
        name: value if name in words else int(value) if name == "support" else float(value) if value else None
        for name, value in row.items()
        if name != "split"
    }


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV text."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
