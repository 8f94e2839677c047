"""`dojang bench [MODEL]`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import click

from dojang import garbage, recipe
from dojang.bench.options import BenchOptions
from dojang.cli.flags import Command, Flag, flags, given
from dojang.cli.main import inert, print_json

_OPTIONS = recipe.options_of(BenchOptions)


def _bench(model: str | None, out: str | None, as_json: bool, **values: Any) -> None:
    options = recipe.build(BenchOptions, given(values, _OPTIONS))

    with garbage.importing():
        from dojang.bench.run import bench
        from dojang.bench.table import table
        from dojang.cli.progress import say

    with _telling() as tell:
        result = bench(model, options, out=out, tell=tell)
    if as_json:
        print_json(result)
    else:
        say(table(result))


@contextlib.contextmanager
def _telling() -> Iterator[Callable[[int, int, str], None]]:
    """Progress on stderr: a bar on a terminal, elsewhere a line as each half begins."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        said = set[str]()

        def line(done: int, total: int, what: str) -> None:
            stage = "warming up" if done < total // 2 else "measuring"
            if stage not in said:
                said.add(stage)
                click.echo(stage, err=True)

        yield line
        return
    columns = BarColumn(bar_width=20), TextColumn("{task.percentage:3.0f} %"), TextColumn("{task.description}")
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1)
        yield lambda done, total, what: bar.update(task, completed=done, total=total, description=escape(inert(what)))


command = Command(
    "bench",
    callback=_bench,
    help="What this machine can do, and how much of it MODEL (a preset, or FILE.py:CLASS) reaches.",
    params=[
        click.Argument(["model"], required=False),
        Flag(["out", "--out"], metavar="FILE", help="the result as JSON in this file, too"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON on stdout"),
        *flags(_OPTIONS),
    ],
)
