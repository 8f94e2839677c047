"""Weights on disk: safetensors with one card of JSON that says what they are. Nothing in such a file can run code.

The header of a file is checked here, in Python's unbounded integers, before any tensor is made of it: a file is refused
by what it says of itself, without reading its data. Format: 8 bytes of header length (little endian), the header in
JSON, the data; see https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

import safetensors
import safetensors.torch
from torch import Tensor, nn

from dojang.errors import ConfigError, SecurityError, TrainError

FORMAT = 1
MAX_HEADER = 2 * 2**20
"""Bytes of header that are read: room for 20,000 tensors. safetensors allows 100 MB, which can fill a small machine."""

#: how tensors are named that are no part of the network
BESIDE = "beside/"

_KEY = "dojang"
_MOST_ENTRIES = 20_000
_BYTES = {"F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
_BYTES |= {"F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1}


def _version() -> str:
    try:
        return importlib.metadata.version("dojang")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """What a weights file says of itself.

    Args:
        format: Of this card; files of a later format are refused.
        version: Of the dojang that wrote it.
        task: "classify", for instance.
        architecture: What :func:`dojang.models.build.rebuild` takes; None for a network of one's own.
        labels: Names of the classes, in the order of the scores.
        preprocess: From picture to input, as the task saves it.
        temperature: Scores are divided by it before the softmax.
        metrics: What the weights scored.
        extra: Anything else that JSON has.

    Example:
        >>> Card(task="classify", labels=("cat", "dog")).temperature
        1.0
    """

    format: int = FORMAT
    version: str = dataclasses.field(default_factory=_version)
    task: str = "classify"
    architecture: Mapping[str, Any] | None = None
    labels: tuple[str, ...] = ()
    preprocess: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    temperature: float = 1.0
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def dump(tensors: Mapping[str, Tensor], card: Card, beside: Mapping[str, Tensor] | None = None) -> bytes:
    """The bytes of a weights file: the same for the same tensors and card, whatever the order and memory layout.

    Args:
        tensors: ``model.state_dict()``, for instance; on any device.
        card: What they are.
        beside: Tensors that are no part of the network, for :func:`read`.

    Raises:
        TrainError: T311 for a card that JSON cannot hold (a NaN among the metrics), or that is too long to read back.

    Example:
        >>> import torch
        >>> data = dump({"weight": torch.ones(2)}, Card(labels=("cat", "dog"), version="1"))
        >>> len(data) % 8, data == dump({"weight": torch.ones(2)}, Card(labels=("cat", "dog"), version="1"))
        (0, True)
    """
    try:
        values = {field.name: getattr(card, field.name) for field in dataclasses.fields(card)}
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
        _card("this card", text)
    except (ValueError, TypeError) as error:
        raise TrainError("T311", f"the card of the weights cannot be written as JSON: {error}.") from error
    except SecurityError as error:
        raise TrainError("T311", f"the card of the weights could not be read back: {error.what}") from error
    plain, storages = {}, set()
    tensors = {**tensors, **{BESIDE + name: tensor for name, tensor in (beside or {}).items()}}
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        # tied tensors share memory, which the format has no words for
        storage = tensor.untyped_storage().data_ptr()
        plain[name] = tensor.clone() if storage in storages else tensor
        storages.add(storage)
    data = safetensors.torch.save(plain, {_KEY: text})
    header = int.from_bytes(data[:8], "little")
    if header > MAX_HEADER or _crowded(data[8 : 8 + header]):
        raise TrainError(
            "T311",
            f"the weights have {len(plain):,} tensors and a header of {header:,} bytes; "
            f"dojang reads back up to about {_MOST_ENTRIES:,} and {MAX_HEADER:,}.",
            fix="put less into the card's extra and metrics.",
        )
    return data


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], Card]:
    """The tensors, on the CPU, and the card of a weights file; a file is refused before any tensor is made of it.

    Raises:
        ConfigError: C209 when there is no such file.
        SecurityError: X501 for a pickle, X506 for a file that is broken or made to do harm, X507 for weights without
            dojang's card, X508 for a format that is newer than this dojang.
    """
    tensors, card, _ = read(path)
    return tensors, card


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], Card, dict[str, Tensor]]:
    """As :func:`load`, and the tensors that lie in the file beside those of the network."""
    name = os.fsdecode(path)
    card, data = _read(name, tensors=True)
    try:
        found = safetensors.torch.load(data)
        beside = {name.removeprefix(BESIDE): found.pop(name) for name in list(found) if name.startswith(BESIDE)}
        return dict(found), card, beside
    except (safetensors.SafetensorError, RuntimeError, ValueError, KeyError) as error:
        raise broken(name, f"{error}") from error


def card_of(path: str | os.PathLike[str]) -> Card:
    """The card alone: the header is read and checked, the tensors are not read.

    Raises:
        ConfigError, SecurityError: As :func:`load`.
    """
    return _read(os.fsdecode(path), tensors=False)[0]


def _read(path: str, *, tensors: bool) -> tuple[Card, bytes]:
    """The card, and the bytes of the file where its tensors are wanted."""
    try:
        with open(path, "rb") as file:
            card = _check(path, file, os.fstat(file.fileno()).st_size)
            file.seek(0)
            # a copy, not a map of the file: the tensors must not change, or fault, when the file does
            return card, file.read() if tensors else b""
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        said = f"the weights {path!r} cannot be opened: {error.strerror}."
        raise ConfigError(
            "C209", said, fix="a path to a .safetensors file, such as runs/classify/train/weights/best.safetensors"
        ) from None


def restore(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put loaded tensors into a network, in place; all of them fit or none is taken.

    Raises:
        TrainError: T310 when names or shapes differ, with three of them.

    Example:
        >>> import torch
        >>> net = nn.Linear(2, 1)
        >>> restore(net, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)})
        >>> net.weight.tolist()
        [[1.0, 1.0]]
    """
    fitting({name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, tensors)
    model.load_state_dict(dict(tensors))


def fitting(wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Tensor]) -> None:
    """Nothing, where tensors have the names and shapes of a network.

    Raises:
        TrainError: T310 otherwise, with three of them.
    """
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    different = [name for name in [*wanted, *sorted(set(given) - set(wanted))] if wanted.get(name) != given.get(name)]
    if different:
        lines = [
            f"{name}: {_said(wanted, name)} in the network, {_said(given, name)} in the file" for name in different[:3]
        ]
        raise TrainError(
            "T310",
            f"the weights are of another network: {len(different)} of {len(set(wanted) | set(given))} tensors differ.",
            context="; ".join(lines) + ".",
            fix="build the network with the arguments that these weights were trained with.",
        )


