"""How well probabilities rank pictures: the area under the ROC curve and the average precision, one class at a time.

Each class is told from all others by its own column of probabilities (one against the rest), and the score is the mean
over the classes that have pictures, and others beside them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dojang.metrics import influence
from dojang.metrics.arrays import rows
from dojang.metrics.intervals import Score

#: rows that a class has in the mean, for an interval of the ROC-AUC: with ten, intervals were found too wide as often
#: as they were found too narrow
LEAST_AREA = 20
#: rows of the smallest class, for an interval of the average precision: fewer bend it more than an interval can tell
LEAST_PRECISION = 50
# rows that are added to each class where its spread is estimated, as spread as the rows of all classes are
_ADDED = 0.5


@dataclass(frozen=True)
class Ranking:
    """Scores of each class, arrays of shape (c,), nan for a class without rows or without others; and their means."""

    roc_auc: np.ndarray
    average_precision: np.ndarray
    macro_roc_auc: Score
    macro_average_precision: Score


class _Mean:
    """The mean over classes of a score with the influence of each row.

    ``own`` is what a row moves the score of its own class, over how much a single row of that class can.
    """

    def __init__(self, n: int) -> None:
        self.values, self.centres = list[float](), list[float]()
        self.rows, self.own = np.zeros(n), np.zeros(n)

    def add(self, value: float, centre: float, moves: np.ndarray, mine: np.ndarray) -> None:
        self.values.append(value)
        self.centres.append(centre)
        self.rows += moves
        self.own[mine] = moves[mine] * (np.count_nonzero(mine) / len(mine))

    def score(self, true: np.ndarray, few: str, level: float) -> Score:
        """The mean; without an interval where there are too few rows, and ``few`` says so."""
        n, k = len(true), len(self.values)
        if k == 0:
            return Score(math.nan, math.nan, math.nan, n, "pictures of one class only" if n else "no pictures")
        value, centre = float(np.mean(self.values)), float(np.mean(self.centres))
        free = 0.0
        if few:
            why = few
        elif not (0 < value < 1 and 0 < centre < 1):
            why = "no picture is ranked wrongly" if value > 0.5 else "every picture is ranked wrongly"
        elif float(np.abs(self.rows).max()) <= 1e-9:
            # as of a network that has one answer for all
            why = "all pictures rank alike"
        else:
            free = influence.freedom(self.rows)
            why = "a handful of pictures decide it" if free < influence.LEAST_FREEDOM else ""
        if why:
            return Score(value, math.nan, math.nan, n, why)
        return influence.logit(value, centre, self._variance(true, k), free, n, level)

    def _variance(self, true: np.ndarray, k: int) -> float:
        """Of the mean, with each class's number of rows as it is; a class of few rows borrows spread from all."""
        n = len(true)
        size = np.bincount(true)
        there = size > 0
        size = np.maximum(size, 1)
        moves = self.rows / k
        apart = moves - (np.bincount(true, moves) / size)[true]
        pooled = float(np.mean(self.own**2)) / k**2 * (n / size) ** 2
        spread = (np.bincount(true, apart**2) + _ADDED * pooled) / (size - 1 + _ADDED)
        return float(np.sum((spread * size)[there])) / n**2


