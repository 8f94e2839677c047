"""Pictures from a Python object: any sequence or stream of (image, label), such as a dataset class of one's own."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dojang.data.kept import Kept
from dojang.data.labels import IN_WORDS, missing_note, unknown_classes
from dojang.data.manifest import Manifest, plain
from dojang.data.parts import Part, parts_of
from dojang.data.picture import bad_item, picture, said
from dojang.errors import ConfigError, DataError, did_you_mean, listing

_NAME = "pairs"


class PairsSource:
    """Pictures that were given in Python; picture 17 has the path ``pairs#17``, of a split ``train#17``."""

    name = _NAME

    def __init__(self, pictures: Mapping[str, Sequence[bytes | np.ndarray] | Kept]) -> None:
        self._pictures = pictures

    def read(self, path: str) -> bytes | np.ndarray:
        """Encoded bytes, or pixels that are read-only. Raises DataError D112 where there is no such row."""
        name, _, index = path.rpartition("#")
        held = self._pictures.get(name)
        # 18 digits fit an int64; a longer index is no row of anything
        if held is None or not (index.isdecimal() and len(index) <= 18) or int(index) >= len(held):
            rows = listing(f"{part}#0 to #{len(some) - 1}" for part, some in self._pictures.items())
            raise DataError("D112", f"cannot read {path!r}: the rows are {rows}.")
        return held[int(index)]


def from_pairs(
    items: Iterable[tuple[Any, Any]] | Any,
    classes: Sequence[str] | None = None,
    *,
    layout: str | None = None,
    color: str = "rgb",
) -> Manifest:
    """The manifest of (image, label) pairs, which are read once, in order, and kept.

    Use it for a dataset class of one's own, a generator, or arrays that are in memory already, and give the result
    wherever DATA goes. Without options the object itself can be given there. What takes more than a quarter of the free
    memory is put aside on the disk until the program ends.

    Args:
        items: Has ``__len__`` and ``__getitem__``, or is iterable; two arrays (images, labels); what Keras gives,
            ((x_train, y_train), (x_test, y_test)); a dict of any of these by split, {"train": ..., "val": ...,
            "test": ...}; a ``datasets.Dataset`` or ``DatasetDict``. An image is an array (h, w) or (h, w, c), a torch
            tensor (c, h, w), of uint8 or of floats from 0 to 1; a PIL image, the bytes of a picture file, or its path.
            A label is a name or a whole number.
        classes: Names; a label that is a number is a position in it. Without them they are taken from
            ``items.classes``, as torchvision's data sets have it; else the classes are the labels that occur, names in
            alphabetical order or numbers in theirs.
        layout: "hwc" (channels last) or "chw" (channels first) of arrays and tensors; None is "hwc" for NumPy arrays
            and "chw" for torch tensors.
        color: "rgb", or "bgr" for arrays as OpenCV reads them.

    Raises:
        DataError: D114 for an item that is no such pair, by its index; D101 when there are none; D107 for a class
            that the training part lacks.
        ConfigError: C202 when two classes have one name, or for another layout or color.

    Example:
        >>> dots = from_pairs([(np.zeros((2, 2), np.uint8), "off"), (np.full((2, 2), 255, np.uint8), "on")])
        >>> dots.classes, dots.paths, int(dots.source.read("pairs#1")[0, 0])
        (('off', 'on'), ('pairs#0', 'pairs#1'), 255)
    """
    layout, color = said(layout, color)
    if _of_hugging_face(items):
        from dojang.data.hf import from_object

        return from_object(items)
    parts = parts_of(items)
    kept: dict[str, Kept] = {}
    labels: list[list[int | str]] = []
    for part in parts:
        if classes is not None:
            part = part._replace(classes=tuple(classes))
        _check_classes(part.classes)
        name = part.split or _NAME
        kept[name] = Kept()
        labels.append([])
        where = part.split or "the data"
        for index, item in _each(part.items, where):
            if not isinstance(item, (tuple, list)) or len(item) != 2:
                held = f"{len(item)} values" if isinstance(item, (tuple, list)) else f"a {type(item).__name__}"
                fix = '((row["image"], row["label"]) for row in data)' if isinstance(item, Mapping) else ""
                if index == 0 and _two_lists(part.items):
                    fix = "zip(pictures, labels), if these are all pictures and all labels"
                raise bad_item(index, f"is {held}", "expected a pair: (image, label)", fix=fix, where=where)
            kept[name].append(picture(item[0], index, layout=layout, color=color, where=where))
            before = labels[0][0] if labels[0] else None
            labels[-1].append(_label(item[1], index, before, part.classes, where))
        if not labels[-1]:
            what = f"{part.split} of the pairs holds" if part.split else "the pairs hold"
            raise DataError("D101", f"{what} no images: there is no item.", fix="give at least two of each class.")
    names, ids = _named(parts, labels, classes)
    rows = [(part, index) for part, some in zip(parts, labels, strict=True) for index in range(len(some))]
    splits = tuple(part.split for part, _ in rows)
    return Manifest(
        source=PairsSource(kept),
        classes=names,
        paths=tuple(f"{part.split or _NAME}#{index}" for part, index in rows),
        labels=tuple((i,) for i in ids),
        splits=splits,
        groups=("",) * len(ids),
        notes=_notes(names, ids, splits),
    )


