"""Where pictures lie: the part above their class folder, the class folder, and the rest; and the rules that rename.

A place is what a plan changes: another class is another folder, another name is another last part.
"""

from __future__ import annotations

import os
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dojang.data.arrays import ArraySource
from dojang.data.layout import unfit
from dojang.data.manifest import Manifest, folded, pasted, plain, same_name
from dojang.data.sources import FolderSource
from dojang.errors import ConfigError, DataError, did_you_mean, listing, many

#: rules that have a name of their own
READY = {"wnid": (r"^n\d{8}-", ""), "lower": (r"^.*$", "")}
_FIELDS = ("class", "number", "name", "split")


@dataclass(frozen=True)
class Place:
    """A picture's path in three parts.

    Args:
        above: What stands before the class folder, ending in "/"; "" for none.
        folder: The class folder.
        below: The rest, ``1.jpg`` or ``sub/1.jpg``.
    """

    above: str
    folder: str
    below: str

    @property
    def path(self) -> str:
        return f"{self.above}{self.folder}/{self.below}"


def folder_of(manifest: Manifest) -> Path | None:
    """The folder that the data is, or None for an archive, a table, a name."""
    if not isinstance(manifest.source, FolderSource):
        return None
    path = Path(manifest.source.name).expanduser()
    return path if path.is_dir() else None


def places(manifest: Manifest) -> list[Place]:
    """The place of each picture in a tree of class folders.

    An archive's own top folder is left out; pictures of a table, which may lie anywhere, go into a folder of their
    label, below one of their split.

    Raises:
        DataError: D150 for pictures that are no files.
    """
    if isinstance(manifest.source, ArraySource):
        raise no_files(manifest.source.name)
    # in an archive each has a path behind the archive's name; what is left are rows of tables
    if not isinstance(manifest.source, FolderSource) and not all("!/" in path for path in manifest.paths):
        raise no_files(manifest.source.name, "rows of tables")
    labels = [manifest.classes[label] for (label,) in manifest.labels]
    is_folder = folder_of(manifest) is not None
    is_table = isinstance(manifest.source, FolderSource) and not is_folder
    # what stands before ! is the archive's name
    paths = list(manifest.paths) if is_folder or is_table else [path.partition("!/")[2] for path in manifest.paths]
    depth = None if is_table else _depth([path.split("/") for path in paths], labels)
    if depth is None:
        return [
            Place(f"{split}/" if split else "", _as_folder(label), path.rpartition("/")[2])
            for path, label, split in zip(paths, labels, manifest.splits, strict=True)
        ]
    found = []
    for path, split in zip(paths, manifest.splits, strict=True):
        parts = path.split("/")
        first = 0 if is_folder else depth - bool(split)
        above = "".join(f"{part}/" for part in parts[first:depth])
        found.append(Place(above, parts[depth], "/".join(parts[depth + 1 :])))
    return found


def no_files(name: str, but: str = "arrays") -> DataError:
    """The error for data whose pictures are no files."""
    return DataError(
        "D150",
        f"the pictures of {name!r} are no files but {but}: there is nothing to rename or move.",
        fix=f"dojang data export {pasted(name)} --format folders --out NEW, and clean that.",
    )


def _depth(paths: Sequence[Sequence[str]], labels: Sequence[str]) -> int | None:
    """Which part of all the paths is the class folder."""
    for depth in range(min(map(len, paths), default=1) - 1):
        if all(same_name(parts[depth]) == label for parts, label in zip(paths, labels, strict=True)):
            return depth
    return None


def _as_folder(label: str) -> str:
    """A label of a table as a folder; one that cannot be a folder is an error."""
    problem = unfit(label)
    if problem:
        raise DataError(
            "D152",
            f"the label {label!r} cannot be the name of a folder: {problem}.",
            fix="change it in the table.",
        )
    return label


