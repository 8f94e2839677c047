"""`dojang serve RUN`."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dojang import garbage, recipe
from dojang.cli.flags import Command, Flag, flags, given
from dojang.cli.main import inert
from dojang.errors import ConfigError
from dojang.serve.options import ServeOptions

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from dojang.predict.predictor import Predictor
    from dojang.serve.limits import Limits

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
        from dojang.serve import looking, server, views
        from dojang.serve.doors import is_local

    def log(text: str) -> None:
        click.echo(inert(text), err=True)

    def page(predictor: Predictor, limits: Limits) -> Sequence[BaseRoute]:
        # the run's own pictures are for who runs the service
        name = Path(run).resolve().name
        return views.routes(looking.of_run(run, predictor, name, samples=is_local(options.host)), limits)

    token = server.token_of(token_file)
    return server.serve(run, options, model=model, token=token, say=say, log=log, routes=page)


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
