"""The only writer: every byte that dojang puts on a disk goes through this file.

A file is written beside its final place, flushed to the disk, renamed over the old one, and the folder is flushed too;
so at any moment, also after a kill or a power cut, the name leads to the whole old file or the whole new one.
The calls that touch the disk are the small functions at the end: tests make each of them fail in turn.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dojang.errors import ConfigError, DojangError, ResourceError, SecurityError

_TEMPORARY = re.compile(r"^\..+\.(\d+)\.dojang-tmp$")
# bytes of an array that are handed over at once
_PIECE = 2**24
# bytes of a name, on the file systems that people use
_LONGEST = 255
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Writer:
    """A file being written beside its final place; :meth:`write` adds bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = temporary(path)
        self.fd = _open(self.temporary)
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes, all of them or an error."""
        view = memoryview(data).cast("B")
        self.size += len(view)
        while view:
            view = view[_write(self.fd, view) :]


def temporary(path: Path) -> Path:
    """What a file or folder is called, beside its final place, while it is made.

    >>> temporary(Path("a/b.jpg")).name == f".b.jpg.{os.getpid()}.dojang-tmp"
    True
    """
    end = f".{os.getpid()}.dojang-tmp"
    name = os.fsencode(path.name)
    # a name that is nearly as long as disks take has no room for more
    stem = path.name if len(name) + len(end) < _LONGEST else hashlib.sha256(name).hexdigest()
    return path.with_name(f".{stem}{end}")


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], *, keeps: str = "", flush: bool = True) -> Iterator[Writer]:
    """Write a file piece by piece; it appears, whole, when the block ends without an error.

    Args:
        path: The final place; its folder is made if missing.
        keeps: What is still intact if this fails, for the message ("state/step-4500 is intact").
        flush: False leaves it to :func:`finish`, which flushes a whole folder of files at once.

    Raises:
        ResourceError: R401 when the disk is full, R402 when the place cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with writing(folder + "/a.bin") as out:
        ...         out.write(b"12")
        ...         out.write(b"3")
        ...     (Path(folder) / "a.bin").read_bytes()
        b'123'
    """
    path = Path(path)
    writer = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = Writer(path)
        yield writer
        if flush:
            _sync(writer.fd)
        fd, writer.fd = writer.fd, -1
        _close(fd)
        _replace(writer.temporary, path)
        if flush:
            _sync_folder(path.parent)
    except OSError as error:
        raise _explain(error, path, writer.size if writer else 0, keeps) from error
    finally:
        if writer is not None:
            if writer.fd >= 0:
                # the error that led here is the one to tell
                with contextlib.suppress(OSError):
                    _close(writer.fd)
            # after a success the temporary name is gone already
            writer.temporary.unlink(missing_ok=True)


class Spool:
    """Bytes put aside on the disk while the program runs, in a file without a name: nothing of it is left behind.

    Args:
        folder: On the disk that has the room; made if missing.

    Raises:
        ResourceError: R401 when the disk is full, R402 when the place cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     spool = Spool(Path(folder))
        ...     begins = [spool.append(b"12"), spool.append(b"3")]
        ...     begins, spool.read(0, 2), os.listdir(folder)
        ([0, 2], b'12', [])
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self.size = folder, 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._fd, name = tempfile.mkstemp(dir=folder)
            os.unlink(name)
        except OSError as error:
            raise _explain(error, folder, 0, "") from error
        weakref.finalize(self, os.close, self._fd)

    def append(self, data: bytes | memoryview) -> int:
        """Where in the file the bytes begin, now that they are there."""
        begins, view = self.size, memoryview(data).cast("B")
        try:
            while view:
                view = view[_write(self._fd, view) :]
        except OSError as error:
            raise _explain(error, self._folder / "pictures put aside", begins + len(view), "") from error
        self.size += memoryview(data).nbytes
        return begins

    def read(self, begins: int, length: int) -> bytes:
        """Bytes that were put aside; several threads may ask at once."""
        return os.pread(self._fd, length, begins)


def must_be_new(path: str | os.PathLike[str], *, fix: str, flag: str = "") -> None:
    """Refuse a place that holds something: what a user names for a result is never overwritten.

    Raises:
        ConfigError: C202 with a fix, and the flag that named the place.
    """
    # a link that leads nowhere is something, too
    if os.path.lexists(path):
        said = f"{flag} {os.fspath(path)!r}".lstrip()
        raise ConfigError("C202", f"{said} is there already; nothing is overwritten.", fix=fix)


