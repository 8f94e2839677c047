"""The manifest: which pictures there are, what each is called, and which part of the data it belongs to.

Labels are kept by name, so a manifest written by one run fits the pictures of another day.  The pictures themselves
stay where they are; a :class:`Source` gives their bytes when somebody asks.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import os
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from dojang.errors import DataError

SPLITS = ("train", "val", "test")
# the longest picture file that is read; fifty megapixels of 16-bit RGBA, not compressed at all, take 0.4 GB
MOST_BYTES = 2**30
_COLUMNS = ("path", "label", "split", "group", "sha256")
# of a cross-validation
_FOLD = "fold"


class Source(Protocol):
    """Where the pictures of a manifest are; ``read`` may be called from several threads at once."""

    @property
    def name(self) -> str:
        """What the user gave, for messages."""

    def read(self, path: str) -> bytes | np.ndarray:
        """The bytes of an encoded picture, or pixels that are decoded already: uint8 (h, w) or (h, w, c).

        Raises:
            DataError: D112 when they cannot be read.
        """


class SplitRow(NamedTuple):
    """One line of splits.csv."""

    path: str
    label: str
    split: str
    group: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Rows of pictures with their labels; found by :func:`dojang.data.scan.find`, never changed in place.

    Args:
        source: Gives the bytes of a row by its path.
        classes: Names; a label id is a position in it.
        paths: Relative to what the user gave: ``cat/1.jpg``, ``photos.tar!/cat/1.jpg``, ``train-images-idx3-ubyte#17``.
        labels: A tuple of ids for each row; exactly one in single-label classification.
        splits: "train", "val", "test", or "" for a row that is not assigned yet.
        groups: Rows of one group are never divided between splits; "" for a row that stands alone.
        digests: The SHA-256 of each row's bytes or pixels; empty until the pictures were read.
        notes: What was seen and left out, one plain sentence each.

    Raises:
        ValueError: When the columns differ in length.
    """

    source: Source
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]
    splits: tuple[str, ...]
    groups: tuple[str, ...]
    digests: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.paths), len(self.labels), len(self.splits), len(self.groups)}
        if len(lengths) > 1 or (self.digests and len(self.digests) != len(self.paths)):
            raise ValueError(f"the columns of a manifest must have one length, not {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def targets(self) -> np.ndarray:
        """The label id of each row, int64 (n,). Raises ValueError for rows with more than one label."""
        return np.fromiter((label for (label,) in self.labels), np.int64, len(self))

    def rows(self, split: str) -> np.ndarray:
        """The numbers of the rows in a split, int64, ascending."""
        return np.flatnonzero(np.fromiter((name == split for name in self.splits), bool, len(self)))

    def counts(self) -> dict[str, dict[str, int]]:
        """Pictures by split and class; every class is there, also those without pictures."""
        rows = zip(self.splits, self.labels, strict=True)
        found = Counter((split, label) for split, labels in rows for label in labels)
        present = set(self.splits)
        return {
            split: {name: found[split, i] for i, name in enumerate(self.classes)}
            for split in (*SPLITS, "")
            if split in present
        }

    def replace(self, **changes: Any) -> Manifest:
        """The same manifest with some of its fields changed."""
        return dataclasses.replace(self, **changes)

    def keep(self, rows: np.ndarray) -> Manifest:
        """Some of the rows, in the order given; classes stay, so label ids do too."""
        return self.replace(
            paths=tuple(self.paths[row] for row in rows),
            labels=tuple(self.labels[row] for row in rows),
            splits=tuple(self.splits[row] for row in rows),
            groups=tuple(self.groups[row] for row in rows),
            digests=tuple(self.digests[row] for row in rows) if self.digests else (),
        )

    def to_csv(self, folds: Sequence[int] = ()) -> str:
        """The text of splits.csv: any name at all is read back by :func:`read_splits` as it was.

        Quoting as in RFC 4180; lines end in a bare newline, which the shell's tools prefer.

        Args:
            folds: For one more column, in which fold each row is asked; 0 for none.
        """
        if not folds:
            return csv_line(_COLUMNS) + "".join(map(csv_line, self._csv_rows()))
        rows = zip(self._csv_rows(), folds, strict=True)
        lines = ((*row, str(fold) if fold else "") for row, fold in rows)
        return csv_line((*_COLUMNS, _FOLD)) + "".join(map(csv_line, lines))

    def fingerprint(self) -> str:
        """The data hash of exact resume: SHA-256 over path, label name, split and digest of every row."""
        digest = hashlib.sha256()
        for row in self._csv_rows():
            line = csv_line((row.path, row.label, row.split, row.sha256))
            # surrogatepass: two different names never become the same bytes
            digest.update(line.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def _csv_rows(self) -> Iterator[SplitRow]:
        digests = self.digests or ("",) * len(self)
        columns = zip(self.paths, self.labels, self.splits, self.groups, digests, strict=True)
        for path, (label,), split, group, digest in columns:
            yield SplitRow(path, self.classes[label], split, group, digest)


def csv_line(fields: Iterable[str]) -> str:
    r"""One line of CSV, quoted as RFC 4180 says, that gives back exactly the fields.

    >>> csv_line(["a", "b, c"])
    'a,"b, c"\n'
    """
    quoted = ('"' + field.replace('"', '""') + '"' if any(c in field for c in ',"\r\n') else field for field in fields)
    return ",".join(quoted) + "\n"


def csv_rows(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of CSV text, each with the number of the line on which it begins.

    A spreadsheet's byte order mark is passed over, and its columns may be divided by semicolons, as spreadsheets write
    them where a comma is the decimal sign: so it is where the first line has semicolons and no comma.

    Args:
        where: The file's name, for messages.

    Raises:
        DataError: D111 where the quoting is broken.
    """
    text = text.removeprefix("\ufeff")
    header = text.partition("\n")[0]
    divided = ";" if ";" in header and "," not in header else ","
    # newline="" keeps the line ends inside quoted names
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=divided, strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise bad_line(where, line, f"the CSV is broken: {error}", fix="close the quotes around each name.") from error


def not_utf8(names: Iterable[str]) -> str:
    r"""What to say beside names of a table that are not there, if that may be because the table is not in UTF-8.

    >>> not_utf8(["a.jpg"]), not_utf8(["\udcbb.jpg"])
    ('', ' Its letters are not UTF-8: save it as "CSV UTF-8".')
    """
    strange = any("\udc80" <= letter <= "\udcff" for name in names for letter in name)
    return ' Its letters are not UTF-8: save it as "CSV UTF-8".' if strange else ""


def spelled(name: str) -> tuple[str, ...]:
    """A name, and what else it may be on a disk: letters and their accents in one character, or in several.

    >>> [len(form) for form in spelled("\u00e9.jpg")], spelled("a.jpg")
    ([5, 6], ('a.jpg',))
    """
    return tuple(dict.fromkeys((name, same_name(name), unicodedata.normalize("NFD", name))))


def bad_line(where: str, line: int, what: str, *, fix: str = "") -> DataError:
    """The error for one line of a CSV file."""
    return DataError("D111", f"{plain(where)} line {line:,}: {what}.", fix=fix)


def read_splits(text: str, where: str = "splits.csv") -> list[SplitRow]:
    """The rows of a splits.csv that :meth:`Manifest.to_csv` made.

    Raises:
        DataError: D111 with file and line.

    Example:
        >>> read_splits("path,label,split,group,sha256\\na.png,cat,train,,\\n")[0].label
        'cat'
    """
    rows = csv_rows(text, where)
    line, header = next(rows, (1, []))
    if tuple(header) not in (_COLUMNS, (*_COLUMNS, _FOLD)):
        raise bad_line(where, line, f"the columns are {header}; expected {', '.join(_COLUMNS)}")
    found = []
    for line, fields in rows:
        if len(fields) != len(header):
            raise bad_line(where, line, f"{len(fields)} fields; expected {len(header)}")
        if fields[2] not in (*SPLITS, ""):
            raise bad_line(where, line, f"the split is {fields[2]!r}; expected {', '.join(SPLITS)} or nothing")
        found.append(SplitRow(*fields[: len(_COLUMNS)]))
    return found


def plain(name: str) -> str:
    r"""A name as it can be shown: as it is if every character prints, else with escapes, so a terminal stays itself.

    >>> print(plain("cat"), plain("\x1b[31mred"))
    cat \x1b[31mred
    """
    return name if name.isprintable() else repr(name)[1:-1]


def readable(labels: Sequence[str]) -> list[str]:
    r"""Labels as they are read best: without ImageNet's numbers in front, unless two would then be the same.

    >>> readable(["n02086240-Shih-Tzu", "dingo"]), readable(["n02012849_crane", "n03126707_crane"])
    (['Shih-Tzu', 'dingo'], ['n02012849_crane', 'n03126707_crane'])
    """
    short = [re.sub(r"^n\d{8}[-_ ](?=.)", "", label) for label in labels]
    return short if len(set(short)) == len(set(labels)) else list(labels)


def pasted(path: str) -> str:
    r"""A path for a command that a shell reads back exactly; like :func:`plain`, it shows nothing that does not print.

    >>> print(pasted("my pets"), pasted("\x1b[31mred's"))
    'my pets' $'\x1b[31mred\'s'
    """
    if path.isprintable():
        return shlex.quote(path)
    escaped = (
        f"\\x{b:02x}" if not 32 <= b < 127 else f"\\{chr(b)}" if b in b"'\\" else chr(b) for b in os.fsencode(path)
    )
    return f"$'{''.join(escaped)}'"


def same_name(name: str) -> str:
    """The form in which class names are compared: an accent may be one character or two, and is the same name."""
    return unicodedata.normalize("NFC", name)


def folded(path: str) -> str:
    """The form in which names are one on disks that do not tell cases, or accents in one or two characters, apart."""
    return same_name(same_name(path).casefold())
