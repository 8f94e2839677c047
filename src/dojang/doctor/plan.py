"""A plan for a data set: what becomes of every picture, as a table that a person can read, edit and apply."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dojang.data.layout import is_hidden, is_picture
from dojang.data.manifest import bad_line, csv_line, csv_rows, folded, plain
from dojang.data.sources import unreadable
from dojang.errors import DataError, SecurityError, did_you_mean, listing, many
from dojang.files import check_member

KEEP, OUT = "keep", "out"
COLUMNS = ("path", "action", "to", "why", "sha256")
# of each way to encode, the extensions that say so; the first is the one that is given
EXTENSIONS = {"png": ("png",), "jpeg": ("jpg", "jpeg")}
_ACTION = re.compile(r"keep|out|png|jpeg(-(100|[1-9][0-9]?))?")
_ACTIONS = "keep, out, png, jpeg or jpeg-1 to jpeg-100"
#: of JPEGs, where none is given
QUALITY = 95


class Line(NamedTuple):
    """What becomes of one picture.

    Args:
        path: Its name in the data.
        action: "keep" (its bytes stay), "png", "jpeg-95" (encoded anew, 1 to 100 the quality), or "out".
        to: Its place in the new tree, ``class/1.jpg`` or ``train/class/1.jpg``; of no meaning for "out".
        why: For the reader; ``kind: words``, several of them divided by "; ".
        sha256: Of its bytes when the plan was made; "" where that is not known.
    """

    path: str
    action: str
    to: str
    why: str = ""
    sha256: str = ""

    @property
    def stays(self) -> bool:
        return self.action != OUT


@dataclass(frozen=True)
class Plan:
    """Lines in the order of the data's pictures.

    Args:
        numbers: The lines of a file on which they stand, for messages; empty for a plan that was just made.
    """

    lines: tuple[Line, ...]
    name: str = "the plan"
    numbers: Mapping[str, int] | None = None

    def to_csv(self) -> str:
        """The text of a plan's file; any name at all is read back as it was."""
        return csv_line(COLUMNS) + "".join(map(csv_line, self.lines))

    @property
    def staying(self) -> list[Line]:
        """The lines of pictures that are in the new tree."""
        return [line for line in self.lines if line.stays]


def encoding(action: str) -> tuple[str, int] | None:
    """Format and quality of an action that encodes, else None.

    >>> encoding("jpeg-80"), encoding("png"), encoding("keep")
    (('jpeg', 80), ('png', 95), None)
    """
    word, _, quality = action.partition("-")
    return (word, int(quality or QUALITY)) if word in EXTENSIONS else None


def read_plan(path: str | Path) -> Plan:
    """A plan from its file, edited or not.

    Raises:
        DataError: D112 where it cannot be read; D111 and D152 with its line for what cannot be understood.
    """
    where = str(path)
    try:
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise unreadable(where, error, place=where) from error
    rows = csv_rows(text, where)
    first, header = next(rows, (1, []))
    names = [name.strip().lower() for name in header]
    for column in COLUMNS[:3]:
        if names.count(column) != 1:
            have = ", ".join(map(repr, header)) or "nothing"
            what = f"the header needs the column {column!r} once; it has {have}"
            raise bad_line(where, first, what, fix=f"begin the file with the line: {','.join(COLUMNS)}")
    places = [names.index(column) if column in names else None for column in COLUMNS]
    lines: list[Line] = []
    numbers: dict[str, int] = {}
    for number, fields in rows:
        if len(fields) != len(header):
            what = f"{many(len(fields), 'field')}, but the header has {len(header)}"
            raise bad_line(where, number, what, fix='put a name that has a comma in it in quotes: "a,b.jpg".')
        line = Line(*("" if place is None else fields[place] for place in places))
        line = line._replace(action=line.action.strip().lower())
        if line.path in numbers:
            what = f"{line.path!r} is on line {numbers[line.path]:,} too"
            raise bad_line(where, number, what, fix="remove one of the two.")
        numbers[line.path] = number
        lines.append(line)
    return Plan(tuple(lines), where, numbers)


