"""`dojang data gather` and `dojang data export`: each is a file here, `data_NAME.py`, imported only when it is used."""

from __future__ import annotations

import importlib

import click

from dojang.errors import ConfigError, did_you_mean

_VERBS = {
    "gather": "sort loose files into class folders by a table, or fetch what it names",
    "export": "save a prepared set as folders, npz or idx",
}


class DataVerbs(click.Group):
    """The verbs about data, found by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command: click.Command = importlib.import_module(f"dojang.cli.data_{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _VERBS:
            raise ConfigError(
                "C200",
                f"unknown verb {args[0]!r} of data.{did_you_mean(args[0], _VERBS)}",
                fix=f"dojang data {' | '.join(_VERBS)}",
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(_VERBS.items()))


command = DataVerbs("data", help="Data sets: gather loose files into one, save a prepared one.", no_args_is_help=False)
