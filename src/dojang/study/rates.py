"""Training at each rate of a study: it creeps, falls, jumps or breaks off, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dojang.errors import ConfigError
from dojang.recipe import option
from dojang.runs import folder as run_folder
from dojang.study.by_rate import Series, must_have_rates, series
from dojang.study.drawings import Drawing, Drawn, Scene, column
from dojang.study.results import Line
from dojang.tasks.classify.letters import Drawn as Letters
from dojang.tasks.classify.letters import drawn
from dojang.tasks.classify.pictures import png
from dojang.train.log import read_table
from dojang.train.range_test import Smooth

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dojang.study.plan import Plan

# columns of a picture
_MOST = 6
# heights beyond which a loss is only said to be too high: so many times the first one
_HIGH = 10.0
# and below which it is only said to be low
_FOOT = 1e-6
BROKEN = "#D55E00"


@dataclass(frozen=True)
class Rates(Drawing):
    """The drawing ``rates``."""

    smooth: int = option(20, "steps over which losses are averaged", low=1, high=10_000)

    def check(self, plan: Plan) -> None:
        """Refuse a study whose cells do not differ in their rates. Raises ConfigError C280."""
        must_have_rates(plan, "rates")

    def draw(self, scene: Scene) -> Drawn:
        """rates.png: the loss of the first seed's runs by step, and the score by rate; none where there are neither.

        Raises:
            ConfigError: C223 where a run's steps.csv is not as dojang wrote it.
        """
        from dojang.study.plan import higher

        found = [one for one in series(scene) if one.points]
        score = f"{scene.settings.judge} {scene.plan.score}"
        said = [f"{'':24}{'best lr':>10}{score:>18}   broke off at lr"]
        for one in found:
            best = one.best(higher(scene.plan.score))
            cells = f"{best[0]:>10g}{best[1].mean:>18.4f}" if best else f"{'-':>10}{'-':>18}"
            said.append(f"{column(one.name, 24)}{cells}   {_told(one.broken)}".rstrip())
        every = self.curves(scene, found[:_MOST])
        if not any(curve.losses for curves in every for curve in curves) and not any(
            line.values for one in found for _, line in one.points
        ):
            return Drawn({}, (*said, "nothing to draw: no run has a loss or a score"))
        picture = self._picture(found[:_MOST], every, score)
        said += [f"the picture has the first {_MOST} of them"] if len(found) > _MOST else []
        return Drawn({"rates.png": picture}, tuple(said))

    def curves(self, scene: Scene, found: Sequence[Series]) -> list[list[Curve]]:
        """The first seed's run of every point."""
        return [[self._curve(scene, rate, line) for rate, line in one.points] for one in found]

    def _curve(self, scene: Scene, rate: float, line: Line) -> Curve:
        seed = scene.plan.seeds[0]
        # one that never made a step has no table
        place = scene.place / line.cell.folder / run_folder.SEED.format(seed) / run_folder.STEPS
        try:
            rows = [(int(row["step"]), float(row["loss"])) for row in read_table(place)]
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                "C223", f"{str(place)!r} is not as dojang wrote it ({type(error).__name__}: {error})."
            ) from None
        # a loss that is no number has no place on an axis, and would be in every average after it
        rows = [row for row in rows if math.isfinite(row[1])]
        smooth = Smooth(self.smooth)
        # 0 has no place on a logarithmic axis; it is shown at the axis's foot
        steps, losses = [step for step, _ in rows], [max(smooth(loss), _FOOT) for _, loss in rows]
        known = scene.rows.get((line.cell.number, seed))
        return Curve(rate, steps, losses, known is not None and known.status == "failed")

    def _picture(self, found: Sequence[Series], every: Sequence[Sequence[Curve]], score: str) -> bytes:
        from matplotlib.figure import Figure

        names = drawn(tuple(one.name for one in found))
        figure = Figure(figsize=(max(3.6 * len(found), 5) + 1.2, 6.2), dpi=120, layout="constrained")
        grid: Any = figure.subplots(2, len(found), squeeze=False, sharey="row")
        rates = sorted({rate for one in found for rate, _ in one.points})
        colours = dict(zip(rates, _colours(len(rates)), strict=True))
        limits = _limits([curve for curves in every for curve in curves])
        handles: dict[float, Any] = {}
        for axes, below, one, name, curves in zip(*grid, found, names, every, strict=True):
            for curve in curves:
                (handles[curve.rate],) = axes.plot(curve.steps, curve.losses, color=colours[curve.rate], linewidth=1.2)
                if curve.broken:
                    at = min(curve.losses[-1], limits[1] / 1.1) if curve.losses else limits[1] / 1.1
                    axes.plot((curve.steps or [0])[-1], at, "x", color=BROKEN, markersize=8, mew=2, zorder=5)
            _frame(axes, name, limits)
            scores(below, [one], score, colours=colours)
        figure.legend(
            [handles[rate] for rate in rates], [f"{rate:g}" for rate in rates],
            loc="outside right upper", title="lr", fontsize=8, title_fontsize=9,
        )  # fmt: skip
        grid[0][0].set_ylabel("training loss")
        grid[1][0].set_ylabel(score)
        return png(figure)


