"""Tables of labels for pictures: a CSV whose lines name a picture and its class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from dojang.data.layout import is_picture, unfit
from dojang.data.manifest import Manifest, bad_line, csv_line, csv_rows, not_utf8, plain, same_name, spelled
from dojang.data.sources import unreadable
from dojang.doctor.findings import Finding
from dojang.errors import DataError, did_you_mean, listing, many

_PICTURE = ("path", "file", "filename", "image", "name", "id")
_ADDRESS = ("url", "address", "link")
_LABEL = ("label", "class", "target")


class Labelled(NamedTuple):
    """A line of the table."""

    line: int
    picture: str
    label: str


def read_labels(path: str | Path) -> tuple[list[Labelled], bool]:
    """The lines of a CSV of path,label or url,label, and whether it is one of addresses.

    The columns are found by name, in any order, beside others; those of a CSV of two columns may have any name.

    Raises:
        DataError: D112 where it cannot be read, D111 with its line for what cannot be understood.
    """
    where = str(path)
    try:
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise unreadable(where, error, place=where) from error
    rows = csv_rows(text, where)
    first, header = next(rows, (1, []))
    names = [name.strip().lower() for name in header]
    of_address = any(name in _ADDRESS for name in names)
    first_column = _column(names, _ADDRESS if of_address else _PICTURE)
    last_column = _column(names, _LABEL)
    if (first_column is None or last_column is None) and len(names) == 2:
        if is_picture(names[0]) or "://" in names[0]:
            what = f"it names {header[0]!r} where the columns are to be named"
            raise bad_line(where, first, what, fix="put a line above it: path,label")
        first_column, last_column = 0, 1
    if first_column is None or last_column is None:
        have = ", ".join(map(repr, header)) or "nothing"
        what = f"no columns for the picture ({', '.join(_PICTURE)}) and the label ({', '.join(_LABEL)}); it has {have}"
        raise bad_line(where, first, what, fix="begin the file with the line: path,label")
    found = []
    for line, fields in rows:
        if len(fields) != len(header):
            what = f"{many(len(fields), 'field')}, but the header has {len(header)}"
            raise bad_line(where, line, what, fix='put a name that has a comma in it in quotes: "a,b.jpg".')
        row = Labelled(line, fields[first_column].strip(), same_name(fields[last_column].strip()))
        if not row.picture:
            raise bad_line(where, line, "it names no picture", fix="fill it in, or remove the line.")
        problem = unfit(row.label)
        if problem:
            what = f"the label {row.label!r} cannot be the name of a folder: {problem}"
            raise bad_line(where, line, what, fix="change the label.")
        found.append(row)
    if not found:
        raise bad_line(where, first, "no lines below the header", fix="cat/1.jpg,cat")
    return found, of_address


def _column(names: list[str], words: Iterable[str]) -> int | None:
    return next((names.index(word) for word in words if word in names), None)


def suspected(findings: Iterable[Finding]) -> str:
    """A table of the labels that a scan suspects, the most suspect first, with the class that each seems to be of.

    It is for a person, who deletes the lines that are wrong; what stays is read by ``dojang clean --relabel``.
    """
    lines = [csv_line(("path", "label", "was", "probability"))]
    for finding in findings:
        if finding.kind == "label":
            facts = finding.facts
            lines.append(csv_line((finding.paths[0], facts["suggested"], facts["label"], str(facts["probability"]))))
    return "".join(lines)


def relabelled(manifest: Manifest, path: str | Path, names: Mapping[str, str], *, new: bool) -> dict[int, str]:
    """The new class of each row that a table names.

    Args:
        path: A CSV of path,label; a path as the manifest has it, or without the archive's name before it.
        names: What each class will be called; a label may be the old name or the new one.
        new: Whether a label may be a class that there is not yet.

    Raises:
        DataError: D111 as :func:`read_labels`; D155 for pictures and classes that there are not.
    """
    where = str(path)
    rows = {name: row for row, name in enumerate(manifest.paths)}
    # inside an archive one path is as good as the other
    rows |= {name.partition("!/")[2]: row for row, name in enumerate(manifest.paths) if "!/" in name}
    found: dict[int, tuple[int, str]] = {}
    lines, of_address = read_labels(path)
    if of_address:
        raise DataError("D155", f"{plain(where)} names addresses; --relabel needs paths.", fix="path,label")
    known = {**{label: label for label in names.values()}, **names}
    for line, given, label in lines:
        picture = next((name for name in spelled(given) if name in rows), given)
        if picture not in rows:
            raise DataError(
                "D155",
                f"{plain(where)} line {line:,}: there is no picture {picture!r} in the data."
                f"{did_you_mean(picture, rows)}",
                context=f"Paths are written as a plan has them, e.g. {plain(manifest.paths[0])}.{not_utf8([picture])}",
                fix="correct the path, or remove the line.",
            )
        if label not in known and not new:
            raise DataError(
                "D155",
                f"{plain(where)} line {line:,}: there is no class {label!r}.{did_you_mean(label, known)}",
                context=f"Known: {listing(map(plain, dict.fromkeys(names.values())), most=20)}.",
                fix="correct the label, or pass --new-classes if it is one.",
            )
        row = rows[picture]
        if row in found and found[row][1] != known.get(label, label):
            what = f"line {line:,}: {plain(picture)} has another label on line {found[row][0]:,}"
            raise DataError("D155", f"{plain(where)} {what}.", fix="remove one of the two.")
        found[row] = line, known.get(label, label)
    return {row: label for row, (_, label) in found.items()}
