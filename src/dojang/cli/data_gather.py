"""`dojang data gather FILES --by labels.csv --out NEW`."""

from __future__ import annotations

import click

from dojang import garbage
from dojang.cli.flags import Command, Flag
from dojang.cli.main import print_json
from dojang.errors import ConfigError

_EPILOG = """The table has a column for the picture (path, file, filename, image, name or id) and one for its label
(label, class or target); with two columns their names do not matter. A picture is its path in FILES, or its file name,
or that without the extension, where only one file is meant.

A table of addresses (url,label) is fetched with --download alone: http and https, pictures by content, within the
limits. What came of each address is written to NEW.downloads.csv; exit status 3 where one gave no picture."""


@garbage.unsearched()
def _gather(
    files: str | None,
    by: str | None,
    out: str | None,
    plan: str | None,
    skip_missing: bool,
    download: bool,
    most_each: float,
    most_all: float,
    timeout: float,
    apply: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    if by is None:
        raise ConfigError("C200", "gather needs --by labels.csv.", fix="dojang data gather files --by labels.csv")
    if (apply or download) and out is None:
        raise ConfigError("C200", "it needs a place: --out NEW for the new folder.", fix="--out photos")

    with garbage.importing():
        from dojang.cli.progress import reporter, say
        from dojang.data.ahead import cores
        from dojang.doctor import addresses, gather
        from dojang.doctor.labelled import read_labels

    lines, of_address = read_labels(by)
    progress = reporter()
    if of_address:
        if files is not None:
            raise ConfigError("C200", f"{by!r} names addresses; there are no FILES to sort.", fix="leave FILES out.")
        if apply and not download:
            raise ConfigError(
                "C200", f"{by!r} names addresses; nothing is fetched unasked.", fix="--download instead of --apply"
            )
        limits = addresses.Limits(round(most_each * 1e6), round(most_all * 1e6), timeout)
        if out is None or not download:
            told = addresses.describe(lines, by)
            if as_json:
                print_json({"addresses": len(lines), "lines": told})
                return
            for words in told:
                say(words)
            return
        fetched = addresses.download(lines, by, out, limits, tick=progress.preparing)
        progress.end()
        if as_json:
            print_json(fetched.as_dict())
        else:
            for words in fetched.lines():
                say(words)
        if fetched.failed:
            raise click.exceptions.Exit(3)
        return
    if download:
        raise ConfigError("C200", f"{by!r} names files; there is nothing to fetch.", fix="--apply")
    if files is None:
        raise ConfigError("C200", "gather needs the folder of FILES.", fix=f"dojang data gather files --by {by}")
    made = gather.gather(
        files,
        lines,
        by,
        out=out,
        plan=plan,
        skip_missing=skip_missing,
        apply=apply,
        threads=cores() if threads is None else threads,
        tick=progress.preparing,
    )
    progress.end()
    if as_json:
        print_json(made.as_dict())
        return
    for words in made.lines():
        say(words)


command = Command(
    "gather",
    callback=_gather,
    help="Sort loose FILES into a new folder with one folder a class, by a table of picture and label. Without "
    "--apply it only shows what would be done; FILES are only read.",
    epilog=_EPILOG,
    params=[
        click.Argument(["files"], required=False),
        Flag(["by", "--by"], metavar="FILE.csv", help="the table"),
        Flag(["out", "--out"], metavar="NEW", help="the new folder"),
        Flag(["plan", "--plan"], metavar="FILE.csv", help="write the plan there; or, where there is one, follow it"),
        Flag(["skip_missing", "--skip-missing"], is_flag=True, help="leave lines out whose file is not there"),
        Flag(["apply", "--apply"], is_flag=True, help="do it; without, it is only shown"),
        Flag(["download", "--download"], is_flag=True, help="fetch what a table of url,label names"),
        Flag(["most_each", "--max-megabytes"], type=click.FloatRange(0.001), default=20.0, metavar="X",
             help="of one picture that is fetched [20]"),
        Flag(["most_all", "--max-total-megabytes"], type=click.FloatRange(0.001), default=2000.0, metavar="X",
             help="of all that is fetched [2000]"),
        Flag(["timeout", "--timeout"], type=click.FloatRange(0.1, 3600), default=60.0, metavar="SECONDS",
             help="that one address may take [60]"),
        Flag(["threads", "--threads"], type=click.IntRange(0, 256), metavar="N", help="that read [one a core]"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON"),
    ],
)  # fmt: skip
