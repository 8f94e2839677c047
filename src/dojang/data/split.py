"""Which pictures train, which choose, and which judge: the splits that the data does not bring itself.

Each class is divided in proportion, so a split looks like the whole; rows of one group stay together.  The order in
which rows are taken comes from the counter hash, class by class and from the sorted paths, so it is the same on any
machine, and pictures added to one class move nothing in another but through the totals.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from dojang import seeds
from dojang.data import division, leaks
from dojang.data.labels import missing_note
from dojang.data.manifest import SPLITS, Manifest, pasted
from dojang.errors import ConfigError, DataError, listing, many

_FLAT_SHARE = 0.1
_VAL_SHARE, _VAL_LEAST = 0.05, 500


def assign(manifest: Manifest, *, val: float | str | None = None, test: float | None = None, seed: int = 0) -> Manifest:
    """The manifest with every row in a split.

    Splits that the data brings are left alone. Data without any is divided 80/10/10. Data with a train part but no val
    gives up 5 % of train for it, at least 500 rows and at most half. Every class keeps a row to train on. Rows of one
    group stay together, and so do rows of one digest.

    Args:
        val: A share below 1, a count, or "none" for no validation; None for the rules above.
        test: A share below 1 or a count, for data without a test part; 0 for none.
        seed: Another one gives another division.

    Raises:
        ConfigError: C202 for a share or count that is none, C211 when the data brings that split itself, C212 when
            more is asked for than the classes can spare.
        DataError: D109 when there is one class only, D113 when a class with a single row would have to be in two
            splits.

    Example:
        >>> from dojang.data.pairs import from_pairs
        >>> pictures = from_pairs((np.zeros((1, 1), np.uint8), "ab"[i % 2]) for i in range(20))
        >>> describe(assign(pictures, seed=0))
        'train 16, val 2, test 2; 2 classes'
    """
    present = set(manifest.splits)
    for name, given in (("val", val), ("test", test)):
        if given is not None and name in present:
            raise ConfigError(
                "C211",
                f"{name}={given} cannot take {name} pictures out of data that brings its own "
                f"({many(len(manifest.rows(name)), 'image')}).",
                fix=f"leave --{name} out, or divide all anew: dojang split {pasted(manifest.source.name)} --resplit",
            )
    flat = "" in present
    pool = manifest.rows("" if flat else "train")
    kinds = np.unique(manifest.targets[pool])
    if len(kinds) == 1:
        raise _one_class(manifest.source.name, manifest.classes[kinds[0]], len(pool))
    wishes = [_wish("test", test, len(pool)), _wish("val", val, len(pool))]
    if flat:
        wishes = [wish or _Wish(name, _FLAT_SHARE) for wish, name in zip(wishes, ("test", "val"), strict=True)]
    elif "val" not in present and val is None and len(pool):
        count = min(max(_VAL_LEAST, round(_VAL_SHARE * len(pool))), len(pool) // 2)
        wishes[1] = _Wish("val", count, given=False)
    asked = [wish for wish in wishes if wish and wish.amount]
    targets = manifest.targets[pool]
    sizes = np.bincount(targets, minlength=len(manifest.classes))
    if flat and asked:
        _check_singles(manifest, pool, targets, sizes)
    counts = _counts(asked, sizes, each=flat)
    if asked and (copies := leaks.copies(manifest, pool.tolist())):
        # one of them would be learned, the other asked
        manifest = division.together(manifest, copies)
    if any(manifest.groups[row] for row in pool):
        taken = _whole_groups(manifest, pool, targets, counts, seed)
    else:
        taken = _by_class(manifest, pool, targets, counts, seed)
    if not flat and not taken:
        return manifest
    splits = ["train" if split == "" else split for split in manifest.splits]
    for name, rows in taken.items():
        for row in rows:
            splits[row] = name
    done = manifest.replace(splits=tuple(splits))
    return done.replace(notes=(*manifest.notes, *_notes(done, list(taken), len(pool), seed, flat)))


def describe(manifest: Manifest) -> str:
    """The splits in one line: ``train 1,437, val 180, test 180; 10 classes``."""
    numbers = Counter(manifest.splits)
    parts = [f"{split} {numbers[split]:,}" for split in SPLITS if numbers[split]]
    if numbers[""]:
        parts.append(f"{numbers['']:,} not in a split")
    return f"{', '.join(parts) or 'no images'}; {many(len(manifest.classes), 'class', 'classes')}"


def _one_class(where: str, name: str, number: int) -> DataError:
    """The error for data that has nothing to tell apart."""
    return DataError(
        "D109",
        f"{where!r} has one class only: {name!r} ({many(number, 'image')}). A classifier needs at least two.",
        fix="add pictures of what it is to be told apart from, in a class of their own.",
    )


@dataclass(frozen=True)
class _Wish:
    """How much of the pool a split is to have: a share below 1 or a count; ``given`` by the user, or by the rules."""

    split: str
    amount: float
    given: bool = False

    def total(self, pool: int) -> int:
        # a share of anything is at least one picture
        return max(1, int(self.amount * pool + 0.5)) if self.amount < 1 else int(self.amount)


def _wish(split: str, value: float | str | None, pool: int) -> _Wish | None:
    if value is None:
        return None
    amount = 0.0 if value == "none" and split == "val" else value
    if isinstance(amount, str) or not (0 <= amount < 1 or (amount >= 1 and amount == amount // 1)):
        words = "a share below 1 or a whole number of images" + (", or none" if split == "val" else "")
        raise ConfigError("C202", f"{split} cannot be {value!r}; expected {words}.", fix=f"--{split} 0.1")
    return _Wish(split, float(amount), given=True)


def _check_singles(manifest: Manifest, pool: np.ndarray, targets: np.ndarray, sizes: np.ndarray) -> None:
    single = np.flatnonzero(sizes == 1)
    if len(single):
        names = listing((repr(manifest.classes[label]) for label in single), most=3)
        path = manifest.paths[pool[int(np.flatnonzero(targets == single[0])[0])]]
        raise DataError(
            "D113",
            f"{many(len(single), 'class has', 'classes have')} a single image: {names} (e.g. {path!r}). It cannot both "
            "train and test.",
            context="Data without train/, val/ and test/ is divided by dojang, each class in proportion.",
            fix="add images of the class, remove its folder, or make the splits yourself: train/, val/ and test/.",
        )


def _counts(asked: list[_Wish], sizes: np.ndarray, *, each: bool) -> dict[str, np.ndarray]:
    """Rows of each class for each split asked for; with ``each``, at least one where the class has three."""
    counts: dict[str, np.ndarray] = {}
    spare = np.maximum(sizes - 1, 0)
    floors = {wish.split: ((sizes >= 3) & each).astype(np.int64) for wish in asked}
    for i, wish in enumerate(asked):
        total, low = wish.total(int(sizes.sum())), floors[wish.split]
        if wish.amount < 1:
            total = max(total, int(low.sum()))
        elif total < low.sum():
            # a count is kept to the letter
            low = np.zeros_like(low)
        later = sum((floors[other.split] for other in asked[i + 1 :]), np.zeros_like(spare))
        high = np.maximum(spare - later, 0)
        most = int(high.sum())
        if total > most and wish.given:
            raise ConfigError(
                "C212",
                f"{wish.split}={wish.amount:g} would take {many(total, 'image')} of {int(sizes.sum()):,}; "
                f"at most {most:,} can be spared.",
                context="Every class keeps at least one image to train on.",
                fix=f"--{wish.split} {most}" if most else f"leave --{wish.split} out.",
            )
        counts[wish.split] = in_proportion(sizes, min(total, most), low, high)
        spare = spare - counts[wish.split]
    return counts


def in_proportion(sizes: np.ndarray, total: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """``total`` divided among classes as their sizes are, by largest remainder, within bounds; int64 (classes,).

    Whole numbers throughout: no rounding differs between machines.

    >>> in_proportion(np.array([50, 30, 20]), 5, np.zeros(3, int), np.array([50, 30, 20]))
    array([3, 1, 1])
    """
    everything = max(int(sizes.sum()), 1)
    counts: np.ndarray = np.clip(total * sizes // everything, low, high)
    while short := total - int(counts.sum()):
        step = 1 if short > 0 else -1
        owed = step * (total * sizes - counts * everything)
        can = counts < high if step > 0 else counts > low
        if not can.any():
            break
        counts[np.argmax(np.where(can, owed, owed.min() - 1))] += step
    return counts


def _by_class(
    manifest: Manifest, pool: np.ndarray, targets: np.ndarray, counts: dict[str, np.ndarray], seed: int
) -> dict[str, list[int]]:
    taken: dict[str, list[int]] = {split: [] for split in counts}
    members: dict[int, list[int]] = defaultdict(list)
    for row, label in zip(pool.tolist(), targets.tolist(), strict=True):
        members[label].append(row)
    for label, rows in members.items():
        rows.sort(key=manifest.paths.__getitem__)
        order = seeds.permutation(seeds.key(seed, "split", _word(manifest.classes[label])), len(rows))
        start = 0
        for split, wanted in counts.items():
            taken[split] += [rows[i] for i in order[start : start + wanted[label]]]
            start += int(wanted[label])
    return taken


def _whole_groups(
    manifest: Manifest, pool: np.ndarray, targets: np.ndarray, counts: dict[str, np.ndarray], seed: int
) -> dict[str, list[int]]:
    """Groups in a random order, each taken if it brings a split nearer to its counts; rows that stand alone fill up."""
    units: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i in sorted(range(len(pool)), key=lambda i: manifest.paths[pool[i]]):
        group, path = manifest.groups[pool[i]], manifest.paths[pool[i]]
        units[group, "" if group else path].append(i)
    names = sorted(units)
    order = seeds.permutation(seeds.key(seed, "split", "groups"), len(names))
    waiting = [units[names[i]] for i in order]
    # False sorts first: groups are placed while there is room for them
    waiting.sort(key=lambda unit: not manifest.groups[pool[unit[0]]])
    inside = [Counter(targets[unit].tolist()) for unit in waiting]
    left = Counter(targets.tolist())
    taken: dict[str, list[int]] = {split: [] for split in counts}
    used: set[int] = set()

    def take(unit: int, split: str) -> None:
        used.add(unit)
        left.subtract(inside[unit])
        taken[split] += pool[waiting[unit]].tolist()

    def spared(unit: int) -> bool:
        return unit not in used and all(left[label] > n for label, n in inside[unit].items())

    for split, wanted in counts.items():
        need, room = wanted.tolist(), int(wanted.sum())
        for unit, held in enumerate(inside):
            size = len(waiting[unit])
            nearer = sum(n * n - 2 * need[label] * n for label, n in held.items()) < 0
            if size <= room and nearer and spared(unit):
                take(unit, split)
                room -= size
                for label, n in held.items():
                    need[label] -= n
        for label in np.flatnonzero(wanted):
            # a class that came away with nothing gets its smallest group, though that is more than its part
            if need[label] == wanted[label]:
                having = [unit for unit, held in enumerate(inside) if label in held and spared(unit)]
                if having:
                    best = min(having, key=lambda unit: len(waiting[unit]))
                    take(best, split)
                    for other, n in inside[best].items():
                        need[other] -= n
    return taken


def _notes(done: Manifest, made: list[str], pool: int, seed: int, flat: bool) -> list[str]:
    counts = done.counts()
    sums = {split: sum(counts.get(split, {}).values()) for split in ("train", *reversed(made))}
    how = f"each class in proportion{', whole groups' if any(done.groups) else ''}, seed {seed}"
    if flat:
        notes = [f"divided {pool:,} images: {', '.join(f'{split} {n:,}' for split, n in sums.items())} ({how})"]
    else:
        notes = [f"held out {sums[split]:,} of {pool:,} training images for {split} ({how})" for split in made]
    for split in made:
        missing = [name for name, n in counts.get(split, {}).items() if not n]
        if missing:
            notes.append(missing_note(split, missing))
    return notes


def _word(name: str) -> str:
    """A class name that can be hashed; only names that are no Unicode text change."""
    return name.encode("utf-8", "backslashreplace").decode()
