"""A division as folders: NEW/train/cat/1.jpg and so on, of links to the pictures or of copies."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dojang import files, folders
from dojang.data.layout import is_hidden, is_picture
from dojang.data.manifest import Manifest, pasted, plain, same_name
from dojang.data.sources import FolderSource
from dojang.errors import ConfigError, many

HOW = ("link", "hardlink", "copy")
# what a name may have, in bytes, on the file systems that people use; some is left for a number at its end
_LONGEST = 240


@dataclass(frozen=True)
class Tree:
    """Where each row goes.

    Args:
        places: "train/cat/1.jpg" for each row of the manifest; "" for a row that is in no split.
        classes: The folder of each class whose name cannot be one, by the class.
        renamed: What a file is called whose name another one has in its folder, by its path.
    """

    places: tuple[str, ...]
    classes: dict[str, str]
    renamed: dict[str, str]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was renamed, one plain sentence each."""
        notes = [f"class {plain(name)!r} is the folder {plain(folder)!r}" for name, folder in self.classes.items()]
        if self.renamed:
            path, name = next(iter(self.renamed.items()))
            are = "is" if len(self.renamed) == 1 else "are"
            notes.append(
                f"{many(len(self.renamed), 'picture')} {are} renamed, for the name is taken in the folder: "
                f"{plain(path)} is {plain(name)}"
            )
        return tuple(notes)


def plan(manifest: Manifest) -> Tree:
    """The names in the tree, each once; nothing is written.

    A file keeps its name; if another one of its folder has it, "-2" and so on is added, in the order of the rows. A
    row of an array is a PNG with its number. A class keeps its name but for what no folder's name can have.

    >>> from dojang.data.pairs import from_pairs
    >>> dots = from_pairs([(np.zeros((1, 1), np.uint8), "on/off"), (np.zeros((1, 1), np.uint8), "on")])
    >>> tree = plan(dots.replace(splits=("train", "val")))
    >>> tree.places, tree.notes
    (('train/on_off/pairs-0.png', 'val/on/pairs-1.png'), ("class 'on/off' is the folder 'on_off'",))
    """
    among = _Names()
    folders = {name: among.free(_folder(name)) for name in manifest.classes}
    taken: dict[str, _Names] = {}
    places, renamed = [], {}
    for path, (label,), split in zip(manifest.paths, manifest.labels, manifest.splits, strict=True):
        if not split:
            places.append("")
            continue
        folder = f"{split}/{folders[manifest.classes[label]]}"
        wanted = _file(path)
        name = taken.setdefault(folder, _Names()).free(wanted)
        if name != wanted:
            renamed[path] = name
        places.append(f"{folder}/{name}")
    other = {name: folder for name, folder in folders.items() if folder != name}
    return Tree(tuple(places), other, renamed)


def check(manifest: Manifest, root: str | Path, how: str = "link") -> None:
    """Refuse a tree that cannot be made, before anything is read.

    Raises:
        ConfigError: C202 when the place is taken, C244 when it lies inside the data, C270 for what cannot be linked.
    """
    root = Path(root)
    files.must_be_new(root, flag="--tree", fix="--tree ANOTHER")
    source = manifest.source
    # a table's folder is no data: what lies beside the table is found by its lines alone
    tabled = isinstance(source, FolderSource) and Path(source.name).expanduser().is_file()
    if isinstance(source, FolderSource) and not tabled and root.resolve().is_relative_to(Path(source.root).resolve()):
        raise ConfigError(
            "C244",
            f"the tree would lie inside the data: {str(root)!r} is in {source.name!r}.",
            context="Its pictures would be found twice the next time.",
            fix=f"--tree {pasted(str(Path(source.root).parent / root.name))}",
        )
    if how != "copy" and not isinstance(source, FolderSource):
        raise ConfigError(
            "C270",
            f"pictures of {source.name!r} are no files of their own, so there is nothing to link to, e.g. "
            f"{plain(manifest.paths[0])}.",
            fix=f"--tree {pasted(str(root))} --copy",
        )


def grow(
    manifest: Manifest,
    tree: Tree,
    root: str | Path,
    how: str = "link",
    tick: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> None:
    """Make the tree: all of it, or nothing.

    Args:
        root: A folder that does not exist yet.
        how: "link" for symbolic links: no room is taken, and nothing done in the tree can change a picture; they break
            when the pictures are moved. "hardlink" for second names of the same files, on one disk; "copy" for files of
            their own. What is no file (in an archive, an array) can only be copied; pixels become PNG files.

    Raises:
        ConfigError: Those of :func:`check`; C270 where the disk has no such links.
        ResourceError: R401 when the disk is full, R402 where it cannot be written.
    """
    root, source = Path(root), manifest.source
    check(manifest, root, how)
    with folders.new_folder(root) as folder:
        for row, (path, place) in enumerate(zip(manifest.paths, tree.places, strict=True)):
            if place and how == "copy":
                files.write_bytes(folder / place, _encoded(source.read(path)), flush=False)
            elif place and isinstance(source, FolderSource):
                folders.link(os.path.join(source.root, path), folder / place, hard=how == "hardlink")
            tick("placing", row + 1, len(manifest))


def _folder(name: str) -> str:
    """A class's name as that of a folder, which is read back as a class."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        # half of a surrogate pair, from JSON
        name = name.encode("utf-8", "backslashreplace").decode()
    name = name.replace("/", "_").replace("\0", "_")
    return _short(f"_{name}" if not name or is_hidden(name) else name)


def _file(path: str) -> str:
    """The name of a picture's file."""
    file, _, row = path.rpartition("#")
    base = path.rpartition("/")[2]
    if file and row.isdecimal() and not is_picture(base):
        base = f"{file.rpartition('/')[2]}-{row}.png"
    base = _folder(base)
    return base if is_picture(base) else f"{base}.png"


class _Names:
    """Names of one folder, each given once in either form of its accents."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        # where the next search begins, so that thousands of one name are not counted through again
        self._last: dict[str, int] = {}

    def free(self, name: str) -> str:
        """The name, or the first of name-2, name-3 ... that is not taken; it is taken then."""
        stem, dot, suffix = name.rpartition(".") if is_picture(name) else (name, "", "")
        number, free = self._last.get(name, 1), name
        while same_name(free) in self._taken:
            number += 1
            free = f"{stem}-{number}{dot}{suffix}"
        self._last[name] = number
        self._taken.add(same_name(free))
        return free


def _short(name: str) -> str:
    if len(os.fsencode(name)) <= _LONGEST:
        return name
    stem, dot, suffix = name.rpartition(".") if is_picture(name) else (name, "", "")
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    while len(os.fsencode(stem)) > _LONGEST - 20:
        stem = stem[:-1]
    return f"{stem}~{digest}{dot}{suffix}"


def _encoded(data: bytes | np.ndarray) -> bytes:
    """The bytes of a picture file; pixels without a loss."""
    if isinstance(data, bytes):
        return data
    file = io.BytesIO()
    pixels = data[:, :, 0] if data.ndim == 3 and data.shape[2] == 1 else data
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return file.getvalue()
