"""Tables: a CSV that names a picture and its label on each line, and its split and group if it likes."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from dojang.data.labels import Row, by_name
from dojang.data.manifest import SPLITS, Manifest, bad_line, csv_rows, not_utf8, plain, spelled
from dojang.data.sources import FolderSource, unreadable
from dojang.errors import DataError, listing, many

_COLUMNS = {
    "path": ("path", "file", "filename", "image"),
    "label": ("label", "class", "target"),
    "split": ("split",),
    "group": ("group",),
}
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test", "": ""}


def read_table(path: Path, where: str) -> Manifest:
    """The manifest of a CSV with the columns path and label, in any order, and split and group if there are such.

    Pictures are looked for beside the CSV; their number and content do not matter here, that they exist does.

    Args:
        path: The CSV.
        where: What the user gave, for messages.

    Raises:
        DataError: D111 with file and line for what cannot be understood or found; D101 without rows; D124 and D107
            as for folders; D112 when the file cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise unreadable(where, error, place=str(path)) from error
    notes: list[str] = []
    source = FolderSource(path.parent, where)
    rows: list[Row] = []
    lines: dict[str, int] = {}
    missing: list[str] = []
    for line, row in _rows(text, where, notes):
        there = next((path for path in spelled(row.path) if os.path.isfile(os.path.join(source.root, path))), None)
        if there is None:
            missing.append(row.path)
        else:
            row = row._replace(path=there)
        # ./a.jpg is a.jpg; links are left alone, for two names of one picture are found by its content
        same = posixpath.normpath(row.path)
        if same in lines:
            raise bad_line(where, line, f"{row.path!r} is on line {lines[same]:,} too", fix="remove one of the two.")
        lines[same] = line
        rows.append(row)
    if not rows:
        raise DataError("D101", f"{where!r} names no images: it has no lines below its header.", fix="cat/1.jpg,cat")
    if missing:
        raise _missing(missing, lines, len(rows), source.root, where)
    _check_splits(rows, lines, where)
    return by_name(source, rows, notes, fix="correct the label, or add the class to the train rows.")


def _rows(text: str, where: str, notes: list[str]) -> Iterator[tuple[int, Row]]:
    lines = csv_rows(text, where)
    first, header = next(lines, (1, []))
    columns = _columns(header, first, where)
    unused = [name for i, name in enumerate(header) if i not in columns.values()]
    if unused:
        notes.append(f"ignored {many(len(unused), 'column')}: {listing(map(plain, unused), most=5)}")
    for line, fields in lines:
        if len(fields) != len(header):
            raise bad_line(
                where,
                line,
                f"{many(len(fields), 'field')}, but the header has {len(header)}",
                fix='put a name that has a comma in it in quotes: "a,b.jpg".',
            )
        values = {column: fields[i] for column, i in columns.items()}
        for column in ("path", "label"):
            if not values[column].strip():
                raise bad_line(where, line, f"the {column} is empty", fix=f"fill in the {column}, or remove the line.")
        word = values.get("split", "").strip().lower()
        if word not in _SPLITS:
            what = f"the split is {values['split']!r}; expected {', '.join(SPLITS)} or nothing"
            raise bad_line(where, line, what, fix="write train, val or test.")
        yield line, Row(values["path"], values["label"], _SPLITS[word], values.get("group", ""))


def _columns(header: list[str], line: int, where: str) -> dict[str, int]:
    """The position of each column that is known."""
    names = [name.strip().lower() for name in header]
    columns: dict[str, int] = {}
    for column, words in _COLUMNS.items():
        places = [i for i, name in enumerate(names) if name in words]
        if len(places) > 1:
            several = " and ".join(repr(header[i]) for i in places)
            raise bad_line(where, line, f"two columns could be the {column}: {several}", fix="rename one of them.")
        if places:
            columns[column] = places[0]
        elif column in ("path", "label"):
            have = ", ".join(map(repr, header)) or "nothing"
            raise bad_line(
                where,
                line,
                f"no column for the {column} ({', '.join(words)}) in the header, which has {have}",
                fix="begin the file with the line: path,label",
            )
    return columns


def _missing(missing: list[str], lines: Mapping[str, int], total: int, root: str, where: str) -> DataError:
    named = (f"{path!r} (line {lines[posixpath.normpath(path)]:,})" for path in missing)
    context = f"Looked in {root!r}."
    if any("\\" in path for path in missing):
        context += " Folders are separated by / in a table."
    context += not_utf8(missing)
    return DataError(
        "D111",
        f"{plain(where)}: {len(missing):,} of {many(total, 'image')} {'does' if total == 1 else 'do'} not exist: "
        f"{listing(named, most=3)}.",
        context=context,
        fix="write each path relative to the folder of the CSV, or remove these lines.",
    )


def _check_splits(rows: list[Row], lines: Mapping[str, int], where: str) -> None:
    present = {row.split for row in rows}
    if "" in present and len(present) > 1:
        line = min(lines[posixpath.normpath(row.path)] for row in rows if not row.split)
        raise bad_line(where, line, "no split, though other lines have one", fix="write train, val or test.")
    if "train" not in present and "" not in present:
        raise DataError(
            "D124",
            f"{where!r} has {' and '.join(sorted(present))} rows but no train rows.",
            fix="write train in the split column of those to train on, or leave the column out to have it divided.",
        )