def _said(shapes: Mapping[str, tuple[int, ...]], name: str) -> str:
    if name not in shapes:
        return "missing"
    return "x".join(str(side) for side in shapes[name]) or "one number"


def _check(path: str, file: BinaryIO, size: int) -> Card:
    """Read the header alone; the card, if all is well with both."""
    start = file.read(16)
    # a header may happen to begin with a pickle's magic; its ninth byte tells them apart
    if start[8:9] != b"{" and (start[:2] == b"PK" or (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05")):
        raise SecurityError(
            "X501",
            f"{path!r} is a pickle file. Loading one can run any code, also with weights_only=True on older torch.",
            context="dojang does not load pickles.",
            fix="give a weights file that dojang wrote (weights/best.safetensors of a run), or make this one such a "
            "file: dojang convert FILE --model NAME.",
        )
    if start[8:9] != b"{":
        raise broken(path, "it is not a safetensors file" if size else "it is empty")
    length = int.from_bytes(start[:8], "little")
    if length > size - 8:
        raise broken(path, f"its header should have {length:,} bytes, and the file has {size:,}; it may be cut short")
    if length > MAX_HEADER:
        raise broken(path, f"its header has {length:,} bytes; at most {MAX_HEADER:,} are read")
    text = start[8:] + file.read(length - 8) if length > 8 else start[8 : 8 + length]
    if _crowded(text):
        raise broken(path, f"its header has more than {_MOST_ENTRIES:,} entries")
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise broken(path, f"its header is no valid JSON ({error})") from None
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise broken(path, "its metadata is not a table of texts")
    _check_layout(path, header, size - 8 - length)
    if _KEY not in metadata:
        raise SecurityError(
            "X507",
            f"{path!r} holds weights without dojang's card: it does not say which network and classes they are for.",
            context="It was written by another tool.",
            fix="give a weights file that dojang wrote (weights/best.safetensors of a run), or make this one such a "
            "file: dojang convert FILE --model NAME.",
        )
    return _card(path, metadata[_KEY])


def _check_layout(path: str, header: Mapping[str, Any], room: int) -> None:
    """Every tensor inside the file, none over another, none missing between, and each as long as its shape says."""
    spans = []
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise broken(path, f"its entry {name[:60]!r} is not a tensor")
        kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(kind, str) or kind not in _BYTES:
            raise broken(path, f"tensor {name[:60]!r} has the unknown type {str(kind)[:20]!r}")
        if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2 or len(shape) > 16:
            raise broken(path, f"tensor {name[:60]!r} has no valid shape and place")
        begin, end = offsets
        if not begin <= end <= room:
            raise broken(path, f"tensor {name[:60]!r} lies outside the file's {room:,} bytes of data")
        if math.prod(shape) * _BYTES[kind] != end - begin:
            raise broken(path, f"tensor {name[:60]!r} has a shape that its {end - begin:,} bytes do not fill")
        spans.append((begin, end, name))
    place = 0
    for begin, end, name in sorted(spans):
        if begin != place:
            where = "overlaps another" if begin < place else "leaves a hole in front of it"
            raise broken(path, f"tensor {name[:60]!r} {where}")
        place = end
    if place != room:
        raise broken(path, f"{room - place:,} bytes at its end belong to no tensor")


def _card(path: str, text: str) -> Card:
    try:
        values = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise broken(path, f"its card is no valid JSON ({error})") from None
    version = values.get("format") if isinstance(values, dict) else None
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise broken(path, "its card has no format number")
    if version > FORMAT:
        raise SecurityError(
            "X508",
            f"{path!r} was written by a newer dojang ({str(values.get('version'))[:40]}): its format is {version}, "
            f"and this dojang ({_version()}) reads up to {FORMAT}.",
            fix="pip install --upgrade dojang",
        )
    for name, kinds in _CARD.items():
        if type(values.get(name, broken)) not in kinds:
            raise broken(path, f"its card has no valid {name}")
    labels, temperature = values["labels"], values["temperature"]
    if not all(isinstance(label, str) for label in labels) or not 0 < temperature < 1e9:
        raise broken(path, "its card has no valid labels and temperature")
    known = {field.name: values[field.name] for field in dataclasses.fields(Card)}
    return Card(**known | {"labels": tuple(labels), "temperature": float(temperature)})


_CARD: Mapping[str, tuple[type, ...]] = {
    "version": (str,),
    "task": (str,),
    "architecture": (dict, type(None)),
    "labels": (list,),
    "preprocess": (dict,),
    "temperature": (int, float),
    "metrics": (dict,),
    "extra": (dict,),
}


def _crowded(header: bytes) -> bool:
    # a tensor's entry has one brace and two brackets; they are counted first, since short text can become large objects
    return header.count(b"{") + header.count(b"[") > 3 * _MOST_ENTRIES + 1000


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice")
    return table


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def broken(path: str, why: str) -> SecurityError:
    """X506: a file that cannot be used."""
    return SecurityError(
        "X506",
        f"{path!r} cannot be used as weights: {why}.",
        context="Nothing was loaded from it.",
        fix="copy or download it again and compare its sha256, or use another weights file.",
    )
