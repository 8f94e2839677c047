"""`dojang val RUN [DATA]`."""

from __future__ import annotations

from typing import Any

import click

from dojang import garbage, recipe
from dojang.cli.flags import Command, Flag, flags, given
from dojang.data.options import DataOptions
from dojang.errors import ConfigError

_OPTIONS = {
    name: entry
    for name, entry in recipe.options_of(DataOptions).items()
    if name in ("data_root", "download", "bad", "store", "max_pixels")
}


def _val(
    run: str,
    data: str | None,
    split: str | None,
    model: str | None,
    device: str,
    project: str,
    moved: str | None,
    per_class: bool,
    as_json: bool,
    **values: Any,
) -> None:
    if moved is not None and data is not None:
        from dojang.data.manifest import pasted

        raise ConfigError(
            "C200",
            "--data says where the run's own pictures are now; other pictures are named without it.",
            fix=f"dojang val {pasted(run)} {pasted(data)}",
        )
    options = recipe.build(DataOptions, given(values, _OPTIONS))

    with garbage.importing():
        from dojang.cli.progress import reporter
        from dojang.cli.scores import show_scores
        from dojang.runs.validate import score

    found = score(
        run,
        data,
        split=split,
        model=model,
        device=device,
        options=options,
        project=project,
        moved=moved,
        reporter=reporter(),
    )
    show_scores(found.folder, as_json, found.splits, per_class=per_class)


command = Command(
    "val",
    callback=_val,
    help="Score a run's weights again: on its own pictures (merged into its folder), or on DATA (a folder of its own).",
    params=[
        click.Argument(["run"]),
        click.Argument(["data"], required=False),
        Flag(["split", "--split"], metavar="NAME", help="val, test or train [all that were scored before]"),
        Flag(["per_class", "--per-class"], is_flag=True, help="the scores of each class, too, the weakest first"),
        Flag(["moved", "--data"], metavar="PLACE", help="where the run's own pictures are, if they have moved"),
        Flag(["model", "--model"], metavar="FILE.py:CLASS", help="for weights of a model of your own"),
        Flag(["device", "--device"], default="auto", help="auto, cpu, cuda or cuda:N"),
        Flag(["project", "--project"], default="runs/classify", help="folder for the scores on other data"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON on stdout"),
        *flags(_OPTIONS),
    ],
)
