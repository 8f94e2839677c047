"""`dojang lr-find DATA`."""

from __future__ import annotations

from typing import Any

import click

from dojang.cli.flags import Command, Flag, flags, given
from dojang.cli.main import print_json
from dojang.errors import ConfigError
from dojang.runs.recipe import OPTIONS, read_file

_EPILOG = """The network trains for some steps while the rate rises from --min-lr to --max-lr (Smith,
arXiv:1506.01186). A third of the rate at which the loss is lowest is one to begin with. Nothing of the network is kept.

All options of dojang train can be given, so a command that trains needs another verb only; the rate, its schedule and
the length of training are the test's own. More: docs/learning-rate.md."""
# what has no place here, or has another default
_LEFT_OUT = ("project", "name", "exist_ok", "folds", "seeds")


def _lr_find(data: str | None, recipe: str | None, as_json: bool, **values: Any) -> None:
    own = {name: values.pop(name) for name in ("min_lr", "max_lr", "steps", "project", "name")}
    layers = [read_file(recipe)] if recipe else []
    layers.append(given(values, {name: entry for name, entry in OPTIONS.items() if name not in _LEFT_OUT}))
    if data is None:
        raise ConfigError("C200", "lr-find needs DATA.", fix="dojang lr-find digits")

    from dojang.cli.progress import reporter, say
    from dojang.runs import lr_find
    from dojang.runs.folder import outside
    from dojang.runs.lr_find import short

    told = reporter()
    if unused := [name for name in lr_find.UNUSED if any(name in layer for layer in layers)]:
        told.note(f"not used by a range test: {', '.join(unused)}")
    where = {"min_lr": own["min_lr"], "max_lr": own["max_lr"], "steps": own["steps"]}
    outside(own["project"], data)
    found = lr_find.find(data, layers, **where, reporter=told)
    folder = lr_find.write(found, own["project"], own["name"], data)
    if as_json:
        print_json({"folder": str(folder), **found.as_dict()})
        return
    rate, loss = found.lowest
    say(f"the smoothed loss was lowest, {loss:.3f}, at lr {short(rate)}")
    say(found.ended)
    for one in found.suggestions:
        if one.rate is not None:
            say(f"{one.rule:12} lr {short(one.rate):8} {one.about}")
    if found.lr is None:
        say("the loss did not fall by more than its noise: there is nothing to suggest")
        say("      (more --steps, another range, or a network that learns)")
    else:
        say(f"begin with   --lr {short(found.lr)}")
    say(f"files        {folder}")
    say(f"             ({lr_find.PICTURE}, {lr_find.TABLE}, {lr_find.FACTS})")


command = Command(
    "lr-find",
    callback=_lr_find,
    help="Which learning rate to begin with: train a throw-away copy of the network on DATA while its rate rises.",
    epilog=_EPILOG,
    params=[
        click.Argument(["data"], required=False),
        Flag(["min_lr", "--min-lr", "--start-lr"], type=float, default=1e-6, metavar="X", help="first rate [1e-6]"),
        Flag(["max_lr", "--max-lr", "--end-lr"], type=float, default=10.0, metavar="X", help="last rate [10]"),
        Flag(["steps", "--steps", "--num-it"], type=int, default=200, metavar="N", help="at most [200]"),
        Flag(["recipe", "--recipe"], metavar="FILE", help="options from a YAML file; flags win over it"),
        Flag(["project", "--project"], default="runs/lr-find", metavar="FOLDER", help="for its folder [runs/lr-find]"),
        Flag(["name", "--name"], default="find", metavar="NAME", help="of its folder; a number is added [find]"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON on stdout"),
        *flags(OPTIONS, leave_out=_LEFT_OUT),
    ],
)
