"""A data set from a table of addresses: fetched when asked for, and what came of each address written down."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from dojang import files, folders
from dojang.data.addresses import AddressError, picture
from dojang.data.ahead import in_order
from dojang.data.manifest import csv_line, pasted, plain
from dojang.doctor.apply import Tick
from dojang.doctor.labelled import Labelled
from dojang.doctor.show import folded_lines
from dojang.errors import DataError, listing, many

_COLUMNS = ("url", "label", "path", "bytes", "sha256", "result")
_TOGETHER = 4
_MOST = 5


class Limits(NamedTuple):
    """Bytes of one picture, bytes of all, seconds an address."""

    each: int = 20_000_000
    all: int = 2_000_000_000
    seconds: float = 60.0


@dataclass(frozen=True)
class Fetched:
    """What came of it.

    Args:
        rows: Of the record: url, label, path, bytes, digest, and "ok" or why there is no picture.
    """

    out: str
    record: str
    rows: tuple[tuple[str, ...], ...]

    @property
    def failed(self) -> list[tuple[str, ...]]:
        return [row for row in self.rows if row[-1] != "ok"]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "format": 1,
            "out": self.out,
            "record": self.record,
            "fetched": len(self.rows) - len(self.failed),
            "failed": [{"url": row[0], "why": row[-1]} for row in self.failed],
        }

    def lines(self) -> Iterator[str]:
        """What is to be said, 80 columns wide."""
        yield f"made  {self.out}   what came of each address: {self.record}"
        yield f"{len(self.rows) - len(self.failed):>9,}  pictures"
        if self.failed:
            yield f"{len(self.failed):>9,}  addresses without a picture"
            for row in self.failed[:_MOST]:
                yield from folded_lines(f"{plain(row[0])}: {plain(row[-1])}", " " * 15, " " * 13)
            if len(self.failed) > _MOST:
                yield f"{'':13}and {len(self.failed) - _MOST:,} more"


def describe(table: Sequence[Labelled], where: str) -> list[str]:
    """What would be fetched, in lines of 80 columns."""
    hosts = Counter(_host(row.picture) for row in table)
    labels = Counter(row.label for row in table)
    told = folded_lines(
        f"{plain(where)} names {many(len(table), 'address', 'addresses')} at "
        f"{listing((f'{plain(host)} ({n:,})' for host, n in hosts.most_common()), most=5)}"
    )
    told += [line for name, n in sorted(labels.items()) for line in folded_lines(f"{n:>9,}  {plain(name)}", " " * 13)]
    return [*told, "nothing was fetched; to do it: --out NEW --download"]


def download(
    table: Sequence[Labelled],
    where: str,
    out: str,
    limits: Limits,
    *,
    tick: Tick = lambda stage, done, total: None,
) -> Fetched:
    """Fetch the pictures of a table into a new folder with one folder a class.

    Args:
        table: From :func:`dojang.doctor.labelled.read_labels`; its line number names the picture.
        out: A folder that is not there yet; the record lies beside it as ``NEW.downloads.csv``.

    Raises:
        ConfigError: C202 where there is something at ``out``.
        DataError: D155 where an address is named twice, D160 where an earlier run was stopped, D119 where no address
            gives a picture; the record tells why.
        ResourceError: R401 when the disk is full.
    """
    files.must_be_new(out, fix="--out NEW", flag="--out")
    half, record = folders.unfinished(out), Path(f"{os.fspath(out).rstrip('/')}.downloads.csv")
    for place in (half, record):
        if os.path.lexists(place):
            raise DataError(
                "D160",
                f"{str(place)!r} is there, of an earlier run.",
                context="Nothing is overwritten.",
                fix="move it elsewhere, or --out another.",
            )
    _check_once(table, where)
    folders.make_folder(half)
    spent, lock = 0, Lock()

    def one(row: Labelled) -> tuple[Labelled, bytes, str, str]:
        nonlocal spent
        full = row, b"", "", f"left out: all together would have more than {limits.all:,} bytes"
        if spent >= limits.all:
            return full
        try:
            data, end = picture(row.picture, limits.each, limits.seconds)
        except AddressError as error:
            return row, b"", "", str(error)
        with lock:
            if spent + len(data) > limits.all:
                return full
            spent += len(data)
        return row, data, end, "ok"

    rows = []
    for done, (row, data, end, result) in enumerate(in_order(one, table, _TOGETHER), 1):
        path = f"{row.label}/{row.line:06}.{end}" if data else ""
        if path:
            files.write_bytes(files.safe_join(half, path), data, flush=False)
        digest = files.sha256(data) if data else ""
        rows.append((row.picture, row.label, path, str(len(data)), digest, result))
        tick("fetching", done, len(table))
    files.write_text(record, csv_line(_COLUMNS) + "".join(map(csv_line, rows)))
    if not any(row[-1] == "ok" for row in rows):
        folders.remove_empty(half)
        raise DataError(
            "D119",
            f"none of {many(len(rows), 'address', 'addresses')} gave a picture, e.g. {plain(rows[0][0])}: "
            f"{plain(rows[0][-1])}.",
            context=f"What came of each: {str(record)!r}.",
            fix=f"correct the addresses, and --out another than {pasted(out)}.",
        )
    folders.finish(out)
    return Fetched(out, str(record), tuple(rows))


def _check_once(table: Sequence[Labelled], where: str) -> None:
    lines: dict[str, int] = {}
    for row in table:
        if row.picture in lines:
            raise DataError(
                "D155",
                f"{plain(where)} line {row.line:,}: {plain(row.picture)} is on line {lines[row.picture]:,} too.",
                fix="remove one of the two.",
            )
        lines[row.picture] = row.line


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or "no host"
    except ValueError:
        return "no host"
