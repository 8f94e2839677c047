"""Tar and zip archives, read in place: nothing is ever unpacked to the disk.

An archive is a stranger's list of names and sizes, and both can lie, so every member is checked before any is used: the
name stays inside, is a plain file or a folder, is the only one so called, and does not swell beyond measure.

A plain tar and a zip are read picture by picture.  A compressed tar can only be read from its beginning, so its pictures
are kept in memory.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shlex
import stat
import struct
import tarfile
import threading
import weakref
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from dojang.data.layout import Listing, is_hidden
from dojang.data.manifest import MOST_BYTES, Source
from dojang.data.sources import too_long, unreadable
from dojang.errors import DataError, SecurityError
from dojang.files import check_member

MOST_ENTRIES = 1_000_000
# what the pictures of a compressed tar may take in memory, and all of a zip beyond _USUAL_RATIO
MOST_TOTAL = 4 * 2**30
# no picture is packed so well; a member below _SMALL may be, for it does no harm
MOST_RATIO, _SMALL = 1_000, 10**6
_USUAL_RATIO = 100
# bytes read at a time, and the most that one of tar's own headers (long names, attributes) may take
_PIECE = 2**20
_TOOLS = {"gz": "gzip", "bz2": "bzip2", "xz": "xz"}
_UNPACK = "if you trust it: unpack it yourself and give the folder."
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    # what the two readers let through on headers of random bytes
    ValueError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    MemoryError,
    struct.error,
)


def kind_of(path: Path, where: str) -> str | None:
    """ "tar", "gz", "bz2", "xz" (compressed tars) or "zip", by content; None for anything else.

    Raises:
        DataError: D112 when the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise unreadable(where, error, place=str(path)) from error
    for magic, kind in ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\0", "xz"), (b"PK\x03\x04", "zip")):
        if head.startswith(magic):
            return kind
    # PK 5 6: a zip without members; a tar of before 1988 has no magic
    if head.startswith(b"PK\x05\x06"):
        return "zip"
    return "tar" if head[257:262] == b"ustar" or path.suffix.lower() == ".tar" else None


def open_archive(path: Path, kind: str, where: str) -> tuple[Source, Listing]:
    """An archive's pictures, and the names in it.

    Args:
        kind: From :func:`kind_of`.
        where: What the user gave, for messages.

    Raises:
        SecurityError: X502 a member outside, X503 a link or device, X504 a bomb, X505 two members of one name.
        DataError: D112 when it is damaged or encrypted.
    """
    rules = _Rules(where)
    try:
        return (_open_zip if kind == "zip" else _open_tar)(path, kind, rules), rules.found
    except _DAMAGE as error:
        raise _damaged(where, error, place=str(path)) from error


class TarSource:
    """The pictures of a plain tar, each read from where it lies."""

    def __init__(self, path: Path, name: str, places: dict[str, tuple[int, int]]) -> None:
        self.name, self._prefix, self._places = name, f"{path.name}!/", places
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._fd)

    def read(self, path: str) -> bytes:
        """The bytes of a member. Raises DataError D112 when they cannot be read."""
        start, size = _entry(self._places, path, self._prefix, self.name)
        if size > MOST_BYTES:
            raise too_long(path, size, self.name)
        try:
            # pread has no position that threads could move under each other
            data = os.pread(self._fd, size, start)
        except OSError as error:
            raise unreadable(path, error, inside=self.name) from error
        if len(data) < size:
            raise unreadable(path, "the archive was cut short while it was in use", inside=self.name)
        return data


class MemorySource:
    """The pictures of a compressed tar, held in memory."""

    def __init__(self, path: Path, name: str, members: dict[str, bytes]) -> None:
        self.name, self._prefix, self._members = name, f"{path.name}!/", members

    def read(self, path: str) -> bytes:
        """The bytes of a member. Raises DataError D112 when there is none of that name."""
        return _entry(self._members, path, self._prefix, self.name)


