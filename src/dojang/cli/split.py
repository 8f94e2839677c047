"""`dojang split DATA`."""

from __future__ import annotations

from typing import Any

import click

from dojang import garbage, recipe
from dojang.cli.flags import Command, Flag, flags, given
from dojang.cli.main import print_json
from dojang.data.options import DataOptions

_OPTIONS = {
    name: entry
    for name, entry in recipe.options_of(DataOptions).items()
    if name in ("data_root", "download", "max_pixels", "val", "test")
}


@garbage.unsearched()
def _split(
    data: str,
    out: str,
    folds: int | None,
    group_by: str | None,
    pairs: bool,
    seed: int,
    threads: int | None,
    as_json: bool,
    **values: Any,
) -> None:
    options = recipe.build(DataOptions, given(values, _OPTIONS))

    with garbage.importing():
        from pathlib import Path

        from dojang import files
        from dojang.cli.progress import reporter, say
        from dojang.data.ahead import cores
        from dojang.data.manifest import pasted
        from dojang.data.scan import find
        from dojang.doctor.divide import divide

    target = Path(out)
    names = [target] if folds is None else [target.with_stem(f"{target.stem}-{k + 1}") for k in range(folds)]
    for name in names:
        files.must_be_new(name, fix="--out NEW.csv")
    progress = reporter()
    made = divide(
        find(data, options.data_root, options.download),
        val=options.val,
        test=options.test,
        folds=folds,
        group_by=group_by,
        pairs=pairs,
        seed=seed,
        threads=cores() if threads is None else threads,
        max_pixels=options.max_pixels,
        tick=progress.preparing,
    )
    progress.end()
    for name, manifest in zip(names, made.manifests, strict=True):
        files.write_text(name, manifest.to_csv())
    if as_json:
        counts = [manifest.counts() for manifest in made.manifests]
        print_json({"files": [str(name) for name in names], "counts": counts, "notes": list(made.notes)})
        return
    for note in made.notes:
        say(note)
    for name, words in zip(names, made.words, strict=True):
        say(f"{name}  {words}")
    say(f"train with it: dojang train {pasted(data)} --splits {pasted(str(names[0]))}")


command = Command(
    "split",
    callback=_split,
    help="Divide DATA into train, val and test, each class in proportion, whole groups together, and write down how. "
    "Nothing is moved.",
    params=[
        click.Argument(["data"]),
        Flag(["out", "--out"], default="splits.csv", metavar="FILE.csv", help="where it is written [splits.csv]"),
        Flag(["folds", "--folds"], type=click.IntRange(2, 100), metavar="K",
             help="K files, in each another part for val (K-fold cross-validation); a test part only with --test"),
        Flag(["group_by", "--group-by"], metavar="PATTERN",
             help=r"pictures whose paths have this in common stay together: '(patient\d+)'"),
        Flag(["pairs", "--pairs/--no-pairs"], default=True,
             help="keep pictures together that are nearly one; those of the same bytes always are [on]"),
        Flag(["seed", "--seed"], type=click.IntRange(0), default=0, help="another one gives another division [0]"),
        Flag(["threads", "--threads"], type=click.IntRange(0, 256), help="that read and decode [one a core]"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON"),
        *flags(_OPTIONS),
    ],
)  # fmt: skip
