"""`dojang scan DATA`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dojang import garbage, recipe
from dojang.cli.flags import Command, Flag, flags, given
from dojang.cli.main import print_json
from dojang.data.options import DataOptions
from dojang.errors import ConfigError

if TYPE_CHECKING:
    from dojang.doctor.unseen import Unseen
    from dojang.predict.predictor import Predictor

_OPTIONS = {
    name: entry
    for name, entry in recipe.options_of(DataOptions).items()
    if name in ("data_root", "download", "max_pixels")
}


@garbage.unsearched()
def _scan(
    data: str,
    run: str | None,
    html: str | None,
    suspects: str | None,
    threads: int | None,
    as_json: bool,
    **values: Any,
) -> None:
    if suspects is not None and run is None:
        raise ConfigError(
            "C200",
            "--suspects writes down the labels that a network doubts, and no network is given.",
            fix="--run RUN, too; or a network whose weights are in the cache, such as --run squeezenet1_1",
        )
    options = recipe.build(DataOptions, given(values, _OPTIONS))

    with garbage.importing():
        from pathlib import Path

        from dojang import files
        from dojang.cli.progress import reporter, say
        from dojang.data.ahead import cores
        from dojang.data.manifest import pasted
        from dojang.data.scan import find
        from dojang.doctor import labelled, page
        from dojang.doctor.scan import scan
        from dojang.doctor.show import lines

    if html:
        files.must_be_new(html, fix="--html ANOTHER.html")
    if suspects:
        files.must_be_new(suspects, flag="--suspects", fix="--suspects ANOTHER.csv")
    predictor: Predictor | Unseen | None = None
    if run is not None:
        with garbage.importing():
            from dojang.doctor import unseen
            from dojang.models import pretrained
            from dojang.models.presets import PRESETS
            from dojang.predict.predictor import Predictor
            from dojang.runs.folder import weights_of

        # what is there wins over a name
        named = not Path(run).exists() and run in PRESETS
        predictor = unseen.load(run) if Path(run).is_dir() and not named else None
        if predictor is None:
            place = pretrained.find(run, "auto", download=options.download) if named else weights_of(run)
            predictor = Predictor.load(place)
    manifest = find(data, options.data_root, options.download)
    progress = reporter()
    report, looks = scan(
        manifest,
        threads=cores() if threads is None else threads,
        max_pixels=options.max_pixels,
        predictor=predictor,
        tick=progress.preparing,
    )
    progress.end()
    if html:
        files.write_text(html, page.render(report, manifest, looks))
    if suspects:
        files.write_text(suspects, labelled.suspected(report.findings))
    if as_json:
        print_json(report.as_dict() | ({"html": html} if html else {}))
    else:
        for line in lines(report):
            say(line)
        if html:
            say(f"page  {html}")
        if suspects:
            say(f"labels  {suspects}   look at them, delete the lines that are wrong, then:")
            say(f"dojang clean {pasted(data)} --relabel {pasted(suspects)}")
    if report.grave:
        raise click.exceptions.Exit(3)


command = Command(
    "scan",
    callback=_scan,
    help="What is wrong with DATA: unreadable, doubled, mislabelled, blank, dark, blurred, odd pictures. Changes "
    "nothing. Exit status 3 where scores would be wrong.",
    params=[
        click.Argument(["data"]),
        Flag(["run", "--run"], metavar="RUN",
             help="also find wrong labels and strangers, by what a run or its folds see, a weights file, or a network "
             "whose weights are in the cache"),
        Flag(["html", "--html"], metavar="FILE", help="write a page with a thumbnail for every finding"),
        Flag(["suspects", "--suspects"], metavar="FILE.csv",
             help="with --run: write the doubtful labels as path,label, for dojang clean --relabel"),
        Flag(["threads", "--threads"], type=click.IntRange(0, 256), help="that read and decode [one a core]"),
        Flag(["as_json", "--json"], is_flag=True, help="all findings as JSON on stdout"),
        *flags(_OPTIONS),
    ],
)  # fmt: skip
