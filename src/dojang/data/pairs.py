"""Pictures from a Python object: any sequence or stream of (image, label), such as a dataset class of one's own."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from dojang.data.manifest import Manifest, plain
from dojang.errors import ConfigError, DataError, did_you_mean, listing

_FORMS = "a uint8 array (h, w) or (h, w, c), a torch tensor (c, h, w), a PIL image, or the bytes of a picture file"
_LOSSLESS = {"1": "PNG", "P": "PNG", "LA": "PNG", "RGBA": "PNG", "I;16": "PNG", "CMYK": "TIFF"}
_NAME = "pairs"


class PairsSource:
    """Pictures held in memory; picture 17 has the path ``pairs#17``."""

    name = _NAME

    def __init__(self, pictures: Sequence[bytes | np.ndarray]) -> None:
        self._pictures = pictures

    def read(self, path: str) -> bytes | np.ndarray:
        """Encoded bytes, or pixels without a copy and read-only. Raises DataError D112 where there is no such row."""
        name, _, index = path.rpartition("#")
        # 18 digits fit an int64; a longer index is no row of anything
        if name != _NAME or not (index.isdecimal() and len(index) <= 18) or int(index) >= len(self._pictures):
            raise DataError("D112", f"cannot read {path!r}: the rows are {_NAME}#0 to #{len(self._pictures) - 1}.")
        return self._pictures[int(index)]


def from_pairs(items: Iterable[tuple[Any, Any]] | Any, classes: Sequence[str] | None = None) -> Manifest:
    """The manifest of (image, label) pairs, which are read once, in order, and kept in memory.

    Use it for a dataset class of one's own, a generator, or arrays that are in memory already.

    Args:
        items: Has ``__len__`` and ``__getitem__``, or is iterable. An image is a uint8 array (h, w) or (h, w, c), a
            torch tensor (c, h, w) of uint8 or of floats from 0 to 1, a PIL image, or the bytes of a picture file. A
            label is a name or a whole number.
        classes: Names; a label that is a number is a position in it. Without them the classes are the labels that
            occur, names in alphabetical order or numbers in theirs.

    Raises:
        DataError: D114 for an item that is no such pair, by its index; D101 when there are none.
        ConfigError: C202 when two classes have one name.

    Example:
        >>> dots = from_pairs([(np.zeros((2, 2), np.uint8), "off"), (np.full((2, 2), 255, np.uint8), "on")])
        >>> dots.classes, dots.paths, int(dots.source.read("pairs#1")[0, 0])
        (('off', 'on'), ('pairs#0', 'pairs#1'), 255)
    """
    if classes is not None and len(set(classes)) < len(classes):
        twice = sorted({name for name in classes if list(classes).count(name) > 1})
        raise ConfigError("C202", f"classes has {listing(map(repr, twice))} more than once; expected different names.")
    pictures: list[bytes | np.ndarray] = []
    labels: list[int | str] = []
    for index, item in _each(items):
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            held = f"{len(item)} values" if isinstance(item, (tuple, list)) else f"a {type(item).__name__}"
            raise _bad(index, f"is {held}", "expected a pair: (image, label)")
        pictures.append(picture(item[0], index))
        labels.append(_label(item[1], index, labels, classes))
    if not pictures:
        raise DataError("D101", "the pairs hold no images: there is no item.", fix="give at least two of each class.")
    names, ids = _named(labels, classes)
    return Manifest(
        source=PairsSource(pictures),
        classes=names,
        paths=tuple(f"{_NAME}#{index}" for index in range(len(ids))),
        labels=tuple((i,) for i in ids),
        splits=("",) * len(ids),
        groups=("",) * len(ids),
    )


def _each(items: Any) -> Iterator[tuple[int, Any]]:
    """Items with their index; whatever the owner's code raises is told with the index."""
    by_index = hasattr(items, "__len__") and hasattr(items, "__getitem__")
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
            raise _bad(index, "cannot be read", f"its own code raised {type(error).__name__}: {error}") from error
        if item is ended:
            return
        yield index, item
        index += 1


def _bad(index: int, what: str, expected: str, *, near: str = "", fix: str = "") -> DataError:
    return DataError("D114", f"item {index:,} of the data {what}; {expected}.{near}", fix=fix)


def _label(label: Any, index: int, before: list[int | str], classes: Sequence[str] | None) -> int | str:
    kind = type(label).__name__
    if hasattr(label, "item") and getattr(label, "ndim", None) == 0:
        label = label.item()
    if isinstance(label, bool) or not isinstance(label, (int, str)):
        raise _bad(index, f"has a label of type {kind}: {label!r}"[:200], "expected a whole number or a name")
    if classes is None:
        if before and isinstance(before[0], str) != isinstance(label, str):
            raise _bad(index, f"has the label {label!r}, item 0 has {before[0]!r}", "expected all numbers or all names")
    elif isinstance(label, str) and label not in classes:
        near = did_you_mean(label, classes)
        raise _bad(index, f"has the label {label!r}", f"the classes are {listing(map(plain, classes))}", near=near)
    elif isinstance(label, int) and not 0 <= label < len(classes):
        raise _bad(index, f"has the label {label}", f"there are {len(classes)} classes (0..{len(classes) - 1})")
    return label


