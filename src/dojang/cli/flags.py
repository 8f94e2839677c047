"""Options as flags: one click option for each, `key=value` beside `--key value`, and coded errors for what is wrong.

Values are checked by :mod:`dojang.recipe`, not by click, so Python, YAML and the shell get the same message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from dojang import recipe
from dojang.errors import ConfigError, did_you_mean


class Flag(click.Option):
    """A click option that remembers which option of which room it stands for."""

    room = ""
    bare = False

    @property
    def needs_value(self) -> bool:
        """Whether the next word is its value in any case."""
        return not (self.is_flag or self.bare)


def flags(options: Mapping[str, recipe.Option], leave_out: Sequence[str] = ()) -> list[click.Parameter]:
    """A flag for each option, in order, its aliases beside it."""
    found: list[click.Parameter] = []
    for name, entry in options.items():
        if name in leave_out:
            continue
        aliases = [f"--{alias.replace('_', '-')}" for alias in entry.facts["aliases"]]
        shown = None if entry.default is None else str(entry.default)
        help_text = entry.facts["help"] + (f" [{shown}]" if shown not in (None, "False") else "")
        if entry.is_switch:
            names = [name, f"{entry.flag}/--no-{entry.flag[2:]}"]
            flag = Flag(names, default=None, help=help_text)
        else:
            choices = entry.facts["choices"]
            words = "|".join(choices) if choices and len("|".join(choices)) < 40 else _metavar(entry)
            bare: dict[str, Any] = {"is_flag": False, "flag_value": entry.facts["bare"]} if entry.facts["bare"] else {}
            flag = Flag(
                [name, entry.flag, *aliases],
                default=None,
                help=help_text,
                metavar=entry.facts["metavar"] or words,
                **bare,
            )
            if choices and words != "|".join(choices):
                flag.help = f"{entry.facts['help']}: {', '.join(choices)}" + (f" [{shown}]" if shown else "")
            flag.bare = bool(bare)
        flag.room = re.split(r"[.;:]", entry.room.__doc__ or "")[0]
        found.append(flag)
    return found


class Command(click.Command):
    """A command that reads ``key=value``, groups its help by room, and answers wrong flags with a code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, self._all_spelled(args))
        except click.NoSuchOption as error:
            known = [
                name for p in self.get_params(ctx) for name in (*p.opts, *p.secondary_opts) if name.startswith("--")
            ]
            raise ConfigError(
                "C201",
                f"unknown option {error.option_name!r} in the command.{did_you_mean(error.option_name, known)}",
                fix=f"dojang {self.name} --help lists them all.",
            ) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rooms: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            # an argument without help is in the usage line already
            if record is not None and record[1]:
                rooms.setdefault(getattr(parameter, "room", "") or "Options", []).append(record)
        for room, records in rooms.items():
            with formatter.section(room):
                formatter.write_dl(records, col_max=34)

    def _all_spelled(self, args: Sequence[str]) -> list[str]:
        """Each argument as :meth:`_spelled` has it, but for the value of an option: ``--move blank=nothing``."""
        valued = {name for p in self.params if isinstance(p, Flag) and p.needs_value for name in p.opts}
        spelled: list[str] = []
        for before, arg in zip(["", *args], args, strict=False):
            spelled.append(arg if before in valued or "--" in spelled else self._spelled(arg))
        return spelled

    def _spelled(self, arg: str) -> str:
        """``lr=0.1`` as ``--lr=0.1``; anything that is no option's name stays what it is."""
        match = re.match(r"^([A-Za-z][\w-]*)=(.*)$", arg, re.DOTALL)
        if not match:
            return arg
        flag = "--" + match[1].replace("_", "-")
        for parameter in self.params:
            if flag in parameter.opts:
                if isinstance(parameter, click.Option) and parameter.is_flag:
                    value = match[2].lower()
                    if value in ("true", "yes", "on", "1", "false", "no", "off", "0"):
                        on = value in ("true", "yes", "on", "1")
                        return flag if on else (parameter.secondary_opts or [flag])[0]
                return f"{flag}={match[2]}"
            if isinstance(parameter, click.Argument) and parameter.name == match[1]:
                return match[2]
        if match[1] == "data":
            return match[2]
        return f"{flag}={match[2]}" if _looks_like_option(match[1], self.params) else arg


def given(values: Mapping[str, Any], options: Mapping[str, recipe.Option]) -> dict[str, Any]:
    """The layer of options that were really given."""
    layer: dict[str, Any] = {}
    for name, value in values.items():
        if name in options and value is not None:
            layer[name] = options[name].read(value, options[name].flag)
    return layer


def _looks_like_option(word: str, parameters: Sequence[click.Parameter]) -> bool:
    known = [name.lstrip("-").replace("-", "_") for p in parameters for name in p.opts]
    return bool(did_you_mean(word.replace("-", "_"), known))


def _metavar(entry: recipe.Option) -> str:
    if entry.facts["unit"] == "duration":
        return "TIME"
    for kind, word in ((int, "N"), (float, "X")):
        if kind in entry.kinds:
            return word
    return "N,N..." if any("tuple" in str(kind) for kind in entry.kinds) else "WORD"
