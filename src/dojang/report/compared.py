"""A comparison of runs as lines for a terminal, and as one page with the pictures that only one of two gets right."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from markupsafe import Markup

from dojang.data.decode import decode
from dojang.data.manifest import Manifest, plain
from dojang.doctor.sheet import Section, grid, sheet, table
from dojang.errors import DataError, many
from dojang.evaluate.chosen import sentence
from dojang.evaluate.compare import SCORES, Pair
from dojang.metrics.intervals import Score
from dojang.runs.comparison import Comparison, Entrant

TITLES = {"top1": "top-1", "balanced_accuracy": "balanced", "macro_f1": "macro F1", "log_loss": "log loss"}
# pictures of each kind on the page, and a class
_MOST, _EACH = 120, 12


def lines(found: Comparison, shown: int = 5) -> list[str]:
    """What is said in a terminal of 80 columns.

    Args:
        shown: Pictures of each kind that are named.
    """
    said = [f"{found.split}: {many(found.n, 'picture')}, the same for all runs (by their bytes)", ""]
    row = "{:<3}{:<23}{:>6}{:>10}{:>10}{:>8}{:>10}{:>10}".format
    said.append(row("", "run", "top-1", "balanced", "macro F1", "ms", "size", "weights"))
    for number, one in enumerate(found.entrants, 1):
        said.append(row(number, _short(one.run, 22), *_cells(one)))
    said += [f"   {words}" for words in (*_chosen(found), *_learned(found))]
    taken = f"ms: for one picture, decoded, in batches of 32 on {found.device}"
    said += [taken] if any(one.milliseconds is not None for one in found.entrants) else []
    for number, pair in enumerate(found.pairs, 2):
        said += ["", f"{number} less 1: {_short(pair.second.run)} against {_short(pair.first.run)}"]
        for name, score in pair.differences.items():
            p = f"   p {_p(pair.p)}" if name == "top1" else ""
            said.append(f"  {TITLES[name]:<10}{_signed(score.value):>8}{_interval(score)}{p}")
        if len(found.pairs) > 1:
            said.append(f"  p is {_p(pair.corrected)} corrected for {len(found.pairs)} comparisons (Holm)")
        said.append(f"  {verdict(pair)}")
        said.append(
            f"  right: both {pair.both:,}, only 1 {pair.first_only:,}, only {number} {pair.second_only:,}, "
            f"neither {pair.neither:,}"
        )
        for second in (False, True):
            said += _named(pair, second, number, shown)
    said += ["", "Intervals: top-1 Tango's; balanced accuracy and macro F1 Tango's, too, for as"]
    of_loss = "; log loss Student's t on Hall's scale" if any("log_loss" in p.differences for p in found.pairs) else ""
    return [*said, f"many pictures as their variance names{of_loss}.", "p: McNemar's exact test of top-1."]


def verdict(pair: Pair) -> str:
    """In words, what the difference in top-1 is worth."""
    if pair.corrected >= 0.05:
        return "Not told apart: chance alone may well make this difference."
    better = pair.second.run if pair.second_only > pair.first_only else pair.first.run
    return f"{_short(better)} is better: chance alone would seldom make this difference."


def page(found: Comparison, manifest: Manifest) -> str:
    """The text of a page.

    Args:
        manifest: Where the pictures are, under the names that the first run has for them.
    """
    head = ["", "run", "top-1", "balanced", "macro F1", "ms a picture", "size", "weights"]
    rows = [[number, plain(one.run), *_cells(one)] for number, one in enumerate(found.entrants, 1)]
    # a table's first column is for words
    overview = table(head[1:2] + head[2:], [row[1:] for row in rows])
    said = [f"Time is for one decoded picture in batches of 32 on {found.device}."] if found.device else []
    sections: list[Section] = [("Runs", said, overview)]
    for number, pair in enumerate(found.pairs, 2):
        sections += _sections(pair, number, manifest, len(found.pairs))
    words = [f"{found.split}: {many(found.n, 'picture')}, the same for all runs by their bytes."]
    words += [*_chosen(found), *_learned(found)]
    words += [verdict(found.pairs[0])] if len(found.pairs) == 1 else []
    names = ", ".join(_short(one.run) for one in found.entrants[1:])
    return sheet(f"{names} against {_short(found.entrants[0].run)}", words, sections)


def _chosen(found: Comparison) -> list[str]:
    """By what weights were chosen, where it was not top-1; the others have another aim than the first column's."""
    return [
        f"{_short(one.run)}: {sentence({'weights': {'chosen_by': one.chosen_by, 'chosen_on': one.chosen_on}})}"
        for one in found.entrants
        if one.chosen_by not in (None, "top1")
    ]


def _learned(found: Comparison) -> list[str]:
    return [
        f"{_short(one.run)} was trained on {one.learned:,} of these pictures, byte for byte: too good"
        for one in found.entrants
        if one.learned
    ]