def renamed(classes: Sequence[str], rules: Sequence[str], *, merge: bool = False) -> dict[str, str]:
    r"""The new name of each class.

    Args:
        rules: Applied one after the other: ``wnid``, ``lower``, or ``PATTERN=>TEMPLATE``, a regular expression whose
            first match is replaced.
        merge: Whether two classes may become one.

    Raises:
        ConfigError: C202 for a rule that is none, that fits no class, or that gives a name which no folder can have.
        DataError: D154 where two classes would become one.

    Example:
        >>> renamed(["n02085620-Chihuahua", "n02088364-beagle"], ["wnid"])
        {'n02085620-Chihuahua': 'Chihuahua', 'n02088364-beagle': 'beagle'}
        >>> renamed(["dog_01", "cat_02"], [r"^(\w+)_(\d+)$=>\2 \1"])
        {'dog_01': '01 dog', 'cat_02': '02 cat'}
    """
    names = {name: name for name in classes}
    for rule in rules:
        changed = {old: _apply(rule, new) for old, new in names.items()}
        if changed == names:
            raise ConfigError(
                "C202",
                f"--rename-classes {rule!r} fits none of the {many(len(names), 'class', 'classes')}: "
                f"{listing(map(plain, names.values()), most=3)}.",
                fix=f"write it as one of {', '.join(READY)}, or PATTERN=>NAME: --rename-classes '^n[0-9]+-=>'",
            )
        names = changed
    for old, new in names.items():
        problem = unfit(new) if new != old else ""
        if problem:
            raise ConfigError(
                "C202", f"--rename-classes would give {old!r} the name {new!r}: {problem}.", fix="change the rule."
            )
    if not merge:
        _check_apart(names)
    return names


def _apply(rule: str, name: str) -> str:
    if rule == "lower":
        return name.lower()
    if rule in READY:
        pattern, template = READY[rule]
    else:
        pattern, arrow, template = rule.partition("=>")
        if not arrow:
            raise ConfigError(
                "C202",
                f"--rename-classes cannot be {rule!r}; expected {', '.join(READY)}, or PATTERN=>NAME."
                f"{did_you_mean(rule, READY)}",
                fix="--rename-classes '^n[0-9]+-=>'",
            )
    try:
        return same_name(re.sub(pattern, template, name, count=1))
    except (re.error, IndexError) as error:
        raise ConfigError(
            "C202",
            f"--rename-classes {rule!r} is no regular expression: {error}.",
            fix="--rename-classes '^n[0-9]+-=>'",
        ) from None


def _check_apart(names: Mapping[str, str]) -> None:
    taken: dict[str, str] = {}
    for old, new in names.items():
        other = taken.setdefault(folded(new), old)
        # two that no rule has touched are the user's own, however alike
        if other != old and not (new == old and names[other] == other):
            raise DataError(
                "D154",
                f"two classes would become one: {plain(other)!r} and {plain(old)!r} would both be {plain(new)!r}.",
                fix="change the rule, or pass --merge-classes if they are one class.",
            )


def check_pattern(pattern: str) -> None:
    """Make sure that names can be made by a pattern. Raises ConfigError C202 otherwise.

    >>> check_pattern("{class}_{number:05}")
    """

    def bad(what: str) -> ConfigError:
        return ConfigError(
            "C202",
            f"--rename-files {pattern!r}: {what}.",
            context=f"Known: {', '.join('{' + name + '}' for name in _FIELDS)}; the extension is added.",
            fix="--rename-files '{class}_{number:05}'",
        )

    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise bad(str(error)) from None
    fields = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    for name, spec, conversion in fields:
        if name not in _FIELDS:
            raise bad(f"there is no {{{name}}}.{did_you_mean(name, _FIELDS)}".removesuffix("."))
        if conversion or (spec and not (name == "number" and re.fullmatch(r"0?\d{1,2}", spec))):
            raise bad(f"{{{name}}} cannot be written like that; only {{number:05}} says how many digits")
    if not any(name in ("number", "name") for name, _, _ in fields):
        raise bad("every picture of a class would get the same name")
    if "/" in pattern or "\\" in pattern:
        raise bad("a name has no folders in it; a class is renamed by --rename-classes")


def numbered(pattern: str, homes: Sequence[Place], splits: Sequence[str]) -> list[str]:
    """The new stem of each picture, numbered from 1 in each folder in the order given.

    >>> numbered("{class}_{number:03}", [Place("", "cat", "b.jpg"), Place("", "cat", "d.jpg")], ["", ""])
    ['cat_001', 'cat_002']
    """
    counts: Counter[str] = Counter()
    found = []
    for home, split in zip(homes, splits, strict=True):
        key = folded(f"{home.above}{home.folder}")
        counts[key] += 1
        values = {"class": home.folder, "number": counts[key], "name": stem(home.below), "split": split or "all"}
        found.append(pattern.format(**values))
    return found


def stem(path: str) -> str:
    """A file's name without its folders and its extension.

    >>> stem("a/b.c.jpg")
    'b.c'
    """
    return os.path.splitext(path.rpartition("/")[2])[0]
