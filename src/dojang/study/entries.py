"""The text of a study file as plain values, and options as it can hold them: nothing twice, nothing by reference.

YAML itself keeps the last of two entries of one name, and lets a few lines stand for billions of values.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import yaml

from dojang.errors import ConfigError
from dojang.recipe import canonical
from dojang.runs.recipe import OPTIONS


def load(text: str, where: str) -> Any:
    """What a study file's text holds; names are as they are written, so ``on`` and ``1`` are words.

    Raises:
        ConfigError: C207 for what is no YAML, for a name that is there twice and for an alias, with its line.

    Example:
        >>> load("variants: {on: {lr: 0.1}}", "x.yaml")
        {'variants': {'on': {'lr': 0.1}}}
    """
    try:
        return _Loader(text, where).get_single_data()
    # a value may break its own tag: 2024-99-99 as a date, !!bool maybe, !!int "", !!timestamp soon
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise ConfigError("C207", f"{where} is not valid YAML: {error}.") from None


def fields(found: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """A table's values by the options' own names.

    Raises:
        ConfigError: C201 for a name that nobody knows; C280 for an option that is named twice, as ``lr`` and ``lr0``.
    """
    named: dict[str, Any] = {}
    words: dict[str, str] = {}
    for name, value in found.items():
        own = canonical(name, OPTIONS, where)
        if own in named:
            both = f"{words[own]!r} and {str(name)!r}"
            raise ConfigError("C280", f"{where}: {both} are the same field, {own}.", fix="leave one of them.")
        named[own], words[own] = value, str(name)
    return named


def written(name: str, value: Any) -> Any:
    """The value of an option as YAML and JSON can hold it, such that reading it gives it back.

    >>> written("time", 90.0), written("conv_dims", (8, 16))
    ('90.0s', [8, 16])
    """
    if OPTIONS[name].facts["unit"] == "duration" and value is not None:
        return f"{float(value)!r}s"
    return list(value) if isinstance(value, tuple) else value


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, without aliases and merges, with names as text, each once."""

    def __init__(self, text: str, where: str) -> None:
        super().__init__(text)
        self.where = where

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise ConfigError(
                "C207",
                f"{self.where} line {event.start_mark.line + 1}: *{event.anchor} is an alias; a study file has none.",
                fix="write what it stands for.",
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Hashable, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise yaml.constructor.ConstructorError(None, None, "expected 'name: value'", node.start_mark)
        found: dict[Hashable, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "found a name that is no word", key.start_mark)
            if key.value in found:
                place = f"{self.where} line {key.start_mark.line + 1}"
                raise ConfigError("C207", f"{place}: {key.value!r} is there twice.", fix="leave one of them.")
            found[key.value] = self.construct_object(value, deep=deep)
        return found
