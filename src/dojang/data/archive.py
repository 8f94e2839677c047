"""Tar and zip archives, read in place: nothing is ever unpacked to the disk.

A plain tar and a zip are read picture by picture.  A compressed tar can only be read from its beginning, so its
pictures are kept in memory.
"""

from __future__ import annotations

import lzma
import os
import stat
import struct
import tarfile
import threading
import weakref
import zipfile
import zlib
from pathlib import Path
from typing import Any

from dojang.data import hostile
from dojang.data.hostile import Rules, Stream, swells
from dojang.data.layout import Listing
from dojang.data.manifest import MOST_BYTES, Source, pasted
from dojang.data.sources import too_long, unreadable
from dojang.errors import DataError, SecurityError

_TOOLS = {"gz": "gzip", "bz2": "bzip2", "xz": "xz"}
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
    """How an archive is packed, by its content: "zip", "tar", or "gz", "bz2", "xz" for what may hold a tar; or None.

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
    rules = Rules(where)
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
        data: bytes = _entry(self._members, path, self._prefix, self.name)
        return data


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


def _open_zip(path: Path, kind: str, rules: Rules) -> ZipSource:
    try:
        # many tools write UTF-8 names without saying so
        opened = zipfile.ZipFile(path, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        opened = zipfile.ZipFile(path)
    members: dict[str, zipfile.ZipInfo] = {}
    size, packed, unpacked = path.stat().st_size, 0, 0
    for info in opened.infolist():
        name = info.orig_filename.replace("\\", "/")
        picture = rules.admit(name, is_folder=name.endswith("/"))
        mode = stat.S_IFMT(info.external_attr >> 16)
        if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise rules.refuse(name, "a symbolic link" if mode == stat.S_IFLNK else "a device")
        if info.file_size > hostile.SMALL and info.file_size > hostile.MOST_RATIO * max(1, info.compress_size):
            raise rules.bomb(swells(name, info.compress_size, info.file_size))
        packed, unpacked = packed + info.compress_size, unpacked + info.file_size
        if picture:
            if info.flag_bits & 1:
                raise _closed(rules.where, picture, "is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _closed(rules.where, picture, f"is compressed by method {info.compress_type}; deflate is read")
            members[picture] = info
    if packed > size:
        # members that share their bytes: D. Fifield, "A better zip bomb", WOOT 2019
        raise rules.bomb(f"its members claim {packed:,} packed bytes, and it has {size:,}")
    if unpacked > hostile.MOST_TOTAL and unpacked > hostile.USUAL_RATIO * size:
        raise rules.bomb(f"its members unpack from {size:,} to {unpacked:,} bytes")
    return ZipSource(path, rules.where, opened, members)


def _open_tar(path: Path, kind: str, rules: Rules) -> Source:
    places: dict[str, tuple[int, int]] = {}
    held: dict[str, bytes] = {}
    with open(path, "rb") as file:
        stream = Stream(file, kind, rules)
        tar: Any = _tar_in(stream, rules.where)
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
            if kind != "tar" and total > hostile.MOST_TOTAL:
                raise _too_big(path, kind, rules)
            stream.start(member.name)
            if picture and kind == "tar":
                places[picture] = member.offset_data, member.size
            elif picture:
                held[picture] = stream.take(member.size)
        stream.finish()
    return TarSource(path, rules.where, places) if kind == "tar" else MemorySource(path, rules.where, held)


def _tar_in(stream: Any, where: str) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=stream, mode="r:", encoding="utf-8", errors="surrogateescape")
    except tarfile.ReadError as error:
        raise unreadable(where, f"it holds no tar ({error})") from error


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


def _too_big(path: Path, kind: str, rules: Rules) -> SecurityError:
    return rules.bomb(
        f"its files take more than {hostile.MOST_TOTAL / 1e9:.1f} GB, and a compressed tar is read into memory",
        context="A plain tar or a zip is read in place, however large it is.",
        fix=f"{_TOOLS[kind]} -dk {pasted(str(path))}, and give the plain tar.",
    )


def _what(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"a {'symbolic' if member.issym() else 'hard'} link to {member.linkname!r}"
    return "a device" if member.isdev() else "of a special kind"
