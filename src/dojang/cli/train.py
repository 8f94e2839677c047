"""`dojang train DATA` and `dojang train --resume RUN`."""

from __future__ import annotations

from typing import Any

import click

from dojang import garbage
from dojang.cli.flags import Command, Flag, flags, given
from dojang.errors import ConfigError
from dojang.runs.recipe import OPTIONS, read_file

_EPILOG = """DATA: a folder of class folders, or one with train/ val/ test/ inside; a tar or zip of either; a CSV of
path,label; MNIST-style IDX files; CIFAR python batches; or digits, mnist, fashion-mnist, cifar10, cifar100.

Defaults are in brackets; a preset (--model) may have its own. What was decided is printed as the plan."""


def _train(
    data: str | None, recipe: str | None, resume: str | None, inexact: bool, as_json: bool, **values: Any
) -> None:
    layer = given(values, OPTIONS)
    if (data is None) == (resume is None):
        raise ConfigError(
            "C200",
            "train needs DATA, or --resume RUN." if data is None else "DATA and --resume RUN are both given.",
            fix="dojang train digits",
        )
    if resume is not None and recipe is not None:
        raise ConfigError("C200", "a resumed run has its recipe already; --recipe cannot change it.")
    layers = [read_file(recipe)] if recipe else []

    with garbage.importing():
        from dojang.cli.progress import reporter
        from dojang.cli.scores import show_run
        from dojang.runs import train

    if resume is not None:
        folder = train.resume(resume, layer, inexact=inexact, reporter=reporter())
    else:
        folder = train.begin(data, [*layers, layer], reporter=reporter())
    show_run(folder, as_json)


command = Command(
    "train",
    callback=_train,
    help="Train a network on DATA and leave a run folder with its weights, scores and pictures.",
    epilog=_EPILOG,
    params=[
        click.Argument(["data"], required=False),
        Flag(["recipe", "--recipe"], metavar="FILE", help="options from a YAML file; flags win over it"),
        Flag(["resume", "--resume"], metavar="RUN", help="go on with a run where its last state stands"),
        Flag(["inexact", "--inexact"], is_flag=True, help="resume although torch, machine or threads differ"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON on stdout"),
        *flags(OPTIONS),
    ],
)
