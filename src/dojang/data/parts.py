"""What an object given in Python brings: splits by name, two arrays, the names of its classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dojang.data.layout import ROLES
from dojang.errors import DataError, did_you_mean, listing, many


class Part(NamedTuple):
    """Items of one split ("" when they are in none yet), and the names of their classes where the object has any."""

    split: str
    items: Any
    classes: tuple[str, ...] | None


def parts_of(data: Any) -> list[Part]:
    """The parts of an object.

    Args:
        data: ``{"train": ..., "val": ..., "test": ...}``; ``((x_train, y_train), (x_test, y_test))`` as Keras gives
            them; ``(x, y)``, two arrays; or anything with (picture, label) items, which is one part.

    Raises:
        DataError: D114 for a split that has no such name, three parts without names, pictures and labels that differ in
            number, or labels that are no labels.

    Example:
        >>> x, y = np.zeros((4, 2, 2), np.uint8), np.array([0, 1, 0, 1])
        >>> [part.split for part in parts_of(((x, y), (x, y)))], len(parts_of((x, y))[0].items)
        (['train', 'test'], 4)
    """
    if isinstance(data, Mapping):
        return _by_split(data)
    if isinstance(data, (tuple, list)) and len(data) == 3 and all(map(_are_arrays, data)):
        raise DataError(
            "D114",
            "the data is three times (pictures, labels); expected train and test, or parts by name.",
            fix='{"train": data[0], "val": data[1], "test": data[2]}',
        )
    if isinstance(data, (tuple, list)) and len(data) == 2 and all(map(_are_arrays, data)):
        return [Part("train", *_pairs(data[0], "train")), Part("test", *_pairs(data[1], "test"))]
    return [Part("", *_pairs(data, "the data"))]


def classes_of(data: Any) -> tuple[str, ...] | None:
    """The names in ``data.classes``, as torchvision's data sets have them, also of a Subset or ConcatDataset."""
    for _ in range(8):
        names = getattr(data, "classes", None)
        if isinstance(names, (list, tuple, np.ndarray)) and len(names) and all(isinstance(n, str) for n in names):
            return tuple(map(str, names))
        several = getattr(data, "datasets", None)
        if isinstance(several, (list, tuple)) and several:
            found = {classes_of(one) for one in several}
            return found.pop() if len(found) == 1 else None
        data = getattr(data, "dataset", None)
    return None


class _Arrays:
    """Two arrays as (picture, label) items."""

    def __init__(self, pictures: Any, labels: Sequence[Any]) -> None:
        self._pictures, self._labels = pictures, labels

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._pictures[index], self._labels[index]


def _by_split(data: Mapping[Any, Any]) -> list[Part]:
    named: dict[str, Any] = {}
    for name, items in data.items():
        split = ROLES.get(name.lower()) if isinstance(name, str) else None
        if split is None or split in named:
            # a row of a table has keys, too
            what = f"has the splits {listing(map(repr, data))}"
            expected = "expected train, and val or test or both"
            raise DataError(
                "D114",
                f"the data {what}; {expected}.{did_you_mean(str(name), ROLES)}",
                fix='{"train": pairs, "val": pairs, "test": pairs}',
            )
        named[split] = items
    if "train" not in named:
        has = f"has {listing(map(repr, named))} only" if named else "is an empty dict"
        raise DataError("D114", f"the data {has}; expected train, too.", fix='{"train": pairs, "test": pairs}')
    return [Part(split, *_pairs(named[split], split)) for split in ("train", "val", "test") if split in named]


def _are_arrays(data: Any) -> bool:
    """Whether something is (pictures, labels), many of each, and not one picture with its label."""
    if not (isinstance(data, (tuple, list)) and len(data) == 2) or getattr(data[0], "ndim", 0) not in (3, 4):
        return False
    return isinstance(data[1], (list, tuple)) or getattr(data[1], "ndim", 0) in (1, 2)


def _pairs(data: Any, where: str) -> tuple[Any, tuple[str, ...] | None]:
    if not _are_arrays(data):
        return data, classes_of(data)
    pictures, given = data
    labels = _labels(given, where)
    if len(pictures) != len(labels):
        raise DataError(
            "D114",
            f"{where} has {many(len(pictures), 'picture')} and {many(len(labels), 'label')}; expected one label each.",
            fix="check that both arrays come from one set, in one order.",
        )
    return _Arrays(pictures, labels), None


def _labels(given: Any, where: str) -> list[Any]:
    """Labels as a list; Keras's (n, 1) and one-hot (n, classes) as numbers."""
    if isinstance(given, (list, tuple)):
        return list(given)
    array = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 1:
        return list(array.tolist())
    hot = (array == 1).sum(axis=1) == 1
    hot &= ((array == 0) | (array == 1)).all(axis=1)
    if not hot.all():
        row = int(np.flatnonzero(~hot)[0])
        raise DataError(
            "D114",
            f"item {row:,} of {where} has a row of {array.shape[1]} numbers for a label; expected a number, a name, or "
            "a single 1 among zeros (one-hot).",
            fix="labels.argmax(axis=1), if they are probabilities.",
        )
    return list(array.argmax(axis=1).tolist())
