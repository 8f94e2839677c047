"""What a study is to do: read from a file or from flags, checked whole before the first run.

A study trains many networks that differ in chosen fields of the recipe, each with several seeds.  All of them learn
from, and are judged by, the same pictures, and the seeds are the same for all, so what differs is what was changed.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dojang import files, recipe
from dojang.data.manifest import plain
from dojang.errors import ConfigError, DojangError, did_you_mean
from dojang.models import own
from dojang.models.others import is_other
from dojang.models.presets import PRESETS
from dojang.recipe import told
from dojang.runs import recipe as recipes
from dojang.runs.recipe import OPTIONS
from dojang.study import drawings, entries
from dojang.study.drawings import Drawing
from dojang.study.entries import written
from dojang.study.search import Search

FORMAT = 1
ENTRIES = (
    "format",
    "title",
    "about",
    "data",
    "recipe",
    "variants",
    "grid",
    "search",
    "seeds",
    "judge",
    "score",
    "inside",
    "draw",
)
#: what a study decides itself, for all runs alike
_OURS = ("project", "name", "exist_ok", "folds", "seeds", "seed", "threads", "device")
#: what divides the pictures, or says which there are: the same for all runs
_DIVIDES = ("val", "test", "splits", "data_root", "download", "bad", "allow_leak", "max_pixels")
#: more are a mistake, or a month
_MOST = 10_000


@dataclass(frozen=True)
class Cell:
    """One combination of what is changed; it is trained with every seed.

    Args:
        number: From 1.
        variant: Its variant's name; "" where there are none.
        fields: What the grid or search chose, by field.
        changes: Every option in which it differs from the study's recipe.
    """

    number: int
    variant: str
    fields: Mapping[str, Any]
    changes: Mapping[str, Any]

    @property
    def name(self) -> str:
        """In words: ``relu, batch_size 16``."""
        words = [self.variant] if self.variant else []
        words += [f"{name} {shown(value)}" for name, value in self.fields.items()]
        return plain(", ".join(words)) or "as it is"

    @property
    def folder(self) -> str:
        """Where its runs lie in the study's folder."""
        return f"cell-{self.number:02}"


