"""`dojang compare RUN RUN...`."""

from __future__ import annotations

from pathlib import Path

import click

from dojang import garbage
from dojang.cli.flags import Command, Flag
from dojang.cli.main import print_json
from dojang.errors import ConfigError


def _compare(
    runs: tuple[str, ...],
    split: str | None,
    html: str | None,
    data: str | None,
    show: int,
    device: str,
    as_json: bool,
) -> None:
    if len(runs) < 2:
        raise ConfigError("C200", "compare needs two runs or more.", fix="dojang compare RUN RUN")

    with garbage.importing():
        from dojang import files
        from dojang.cli.progress import reporter, say
        from dojang.report import compared
        from dojang.runs import comparison

    if html is None and data is not None:
        raise ConfigError("C200", "--data says where the pictures of a page are.", fix=f"--html new.html --data {data}")
    if html is not None:
        files.must_be_new(html, flag="--html", fix="--html ANOTHER.html")
    # before anything is measured
    pictures = None if html is None else comparison.pictures(runs[0], data)
    found = comparison.compare(runs, split=split, device=device)
    if html is not None and pictures is not None:
        files.write_text(Path(html), compared.page(found, pictures))
        for line in compared.without_pictures(pictures):
            reporter().note(line)
    if as_json:
        print_json(found.as_dict() | ({"page": html} if html else {}))
        return
    for line in compared.lines(found, show):
        say(line)
    if html is not None:
        say(f"page  {html}")


command = Command(
    "compare",
    callback=_compare,
    help="Compare runs, or folders that `dojang val RUN DATA` made, on the same pictures: each with the first, top-1 "
    "with a paired interval and McNemar's test.",
    params=[
        click.Argument(["runs"], nargs=-1),
        Flag(["split", "--split"], metavar="NAME", help="test, val or out_of_fold [the first of them that all have]"),
        Flag(["html", "--html"], metavar="FILE", help="a page with the pictures that only one gets right"),
        Flag(["data", "--data"], metavar="PLACE", help="where the first run's pictures are, if they have moved"),
        Flag(["show", "--show"], type=click.IntRange(0), default=5, metavar="N",
             help="pictures that are named, of those that only one gets right [5]"),
        Flag(["device", "--device"], default="auto", help="where time is taken: auto, cpu, cuda or cuda:N"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON on stdout"),
    ],
)  # fmt: skip
