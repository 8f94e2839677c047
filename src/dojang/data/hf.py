"""Data sets of the library ``datasets`` (Hugging Face): by name, as a folder on the disk, or as an object.

The library finds the tables and their columns; the bytes of each picture go through dojang's own decoder, like all
others. Nothing is fetched unless the caller says so, and a data set's own code never runs: from version 4 on the
library has no way to run any.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dojang.data.columns import Columns, columns_of
from dojang.data.labels import IN_WORDS, missing_note, unknown_classes
from dojang.data.layout import ROLES
from dojang.data.manifest import Manifest, plain
from dojang.data.sources import FolderSource, unreadable
from dojang.errors import ConfigError, DataError, listing, many

PREFIX = "hf:"
_FORM = "hf:NAME, hf:NAME@CONFIG, hf:NAME#image=COLUMN,label=COLUMN"
_SAVED = (("dataset_dict.json",), ("state.json", "dataset_info.json"))


class Address(NamedTuple):
    """What ``hf:NAME@CONFIG#image=...,label=...`` says; "" for what it leaves open."""

    name: str
    config: str = ""
    image: str = ""
    label: str = ""


def address(where: str) -> Address:
    """The parts of an address.

    Raises:
        ConfigError: C202 for one that is none.

    >>> address("hf:cifar100#image=img,label=fine_label")
    Address(name='cifar100', config='', image='img', label='fine_label')
    """
    match = re.fullmatch(r"([^@#]+)(?:@([^#]+))?(?:#(.*))?", where.removeprefix(PREFIX))
    wishes = [part.partition("=") for part in match[3].split(",")] if match and match[3] else []
    if match is None or any(key not in ("image", "label") or not value for key, _, value in wishes):
        raise ConfigError("C202", f"{where!r} is no address of a data set; expected {_FORM}.", fix="hf:beans")
    return Address(match[1], match[2] or "", **{key: value for key, _, value in wishes})


def settled(where: str) -> str:
    """The address with a folder's path from the root: it means the same wherever the program is started.

    >>> settled("hf:beans@small"), settled("hf:/#label=x")
    ('hf:beans@small', 'hf:/#label=x')
    """
    name = address(where).name
    path = Path(name).expanduser()
    return where.replace(name, str(path.absolute()), 1) if path.exists() else where


def is_saved(folder: Path) -> bool:
    """Whether a folder was made by ``save_to_disk``."""
    return any(all(os.path.isfile(folder / name) for name in names) for names in _SAVED)


def find_hf(where: str, download: bool = False) -> Manifest:
    """The pictures of a data set by its address, or of a folder that ``save_to_disk`` made.

    Args:
        where: ``hf:NAME``, with what :func:`address` reads; NAME may be a folder. Or such a folder itself.
        download: Whether it may be fetched; else it is looked for in the library's own cache.

    Raises:
        ConfigError: C250 where the library is not installed; C202.
        DataError: D118 for a set that is not on this machine, D119 for one that cannot be fetched, D112 for a folder
            that cannot be read; those of :func:`from_object`.
    """
    told = address(where) if where.startswith(PREFIX) else Address(where)
    library = _library(where)
    path = Path(told.name).expanduser()
    with _quiet(offline=not download):
        try:
            if path.is_dir() and is_saved(path):
                data = library.load_from_disk(str(path))
            else:
                data = library.load_dataset(str(path) if path.exists() else told.name, told.config or None)
        # anything: it parses what others wrote, in six formats
        except Exception as error:
            raise _not_there(where, told, error, path.exists(), download) from error
    return from_object(data, name=where, wished=told)


