"""`dojang data VERB ...`. Each verb is a file data_VERB.py here, imported only when it is used."""

from __future__ import annotations

import importlib

import click

from dojang.errors import ConfigError, did_you_mean

_VERBS = {
    "show": "pictures by class, what preprocessing does, a picture as numbers: as a page",
    "gather": "sort loose files into class folders by a table, or fetch what it names",
    "export": "save a prepared set as folders, npz or idx",
}


class Verbs(click.Group):
    """The verbs, found by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            near = did_you_mean(name, _VERBS)
            raise ConfigError("C200", f"unknown verb 'data {name}'.{near}", fix=f"dojang data {' | '.join(_VERBS)}")
        command: click.Command = importlib.import_module(f"dojang.cli.data_{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(_VERBS.items()))


command = Verbs("data", help="Look at data, gather it, save it in another form.")
