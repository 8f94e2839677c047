"""`dojang explain RUN IMAGES...`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.cells import cell_len

from dojang import garbage
from dojang.cli.flags import Command, Flag
from dojang.cli.main import print_json, wrapped
from dojang.errors import ConfigError, DataError
from dojang.explain.options import METHODS

if TYPE_CHECKING:
    from dojang.explain.explain import Explanation

_WIDTH = 80


@garbage.unsearched()
def _explain(
    run: str,
    pictures: tuple[str, ...],
    methods: tuple[str, ...],
    layer: str | None,
    label: str | None,
    xrays: tuple[str, ...],
    maps: tuple[str, ...],
    filters: bool,
    deconvolve: tuple[str, ...],
    maximised: tuple[str, ...],
    nearest: int,
    data: str | None,
    model: str | None,
    device: str,
    project: str,
    name: str | None,
    as_json: bool,
) -> None:
    if not pictures and not (filters or maximised):
        raise ConfigError(
            "C200", "explain needs pictures, or --filters or --maximise.", fix=f"dojang explain {run} photo.jpg"
        )
    of_pictures = (methods, layer, label, xrays, maps, deconvolve, nearest)
    told = [flag for flag, given in zip(_OF_PICTURES, of_pictures, strict=True) if given]
    if told and not pictures:
        fix = f"dojang explain {run} photo.jpg {told[0]} ..."
        raise ConfigError("C200", f"{told[0]} is of a picture, and none is named.", fix=fix)

    with garbage.importing():
        from dojang import files, folders
        from dojang.cli.progress import reporter, say
        from dojang.data.sources import FolderSource
        from dojang.explain.explain import Asked, Explained, explain, of_network
        from dojang.explain.saved import TABLE, slug
        from dojang.runs import folder as names
        from dojang.runs.validate import load, pictures_in

    asked = Asked(
        tuple(part for word in methods for part in word.split(",")), layer, label, xrays, maps, deconvolve, nearest
    )
    predictor = load(run, model=model, device=device)
    paths = pictures_in(list(pictures)) if pictures else []
    read = FolderSource(Path(), "").read
    progress = reporter()
    # the one that is being looked at: what is wrong with it is another matter than with the data of a run
    looked: list[str] = []

    def sources() -> Iterator[tuple[str, bytes]]:
        for path in paths:
            looked[:] = [str(path)]
            yield str(path), read(str(path))

    try:
        found = explain(predictor, sources(), asked, run=run, data=data, tick=progress.preparing)
    except DataError as error:
        if "--bad=skip" in error.fix and looked and repr(looked[0]) in error.what:
            error.fix = "leave that picture out, or give a whole copy of it."
        raise
    found.filters, found.maximised = of_network(predictor, filters, maximised)
    progress.end()
    for place in pictures:
        names.outside(project, place)
    weights = Path(run)
    stem = name or slug(weights.stem if weights.is_file() else names.find(run).name)
    target = folders.free_name(Path(project) / stem)
    with folders.new_folder(target) as folder:
        found.save(folder)
        told = json.loads(files.read_text(folder / TABLE))
    if as_json:
        print_json({"folder": str(target)} | told)
        return
    for one, facts in zip(found, told["pictures"], strict=True):
        for line in _lines(one):
            say(line)
        _say(say, "written", f"{target / facts['folder']}: {', '.join(facts['files'])}")
    assert isinstance(found, Explained)  # for the type checker
    if found.filters is not None:
        _say(say, "filters", f"of {found.filters.layer}: {target / 'filters.png'}")
    for made in found.maximised:
        sure = "" if made.probability is None else f", probability {made.probability:.4f}"
        _say(say, "maximise", f"{made.of}: from {made.before:.4g} to {made.after:.4g}{sure}")
    if found.maximised:
        _say(say, "", f"{target / 'maximised.png'}")


def _lines(one: Explanation) -> list[str]:
    """What is told of one picture."""
    import numpy as np

    from dojang.explain import words

    source = one.sight.source.replace("\n", r"\n")
    labels = [f"{label} {probability:.4f}".replace("\n", r"\n") for label, probability in one.answer.top(3)]
    lines = [f"{source}: {'  '.join(labels)}"]
    if cell_len(lines[0]) > _WIDTH:
        lines = [f"{source}:"]
        for number, label in enumerate(labels):
            lines += _row("answer" if number == 0 else "", label)
    if one.label != one.answer.label:
        lines += _row("asked", one.label)
    if not one.sight.frame.whole:
        top, left, bottom, right = (round(end) for end in one.sight.frame.seen)
        height, width = one.sight.frame.picture
        lines += _row("seen", f"rows {top} to {bottom - 1} of {height}, columns {left} to {right - 1} of {width}")
    if one.layer is not None:
        lines += _row("layer", f"{one.layer}: {one.why}")
    for heat in one.heats:
        lines += _row(heat.method, words.sentence(heat))
        if heat.facts.get("complete") is False:
            lines += _row("", "its shares do not sum to the score's difference within 1 %")
    if one.sight.order is not None:
        lines += _row("", "trained with --permute-pixels: each pixel's heat lies where the picture has it")
    for near in one.near:
        lines += _row("nearest", f"{near.label}, alike {near.similarity:.3f}: {near.path}")
        if np.array_equal(near.pixels, one.sight.pixels):
            lines += _row("", "that is this picture: the run has learned from it, and answers it too surely")
    for found in one.xrays:
        lines += ["", *str(found).split("\n"), ""]
    return lines


def _say(say: Any, name: str, text: str) -> None:
    for line in _row(name, text):
        say(line)


def _row(name: str, text: str) -> list[str]:
    """A line that begins with a name, broken between words."""
    parts = wrapped(text, _WIDTH - 14)
    return [f"  {name:<12}{parts[0]}".rstrip(), *(f"{'':14}{part.strip()}" for part in parts[1:])]


_OF_PICTURES = ("--method", "--layer", "--class", "--xray", "--maps", "--deconvolve", "--nearest")
command = Command(
    "explain",
    callback=_explain,
    help="Why RUN (or a weights file) answers as it does to picture files, or folders of them: heat maps over each "
    "picture, in a folder of their own, and in words. Which layer they are taken at is found out.",
    params=[
        click.Argument(["run"]),
        click.Argument(["pictures"], nargs=-1),
        Flag(["methods", "--method"], multiple=True, metavar="NAME",
             help=f"heat maps, several by commas or by saying it again: {', '.join(METHODS)} [two that suit]"),
        Flag(["layer", "--layer"], metavar="LAYER", help="where gradcam and layercam are taken [the best one]"),
        Flag(["label", "--class"], metavar="NAME", help="the class that is asked about [the answer]"),
        Flag(["xrays", "--xray"], multiple=True, metavar="LAYER:CHANNEL,ROW,COLUMN",
             help="one number: the pixels it saw, its sum written out, where it goes; what is left out is chosen"),
        Flag(["maps", "--maps"], multiple=True, metavar="LAYER", help="what a layer makes of the picture, as a sheet"),
        Flag(["filters", "--filters"], is_flag=True, help="the filters of the first layer, as a sheet"),
        Flag(["deconvolve", "--deconvolve"], multiple=True, metavar="LAYER[:CHANNEL]",
             help="what excited the strongest units of a layer, led back to the pixels"),
        Flag(["maximised", "--maximise", "--maximize"], multiple=True, metavar="CLASS|LAYER:CHANNEL",
             help="the picture that excites a class or a unit the most"),
        Flag(["nearest", "--nearest"], type=click.IntRange(0), default=0, metavar="N",
             help="so many training pictures that the network finds most like it"),
        Flag(["data", "--data"], metavar="PLACE", help="where the training pictures are, if they have moved"),
        Flag(["model", "--model"], metavar="FILE.py:CLASS", help="for weights of a model of your own"),
        Flag(["device", "--device"], default="auto", help="auto, cpu, cuda or cuda:N"),
        Flag(["project", "--project"], default="runs/explain", help="folder for the results [runs/explain]"),
        Flag(["name", "--name"], metavar="NAME", help="of the folder in it; numbered, never overwritten [the run's]"),
        Flag(["as_json", "--json"], is_flag=True, help="what was found, as JSON on stdout"),
    ],
)  # fmt: skip