def from_object(data: Any, *, name: str = "hf", wished: Address | None = None) -> Manifest:
    """The manifest of a ``Dataset``, a ``DatasetDict``, or a dict of data sets by split.

    Splits called train, validation and test are taken for what they are. A single data set is in no split yet, whatever
    it is called: the library names all that is not divided "train".

    Args:
        name: What the user gave, for messages.
        wished: The columns to take, where several could be meant.

    Raises:
        DataError: D171 where it cannot be told which columns hold pictures and labels, D124 without a train part,
            D114 for a row without a label, D107 for a class that the training part lacks.
    """
    notes: list[str] = []
    parts = _parts(data, name, notes)
    if any(hasattr(rows, "__iter__") and not hasattr(rows, "__len__") for rows in parts.values()):
        return _streamed(parts, name, wished, notes)
    columns = {split: columns_of(rows.features, name, wished or Address("")) for split, rows in parts.items()}
    found = {split: _labels(rows, columns[split], split, name, notes) for split, rows in parts.items()}
    found = {split: labels for split, labels in found.items() if labels is not None}
    first = next(iter(parts))
    classes = columns[first].classes or tuple(map(str, sorted(set(found[first] or []))))
    place = {label: i for i, label in enumerate(classes)}
    for split, labels in found.items():
        names = Counter(str(label) for label in labels or [])
        unknown = {label: count for label, count in names.items() if label not in place}
        if unknown:
            raise unknown_classes(IN_WORDS[split], unknown, classes, f"data.filter(...), for {split}.")
        missing = [label for label in classes if label not in names]
        if split in ("val", "test") and missing:
            notes.append(missing_note(split, missing))
    used = columns[first]
    notes.append(f"pictures are its column {used.image!r}, labels {used.label!r}")
    sizes = [(split, len(labels or [])) for split, labels in found.items()]
    return Manifest(
        source=HFSource(name, {split or "rows": (parts[split], columns[split].image) for split in found}),
        classes=classes,
        paths=tuple(f"{split or 'rows'}#{row}" for split, size in sizes for row in range(size)),
        labels=tuple((place[str(label)],) for labels in found.values() for label in labels or []),
        splits=tuple(split for split, size in sizes for _ in range(size)),
        groups=("",) * sum(size for _, size in sizes),
        notes=tuple(dict.fromkeys(notes)),
    )


class HFSource:
    """Pictures in the library's tables; row 17 of the training part has the path ``train#17``."""

    def __init__(self, name: str, tables: Mapping[str, tuple[Any, str]]) -> None:
        self.name = name
        self._tables = {split: (_undecoded(rows, column), column) for split, (rows, column) in tables.items()}

    def read(self, path: str) -> bytes:
        """The bytes of a picture file. Raises DataError D112 where there are none."""
        split, _, index = path.rpartition("#")
        rows, column = self._tables.get(split, ((), ""))
        # 18 digits fit an int64; a longer index is no row of anything
        if not (index.isdecimal() and len(index) <= 18) or int(index) >= len(rows):
            held = listing(f"{split}#0 to #{len(rows) - 1}" for split, (rows, _) in self._tables.items())
            raise DataError("D112", f"cannot read {plain(path)} in {self.name!r}: the rows are {held}.")
        try:
            row = rows[int(index)][column]
        except Exception as error:
            raise unreadable(path, f"the library says {error}", inside=self.name) from error
        return bytes_of(row, path, self.name)


def bytes_of(row: Mapping[str, Any] | None, path: str, name: str) -> bytes:
    """The bytes of an undecoded image: its own, or those of the file on this machine that it names."""
    if not row or (row.get("bytes") is None and not row.get("path")):
        raise unreadable(path, "the row holds no picture", inside=name)
    if row.get("bytes") is not None:
        return bytes(row["bytes"])
    place = str(row["path"])
    if "://" in place:
        raise unreadable(path, f"its picture is not on this machine but at {place}", inside=name)
    return FolderSource(Path(), name).read(place)


