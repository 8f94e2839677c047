"""Which columns of a table hold pictures and labels: told by their types, or by the user, never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from dojang.data.manifest import pasted, plain
from dojang.errors import DataError, did_you_mean, listing

# what people call a column of labels that has no type to tell it by
_LABELS = ("label", "labels", "class", "target")


class Wished(Protocol):
    """The columns that a user names; "" for one that is left open."""

    @property
    def image(self) -> str: ...
    @property
    def label(self) -> str: ...


class Columns(NamedTuple):
    """The columns of pictures and labels; ``classes`` where the label's type names them, else empty."""

    image: str
    label: str
    classes: tuple[str, ...] = ()


def columns_of(features: Mapping[str, Any], name: str, wished: Wished) -> Columns:
    """The columns by their types in the library ``datasets``.

    Args:
        features: Name and type of each column.
        name: What the user gave, for messages.
        wished: What the user says of them.

    Raises:
        DataError: D171 where there is none, or more than one that could be meant.
    """
    from datasets import ClassLabel, Image, Value

    images = [column for column, kind in features.items() if isinstance(kind, Image)]
    named = [column for column, kind in features.items() if isinstance(kind, ClassLabel)]
    words = ("string", "large_string", "bool")
    plain_ones = [
        column
        for column, kind in features.items()
        if isinstance(kind, Value) and (kind.dtype in words or kind.dtype.startswith(("int", "uint")))
    ]
    usual = [column for column in plain_ones if column.lower() in _LABELS]
    image = _one("image", wished.image, images, images, features, name)
    label = _one("label", wished.label, named or usual, [*named, *plain_ones], features, name)
    kind = features[label]
    return Columns(image, label, tuple(kind.names) if isinstance(kind, ClassLabel) else ())


def _one(what: str, wished: str, likely: list[str], possible: list[str], features: Iterable[str], name: str) -> str:
    if wished:
        if wished in possible:
            return wished
        said = f"has no column {wished!r} that could hold {what}s"
        near = did_you_mean(wished, possible)
    elif len(likely) == 1:
        return likely[0]
    else:
        said = f"has {'several columns' if likely else 'no column'} that could hold {what}s"
        near = f": {listing(map(plain, likely))}" if likely else ""
    raise DataError(
        "D171",
        f"{name!r} {said}{near}.",
        context=f"Its columns: {listing(map(plain, features), most=20)}.",
        fix=_fix(what, likely or possible, name),
    )


def _fix(what: str, choice: list[str], name: str) -> str:
    if not choice:
        return f"dojang.from_pairs((row[...], row[...]) for row in data), with what is to be the {what}"
    if name == "hf":
        return f"data.select_columns([...]), with {choice[0]!r} or whichever {what} column you mean"
    base = name.partition("#")[0]
    base = base if base.startswith("hf:") else f"hf:{base}"
    return pasted(f"{base}#{what}={choice[0]}")