@dataclass(frozen=True)
class Plan:
    """A study before it begins.

    Args:
        data: A path or a data set's name; "" where it is still to be given.
        recipe: Options of all runs, checked.
        variants: Sets of options by name; each is tried.
        grid: Values by field; every combination is tried, with every variant.
        search: Draws combinations, instead of a grid.
        seeds: Of the runs of each cell.
        judge: The split by whose score cells are ranked; None takes val where there is one, else test.
        score: Which score.
        inside: Whether to look into the layers of the first seed's networks.
        draw: Drawings by name, made when the runs are done. A study may have nothing else, and trains nothing then.
    """

    data: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    search: Search | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    judge: str | None = None
    score: str = "top1"
    inside: bool = False
    draw: Mapping[str, Drawing] = field(default_factory=dict)
    title: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        self._check()

    @property
    def trains(self) -> bool:
        """Whether it has runs; one that is made of drawings alone has none."""
        return bool(self.recipe or self.variants or self.grid or self.search) or not self.draw

    @property
    def fields(self) -> list[str]:
        """What the grid or search chooses."""
        return [*self.grid, *(self.search.space if self.search else ())]

    @property
    def count(self) -> int:
        """How many cells there will be."""
        combinations = int(self.trains)
        for values in self.grid.values():
            combinations *= len(values)
        return max(len(self.variants), 1) * combinations * (self.search.trials if self.search else 1)

    def cells(self, scores: Sequence[float | None] = ()) -> list[Cell]:
        """The cells that are known when so many of them have scores: all of a grid, those of a search in batches.

        Args:
            scores: The mean of each finished cell, in their order; None for one that failed.
        """
        drawn: list[Mapping[str, Any]] = [{}] if self.trains else []
        if self.search:
            drawn = list(self.search.combinations(scores, higher=higher(self.score)))
        made: list[Cell] = []
        combinations = [dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values())]
        for fields in drawn:
            for name, changes in (self.variants or {"": {}}).items():
                for chosen in combinations:
                    own = {**chosen, **fields}
                    made.append(Cell(len(made) + 1, name, own, {**changes, **own}))
        return made

    def as_dict(self) -> dict[str, Any]:
        """What study.yaml holds; :func:`read` gives the plan back."""
        found: dict[str, Any] = {"format": FORMAT, "title": self.title.strip(), "about": self.about.strip()}
        found |= {"data": self.data}
        found |= {"recipe": layer(self.recipe), "variants": {name: layer(one) for name, one in self.variants.items()}}
        found |= {"grid": {name: [written(name, value) for value in values] for name, values in self.grid.items()}}
        found |= {"search": self.search.as_dict() if self.search else None, "seeds": list(self.seeds)}
        found |= {"judge": self.judge, "score": self.score, "inside": self.inside}
        return found | {"draw": {name: one.as_dict() for name, one in self.draw.items()}}

    def _check(self) -> None:
        if self.search and (self.grid or self.variants):
            raise ConfigError("C280", "a study has a search or a grid with variants, not both.", fix="two studies.")
        # before anything makes a list of them
        if self.trains and not 1 <= self.count <= _MOST:
            what = f"{self.count:,} combinations"
            raise ConfigError("C280", f"the study has {what}; expected 1 to {_MOST:,}.", fix="fewer values a field.")
        for drawing in self.draw.values():
            drawing.check(self)
        if not self.trains:
            if self.data or self.inside:
                what = "data" if self.data else "inside"
                raise ConfigError(
                    "C280",
                    f"the study has {what}, and nothing that is trained: it is made of drawings alone.",
                    fix=f"leave out {what}; or a recipe, variants or a grid.",
                )
            return
        for name, values in self.grid.items():
            _each_once(name, values)
        self._known_networks()
        for name in {*self.fields, *(name for one in self.variants.values() for name in one), *self.recipe}:
            if name in _OURS:
                how = {"seed": "seeds: 3", "seeds": "seeds: 3", "threads": "--jobs 1"}.get(name, "leave it out")
                raise ConfigError("C280", f"{name} is not a field of a study: it decides that itself.", fix=how)
        for name in {*self.fields, *(name for one in self.variants.values() for name in one)}:
            if name in _DIVIDES:
                raise ConfigError(
                    "C280",
                    f"{name} cannot differ within a study: its runs all learn from the same pictures.",
                    fix="put it under recipe, or make two studies.",
                )
            if any(name in one for one in self.variants.values()) and name in self.fields:
                raise ConfigError("C280", f"{name} is in the grid and in a variant.", fix="leave it in one of them.")
        if self.search:
            # what it draws is within what was checked
            return
        for cell in self.cells():
            try:
                recipes.resolve([{**self.recipe, **cell.changes}])
            except DojangError as error:
                raise ConfigError(error.code, f"cell {cell.name!r}: {error.what}", fix=error.fix) from None

    def _known_networks(self) -> None:
        """Refuse a name that is no network's before an hour of other runs. Raises C203."""
        spans = {**self.search.space} if self.search else {}
        values = [*self.grid.get("model", ()), *(one["model"] for one in self.variants.values() if "model" in one)]
        values += [self.recipe["model"]] if "model" in self.recipe else []
        drawn = spans.get("model", ())
        for name in [*values, *(drawn if isinstance(drawn, tuple) else ())]:
            if name != "auto" and not own.is_own(name) and not is_other(name):
                PRESETS[name]


def read_file(path: str | Path) -> Plan:
    """The plan of a study file.

    Raises:
        ConfigError: C221 where it cannot be read; C207 for what is no YAML, and for names that are there twice; C280
            for what is no study; C201 and C202 for fields and values that no recipe has, naming the place.
    """
    try:
        text = files.read_text(path)
    except OSError as error:
        raise ConfigError("C221", f"cannot read {str(path)!r}: {error.strerror}.") from None
    return read(text, str(path))


