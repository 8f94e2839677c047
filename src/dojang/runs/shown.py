"""How a run shows itself in a notebook: scores, confusion matrix, wrong pictures; names are inert."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from dojang.data.manifest import plain, readable
from dojang.errors import ConfigError
from dojang.evaluate import kept
from dojang.evaluate.evaluate import confused
from dojang.evaluate.kept import Kept
from dojang.predict.answer import Answer
from dojang.runs.pictures import Pictures
from dojang.runs.scored import CELL, Scores, table

# classes up to which a matrix is shown whole, and answers of a list that are shown
_CLASSES, _ANSWERS = 30, 50


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix; a notebook shows it as a coloured table.

    Args:
        matrix: int64 (c, c), rows are the true classes.
        labels: Names of the classes.
        split: Of whose pictures.
    """

    matrix: np.ndarray
    labels: tuple[str, ...]
    split: str

    def pairs(self, most: int = 10) -> list[tuple[str, str, int]]:
        """(true, predicted, count) of the most frequent confusions, in the order of metrics.json."""
        return [(self.labels[i], self.labels[j], n) for i, j, n, _ in confused(self.matrix, most)]

    def _readable(self) -> list[tuple[str, str, int]]:
        names = readable(self.labels)
        return [(names[i], names[j], n) for i, j, n, _ in confused(self.matrix)]

    def _repr_html_(self) -> str:
        if len(self.labels) > _CLASSES:
            return str(table(("true", "predicted", "pictures"), self._readable(), left=2))
        names = readable(self.labels)
        head = Markup("").join(Markup("<th>{}</th>").format(plain(name)) for name in ("true \\ predicted", *names))
        lines = [Markup("<tr>{}</tr>").format(head)]
        support = np.maximum(self.matrix.sum(axis=1), 1)
        for i, name in enumerate(names):
            cells = [Markup('<th style="text-align:left">{}</th>').format(plain(name))]
            for j, count in enumerate(self.matrix[i].tolist()):
                # Okabe and Ito's blue and orange: see-through, so that it suits light and dark
                hue = "0,114,178" if i == j else "230,159,0"
                alpha = 0.1 + 0.6 * (count / int(support[i])) ** 0.6 if count else 0
                style = f"{CELL.format('center')};background:rgba({hue},{alpha:.2f})"
                cells.append(Markup('<td style="{}">{}</td>').format(style, count or ""))
            lines.append(Markup("<tr>{}</tr>").format(Markup("").join(cells)))
        caption = Markup("<caption>{}</caption>").format(f"{self.split}: rows are the true classes")
        return str(Markup("<table>{}{}</table>").format(caption, Markup("").join(lines)))

    def __repr__(self) -> str:
        return f"Confusion({self.split!r}, {len(self.labels)} classes, {int(self.matrix.sum()):,} pictures)"


@dataclass(frozen=True)
class Wrong(Sequence[Any]):
    """Wrong answers, the surest first, as (path, true, predicted, probability); a notebook shows their pictures.

    Args:
        rows: Of them all, or as many as were asked for.
        total: How many wrong answers there are.
        pictures: Gives thumbnails.
    """

    rows: tuple[tuple[str, str, str, float], ...]
    total: int
    pictures: Pictures

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_html_(self) -> str:
        found = self.pictures.thumbnails(path for path, *_ in self.rows)
        figures = []
        for path, true, predicted, probability in self.rows:
            image = Markup('<img src="{}" alt="" style="width:96px;height:96px;object-fit:contain;{}">')
            shown = image.format(found[path], _crisp(found[path])) if path in found else Markup("")
            said, truth = readable((predicted, true))
            words = f"{plain(said)} ({probability:.2f}), is {plain(truth)}"
            figures.append(
                Markup(
                    '<figure style="margin:0;width:110px;font-size:11px;overflow-wrap:anywhere">{}<br>{}</figure>'
                ).format(shown, words)
            )
        head = Markup("<p>{}</p>").format(f"{len(self.rows):,} of {self.total:,} wrong answers, the surest first")
        grid = Markup('<div style="display:flex;flex-wrap:wrap;gap:10px">{}</div>')
        return str(head + grid.format(Markup("").join(figures)))

    def __repr__(self) -> str:
        return f"Wrong({len(self.rows):,} of {self.total:,} wrong answers)"


def confusion(folder: Path, split: str | None) -> Confusion | None:
    """The confusion matrix of a run folder; None where it holds no answers. Raises D121 for a split without any."""
    found = kept.read(folder, split)
    return None if found is None else Confusion(found.matrix, found.labels, found.split)


def wrong(folder: Path, split: str | None, most: int, data: Any) -> Wrong | None:
    """The wrong answers of a run folder; None where it holds no answers.

    Raises:
        ConfigError: C202 for less than none of them.
        DataError: D121 for a split without answers.
    """
    if most < 0:
        raise ConfigError("C202", f"wrong(most={most}): it is how many are shown.", fix="most=24")
    found = kept.read(folder, split)
    if found is None:
        return None
    rows = tuple(_told(found, row) for row in found.wrong(most).tolist())
    return Wrong(rows, int((found.true != found.predicted).sum()), Pictures(folder, data))


def _crisp(address: str) -> str:
    # small pictures are shown pixel for pixel
    return "image-rendering:pixelated" if address.startswith("data:image/png") else ""


def _told(found: Kept, row: int) -> tuple[str, str, str, float]:
    true, predicted = found.labels[found.true[row]], found.labels[found.predicted[row]]
    return found.paths[row], true, predicted, float(found.probability[row])


def run(folder: Path, metrics: dict[str, Any]) -> str:
    """A run as HTML: where it is, and its scores."""
    head = Markup("<p><b>Run</b> <code>{}</code></p>").format(plain(str(folder)))
    return str(head) + Scores(metrics)._repr_html_()


def answers(several: Sequence[Answer]) -> str:
    """Answers as HTML: for each picture the three most probable labels."""
    rows = []
    for one in several[:_ANSWERS]:
        top = [f"{plain(label)} {probability:.3f}" for label, probability in one.top(3)]
        rows.append((plain(one.source), *top, *[""] * (3 - len(top))))
    more = len(several) - len(rows)
    left = Markup("<p>{}</p>").format(f"and {more:,} more") if more else Markup("")
    return str(table(("picture", "answer", "then", "then"), rows, left=4) + left)
