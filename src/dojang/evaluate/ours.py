"""Files of a run folder that dojang made, told from what a user put there under the same name."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from dojang.data.manifest import pasted, plain
from dojang.errors import ConfigError

_PNG = b"\x89PNG\r\n\x1a\n"
# a text chunk of the PNG specification: keyword, null, text
_MARK = b"Software\0dojang"
# signature and header chunk come first in any PNG
_BEFORE = len(_PNG) + 25
#: files that dojang has not always written, and how each begins
_BEGINS = {"worst.csv": b"path,true,predicted,probability,", "legend.csv": b"number,class\n"}


def marked(png: bytes) -> bytes:
    """A PNG that says in a text chunk that dojang made it; anything else stays what it is.

    >>> marked(b"no picture")
    b'no picture'
    """
    if not png.startswith(_PNG):
        return png
    chunk = b"tEXt" + _MARK
    whole = struct.pack(">I", len(_MARK)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:_BEFORE] + whole + png[_BEFORE:]


def is_ours(path: Path) -> bool:
    """Whether a file was made by dojang, as far as it can be told: by the mark in a PNG, by the header of a table."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begins = file.read(200)
    if path.suffix == ".png":
        return begins[_BEFORE : _BEFORE + 8 + len(_MARK)] == struct.pack(">I", len(_MARK)) + b"tEXt" + _MARK
    return begins.startswith(_BEGINS[path.name])


def must_be_ours(paths: Iterable[Path]) -> None:
    """Refuse to write where something is that dojang did not make.

    Raises:
        ConfigError: C202 naming all such files.
    """
    theirs = [path for path in paths if os.path.lexists(path) and not is_ours(path)]
    if theirs:
        one, named = len(theirs) == 1, ", ".join(repr(plain(str(path))) for path in theirs)
        moves = (f"mv {pasted(str(path))} {pasted(str(path.with_name(f'my-{path.name}')))}" for path in theirs)
        raise ConfigError(
            "C202",
            f"{named} {'is' if one else 'are'} there already, and dojang did not make "
            f"{'it; it is' if one else 'them; they are'} not overwritten.",
            context="Nothing was changed.",
            fix=" && ".join(moves),
        )
