"""What `dojang data show` shows: each view as numbers, as lines, and as a page that is made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dojang.data.manifest import Manifest, plain
from dojang.data.options import DataOptions
from dojang.data.scan import find
from dojang.data.sources import FolderSource
from dojang.data.split import describe
from dojang.doctor import stages_page
from dojang.doctor.anatomy import anatomy
from dojang.doctor.samples import samples
from dojang.doctor.show import folded_lines
from dojang.doctor.stages import stages
from dojang.errors import ConfigError


@dataclass(frozen=True)
class Shown:
    """A view.

    Args:
        numbers: Plain values, for ``--json``.
        lines: For a terminal of 80 columns.
        page: Makes the text of an HTML page.
    """

    numbers: dict[str, Any]
    lines: list[str]
    page: Callable[[], str]


def sample(data: str, options: DataOptions, *, count: int | None = None, seed: int = 0) -> Shown:
    """Some pictures of each class and split."""
    manifest = _found(data, options)
    found = samples(manifest, count, seed)
    return Shown(found.as_dict(), [*manifest.notes, describe(manifest)], found.page)


def preprocessing(data: str, options: DataOptions, **how: Any) -> Shown:
    """What normalisation does to the training part; see :func:`dojang.doctor.stages.stages`."""
    found = stages(_found(data, options), options, **how)
    return Shown(found.as_dict(), found.lines(), lambda: stages_page.page(found))


def augmented(data: str, layer: Mapping[str, Any], *, count: int | None = None, threads: int = 0) -> Shown:
    """Some training pictures before and after augmentation; see :func:`dojang.runs.preview.preview`.

    Args:
        layer: Checked options of a training.
        count: Pictures; None shows eight.
    """
    # torch is loaded for this view alone
    from dojang.doctor.before_after import page
    from dojang.runs.preview import preview

    given = DataOptions(**{name: layer[name] for name in ("data_root", "download") if name in layer})
    found = preview(_found(data, given), [layer], pictures=count or 8, epochs=7, threads=threads)
    options = dict(vars(found.recipe.augment))
    lines = [*folded_lines(f"augment: {found.words}", " " * 9), "validation and test pictures stay as they are."]
    numbers = {"augment": found.words, "options": options, "pictures": list(found.paths)}
    return Shown(numbers, lines, lambda: page(found, plain(data)))


def picture(path: str, at: str | None = None) -> Shown:
    """A picture file as numbers. Raises DataError as decoding does."""
    found = anatomy(FolderSource(Path(), "").read(path), plain(path), _place(at))
    return Shown(found.as_dict(), [plain(path), *found.lines()], found.page)


def row(data: str, options: DataOptions, number: int, at: str | None = None) -> Shown:
    """A picture of a data set as numbers.

    Raises:
        ConfigError: C202 where there is no such row.
    """
    manifest = _found(data, options)
    if number >= len(manifest):
        last = len(manifest) - 1
        raise ConfigError("C202", f"--row {number} is not there: the rows are 0 to {last:,}.", fix=f"--row {last}")
    path = manifest.paths[number]
    found = anatomy(manifest.source.read(path), plain(path), _place(at))
    names = ", ".join(manifest.classes[label] for label in manifest.labels[number])
    about = {"row": number, "class": names, "split": manifest.splits[number]}
    return Shown(found.as_dict() | about, [f"{plain(path)}  {plain(names)}", *found.lines()], found.page)


def _found(data: str, options: DataOptions) -> Manifest:
    return find(data, options.data_root, options.download)


def _place(at: str | None) -> tuple[int, int] | None:
    if at is None:
        return None
    words = at.split(",")
    if len(words) != 2 or not all(word.strip().isdecimal() for word in words):
        raise ConfigError("C202", f"--at {at!r} is no place in a picture; expected ROW,COLUMN.", fix="--at 10,20")
    return int(words[0]), int(words[1])
