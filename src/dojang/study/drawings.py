"""Drawings of a study: pictures beside its table, or in place of one, each with settings that its file can hold.

A drawing is a frozen dataclass of options in a file of its own; :data:`NAMES` says where.  It is read and checked with
the study file, and made when the runs are done: files for the study's folder, and lines for the terminal.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.cells import cell_len

from dojang import files, recipe
from dojang.data.manifest import plain
from dojang.errors import ConfigError, did_you_mean
from dojang.train.guard import Stop
from dojang.train.log import Reporter, Silent

if TYPE_CHECKING:
    from dojang.study.plan import Cell, Plan
    from dojang.study.results import Row
    from dojang.study.study import Settings

#: every drawing, and the class that is its settings
NAMES: dict[str, str] = {
    "finder": "dojang.study.finder:Finder",
    "paths": "dojang.study.paths:Paths",
    "polynomials": "dojang.study.polynomials:Polynomials",
    "rates": "dojang.study.rates:Rates",
}
#: what a study's folder keeps of its drawings: their files and lines
KEPT = "drawings.json"
FORMAT = 1


@dataclass(frozen=True)
class Scene:
    """What a drawing is made from.

    Args:
        place: The study's folder.
        plan: Of the study.
        settings: Decided when it began.
        cells: All of them; none where nothing is trained.
        rows: Every run that has come to its end, by cell and seed.
        reporter: Told of progress.
        stop: Asked between steps by whatever trains.
    """

    place: Path
    plan: Plan
    settings: Settings
    cells: Sequence[Cell] = ()
    rows: Mapping[tuple[int, int], Row] = field(default_factory=dict)
    reporter: Reporter = field(default_factory=Silent)
    stop: Stop = field(default_factory=Stop)


@dataclass(frozen=True)
class Drawn:
    """What a drawing gives.

    Args:
        files: Pictures and tables, by their name in the study's folder.
        said: Lines of at most 80 columns.
    """

    files: Mapping[str, bytes | str]
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drawing:
    """The settings of a drawing, and how it is made. Each is a subclass whose fields are options."""

    @classmethod
    def read(cls, found: Mapping[Any, Any], where: str) -> Self:
        """Settings from a study file.

        Raises:
            ConfigError: C280 for a setting that it does not have, C202 for a value that cannot be.
        """
        known = {name: one for name, one in recipe.options_of(cls).items() if one.facts}
        for name in found:
            if name not in known:
                meant = did_you_mean(str(name), known)
                raise ConfigError(
                    "C280", f"unknown setting {str(name)!r} in {where}.{meant}", context=f"It has {', '.join(known)}."
                )
        return cls(**{name: known[name].read(value, where) for name, value in found.items()})

    def as_dict(self) -> dict[str, Any]:
        """What a study file holds of it; :meth:`read` gives it back."""
        return {one.name: _plain(getattr(self, one.name)) for one in dataclasses.fields(self)}

    def check(self, plan: Plan) -> None:
        """Refuse a study that it cannot be drawn of. Raises ConfigError C280."""

    def cost(self, plan: Plan) -> str:
        """What it trains beside the runs, in words; "" for nothing."""
        return ""

    def draw(self, scene: Scene) -> Drawn:
        """Make it."""
        raise NotImplementedError


def read(found: Mapping[Any, Any], where: str) -> dict[str, Drawing]:
    """The drawings of a study file, by name.

    Raises:
        ConfigError: C280 for one that does not exist, and as :meth:`Drawing.read`.
    """
    return {str(name): kind(str(name), where).read(_settings(one, name, where), _in(where, name))
            for name, one in found.items()}  # fmt: skip


def carry_out(scene: Scene) -> None:
    """Make every drawing of a study, and keep what it says; stopped by somebody, those before it are kept."""
    kept: dict[str, Any] = {}
    for name, drawing in scene.plan.draw.items():
        made = drawing.draw(scene)
        for file, content in made.files.items():
            files.write_bytes(scene.place / file, content.encode() if isinstance(content, str) else content)
        kept[name] = {"files": list(made.files), "said": list(made.said)}
        files.write_json(scene.place / KEPT, {"format": FORMAT, "drawings": kept})
        scene.reporter.note(f"drew {name}: {', '.join(made.files)}")


def kept(place: Path) -> dict[str, dict[str, list[str]]]:
    """Files and lines of the drawings that a study's folder has. Raises C213 and C223 where they cannot be read."""
    if not (place / KEPT).exists():
        return {}
    try:
        found = json.loads(files.read_text(place / KEPT))
        if found["format"] > FORMAT:
            newer = f"was written by a newer dojang (format {found['format']})."
            raise ConfigError("C213", f"{str(place / KEPT)!r} {newer}")
        return {
            str(name): {part: [str(line) for line in one[part]] for part in ("files", "said")}
            for name, one in found["drawings"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            "C223",
            f"{str(place / KEPT)!r} is not as dojang wrote it ({type(error).__name__}: {error}).",
            fix="move it away; --resume makes it again.",
        ) from None


def column(name: str, columns: int) -> str:
    """A name in so many columns of a line, where a letter of Hangul takes two.

    >>> column("adam", 6), column("momentum", 6)
    ('adam  ', 'mome… ')
    """
    word = plain(name)
    while cell_len(word) >= columns:
        word = word.removesuffix("…")[:-1] + "…"
    return word + " " * (columns - cell_len(word))


def kind(name: str, where: str) -> type[Drawing]:
    """The class of a drawing. Raises ConfigError C280 for one that does not exist."""
    if name not in NAMES:
        meant = did_you_mean(name, NAMES)
        known = ", ".join(NAMES)
        raise ConfigError("C280", f"unknown drawing {name!r} in {where}.{meant}", context=f"There are {known}.")
    room, _, word = NAMES[name].partition(":")
    found: type[Drawing] = getattr(importlib.import_module(room), word)
    return found


def _settings(found: Any, name: Any, where: str) -> Mapping[Any, Any]:
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError("C280", f"{_in(where, name)} is {found!r}; expected its settings.", fix=f"{name}: {{}}")
    return found


def _in(where: str, name: Any) -> str:
    return f"{where}, {name}"


def _plain(value: Any) -> Any:
    """Tuples as lists, for YAML."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return {name: _plain(one) for name, one in value.items()} if isinstance(value, Mapping) else value
