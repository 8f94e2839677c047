"""`dojang conv`: what a convolution costs, and what it does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dojang import garbage
from dojang.cli.flags import Command, Flag
from dojang.cli.main import print_json
from dojang.errors import ConfigError, did_you_mean

# what each question has a use for; anything else that was given would be passed over in silence
_LAYER = ("filters", "kernel", "stride", "padding", "dilation", "groups", "bias")
_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "input": _LAYER,
    "stacked": (),
    "bottleneck": (),
    "windows": (),
    "show": (),
    "picture": ("out",),
}
# and what columns are made of may be changed
_COLUMNS = ("stride", "padding")


def _conv(**given: Any) -> None:
    asked = [name for name in _QUESTIONS if given[name] is not None]
    if len(asked) != 1:
        raise ConfigError(
            "C200",
            "conv needs one question: --input, --stacked, --bottleneck, --windows, --show or --picture.",
            fix="dojang conv --input 32x32x3 --filters 64 --kernel 5",
        )
    question, value = asked[0], given[asked[0]]
    useful = _COLUMNS if (question, value) == ("show", "columns") else _QUESTIONS[question]
    for name in (*_LAYER, "out"):
        if given[name] is not None and name not in useful:
            raise ConfigError("C200", f"--{name} has no meaning with --{question}.", fix=f"leave out --{name}.")
    as_json = bool(given["json"])
    if question == "show":
        _show(value, {name: given[name] for name in _COLUMNS if given[name] is not None}, as_json)
    elif question == "picture":
        _filtered(Path(value), given["out"], as_json)
    else:
        _calculate(question, value, {name: given[name] for name in _LAYER if given[name] is not None}, as_json)


def _calculate(question: str, value: str, layer: dict[str, Any], as_json: bool) -> None:
    from dojang.cli.progress import say
    from dojang.convolution import calculators

    if question == "input":
        *size, channels = _numbers("--input", value, 2)
        sides = _numbers("--kernel", layer.pop("kernel", "3"), 1)
        kernel = sides * len(size) if len(sides) == 1 else sides
        padding = _padding(layer.pop("padding", "valid"))
        cost = calculators.layer(channels, size, layer.pop("filters", 64), kernel, padding=padding, **layer)
        if as_json:
            print_json({"output": cost.out, "weights": cost.weights, "biases": cost.biases, "mult_adds": cost.macs,
                        "dense_weights": cost.dense})  # fmt: skip
        else:
            say(str(cost))
        return
    if question == "windows":
        pairs = [_numbers("--windows", one, 2, 2) for one in value.split(",")]
        found = calculators.receptive_field([(kernel, stride) for kernel, stride in pairs])
    else:
        ask = calculators.stacked if question == "stacked" else calculators.bottleneck
        found = ask(*_numbers(f"--{question}", value, 2, 2))
    if as_json:
        print_json({"result": found.result, "lines": found.lines})
    else:
        say(str(found))


def _show(name: str, options: dict[str, Any], as_json: bool) -> None:
    with garbage.importing():
        from dojang.cli.progress import say
        from dojang.convolution.demonstrations import DEMONSTRATIONS, Graph, columns

    if name not in DEMONSTRATIONS:
        near = did_you_mean(name, DEMONSTRATIONS)
        raise ConfigError(
            "C203", f"there is no demonstration {name!r}.{near}", context=f"There are: {', '.join(DEMONSTRATIONS)}."
        )
    if "padding" in options:
        options["padding"] = _padding(options["padding"], most=3)
    shown = columns(**options) if options else DEMONSTRATIONS[name]()
    if not as_json:
        say(str(shown))
    elif isinstance(shown, Graph):
        print_json({"lines": str(shown).splitlines()})
    else:
        print_json({"steps": [{"title": s.title, "words": s.words, "array": s.array.tolist()} for s in shown]})


def _padding(text: str, most: int = 999_999) -> int | str:
    if not re.fullmatch(r"-?[0-9]+", text):
        return text
    if len(text) > 6 or not 0 <= int(text) <= most:
        raise ConfigError("C202", f"--padding cannot be {text:.20}; expected a mode, or a number from 0 to {most:,}.")
    return int(text)


def _filtered(picture: Path, out: str | None, as_json: bool) -> None:
    """A picture behind every filter, side by side, as one picture."""
    import io

    import numpy as np
    from PIL import Image, ImageDraw

    from dojang import files
    from dojang.cli.progress import say
    from dojang.convolution.filters import FILTERS, filtered
    from dojang.data.decode import decode
    from dojang.data.sources import FolderSource

    target = Path(out or f"{picture.stem}-filters.png")
    if target.suffix.lower() != ".png":
        raise ConfigError("C202", f"the picture is a PNG, and {str(target)!r} does not end so.", fix="--out FILE.png")
    files.must_be_new(target, fix="--out FILE.png")
    levels = decode(FolderSource(Path(), "").read(str(picture)), str(picture), mode="RGB")
    image = Image.fromarray(levels)
    image.thumbnail((240, 240))
    small = np.asarray(image)
    # small pictures are shown larger, each pixel a square, so that there is room for the filter's name
    larger = max(1, -(-112 // image.width))
    height, width = image.height * larger, image.width * larger
    across = 4
    sheet = Image.new("RGB", (across * (width + 10) + 10, -(-len(FILTERS) // across) * (height + 28) + 10), "white")
    draw = ImageDraw.Draw(sheet)
    for number, name in enumerate(FILTERS):
        x, y = 10 + number % across * (width + 10), 10 + number // across * (height + 28)
        found = filtered(small, name)
        # edges are differences: 0 is shown as the middle of the greys
        shown = found / 2 + 128 if name.startswith("edges") else found
        levels_ = shown.clip(0, 255).round().astype(np.uint8).repeat(larger, axis=0).repeat(larger, axis=1)
        sheet.paste(Image.fromarray(levels_), (x, y + 16))
        draw.text((x, y), name, fill="black")
    data = io.BytesIO()
    sheet.save(data, "PNG")
    files.write_bytes(target, data.getvalue())
    if as_json:
        print_json({"drawn": str(target)})
    else:
        say(f"drawn  {target}")


def _numbers(flag: str, text: str, least: int, most: int = 4) -> list[int]:
    """Whole numbers with x between."""
    if not re.fullmatch(r"[1-9][0-9]{0,5}(x[1-9][0-9]{0,5})*", text) or not least <= text.count("x") + 1 <= most:
        example = "x".join(["3", "2", "4"][:least]) if least > 1 else "5, or 3x5"
        raise ConfigError("C202", f"{flag} cannot be {text!r}; expected numbers with x between, such as {example}.")
    return [int(one) for one in text.split("x")]


command = Command(
    "conv",
    callback=_conv,
    help="The convolution itself: what a layer costs with the arithmetic written out, and what it does, step by step.",
    params=[
        Flag(["input", "--input"], metavar="32x32x3", help="what a layer costs: sizes and channels of what comes in"),
        Flag(["filters", "--filters"], type=click.IntRange(1, 999_999), help="of that layer [64]"),
        Flag(["kernel", "--kernel"], help="of its windows: 3, or 3x5 [3]"),
        Flag(["stride", "--stride"], type=click.IntRange(1, 999_999), help="[1]"),
        Flag(["padding", "--padding"], help="valid, same, same-before, full, or a number [valid]"),
        Flag(["dilation", "--dilation"], type=click.IntRange(1, 999_999), help="[1]"),
        Flag(["groups", "--groups"], type=click.IntRange(1, 999_999), help="[1]"),
        Flag(["bias", "--bias/--no-bias"], default=None, help="whether each filter has one"),
        Flag(["stacked", "--stacked"], metavar="3x2", help="windows of 3, 2 of them, against one that sees as much"),
        Flag(["bottleneck", "--bottleneck"], metavar="256x64", help="1x1 to 64 of 256 channels and back: its saving"),
        Flag(["windows", "--windows"], metavar="7x2,3x2", help="windows and strides in a row: what a number sees"),
        Flag(["show", "--show"], metavar="NAME", help="step by step: modes, columns, commutes, series, video, "
             "filters, pattern, matrix, equivariance, pooling, transposed, field, blocks, graph"),
        Flag(["picture", "--picture"], metavar="FILE", help="a picture behind every filter"),
        Flag(["out", "--out"], metavar="FILE.png", help="where that picture goes"),
        Flag(["json", "--json"], is_flag=True, default=None, help="the result as JSON"),
    ],
)  # fmt: skip
