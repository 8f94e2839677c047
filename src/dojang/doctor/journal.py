"""The journal of a clean in place: every move, written down before the first, and marks that say how far it has come.

Each picture goes over a waiting place, ``TAKEN/moving/17``, so names may be swapped.  Where a picture is, after a kill
at any moment, follows: at its waiting place if something is there, else at its old place before the mark "waiting", and
at its new one after it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dojang import files, folders
from dojang.data.manifest import bad_line, csv_line, csv_rows, pasted
from dojang.errors import DataError

#: marks in the order in which they are written
WAITING, DONE, BACK, UNDONE = "waiting", "done", "back", "undone"
_COLUMNS = ("number", "from", "to", "taken")


class Move(NamedTuple):
    """One move of the journal.

    Args:
        number: Of its waiting place.
        old: Where it was in the data; "" for what dojang encoded, which begins at the waiting place.
        new: Where it goes: in the data, or below ``TAKEN`` where ``taken``.
    """

    number: int
    old: str
    new: str
    taken: bool


@dataclass(frozen=True)
class Journal:
    """What is known of a clean in place.

    Args:
        folder: The folder beside the data, ``TAKEN``.
        data: The data.
        moves: In order.
        made: Folders of the data that are made for it.
    """

    folder: Path
    data: Path
    moves: tuple[Move, ...]
    made: tuple[str, ...]

    def waiting(self, move: Move) -> Path:
        return self.folder / "moving" / str(move.number)

    def old(self, move: Move) -> Path:
        return self.data / move.old

    def new(self, move: Move) -> Path:
        return (self.folder if move.taken else self.data) / move.new

    def marks(self) -> list[str]:
        """The marks that are written, in order."""
        path = self.folder / "marks.txt"
        return files.read_text(path).split() if path.exists() else []

    def mark(self, word: str) -> None:
        """Write a mark, after everything before it is on the disk."""
        folders.flush_folder(self.folder / "moving")
        # a word that a kill cut short stays a word of its own
        files.append_text(self.folder / "marks.txt", f"\n{word}\n")

    @property
    def undo(self) -> str:
        return f"dojang clean --undo {pasted(str(self.folder))}"


def read_journal(folder: str | Path) -> Journal:
    """The journal in a folder that a clean in place has made.

    Raises:
        DataError: D159 where there is none, or its data is not beside it; D111 where it holds what dojang does not
            write.
    """
    taken = Path(folder)
    if not taken.is_dir():
        raise DataError(
            "D159",
            f"there is no folder {os.fspath(folder)!r}.",
            context="It lies beside the data, by the name that was said when it was cleaned: photos-taken-out.",
            fix="ls -d *-taken-out*, in the folder that the data lies in.",
        )
    if not (taken / "journal.csv").is_file():
        if (taken / "moving").is_dir():
            raise DataError(
                "D159",
                f"{os.fspath(folder)!r} has no journal: the clean was stopped before its first move.",
                context="The data is as it was; there is nothing to bring back.",
                fix="clean it again; this folder is not needed.",
            )
        beside = taken.with_name(f"{taken.resolve().name}-taken-out")
        raise DataError(
            "D159",
            f"{os.fspath(folder)!r} holds no journal of a clean in place.",
            context="A folder made by --out is new: the data that it was made of is as it was.",
            fix=f"give the folder beside the data: dojang clean --undo {pasted(str(beside))}",
        )
    name = str(taken / "journal.csv")
    rows = csv_rows(files.read_text(name), name)
    next(rows, None)
    moves, made, data = [], [], ""
    for line, fields in rows:
        number, old, new, kind = fields if len(fields) == len(_COLUMNS) else ("", "", "", "")
        if kind == "data":
            data = new
            continue
        # it is written by dojang, but may have come from anywhere
        if not (number.isdecimal() or kind == "made") or leads_out(old) or leads_out(new):
            raise bad_line(name, line, "it is no line that dojang writes", fix="undo with the journal as it was.")
        if kind == "made":
            made.append(new)
        else:
            moves.append(Move(int(number), old, new, kind == "taken"))
    own = Path(data).name
    if not own or leads_out(own):
        raise bad_line(name, 2, "it is no line that dojang writes", fix="undo with the journal as it was.")
    # beside it also where both were moved together; nowhere else, for the journal may have come from anywhere
    beside = taken.resolve().parent / own
    if not beside.is_dir():
        raise DataError(
            "D159",
            f"{os.fspath(folder)!r} is of {data!r}, which does not lie beside it.",
            context="Pictures are brought back into the folder beside it alone.",
            fix="put the two beside each other, and undo again.",
        )
    return Journal(taken.resolve(), beside, tuple(moves), tuple(made))


def leads_out(path: str) -> bool:
    """Whether a path of a journal may lead out of the folder that it is of."""
    return path.startswith("/") or ".." in path.split("/") or "\0" in path


def write_journal(journal: Journal) -> None:
    """Write down all moves, before the first."""
    lines = [csv_line(_COLUMNS), csv_line(("", "", str(journal.data), "data"))]
    lines += [csv_line(("", "", folder, "made")) for folder in journal.made]
    for number, old, new, taken in journal.moves:
        lines.append(csv_line((str(number), old, new, "taken" if taken else "")))
    files.write_text(journal.folder / "journal.csv", "".join(lines))


def check_no_other(data: Path) -> None:
    """Make sure that no clean of a folder in place is half done. Raises DataError D157."""
    for path in sorted(data.parent.glob("*-taken-out*")):
        if not path.name.startswith(f"{data.name}-taken-out") or not (path / "journal.csv").is_file():
            continue
        try:
            journal = read_journal(path)
        except DataError as error:
            if error.code == "D159":
                # of data that is elsewhere
                continue
            raise
        if journal.data != data:
            continue
        marks = journal.marks()
        if (DONE not in marks and UNDONE not in marks) or (BACK in marks and UNDONE not in marks):
            raise DataError(
                "D157",
                f"a clean of {str(data)!r} in place was stopped half-way: some of its pictures are in {str(path)!r}.",
                fix=journal.undo,
            )
