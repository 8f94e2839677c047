"""`dojang predict RUN FILES...`."""

from __future__ import annotations

import json

import click

from dojang.cli.flags import Command, Flag
from dojang.errors import ConfigError


def _predict(run: str, pictures: tuple[str, ...], top: int, model: str | None, device: str, as_json: bool) -> None:
    if not pictures:
        raise ConfigError("C200", "predict needs pictures.", fix=f"dojang predict {run} photo.jpg")

    from dojang.cli.progress import say
    from dojang.runs.validate import load, pictures_in

    predictor = load(run, model=model, device=device)
    sources = ((str(path), path.read_bytes()) for path in pictures_in(list(pictures)))
    for answer in predictor.predict(sources, threads=2):
        if as_json:
            say(json.dumps(answer.as_dict(), ensure_ascii=False))
        else:
            best = "  ".join(f"{label} {probability:.4f}" for label, probability in answer.top(top))
            say(f"{answer.source}: {best}")


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
