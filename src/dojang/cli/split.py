"""`dojang split DATA`."""

from __future__ import annotations

from typing import Any

import click

from dojang import garbage, recipe
from dojang.cli.flags import Command, Flag, flags, given
from dojang.cli.main import print_json
from dojang.data.options import DataOptions
from dojang.errors import ConfigError

_OPTIONS = {
    name: entry
    for name, entry in recipe.options_of(DataOptions).items()
    if name in ("data_root", "download", "max_pixels", "val", "test")
}


@garbage.unsearched()
def _split(
    data: str,
    out: str | None,
    tree: str | None,
    how: str | None,
    resplit: bool,
    ratio: str | None,
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
        from dojang import files
        from dojang.cli.progress import reporter, say
        from dojang.data import division
        from dojang.data import tree as trees
        from dojang.data.ahead import cores
        from dojang.data.manifest import pasted
        from dojang.data.scan import find
        from dojang.doctor.divide import divide

    if how and not tree:
        raise ConfigError("C200", f"--{how} says how a tree is made, and none is asked for.", fix=f"--tree NEW --{how}")
    if ratio and (options.val is not None or options.test is not None):
        raise ConfigError("C200", "--ratio says what --val and --test say.", fix=f"--ratio {ratio}, alone.")
    val, test = division.ratio(ratio) if ratio else (options.val, options.test)
    names = _each(out or "splits.csv", folds) if out or not tree else []
    places = _each(tree, folds) if tree else []
    for name in names:
        files.must_be_new(name, fix="--out NEW.csv")
    found = find(data, options.data_root, options.download)
    for name in places:
        trees.check(found, name, how or "link")
    progress = reporter()
    made = divide(
        found,
        val=val,
        test=test,
        folds=folds,
        group_by=group_by,
        pairs=pairs,
        resplit=resplit,
        seed=seed,
        threads=cores() if threads is None else threads,
        max_pixels=options.max_pixels,
        tick=progress.preparing,
    )
    progress.end()
    planned = [trees.plan(manifest) for manifest in made.manifests] if tree else []
    for name, plan, manifest in zip(places, planned, made.manifests, strict=False):
        trees.grow(manifest, plan, name, how or "link", progress.preparing)
    progress.end()
    for name, manifest in zip(names, made.manifests, strict=False):
        files.write_text(name, manifest.to_csv())
    notes = list(dict.fromkeys((*made.notes, *(note for plan in planned for note in plan.notes))))
    if as_json:
        told: dict[str, Any] = {"files": [str(name) for name in names], "notes": notes}
        told["counts"] = [manifest.counts() for manifest in made.manifests]
        if tree:
            told["trees"] = [str(name) for name in places]
            told["renamed"] = [{"classes": plan.classes, "pictures": plan.renamed} for plan in planned]
        print_json(told)
        return
    for note in notes:
        say(note)
    for place in (places, names):
        for name, words in zip(place, made.words, strict=False):
            say(f"{name}{'/' if place is places else ''}  {words}")
    if tree:
        say(f"train with it: dojang train {pasted(str(places[0]))}")
    else:
        say(f"train with it: dojang train {pasted(data)} --splits {pasted(str(names[0]))}")


def _each(name: str, folds: int | None) -> list[Any]:
    """The place that was named, or one a fold."""
    from pathlib import Path

    path = Path(name)
    return [path] if folds is None else [path.with_stem(f"{path.stem}-{k + 1}") for k in range(folds)]


command = Command(
    "split",
    callback=_split,
    help="Divide DATA into train, val and test, each class in proportion, whole groups together, and write down how. "
    "No picture is moved or changed.",
    params=[
        click.Argument(["data"]),
        Flag(["out", "--out"], metavar="FILE.csv", help="where it is written [splits.csv; with --tree: nowhere]"),
        Flag(["ratio", "--ratio"], metavar="70/15/15", help="train, val and test, in place of --val and --test"),
        Flag(["resplit", "--resplit"], is_flag=True, help="divide anew what the data brings divided"),
        Flag(["tree", "--tree"], metavar="NEW", help="make a folder NEW/train/CLASS/... of it, too, by:"),
        Flag(["how", "--link"], flag_value="link", help="symbolic links, which take no room [the default]"),
        Flag(["how", "--hardlink"], flag_value="hardlink", help="second names of the same files, on one disk"),
        Flag(["how", "--copy"], flag_value="copy", help="copies; of archives and arrays, as PNG where they are pixels"),
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
