"""The machinery of options: frozen dataclasses <-> YAML <-> flags.

A room declares its options once, in ``ROOM/options.py``, as one frozen dataclass made of :func:`option` fields. That
one declaration gives the flag, its help, the check of its value, the message when the check fails, and the line in
``args.yaml``. Values come in layers (defaults < the model family's < recipe file < flags), each a plain dict.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dojang.errors import ConfigError, did_you_mean

_YES, _NO = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
#: letters of a value in a message
_LONGEST = 200
_BOUNDED = reprlib.Repr()
_BOUNDED.maxlevel = 4
_BOUNDED.maxtuple = _BOUNDED.maxlist = _BOUNDED.maxdict = _BOUNDED.maxset = 10
_BOUNDED.maxstring = _BOUNDED.maxother = _LONGEST
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def option(
    default: Any,
    help: str,
    *,
    aliases: Sequence[str] = (),
    choices: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    unit: str = "",
    metavar: str = "",
    bare: str = "",
) -> Any:
    """A field of an options dataclass, with everything that is to be known of it.

    Args:
        default: Its value when nobody gives one; None means "decided later" and must be allowed by the type.
        help: One line for ``--help``.
        aliases: Other names that people type for it.
        choices: The words allowed.
        low, high: Bounds, themselves allowed.
        above: A bound that is itself not allowed.
        unit: "duration" for a time that needs a unit (90s, 5m, 2h); kept in seconds.
        metavar: What stands for the value in the help.
        bare: The value of a flag that is given without one.
    """
    facts = {"help": help, "aliases": tuple(aliases), "choices": tuple(choices), "low": low, "high": high}
    facts |= {"above": above, "unit": unit, "metavar": metavar, "bare": bare}
    return dataclasses.field(default=default, metadata=facts)


@dataclasses.dataclass(frozen=True)
class Option:
    """One option, read from its declaration. ``kinds`` are the types its value may have."""

    name: str
    room: type
    kinds: tuple[Any, ...]
    default: Any
    facts: Mapping[str, Any]

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def is_switch(self) -> bool:
        return bool in self.kinds

    def read(self, value: Any, where: str) -> Any:
        """The value in its own type, checked.

        Args:
            value: From YAML, Python, or the shell (a string).
            where: Where it came from, for the message.

        Raises:
            ConfigError: C202 with what is expected.
        """
        result = self._convert(value)
        if result is _BAD or not self._allowed(result):
            meant = did_you_mean(value, self.facts["choices"]) if isinstance(value, str) else ""
            raise ConfigError("C202", f"{where}: {self.name} cannot be {told(value)}; {self.expects()}.{meant}")
        return result

    def expects(self) -> str:
        """What a value must be, in words."""
        facts = self.facts
        if facts["unit"] == "duration":
            words = "a time with its unit, such as 90s, 5m or 2h"
        else:
            words = " or ".join(
                _WORDS.get(kind, "numbers joined by commas")
                for kind in self.kinds
                if kind is not _NONE and not (kind is str and facts["choices"])
            )
        if facts["above"] is not None:
            words += f" above {facts['above']:g}"
        if facts["low"] is not None and facts["high"] is not None:
            words += f" from {facts['low']:g} to {facts['high']:g}"
        elif facts["low"] is not None:
            words += f" of at least {facts['low']:g}"
        elif facts["high"] is not None:
            words += f" of at most {facts['high']:g}"
        if facts["choices"]:
            named = ", ".join(facts["choices"])
            words = f"{words}, or {named}" if words else f"one of {named}"
        return f"expected {words}"

    def _convert(self, value: Any) -> Any:
        if value is None:
            return None if _NONE in self.kinds else _BAD
        if self.facts["unit"] == "duration":
            return _duration(value)
        for kind in self.kinds:
            result = _as(kind, value)
            if result is not _BAD:
                return result
        return _BAD

    def _allowed(self, value: Any) -> bool:
        facts = self.facts
        if value is None:
            return True
        if facts["choices"] and isinstance(value, str) and value not in facts["choices"]:
            return False
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, bool) or not isinstance(number, (int, float)):
                continue
            if not (
                (facts["low"] is None or number >= facts["low"])
                and (facts["high"] is None or number <= facts["high"])
                and (facts["above"] is None or number > facts["above"])
            ):
                return False
        return True


def told(value: Any) -> str:
    """A value from a file for a message, bounded: a few lines of YAML can hold one without end.

    >>> told("fast"), told([[1, 2], None]), len(told("long" * 100))
    ("'fast'", '[[1, 2], None]', 200)
    """
    try:
        text = _BOUNDED.repr(value)
    except ValueError:
        # Python writes no number of more than 4,300 digits
        return "a number of very many digits"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def options_of(*rooms: type) -> dict[str, Option]:
    """All options of some dataclasses by name; a name that two of them use is an error of ours."""
    found: dict[str, Option] = {}
    for room in rooms:
        hints = typing.get_type_hints(room)
        for field in dataclasses.fields(room):
            hint = hints[field.name]
            union = typing.get_origin(hint) in (typing.Union, types.UnionType)
            kinds = typing.get_args(hint) if union else (hint,)
            if field.name in found:
                raise TypeError(f"{room.__name__} and {found[field.name].room.__name__} share {field.name!r}")
            found[field.name] = Option(field.name, room, kinds, field.default, field.metadata)
    return found


def canonical(name: str, known: Mapping[str, Option], where: str) -> str:
    """The option's own name for a name or alias that somebody wrote.

    Raises:
        ConfigError: C201 for a name nobody knows, with the nearest one.
    """
    # a name from YAML or Python may be a number, a date, None
    name = str(name)
    word = name.lstrip("-").replace("-", "_")
    if word in known:
        return word
    for entry in known.values():
        if word in entry.facts["aliases"]:
            return entry.name
    everything = [*known, *(alias for entry in known.values() for alias in entry.facts["aliases"])]
    raise ConfigError("C201", f"unknown option {name!r} in {where}.{did_you_mean(word, everything)}")


def read(values: Mapping[str, Any], known: Mapping[str, Option], where: str) -> dict[str, Any]:
    """A layer of values, checked and under their own names. Raises C201 and C202."""
    layer: dict[str, Any] = {}
    for name, value in values.items():
        entry = known[canonical(name, known, where)]
        layer[entry.name] = entry.read(value, where)
    return layer


def build(room: type, values: Mapping[str, Any]) -> Any:
    """The room's dataclass with those of ``values`` that are its own."""
    names = {field.name for field in dataclasses.fields(room)}
    return room(**{name: value for name, value in values.items() if name in names})


