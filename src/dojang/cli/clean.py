"""`dojang clean DATA` and `dojang clean --undo FOLDER`."""

from __future__ import annotations

from typing import Any

import click

from dojang import garbage, recipe
from dojang.cli.flags import Command, Flag, flags, given
from dojang.cli.main import print_json
from dojang.data.options import DataOptions
from dojang.errors import ConfigError

_OPTIONS = {name: entry for name, entry in recipe.options_of(DataOptions).items() if name == "max_pixels"}
_EPILOG = """Kinds: unreadable, blank, dark, bright, blurred, tiny, huge, shape; same (in one split and class),
same-across (in two splits), near, near-across; duplicates is same and same-across; two-labels, near-two-labels.

Of pictures that are one, that of test is kept before val before train, then the larger one, then the longer file,
then the earlier name. Under two labels all stay, or, asked for, all go: nobody knows which is right.

First steps: dojang scan photos; dojang clean photos --drop unreadable,duplicates --plan plan.csv; read or edit it;
dojang clean photos --plan plan.csv --out photos-clean --apply"""


@garbage.unsearched()
def _clean(
    data: str | None,
    plan: str | None,
    out: str | None,
    in_place: bool,
    apply: bool,
    undo: str | None,
    threads: int | None,
    as_json: bool,
    **values: Any,
) -> None:
    options = recipe.build(DataOptions, given(values, _OPTIONS))
    chosen = {name: value for name, value in values.items() if name not in _OPTIONS and value}
    if (data is None) == (undo is None):
        raise ConfigError(
            "C200",
            "clean needs DATA, or --undo FOLDER." if data is None else "DATA and --undo FOLDER are both given.",
            fix="dojang clean photos --drop unreadable,duplicates",
        )
    if undo is not None and (chosen or plan or out or in_place or apply):
        raise ConfigError("C200", "--undo stands alone: it brings everything back.", fix=f"dojang clean --undo {undo}")
    if out is not None and in_place:
        raise ConfigError("C200", "--out and --in-place are both given.", fix="leave one of them out.")
    if apply and out is None and not in_place:
        raise ConfigError(
            "C200",
            "--apply needs a place: --out NEW for a new folder, or --in-place.",
            fix=f"--out {'photos-clean' if plan is None else 'NEW'}",
        )

    with garbage.importing():
        from dojang.cli.progress import reporter, say
        from dojang.data.ahead import cores
        from dojang.data.manifest import pasted
        from dojang.doctor import clean, summary
        from dojang.doctor.undo import undo as bring_back

    progress = reporter()
    if undo is not None:
        journal, count = bring_back(undo, tick=progress.preparing)
        progress.end()
        if as_json:
            print_json({"data": str(journal.data), "folder": str(journal.folder), "back": count})
        elif count:
            say(f"{count:,} files are back in {pasted(str(journal.data))}")
        else:
            say("everything was back already.")
        return
    made = clean.clean(
        str(data),
        clean.repairs_from(chosen),
        plan=plan,
        out=out,
        in_place=in_place,
        apply=apply,
        threads=cores() if threads is None else threads,
        max_pixels=options.max_pixels,
        tick=progress.preparing,
    )
    progress.end()
    if as_json:
        print_json(summary.as_dict(made.manifest, made.plan) | made.as_dict())
        return
    for line in summary.lines(made.manifest, made.plan):
        say(line)
    say("")
    for line in made.lines():
        say(line)


command = Command(
    "clean",
    callback=_clean,
    help="Apply chosen repairs to DATA: take out, move, rename, encode anew, relabel. Without --apply it only shows "
    "what would be done. Nothing is ever deleted.",
    epilog=_EPILOG,
    params=[
        click.Argument(["data"], required=False),
        Flag(["drop", "--drop"], metavar="KINDS", multiple=True, help="take out pictures of these kinds (see below)"),
        Flag(["move", "--move"], metavar="KIND=CLASS", multiple=True, help="move pictures of a kind into a class"),
        Flag(["relabel", "--relabel"], metavar="FILE.csv", help="path,label: pictures that get another class"),
        Flag(["new_classes", "--new-classes"], is_flag=True, help="--relabel may name classes that there are not yet"),
        Flag(["rename_classes", "--rename-classes"], metavar="RULE", multiple=True,
             help="wnid (n02085620-Chihuahua becomes Chihuahua), lower, or PATTERN=>NAME: '^n[0-9]+-=>'"),
        Flag(["merge_classes", "--merge-classes"], is_flag=True, help="two classes may become one by it"),
        Flag(["rename_files", "--rename-files"], metavar="PATTERN",
             help="such as '{class}_{number:05}'; {class}, {number}, {name}, {split}"),
        Flag(["fix_extensions", "--fix-extensions"], is_flag=True,
             help="files that are something else than they are called"),
        Flag(["reencode", "--reencode"], type=click.Choice(["png", "jpeg"]), metavar="png|jpeg",
             help="what is another format, or turned by EXIF: upright, 8 bits, as dojang sees it"),
        Flag(["quality", "--quality"], type=click.IntRange(1, 100), metavar="N",
             help="of JPEG [95]; given, JPEGs are encoded anew, too"),
        Flag(["plan", "--plan"], metavar="FILE.csv", help="write the plan there; or, where there is one, follow it"),
        Flag(["out", "--out"], metavar="NEW", help="a new folder; DATA is only read"),
        Flag(["in_place", "--in-place"], is_flag=True, help="in DATA; what goes lies in DATA-taken-out afterwards"),
        Flag(["apply", "--apply"], is_flag=True, help="do it; without, it is only shown"),
        Flag(["undo", "--undo"], metavar="FOLDER", help="bring back what --in-place has moved: the folder beside DATA"),
        Flag(["threads", "--threads"], type=click.IntRange(0, 256), help="that read and decode [one a core]"),
        Flag(["as_json", "--json"], is_flag=True, help="the plan and what was done as JSON"),
        *flags(_OPTIONS),
    ],
)  # fmt: skip