def _library(where: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(
            "C250",
            f"{where!r} is read by the library datasets, which is not installed.",
            fix="pip install 'dojang[hf]'",
        ) from error
    return datasets


@contextlib.contextmanager
def _quiet(*, offline: bool) -> Iterator[None]:
    """The library without bars and remarks, and without counting what is loaded; offline, it refuses every request."""
    import datasets
    from datasets.utils import are_progress_bars_disabled
    from huggingface_hub import constants

    switches = [(datasets.config, "HF_UPDATE_DOWNLOAD_COUNTS", False), (constants, "HF_HUB_DISABLE_TELEMETRY", True)]
    if offline:
        switches += [(datasets.config, name, True) for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")]
        switches.append((constants, "HF_HUB_OFFLINE", True))
    before = [getattr(place, switch) for place, switch, _ in switches]
    level, bars = datasets.logging.get_verbosity(), not are_progress_bars_disabled()
    datasets.logging.set_verbosity_error()
    try:
        for place, switch, value in switches:
            setattr(place, switch, value)
        if offline:
            datasets.disable_progress_bars()
        yield
    finally:
        for (place, switch, _), value in zip(switches, before, strict=True):
            setattr(place, switch, value)
        datasets.logging.set_verbosity(level)
        if bars:
            datasets.enable_progress_bars()


def _not_there(where: str, told: Address, error: Exception, local: bool, download: bool) -> DataError:
    reason = plain(" ".join(str(error).split()))[:300] or type(error).__name__
    if local:
        return unreadable(where, f"the library datasets says: {reason}", inside="")
    if download:
        return DataError(
            "D119",
            f"{where!r} could not be fetched: {type(error).__name__}.",
            context=f"It said: {reason}",
            fix=f"check the name, and its configuration ({PREFIX}NAME@CONFIG), at https://huggingface.co/datasets",
        )
    named = f"{PREFIX}{told.name}@CONFIG, if it is there under another configuration"
    return DataError(
        "D118",
        f"{where!r} is not on this machine, and nothing is downloaded unasked.",
        context=f"Looked in the cache of the library datasets: {reason}",
        fix=f"--download; or give the folder of its save_to_disk; or {named}.",
    )


def _parts(data: Any, name: str, notes: list[str]) -> dict[str, Any]:
    """The rows by dojang's name of each split, train first."""
    if not isinstance(data, Mapping):
        return {"": data}
    if len(data) == 1:
        ((split, rows),) = data.items()
        notes.append(f"its only part, {plain(str(split))}, is taken for all of it")
        return {"": rows}
    parts: dict[str, Any] = {}
    beside: list[str] = []
    for split, rows in data.items():
        role = ROLES.get(str(split).lower())
        if role is None or role in parts:
            beside.append(plain(str(split)))
        else:
            parts[role] = rows
    if "train" not in parts:
        raise DataError(
            "D124",
            f"{name!r} has the splits {listing(map(plain, map(str, data)))} but no train.",
            fix=f'in Python: dojang.from_pairs({{"train": data[{next(iter(data))!r}]}})',
        )
    if beside:
        notes.append(f"left out its other parts: {', '.join(beside)}")
    return {split: parts[split] for split in ("train", "val", "test") if split in parts}


def _undecoded(rows: Any, column: str) -> Any:
    """The rows with the one column, as bytes and not as pictures."""
    from datasets import Image

    return rows.with_format(None).select_columns([column]).cast_column(column, Image(decode=False))


def _labels(rows: Any, columns: Columns, split: str, name: str, notes: list[str]) -> list[Any] | None:
    """Names or numbers; None for a part that is published without labels."""
    given = rows.with_format(None).select_columns([columns.label])[:][columns.label]
    bare = [label is None or (bool(columns.classes) and label == -1) for label in given]
    if bare and all(bare) and split in ("val", "test"):
        notes.append(f"left out {split}: its {many(len(bare), 'row')} have no labels")
        return None
    if any(bare) or not given:
        if not given:
            raise DataError("D101", f"{split or name} of {name!r} holds no images: it has no rows.")
        raise DataError(
            "D114",
            f"item {bare.index(True):,} of {split or name} has no label ({many(sum(bare), 'row')} of {len(bare):,}).",
            fix=f"data = data.filter(lambda row: row[{columns.label!r}] not in (None, -1))",
        )
    return [columns.classes[label] for label in given] if columns.classes else given


def _streamed(parts: dict[str, Any], name: str, wished: Address | None, notes: list[str]) -> Manifest:
    """Rows that come once: they are kept as they come."""
    from dojang.data.pairs import from_pairs

    streams = {split: _Stream(rows, split, name, wished) for split, rows in parts.items()}
    made = from_pairs(streams if "train" in streams else streams[""])
    return made.replace(notes=(*notes, *made.notes))


class _Stream:
    """(bytes, label) of rows that can only be read from the front."""

    def __init__(self, rows: Any, split: str, name: str, wished: Address | None) -> None:
        if rows.features is None:
            raise DataError(
                "D171",
                f"{split or name} is a stream whose columns are not known.",
                fix="dojang.from_pairs((row['image'], row['label']) for row in stream)",
            )
        self._columns = columns_of(rows.features, name, wished or Address(""))
        self._rows, self._name = rows, name
        self.classes = self._columns.classes

    def __iter__(self) -> Iterator[tuple[bytes, Any]]:
        columns = self._columns
        from datasets import Image

        for index, row in enumerate(self._rows.cast_column(columns.image, Image(decode=False))):
            yield bytes_of(row[columns.image], f"#{index}", self._name), row[columns.label]
