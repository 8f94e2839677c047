"""`dojang convert FILE --model NAME`."""

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


def _convert(
    file: str,
    model: str,
    labels: str | None,
    imgsz: int | None,
    mean: str | None,
    std: str | None,
    out: str | None,
    as_json: bool,
    **values: Any,
) -> None:
    with garbage.importing():
        from dojang import files
        from dojang.cli.progress import say
        from dojang.models.convert import convert
        from dojang.models.pretrained import place

    if out is not None:
        files.must_be_new(out, flag="--out", fix="another --out.")
    target = out or str(place(model))
    notes = convert(
        file,
        target,
        model=model,
        labels=_names(labels),
        imgsz=imgsz,
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        options=given(values, _OPTIONS),
    )
    if as_json:
        print_json({"model": model, "weights": target, "notes": notes})
        return
    for note in notes:
        say(note)
    say(f"{model}  {target}")


def _names(labels: str | None) -> list[str] | None:
    """The names of the classes: those of a data set, or a file's lines."""
    from dojang.data.named import NAMES

    if labels is None:
        return None
    if labels in NAMES:
        return list(NAMES[labels].classes)
    try:
        return Path(labels).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise ConfigError(
            "C246", f"the labels {labels!r} cannot be read: {reason}.", fix=f"a file, or one of {', '.join(NAMES)}."
        ) from None


def _numbers(flag: str, text: str | None) -> tuple[float, ...] | None:
    """Three numbers, or one, with commas between."""
    if text is None:
        return None
    try:
        numbers = tuple(float(one) for one in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3) or not all(0 <= one <= 1 for one in numbers) or (flag == "--std" and 0 in numbers):
        raise ConfigError("C202", f"{flag} cannot be {text!r}; expected 1 or 3 numbers from 0 to 1.", fix=f"{flag} 0.5")
    return numbers if len(numbers) == 3 else numbers * 3


command = Command(
    "convert",
    callback=_convert,
    help="Make weights of another tool (tensors by name) a file that dojang reads; without --out, one that "
    "--pretrained finds.",
    params=[
        click.Argument(["file"]),
        Flag(["model", "--model"], metavar="NAME", required=True, help="whose weights they are: resnet18, ..."),
        Flag(
            ["labels", "--labels"], metavar="FILE", help="the classes' names, one a line; or a set: cifar10 [ImageNet]"
        ),
        Flag(["imgsz", "--imgsz"], type=click.IntRange(1), help="height and width [what the model was made for]"),
        Flag(["mean", "--mean"], metavar="R,G,B", help="of levels from 0 to 1, that pictures lose [ImageNet's]"),
        Flag(["std", "--std"], metavar="R,G,B", help="of levels from 0 to 1, that they are divided by [ImageNet's]"),
        Flag(["out", "--out"], metavar="FILE", help="the file to write"),
        Flag(["as_json", "--json"], is_flag=True, help="the result as JSON"),
        *flags(_OPTIONS, leave_out=("model", "init", "pretrained")),
    ],
)
