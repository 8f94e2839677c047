"""`dojang data export DATA --format folders|npz|idx --out NEW`."""

from __future__ import annotations

from typing import Any

import click

from dojang import garbage, recipe
from dojang.cli.flags import Command, Flag, flags, given
from dojang.cli.main import print_json
from dojang.data.options import DataOptions
from dojang.errors import ConfigError

_NAMES = (
    "data_root",
    "download",
    "val",
    "test",
    "splits",
    "bad",
    "imgsz",
    "fit",
    "interpolation",
    "background",
    "max_pixels",
)
_OPTIONS = {name: entry for name, entry in recipe.options_of(DataOptions).items() if name in _NAMES}


@garbage.unsearched()
def _export(
    data: str, format: str, out: str | None, seed: int, threads: int | None, as_json: bool, **values: Any
) -> None:
    options = recipe.build(DataOptions, given(values, _OPTIONS))
    if out is None:
        place = "set.npz" if format == "npz" else "set"
        raise ConfigError("C200", "export needs a place: --out NEW.", fix=f"--out {place}")
    if format == "npz" and not out.endswith(".npz"):
        raise ConfigError("C202", f"--out {out!r} is to be an npz; end it in .npz.", fix=f"--out {out}.npz")

    with garbage.importing():
        from dataclasses import asdict

        from dojang.cli.progress import reporter, say
        from dojang.data import division
        from dojang.data.ahead import cores
        from dojang.data.export import export, words
        from dojang.data.scan import find
        from dojang.doctor.apply import outside

    manifest = find(data, options.data_root, options.download)
    outside(out, manifest, "--out")
    if options.splits is not None:
        manifest = division.given(manifest, options.splits)
    progress = reporter()
    made = export(
        manifest,
        options,
        out,
        format,
        seed=seed,
        threads=cores() if threads is None else threads,
        tick=progress.preparing,
    )
    progress.end()
    if as_json:
        print_json({"format": 1, "as": format, **asdict(made)})
        return
    for line in words(made):
        say(line)


command = Command(
    "export",
    callback=_export,
    help="Save DATA prepared: every picture as a network would see it in validation, with its label. DATA is only "
    "read.",
    epilog="Data that brings no splits is divided where --splits, --val or --test say how, else not at all.",
    params=[
        click.Argument(["data"]),
        Flag(["format", "--format"], type=click.Choice(["folders", "npz", "idx"]), default="folders",
             metavar="folders|npz|idx", help="PNG in class folders, one file of arrays, or as MNIST [folders]"),
        Flag(["out", "--out"], metavar="NEW", help="the new folder, or the npz file"),
        Flag(["seed", "--seed"], type=click.IntRange(0), default=0, metavar="N", help="of the division [0]"),
        Flag(["threads", "--threads"], type=click.IntRange(0, 256), metavar="N", help="that decode [one a core]"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON"),
        *flags(_OPTIONS),
    ],
)  # fmt: skip