class ZipSource:
    """The pictures of a zip, decompressed one at a time."""

    def __init__(self, path: Path, name: str, opened: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> None:
        self.name, self._prefix = name, f"{path.name}!/"
        self._zip, self._members, self._lock = opened, members, threading.Lock()

    def read(self, path: str) -> bytes:
        """The bytes of a member. Raises DataError D112 when they are damaged."""
        info = _entry(self._members, path, self._prefix, self.name)
        if info.file_size > MOST_BYTES:
            raise too_long(path, info.file_size, self.name)
        try:
            with self._lock, self._zip.open(info) as file:
                # with its size given, a member that lies about it cannot take more
                data = file.read(info.file_size)
        except _DAMAGE as error:
            raise _damaged(path, error, inside=self.name) from error
        if len(data) < info.file_size:
            raise unreadable(path, "it is shorter than the archive says", inside=self.name)
        return data


class _Rules:
    """What holds for every member of an archive; collects the names that pass."""

    def __init__(self, where: str) -> None:
        self.where, self.found = where, Listing()
        self._entries = 0
        self._seen: dict[str, tuple[str, bool]] = {}

    def admit(self, name: str, *, is_folder: bool) -> str:
        """Check and list a name; gives it without "./" when it is that of a picture, else nothing."""
        self._entries += 1
        if self._entries > MOST_ENTRIES:
            raise self.bomb(f"it has more than {MOST_ENTRIES:,} members")
        parts = [part for part in check_member(name).split("/") if part not in ("", ".")]
        if not parts:
            return ""
        path = "/".join(parts)
        # systems differ on which of two such names a folder keeps, so the data would not be the same everywhere
        before = self._seen.get(path.lower())
        if before and not (is_folder and before == (path, True)):
            raise SecurityError(
                "X505",
                f"{self.where!r} has two members of one name: {before[0]!r} and {path!r}.",
                context="Names that differ only in case count as one, as they do on many disks.",
                fix="rename one of the two and pack the archive again.",
            )
        self._seen[path.lower()] = path, is_folder
        for depth in range(1, len(parts) + 1):
            if is_hidden(parts[depth - 1]):
                self.found.hidden.add("/".join(parts[:depth]))
                return ""
            if depth < len(parts) or is_folder:
                self.found.folders.add("/".join(parts[:depth]))
        return path if not is_folder and self.found.add_file(path) else ""

    def refuse(self, name: str, kind: str) -> SecurityError:
        """The error for a member that is neither a plain file nor a folder."""
        return SecurityError(
            "X503",
            f"{self.where!r} has a member that is {kind}: {name!r}. Only plain files and folders are read.",
            fix="pack it again with the files themselves: tar --dereference --hard-dereference -cf photos.tar photos/",
        )

    def bomb(self, why: str, *, context: str = "", fix: str = _UNPACK) -> SecurityError:
        """The error for an archive that is too much."""
        return SecurityError("X504", f"{self.where!r} is refused: {why}.", context=context, fix=fix)


def _open_zip(path: Path, kind: str, rules: _Rules) -> ZipSource:
    try:
        # many tools write UTF-8 names without saying so
        opened = zipfile.ZipFile(path, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        opened = zipfile.ZipFile(path)
    members: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for info in opened.infolist():
        name = info.orig_filename.replace("\\", "/")
        picture = rules.admit(name, is_folder=name.endswith("/"))
        mode = stat.S_IFMT(info.external_attr >> 16)
        if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise rules.refuse(name, "a symbolic link" if mode == stat.S_IFLNK else "a device")
        if info.file_size > _SMALL and info.file_size > MOST_RATIO * max(1, info.compress_size):
            raise rules.bomb(_swells(name, info.compress_size, info.file_size))
        total += info.file_size
        if picture:
            if info.flag_bits & 1:
                raise _closed(rules.where, picture, "is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _closed(rules.where, picture, f"is compressed by method {info.compress_type}; deflate is read")
            members[picture] = info
    if total > MOST_TOTAL and total > _USUAL_RATIO * path.stat().st_size:
        raise rules.bomb(_swells("all of it", path.stat().st_size, total))
    return ZipSource(path, rules.where, opened, members)


def _open_tar(path: Path, kind: str, rules: _Rules) -> Source:
    places: dict[str, tuple[int, int]] = {}
    held: dict[str, bytes] = {}
    with open(path, "rb") as file:
        stream = _Stream(file, kind, rules)
        tar = tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        total = 0
        while (member := tar.next()) is not None:
            # it keeps them all otherwise
            tar.members = []
            picture = rules.admit(member.name, is_folder=member.isdir())
            if not (member.isdir() or member.isreg()) or member.issparse():
                raise rules.refuse(member.name, _what(member))
            # a size below zero would send the reader back, for ever
            if member.size < 0 or (kind == "tar" and member.offset_data + member.size > stream.size):
                raise EOFError("it ends inside a member")
            total += member.size
            if kind != "tar" and total > MOST_TOTAL:
                raise _too_big(path, kind, rules)
            stream.start(member.name)
            if picture and kind == "tar":
                places[picture] = member.offset_data, member.size
            elif picture:
                held[picture] = stream.take(member.size)
        stream.finish()
    return TarSource(path, rules.where, places) if kind == "tar" else MemorySource(path, rules.where, held)


class _Raw:
    """A compressed file handed to its decompressor in small pieces, and counted."""

    def __init__(self, file: BinaryIO, piece: int) -> None:
        self.file, self.piece, self.count = file, piece, 0

    def read(self, n: int = -1) -> bytes:
        data = self.file.read(self.piece if n < 0 else min(n, self.piece))
        self.count += len(data)
        return data


class _Stream:
    """A tar from its beginning to its end, as tarfile wants it; watches how much comes out of how little."""

    def __init__(self, file: BinaryIO, kind: str, rules: _Rules) -> None:
        self.size = os.fstat(file.fileno()).st_size
        # small pieces show early that a small archive is a bomb; in a large one they would cost time
        self._raw = _Raw(file, min(2**16, max(2**8, self.size // 2**12)))
        raw: Any = self._raw
        self._inner: Any = {
            "tar": lambda: file,
            "gz": lambda: gzip.GzipFile(fileobj=raw, mode="rb"),
            "bz2": lambda: bz2.BZ2File(raw),
            "xz": lambda: lzma.LZMAFile(raw),
        }[kind]()
        self._is_plain, self._rules = kind == "tar", rules
        self._position, self._last = 0, b""
        self.start("its beginning")

    def start(self, name: str) -> None:
        """Measure from here on, for the member of that name."""
        self._name, self._out, self._in = name, self._position, self._raw.count

    def tell(self) -> int:
        return self._position

    def read(self, n: int = -1) -> bytes:
        if not 0 <= n <= _PIECE:
            raise self._rules.bomb(f"a header in it claims {n:,} bytes")
        data: bytes = self._inner.read(n)
        self._position += len(data)
        self._last = data
        grown = self._position - self._out
        # the decompressor may have had up to one piece before the member began
        took = self._raw.count - self._in + self._raw.piece
        if not self._is_plain and grown > _SMALL and grown > MOST_RATIO * took:
            raise self._rules.bomb(_swells(self._name, took, grown))
        return data

    def seek(self, position: int) -> None:
        if self._is_plain:
            self._position = self._inner.seek(position)
        while self._position < position:
            if not self.read(min(_PIECE, position - self._position)):
                raise EOFError("it ends inside a member")

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        data = bytearray()
        while len(data) < size:
            piece = self.read(min(_PIECE, size - len(data)))
            if not piece:
                raise EOFError("it ends inside a member")
            data += piece
        return bytes(data)

    def finish(self) -> None:
        """Make sure that the archive ended where it says; tarfile takes a torn header for the end, too."""
        if self._last != bytes(tarfile.BLOCKSIZE):
            raise EOFError("it has no end mark")
        # also makes the decompressor compare its checksum
        if self.read(_PIECE).strip(b"\0"):
            raise EOFError("it goes on after its end mark")


def _entry(members: dict[str, Any], path: str, prefix: str, name: str) -> Any:
    try:
        return members[path.removeprefix(prefix)]
    except KeyError:
        raise unreadable(path, "there is no such member", inside=name) from None


def _damaged(path: str, error: BaseException, *, inside: str = "", place: str = "") -> DataError:
    if isinstance(error, OSError) and error.errno is not None:
        return unreadable(path, error, inside=inside, place=place)
    reason = str(error) or type(error).__name__
    return unreadable(path, f"{'it' if inside else 'the archive'} is damaged ({reason})", inside=inside)


def _closed(where: str, member: str, why: str) -> DataError:
    return DataError("D112", f"cannot read {member!r} in {where!r}: it {why}.", fix="unpack it and give the folder.")


def _too_big(path: Path, kind: str, rules: _Rules) -> SecurityError:
    return rules.bomb(
        f"its files take more than {MOST_TOTAL / 1e9:.1f} GB, and a compressed tar is read into memory",
        context="A plain tar or a zip is read in place, however large it is.",
        fix=f"{_TOOLS[kind]} -dk {shlex.quote(str(path))}, and give the plain tar.",
    )


def _swells(name: str, packed: int, size: int) -> str:
    return f"{name!r} unpacks from {packed:,} to {size:,} bytes, and the limit is {MOST_RATIO:,} to 1"


def _what(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"a {'symbolic' if member.issym() else 'hard'} link to {member.linkname!r}"
    return "a device" if member.isdev() else "of a special kind"