def _named(labels: list[int | str], classes: Sequence[str] | None) -> tuple[tuple[str, ...], list[int]]:
    """Class names, and the id of each label."""
    # all are of one type here, unless classes say what both mean
    known: list[Any] = sorted(set(labels)) if classes is None else list(classes)
    place = {label: i for i, label in enumerate(known)}
    ids = [i if isinstance(i, int) and classes is not None else place[i] for i in labels]
    return tuple(map(str, known)), ids


def picture(image: Any, index: int) -> bytes | np.ndarray:
    """An image in any form that pairs may have, as :func:`dojang.data.decode.decode` takes it.

    Raises:
        DataError: D114 with the index, for anything else.
    """
    torch, pillow = sys.modules.get("torch"), sys.modules.get("PIL.Image")
    if isinstance(image, (bytes, bytearray, memoryview)):
        if len(image) == 0:
            raise _bad(index, "is 0 bytes", "expected the bytes of a picture file")
        return bytes(image)
    if torch is not None and isinstance(image, torch.Tensor):
        return _pixels(_from_tensor(image, torch, index), index)
    if pillow is not None and isinstance(image, pillow.Image):
        return _from_pillow(image, index)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8:
            raise _bad(
                index,
                f"is an array of {image.dtype}",
                "arrays are uint8, 0 to 255",
                fix="(image * 255).round().astype(np.uint8), if the values are from 0 to 1",
            )
        return _pixels(image, index)
    raise _bad(index, f"is a {type(image).__name__}", f"an image is {_FORMS}")


def _pixels(array: np.ndarray, index: int) -> bytes | np.ndarray:
    """Pixels that are ours, so that nobody changes them later; with an alpha channel, a lossless file."""
    shape = " x ".join(map(str, array.shape)) or "a single number"
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] > 4):
        first = array.ndim == 3 and array.shape[0] <= 4
        raise _bad(
            index,
            f"has the shape {shape}",
            "an array is (h, w) or (h, w, c) with 1 to 4 channels" + (", a torch tensor (c, h, w)" if first else ""),
            fix="image.transpose(1, 2, 0)" if first else "",
        )
    if array.ndim == 3 and array.shape[2] in (2, 4):
        from PIL import Image

        return _from_pillow(Image.fromarray(np.ascontiguousarray(array)), index)
    own = array.copy()
    own.flags.writeable = False
    return own


def _from_tensor(image: Any, torch: Any, index: int) -> np.ndarray:
    image = image.detach().cpu()
    if image.dtype.is_floating_point:
        low, high = (float(value) for value in image.float().aminmax()) if image.numel() else (0.0, 0.0)
        # written so that NaN fails
        if not (low >= 0 and high <= 1):
            values = "NaN" if math.isnan(low) else f"values from {low:.3g} to {high:.3g}"
            raise _bad(
                index,
                f"is a tensor with {values}",
                "floats are 0 to 1",
                fix="give pictures before Normalize; dojang measures and normalises them itself.",
            )
        image = (image.float() * 255).round().to(torch.uint8)
    if image.dtype != torch.uint8:
        raise _bad(index, f"is a tensor of {image.dtype}", "tensors are uint8, or floats from 0 to 1")
    if image.ndim == 3:
        if image.shape[0] > 4:
            shape = " x ".join(map(str, image.shape))
            raise _bad(index, f"has the shape {shape}", "a tensor is (c, h, w)", fix="image.permute(2, 0, 1)")
        image = image.permute(1, 2, 0)
    array: np.ndarray = image.numpy()
    return array


def _from_pillow(image: Any, index: int) -> bytes | np.ndarray:
    """Pixels of a plain picture; the lossless file of one with a palette, alpha or depth, which decode then treats."""
    try:
        if image.mode in ("L", "RGB"):
            return _pixels(np.asarray(image), index)
        if image.mode not in _LOSSLESS:
            raise _bad(index, f"is a PIL image of mode {image.mode}", "it is not read", fix='image.convert("RGB")')
        file = io.BytesIO()
        # a copy has no tag of an orientation: these pixels are as their owner sees them
        image.copy().save(file, _LOSSLESS[image.mode])
        return file.getvalue()
    except (OSError, ValueError, SyntaxError) as error:
        raise _bad(index, "is a PIL image that cannot be read", f"Pillow says: {error}") from error
