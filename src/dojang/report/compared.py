"""A comparison of runs as lines for a terminal, and as one page with the pictures that only one of two gets right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup

from dojang.data.decode import decode
from dojang.data.manifest import plain
from dojang.doctor.sheet import Section, grid, sheet, table
from dojang.errors import DojangError, many
from dojang.evaluate.chosen import sentence
from dojang.evaluate.compare import SCORES, Pair
from dojang.metrics.intervals import Score
from dojang.runs.comparison import Comparison, Entrant
from dojang.runs.pictures import Pictures

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
    names = _names(found)
    for number, (name, one) in enumerate(zip(names, found.entrants, strict=True), 1):
        said.append(row(number, name, *_cells(one)))
    said += [f"   {words}" for words in (*_chosen(found), *_learned(found))]
    taken = f"ms: for one picture, decoded, in batches of 32 on {found.device}"
    said += [taken] if any(one.milliseconds is not None for one in found.entrants) else []
    for number, pair in enumerate(found.pairs, 2):
        said += ["", f"{number} less 1: {names[number - 1]} against {names[0]}"]
        for name, score in pair.differences.items():
            p = f"   p {_p(pair.p)}" if name == "top1" else ""
            said.append(f"  {TITLES[name]:<10}{_signed(score.value):>8}{_interval(score)}{p}")
        if len(found.pairs) > 1:
            said.append(f"  p is {_p(pair.corrected)} corrected for {len(found.pairs)} comparisons (Holm)")
        said.append(f"  {verdict(pair, names[0], names[number - 1])}")
        said.append(
            f"  right: both {pair.both:,}, only 1 {pair.first_only:,}, only {number} {pair.second_only:,}, "
            f"neither {pair.neither:,}"
        )
        for second in (False, True):
            said += _named(pair, second, number, shown)
    said += ["", "Intervals: top-1 Tango's; balanced accuracy and macro F1 Tango's, too, for as"]
    of_loss = "; log loss Student's t on Hall's scale" if any("log_loss" in p.differences for p in found.pairs) else ""
    return [*said, f"many pictures as their variance names{of_loss}.", "p: McNemar's exact test of top-1."]


def verdict(pair: Pair, first: str, second: str) -> str:
    """In words, what the difference in top-1, and in that alone, is worth."""
    if pair.corrected >= 0.05:
        return "top-1: not told apart; chance alone may well make this difference."
    better = second if pair.second_only > pair.first_only else first
    return f"top-1: {better} is better; chance would seldom do this."


def page(found: Comparison, pictures: Pictures) -> str:
    """The text of a page; where the pictures are not at hand it says so, and shows none.

    Args:
        pictures: Of the first run, under its names for them.
    """
    runs = _names(found)
    head = ["", "run", "top-1", "balanced", "macro F1", "ms a picture", "size", "weights"]
    rows = [[number, plain(one.run), *_cells(one)] for number, one in enumerate(found.entrants, 1)]
    # a table's first column is for words
    overview = table(head[1:2] + head[2:], [row[1:] for row in rows])
    said = [f"Time is for one decoded picture in batches of 32 on {found.device}."] if found.device else []
    sections: list[Section] = [("Runs", said, overview)]
    for number, pair in enumerate(found.pairs, 2):
        sections += _sections(pair, (runs[0], runs[number - 1]), pictures, len(found.pairs))
    words = [f"{found.split}: {many(found.n, 'picture')}, the same for all runs by their bytes."]
    words += [*_chosen(found), *_learned(found)]
    words += [verdict(found.pairs[0], *runs)] if len(found.pairs) == 1 else []
    words += without_pictures(pictures)
    return sheet(f"{', '.join(runs[1:])} against {runs[0]}", words, sections)


def without_pictures(pictures: Pictures) -> list[str]:
    """Why a page has no pictures; nothing where it has."""
    if pictures.missing is None:
        return []
    return [f"Without pictures: {pictures.missing.what} Where they are now is told by --data PLACE."]


def _names(found: Comparison) -> list[str]:
    return told_apart([one.run for one in found.entrants])


def _chosen(found: Comparison) -> list[str]:
    """By what weights were chosen, where it was not top-1; the others have another aim than the first column's."""
    return [
        f"{name}: {sentence({'weights': {'chosen_by': one.chosen_by, 'chosen_on': one.chosen_on}})}"
        for name, one in zip(_names(found), found.entrants, strict=True)
        if one.chosen_by not in (None, "top1")
    ]


def _learned(found: Comparison) -> list[str]:
    return [
        f"{name} was trained on {one.learned:,} of these pictures, byte for byte: too good"
        for name, one in zip(_names(found), found.entrants, strict=True)
        if one.learned
    ]


def _sections(pair: Pair, names: tuple[str, str], pictures: Pictures, several: int) -> Iterable[Section]:
    first, second = names
    rows = []
    for name, score in pair.differences.items():
        ends = ["none", ""] if _open(score) else [_signed(score.low), _signed(score.high)]
        rows.append([TITLES[name] + ("" if SCORES[name] else " (lower is better)"), _signed(score.value), *ends])
    said = [verdict(pair, first, second), f"McNemar's exact test of top-1: p {_p(pair.p)}."]
    said += [f"Corrected for {several} comparisons (Holm): p {_p(pair.corrected)}."] if several > 1 else []
    said += [f"Differences: {second} less {first}."]
    said += [f"No interval of {', '.join(scores)}: {why}." for why, scores in _without(pair).items()]
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
        shown, lost = _pictures(pair, at[:_MOST], only_second, pictures)
        words = (
            [f"{many(len(at), 'picture')}{left}. Below each: what {wrong} says, wrongly."] if len(at) else ["Nowhere."]
        )
        words += [f"{many(lost, 'picture')} could not be read, or is another one today."] if lost else []
        yield f"Only {right} is right", words, shown


def _pictures(pair: Pair, at: np.ndarray, only_second: bool, pictures: Pictures) -> tuple[Markup, int]:
    """Pictures by class, and how many of those that are at hand could not be shown."""
    if pictures.missing is not None:
        return Markup(""), 0
    wrong = pair.first if only_second else pair.second
    classes: dict[str, list[tuple[np.ndarray, str]]] = {}
    lost = 0
    for row in at.tolist():
        path = pair.first.paths[row]
        data = pictures.read(path)
        try:
            levels = None if data is None else decode(data, path, mode="RGB")
        except DojangError:
            levels = None
        if levels is None:
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


def told_apart(runs: Sequence[str], most: int = 22) -> list[str]:
    """Names of runs as short as what tells them apart lets them be: without the folders that all lie in.

    >>> told_apart(["runs/classify/seeds/seed-0", "runs/classify/seeds/seed-1"])
    ['seed-0', 'seed-1']
    >>> told_apart(["first/one of many long names/train", "second/one of many long names/train"])
    ['first/one...ames/train', 'second/on...ames/train']
    """
    parts = [[plain(part) for part in run.rstrip("/").split("/")] for run in runs]
    while (
        len(set(map(tuple, parts))) > 1 and all(len(one) > 1 for one in parts) and len({one[0] for one in parts}) == 1
    ):
        parts = [one[1:] for one in parts]
    whole = ["/".join(one) if len(set(runs)) > 1 else one[-1] for one in parts]
    ends = [name if len(name) <= most else "..." + name[3 - most :] for name in whole]
    if len(set(ends)) == len(set(whole)):
        return ends
    half = (most - 3) // 2
    return [name if len(name) <= most else name[:half] + "..." + name[half + 3 - most :] for name in whole]
