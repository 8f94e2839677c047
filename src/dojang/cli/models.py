"""`dojang models`."""

from __future__ import annotations

from dojang import garbage
from dojang.cli.flags import Command, Flag
from dojang.cli.main import print_json


@garbage.unsearched()
def _models(as_json: bool) -> None:
    with garbage.importing():
        from dojang.cli.progress import say
        from dojang.models import build, summary
        from dojang.models.presets import PRESETS

    row = "{:15}{:>5}{:>6}{:>13}{:>10}  {}".format
    if not as_json:
        say(row("name", "year", "depth", "parameters", "mult-adds", "for pictures, classes"))
    for name in PRESETS:
        preset = PRESETS[name]
        side, channels, classes = preset.home
        model = build.shaped(name, in_channels=channels, classes=classes, image_size=(side, side))
        parameters, macs, depth = summary.totals(model, (side, side), channels)
        if as_json:
            facts = {"name": name, "year": preset.year, "summary": preset.summary, "parameters": parameters}
            print_json(facts | {"mult_adds": macs, "depth": depth, "imgsz": side, "in_channels": channels,
                                "classes": classes})  # fmt: skip
            continue
        shape = f"{side}x{side}x{channels}, {classes:,}"
        say(row(name, preset.year or "", depth, f"{parameters:,}", summary.short(macs), shape))
    if not as_json:
        say("All take other sizes, channels and classes. Layer by layer: dojang summary NAME")


command = Command(
    "models",
    callback=_models,
    help="The networks there are: parameters, multiplications, depth and year.",
    params=[Flag(["as_json", "--json"], is_flag=True, help="a line of JSON for each")],
)