def ranking(true: Any, probabilities: Any, level: float = 0.95) -> Ranking:
    """ROC-AUC and average precision of each class, and their means over classes with intervals.

    ROC-AUC: the share of pairs, one picture of the class and one of another, in which the class's own picture has the
    higher probability of the class; a tie is half. 1/2 is what guessing gives. Average precision: over the pictures of
    the class, the mean share of the class among all that stand as high or higher; guessing gives the class's share of
    all. Of two classes the ROC-AUC is one number, that of the second column.

    Args:
        true: Class ids of shape (n,).
        probabilities: Shape (n, c); only the order within a column counts.

    Raises:
        ConfigError: C220 for shapes or ids that do not fit, and nan among the probabilities.

    Source: the influence of a row on the ROC-AUC is its placement, DeLong, DeLong and Clarke-Pearson, Biometrics 44,
    1988. A picture is not counted for itself in the centre of the average precision's interval: with it the mean lies
    above that of many pictures.

    Example:
        >>> found = ranking([0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.2, 0.8]])
        >>> found.roc_auc.tolist(), found.average_precision.round(3).tolist()
        ([0.75, 0.75], [0.833, 0.833])
    """
    true, table = rows(true, probabilities, "ranking")
    n, c = table.shape
    area, precision = np.full(c, np.nan), np.full(c, np.nan)
    areas, precisions = _Mean(n), _Mean(n)
    for k in range(c):
        mine = true == k
        if not 0 < np.count_nonzero(mine) < n:
            continue
        curve = _Curve(mine, table[:, k])
        area[k], moves = curve.area()
        if c > 2 or k == 1:
            areas.add(float(area[k]), float(area[k]), moves, mine)
        precision[k], others, moves = curve.precision()
        precisions.add(float(precision[k]), others, moves, mine)
    size = np.bincount(true, minlength=c)
    there = size[size > 0]
    few = f"fewer than {LEAST_AREA} pictures a class" if n < LEAST_AREA * len(there) else ""
    smallest = int(there.min()) if n else 0
    bent = f"a class of {smallest} pictures, fewer than {LEAST_PRECISION}" if smallest < LEAST_PRECISION else ""
    return Ranking(area, precision, areas.score(true, few, level), precisions.score(true, bent, level))


class _Curve:
    """The rows of a class and all others in the order of their probability; rows of equal probability are one step."""

    def __init__(self, mine: np.ndarray, values: np.ndarray) -> None:
        order = np.argsort(-values if values.dtype.kind == "f" else -values.astype(np.float64))
        self.mine = mine
        self.order, ordered = order, values[order]
        step = np.empty(len(values), dtype=np.int64)
        step[0] = 0
        np.cumsum(ordered[1:] != ordered[:-1], out=step[1:])
        self.step, self.ordered_mine = step, mine[order]
        self.positive = np.bincount(step, self.ordered_mine)  # of each step
        self.all = np.bincount(step)
        self.above = np.cumsum(self.positive)  # as high or higher
        self.total = np.cumsum(self.all)

    def area(self) -> tuple[float, np.ndarray]:
        """ROC-AUC, and the influence of each row."""
        own = float(self.above[-1])
        n = len(self.step)
        rest = n - own
        negative = self.all - self.positive
        below = (rest - (self.total - self.above) + negative / 2) / rest  # share of others below a row of the class
        higher = (self.above - self.positive / 2) / own  # share of the class above another row
        area = float(self.positive @ below) / own
        right, wrong = n / own * (below - area), n / rest * (higher - area)
        return area, self._spread(np.where(self.ordered_mine, right[self.step], wrong[self.step]))

    def precision(self) -> tuple[float, float, np.ndarray]:
        """Average precision; the same with no picture counted for itself; and the influence of each row."""
        own, n = float(self.above[-1]), len(self.step)
        share = self.above / self.total
        value = float(self.positive @ share) / own
        alone = self.total == 1
        others = float(self.positive @ np.where(alone, 1.0, (self.above - 1) / np.maximum(self.total - 1, 1))) / own

        def from_here_on(each: np.ndarray) -> np.ndarray:
            # a row changes the precision of every step at or below its own
            summed: np.ndarray = np.cumsum((self.positive * each)[::-1])[::-1] / own
            return summed

        gain = from_here_on((self.total - self.above) / self.total**2)
        loss = from_here_on(self.above / self.total**2)
        right, wrong = n * ((share - value) / own + gain), -n * loss
        return value, others, self._spread(np.where(self.ordered_mine, right[self.step], wrong[self.step]))

    def _spread(self, ordered: np.ndarray) -> np.ndarray:
        """From the order of probability to the order of the rows."""
        found = np.empty(len(ordered))
        found[self.order] = ordered
        return found
