"""`dojang study FILE|NAME [DATA]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from dojang import garbage
from dojang.cli.flags import Command, Flag, flags, given
from dojang.errors import ConfigError
from dojang.runs.recipe import OPTIONS

_EPILOG = """FILE: a study file (docs/studies.md), or the name of a ready-made study (--list, --print NAME). Without
one, --grid makes a study: dojang study photos/ --grid optimizer=adam,sgd --grid batch_size=16,64 --seeds 3.

All options of dojang train are options of all runs."""
# what a study decides for its runs, or calls otherwise
_LEFT_OUT = ("project", "name", "exist_ok", "folds", "seeds", "seed", "threads", "device")


@garbage.unsearched()
def _study(what: str | None, data: str | None, **values: Any) -> None:
    own = {name: values.pop(name) for name in _OWN}
    layer = given(values, {name: entry for name, entry in OPTIONS.items() if name not in _LEFT_OUT})

    with garbage.importing():
        from dojang.cli import studied

    if own["list_all"]:
        studied.show_names()
        return
    if own["printed"] is not None:
        studied.show_text(own["printed"])
        return
    if own["resumed"] is not None:
        _only_going_on(what, layer, own)
        studied.resume(own)
        return
    for name, flag in (("retry", "--retry"), ("as_begun", "--as-begun")):
        if own[name]:
            raise ConfigError("C200", f"{flag} is for a study that goes on.", fix=f"dojang study --resume STUDY {flag}")
    if what is None:
        raise ConfigError("C200", "study needs a FILE or NAME, or DATA and --grid.", fix="dojang study --list")
    studied.begin(what, data, layer, own)


def _only_going_on(what: str | None, layer: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse beside --resume what was decided when the study began. Raises C200 naming it."""
    words: dict[str, Any] = {repr(what): what, **{OPTIONS[name].flag: True for name in layer}}
    words |= {"--" + name.replace("_", "-"): own[name] for name in _BEGINNING}
    given = [word for word, value in words.items() if value not in (None, False, ())]
    if given:
        raise ConfigError(
            "C200",
            f"{given[0]} is for a study that begins; one that goes on has its plan already.",
            fix="dojang study --resume STUDY",
        )


_OWN = (
    *("list_all", "printed", "resumed", "as_begun", "retry", "grid", "seeds", "jobs", "engine", "prune", "dry_run"),
    *("judge", "score", "project", "name", "device", "as_json"),
)
# decided when a study begins
_BEGINNING = ("grid", "seeds", "dry_run", "judge", "score", "project", "name", "device")

command = Command(
    "study",
    callback=_study,
    help="Train many networks that differ in chosen fields, each with several seeds, on the same pictures: a table "
    "with intervals, the best, and what cannot be told from it.",
    epilog=_EPILOG,
    params=[
        click.Argument(["what"], required=False, metavar="[FILE|NAME|DATA]"),
        click.Argument(["data"], required=False),
        Flag(["grid", "--grid"], multiple=True, metavar="FIELD=A,B", help="values of a field; may be given again"),
        Flag(["seeds", "--seeds"], type=click.IntRange(1, 1000), metavar="N", help="runs of each combination [3]"),
        Flag(["jobs", "--jobs"], type=click.IntRange(1, 256), metavar="N", help="runs side by side [one a core]"),
        Flag(["engine", "--engine"], type=click.Choice(["processes", "ray"]), default="processes",
             help="who carries the runs out [processes]"),
        Flag(["prune", "--prune"], is_flag=True, help="stop runs that are hopeless; they are in no table"),
        Flag(["dry_run", "--dry-run"], is_flag=True, help="the plan and its cost, from a short trial; no more"),
        Flag(["judge", "--judge"], metavar="val|test", help="whose score ranks [val, where there is one]"),
        Flag(["score", "--score"], metavar="NAME", help="top1, balanced_accuracy, macro_f1, log_loss ... [top1]"),
        Flag(["resumed", "--resume"], metavar="STUDY", help="go on with a study where it was stopped"),
        Flag(["as_begun", "--as-begun"], is_flag=True, help="go on although its file has changed since"),
        Flag(["retry", "--retry"], is_flag=True, help="with --resume: runs that failed are tried again"),
        Flag(["list_all", "--list"], is_flag=True, help="the ready-made studies"),
        Flag(["printed", "--print"], metavar="NAME", help="the file of a ready-made study, to be changed"),
        Flag(["project", "--project"], metavar="FOLDER", help="folder for studies [runs/study]"),
        Flag(["name", "--name"], metavar="NAME", help="of its folder [that of the file]"),
        Flag(["device", "--device"], metavar="NAME", help="auto, cpu, cuda or cuda:N"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON on stdout"),
        *flags(OPTIONS, leave_out=_LEFT_OUT),
    ],
)  # fmt: skip
