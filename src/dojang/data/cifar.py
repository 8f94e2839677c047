"""CIFAR-10 and CIFAR-100 in the files for Python that their author published.

The files are pickles, and nothing they hold is ever run: a file is read only if its MD5 is the published one, and then
opcode by opcode by :func:`read_batch`, which knows the few opcodes that these files use, makes plain values of them,
and refuses all else.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

import hashlib
import os
import pickletools
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dojang.data.arrays import AGAIN, Part, assemble, read_file
from dojang.data.idx import several
from dojang.data.manifest import Manifest
from dojang.errors import DataError, SecurityError


@dataclass(frozen=True)
class Layout:
    """One of the two sets: its files by split, their MD5s, and the keys under which they keep things."""

    title: str
    folder: str
    archive: str
    archive_md5: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    md5: Mapping[str, str]
    labels_key: str
    names_key: str
    page: str = "https://www.cs.toronto.edu/~kriz/cifar.html"

    def is_in(self, place: Path) -> bool:
        """Whether a folder looks like this set. Its plain names (train, test) count only together."""
        if len(self.train) > 1:
            return any(os.path.isfile(place / file) for file in (*self.train, *self.test))
        return all(os.path.isfile(place / file) for file in (*self.train, self.meta))


CIFAR10 = Layout(
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    archive_md5="c58f30108f718f92721af3b95e74349a",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test=("test_batch",),
    meta="batches.meta",
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    labels_key="labels",
    names_key="label_names",
)
CIFAR100 = Layout(
    title="CIFAR-100",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
    train=("train",),
    test=("test",),
    meta="meta",
    md5={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
    labels_key="fine_labels",
    names_key="fine_label_names",
)
LAYOUTS = (CIFAR10, CIFAR100)


def find_cifar(folder: Path) -> Manifest | None:
    """The pictures of a folder that holds CIFAR-10 or CIFAR-100 for Python; None when it holds neither.

    Args:
        folder: Looked in: itself, ``cifar-10-batches-py/`` or ``cifar-100-python/``, and the published ``.tar.gz``,
            which is read in place.

    Raises:
        SecurityError: X501 when a file's MD5 is not the published one; nothing of it is read then.
        DataError: D117 when a file is missing or the folder holds both sets.
    """
    found = [(layout, place) for layout in LAYOUTS if (place := place_of(layout, folder))]
    if len(found) > 1:
        raise several(folder, [place for _, place in found])
    for layout, place in found:
        inside = place.relative_to(folder).as_posix()
        if os.path.isfile(place):
            return open_cifar(layout, place, str(folder), f"{inside}!/{layout.folder}/")
        return open_cifar(layout, place, str(folder), "" if place == folder else inside + "/")
    return None


def place_of(layout: Layout, folder: Path) -> Path | None:
    """The folder, or else the archive, in which a set lies, given the folder that a user names."""
    for place in (folder, folder / layout.folder):
        if layout.is_in(place):
            return place
    archive = folder / layout.archive
    return archive if os.path.isfile(archive) else None


def open_cifar(layout: Layout, place: Path, name: str, prefix: str = "") -> Manifest:
    """A set as a manifest; splits "train" and "test", pixels uint8 (32, 32, 3), CIFAR-100 by its 100 fine labels.

    Args:
        layout: Which set.
        place: From :func:`place_of`.
        name: What the user gave, for messages.
        prefix: Stands before ``data_batch_1#17`` in the paths.
    """
    if os.path.isfile(place):
        where, read = f"{place}!/{layout.folder}/", _members(layout, place)
    else:
        where, read = f"{place}/", _loose(layout, place)
    parts = []
    for split, files in (("train", layout.train), ("test", layout.test)):
        for file in files:
            pixels, labels = _batch(_known(layout, file, read, where), layout, where + file)
            parts.append(Part(prefix + file, split, pixels, labels))
    meta = read_batch(_known(layout, layout.meta, read, where), where + layout.meta)
    try:
        classes = [str(word) for word in meta[layout.names_key]]
    except (KeyError, TypeError) as error:
        raise _damaged(where + layout.meta, f"no list under {layout.names_key!r}") from error
    return assemble(name, parts, classes)


def read_batch(data: bytes, where: str) -> Any:
    """The value in a pickle of plain values and arrays, read without running anything.

    Dicts, lists, tuples, text, whole numbers, and NumPy arrays of uint8, which are recognised by the names that
    stand for them; no name is ever looked up, imported or called.

    Args:
        data: The whole file.
        where: Its name, for messages.

    Raises:
        SecurityError: X501 at any other opcode or name.
        DataError: D116 when the file is torn.

    Example:
        >>> read_batch(b"\\x80\\x02}q\\x01U\\x06labels]K\\x07as.", "a batch")
        {'labels': [7]}
    """
    try:
        return _run(data, where)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise _damaged(where, str(error) or type(error).__name__) from error


class _Name(str):
    """A name that stands for a function or a class; only compared, never resolved."""


class _Dtype:
    pass


class _Array:
    values: np.ndarray


_PLAIN = {"BININT", "BININT1", "BININT2", "INT", "SHORT_BINSTRING", "BINSTRING"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NEW_ARRAY = _Name("numpy.core.multiarray _reconstruct"), (_Name("numpy ndarray"), (0,), "b")
_NEW_UINT8 = _Name("numpy dtype"), ("u1", 0, 1)


def _run(data: bytes, where: str) -> Any:
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    marks: list[int] = []

    def above(at: int) -> list[Any]:
        if not 0 <= at <= len(stack):
            raise ValueError("its stack runs empty")
        items = stack[at:]
        del stack[at:]
        return items

    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name in _PLAIN:
            stack.append(argument)
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            stack.append(tuple(above(len(stack) - _TUPLES[name])))
        elif name == "TUPLE":
            stack.append(tuple(above(marks.pop())))
        elif name == "MARK":
            marks.append(len(stack))
        elif name in ("EMPTY_LIST", "EMPTY_DICT"):
            stack.append([] if name == "EMPTY_LIST" else {})
        elif name in ("APPEND", "APPENDS"):
            items = above(marks.pop()) if name == "APPENDS" else [stack.pop()]
            stack[-1].extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = above(marks.pop()) if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            stack[-1].update(zip(items[::2], items[1::2], strict=True))
        elif name == "GLOBAL":
            stack.append(_Name(argument))
        elif name == "REDUCE":
            call = stack.pop(-2), stack.pop()
            stack.append(_stand_in(call, where))
        elif name == "BUILD":
            _fill(stack[-2], stack.pop(), where)
        elif name == "STOP":
            return stack.pop()
        elif name != "PROTO":
            raise _refused(where, f"the opcode {name}")
    raise ValueError("it has no end")


def _stand_in(call: tuple[Any, Any], where: str) -> _Array | _Dtype:
    if call == _NEW_ARRAY:
        return _Array()
    if call == _NEW_UINT8:
        return _Dtype()
    called = f"{str(call[0])!r:.80}" if isinstance(call[0], _Name) else f"a {type(call[0]).__name__}"
    raise _refused(where, f"a call of {called}")


def _fill(thing: Any, state: Any, where: str) -> None:
    if isinstance(thing, _Array):
        version, shape, dtype, by_columns, text = state
        if version != 1 or not isinstance(dtype, _Dtype):
            raise ValueError("an array is not of uint8")
        values = np.frombuffer(text.encode("latin-1"), np.uint8)
        thing.values = values.reshape(shape, order="F" if by_columns else "C")
    elif not isinstance(thing, _Dtype):
        raise _refused(where, f"a state for {type(thing).__name__}")


def _batch(data: bytes, layout: Layout, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (n, 32, 32, 3) and labels int64 (n,)."""
    value = read_batch(data, where)
    try:
        planes, labels = value["data"].values, value[layout.labels_key]
        pixels = planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)  # (n, c, h, w) -> (n, h, w, c)
        return np.ascontiguousarray(pixels), np.array(labels, dtype=np.int64).reshape(-1)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise _damaged(where, f"it is no batch of 32 x 32 RGB pictures with {layout.labels_key}") from error


