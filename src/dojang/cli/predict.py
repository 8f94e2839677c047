"""`dojang predict RUN FILES...`."""

from __future__ import annotations

from pathlib import Path

import click

from dojang import garbage
from dojang.cli.flags import Command, Flag
from dojang.cli.main import print_json
from dojang.errors import ConfigError


def _predict(run: str, pictures: tuple[str, ...], top: int, model: str | None, device: str, as_json: bool) -> None:
    if not pictures:
        raise ConfigError("C200", "predict needs pictures.", fix=f"dojang predict {run} photo.jpg")

    with garbage.importing():
        from dojang.cli.progress import say
        from dojang.data.sources import FolderSource
        from dojang.runs.validate import load, pictures_in

    predictor = load(run, model=model, device=device)
    read = FolderSource(Path(), "").read
    sources = ((str(path), read(str(path))) for path in pictures_in(list(pictures)))
    for answer in predictor.predict(sources, threads=2):
        if as_json:
            print_json(answer.as_dict())
        else:
            best = "  ".join(f"{label} {probability:.4f}" for label, probability in answer.top(top))
            # a line a picture: a line break in a file's name must not look like another one
            say(f"{answer.source}: {best}".replace("\n", r"\n"))


command = Command(
    "predict",
    callback=_predict,
    help="Answers of a run, or of a weights file, for picture files and folders of them; a line a picture.",
    params=[
        click.Argument(["run"]),
        click.Argument(["pictures"], nargs=-1),
        Flag(["top", "--top"], type=click.IntRange(1), default=3, help="labels a picture [3]"),
        Flag(["model", "--model"], metavar="FILE.py:CLASS", help="for weights of a model of your own"),
        Flag(["device", "--device"], default="auto", help="auto, cpu, cuda or cuda:N"),
        Flag(["as_json", "--json"], is_flag=True, help="one JSON object a picture"),
    ],
)
