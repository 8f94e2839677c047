"""A plan in a terminal: how many pictures stay, change and go, why, and some examples, 80 columns wide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from dojang.data.layout import ROLES
from dojang.data.manifest import Manifest, pasted, plain
from dojang.doctor.findings import KINDS
from dojang.doctor.places import places
from dojang.doctor.plan import Line, Plan, kinds, why_of
from dojang.doctor.show import folded_lines
from dojang.errors import listing, many

# of each kind
_MOST = 3
_WORDS = {
    "class": "another class folder",
    "relabel": "another label",
    "encode": "encoded anew",
    "extension": "another extension",
    "name": "another name",
    "by hand": "as the plan says",
}


def lines(manifest: Manifest, plan: Plan, most: int = _MOST) -> Iterator[str]:
    """The lines that tell of a plan.

    Args:
        most: Pictures of a kind that are named.
    """
    total = len(plan.lines)
    yield f"{many(total, 'picture')} in {pasted(manifest.source.name)}"
    for note in manifest.notes:
        yield from folded_lines(f"note: {note}")
    changed, same = _changed(manifest, plan)
    yield ""
    yield f"{same:>9,}  stay as they are"
    yield from _part(changed, "change", most)
    yield from _part([line for line in plan.lines if not line.stays], "are taken out", most)
    gone = classes_gone(manifest, plan)
    if gone:
        yield ""
        yield from folded_lines(
            f"warning: no picture would be left of {many(len(gone), 'class', 'classes')}: "
            f"{listing(map(plain, gone), most=5)}"
        )


def as_dict(manifest: Manifest, plan: Plan) -> dict[str, Any]:
    """For JSON."""
    changed, same = _changed(manifest, plan)
    out = [line for line in plan.lines if not line.stays]
    return {
        "format": 1,
        "data": manifest.source.name,
        "pictures": len(plan.lines),
        "same": same,
        "changed": len(changed),
        "taken_out": len(out),
        "why": {"changed": dict(_counted(changed)), "taken_out": dict(_counted(out))},
        "classes_left_empty": classes_gone(manifest, plan),
        "lines": [line._asdict() for line in plan.lines],
        "notes": list(manifest.notes),
    }


def classes_gone(manifest: Manifest, plan: Plan) -> list[str]:
    """Classes of which all pictures are taken out."""
    labels = {path: manifest.classes[label] for path, (label,) in zip(manifest.paths, manifest.labels, strict=True)}
    stay = {labels[line.path] for line in plan.staying}
    gone = set(labels.values()) - stay
    return [name for name in manifest.classes if name in gone]


def _changed(manifest: Manifest, plan: Plan) -> tuple[list[Line], int]:
    """The lines of pictures that stay and are changed, and how many are not."""
    at = {path: home.path for path, home in zip(manifest.paths, places(manifest), strict=True)}
    staying = plan.staying
    changed = [line for line in staying if line.action != "keep" or line.to != at[line.path]]
    return changed, len(staying) - len(changed)


def _counted(some: list[Line]) -> Counter[str]:
    return Counter(kind for line in some for kind in kinds(line))


def _part(some: list[Line], title: str, most: int) -> Iterator[str]:
    if not some:
        return
    yield f"{len(some):>9,}  {title}"
    for kind, count in _counted(some).most_common():
        meaning = KINDS[kind].title if kind in KINDS else _WORDS.get(kind, plain(kind))
        yield f"{count:>13,}  {meaning}"
        mine = [line for line in some if kind in kinds(line)]
        # of classes each once says more than three pictures of one
        told = list(dict.fromkeys(_renaming(line) if kind == "class" else _example(line, kind) for line in mine))
        for words in told[:most]:
            yield from folded_lines(words, " " * 19, " " * 17)
        if len(told) > most:
            yield f"{'':17}and {len(told) - most:,} more"


def _renaming(line: Line) -> str:
    old = next(part for part in why_of(line) if part.startswith("class")).removeprefix("class: from ")
    return f"{plain(old)} -> {plain(_class_of(line))}"


def _class_of(line: Line) -> str:
    parts = line.to.split("/")
    return parts[1] if parts[0].lower() in ROLES and len(parts) > 2 else parts[0]


def _example(line: Line, kind: str) -> str:
    if line.stays:
        return f"{plain(line.path)} -> {plain(line.to)}"
    why = next((part for part in why_of(line) if part.startswith(f"{kind}: ")), "")
    return ": ".join(part for part in (plain(line.path), plain(why.removeprefix(f"{kind}: "))) if part)
