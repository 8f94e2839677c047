"""`dojang models [NAME]`."""

from __future__ import annotations

import click

from dojang import garbage
from dojang.cli.flags import Command, Flag


def _models(name: str | None, imgsz: int, channels: int, classes: int, parameters: bool) -> None:
    from dojang.cli.progress import say
    from dojang.models.presets import PRESETS

    if name is None:
        for preset in PRESETS:
            say(f"{preset:14} {PRESETS[preset].summary}")
        return
    with garbage.importing():
        from dojang.models import build, summary

    model = build.build(name, in_channels=channels, classes=classes, image_size=(imgsz, imgsz), seed=0)
    say(str(summary.summarise(model, (imgsz, imgsz), channels)))
    if parameters:
        say(summary.parameters_table(model))


command = Command(
    "models",
    callback=_models,
    help="The networks there are; with NAME, the layers of one with their shapes and parameters.",
    params=[
        click.Argument(["name"], required=False),
        Flag(["imgsz", "--imgsz"], type=click.IntRange(1), default=28, help="height and width [28]"),
        Flag(["channels", "--channels"], type=click.IntRange(1), default=1, help="of the pictures [1]"),
        Flag(["classes", "--classes"], type=click.IntRange(1), default=10, help="how many [10]"),
        Flag(["parameters", "--parameters"], is_flag=True, help="also every parameter with its first values"),
    ],
)
