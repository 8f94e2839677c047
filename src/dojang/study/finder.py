"""The learning-rate finder in a study: a range test for each network and optimizer, beside what its grid found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dojang.data.manifest import csv_line
from dojang.errors import ConfigError, DojangError
from dojang.recipe import option
from dojang.runs import folder as run_folder
from dojang.runs import lr_find, lr_picture
from dojang.runs.lr_find import Found
from dojang.runs.recipe import read_layer
from dojang.study.by_rate import Series, series
from dojang.study.drawings import Drawing, Drawn, Scene, column
from dojang.study.rates import scores
from dojang.tasks.classify.letters import drawn
from dojang.tasks.classify.pictures import png
from dojang.train import range_test

if TYPE_CHECKING:
    from dojang.study.plan import Plan

# Okabe and Ito's colours, which the colour-blind can tell apart, with dashes and marks beside them
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D1F")
_DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Finder(Drawing):
    """The drawing ``finder``."""

    min_lr: float = option(range_test.LOW, "first rate of the tests", above=0)
    max_lr: float = option(range_test.HIGH, "last rate of the tests", above=0)
    steps: int = option(range_test.STEPS, "of each test, at most", low=lr_find.FEWEST, high=100_000)

    def check(self, plan: Plan) -> None:
        """Refuse a study without runs, a search, and rates that do not rise. Raises ConfigError C280, C202."""
        if not plan.trains:
            raise ConfigError("C280", "finder tests the networks of a study, and this one has none.", fix="grid: ...")
        if plan.search:
            raise ConfigError("C280", "finder tests the networks of a grid or of variants, not of a search.")
        lr_find.check(self.min_lr, self.max_lr, self.steps)

    def cost(self, plan: Plan) -> str:
        """How many tests of how many steps."""
        rates = {repr(sorted((k, v) for k, v in cell.changes.items() if k != "lr")) for cell in plan.cells()}
        return f"{len(rates)} range tests of {self.steps} steps at most"

    def draw(self, scene: Scene) -> Drawn:
        """lr_find.png and lr_find.csv: every test, and the scores of the grid by rate above them."""
        from dojang.study.plan import higher

        every = series(scene)
        found: dict[str, Found] = {}
        failed = []
        for one in every:
            try:
                found[one.name] = self._test(scene, one)
            except DojangError as error:
                failed.append(f"{column(one.name, 24)}{error.code}: {error.what}"[:80])
                continue
            scene.reporter.note(f"range test of {one.name}: {found[one.name]!r}")
        rules = list(range_test.RULES)
        said = [f"{'lr by rule':24}" + "".join(f"{rule:>12}" for rule in rules) + f"{'best of the grid':>20}"]
        for one in (one for one in every if one.name in found):
            best = one.best(higher(scene.plan.score))
            told = f"{best[0]:g} ({best[1].mean:.4f})" if best else "-"
            rates = (suggestion.rate for suggestion in found[one.name].suggestions)
            cells = "".join(f"{'-' if rate is None else lr_find.short(rate):>12}" for rate in rates)
            said.append(f"{column(one.name, 24)}{cells}{told:>20}")
        picture = self._picture(scene, [one for one in every if one.name in found], found)
        files: dict[str, bytes | str] = {"lr_find.csv": _csv(found)}
        return Drawn(({"lr_find.png": picture} if picture else {}) | files, (*said, *failed))

    def _test(self, scene: Scene, one: Series) -> Found:
        """On the training part of the study's pictures, with its first seed."""
        from dojang.study.plan import layer

        plan, settings = scene.plan, scene.settings
        given: dict[str, Any] = layer({**plan.recipe, **one.changes})
        given |= {"splits": str((scene.place / run_folder.SPLITS).absolute()), "val": None, "test": None}
        given |= {"threads": settings.threads, "device": settings.device, "seed": plan.seeds[0]}
        layers = [read_layer(given, "the study")]
        return lr_find.find(
            settings.data, layers, min_lr=self.min_lr, max_lr=self.max_lr, steps=self.steps, stop=scene.stop
        )

    def _picture(self, scene: Scene, every: Sequence[Series], found: Mapping[str, Found]) -> bytes | None:
        from matplotlib.figure import Figure
        from matplotlib.font_manager import FontProperties

        if not every:
            return None
        graded = any(one.points for one in every)
        names = drawn(tuple(one.name for one in every))
        figure = Figure(figsize=(9, 7 if graded else 4.4), dpi=120, layout="constrained")
        grid: Any = figure.subplots(1 + graded, 1, squeeze=False, sharex=True)
        below = grid[-1][0]
        colours = [_COLOURS[number % len(_COLOURS)] for number in range(len(every))]
        for number, one in enumerate(every):
            curve, style = found[one.name].curve, {"color": colours[number], "linestyle": _DASHES[number % 4]}
            below.plot(curve.rates, curve.smoothed, linewidth=1.6, label=names[number].plotted, **style)
            rate = found[one.name].lr
            if rate is not None:
                below.plot(rate, lr_picture.height(curve, rate), "o", color=colours[number], markersize=8)
                for axes, *_ in grid:
                    axes.axvline(rate, linewidth=0.9, **style)
        lr_picture.frame(below, [found[one.name].curve for one in every])
        below.set_ylabel("training loss, smoothed")
        rule = next(iter(range_test.RULES))
        below.set_title(f"range tests: loss while the rate rises; o: suggested ({rule})", fontsize=9)
        if graded:
            score = f"{scene.settings.judge} {scene.plan.score}"
            scores(grid[0][0], every, score, lines=colours, dashes=_DASHES)
            grid[0][0].set_xlabel("")
            grid[0][0].set_title(f"the grid: {score} by rate; x: broke off; vertical: suggested", fontsize=9)
            grid[0][0].set_ylabel(score)
        legend = below.legend(fontsize=8)
        for text, name in zip(legend.get_texts(), names, strict=True):
            text.set_fontproperties(FontProperties(fname=name.font, size=8))
        return png(figure)


def _csv(found: Mapping[str, Found]) -> str:
    """Every step of every test."""
    lines = [csv_line(("name", "step", "lr", "loss", "smoothed"))]
    for name, one in found.items():
        curve = one.curve
        for step, row in enumerate(zip(curve.rates, curve.losses, curve.smoothed, strict=True), 1):
            numbers = (repr(float(value)) if math.isfinite(value) else "" for value in row)
            lines.append(csv_line((name, str(step), *numbers)))
    return "".join(lines)