def _two_lists(items: Any) -> bool:
    """Whether it is (pictures, labels), many of each, and not (picture, label) many times."""
    several = isinstance(items, (tuple, list)) and len(items) == 2 and all(hasattr(one, "__len__") for one in items)
    return several and len(items[0]) == len(items[1])


def _of_hugging_face(items: Any) -> bool:
    """Whether it is of the library ``datasets``, which then has been imported by its owner."""
    library = sys.modules.get("datasets")
    kinds = tuple(getattr(library, kind, type(None)) for kind in ("Dataset", "IterableDataset")) if library else ()
    several = list(items.values()) if isinstance(items, Mapping) else [items]
    return bool(kinds) and bool(several) and all(one is not None and isinstance(one, kinds) for one in several)


def _check_classes(classes: Sequence[str] | None) -> None:
    if classes is not None and len(set(classes)) < len(classes):
        twice = sorted({name for name in classes if list(classes).count(name) > 1})
        raise ConfigError("C202", f"classes has {listing(map(repr, twice))} more than once; expected different names.")


def _each(items: Any, where: str) -> Iterator[tuple[int, Any]]:
    """Items with their index; whatever the owner's code raises is told with the index."""
    by_index = hasattr(items, "__len__") and hasattr(items, "__getitem__") and not _streams(items)
    if not by_index and not hasattr(items, "__iter__"):
        raise DataError(
            "D114",
            f"a {type(items).__name__} gives no items; expected an iterable, or __len__ and __getitem__.",
            fix="give a list of (image, label).",
        )
    index, ended = 0, object()
    stream = None if by_index else iter(items)
    while stream is not None or index < len(items):
        try:
            item = items[index] if stream is None else next(stream, ended)
        except Exception as error:
            raised = f"its own code raised {type(error).__name__}: {error}"
            raise bad_item(index, "cannot be read", raised, where=where) from error
        if item is ended:
            return
        yield index, item
        index += 1


def _streams(items: Any) -> bool:
    """torch's IterableDataset has a __getitem__ that only raises, and may have a __len__."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(items, torch.utils.data.IterableDataset)


def _label(label: Any, index: int, first: int | str | None, classes: Sequence[str] | None, where: str) -> int | str:
    """A label; a number that is a position among names as its name."""
    kind = type(label).__name__
    if hasattr(label, "item") and getattr(label, "ndim", None) == 0:
        label = label.item()
    if isinstance(label, bool) or not isinstance(label, (int, str)):
        what = f"has a label of type {kind}: {label!r}"[:200]
        fix = "labels.astype(int), if they are numbers of classes" if isinstance(label, float) else ""
        raise bad_item(index, what, "expected a whole number or a name", fix=fix, where=where)
    if classes is None:
        if first is not None and isinstance(first, str) != isinstance(label, str):
            what = f"has the label {label!r}, item 0 has {first!r}"
            raise bad_item(index, what, "expected all numbers or all names", where=where)
        return label
    if isinstance(label, str) and label not in classes:
        near, known = did_you_mean(label, classes), f"the classes are {listing(map(plain, classes))}"
        raise bad_item(index, f"has the label {label!r}", known, near=near, where=where)
    if isinstance(label, int) and not 0 <= label < len(classes):
        expected = f"there are {len(classes)} classes (0..{len(classes) - 1})"
        raise bad_item(index, f"has the label {label}", expected, where=where)
    return label if isinstance(label, str) else classes[label]


def _named(
    parts: list[Part], labels: list[list[int | str]], classes: Sequence[str] | None
) -> tuple[tuple[str, ...], list[int]]:
    """Class names, and the id of each label; the first part is the one that trains."""
    known: list[Any] = list(classes or parts[0].classes or sorted(set[Any](labels[0])))
    place = {label: i for i, label in enumerate(known)}
    for part, some in zip(parts[1:], labels[1:], strict=True):
        unknown = {str(label): count for label, count in Counter(some).items() if label not in place}
        if unknown:
            fix = f"rename the labels of {part.split}, or add the class to train."
            raise unknown_classes(IN_WORDS[part.split], unknown, list(map(str, known)), fix)
    return tuple(map(str, known)), [place[label] for some in labels for label in some]


def _notes(names: Sequence[str], ids: list[int], splits: Sequence[str]) -> tuple[str, ...]:
    notes = []
    for split in ("val", "test"):
        present = {label for label, other in zip(ids, splits, strict=True) if other == split}
        if present and len(present) < len(names):
            notes.append(missing_note(split, [name for i, name in enumerate(names) if i not in present]))
    return tuple(notes)
