"""A clean in place taken back, however far it had come: every picture goes where it was, and nothing is deleted."""

from __future__ import annotations

import os
from pathlib import Path

from dojang import files, folders
from dojang.data.manifest import bad_line, csv_rows, plain
from dojang.doctor.apply import Tick
from dojang.doctor.journal import BACK, UNDONE, WAITING, Journal, leads_out, read_journal
from dojang.errors import DataError, listing


def undo(folder: str | Path, *, tick: Tick = lambda stage, done, total: None) -> tuple[Journal, int]:
    """Bring everything back that a clean in place has moved; it may be stopped and called again.

    What was encoded anew stays in ``TAKEN/moving``, what was there before is back.

    Args:
        folder: ``TAKEN``, the folder beside the data.
        tick: Called with "moving", the moves done and their number.

    Returns:
        The journal, and how many pictures are back; 0 where all were.

    Raises:
        DataError: D159 where it holds no journal; D158 where something stands in the way, or is gone.
        ResourceError: R401 and R402; called again, it goes on.
    """
    journal = read_journal(folder)
    marks = journal.marks()
    if UNDONE in marks:
        return journal, 0
    folders.clear_temporaries(journal.folder)
    emptied = _emptied(journal)
    # with the mark, what is not waiting is at its new place; before it, and after all wait again, at its old one
    forward = WAITING in marks and BACK not in marks
    _check(journal, emptied, forward=forward)
    total, count = 2 * len(journal.moves), 0
    for path, place in emptied:
        if path.is_dir() and not os.path.lexists(place):
            folders.make_folder(place.parent)
            folders.move(path, place)
    if forward:
        for done, move in enumerate(journal.moves, 1):
            if not os.path.lexists(journal.waiting(move)):
                folders.move(journal.new(move), journal.waiting(move))
            tick("moving", done, total)
        journal.mark(BACK)
    for done, move in enumerate(journal.moves, len(journal.moves) + 1):
        if move.old and os.path.lexists(journal.waiting(move)):
            folders.make_folder(journal.old(move).parent)
            folders.move(journal.waiting(move), journal.old(move))
        count += bool(move.old)
        tick("moving", done, total)
    for name in sorted(journal.made, key=len, reverse=True):
        folders.remove_empty(journal.data / name)
    journal.mark(UNDONE)
    return journal, count


def _emptied(journal: Journal) -> list[tuple[Path, Path]]:
    """The folders that were emptied: where each is, and where it was."""
    path = journal.folder / "emptied.csv"
    if not path.exists():
        return []
    rows = csv_rows(files.read_text(path), str(path))
    next(rows, None)
    found = []
    for line, fields in rows:
        number, name = fields if len(fields) == 2 else ("", "")
        if not number.isdecimal() or leads_out(name):
            raise bad_line(str(path), line, "it is no line that dojang writes", fix="undo with the file as it was.")
        found.append((journal.folder / "emptied" / number, journal.data / name))
    return found


def _check(journal: Journal, emptied: list[tuple[Path, Path]], *, forward: bool) -> None:
    """Make sure that every picture is where the journal has it, and that its old place is free."""
    waiting = {move.number for move in journal.moves if os.path.lexists(journal.waiting(move))}
    moved = [move for move in journal.moves if forward and move.number not in waiting]
    gone = [move.new for move in moved if not os.path.lexists(journal.new(move))]
    if not forward:
        here = [move for move in journal.moves if move.old and move.number not in waiting]
        gone = [move.old for move in here if not os.path.lexists(journal.old(move))]
    if gone:
        are, them = ("is", "it") if len(gone) == 1 else ("are", "them")
        raise DataError(
            "D158",
            f"cannot bring everything back: {listing(map(plain, gone), most=3)} {are} not where dojang put {them}.",
            context=f"Nothing was moved. Where each belongs: {str(journal.folder / 'journal.csv')!r}.",
            fix="put it back to where it was, and undo again.",
        )
    leaving = {str(journal.new(move)) for move in moved}
    coming = [move for move in journal.moves if move.old and (forward or move.number in waiting)]
    blocked = [move.old for move in coming if os.path.lexists(path := journal.old(move)) and str(path) not in leaving]
    # a file where one of the folders was
    blocked += [str(place) for path, place in emptied if path.is_dir() and place.exists() and not place.is_dir()]
    if blocked:
        raise DataError(
            "D158",
            f"cannot bring everything back: something stands at {listing(map(plain, blocked), most=3)}.",
            context="Nothing was moved, and nothing is overwritten.",
            fix="move it elsewhere, and undo again.",
        )
