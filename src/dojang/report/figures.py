"""The drawings of a report: curves over training, bars of classes, the reliability curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from dojang.data.manifest import plain
from dojang.evaluate.kept import Kept
from dojang.metrics import classes, scores
from dojang.report import overfitting, svg
from dojang.report.story import Story
from dojang.report.svg import Bin, Line, Mark
from dojang.report.text import Words, number

#: classes that have a bar of their own
BARS = 40
_COLUMNS = ("train/loss", "val/loss", "train/top1", "val/top1")


@dataclass(frozen=True)
class Curves:
    """How a run learned.

    Args:
        charts: Heading and drawing of each.
        keys: (class, words) of each line and mark, for the legend.
        said: Sentences below.
        table: Epoch, step and what was measured, of each validation.
    """

    charts: list[tuple[str, Markup]]
    keys: list[tuple[str, str]]
    said: list[str]
    table: list[list[str]]


def curves(story: Story, t: Words) -> Curves:
    """The curves of a run; of several runs, the training losses of all."""
    if story.parts:
        return _of_several(story, t)
    results, steps = story.results, story.steps
    found = overfitting.begins(results)
    training = story.metrics.get("training", {})
    marks = []
    if training.get("weights") == "best.safetensors" and isinstance(training.get("step"), int):
        marks.append(Mark("best", training["step"]))
    if found:
        marks.append(Mark("overfit", found.step))
    charts, used = [], list[str]()
    each = svg.thinned(_points(steps, "loss"))
    for score in ("loss", "top1"):
        lines = [Line("steps", t("line_steps"), each)] if score == "loss" and each else []
        lines += [
            line for part in ("train", "val") if (line := _line(results, part, score, t)) is not None and line.points
        ]
        if lines:
            charts.append((t(score), svg.chart(t("chart", name=t(score)), t("axis_step"), lines, marks)))
            used += [line.kind for line in lines if line.kind not in used]
    rates = svg.thinned(_points(steps, "lr"))
    if rates:
        lines = [Line("rate", t("line_rate"), rates)]
        charts.append((t("rate"), svg.chart(t("chart", name=t("rate")), t("axis_step"), lines, zero=True)))
    keys = [(str(kind), t(f"line_{kind}")) for kind in ("steps", "train", "val") if kind in used]
    keys += [(f"mark-{mark.kind}", t(f"mark_{mark.kind}")) for mark in marks]
    return Curves(charts, keys, _said(results, found, t), _table(results))


def _points(rows: Sequence[Mapping[str, str]], name: str) -> list[tuple[float, float]]:
    found = [(float(row["step"]), float(row[name])) for row in rows if row.get(name)]
    return [(x, y) for x, y in found if math.isfinite(x) and math.isfinite(y)]


def _line(results: Sequence[Mapping[str, str]], part: str, score: str, t: Words) -> Line | None:
    name, label = f"{part}/{score}", t(f"line_{part}")
    points = _points(results, name)
    said = [t("point", line=label, step=int(x), value=y) for x, y in points]
    return Line(part, label, points, dots=len(points) <= 60, said=said) if points else None


def _said(results: Sequence[Mapping[str, str]], found: overfitting.Overfitting | None, t: Words) -> list[str]:
    percent = round(100 * overfitting.RISE)
    if not results:
        return []
    if not overfitting.measured(results):
        return [t("overfit_unknown")]
    if len(results) < overfitting.LEAST:
        return [t("overfit_short")]
    if found is None:
        return [t("overfit_no", percent=percent)]
    return [t("overfit_yes", **vars(found)), t("overfit_rule", percent=percent)]


def _table(results: Sequence[Mapping[str, str]]) -> list[list[str]]:
    """Epoch, step and the measured columns; a long run's by the twentieth part, the last one always."""
    if not results:
        return []
    there = [name for name in _COLUMNS if name in results[0]]
    chosen = sorted({round(i) for i in np.linspace(0, len(results) - 1, min(len(results), 20))})
    rows = [[str(int(float(results[i]["epoch"]))), results[i]["step"]] for i in chosen]
    for row, i in zip(rows, chosen, strict=True):
        row += [number(float(results[i][name])) if results[i][name] else "–" for name in there]
    return [["epoch", "step", *there], *rows]


def _of_several(story: Story, t: Words) -> Curves:
    charts, used = [], list[str]()
    for score in ("loss", "top1"):
        lines = []
        for part in story.parts:
            for kind in ("train", "val"):
                points = _points(part.results, f"{kind}/{score}")
                label = f"{plain(part.name)}, {t(f'line_{kind}')}"
                said = [t("point", line=label, step=int(x), value=y) for x, y in points]
                lines += [Line(kind, label, points, dots=len(points) <= 30, said=said)] if points else []
        if lines:
            charts.append((t(score), svg.chart(t("chart", name=t(score)), t("axis_step"), lines)))
            used += [line.kind for line in lines if line.kind not in used]
    return Curves(charts, [(kind, t(f"line_{kind}_each")) for kind in ("train", "val") if kind in used], [], [])


@dataclass(frozen=True)
class ClassBar:
    """A class with its recall and precision, each with Wilson's interval, as text and as a bar."""

    name: str
    n: int
    recall: str
    recall_interval: str
    bar: Markup
    precision: str
    precision_interval: str
    f1: str


def class_bars(kept: Kept, t: Words) -> list[ClassBar]:
    """The classes of a split, the weakest first; at most 40 of them."""
    matrix = kept.matrix
    found, ends = scores.per_class(matrix), classes.per_class(matrix)
    support, named, names = matrix.sum(axis=1), matrix.sum(axis=0), kept.names
    there = [i for i in range(len(kept.labels)) if support[i]]
    bars = []
    for i in sorted(there, key=lambda i: (found.recall[i], kept.labels[i]))[:BARS]:
        recall, low, high = (float(values[i]) for values in (found.recall, ends.recall.low, ends.recall.high))
        shown = not math.isnan(low)
        said = t("bar" if shown else "bar_alone", name=names[i], value=recall, low=low, high=high)
        bars.append(
            ClassBar(
                names[i],
                int(support[i]),
                f"{recall:.3f}",
                _interval(ends.recall, i),
                svg.bar(recall, low if shown else None, high if shown else None, said),
                f"{found.precision[i]:.3f}" if named[i] else "–",
                _interval(ends.precision, i),
                f"{found.f1[i]:.3f}",
            )
        )
    return bars


def _interval(ends: classes.Ends, i: int) -> str:
    return "" if math.isnan(ends.low[i]) else f"{ends.low[i]:.3f} – {ends.high[i]:.3f}"


def score_bar(value: Mapping[str, Any], title: str) -> Markup | None:
    """A score between 0 and 1 as a mark on a line with its interval; None for a score that may be more."""
    numbers = value.get("value"), value.get("low"), value.get("high")
    if any(n is not None and not (isinstance(n, (int, float)) and math.isfinite(n) and 0 <= n <= 1) for n in numbers):
        return None
    if numbers[0] is None:
        return None
    return svg.bar(numbers[0], numbers[1], numbers[2], title, filled=False)


def bins(found: Mapping[str, Any]) -> list[Bin]:
    """The bins of a reliability curve from what metrics.json says of a split's calibration; none where it is silent."""
    return [Bin(one["confidence"], one["accuracy"], one["low"], one["high"], one["n"]) for one in found.get("bins", ())]