def check(plan: Plan, paths: Iterable[str]) -> None:
    """Make sure that a plan can be carried out for some pictures.

    Args:
        paths: All pictures of the data, as a manifest names them.

    Raises:
        DataError: D151 where it is of other pictures, D152 for a line that cannot be carried out, D153 where two
            pictures would get one name, D156 where no picture would be left.
    """
    known = set(paths)
    named = {line.path for line in plan.lines}
    unknown = [line.path for line in plan.lines if line.path not in known]
    if unknown:
        raise DataError(
            "D151",
            f"{plain(plan.name)} names {many(len(unknown), 'picture')} that {'is' if len(unknown) == 1 else 'are'} "
            f"not in the data: {listing(map(plain, unknown), most=3)}.{did_you_mean(unknown[0], known - named)}",
            context="A plan is for the data that it was made of.",
            fix="correct the path, or make a new plan: dojang clean DATA ... --plan NEW.csv",
        )
    missing = [path for path in paths if path not in named]
    if missing:
        raise DataError(
            "D151",
            f"{plain(plan.name)} says nothing of {many(len(missing), 'picture')} of the data: "
            f"{listing(map(plain, missing), most=3)}.",
            context="Every picture needs a line, so that none is lost by an oversight.",
            fix="put the lines back; a picture that is to go has the action out.",
        )
    for line in plan.lines:
        _check_line(plan, line)
    if not plan.staying:
        raise DataError(
            "D156",
            f"no picture would be left: all {len(plan.lines):,} are taken out.",
            fix="take out fewer kinds (--drop), or look at them first: dojang scan DATA --html scan.html",
        )
    _check_clashes(plan)


def _check_line(plan: Plan, line: Line) -> None:
    def bad(what: str, fix: str) -> DataError:
        place = f" line {plan.numbers[line.path]:,}" if plan.numbers else ""
        return DataError("D152", f"{plain(plan.name)}{place}: {what} (for {plain(line.path)}).", fix=fix)

    if not _ACTION.fullmatch(line.action):
        near = did_you_mean(line.action, ("keep", "out", "png", "jpeg"))
        raise bad(f"the action is {line.action!r}; expected {_ACTIONS}.{near}"[:-1].rstrip(), "write keep or out.")
    if not line.stays:
        return
    try:
        parts = check_member(line.to).split("/")
    except SecurityError:
        raise bad(
            f"{line.to!r} is no place in the new folder", "write class/name.jpg, without .. or a drive."
        ) from None
    if len(parts) < 2:
        raise bad(f"{plain(line.to)} lies in no class folder", f"write class/{plain(line.to)}")
    wrong = next((part for part in parts if part in ("", ".") or is_hidden(part)), None)
    if wrong is not None:
        raise bad(f"{plain(line.to)} has the part {wrong!r}, which dojang passes over when it reads", "rename it.")
    longest = max(len(part.encode("utf-8", "surrogatepass")) for part in parts)
    if longest > 255:
        raise bad(f"a name of {longest} bytes; disks take 255", "shorten it.")
    if not is_picture(line.to):
        raise bad(
            f"{plain(line.to)} has no extension of a picture", "end it in .jpg, .png, .webp, .bmp, .gif or .tiff."
        )
    how = encoding(line.action)
    if how and extension(line.to) not in EXTENSIONS[how[0]]:
        ends = " or ".join(f".{end}" for end in EXTENSIONS[how[0]])
        raise bad(f"{plain(line.to)} is to be written as {how[0]}", f"end it in {ends}, or write keep.")


def _check_clashes(plan: Plan) -> None:
    """Names that are one on some disk: also by case, or by how an accent is written."""
    taken: dict[str, Line] = {}
    for line in plan.staying:
        form = folded(line.to)
        other = taken.setdefault(form, line)
        # names that lie so in the data already are the user's own
        if other is not line and not (line.to == line.path and other.to == other.path):
            same = "" if other.to == line.to else f" and {plain(line.to)!r}, which are one name on many disks"
            raise _clash(f"{plain(other.path)} and {plain(line.path)} would both be {plain(other.to)!r}{same}.")
    for line in plan.staying:
        for above in _above(folded(line.to)):
            if above in taken:
                raise _clash(f"{plain(taken[above].to)!r} would be a file and a folder, for {plain(line.to)}.")


def _clash(what: str) -> DataError:
    return DataError(
        "D153",
        what,
        context="Nothing is overwritten, and no number is added unasked.",
        fix="--rename-files '{name}_{number:05}', or edit the plan.",
    )


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def extension(path: str) -> str:
    """What stands behind a file's last dot, in small letters."""
    return path.rpartition(".")[2].lower()


def reasons(lines: Iterable[Line]) -> Counter[str]:
    """How many lines give each kind of reason; a line may give several.

    >>> reasons([Line("a.jpg", "out", "", "blank: 3 x 3"), Line("b.jpg", "out", "", "")])
    Counter({'blank': 1, 'by hand': 1})
    """
    return Counter(kind for line in lines for kind in kinds(line))


def kinds(line: Line) -> list[str]:
    """The kinds of a line's reasons."""
    return [part.partition(":")[0].strip() for part in why_of(line)] if line.why.strip() else ["by hand"]


def why_of(line: Line) -> list[str]:
    """A line's reasons, each beginning with its kind; a name among their words may hold a semicolon.

    >>> why_of(Line("a.jpg", "keep", "", "relabel: from a; b; encode: was BMP; name"))
    ['relabel: from a; b', 'encode: was BMP', 'name']
    """
    return re.split(r"; (?=[a-z-]+: |name(?:; |$))", line.why)
