"""Downloads, only when asked: from published addresses, no more bytes than published, kept if the digest is right."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dojang.errors import DataError
from dojang.files import sha256_of, writing

TIMEOUT = 30.0
_PIECE = 1 << 20


@dataclass(frozen=True)
class File:
    """A published file.

    Args:
        size: Its bytes; with ``sha256`` the most there may be.
        md5: Of all of it.
        content_md5: Of what it holds without gzip; "" where that is not used.
        sha256: Its SHA-256, or the first digits of it, where that is what was published.
    """

    name: str
    size: int
    md5: str = ""
    content_md5: str = ""
    sha256: str = ""

    @property
    def digest(self) -> tuple[str, str]:
        """The kind of digest that was published, and its digits."""
        return ("sha256", self.sha256) if self.sha256 else ("md5", self.md5)


def fetch(published: Sequence[File], mirrors: Sequence[str], folder: Path, *, advice: str = "") -> None:
    """Bring files into a folder; those that lie there already, with the right digest, are kept.

    Args:
        published: What to fetch.
        mirrors: Addresses to which a file's name is added, tried in order.
        folder: Made if missing.
        advice: The fix to show when no mirror gives a file.

    Raises:
        DataError: D119 when no mirror can be reached or none gives the published bytes.
        ResourceError: R401 when the disk is full.
    """
    for file in published:
        path = folder / file.name
        kind, digits = file.digest
        if path.is_file() and sha256_of(path, kind).startswith(digits):
            continue
        reasons = []
        for mirror in mirrors:
            try:
                _fetch_one(mirror + file.name, file, path)
                break
            except _MirrorError as reason:
                reasons.append(f"{mirror} ({reason})")
        else:
            raise DataError(
                "D119",
                f"cannot download {file.name} from {', nor from '.join(reasons)}.",
                context=f"Nothing of it was kept in {str(folder)!r}.",
                fix=advice,
            )


class _MirrorError(Exception):
    """One mirror did not give the file."""


def _fetch_one(address: str, file: File, path: Path) -> None:
    kind, digits = file.digest
    digest = hashlib.new(kind, usedforsecurity=False)
    with writing(path) as out:
        for piece in _pieces(address, file.size):
            digest.update(piece)
            out.write(piece)
        if out.size > file.size or (out.size < file.size and not file.sha256):
            raise _MirrorError(f"sent {out.size:,} bytes, expected {file.size:,}")
        if not digest.hexdigest().startswith(digits):
            rest = "..." if len(digits) < 2 * digest.digest_size else ""
            raise _MirrorError(f"sent a file whose {kind.upper()} is {digest.hexdigest()}, expected {digits}{rest}")


def _pieces(address: str, size: int) -> Iterator[bytes]:
    """The bytes at an address, at most one more than ``size``, which then shows that there are too many."""
    left = size + 1
    try:
        with contextlib.closing(_connect(address)) as stream:
            while left and (piece := stream.read(min(left, _PIECE))):
                left -= len(piece)
                yield piece
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorError(str(getattr(error, "reason", "") or error) or type(error).__name__) from error


def _connect(address: str) -> Any:
    # the addresses come from dojang's own table, so none begins with file:
    request = urllib.request.Request(address, headers={"User-Agent": "dojang"})  # noqa: S310
    return urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