def merge(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Layers into one, later ones winning."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged |= layer
    return merged


def load_yaml(text: str, known: Mapping[str, Option], where: str) -> dict[str, Any]:
    """A layer from the text of a recipe file.

    Raises:
        ConfigError: C201 and C202 name the line; C207 for text that is no YAML mapping.
    """
    import yaml

    entries = []
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError("C207", f"{where} holds no 'name: value' lines.", fix="lr: 0.01")
        for key, value in node.value:
            entries.append((key.start_mark.line + 1, str(key.value), loader.construct_object(value, deep=True)))
    # a value may break its own tag (2024-99-99 as a date)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError("C207", f"{where} is not valid YAML: {error}.") from None
    layer: dict[str, Any] = {}
    for line, name, value in entries:
        layer |= read({name: value}, known, f"{where} line {line}")
    return layer


def dump_yaml(values: Mapping[str, Any]) -> str:
    """Values as YAML, one a line, in their order; tuples as lists."""
    import yaml

    lines = []
    for name, value in values.items():
        plain = list(value) if isinstance(value, tuple) else value
        if isinstance(plain, str) and not plain.isprintable():
            # other styles fold Unicode's rarer line ends (U+0085, U+2028) into plain ones
            lines.append(f"{name}: " + yaml.safe_dump(plain, default_style='"', allow_unicode=True, width=math.inf))
            continue
        # None: the innermost lists and mappings on one line
        style = None if isinstance(plain, (list, dict)) else False
        lines.append(yaml.safe_dump({name: plain}, sort_keys=False, allow_unicode=True, default_flow_style=style))
    return "".join(lines)


_NONE = type(None)
_BAD = object()
_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


def _as(kind: Any, value: Any) -> Any:
    """``value`` as ``kind``, or _BAD."""
    text = value.strip().lower() if isinstance(value, str) else None
    if kind is _NONE:
        return None if text in ("none", "null", "") else _BAD
    if kind is bool:
        if isinstance(value, bool):
            return value
        return True if text in _YES else False if text in _NO else _BAD
    if kind is str:
        return value if isinstance(value, str) else _BAD
    if isinstance(value, bool):
        return _BAD
    if kind in (int, float):
        if isinstance(value, str):
            try:
                value = float(text.replace("_", "")) if text else _BAD
            except ValueError:
                return _BAD
        # false for NaN too
        if not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
            return _BAD
        return int(value) if kind is int and value == int(value) else _BAD if kind is int else float(value)
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if isinstance(value, str):
            value = [part for part in value.strip("[]() ").split(",") if part.strip()]
        elif isinstance(value, (int, float)):
            value = [value]
        if not isinstance(value, (list, tuple)):
            return _BAD
        result = tuple(_as(item, part) for part in value)
        return _BAD if _BAD in result else result
    return _BAD


def _duration(value: Any) -> Any:
    """Seconds from '90s', '5m', '2h'; a bare number has no unit, and the peers disagree on which one it means."""
    if isinstance(value, str):
        text = value.strip().lower().replace(" ", "")
        if text in ("none", "null"):
            return None
        number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
        try:
            seconds = float(number) * _UNITS[text[len(number) :]]
        except (ValueError, KeyError):
            return _BAD
        return seconds if 0 < seconds < math.inf else _BAD
    return _BAD
