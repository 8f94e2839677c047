"""From what the user gives (a folder, an archive, a table, a name) to a manifest; nothing is decoded or written."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from dojang.data.layout import Listing, arrange, is_hidden
from dojang.data.manifest import Manifest, plain
from dojang.data.sources import FolderSource, unreadable
from dojang.errors import DataError, did_you_mean, listing


def find(data: str | Path, data_root: str | Path | None = None, download: bool = False) -> Manifest:
    """The pictures in a folder, an archive or a table, or of a data set by name, with their labels and splits.

    Use it for whatever a user gives as DATA. Splits are those that the data brings;
    :func:`dojang.data.split.assign` adds those that are missing.

    Args:
        data: A folder of class folders, with or without train/ val/ test/ above them; a tar or zip of one, read in
            place; a CSV of path,label[,split][,group]; a folder of IDX or CIFAR files, or of ``save_to_disk``; an npz
            of x_train, y_train, ...; a name such as "mnist", or "hf:NAME" of the library datasets. What exists on the
            disk wins over a name.
        data_root: Where data sets by name are looked for and kept.
        download: Whether a data set by name may be fetched.

    Raises:
        DataError: D100 when there is nothing of that name; D101, D107 and D122 to D125 when folders cannot be
            understood; D111 for tables, D112 for what cannot be read; IDX, CIFAR and named sets have their own.
        SecurityError: X502 to X505 for archives that could do harm.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as photos:
        ...     for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg"):
        ...         path = Path(photos, name)
        ...         path.parent.mkdir(exist_ok=True)
        ...         _ = path.write_bytes(b"")
        ...     found = find(photos)
        >>> found.classes, found.paths
        (('cat', 'dog'), ('cat/1.jpg', 'cat/2.jpg', 'dog/1.jpg'))
    """
    where = str(data)
    path = Path(data).expanduser()
    if not where:
        raise DataError("D100", "DATA is empty.", fix=_GIVE)
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return _by_name(where, path, data_root, download)
    except (OSError, ValueError) as error:
        raise unreadable(where, error) from error
    if stat.S_ISDIR(kind):
        return _in_folder(path, where)
    if not stat.S_ISREG(kind):
        raise DataError("D100", f"{where!r} is neither a file nor a folder.", fix=_GIVE)
    if path.suffix.lower() == ".csv":
        from dojang.data.tables import read_table

        return read_table(path, where)
    from dojang.data.archive import kind_of, open_archive

    packing = kind_of(path, where)
    if packing == "zip" and path.suffix.lower() == ".npz":
        from dojang.data.npz import find_npz

        return find_npz(path, where)
    if packing is None:
        raise DataError("D100", f"{where!r} is neither a tar, a zip nor a CSV.", fix=_GIVE)
    source, found = open_archive(path, packing, where)
    return arrange(found, source, where, archive=path.name)


def walk(root: Path, where: str) -> Listing:
    """All names below a folder; links are followed, but not back to a folder they lie in.

    Raises:
        DataError: D112 when a folder may not be listed.
    """
    found, loops = Listing(), []
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while waiting:
        folder, above = waiting.pop()
        place = os.path.join(root, folder) if folder else str(root)
        try:
            facts = os.stat(place)
            with os.scandir(place) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            raise unreadable(folder or where, error, inside=where if folder else "", place=place) from error
        if (facts.st_dev, facts.st_ino) in above:
            loops.append(folder)
            found.folders.discard(folder)
            continue
        above |= {(facts.st_dev, facts.st_ino)}
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if is_hidden(entry.name):
                found.hidden.add(path)
            elif _is_folder(entry):
                found.folders.add(path)
                waiting.append((path, above))
            else:
                found.add_file(path)
    if loops:
        found.notes.append(f"did not follow links back to a folder above: {listing(map(plain, sorted(loops)), most=5)}")
    return found


_GIVE = "give a folder with one folder of pictures a class, a tar or zip of such a folder, or a CSV of path,label."


def _in_folder(path: Path, where: str) -> Manifest:
    from dojang.data.cifar import find_cifar
    from dojang.data.hf import find_hf, is_saved
    from dojang.data.idx import find_idx

    if is_saved(path):
        return find_hf(where)
    names = walk(path, where)
    for known in (find_idx, find_cifar):
        found = known(path)
        if found is not None:
            return found
    return arrange(names, FolderSource(path, where), where)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # a link that leads round to itself; reading it will say so
        return False


def recorded(data: str | Path, data_root: str | Path | None = None, download: bool = False) -> Manifest:
    """:func:`find`, of what a run's args.yaml says: places are absolute there, so a name is that of a data set.

    A folder of that name where the command happens to be given, of runs maybe, is another matter.

    Raises:
        DataError, SecurityError: As :func:`find`.
    """
    from dojang.data.named import NAMES, open_named

    name = str(data).lower()
    return open_named(name, data_root, download) if name in NAMES else find(data, data_root, download)


def _by_name(where: str, path: Path, data_root: str | Path | None, download: bool) -> Manifest:
    from dojang.data.hf import PREFIX, find_hf
    from dojang.data.named import NAMES, open_named

    if where.startswith(PREFIX):
        return find_hf(where, download)
    for name in (where, where.lower()):
        if name in NAMES:
            return open_named(name, data_root, download)
    near = did_you_mean(where.lower(), NAMES) if "/" not in where else ""
    raise DataError(
        "D100",
        f"there is no file or folder {where!r}{'' if '/' in where else ', and no data set of that name'}."
        + (near or did_you_mean(where, _neighbours(where, path))),
        context=f"Data sets by name: {listing(sorted(NAMES), most=20)}.",
        fix=_GIVE,
    )


def _neighbours(where: str, path: Path) -> Iterator[str]:
    """What lies beside the path, written as the user wrote it."""
    try:
        names = sorted(os.listdir(path.parent))
    except OSError:
        return
    head = where.rstrip("/").rpartition("/")
    yield from (f"{head[0]}{head[1]}{name}" for name in names)
