"""The scores of a run as a table with intervals: in a console as text, in a notebook as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from dojang.data.manifest import plain
from dojang.evaluate import kept, several
from dojang.evaluate.chosen import WORDS, sentence

#: how a cell looks
CELL = "padding:.15rem .55rem;text-align:{}"
_HEAD = ("split", "score", "value", "95 % interval", "n")
_OVER = ("split", "score", "mean", "standard deviation", "95 % interval", "runs")


@dataclass(frozen=True, repr=False)
class Scores(Mapping[str, Any]):
    """The scores of a run by split, as metrics.json holds them; shown as a table with intervals.

    >>> found = Scores({"test": {"n": 10, "top1": {"value": 0.9, "low": 0.6, "high": 0.98}}})
    >>> found["test"]["n"]
    10
    >>> found
    test: 10 pictures; intervals of 95 %
      top-1                0.9000   0.6000 to 0.9800
    """

    metrics: dict[str, Any]

    def __getitem__(self, split: str) -> Any:
        return self.metrics[split]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    @property
    def weights(self) -> str:
        """By what the weights were chosen, where that is not top-1, which one expects."""
        told = sentence(self.metrics)
        return "" if "by top-1 on" in told else told

    def _splits(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for split in dict.fromkeys([*kept.JUDGING, *self.metrics]):
            found = self.metrics.get(split)
            if isinstance(found, dict) and "top1" in found:
                yield split, found

    def _runs(self) -> Iterator[tuple[str, int, str, dict[str, Any]]]:
        """(split, number of runs, score, what is known of it over the runs)."""
        of = several.repeated(self.metrics)
        if of is None:
            return
        kind, found = of
        splits = {str(found.get("split") or ("test" if kind == "folds" else "")): found.get("scores", {})}
        for split, scores in (splits | found.get("others", {})).items():
            yield from ((split, len(found.get("runs", [])), name, one) for name, one in scores.items())

    def _repr_html_(self) -> str:
        rows = [
            (split, word(name), _number(one.get("value")), _interval(one, "–"), f"{found.get('n', 0):,}")
            for split, found in self._splits()
            for name, one in _of(found)
        ]
        over = [
            (split, word(name), _number(one["mean"]), _number(one["sd"]), _interval(one, "–"), n)
            for split, n, name, one in self._runs()
        ]
        html = table(_OVER, over, left=2) if over else Markup("")
        html += table(_HEAD, rows, left=2) if rows else Markup("")
        if not html:
            return str(Markup("<p>{}</p>").format("no scores yet"))
        return str(html + (Markup("<p>{}</p>").format(self.weights) if self.weights else Markup("")))

    def __repr__(self) -> str:
        lines, before = list[str](), ""
        for split, n, name, one in self._runs():
            if split != before:
                lines.append(f"{plain(split)}: {n:,} runs; mean, standard deviation, 95 % interval of the mean")
            lines.append(f"  {word(name):18} {_number(one['mean']):>8} {_number(one['sd']):>8}   {_interval(one)}")
            before = split
        for split, found in self._splits():
            lines.append(f"{plain(split)}: {found.get('n', 0):,} pictures; intervals of 95 %")
            lines += [f"  {word(name):18} {_number(one['value']):>8}   {_interval(one)}" for name, one in _of(found)]
        return "\n".join([*lines, *([self.weights] if self.weights else [])]) if lines else "no scores yet"


def word(name: str) -> str:
    """What a score is called."""
    return WORDS.get(name, plain(name.replace("_", " ")))


def _of(found: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, one) for name, one in found.items() if isinstance(one, dict) and "value" in one]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _interval(one: Mapping[str, Any], between: str = "to") -> str:
    """From where to where, or why there is none."""
    if one.get("low") is None or one.get("high") is None:
        return f"none: {one['why']}" if one.get("why") else "none"
    return f"{one['low']:.4f} {between} {one['high']:.4f}"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], left: int) -> Markup:
    """A table whose first columns are words."""
    lines = []
    for tag, cells in [("th", header), *(("td", row) for row in rows)]:
        style = [CELL.format("left" if i < left else "right") for i in range(len(cells))]
        made = (
            Markup('<{0} style="{1}">{2}</{0}>').format(tag, css, plain(str(cell)))
            for css, cell in zip(style, cells, strict=True)
        )
        lines.append(Markup("<tr>{}</tr>").format(Markup("").join(made)))
    return Markup("<table>{}</table>").format(Markup("").join(lines))
