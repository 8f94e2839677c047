"""The files that an evaluation leaves in a run folder; a split's rows replace its older ones, other splits stay."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dojang import files
from dojang.evaluate.evaluate import Evaluation
from dojang.metrics import scores
from dojang.tasks.classify import pictures

PREDICTIONS = ("path", "true", "predicted", "probability", "correct", "split")
PER_CLASS = ("class", "split", "precision", "recall", "f1", "support")


def write(folder: Path, evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Merge evaluations into a run folder: scores, answers, per-class scores, confusion matrices.

    The confusion matrix files show the last of ``evaluations`` (test, where there is one).

    Returns:
        What metrics.json now holds.
    """
    path = folder / "metrics.json"
    metrics: dict[str, Any] = json.loads(files.read_text(path)) if path.exists() else {"format": 1}
    for evaluation in evaluations:
        metrics[evaluation.split] = evaluation.metrics()
    splits = {evaluation.split for evaluation in evaluations}
    _merge(folder / "predictions.csv", PREDICTIONS, splits, (row for e in evaluations for row in answers(e)))
    _merge(folder / "per_class.csv", PER_CLASS, splits, (row for e in evaluations for row in _per_class(e)))
    shown = evaluations[-1]
    matrix = [["true \\ predicted", *shown.labels]]
    matrix += [[name, *map(str, row)] for name, row in zip(shown.labels, shown.matrix.tolist(), strict=True)]
    files.write_text(folder / "confusion_matrix.csv", table(matrix))
    top1 = metrics[shown.split]["top1"]
    title = f"{shown.split}: top-1 {top1['value']:.4f} ({top1['low']:.4f} to {top1['high']:.4f}), n = {top1['n']:,}"
    files.write_bytes(folder / "confusion_matrix.png", pictures.confusion_matrix(shown.matrix, shown.labels, title))
    files.write_json(path, metrics)
    return metrics


def answers(e: Evaluation) -> Iterable[list[str]]:
    """The rows of predictions.csv."""
    for path, true, predicted, row in zip(e.paths, e.true, e.predicted, e.probabilities, strict=True):
        correct = "1" if true == predicted else "0"
        yield [path, e.labels[true], e.labels[predicted], f"{row[predicted]:.6f}", correct, e.split]


def _per_class(e: Evaluation) -> Iterable[list[str]]:
    found = scores.per_class(e.matrix)
    for i, name in enumerate(e.labels):
        values = (found.precision[i], found.recall[i], found.f1[i])
        yield [name, e.split, *(f"{value:.6f}" for value in values), str(int(found.support[i]))]


def _merge(path: Path, header: Sequence[str], splits: set[str], rows: Iterable[Sequence[str]]) -> None:
    column = header.index("split")
    older: list[list[str]] = []
    if path.exists():
        older = list(csv.reader(io.StringIO(files.read_text(path), newline="")))[1:]
    kept = [row for row in older if row[column] not in splits]
    files.write_text(path, table([list(header), *kept, *rows]))


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV text."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
