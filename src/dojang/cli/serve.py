"""`dojang serve RUN`."""

from __future__ import annotations

import importlib.util
from typing import Any

import click

from dojang import garbage, recipe
from dojang.cli.flags import Command, Flag, flags, given
from dojang.cli.main import inert
from dojang.errors import ConfigError
from dojang.serve.options import ServeOptions

_OPTIONS = recipe.options_of(ServeOptions)
_NEEDED = ("starlette", "uvicorn", "httptools", "python_multipart")


def _serve(run: str, model: str | None, token_file: str | None, **values: Any) -> int:
    options = recipe.build(ServeOptions, given(values, _OPTIONS))
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            "C250", f"serving needs {', '.join(missing)}, not installed here.", fix="pip install 'dojang[serve]'"
        )

    with garbage.importing():
        from dojang.cli.progress import say
        from dojang.serve import server

    def log(text: str) -> None:
        click.echo(inert(text), err=True)

    return server.serve(run, options, model=model, token=server.token_of(token_file), say=say, log=log)


command = Command(
    "serve",
    callback=_serve,
    help="Answer pictures over HTTP with a run or a weights file, on this machine; POST /predict, and a page at /.",
    params=[
        click.Argument(["run"]),
        Flag(["model", "--model"], metavar="FILE.py:CLASS", help="for weights of a model of your own"),
        Flag(["token_file", "--token-file"], metavar="FILE", help="what clients must bring; or DOJANG_TOKEN"),
        *flags(_OPTIONS),
    ],
)