def read(text: str, where: str) -> Plan:
    """The plan that a study file's text says. Raises as :func:`read_file`, and C207 for text that is no YAML."""
    found = entries.load(text, where)
    if not isinstance(found, dict):
        raise ConfigError("C280", f"{where} is no study.", fix="format: 1, data: digits, grid: {lr: [0.1, 0.01]}")
    for name in found:
        if name not in ENTRIES:
            meant = did_you_mean(str(name), ENTRIES)
            field_ = str(name) in OPTIONS
            hint = " It is an option of the runs: it belongs under recipe, variants or grid." if field_ else meant
            raise ConfigError("C280", f"unknown entry {str(name)!r} in {where}.{hint}")
    number = found.get("format", FORMAT)
    if isinstance(number, bool) or not isinstance(number, int) or number < FORMAT:
        raise ConfigError("C280", f"{where}: format is {told(number)}; expected {FORMAT}.", fix=f"format: {FORMAT}")
    if number > FORMAT:
        raise ConfigError("C213", f"{where} was written by a newer dojang (format {told(number)}).")
    tables = {name: _table(found.get(name), f"{where}, {name}") for name in ("recipe", "variants", "grid", "draw")}
    variants = {str(name): _layer(one, f"{where}, variant {name}") for name, one in tables["variants"].items()}
    grid = {}
    for name, values in entries.fields(tables["grid"], f"{where}, grid").items():
        if not isinstance(values, list) or not values:
            what = f"{where}, grid: {name} is {told(values)}; expected values."
            raise ConfigError("C280", what, fix=f"{name}: [A, B]")
        grid[name] = tuple(OPTIONS[name].read(value, f"{where}, grid") for value in values)
    given, score = found.get("search"), one_of(found.get("score"), SCORES, f"{where}, score")
    return Plan(
        data=_word(found.get("data"), f"{where}, data"),
        recipe=_layer(tables["recipe"], f"{where}, recipe"),
        variants=variants,
        grid=grid,
        search=None if given is None else Search.read(_table(given, f"{where}, search"), f"{where}, search"),
        seeds=seeds_of(found.get("seeds", 3), where),
        judge=one_of(found.get("judge"), CHOICES["judge"], f"{where}, judge"),
        score=score or "top1",
        inside=_switch(found.get("inside"), f"{where}, inside"),
        draw=drawings.read(tables["draw"], f"{where}, draw"),
        title=_word(found.get("title"), f"{where}, title").strip(),
        about=_word(found.get("about"), f"{where}, about").strip(),
    )


#: by which cells can be ranked; of the last two less is better
SCORES = ("top1", "balanced_accuracy", "macro_f1", "roc_auc", "average_precision", "log_loss", "brier")


CHOICES = {"judge": ("val", "test"), "score": SCORES}


def higher(score: str) -> bool:
    """Whether more of a score is better."""
    return score not in ("log_loss", "brier")


def seeds_of(value: Any, where: str) -> tuple[int, ...]:
    """Seeds from a count or a list.

    >>> seeds_of(2, "x"), seeds_of([5, 7], "x")
    ((0, 1), (5, 7))
    """
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000:
        return tuple(range(value))
    given = value if isinstance(value, list) else []
    whole = all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 2**31 for one in given)
    if given and whole and len(set(given)) == len(given):
        return tuple(given)
    what = f"{where}: seeds is {told(value)}; expected their number, or a list of them."
    raise ConfigError("C280", what, fix="seeds: 3")


def shown(value: Any) -> str:
    """A value in words.

    >>> shown((32, 64)), shown(0.001), shown(True), shown(None)
    ('32,64', '0.001', 'on', 'default')
    """
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (tuple, list)):
        return ",".join(map(shown, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def changed(plan: Plan, **given: Any) -> Plan:
    """The plan with some entries replaced, and checked again."""
    return dataclasses.replace(plan, **given)


def _table(value: Any, where: str) -> dict[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError("C280", f"{where} is {told(value)}; expected lines of 'name: value'.")
    return value


def _word(value: Any, where: str) -> str:
    if value is not None and not isinstance(value, str):
        raise ConfigError("C280", f"{where} is {told(value)}; expected words.")
    return value or ""


def _switch(value: Any, where: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ConfigError("C280", f"{where} is {told(value)}; expected true or false.")
    return bool(value)


def _layer(value: Any, where: str) -> dict[str, Any]:
    return recipe.read(entries.fields(_table(value, where), where), OPTIONS, where)


def _each_once(name: str, values: Sequence[Any]) -> None:
    """Refuse a value that is there twice. Raises C280."""
    seen: set[str] = set()
    for value in values:
        # Python may give 1 and 1.0, which the study's file could not tell apart
        key = repr(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)
        if key in seen:
            what = f"grid: {name} has the same value twice: {told(value)}."
            raise ConfigError("C280", what, fix="leave one of them.")
        seen.add(key)


def one_of(value: Any, known: Sequence[str], where: str) -> str | None:
    """A word that must be one of some; None stays. Raises C280."""
    if value is None or value in known:
        return None if value is None else str(value)
    meant = did_you_mean(value, known) if isinstance(value, str) else ""
    raise ConfigError("C280", f"{where} is {told(value)}; expected one of {', '.join(known)}.{meant}")


def layer(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options as :func:`written`."""
    return {name: written(name, value) for name, value in values.items()}
