"""A plan carried out in place: nothing is deleted, what goes lies beside the data afterwards.

Everything is a move, and all moves are in the journal before the first is made; see :mod:`dojang.doctor.journal`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dojang import files, folders
from dojang.data.decode import MAX_PIXELS
from dojang.data.manifest import Manifest, csv_line, pasted, plain
from dojang.doctor.apply import Tick, changed, content
from dojang.doctor.journal import DONE, WAITING, Journal, Move, write_journal
from dojang.doctor.places import folder_of
from dojang.doctor.plan import KEEP, Line, Plan, check
from dojang.errors import ConfigError, DataError, DojangError, ResourceError, listing


def rearrange(
    manifest: Manifest,
    plan: Plan,
    *,
    max_pixels: int = MAX_PIXELS,
    tick: Tick = lambda stage, done, total: None,
) -> Journal | None:
    """Carry out a plan in the data's own folder.

    Args:
        tick: Called with "moving", the moves done and their number.

    Returns:
        The journal, whose folder holds what was taken out; None where there was nothing to do.

    Raises:
        ConfigError: C260 for data that cannot be changed in place.
        DataError: D151 to D153, D156; D158 where something is in the way.
        ResourceError: R401 and R402, with what to do about the half that is done.
    """
    data = _own_folder(manifest)
    check(plan, manifest.paths)
    moves, fresh = _moves(plan)
    if not moves:
        return None
    _check_way(data, plan, moves)
    taken = folders.numbered(data.parent, f"{data.name}-taken-out")
    above = {folder for move in moves if not move.taken for folder in _above(move.new)}
    made = sorted(folder for folder in above if not os.path.lexists(data / folder))
    journal = Journal(taken, data, tuple(moves), tuple(made))
    try:
        folders.make_folder(taken / "moving")
        files.write_text(taken / "plan.csv", plan.to_csv())
        # what can fail of a picture fails before the first move
        for number, line in fresh.items():
            files.write_bytes(journal.folder / "moving" / str(number), content(manifest, line, max_pixels))
        write_journal(journal)
    except DojangError:
        # nothing is in it but what was just made
        folders.remove_folder(taken)
        raise
    _carry_out(journal, tick)
    return journal


def _carry_out(journal: Journal, tick: Tick) -> None:
    total = 2 * len(journal.moves)
    try:
        for done, move in enumerate(journal.moves, 1):
            if move.old:
                folders.move(journal.old(move), journal.waiting(move))
            tick("moving", done, total)
        journal.mark(WAITING)
        for done, move in enumerate(journal.moves, len(journal.moves) + 1):
            folders.make_folder(journal.new(move).parent)
            folders.move(journal.waiting(move), journal.new(move))
            tick("moving", done, total)
        _take_emptied(journal)
        journal.mark(DONE)
    except ResourceError as error:
        raise ResourceError(
            error.code,
            error.what,
            context="Not all is moved; nothing is lost, and the journal knows where everything is.",
            fix=f"{journal.undo}, then once more.",
        ) from error


def _own_folder(manifest: Manifest) -> Path:
    data = folder_of(manifest)
    if data is None:
        raise ConfigError(
            "C260",
            f"{manifest.source.name!r} cannot be changed in place: it is no folder of class folders.",
            fix="--out NEW makes a new folder of it.",
        )
    return data.resolve()


def _moves(plan: Plan) -> tuple[list[Move], dict[int, Line]]:
    """The moves, and by their numbers what is encoded anew."""
    moves: list[Move] = []
    fresh: dict[int, Line] = {}
    for line in plan.lines:
        if not line.stays:
            moves.append(Move(len(moves), line.path, f"out/{line.path}", True))
        elif line.action != KEEP:
            moves.append(Move(len(moves), line.path, f"originals/{line.path}", True))
            fresh[len(moves)] = line
            moves.append(Move(len(moves), "", line.to, False))
        elif line.to != line.path:
            moves.append(Move(len(moves), line.path, line.to, False))
    return moves, fresh


def _check_way(data: Path, plan: Plan, moves: Iterable[Move]) -> None:
    """Everything that would stop half-way, found before the first move."""
    device = os.stat(data.parent).st_dev
    leaving = {move.old for move in moves if move.old}
    digests = {line.path: line.sha256.strip().lower() for line in plan.lines}
    looked: dict[str, None] = {}
    for move in moves:
        for folder in (*_above(move.old), *(() if move.taken else _above(move.new))):
            looked[folder] = None
        if move.old:
            path = data / move.old
            if path.is_symlink():
                raise _link(move.old)
            if digests[move.old] and files.sha256_of(path) != digests[move.old]:
                raise changed(move.old)
        if not move.taken and move.new not in leaving and os.path.lexists(data / move.new):
            raise _in_the_way([move.new])
    for folder in looked:
        path = data / folder
        if path.is_symlink():
            raise _link(folder)
        if not os.path.lexists(path):
            continue
        if not path.is_dir():
            raise _in_the_way([folder])
        if os.stat(path).st_dev != device:
            raise ConfigError(
                "C260",
                f"{plain(folder)} is on another disk than {str(data.parent)!r}, where what is taken out would go.",
                fix="--out NEW makes a new folder.",
            )
    for path in (data.parent, data, *(data / folder for folder in looked)):
        if path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
            raise ResourceError(
                "R402",
                f"cannot write {str(path)!r}: Permission denied.",
                context="Nothing was moved.",
                fix=f"chmod u+wx {pasted(str(path))} (as its owner), or --out NEW.",
            )


def _link(path: str) -> ConfigError:
    return ConfigError(
        "C260",
        f"{plain(path)} is a link; what it leads to is not changed in place.",
        fix="--out NEW makes a new folder, in which every picture is a file of its own.",
    )


def _in_the_way(paths: list[str]) -> DataError:
    return DataError(
        "D158",
        f"something stands where pictures are to go: {listing(map(plain, paths), most=3)}.",
        context="Nothing is overwritten, and nothing was moved.",
        fix="move it elsewhere, and start again.",
    )


def _above(path: str) -> list[str]:
    """The folders that a path lies in, the innermost first."""
    found = []
    while "/" in path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found


def _whole(folder: str) -> list[str]:
    """A folder, and those that it lies in."""
    return [folder, *_above(folder)] if folder else []


def _take_emptied(journal: Journal) -> None:
    """Folders that held nothing but what has moved go to ``TAKEN/emptied/``, by number, the outermost of each."""
    # each once, however many pictures it had
    known = {folder for place in {move.old.rpartition("/")[0] for move in journal.moves} for folder in _whole(place)}
    left = {folder for folder in known if holds_nothing(journal.data / folder)}
    outer = sorted(folder for folder in left if not set(_above(folder)) & left)
    if not outer:
        return
    # written before the first is moved
    text = csv_line(("number", "from")) + "".join(csv_line((str(i), name)) for i, name in enumerate(outer))
    files.write_text(journal.folder / "emptied.csv", text)
    folders.make_folder(journal.folder / "emptied")
    for number, name in enumerate(outer):
        folders.move(journal.data / name, journal.folder / "emptied" / str(number))


def holds_nothing(folder: Path) -> bool:
    """Whether there is no file at all in a folder and below; links are files."""
    return folder.is_dir() and not any(
        names or any(os.path.islink(os.path.join(place, name)) for name in inner)
        for place, inner, names in os.walk(folder)
    )
