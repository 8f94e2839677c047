"""How a cell looks in every picture of a study: how good it is, how it stands to the best, what is said where it has
no score."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dojang.study.plan import higher
from dojang.study.results import Line, half
from dojang.study.ticks import log_ticks, ticks

#: losses, and listed numbers, of which the largest is more than so many times the smallest lie on a log axis
WIDE = 100.0
_INTERVALS = 40
BEST, ALIKE, OPEN, REST, NONE = "best", "alike", "open", "rest", "none"


def mark(line: Line, seeds: int) -> str:
    """How a cell stands to the best.

    Args:
        seeds: That each cell was to have.

    Returns:
        "best"; "alike", which cannot be told from it; "open", of which nothing can be said although there are several
        seeds; "rest", which is worse, or everything else where there is one seed; "none" without a score.
    """
    if not math.isfinite(line.mean):
        return NONE
    if line.best:
        return BEST
    if line.told == "not told apart":
        return ALIKE
    return REST if line.told == "worse" or seeds == 1 else OPEN


def why(line: Line) -> str:
    """Why a cell has no score: "failed", "pruned", "unscored" where runs ended without this score, or "waiting"."""
    if line.failed or line.pruned:
        return "failed" if line.failed >= line.pruned else "pruned"
    return "waiting" if math.isnan(line.seconds) else "unscored"


def aside(line: Line) -> str:
    """In words, which runs are not in a cell's figures, or why it has none; "" where all are.

    >>> from dojang.study.plan import Cell
    >>> aside(Line(Cell(1, "", {}, {}), {0: 0.5}, None, 2, 1, None, False, {}, 1.0))
    '2 failed, 1 stopped'
    """
    said = [f"{n} {word}" for n, word in ((line.failed, "failed"), (line.pruned, "stopped")) if n]
    if not said and not math.isfinite(line.mean):
        said = ["not run" if why(line) == "waiting" else "no score"]
    return ", ".join(said)


def without(lines: Sequence[Line]) -> str:
    """How many cells have no score, and why; "" where all have one."""
    words = {"failed": "failed", "pruned": "stopped", "waiting": "not run", "unscored": "ended without"}
    counts = Counter(words[why(one)] for one in lines if not math.isfinite(one.mean))
    if not counts:
        return ""
    return f"{counts.total()} without a score: " + ", ".join(f"{n} {word}" for word, n in sorted(counts.items()))


def with_interval(lines: Sequence[Line], seeds: int) -> list[Line]:
    """Cells whose intervals stand beside the scores: all, or of more than 40 the best and those not told from it."""
    there = [one for one in lines if half(one) is not None]
    if len(there) > _INTERVALS:
        there = [one for one in there if mark(one, seeds) in (BEST, ALIKE)]
    return there[:_INTERVALS]


def worded(value: float) -> str:
    """A score as it stands in a picture.

    >>> worded(0.91234), worded(0.00001234), worded(123456.7), worded(1e9)
    ('0.9123', '1.2e-05', '123,457', '1e+09')
    """
    if value and abs(value) < 5e-5:
        return f"{value:.2g}"
    if abs(value) < 100:
        return f"{value:.4f}"
    return f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}" if abs(value) < 1e6 else f"{value:.3g}"


@dataclass(frozen=True)
class Scale:
    """From the worst of a study's scores to its best.

    Args:
        low, high: The smallest and the largest mean.
        bottom, top: The ends of an axis on which all means and intervals lie.
        more: Whether more is better.
        log: Whether equal ratios are equally far apart.
    """

    low: float
    high: float
    bottom: float
    top: float
    more: bool
    log: bool

    def good(self, value: float) -> float:
        """How good a mean is among the others: 0 for the worst, 1 for the best, and for all where they are equal."""
        if self.low == self.high:
            return 1.0
        return self._share(value, self.low, self.high)

    def at(self, value: float) -> float:
        """Where a score lies on the axis, 0 to 1, the better end at 1; what lies outside is at the end."""
        return self._share(value, self.bottom, self.top)

    def ticks(self, most: int) -> list[float]:
        """Round scores on the axis."""
        return (log_ticks if self.log else ticks)(self.bottom, self.top, most)

    def _share(self, value: float, low: float, high: float) -> float:
        value = min(max(value, low), high)
        share = math.log(value / low) / math.log(high / low) if self.log else (value - low) / (high - low)
        return share if self.more else 1 - share


def scale(lines: Sequence[Line], score: str) -> Scale | None:
    """The scale of a study's cells; None where none has a score.

    Args:
        score: Which one it is.
    """
    means = [one.mean for one in lines if math.isfinite(one.mean)]
    if not means:
        return None
    low, high = min(means), max(means)
    more = higher(score)
    if not more and low > 0 and high / low > WIDE:
        # an interval may reach down to 0, where a log axis does not
        ends = [one.over.high for one in lines if half(one) is not None and one.over]
        return Scale(low, high, low / 1.5, max([high, *ends]) * 1.5, more, True)
    ends = [end for one in lines if half(one) is not None and one.over for end in (one.over.low, one.over.high)]
    bottom, top = min([low, *ends]), max([high, *ends])
    room = 0.05 * (top - bottom) or 0.05 * abs(high) or 0.05
    # no score is below 0, and none of those of which more is better is above 1
    return Scale(low, high, max(bottom - room, 0.0), min(top + room, 1.0) if more else top + room, more, False)
