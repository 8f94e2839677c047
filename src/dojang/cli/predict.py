"""`dojang predict RUN FILES...`."""

from __future__ import annotations

import io
import itertools
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.cells import cell_len

from dojang import garbage
from dojang.cli.flags import Command, Flag
from dojang.cli.main import print_json, tell
from dojang.errors import ConfigError, DataError, did_you_mean, listing, many

if TYPE_CHECKING:
    from dojang.predict.answer import Answer


def _predict(
    run: str,
    pictures: tuple[str, ...],
    top: int,
    model: str | None,
    device: str,
    maps: str | None,
    label: str | None,
    unknown_below: float | None,
    none_of_these: bool,
    as_json: bool,
) -> int:
    if not pictures:
        raise ConfigError("C200", "predict needs pictures.", fix=f"dojang predict {run} photo.jpg")
    if label is not None and maps is None:
        raise ConfigError("C200", "--label says which class a map is of, and no map is asked for.", fix="--map FOLDER")
    if maps is not None and (unknown_below is not None or none_of_these):
        said = "--map shows where a class is; which pictures are unknown it does not say."
        raise ConfigError("C200", said, fix="leave out --unknown-below and --none-of-these.")
    if maps is not None and as_json:
        raise ConfigError("C200", "--map writes pictures, and nothing for --json.", fix="one of them.")

    with garbage.importing():
        from dojang import files
        from dojang.cli.progress import say
        from dojang.data.sources import FolderSource
        from dojang.predict.each import Bad, answers, why_unknown
        from dojang.predict.places import Everywhere
        from dojang.runs.validate import load, pictures_in

    predictor = load(run, model=model, device=device)
    read = FolderSource(Path(), "").read
    paths = pictures_in(list(pictures))
    if label is not None and label not in predictor.labels:
        near = did_you_mean(label, predictor.labels)
        raise ConfigError(
            "C203", f"the network knows no class {label!r}.{near}", context=f"It knows {listing(predictor.labels)}."
        )
    if maps is not None:
        everywhere = Everywhere(predictor)
        for path in paths:
            found = everywhere.places(read(str(path)), str(path))
            out = io.BytesIO()
            found.drawn(label).save(out, "PNG")
            target = _unused(Path(maps), path.stem)
            files.write_bytes(target, out.getvalue())
            most = float(found.probabilities[:, :, found.labels.index(label or found.best)].max())
            say(f"{path}: {label or found.best} up to {most:.4f} in {target}".replace("\n", r"\n"))
        return 0
    bad = 0
    asked = answers(
        predictor, [str(path) for path in paths], read, unknown_below=unknown_below, none_of_these=none_of_these
    )
    for answer in asked:
        if isinstance(answer, Bad):
            bad += 1
            if as_json:
                print_json({"source": answer.source} | answer.error.as_dict() | {"fix": _FIX})
            # the fix of the error itself is for pictures that are trained on
            tell(f"{type(answer.error).__name__}[{answer.error.code}]: {answer.error.what}")
        elif as_json:
            print_json(answer.as_dict())
        else:
            for line in _lines(answer, why_unknown(answer, unknown_below), top):
                say(line)
    if bad:
        tell(f"{bad:,} of {many(len(paths), 'picture')} without an answer.\n  Fix: {_FIX}")
    return DataError.exit_code if bad else 0


_FIX = "replace what cannot be read, or leave it out."


def _lines(answer: Answer, unknown: str, top: int) -> list[str]:
    """A line a picture; on a terminal that is too narrow for it a line a label, none of them cut."""
    # a line break in a file's name must not look like another picture
    source = answer.source.replace("\n", r"\n")
    labels = [f"{label} {probability:.4f}".replace("\n", r"\n") for label, probability in answer.top(top)]
    first = f"{source}: unknown, {unknown}" if unknown else f"{source}:"
    line = f"{first}  ({'  '.join(labels)})" if unknown else f"{first} {'  '.join(labels)}"
    if not sys.stdout.isatty() or cell_len(line) <= shutil.get_terminal_size().columns:
        return [line]
    return [first, *(f"  {label}" for label in labels)]


def _unused(folder: Path, stem: str) -> Path:
    """A name for a picture that is not there yet: nothing is overwritten."""
    names = (folder / f"{stem}{number if number > 1 else ''}.png" for number in itertools.count(1))
    return next(path for path in names if not path.exists())


command = Command(
    "predict",
    callback=_predict,
    help="Answers of a run, or of a weights file, for picture files and folders of them; a line a picture. "
    "What cannot be read is named, and the others are answered; the exit status is then 3.",
    params=[
        click.Argument(["run"]),
        click.Argument(["pictures"], nargs=-1),
        Flag(["top", "--top"], type=click.IntRange(1), default=3, help="labels a picture [3]"),
        Flag(["model", "--model"], metavar="FILE.py:CLASS", help="for weights of a model of your own"),
        Flag(["device", "--device"], default="auto", help="auto, cpu, cuda or cuda:N"),
        Flag(["maps", "--map"], metavar="FOLDER", help="instead of answers: where in each picture a class is, as PNG"),
        Flag(["label", "--label"], metavar="NAME", help="the class of --map [the most certain one]"),
        Flag(["unknown_below", "--unknown-below"], type=float, metavar="P",
             help="an answer is unknown where its label is less probable"),
        Flag(["none_of_these", "--none-of-these"], is_flag=True,
             help="an answer is unknown where the picture lies farther from all classes than validation pictures do"),
        Flag(["as_json", "--json"], is_flag=True, help="one JSON object a picture"),
    ],
)  # fmt: skip
