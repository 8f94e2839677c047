"""Folders: made, numbered, filled before they get their name, moved; by the calls of files.py, the only writer."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dojang import files
from dojang.errors import ConfigError


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder that appears with all that the block puts into it, when the block ends; after an error nothing stays.

    Args:
        path: The final place, where nothing is yet.

    Raises:
        ResourceError: R402 when the place cannot be written.

    Example:
        >>> with tempfile.TemporaryDirectory() as place:
        ...     with new_folder(place + "/new") as folder:
        ...         files.write_bytes(folder / "a" / "1.bin", b"1", flush=False)
        ...     (Path(place) / "new" / "a" / "1.bin").read_bytes()
        b'1'
    """
    path = Path(path).absolute()
    temporary = files.temporary(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        # once for all of them: of thousands of small files, each flushed alone takes minutes
        files._sync_all()
        files._rename(temporary, path)
        files._sync_folder(path.parent)
    except OSError as error:
        raise files._explain(error, path, 0, "") from error
    finally:
        # after a success it has its final name
        shutil.rmtree(temporary, ignore_errors=True)


def link(source: str | os.PathLike[str], path: Path, *, hard: bool = False) -> None:
    """Another way to a file, in a folder of :func:`new_folder`: a symbolic link, or a second name of the same file.

    Raises:
        ConfigError: C270 where the disk has no such links, or the file is on another disk.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files._link(source, path, hard)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.ENOTSUP):
            kind = "a second name" if hard else "a symbolic link"
            raise ConfigError(
                "C270",
                f"{os.fspath(source)!r} cannot get {kind} there: {os.strerror(error.errno)}.",
                fix="--copy" + (", or --link." if hard else "."),
            ) from error
        raise files._explain(error, path, 0, "") from error


def free_name(path: Path) -> Path:
    """The path, or the first of name-2, name-3 ... beside it where nothing is yet."""
    number, free = 1, path
    while free.exists() or free.is_symlink():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def check_name(name: str) -> str:
    """The name of a run folder, if it is one of a folder's own; a path would lead out of the project.

    Raises:
        ConfigError: C202.

    Example:
        >>> check_name("mine")
        'mine'
        >>> check_name("../mine")
        Traceback (most recent call last):
        dojang.errors.ConfigError: ConfigError[C202]: --name is '../mine'; expected the name of a folder, not a path.
          Fix: --name mine; the folder that it is made in is --project.
    """
    if name in ("", ".", "..") or any(sign in name for sign in ("/", os.sep, "\0")):
        usual = name.replace("\0", "/").rstrip("/").rpartition("/")[2]
        raise ConfigError(
            "C202",
            f"--name is {name!r}; expected the name of a folder, not a path.",
            fix=f"--name {'mine' if usual in ('', '.', '..') else shlex.quote(usual)}; "
            "the folder that it is made in is --project.",
        )
    return name


def numbered(folder: Path, name: str, *, exist_ok: bool = False) -> Path:
    """Make a fresh folder: ``name``, or ``name2``, ``name3`` ... when it exists; nothing is overwritten.

    Raises:
        ConfigError: C202 for a name that leads elsewhere; C205 where it is a file's.
        ResourceError: R402 when the place cannot be written.
    """
    check_name(name)
    number = 1
    while True:
        path = folder / (name if number == 1 else f"{name}{number}")
        try:
            path.mkdir(parents=True, exist_ok=exist_ok)
            return path
        except FileExistsError:
            if path.exists() and not path.is_dir() and exist_ok:
                raise ConfigError("C205", f"{str(path)!r} is a file; a folder is needed.", fix="--name other") from None
            number += 1
        except OSError as error:
            raise files._explain(error, path, 0, "") from error


def unfinished(path: str | os.PathLike[str]) -> Path:
    """The name under which a folder is filled before it is :func:`finish`-ed: a kill leaves nothing that looks whole.

    >>> unfinished("photos").name
    'photos.unfinished'
    """
    path = Path(path)
    return path.with_name(f"{path.name}.unfinished")


def finish(path: str | os.PathLike[str]) -> None:
    """Flush what was written into ``path.unfinished``, and give it its name; what stands there already stays.

    Raises:
        ResourceError: R402 when the place cannot be written or has been taken meanwhile.
    """
    try:
        files._sync_all()
    except OSError as error:
        raise files._explain(error, Path(path), 0, "") from error
    move(unfinished(path), path)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder and those above it, if missing. Raises R402 when the place cannot be written."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise files._explain(error, Path(path), 0, "") from error


def move(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Give a file or folder another name on the same disk; never over something that is there.

    Raises:
        ResourceError: R402 when it cannot be moved, or something stands at ``target``.
    """
    try:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        files._rename(Path(source), Path(target))
    except OSError as error:
        raise files._explain(error, Path(target), 0, "") from error


def flush_folder(folder: str | os.PathLike[str]) -> None:
    """Make sure that the names in a folder survive a power cut."""
    try:
        files._sync_folder(Path(folder))
    except OSError as error:
        raise files._explain(error, Path(folder), 0, "") from error


def remove_empty(folder: str | os.PathLike[str]) -> None:
    """Remove a folder that dojang made, if nothing is in it; one that holds anything stays."""
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def remove_folder(path: Path) -> None:
    """Remove a folder of dojang's own cache."""
    shutil.rmtree(path)


def clear_temporaries(folder: Path) -> list[str]:
    """Remove what writers that were killed left in a folder and below; gives the names."""
    gone = []
    for path in sorted(folder.rglob(".*.dojang-tmp")):
        match = files._TEMPORARY.match(path.name)
        if match and not files._alive(int(match[1])):
            path.unlink(missing_ok=True)
            gone.append(path.name)
    return gone


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder of the system's temporary ones for what another program writes; it goes with the block."""
    with tempfile.TemporaryDirectory(prefix="dojang-") as folder:
        yield Path(folder)
