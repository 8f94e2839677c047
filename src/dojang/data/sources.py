"""Pictures that lie on the disk as files, and the errors for what cannot be read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dojang.data.manifest import MOST_BYTES, pasted, plain
from dojang.errors import DataError


class FolderSource:
    """Pictures that lie on the disk.

    Args:
        root: The folder to which their paths are relative; absolute paths stand for themselves.
        name: What the user gave, for messages.
    """

    def __init__(self, root: Path, name: str) -> None:
        # absolute: the program may change its folder before it reads
        self.root, self.name = os.path.abspath(root), name

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises DataError D112 when it cannot be read, or is no picture file for its size."""
        place = os.path.join(self.root, path)
        try:
            # non-blocking: a pipe that is named like a picture would wait for ever
            fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                facts = os.fstat(fd)
                if not stat.S_ISREG(facts.st_mode):
                    raise unreadable(path, "it is not a file", inside=self.name)
                if facts.st_size > MOST_BYTES:
                    raise too_long(path, facts.st_size, self.name)
                with open(fd, "rb", closefd=False) as file:
                    return file.read()
            finally:
                os.close(fd)
        except OSError as error:
            raise unreadable(path, error, inside=self.name, place=place) from error


def unreadable(path: str, why: OSError | ValueError | str, *, inside: str = "", place: str = "") -> DataError:
    """The error for a file or folder that cannot be read.

    Args:
        path: As the manifest or the user names it.
        why: The system's error, or a reason in words.
        inside: What the user gave, if that is not ``path`` itself.
        place: Its full path, for a fix that can be pasted.
    """
    reason = (why.strerror or str(why)) if isinstance(why, OSError) else str(why)
    context, fix = "", "repair it, or move it elsewhere and start again."
    if isinstance(why, PermissionError):
        fix = f"chmod u+rX {pasted(place or path)} (as the owner of the file)"
    elif isinstance(why, FileNotFoundError):
        context = "It was there when the data was scanned." if inside else ""
        fix = "put it back, or start again without it."
    return DataError(
        "D112",
        f"cannot read {plain(path)}{f' in {inside!r}' if inside else ''}: {plain(reason)}.",
        context=context,
        fix=fix,
    )


def too_long(path: str, size: int, inside: str) -> DataError:
    """The error for a file too long to be a picture."""
    reason = f"it has {size:,} bytes; at most {MOST_BYTES:,} are read as one picture"
    return unreadable(path, reason, inside=inside)
