"""Loose files sorted into class folders by a table: a plan like any other, for a folder that has no classes yet."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dojang import files
from dojang.data.ahead import in_order
from dojang.data.labels import Row, by_name
from dojang.data.manifest import Manifest, not_utf8, pasted, plain, spelled
from dojang.data.scan import walk
from dojang.data.sources import FolderSource
from dojang.doctor.apply import Tick, copy_to, outside, record_of
from dojang.doctor.labelled import Labelled
from dojang.doctor.plan import KEEP, Line, Plan, check, read_plan
from dojang.doctor.repairs import digester
from dojang.doctor.show import folded_lines
from dojang.errors import ConfigError, DataError, listing, many

_MOST = 5


@dataclass(frozen=True)
class Gathered:
    """What came of it.

    Args:
        missing: Lines of the table whose file is not there.
        unnamed: Pictures that the table does not name.
        written: The file of the plan, where it was written; out: the new folder, where it was made.
    """

    source: str
    plan: Plan
    missing: tuple[str, ...]
    unnamed: tuple[str, ...]
    written: str = ""
    out: str = ""

    def counts(self) -> dict[str, int]:
        """Pictures by class, as they will lie."""
        return dict(sorted(Counter(line.to.partition("/")[0] for line in self.plan.staying).items()))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "format": 1,
            "files": self.source,
            "counts": self.counts(),
            "missing": list(self.missing),
            "unnamed": list(self.unnamed),
            "plan": self.written,
            "out": self.out,
            "applied": bool(self.out),
        }

    def lines(self) -> Iterator[str]:
        """What is to be said, 80 columns wide."""
        counts = self.counts()
        kinds = many(len(counts), "class", "classes")
        yield f"{many(len(self.plan.staying), 'picture')} of {pasted(self.source)} in {kinds}"
        for name, n in counts.items():
            yield from folded_lines(f"{n:>9,}  {plain(name)}", " " * 13, "")
        for names, words in (
            (self.unnamed, "not named by the table, left where they are"),
            (self.missing, "named by the table, not there"),
        ):
            if names:
                yield f"{len(names):>9,}  {words}"
                for name in names[:_MOST]:
                    yield from folded_lines(plain(name), " " * 15, " " * 13)
                if len(names) > _MOST:
                    yield f"{'':13}and {len(names) - _MOST:,} more (--json has all)"
        if self.written:
            yield f"plan  {self.written}"
        if self.out:
            yield f"made  {self.out}   what was done: {record_of(self.out)}"
        else:
            yield "nothing was changed; to do it: --out NEW --apply"


def gather(
    folder: str,
    table: Sequence[Labelled],
    where: str,
    *,
    out: str | None = None,
    plan: str | None = None,
    skip_missing: bool = False,
    apply: bool = False,
    threads: int = 0,
    tick: Tick = lambda stage, done, total: None,
) -> Gathered:
    """Sort the pictures of a folder into classes.

    Args:
        folder: Looked through with all folders below it.
        table: From :func:`dojang.doctor.labelled.read_labels`; a picture is its path in the folder, its file name, or
            that without the extension.
        where: The table's name, for messages.
        out: The new folder.
        plan: A file: read where it exists, else written.
        skip_missing: Whether lines without a file are left out.

    Raises:
        DataError: D155 for names that mean several files, files with two labels, and, unless they are skipped, lines
            without a file; D153 where two pictures would get one name; those of :func:`copy_to`.
        ConfigError: C202 and C244 as :func:`copy_to`; C205 where there is no such folder.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise ConfigError("C205", f"{folder!r} is no folder.", fix="give the folder that the files lie in.")
    found = sorted(walk(root, folder).pictures)
    named, missing = _matched(table, found, where)
    if missing and apply and not skip_missing:
        raise DataError(
            "D155",
            f"{plain(where)} names {many(len(missing), 'picture')} that {'is' if len(missing) == 1 else 'are'} not in "
            f"{folder!r}: {listing(map(plain, missing), most=3)}.",
            context=_about(missing).strip(),
            fix="correct the lines, or pass --skip-missing to leave them out.",
        )
    if not named:
        raise DataError(
            "D155",
            f"{plain(where)} names none of the {many(len(found), 'picture')} in {folder!r}.",
            context=f"It names {listing((plain(row.picture) for row in table), most=3)}.{_about(missing)}",
            fix="give the folder to which its paths are relative.",
        )
    source = FolderSource(root, folder)
    manifest = by_name(source, (Row(path, label, "") for path, label in named.items()), (), fix="")
    if out is not None:
        outside(out, manifest, "--out")
        files.must_be_new(out, fix="--out NEW", flag="--out")
    there = plan is not None and os.path.lexists(plan)
    made = read_plan(str(plan)) if there else _planned(manifest, named, threads, tick)
    check(made, manifest.paths)
    if plan is not None and not there:
        outside(plan, manifest, "--plan")
        files.write_text(plan, made.to_csv())
    if apply and out is not None:
        copy_to(manifest, made, out, threads=threads, tick=tick)
    unnamed = tuple(path for path in found if path not in named)
    written = plan if plan is not None and not there else ""
    return Gathered(folder, made, missing, unnamed, written or "", out if apply and out is not None else "")


def _about(missing: Sequence[str]) -> str:
    """What may be wrong with names that are not there."""
    said = " Folders are separated by / in a table." if any("\\" in name for name in missing) else ""
    return said + not_utf8(missing)


def _planned(manifest: Manifest, named: dict[str, str], threads: int, tick: Tick) -> Plan:
    lines = []
    digests = in_order(digester(manifest.source), manifest.paths, threads, together=16)
    for done, (path, digest) in enumerate(zip(manifest.paths, digests, strict=True), 1):
        name = path.rpartition("/")[2]
        lines.append(Line(path, KEEP, f"{named[path]}/{name}", "label: from the table", digest))
        tick("reading", done, len(manifest))
    return Plan(tuple(lines))


def _matched(table: Sequence[Labelled], found: Sequence[str], where: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """The label of each picture that is named, and the names that are no picture's."""
    keys: dict[str, list[str]] = {}
    for path in found:
        name = path.rpartition("/")[2]
        for key in {path, name, name.rpartition(".")[0], path.rpartition(".")[0]}:
            keys.setdefault(key, []).append(path)
    whole = set(found)
    labels: dict[str, str] = {}
    lines: dict[str, int] = {}
    missing = []
    for line, picture, label in table:
        # ./a.jpg is a.jpg
        name = os.path.normpath(picture)
        names = spelled(name)
        paths = next(([form] for form in names if form in whole), None)
        paths = paths or next((keys[form] for form in names if form in keys), [])
        if not paths:
            missing.append(picture)
            continue
        if len(paths) > 1:
            raise DataError(
                "D155",
                f"{plain(where)} line {line:,}: {plain(picture)} may be {many(len(paths), 'file')}: "
                f"{listing(map(plain, paths), most=3)}.",
                fix="write its path in the folder.",
            )
        (path,) = paths
        if path in labels:
            raise DataError(
                "D155",
                f"{plain(where)} line {line:,}: {plain(path)} is on line {lines[path]:,} too, "
                + ("with another label." if labels[path] != label else "with the same label."),
                fix="remove one of the two.",
            )
        labels[path], lines[path] = label, line
    return labels, tuple(missing)
