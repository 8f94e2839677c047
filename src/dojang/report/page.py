"""A run as one self-contained page: put together from its story, its pictures and the words of a language."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import Any

from markupsafe import Markup
from rich.cells import cell_len

import dojang
from dojang.data.ahead import cores
from dojang.data.manifest import plain
from dojang.errors import ConfigError
from dojang.evaluate.kept import Kept
from dojang.report import data, figures, matrix, method, results
from dojang.report.story import Story
from dojang.report.text import Words
from dojang.runs.pictures import Pictures

#: wrong answers that are shown
WORST = 24
_PLACE = "THE/PLACE/OF/THE/PICTURES"
_SMALL = "data:image/png"

Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Page:
    """A page and what is to be said of it.

    Args:
        html: Its text.
        pictures: How many pictures it holds.
        notes: What its reader is told first, in its language.
        seconds: That it took to make.
    """

    html: str
    pictures: int
    notes: tuple[str, ...]
    seconds: float


def make(
    story: Story, lang: str = "en", *, pictures: Any = None, threads: int | None = None, tick: Tick = lambda d, t: None
) -> Page:
    """The page of a run. The same run, data and dojang give the same page.

    Args:
        story: From :func:`dojang.report.story.read`.
        lang: "en" or "ko".
        pictures: Where the pictures are, if that is elsewhere now; a path or a manifest.
        threads: That read pictures; None takes one a core.
        tick: Told how many pictures are read, and of how many.

    Raises:
        ConfigError: C202 for another language; C218 for ``pictures`` that are not there, or are none of the run's.
    """
    began = time.perf_counter()
    t = Words(lang)
    source = Pictures(story.folder, pictures)
    if not source.rows and story.parts:
        # runs that share one division write it down each by itself
        source = Pictures(story.parts[0].folder, pictures)
    if pictures is not None:
        _given(source, pictures)
    kept, rows = story.kept, source.rows
    cells = matrix.cells(kept) if kept else {}
    worst = kept.wrong(WORST).tolist() if kept else []
    chosen = data.samples(rows, story.recipe.train.seed)
    wanted = [path for paths in chosen.rows.values() for path in paths]
    wanted += [path for cell in cells.values() for path in cell.paths]
    wanted += [kept.paths[row] for row in worst] if kept else []
    found = source.thumbnails(wanted, threads=cores() if threads is None else threads, tick=tick)
    curves = figures.curves(story, t)
    warnings = results.warnings(story, source, t)
    context: dict[str, Any] = {
        "t": t,
        "version": dojang.__version__,
        "name": plain(story.name),
        "hero": results.hero(story, t),
        "warnings": warnings,
        "scores": results.scores(story, t),
        "scores_said": results.scores_said(story, t),
        "repeated": results.repeated(story, t),
        "mistakes": _mistakes(kept, cells, worst, found, t) if kept else None,
        "classes": _classes(kept, t) if kept else None,
        "calibration": results.calibration(story, t),
        "curves": curves,
        "learning_said": method.learning(story, t),
        "data": data.shown(story, rows, chosen, found, t),
        "model": method.model(story, t),
        "recipe": method.recipe(story),
        "again": method.again(story, t),
        "environment": method.environment(story),
    }
    there = [
        *(key for key in ("scores", "repeated", "mistakes", "classes", "calibration") if context[key]),
        *(["learning"] if curves.charts else []),
        *("data", "model", "recipe", "again"),
    ]
    headings = {"repeated": ("repeats", context["repeated"] and context["repeated"]["heading"])}
    context["contents"] = [headings.get(key, (key, t(key) if t.has(key) else "")) for key in there]
    html = _render(context)
    seconds = time.perf_counter() - began
    return Page(html, len(found), tuple(f"{sentence} {command}".rstrip() for sentence, command in warnings), seconds)


def _given(source: Pictures, given: Any) -> None:
    """Data that was named must be the run's: a page without its pictures is not what was asked for."""
    place = plain(str(given)) if isinstance(given, (str, os.PathLike)) else type(given).__name__
    if source.missing is not None:
        raise ConfigError("C218", f"--data {place!r}: {source.missing.what}", fix=f"--data {_PLACE}")
    if source.strange:
        raise ConfigError(
            "C218",
            f"--data {place!r} holds none of the {len(source.rows):,} pictures of this run.",
            context=f"The run knows them by names such as {plain(source.rows[0].path)!r}.",
            fix=f"--data {_PLACE}",
        )


def _mistakes(
    kept: Kept, cells: dict[tuple[int, int], matrix.Cell], worst: list[int], found: dict[str, str], t: Words
) -> dict[str, Any]:
    labels = kept.names
    whole = len(labels) <= matrix.TABLE
    listed = [(cells[i, j], labels[i], labels[j]) for i, j, _ in kept.confused()[: matrix.LISTED] if (i, j) in cells]
    shown = [
        {
            "address": found.get(kept.paths[row], ""),
            "small": found.get(kept.paths[row], "").startswith(_SMALL),
            "true": labels[int(kept.true[row])],
            "predicted": labels[int(kept.predicted[row])],
            "probability": f"{kept.probability[row]:.3f}",
            "name": _last(kept.paths[row]),
        }
        for row in worst
    ]
    return {
        "n": len(kept),
        "labels": labels,
        "long": any(cell_len(label) > 4 for label in labels),
        "caption": t("matrix_caption", split=t.split(kept.split)),
        "pressed": bool(found),
        "how": t("matrix_how" if found else "matrix_how_without") if whole else t("matrix_large", n=len(labels)),
        "table": list(matrix.table(kept, cells)) if whole else None,
        "drawn": None if whole else matrix.drawn(kept),
        "drawn_alt": t("matrix_picture", n=len(labels)),
        "confused": listed,
        "worst": shown,
        "panels": [panel for cell in cells.values() if (panel := _panel(cell, labels, found, t))["pictures"]]
        if found
        else [],
    }


def _panel(cell: matrix.Cell, labels: list[str], found: dict[str, str], t: Words) -> dict[str, Any]:
    pictures = [
        {
            "address": found[path],
            "small": found[path].startswith(_SMALL),
            "probability": f"{p:.3f}",
            "name": _last(path),
        }
        for path, p in zip(cell.paths, cell.probabilities, strict=True)
        if path in found
    ]
    return {
        "cell": cell,
        "true": labels[cell.true],
        "predicted": labels[cell.predicted],
        "said": t("cell_some_right" if cell.right else "cell_some_wrong", shown=len(pictures), n=cell.count),
        "pictures": pictures,
    }


def _classes(kept: Kept, t: Words) -> dict[str, Any]:
    bars = figures.class_bars(kept, t)
    there = int((kept.matrix.sum(axis=1) > 0).sum())
    return {"bars": bars, "left": t("classes_left", n=len(bars), classes=there) if len(bars) < there else ""}


def _last(path: str) -> str:
    """The end of a picture's name: what a narrow caption has room for."""
    return plain(path.rpartition("/")[2])


def _broken(text: str) -> Markup:
    """A long name with places where a line may end."""
    return Markup("<wbr>").join(re.split(r"(?<=[_/-])(?=\w)", text))


def _render(context: dict[str, Any]) -> str:
    from jinja2 import Environment, StrictUndefined

    room = resources.files("dojang.report")
    style, script, text = (room.joinpath(f"page.{kind}").read_text("utf-8") for kind in ("css", "js", "html"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # every name is escaped: a class may be called <script>
    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["broken"] = _broken
    template = made.from_string(text)
    return template.render(style=style, script=script, script_hash=f"sha256-{digest}", **context)