def _known(layout: Layout, file: str, read: Callable[[str], bytes], where: str) -> bytes:
    """The bytes of a file, sure to be the published ones."""
    data = read(file)
    got = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if got != layout.md5[file]:
        raise _not_published(where + file, layout, got, layout.md5[file])
    return data


def _loose(layout: Layout, folder: Path) -> Callable[[str], bytes]:
    """Gives the files of a folder, none of which is missing."""
    missing = [file for file in layout.md5 if not os.path.isfile(folder / file)]
    if missing:
        raise DataError(
            "D117",
            f"{str(folder)!r} holds {layout.title}, but not its {', '.join(missing)}.",
            fix=f"unpack {layout.archive} again: {layout.page}",
        )
    return lambda file: read_file(folder / file)


def _members(layout: Layout, archive: Path) -> Callable[[str], bytes]:
    """Gives the files of the published archive, each once, so that none is in memory twice for long."""
    members = {}
    try:
        with open(archive, "rb") as file:
            got = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            if got != layout.archive_md5:
                raise _not_published(str(archive), layout, got, layout.archive_md5)
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r|gz") as tar:
                for member in tar:
                    folder, _, name = member.name.rpartition("/")
                    stream = tar.extractfile(member) if folder == layout.folder and name in layout.md5 else None
                    if stream is not None:
                        members[name] = stream.read()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise DataError("D112", f"cannot read {str(archive)!r}: {error}.", fix=AGAIN) from error
    missing = [file for file in layout.md5 if file not in members]
    if missing:
        raise _damaged(str(archive), f"it lacks {', '.join(missing)}")
    return members.pop


def _not_published(where: str, layout: Layout, got: str, expected: str) -> SecurityError:
    return SecurityError(
        "X501",
        f"{where!r} is not the file that {layout.title}'s author published: its MD5 is {got}, expected {expected}.",
        context="It is a pickle file, and loading one can run any code; only the published files are read.",
        fix=f"get {layout.archive} again: {layout.page}",
    )


def _refused(where: str, what: str) -> SecurityError:
    return SecurityError(
        "X501",
        f"{where!r} is a pickle file with {what}, which a batch of pictures does not need.",
        context="dojang does not load pickles. Nothing in it was run.",
        fix="get the file from its publisher again, or give the pictures as files, a folder a class.",
    )


def _damaged(where: str, why: str) -> DataError:
    return DataError("D116", f"{where!r} is damaged: {why}.", fix=AGAIN)
