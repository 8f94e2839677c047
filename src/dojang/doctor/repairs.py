"""Chosen repairs become a plan: which pictures go, which move, and what each of the others is called.

In this order, whatever the order of the flags: labels from a table, what is taken out, what is moved, the names of
classes, those of files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from dojang import files
from dojang.data.ahead import in_order
from dojang.data.decode import MAX_PIXELS
from dojang.data.layout import unfit
from dojang.data.manifest import Manifest, Source, plain
from dojang.doctor import copies
from dojang.doctor.findings import KINDS
from dojang.doctor.labelled import relabelled
from dojang.doctor.look import Looks, look
from dojang.doctor.pairs import pairs
from dojang.doctor.places import Place, check_pattern, numbered, places, renamed, stem
from dojang.doctor.plan import EXTENSIONS, KEEP, OUT, QUALITY, Line, Plan, extension
from dojang.doctor.scan import LIMITS, each
from dojang.errors import ConfigError, DataError, did_you_mean

#: kinds of a single picture
SINGLE = ("unreadable", "blank", "dark", "bright", "blurred", "tiny", "huge", "shape")
#: kinds that stand for several
SHORT = {"duplicates": ("same", "same-across")}
# by what a file is, the extensions that tell the truth; the first is given
_TRUE = {
    "JPEG": ("jpg", "jpeg"),
    "MPO": ("jpg", "jpeg", "mpo"),
    "PNG": ("png",),
    "WEBP": ("webp",),
    "BMP": ("bmp",),
    "GIF": ("gif",),
    "TIFF": ("tif", "tiff"),
}

Tick = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Repairs:
    """What a user chose; nothing is done that is not.

    Args:
        drop: Kinds of pictures that are taken out: :data:`SINGLE`, :data:`SHORT`, or those of
            :data:`dojang.doctor.copies.KINDS`.
        move: By kind, the class into which such pictures go.
        relabel: A CSV of path,label.
        new_classes: Whether it may name classes that there are not yet.
        rename_classes: Rules; see :func:`dojang.doctor.places.renamed`.
        merge_classes: Whether two classes may become one by them.
        rename_files: A pattern such as ``{class}_{number:05}``.
        reencode: "png" or "jpeg".
        quality: Of JPEGs, 1 to 100; given, those that are JPEG already are encoded anew, too.
        fix_extensions: Give files that are something else than their extension says the right one.
    """

    drop: tuple[str, ...] = ()
    move: Mapping[str, str] = field(default_factory=dict)
    relabel: str | None = None
    new_classes: bool = False
    rename_classes: tuple[str, ...] = ()
    merge_classes: bool = False
    rename_files: str | None = None
    reencode: str | None = None
    quality: int | None = None
    fix_extensions: bool = False

    @property
    def looks(self) -> bool:
        """Whether pictures have to be decoded to know what to do."""
        return bool(self.drop or self.move or self.reencode or self.fix_extensions)


def check(repairs: Repairs) -> Repairs:
    """The same, with short names of kinds written out.

    Raises:
        ConfigError: C202 for a kind, class or pattern that cannot be; C204 for those that do not fit together.
    """
    every = (*SINGLE, *SHORT, *copies.KINDS)
    for flag, words in (("--drop", repairs.drop), ("--move", tuple(repairs.move))):
        for word in words:
            if word in every:
                continue
            about = f" ({KINDS[word].title}: {KINDS[word].advice})" if word in KINDS else ""
            raise ConfigError(
                "C202",
                f"{flag} cannot be {word!r}{about}; expected kinds of {', '.join(every)}." + did_you_mean(word, every),
                fix=f"{flag} {'unreadable,duplicates,blank' if flag == '--drop' else 'blank=blank'}",
            )
    drop = tuple(dict.fromkeys(kind for word in repairs.drop for kind in SHORT.get(word, (word,))))
    move = {kind: name for word, name in repairs.move.items() for kind in SHORT.get(word, (word,))}
    both = sorted(set(drop) & set(move))
    if both:
        raise ConfigError("C204", f"{both[0]} is to be dropped and moved.", fix=f"leave --drop {both[0]} out.")
    for kind, name in repairs.move.items():
        if problem := unfit(name):
            raise ConfigError(
                "C202", f"--move {kind}={name}: {name!r} cannot be a class: {problem}.", fix=f"--move {kind}={kind}"
            )
    if repairs.rename_files is not None:
        check_pattern(repairs.rename_files)
    if repairs.quality is not None and repairs.reencode != "jpeg":
        raise ConfigError("C204", "--quality is for --reencode jpeg.", fix="--reencode jpeg, too, or leave it out.")
    if repairs.merge_classes and not repairs.rename_classes:
        raise ConfigError("C204", "--merge-classes is for --rename-classes.", fix="--rename-classes RULE, too.")
    if repairs.new_classes and repairs.relabel is None:
        raise ConfigError("C204", "--new-classes is for --relabel.", fix="--relabel labels.csv, too.")
    return replace(repairs, drop=drop, move=move)


def make(
    manifest: Manifest,
    repairs: Repairs,
    *,
    threads: int = 0,
    max_pixels: int = MAX_PIXELS,
    tick: Tick = lambda stage, done, total: None,
) -> Plan:
    """The plan that carries out the chosen repairs; nothing is changed.

    Args:
        threads: That read and decode.
        max_pixels: Larger pictures are unreadable.
        tick: Called with the stage ("looking at", "comparing" or "reading"), the pictures done and their number.

    Raises:
        ConfigError: C202 and C204 for repairs that cannot be.
        DataError: D104 where a picture cannot be read that is to be encoded; D111, D150, D154 and D155.
    """
    repairs = check(repairs)
    homes = places(manifest)
    count = len(manifest)
    labels = [manifest.classes[label] for (label,) in manifest.labels]
    names = renamed(manifest.classes, repairs.rename_classes, merge=repairs.merge_classes)
    given = relabelled(manifest, repairs.relabel, names, new=repairs.new_classes) if repairs.relabel else {}
    final = [given.get(row, names[label]) for row, label in enumerate(labels)]
    why: list[list[str]] = [[] for _ in range(count)]
    for row in given:
        if final[row] != names[labels[row]]:
            why[row].append(f"relabel: from {plain(labels[row])}")
    out: set[int] = set()
    looks: Looks | None = None
    if repairs.looks:
        measured = _Measured(manifest.source)
        watched = manifest.replace(source=measured)
        looks = look(watched, threads=threads, max_pixels=max_pixels, tick=lambda n: tick("looking at", n, count))
        digests = [measured.facts[path][1] if path in measured.facts else "" for path in manifest.paths]
        sizes = [measured.facts[path][0] if path in measured.facts else 0 for path in manifest.paths]
        found = _singles(manifest, looks, repairs)
        wanted = {*repairs.drop, *repairs.move} & set(copies.KINDS)
        if wanted:
            found += _copies(manifest, looks, wanted, {row for row, _, _ in found}, final, sizes, tick)
        for row, kind, words in found:
            why[row].append(f"{kind}: {words}")
            if kind in repairs.drop:
                out.add(row)
            else:
                final[row] = repairs.move[kind]
    else:
        digests = []
        for done, digest in enumerate(in_order(digester(manifest.source), manifest.paths, threads, together=16), 1):
            digests.append(digest)
            tick("reading", done, count)
    actions, ends = _encodings(manifest, homes, repairs, looks, out, why)
    for row, home in enumerate(homes):
        if final[row] != labels[row]:
            homes[row] = replace(home, folder=final[row])
            if not why[row]:
                why[row].append(f"class: from {plain(labels[row])}")
    targets = _named(manifest, homes, repairs, ends, out, why)
    lines = (
        Line(path, OUT if row in out else actions[row], "" if row in out else targets[row], "; ".join(why[row]), digest)
        for row, (path, digest) in enumerate(zip(manifest.paths, digests, strict=True))
    )
    return Plan(tuple(lines))


class _Measured:
    """A source that remembers length and digest of what it gave."""

    def __init__(self, source: Source) -> None:
        self.name, self._source = source.name, source
        self.facts: dict[str, tuple[int, str]] = {}

    def read(self, path: str) -> bytes | np.ndarray:
        data = self._source.read(path)
        if isinstance(data, bytes):
            self.facts[path] = len(data), files.sha256(data)
        return data


def digester(source: Source) -> Callable[[str], str]:
    def digest(path: str) -> str:
        try:
            data = source.read(path)
        except DataError:
            # whoever needs it later will say so
            return ""
        return files.sha256(data) if isinstance(data, bytes) else ""

    return digest


Found = list[tuple[int, str, str]]


def _singles(manifest: Manifest, looks: Looks, repairs: Repairs) -> Found:
    """What is wrong with pictures on their own: row, kind and words, of the kinds that are asked for."""
    rows = {path: row for row, path in enumerate(manifest.paths)}
    asked = {*repairs.drop, *repairs.move}
    found = [one for one in each(manifest, looks, LIMITS) if one.kind in asked]
    return [(rows[one.paths[0]], one.kind, plain(one.words)) for one in found]


def _copies(
    manifest: Manifest,
    looks: Looks,
    wanted: set[str],
    passed: set[int],
    final: list[str],
    sizes: list[int],
    tick: Tick,
) -> Found:
    """Pictures that another stands for: row, kind and words."""
    found = [pair for pair in pairs(manifest, looks, tick=tick) if not passed & set(pair.rows)]
    gone = copies.doubles(
        found,
        wanted,
        labels=final,
        splits=manifest.splits,
        paths=manifest.paths,
        areas=looks.facts["width"].astype(np.int64) * looks.facts["height"],
        sizes=sizes,
    )
    return [
        (row, kind, plain(manifest.paths[kept]) + ("" if kind.endswith("two-labels") else " stays"))
        for row, kind, kept in gone
    ]


def _encodings(
    manifest: Manifest, homes: list[Place], repairs: Repairs, looks: Looks | None, out: set[int], why: list[list[str]]
) -> tuple[list[str], list[str]]:
    """The action and the extension of every picture."""
    actions = [KEEP] * len(manifest)
    ends = [home.below.rpartition(".")[2] for home in homes]
    if looks is None or not (repairs.reencode or repairs.fix_extensions):
        return actions, ends
    for row, path in enumerate(manifest.paths):
        if row in out:
            continue
        if path in looks.bad:
            if repairs.reencode:
                raise DataError(
                    "D104",
                    f"{plain(path)} cannot be encoded anew: {looks.bad[path].what}",
                    fix="--drop unreadable, too, or --move unreadable=unreadable without --reencode.",
                )
            continue
        kind = looks.formats[looks.facts["format"][row]]
        how = repairs.reencode
        # what is that already, and upright, would only lose by it
        whole = how is not None and kind == how.upper() and not looks.facts["turned"][row]
        if how and (not whole or repairs.quality is not None):
            actions[row] = how if how == "png" else f"jpeg-{repairs.quality or QUALITY}"
            why[row].append(f"encode: was {kind}")
            if extension(homes[row].below) not in EXTENSIONS[how]:
                ends[row] = EXTENSIONS[how][0]
        elif (how or repairs.fix_extensions) and extension(homes[row].below) not in _TRUE[kind]:
            why[row].append(f"extension: it is {kind}")
            ends[row] = _TRUE[kind][0]
    return actions, ends


def _named(
    manifest: Manifest, homes: list[Place], repairs: Repairs, ends: list[str], out: set[int], why: list[list[str]]
) -> list[str]:
    """The place of every picture in the new tree."""
    stems = [stem(home.below) for home in homes]
    if repairs.rename_files is not None:
        rows = [row for row in range(len(homes)) if row not in out]
        fresh = numbered(repairs.rename_files, [homes[row] for row in rows], [manifest.splits[row] for row in rows])
        for row, name in zip(rows, fresh, strict=True):
            if name != stems[row]:
                why[row].append("name")
            stems[row] = name
    found = []
    for home, name, end in zip(homes, stems, ends, strict=True):
        folders = home.below.rpartition("/")[0]
        found.append(f"{home.above}{home.folder}/{folders}{'/' if folders else ''}{name}.{end}")
    return found
