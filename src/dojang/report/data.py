"""What a page says of the data: counts, what is remarkable about them, and some training pictures of each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dojang import seeds
from dojang.data.manifest import SPLITS, SplitRow, plain, readable
from dojang.report.story import Story
from dojang.report.text import Words

#: classes whose counts are not folded away
_OPEN = 20
#: pictures of a class, and of all
_EACH, _ALL = 6, 96
#: under so many pictures a class's own score is hardly known; and so many times as many is worth a sentence
_FEW, _TIMES = 30, 3


@dataclass(frozen=True)
class Samples:
    """Names of training pictures by class, and how many classes have no place."""

    rows: dict[str, list[str]]
    left: int


def samples(rows: Sequence[SplitRow], seed: int) -> Samples:
    """Some training pictures of each class, the same ones every time."""
    inside: dict[str, list[str]] = {}
    for row in rows:
        if row.split == "train":
            inside.setdefault(row.label, []).append(row.path)
    names = sorted(inside)
    each = max(1, min(_EACH, _ALL // max(1, len(names))))
    shown = names[: _ALL // each]
    found = {}
    for name in shown:
        word = name.encode("utf-8", "backslashreplace").decode()
        order = seeds.permutation(seeds.key(seed, "report", word), len(inside[name]))
        found[name] = [inside[name][i] for i in sorted(order[:each].tolist())]
    return Samples(found, len(names) - len(shown))


def shown(story: Story, rows: Sequence[SplitRow], chosen: Samples, found: dict[str, str], t: Words) -> dict[str, Any]:
    """What the template shows of the data."""
    counts = Counter((row.label, row.split) for row in rows)
    labels = list(story.card.labels) if story.card else []
    names = [*labels, *sorted({row.label for row in rows} - set(labels))]
    short = dict(zip(names, map(plain, readable(names)), strict=True))
    splits = [split for split in (*SPLITS, "") if any(row.split == split for row in rows)]
    table = []
    for name in names if rows else ():
        numbers = [counts[name, split] for split in splits]
        table.append((short[name], [f"{n:,}" for n in (*numbers, sum(numbers))]))
    totals = [sum(counts[name, split] for name in names) for split in splits]
    pictures = [
        (
            short.get(name, plain(name)),
            [{"address": found[path], "small": found[path].startswith("data:image/png")} for path in there],
        )
        for name, paths in chosen.rows.items()
        if (there := [path for path in paths if path in found])
    ]
    place = story.facts["data"]
    return {
        "place": plain(str(place)) if place is not None else "",
        "splits": [t.split(split) for split in splits],
        "counts": table,
        "totals": [f"{n:,}" for n in (*totals, sum(totals))],
        "folded": len(table) > _OPEN,
        "notes": _notes(story, rows, counts, short, t),
        "samples": pictures,
        "each": max((len(there) for _, there in pictures), default=1),
        "left": chosen.left,
    }


def _notes(
    story: Story, rows: Sequence[SplitRow], counts: Counter[tuple[str, str]], names: dict[str, str], t: Words
) -> list[str]:
    said = []
    options = story.recipe.data
    if options.splits is not None and not story.parts:
        said.append(t("divided_by", path=options.splits))
    groups = len({row.group for row in rows if row.group})
    if groups:
        said.append(t("grouped", n=groups))
    learned = {name: counts[name, "train"] for name in names if counts[name, "train"]}
    if learned:
        most, least = max(learned, key=lambda name: learned[name]), min(learned, key=lambda name: learned[name])
        if learned[most] >= _TIMES * learned[least]:
            said.append(
                t("imbalance", most=names[most], least=names[least], times=f"{learned[most] / learned[least]:.1f}")
            )
    judging = next((split for split in ("test", "val") if any(row.split == split for row in rows)), None)
    if judging:
        few = sum(1 for name in names if counts[name, judging] < _FEW)
        if few:
            said.append(t("few", split=t.split(judging), n=few, classes=len(names)))
    if story.bad:
        said.append(t("left_out", n=story.bad))
    if options.allow_leak:
        said.append(t("leak_allowed"))
    return said