def write_bytes(path: str | os.PathLike[str], data: bytes | memoryview, *, keeps: str = "", flush: bool = True) -> None:
    """Put ``data`` at ``path``: the whole of it, or the old file stays. Raises as :func:`writing` does."""
    with writing(path, keeps=keeps, flush=flush) as out:
        out.write(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Put UTF-8 text at ``path``; names that are not valid Unicode keep their bytes."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Put ``value`` at ``path`` as JSON that a person can read."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Put NumPy arrays at ``path`` as NumPy's own npz, straight from where they lie; no array holds objects.

    Args:
        arrays: By name; the same arrays give the same bytes on any day.
    """
    import numpy as np
    from numpy.lib import format as npy

    with writing(path) as out, zipfile.ZipFile(_Stream(out), "w", zipfile.ZIP_STORED) as packed:
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise ValueError(f"{name} holds objects, which only pickle could write")
            array = np.ascontiguousarray(array)
            with packed.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(array))
                for start in range(0, array.nbytes, _PIECE):
                    file.write(array.reshape(-1).view(np.uint8)[start : start + _PIECE].data)


class _Stream(io.RawIOBase):
    """A writer as zipfile wants it: bytes go in, no position is ever gone back to."""

    def __init__(self, out: Writer) -> None:
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._out.write(data)
        return len(data)


def append_text(path: str | os.PathLike[str], text: str) -> None:
    """Add text to a log and flush it to the disk; only logs, whose tail a resume cuts, are written in place."""
    path, data = Path(path), memoryview(text.encode("utf-8", "surrogateescape"))
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            while data:
                data = data[_write(fd, data) :]
            _sync(fd)
        finally:
            _close(fd)
    except OSError as error:
        raise _explain(error, path, len(data), "") from error


def read_text(path: str | os.PathLike[str]) -> str:
    """The UTF-8 text of a file; bytes that are not valid UTF-8 survive a round trip."""
    return Path(path).read_bytes().decode("utf-8", "surrogateescape")


def sha256(data: bytes | memoryview) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(path: str | os.PathLike[str], algorithm: str = "sha256") -> str:
    """The digest of a file, read in pieces; ``algorithm`` as in hashlib."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def check_member(name: str) -> str:
    """The name of an archive's member if it stays inside; else an error.

    Raises:
        SecurityError: X502 for absolute names, drive letters, ``..`` and empty or zero-byte names.
    """
    parts = name.replace("\\", "/").split("/")
    if not name or name[0] in "/\\" or re.match(r"^[A-Za-z]:", name) or ".." in parts or "\0" in name:
        raise SecurityError(
            "X502",
            f"the archive has a member named {name!r}, which would lie outside the folder it is unpacked to.",
            context="Nothing was read from it or written.",
            fix="get the archive from a source you trust, or pack the pictures again with relative names.",
        )
    return name


def safe_join(root: str | os.PathLike[str], member: str) -> Path:
    """``root/member``, sure to lie inside ``root`` after links are followed. Raises X502 otherwise."""
    root = Path(root).resolve()
    path = (root / check_member(member)).resolve()
    if not path.is_relative_to(root):
        check_member("../" + member)
    return path


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file for the length of a block; the system frees it when the process dies, however it dies.

    Raises:
        ConfigError: C206 when another process holds it.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise _explain(error, path, 0, "") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
            raise ConfigError(
                "C206",
                f"{what} is in use by process {holder or 'unknown'}.",
                fix="wait for it to end, or stop it.",
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(fd)


def remove(path: Path) -> None:
    """Remove one file of dojang's own that a newer one replaces (an older state)."""
    path.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Where dojang keeps what it can make again: ``$DOJANG_CACHE``, or ``dojang`` in the user's cache folder."""
    given = os.environ.get("DOJANG_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(base) / "dojang"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _explain(error: OSError, path: Path, size: int, keeps: str) -> DojangError:
    context = keeps
    if error.errno in _NO_ROOM:
        room = path.parent
        while not room.exists():
            room = room.parent
        return ResourceError(
            "R401",
            f"cannot write {path.name}: needs at least {_size(size)}, {_size(_free(room))} free on {str(room)!r} "
            f"({os.strerror(error.errno or 0)}).",
            context=context,
            fix="free space, then run the command again (a training run: dojang train --resume RUN).",
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return ResourceError(
        "R402",
        f"cannot write {str(path)!r}: {reason}.",
        context=context,
        fix="choose a place you can write: --out, --project FOLDER (or DOJANG_CACHE=FOLDER for the cache).",
    )


def _size(n: int) -> str:
    return f"{n / 1e6:,.1f} MB" if n >= 1e5 else f"{n:,} bytes"


# The calls that touch the disk. Tests replace them one by one.


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)


def _write(fd: int, data: memoryview) -> int:
    return os.write(fd, data)


def _sync(fd: int) -> None:
    os.fsync(fd)


def _close(fd: int) -> None:
    os.close(fd)


def _replace(source: Path, target: Path) -> None:
    os.replace(source, target)


def _link(source: str | os.PathLike[str], path: Path, hard: bool) -> None:
    # the link itself would be given a second name: what is meant is the file
    os.link(os.path.realpath(source), path) if hard else os.symlink(source, path)


def _rename(source: Path, target: Path) -> None:
    # never over something: the system looks and renames in one step, where it can
    import ctypes

    call = _rename_to_nothing()
    if call is not None:
        here, no_replace = -100, 1
        if call(here, os.fsencode(source), here, os.fsencode(target), no_replace) == 0:
            return
        number = ctypes.get_errno()
        # a system or a disk that cannot
        if number not in (errno.ENOSYS, errno.EINVAL):
            raise OSError(number, os.strerror(number), str(source), None, str(target))
    os.rename(source, target)


@functools.cache
def _rename_to_nothing() -> Any:
    """Linux's renameat2, or None."""
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call


def _sync_all() -> None:
    os.sync()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