def _sections(pair: Pair, number: int, manifest: Manifest, several: int) -> Iterable[Section]:
    rows = []
    for name, score in pair.differences.items():
        ends = ["none", ""] if _open(score) else [_signed(score.low), _signed(score.high)]
        rows.append([TITLES[name] + ("" if SCORES[name] else " (lower is better)"), _signed(score.value), *ends])
    first, second = _short(pair.first.run), _short(pair.second.run)
    said = [verdict(pair), f"McNemar's exact test of top-1: p {_p(pair.p)}."]
    said += [f"Corrected for {several} comparisons (Holm): p {_p(pair.corrected)}."] if several > 1 else []
    said += [f"Differences: {second} less {first}."]
    said += [f"No interval of {', '.join(names)}: {why}." for why, names in _without(pair).items()]
    said += [
        "Intervals: top-1 Tango's; balanced accuracy and macro F1 Tango's, too, for as many pictures as their "
        "variance names" + ("; log loss Student's t on Hall's scale." if "log_loss" in pair.differences else ".")
    ]
    counts = [["both right", f"{pair.both:,}"], ["only the first", f"{pair.first_only:,}"]]
    counts += [["only the second", f"{pair.second_only:,}"], ["both wrong", f"{pair.neither:,}"]]
    body = table(["difference", "", "95 % from", "to"], rows) + table(["pictures", ""], counts)
    yield f"{second} against {first}", said, body
    for only_second in (False, True):
        right, wrong = (second, first) if only_second else (first, second)
        at = pair.only(only_second)
        left = f"; the {_MOST} where the other is surest" if len(at) > _MOST else ""
        shown, lost = _pictures(pair, at[:_MOST], only_second, manifest)
        words = (
            [f"{many(len(at), 'picture')}{left}. Below each: what {wrong} says, wrongly."] if len(at) else ["Nowhere."]
        )
        words += [f"{many(lost, 'picture')} could not be read."] if lost else []
        yield f"Only {right} is right", words, shown


def _pictures(pair: Pair, at: np.ndarray, only_second: bool, manifest: Manifest) -> tuple[Markup, int]:
    """Pictures by class, and how many could not be shown."""
    wrong = pair.first if only_second else pair.second
    classes: dict[str, list[tuple[np.ndarray, str]]] = {}
    lost = 0
    for row in at.tolist():
        path = pair.first.paths[row]
        try:
            levels = decode(manifest.source.read(path), path, mode="RGB")
        except DataError:
            lost += 1
            continue
        words = f"{wrong.predicted[row]} {wrong.probability[row]:.2f}"
        classes.setdefault(pair.first.true[row], []).append((levels, words))
    return grid((f"{name} | {len(some)}", some[:_EACH]) for name, some in sorted(classes.items())), lost


def _named(pair: Pair, second: bool, number: int, shown: int) -> list[str]:
    """A line for each picture that only one gets right, those first where the other is surest."""
    rows = pair.only(second)
    if not len(rows) or not shown:
        return []
    wrong, says = (pair.first, 1) if second else (pair.second, number)
    said = [f"  only {number if second else 1} is right, and {says} says"]
    for row in rows[:shown].tolist():
        sure = f"{plain(wrong.predicted[row])} {wrong.probability[row]:.2f}"
        words = f"{sure}: {plain(pair.first.paths[row])} ({plain(pair.first.true[row])})"
        said.append(f"    {words if len(words) <= 76 else words[:36] + ' ... ' + words[-35:]}")
    return [*said, f"    and {len(rows) - shown:,} more"] if len(rows) > shown else said


def _cells(one: Entrant) -> list[str]:
    scores = [f"{one.scores[name]:.4f}" for name in ("top1", "balanced_accuracy", "macro_f1")]
    pace = "-" if one.milliseconds is None else f"{one.milliseconds:.3g}"
    size = "-" if one.bytes is None else _size(one.bytes)
    return [*scores, pace, size, "-" if one.parameters is None else _count(one.parameters)]


def _size(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.1f} KB"


def _count(number: int) -> str:
    return f"{number:,}" if number < 1e6 else f"{number / 1e6:.1f} M"


def _open(score: Score) -> bool:
    """Whether there is no interval; the score says why."""
    return score.low != score.low


def _without(pair: Pair) -> dict[str, list[str]]:
    """The scores without an interval, by the reason."""
    found: dict[str, list[str]] = {}
    for name, score in pair.differences.items():
        if _open(score):
            found.setdefault(score.why, []).append(TITLES[name])
    return found


def _interval(score: Score) -> str:
    return f"   none: {score.why}" if _open(score) else f"   95 %: {_signed(score.low)} to {_signed(score.high)}"


def _signed(value: float) -> str:
    # a nought has no sign
    return f"{round(value, 4) + 0.0:+.4f}"


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def _short(run: str, most: int = 24) -> str:
    """The end of a path: what tells runs apart."""
    name = plain(run.rstrip("/"))
    return name if len(name) <= most else "..." + name[3 - most :]
