"""The rules for archives, which are strangers' lists of names and sizes; both can lie.

Every member is checked before any is used: its name stays inside, is that of a plain file or a folder, is the only one
of that name, and does not swell beyond measure.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tarfile
from typing import Any, BinaryIO

from dojang.data.layout import Listing, is_hidden
from dojang.errors import SecurityError
from dojang.files import check_member

MOST_ENTRIES = 1_000_000
# what the pictures of a compressed tar may take in memory, and all of a zip beyond USUAL_RATIO
MOST_TOTAL = 4 * 2**30
# no picture is packed so well; a member below SMALL may be, for it does no harm
MOST_RATIO, SMALL = 1_000, 10**6
USUAL_RATIO = 100
# bytes read at a time, and the most that one of tar's own headers (long names, attributes) may take
_PIECE = 2**20
_OPENERS: dict[str, Any] = {
    "gz": lambda raw: gzip.GzipFile(fileobj=raw, mode="rb"),
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
}
UNPACK = "if you trust it: unpack it yourself and give the folder."


class Rules:
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

    def bomb(self, why: str, *, context: str = "", fix: str = UNPACK) -> SecurityError:
        """The error for an archive that is too much."""
        return SecurityError("X504", f"{self.where!r} is refused: {why}.", context=context, fix=fix)


class _Raw:
    """A compressed file handed to its decompressor in small pieces, and counted."""

    def __init__(self, file: BinaryIO, piece: int) -> None:
        self.file, self.piece, self.count = file, piece, 0

    def read(self, n: int = -1) -> bytes:
        data = self.file.read(self.piece if n < 0 else min(n, self.piece))
        self.count += len(data)
        return data


class Stream:
    """A tar from its beginning to its end, as tarfile wants it; watches how much comes out of how little."""

    def __init__(self, file: BinaryIO, kind: str, rules: Rules) -> None:
        self.size = os.fstat(file.fileno()).st_size
        # small pieces show early that a small archive is a bomb; in a large one they would cost time
        self._raw = _Raw(file, min(2**16, max(2**8, self.size // 2**12)))
        self._inner = _OPENERS[kind](self._raw) if kind in _OPENERS else file
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
        if not self._is_plain and grown > SMALL and grown > MOST_RATIO * took:
            raise self._rules.bomb(swells(self._name, took, grown))
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


def swells(name: str, packed: int, size: int) -> str:
    """How much comes out of how little."""
    return f"{name!r} unpacks from {packed:,} to {size:,} bytes, and the limit is {MOST_RATIO:,} to 1"
