"""Divisions that are written down: a splits.csv read back onto its pictures, groups by name, and k folds."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dojang import files, seeds
from dojang.data import leaks
from dojang.data.manifest import SPLITS, Manifest, pasted, plain, read_splits
from dojang.errors import ConfigError, DataError, listing, many


def given(manifest: Manifest, path: str | Path) -> Manifest:
    """The manifest with the splits and groups of a splits.csv; what the data says itself is set aside.

    Args:
        path: Of a file that ``dojang split`` or a run has written, for these pictures.

    Raises:
        ConfigError: C202 where there is no such file.
        DataError: D111 for a file that cannot be understood, D140 where it is of other pictures or other labels.
    """
    try:
        text = files.read_text(path)
    except OSError as error:
        raise ConfigError("C202", f"cannot read {str(path)!r}: {error.strerror}.", fix="--splits FILE.csv") from error
    rows = {row.path: row for row in read_splits(text, str(path))}
    missing = [name for name in manifest.paths if name not in rows]
    known = set(manifest.paths)
    gone = [name for name in rows if name not in known]
    other = [
        name
        for name, (label,) in zip(manifest.paths, manifest.labels, strict=True)
        if name in rows and rows[name].label != manifest.classes[label]
    ]
    for names, words in (
        (missing, "of the data {is_} not in it"),
        (gone, "in it {is_} not in the data"),
        (other, "{has} another label there"),
    ):
        if names:
            one = len(names) == 1
            said = words.format(is_="is" if one else "are", has="has" if one else "have")
            raise DataError(
                "D140",
                f"{plain(str(path))} is not of these pictures: {many(len(names), 'picture')} {said}, e.g. "
                f"{plain(names[0])}.",
                context=f"It names {many(len(rows), 'picture')}, the data has {len(manifest):,}.",
                fix=f"dojang split {pasted(manifest.source.name)} --out new.csv",
            )
    picked = [rows[name] for name in manifest.paths]
    if not any(row.split == "train" for row in picked):
        raise DataError("D140", f"{plain(str(path))} has no pictures in train.", fix="put some into train.")
    # a row that is in no split of the file is in none of the run
    inside = np.array([i for i, row in enumerate(picked) if row.split], np.int64)
    done = manifest.replace(splits=tuple(row.split for row in picked), groups=tuple(row.group for row in picked))
    done = done.keep(inside) if len(inside) < len(done) else done
    left = len(picked) - len(inside)
    said = f"; {many(left, 'picture')} in no split left out" if left else ""
    return done.replace(notes=(*done.notes, f"splits as in {plain(str(path))}{said}"))


def again(manifest: Manifest, path: Path) -> Manifest:
    """The manifest as the splits.csv of a run says; what is not in the file is no part of the run.

    Raises:
        ConfigError: C218 where the data has none of its pictures.
    """
    rows = {row.path: row for row in read_splits(files.read_text(path), str(path))}
    inside = np.array([i for i, name in enumerate(manifest.paths) if name in rows], np.int64)
    if not len(inside):
        raise ConfigError(
            "C218",
            f"the data has changed: it has none of the {many(len(rows), 'picture')} that {plain(str(path))} lists.",
            fix="bring the data back, or train a new run.",
        )
    kept = manifest.keep(inside)
    picked = [rows[name] for name in kept.paths]
    return kept.replace(splits=tuple(row.split for row in picked), groups=tuple(row.group for row in picked))


def anew(manifest: Manifest) -> Manifest:
    """The manifest with the division that the data brings set aside: all rows may go anywhere."""
    brought = [split for split in SPLITS if split in manifest.splits]
    if not brought:
        return manifest
    numbers = ", ".join(f"{split} {len(manifest.rows(split)):,}" for split in brought)
    note = f"set aside the division that the data brings: {numbers}"
    return manifest.replace(splits=("",) * len(manifest), notes=(*manifest.notes, note))


def ratio(text: str) -> tuple[float, float]:
    """The shares for val and test in "70/15/15": train, val and test, in parts of any sum.

    Raises:
        ConfigError: C202 for anything but three numbers with something for train.

    >>> ratio("70/15/15"), ratio("3/0/1")
    ((0.15, 0.15), (0.0, 0.25))
    """
    words = re.split(r"[/:]", text.replace(" ", ""))
    try:
        parts = [float(word) for word in words]
    except ValueError:
        parts = []
    if len(parts) != 3 or not all(0 <= part < math.inf for part in parts) or parts[0] <= 0:
        both = f"{words[0]}/0/{words[1]}" if len(parts) == 2 else "70/15/15"
        raise ConfigError(
            "C202",
            f"--ratio {text!r} is no ratio of train, val and test; expected three numbers.",
            fix=f"--ratio {both}" + (" without val, or with the 0 last without test." if len(parts) == 2 else ""),
        )
    return parts[1] / sum(parts), parts[2] / sum(parts)


def grouped(manifest: Manifest, pattern: str) -> Manifest:
    r"""Groups by what a pattern finds in the path of each picture; those of the data itself are kept beside them.

    Args:
        pattern: A regular expression; its first group in brackets, or all of it, names the group.

    Raises:
        ConfigError: C202 for a pattern that cannot be read or that finds nothing at all.
    """
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise ConfigError(
            "C202", f"--group-by {pattern!r} cannot be read: {error}.", fix=r"--group-by '(patient\d+)'"
        ) from None
    found = [search(path) for path in manifest.paths]
    names = ["" if one is None else (one.group(1) if one.re.groups else one.group(0)) or "" for one in found]
    if not any(names):
        raise ConfigError(
            "C202", f"--group-by {pattern!r} finds nothing in the paths, e.g. {plain(manifest.paths[0])}.",
            fix=r"--group-by '(patient\d+)'",
        )  # fmt: skip
    alone = names.count("")
    note = f"{many(len(set(names) - {''}), 'group')} by {pattern!r}" + (
        f"; {many(alone, 'picture')} in none" if alone else ""
    )
    return together(manifest, _same(names)).replace(notes=(*manifest.notes, note))


def together(manifest: Manifest, pairs: Iterable[tuple[int, int]]) -> Manifest:
    """Groups so wide that each pair of rows is in one; groups that a pair joins become one.

    >>> from dojang.data.pairs import from_pairs
    >>> pictures = from_pairs((np.zeros((1, 1), np.uint8), "ab"[i % 2]) for i in range(4))
    >>> together(pictures, [(0, 2)]).groups
    ('0', '', '0', '')
    """
    above = list(range(len(manifest)))

    def top(row: int) -> int:
        while above[row] != row:
            above[row] = above[above[row]]
            row = above[row]
        return row

    for one, other in (*_same(manifest.groups), *pairs):
        low, high = sorted((top(one), top(other)))
        above[high] = low
    tops = [top(row) for row in range(len(manifest))]
    sizes = Counter(tops)
    # a group keeps the name that the data gave it
    named: dict[int, str] = {}
    for row, group in enumerate(manifest.groups):
        if group:
            named.setdefault(tops[row], group)
    taken = set(named.values())
    groups = []
    for row, top_row in enumerate(tops):
        if sizes[top_row] == 1:
            groups.append(manifest.groups[row])
        elif top_row in named:
            groups.append(named[top_row])
        else:
            word = str(top_row)
            groups.append(f"={word}" if word in taken else word)
    return manifest.replace(groups=tuple(groups))


def _same(names: Iterable[str]) -> list[tuple[int, int]]:
    """Pairs of rows with one name; an empty one is no name."""
    first: dict[str, int] = {}
    return [(first[name], row) for row, name in enumerate(names) if name and first.setdefault(name, row) != row]


def folds(manifest: Manifest, count: int, seed: int = 0) -> list[Manifest]:
    """As many manifests: in each another part of the training rows is "val", and each row is there once.

    Groups stay whole, rows of one digest stay together, and each class is divided as evenly as they allow.

    Args:
        manifest: Rows that are in "test" stay there; all others take part.
        count: From 2 on.

    Raises:
        ConfigError: C212 where a class has fewer rows, or groups, than there are folds.
    """
    pool = np.flatnonzero([split != "test" for split in manifest.splits])
    if copies := leaks.copies(manifest, pool.tolist()):
        manifest = together(manifest, copies)
    targets = manifest.targets
    units: dict[str, list[int]] = defaultdict(list)
    for row in sorted(pool.tolist(), key=manifest.paths.__getitem__):
        group = manifest.groups[row]
        units[f"g{group}" if group else f"p{manifest.paths[row]}"].append(row)
    names = sorted(units)
    order = seeds.permutation(seeds.key(seed, "folds"), len(names))
    waiting = sorted((units[names[i]] for i in order), key=len, reverse=True)
    inside = [Counter(targets[unit].tolist()) for unit in waiting]
    having = Counter(label for held in inside for label in held)
    poor = [manifest.classes[label] for label, n in having.items() if n < count]
    if count < 2 or poor:
        least = min(having.values(), default=0)
        raise ConfigError(
            "C212",
            f"{count} folds cannot each have {listing(map(repr, sorted(poor)), most=3) or 'pictures'}: too few of it.",
            context="Pictures of one group count as one.",
            fix=f"--folds {least}" if least > 1 else "add pictures of these classes.",
        )
    held = np.zeros((count, len(manifest.classes)))
    wanted = np.bincount(targets[pool], minlength=len(manifest.classes)) / count
    fold_of: dict[int, int] = {}
    for unit, counts in zip(waiting, inside, strict=True):
        # where it brings the classes nearest to their share; of equals the emptiest
        change = np.zeros(len(wanted))
        for label, n in counts.items():
            change[label] = n
        weights = 1 / np.maximum(wanted, 1)
        cost = (((held + change - wanted) ** 2 - (held - wanted) ** 2) * weights).sum(axis=1)
        best = min(range(count), key=lambda k: (round(float(cost[k]), 9), float(held[k].sum()), k))
        held[best] += change
        fold_of.update(dict.fromkeys(unit, best))
    made = []
    for fold in range(count):
        splits = tuple(
            "test" if split == "test" else "val" if fold_of[row] == fold else "train"
            for row, split in enumerate(manifest.splits)
        )
        made.append(manifest.replace(splits=splits))
    return made