@dataclass(frozen=True)
class Curve:
    """The losses of a run, smoothed.

    Args:
        broken: Whether the run broke off.
    """

    rate: float
    steps: list[int]
    losses: list[float]
    broken: bool


def scores(
    axes: Axes,
    found: Sequence[Series],
    score: str,
    *,
    colours: Mapping[float, Any] | None = None,
    lines: Sequence[str] = (),
    dashes: Sequence[str] = ("-",),
) -> None:
    """Mean and interval of each series by rate; a cross at the foot where runs broke off.

    Args:
        colours: Of the points, by rate; None for that of their line.
        lines: Colours of the series, where there are several.
        dashes: Of their lines, in turn.
    """
    for number, one in enumerate(found):
        line = lines[number] if lines else "0.6"
        # side by side, or one interval would hide another
        aside = 1.1 ** (number - (len(found) - 1) / 2)
        known = [(rate, cell) for rate, cell in one.points if cell.values]
        style: dict[str, Any] = {"color": line, "linestyle": dashes[number % len(dashes)]}
        axes.plot(
            [rate * aside for rate, _ in known], [cell.mean for _, cell in known], linewidth=1.2, zorder=1, **style
        )
        for rate, cell in known:
            over = cell.over
            told = over is not None and not math.isnan(over.low)
            spread = [[cell.mean - over.low], [over.high - cell.mean]] if over and told else None
            colour = colours[rate] if colours else line
            point: dict[str, Any] = {"fmt": "o", "color": colour, "markersize": 5, "capsize": 2, "linewidth": 1}
            axes.errorbar([rate * aside], [cell.mean], yerr=spread, **point)
        for rate in one.broken:
            # at the foot, wherever that is
            axes.plot(
                [rate * aside], [0.03], "x", color=line if lines else BROKEN, markersize=7, markeredgewidth=2,
                transform=axes.get_xaxis_transform(), clip_on=False,
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("learning rate; x: broke off", fontsize=8)
    axes.set_title(f"{score} by rate", fontsize=9)
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize=7)


def _colours(count: int) -> list[Any]:
    """From dark to light, which is told apart without colours, too; not up to yellow, which white swallows."""
    from matplotlib import colormaps

    return [colormaps["viridis"](share) for share in np.linspace(0, 0.9, count)]


def _limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """From below the lowest loss up to where losses are only too high."""
    known = [curve.losses for curve in curves if curve.losses]
    if not known:
        return 0.1, 10.0
    top = min(max(map(max, known)), _HIGH * max(losses[0] for losses in known))
    return max(0.8 * min(map(min, known)), 0.8 * _FOOT), 1.3 * top


def _frame(axes: Axes, name: Letters, limits: tuple[float, float]) -> None:
    from matplotlib.font_manager import FontProperties

    axes.set_title(name.plotted, fontproperties=FontProperties(fname=name.font, size=10))
    axes.set_yscale("log")
    axes.set_ylim(limits)
    axes.set_xlabel("step", fontsize=8)
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize=7)


def _told(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:g}" for rate in rates)
