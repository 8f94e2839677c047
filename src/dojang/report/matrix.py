"""The confusion matrix of a page: cells to press, and behind each some of its pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dojang.evaluate.kept import Kept

#: classes up to which the matrix is a table; with more it is a picture, and the confusions are listed
TABLE = 30
#: pictures behind a cell, behind a cell of right answers, and behind all cells together
EACH, RIGHT, ALL = 12, 6, 720
#: confusions that are listed
LISTED = 12


@dataclass(frozen=True)
class Cell:
    """How often one class was given for another.

    Args:
        true, predicted: Ids of labels.
        count: How often.
        share: Of the pictures of the true class.
        paths: Of the pictures shown behind it, the one most worth looking at first.
    """

    true: int
    predicted: int
    count: int
    share: float
    paths: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()

    @property
    def right(self) -> bool:
        """Whether it lies on the diagonal."""
        return self.true == self.predicted

    @property
    def strength(self) -> float:
        """How strongly it is coloured, 0 to 1: a few mistakes among many pictures can still be seen."""
        return round(0.1 + 0.9 * self.share**0.6, 3) if self.count else 0.0

    @property
    def percent(self) -> str:
        """The share as it stands in a cell."""
        percent = 100 * self.share
        return f"{percent:.0f}" if percent >= 9.95 or percent == 0 else f"{percent:.1f}"


def cells(kept: Kept) -> dict[tuple[int, int], Cell]:
    """Every cell that is not empty, with the pictures shown behind it.

    No cell has more than twelve, and all together have at most 720: they are dealt out one to each cell, round after
    round, so that a rare confusion is seen as well as a frequent one.
    """
    matrix = kept.matrix
    support = np.maximum(matrix.sum(axis=1), 1)
    filled = list(zip(*(index.tolist() for index in np.nonzero(matrix)), strict=True))
    if len(kept.labels) > TABLE:
        # only what is listed can be pressed
        filled = [(i, j) for i, j, _ in kept.confused()[:LISTED]]
    rows = {(i, j): kept.cell(i, j)[: RIGHT if i == j else EACH] for i, j in filled}
    dealt = dict.fromkeys(filled, 0)
    left = ALL
    for turn in range(EACH):
        for place in filled:
            if left and turn < len(rows[place]):
                dealt[place] += 1
                left -= 1
    found = {}
    for (i, j), taken in dealt.items():
        shown = rows[i, j][:taken]
        count = int(matrix[i, j])
        found[i, j] = Cell(
            i,
            j,
            count,
            count / int(support[i]),
            tuple(kept.paths[row] for row in shown),
            tuple(float(kept.probability[row]) for row in shown),
        )
    return found


def table(kept: Kept, found: Mapping[tuple[int, int], Cell]) -> Iterator[tuple[str, int, list[Cell]]]:
    """The rows of the matrix: the class, its pictures, and a cell for every answer."""
    support = kept.matrix.sum(axis=1)
    for i, name in enumerate(kept.names):
        yield name, int(support[i]), [found.get((i, j), Cell(i, j, 0, 0.0)) for j in range(len(kept.labels))]


def drawn(kept: Kept) -> str:
    """The matrix of many classes as a picture, a pixel or more a cell; white is nothing. A data address."""
    matrix = kept.matrix
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    strength = np.where(matrix > 0, 0.15 + 0.85 * shares**0.6, 0.0)[..., None]
    hue = np.where(np.eye(len(matrix), dtype=bool)[..., None], (0, 114, 178), (213, 94, 0))
    levels = np.rint(255 + (hue - 255) * strength).astype(np.uint8)
    larger = max(1, 720 // len(matrix))
    image = Image.fromarray(levels.repeat(larger, axis=0).repeat(larger, axis=1))
    file = io.BytesIO()
    # of few colours, and exact: as JPEG its dots would smear
    image.quantize(64).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
