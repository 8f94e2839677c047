"""`dojang summary MODEL`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dojang import garbage, recipe
from dojang.cli.flags import Command, Flag, flags, given
from dojang.cli.main import print_json
from dojang.errors import ConfigError
from dojang.models.options import ModelOptions

_OPTIONS = recipe.options_of(ModelOptions)


def _summary(
    name: str,
    imgsz: int | None,
    channels: int | None,
    classes: int | None,
    parameters: bool,
    drawing: str | None,
    layer: str | None,
    as_json: bool,
    **values: Any,
) -> None:
    with garbage.importing():
        from dojang import files
        from dojang.cli.progress import say
        from dojang.models import arithmetic, build, others, own, summary
        from dojang.models import drawing as drawings
        from dojang.models.presets import PRESETS
        from dojang.runs.validate import load

    options, permuted = given(values, _OPTIONS), False
    if layer is not None and (parameters or drawing is not None or as_json):
        raise ConfigError("C200", "--explain is for one layer; --params, --draw and --json are for all of them.")
    if as_json and parameters:
        raise ConfigError("C200", "--params is for reading; --json has the numbers of each layer.", fix="one of them.")
    if Path(name).exists() and not own.is_own(name):
        if options or imgsz or channels or classes:
            raise ConfigError(
                "C200", f"{name!r} is trained, and has its size, channels and classes.", fix=f"dojang summary {name}"
            )
        predictor = load(name)
        model, p = predictor.model, predictor.preprocess
        size, depth, number = (p.height, p.width), p.channels, len(predictor.labels)
        permuted = p.permute_pixels
    else:
        if others.is_other(name):
            side, depth, number = others.home(name).side, 3, 1000
        else:
            side, depth, number = (28, 1, 10) if own.is_own(name) or name == "auto" else PRESETS[name].home
        size, depth, number = (imgsz or side,) * 2, channels or depth, classes or number
        facts: dict[str, Any] = {"in_channels": depth, "classes": number, "image_size": size, "options": options}
        # weights are drawn only where they are shown, or where a file of one's own may do anything
        whole = parameters or own.is_own(name)
        model = build.build(name, seed=0, **facts) if whole else build.shaped(name, **facts)
    if layer is not None:
        say(arithmetic.explain(model, size, depth, layer))
        return
    found = summary.summarise(model, size, depth)
    if as_json:
        print_json(found.as_dict())
    else:
        say(str(found))
    if not as_json and (sentence := build.adaptation(model)) is not None:
        say(f"{sentence} (--stem full: as published)")
    if permuted and not as_json:
        say("trained with --permute-pixels: what a number sees is a square of that order,")
        say("and no part of the picture")
    if parameters:
        say(summary.parameters_table(model))
    if drawing is not None:
        if Path(drawing).suffix.lower() != ".svg":
            raise ConfigError("C202", f"--draw writes SVG, and cannot write {drawing!r}.", fix=f"--draw {name}.svg")
        _unused(Path(drawing))
        title = f"{name}, {size[0]} x {size[1]} x {depth}, {number:,} classes"
        files.write_text(Path(drawing), drawings.draw(found, title))
        say(f"drawn  {drawing}")


def _unused(path: Path) -> None:
    """An earlier drawing may be replaced, and nothing else."""
    if path.exists() and b"dojang" not in path.read_bytes()[:500]:
        raise ConfigError(
            "C202", f"--draw {str(path)!r} is there already, and no drawing of dojang's.", fix="another name."
        )


command = Command(
    "summary",
    callback=_summary,
    help="The layers of MODEL (a name, a run or a weights file): output, parameters, arithmetic, memory, and which "
    "part of the picture each number sees.",
    params=[
        click.Argument(["name"], metavar="MODEL"),
        Flag(["imgsz", "--imgsz"], type=click.IntRange(1), help="height and width [what the model was made for]"),
        Flag(["channels", "--in-channels", "--channels"], type=click.IntRange(1), help="of the pictures"),
        Flag(["classes", "--classes"], type=click.IntRange(1), help="how many"),
        Flag(["parameters", "--params", "--parameters"], is_flag=True, help="also every parameter with first values"),
        Flag(["drawing", "--draw"], metavar="FILE.svg", help="draw the network as volumes"),
        Flag(["layer", "--explain"], metavar="LAYER", help="only one layer: the arithmetic of its numbers"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON"),
        *flags(_OPTIONS, leave_out=("model", "init", "pretrained")),
    ],
)
