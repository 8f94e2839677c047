"""Labels by name: rows of (path, label, split) become a manifest, and every split means the same classes.

Scoring pictures whose class the network never saw, or matching the classes of two splits by position, gives numbers
that mean nothing and look fine; so names decide, and a class that train lacks is an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dojang.data.manifest import Manifest, Source, plain, same_name
from dojang.errors import DataError, did_you_mean, listing, many

IN_WORDS = {"train": "training", "val": "validation", "test": "test"}


class Row(NamedTuple):
    """A picture, the name of its class, its split ("" when it has none yet) and its group ("" when it stands alone)."""

    path: str
    label: str
    split: str
    group: str = ""


def by_name(source: Source, rows: Iterable[Row], notes: Iterable[str], *, fix: str) -> Manifest:
    """The manifest of some rows, sorted by path; the classes are those of the training part, sorted by name.

    Args:
        notes: What the manifest's notes begin with.
        fix: What to do about a class that train lacks.

    Raises:
        DataError: D107 when val or test have a class that train lacks.
    """
    rows = sorted(row._replace(label=same_name(row.label)) for row in rows)
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row.split, Counter())[row.label] += 1
    train = counts.get("train") or counts[""]
    classes = tuple(sorted(train))
    for split, found in counts.items():
        unknown = {name: n for name, n in sorted(found.items()) if name not in train}
        if unknown:
            raise unknown_classes(IN_WORDS[split], unknown, classes, fix)
    ids = {name: (i,) for i, name in enumerate(classes)}
    return Manifest(
        source=source,
        classes=classes,
        paths=tuple(row.path for row in rows),
        labels=tuple(ids[row.label] for row in rows),
        splits=tuple(row.split for row in rows),
        groups=tuple(row.group for row in rows),
        notes=(*notes, *_notes(counts, classes)),
    )


def unknown_classes(split: str, unknown: Mapping[str, int], known: Sequence[str], fix: str) -> DataError:
    """The error for pictures of classes that the training part lacks.

    >>> print(unknown_classes("validation", {"lynx": 27}, ["bobcat", "cat"], "rename the folder."))
    DataError[D107]: the validation set has a class the training set lacks: 'lynx' (27 images). Known: bobcat, cat.
      Scoring it would be meaningless.
      Fix: rename the folder.
    """
    what = "a class" if len(unknown) == 1 else many(len(unknown), "class", "classes")
    names = listing((f"{name!r} ({many(n, 'image')})" for name, n in unknown.items()), most=3)
    first = next(iter(unknown))
    by_case = {_bare(name): name for name in known}
    near = f" Did you mean {by_case[_bare(first)]!r}?" if _bare(first) in by_case else did_you_mean(first, known)
    return DataError(
        "D107",
        f"the {split} set has {what} the training set lacks: {names}. Known: {listing(map(plain, known))}.",
        context=f"{near} Scoring {'it' if len(unknown) == 1 else 'them'} would be meaningless.".strip(),
        fix=fix,
    )


def _bare(name: str) -> str:
    return name.strip().casefold()


def alike(classes: Sequence[str]) -> list[list[str]]:
    """Names of classes that differ in case, or in spaces around them, alone.

    >>> alike(["Cat", "cat", "dog"])
    [['Cat', 'cat']]
    """
    found: dict[str, list[str]] = {}
    for name in classes:
        found.setdefault(_bare(name), []).append(name)
    return [names for names in found.values() if len(names) > 1]


def _notes(counts: Mapping[str, Counter[str]], classes: Sequence[str]) -> list[str]:
    """Names that are easily mistaken for each other, and classes that a split lacks."""
    notes = [f"these are different classes: {', '.join(map(repr, names))}" for names in alike(classes)]
    for split in ("val", "test"):
        missing = [name for name in classes if split in counts and name not in counts[split]]
        if missing:
            notes.append(missing_note(split, missing))
    return notes


def missing_note(split: str, missing: Sequence[str]) -> str:
    """What to say of classes that a split has no pictures of: they are scored on nothing."""
    return f"{split} has no images of {many(len(missing), 'class', 'classes')}: {listing(map(plain, missing), most=5)}"
