"""`dojang data show DATA`."""

from __future__ import annotations

from typing import Any

import click

from dojang import garbage, recipe
from dojang.cli.flags import Command, Flag, flags, given
from dojang.cli.main import print_json
from dojang.data.options import AugmentOptions, DataOptions
from dojang.errors import ConfigError
from dojang.models.options import ModelOptions

_OPTIONS = {
    name: entry
    for name, entry in recipe.options_of(DataOptions).items()
    if name in ("data_root", "download", "max_pixels", "imgsz", "fit", "val", "test", "bad", "permute_pixels")
}
_AUGMENT = recipe.options_of(AugmentOptions)
# the network, whose recipe says what is done where nobody does
_MODEL = {name: entry for name, entry in recipe.options_of(ModelOptions).items() if name == "model"}


@garbage.unsearched()
def _show(
    data: str | None,
    preprocess: bool,
    picture: str | None,
    row: int | None,
    at: str | None,
    out: str | None,
    count: int | None,
    pictures: int | None,
    side: int | None,
    seed: int,
    threads: int | None,
    as_json: bool,
    **values: Any,
) -> None:
    options = recipe.build(DataOptions, given(values, _OPTIONS))
    augment = given(values, _AUGMENT | _MODEL)
    if augment and (preprocess or row is not None or picture is not None):
        raise ConfigError(
            "C200",
            "augmentation is shown by itself, of the training pictures of DATA.",
            fix="dojang data show digits --augment light",
        )
    if (data is None) == (picture is None) or (preprocess and (row is not None or picture is not None)):
        raise ConfigError(
            "C200",
            "what is to be shown? DATA; DATA with --preprocess, --augment POLICY or --row N; or --picture FILE.",
            fix="dojang data show digits --preprocess",
        )
    numbers, sampled = row is not None or picture is not None, not (augment or preprocess)
    for flag, value, fits, where in (
        ("--at", at, numbers, "--row N or --picture FILE"),
        ("--pictures", pictures, preprocess, "--preprocess"),
        ("--side", side, preprocess, "--preprocess"),
        ("--permute-pixels", options.permute_pixels or None, preprocess, "--preprocess"),
        ("--count", count, augment or (sampled and not numbers), "pictures of DATA, or --augment"),
    ):
        if value is not None and not fits:
            raise ConfigError("C204", f"{flag} is for {where}.", fix=f"leave {flag} out.")

    with garbage.importing():
        from pathlib import Path

        from dojang import files, folders
        from dojang.cli.progress import reporter, say
        from dojang.data.ahead import cores
        from dojang.doctor import showing

    if out is not None:
        files.must_be_new(out, flag="--out", fix="--out ANOTHER.html")
    progress = reporter()
    if picture is not None:
        shown = showing.picture(picture, at)
    elif row is not None:
        shown = showing.row(str(data), options, row, at)
    elif augment:
        wanted = augment | given(values, _OPTIONS) | {"seed": seed}
        shown = showing.augmented(str(data), wanted, count=count)
    elif preprocess:
        several = cores() if threads is None else threads
        shown = showing.preprocessing(
            str(data), options, seed=seed, threads=several, pictures=pictures, side=side, tick=progress.preparing
        )
    else:
        shown = showing.sample(str(data), options, count=count, seed=seed)
    progress.end()
    # a program that asks for numbers wants no page but one that it names
    place = Path(out) if out else None if as_json else folders.free_name(Path("show.html"))
    if place is not None:
        files.write_text(place, shown.page())
    if as_json:
        print_json(shown.numbers | ({"page": str(place)} if place else {}))
        return
    for line in shown.lines:
        say(line)
    say(f"page  {place}")


command = Command(
    "show",
    callback=_show,
    help="A page that shows pictures of each class; or what preprocessing or augmentation does to them; or a picture "
    "as numbers.",
    params=[
        click.Argument(["data"], required=False),
        Flag(["preprocess", "--preprocess"], is_flag=True,
             help="mean and deviation of the training part; its pictures zero-centred, scaled and whitened"),
        Flag(["picture", "--picture"], metavar="FILE", help="a picture as numbers: matrix, colour planes, vector"),
        Flag(["row", "--row"], type=click.IntRange(0), metavar="N", help="the same of picture N of DATA"),
        Flag(["at", "--at"], metavar="ROW,COLUMN", help="where the part that is shown in numbers begins [the middle]"),
        Flag(["out", "--out"], metavar="FILE", help="the page [show.html, show-2.html ...]"),
        Flag(["count", "--count"], type=click.IntRange(1, 480), metavar="N",
             help="pictures of each class; of augmentation, in all [8]"),
        Flag(["pictures", "--pictures"], type=click.IntRange(2, 100_000), metavar="N",
             help="training pictures that are whitened [2000]"),
        Flag(["side", "--side"], type=click.IntRange(2, 55), metavar="N",
             help="their side in pixels [28, in colour 24]"),
        Flag(["seed", "--seed"], type=click.IntRange(0), default=0, help="another one chooses other pictures [0]"),
        Flag(["threads", "--threads"], type=click.IntRange(0, 256), help="that read and decode [one a core]"),
        Flag(["as_json", "--json"], is_flag=True, help="the numbers as JSON; a page only with --out"),
        *flags(_OPTIONS),
        *flags(_AUGMENT | _MODEL),
    ],
)  # fmt: skip
