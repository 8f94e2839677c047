"""Polynomials through a few noisy points of a sine: the picture of overfitting, and of a penalty on the weights.

Source: Bishop, "Pattern Recognition and Machine Learning", 2006, section 1.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from dojang.data.manifest import csv_line
from dojang.errors import ConfigError
from dojang.recipe import option
from dojang.study.drawings import Drawing, Drawn, Scene
from dojang.tasks.classify.pictures import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dojang.study.plan import Plan

# Okabe and Ito's colours, which the colour-blind can tell apart
_FIT, _TRUTH, _POINTS, _HELD_OUT = "#D55E00", "#009E73", "#0072B2", "#D55E00"
#: points of the true function by which a fit is judged, and those a curve is drawn of
HELD_OUT, _SMOOTH = 100, 300
#: penalties of the right-hand picture: ln lambda from, to, how many
_RANGE = (-40.0, 5.0, 91)
# columns of a table that 80 characters hold
_ACROSS = 4


def fit(
    x: Float64[np.ndarray, " n"], t: Float64[np.ndarray, " n"], degree: int, penalty: float = 0.0
) -> Float64[np.ndarray, " degree+1"]:
    """The coefficients, the constant first, that make 1/2 sum (y - t)^2 + penalty/2 |w|^2 smallest.

    The penalty is on all coefficients, the constant too, as in Bishop's equation 1.4.  The system is solved by singular
    values and without its normal equations, which would square a condition of 1e7 at degree 9.

    Args:
        x: Where the points are.
        t: What they are.
        degree: Of the polynomial.
        penalty: Lambda, not its logarithm; 0 for least squares.

    Example:
        >>> fit(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]), 1).round(6).tolist()
        [1.0, 2.0]
    """
    design = np.vander(x, degree + 1, increasing=True)
    if penalty:
        # rows that ask each coefficient to be 0, with the weight of the penalty
        design = np.vstack([design, math.sqrt(penalty) * np.eye(degree + 1)])
        t = np.concatenate([t, np.zeros(degree + 1)])
    found: np.ndarray = np.linalg.lstsq(design, t)[0]
    return found


def rms(weights: Float64[np.ndarray, " m"], x: Float64[np.ndarray, " n"], t: Float64[np.ndarray, " n"]) -> float:
    """The root mean square of y - t.

    >>> rms(np.array([1.0, 2.0]), np.array([0.0, 1.0]), np.array([1.0, 4.0])) == 0.5 ** 0.5
    True
    """
    y = np.vander(x, len(weights), increasing=True) @ weights
    return float(np.sqrt(np.mean((y - t) ** 2)))


def truth(x: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """The function behind the points: sin(2 pi x)."""
    return np.asarray(np.sin(2 * np.pi * x))


@dataclass(frozen=True)
class Fit:
    """A polynomial that was fitted.

    Args:
        ln_penalty: The penalty's logarithm; None for no penalty.
        weights: Its coefficients, the constant first.
        training: Root mean square error at the points.
        held_out: The same at :data:`HELD_OUT` points of the true function between them.
    """

    degree: int
    ln_penalty: float | None
    weights: np.ndarray
    training: float
    held_out: float

    @property
    def told(self) -> str:
        """Its penalty in words."""
        return "no penalty" if self.ln_penalty is None else f"ln lambda {self.ln_penalty:g}"


@dataclass(frozen=True)
class Polynomials(Drawing):
    """The drawing ``polynomials``."""

    targets: tuple[float, ...] = option((), "what the points are, at x from 0 to 1 in equal steps")
    degrees: tuple[int, ...] = option((0, 1, 3, 9), "of the polynomials that are drawn", low=0, high=30)
    ln_penalties: tuple[float, ...] = option((), "drawn beside no penalty", low=-100, high=20)

    def check(self, plan: Plan) -> None:
        """Refuse fewer than two points, and degrees or penalties that are there twice. Raises ConfigError C280."""
        if len(self.targets) < 2:
            raise ConfigError(
                "C280",
                f"polynomials has {len(self.targets)} targets; expected two points or more.",
                fix="dojang study --print polynomials",
            )
        for name in ("degrees", "ln_penalties"):
            values = getattr(self, name)
            if len(set(values)) < len(values) or (name == "degrees" and not values):
                raise ConfigError("C280", f"polynomials: {name} is {list(values)}; expected values, each once.")

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """The points: x (n,) and what is there (n,)."""
        n = len(self.targets)
        return np.arange(n) / (n - 1), np.array(self.targets)

    def fitted(self, degree: int, ln_penalty: float | None) -> Fit:
        """One polynomial, with its errors."""
        x, t = self.points()
        weights = fit(x, t, degree, 0.0 if ln_penalty is None else math.exp(ln_penalty))
        # halfway between equal steps, so none is a point of the training
        other = (np.arange(HELD_OUT) + 0.5) / HELD_OUT
        return Fit(degree, ln_penalty, weights, rms(weights, x, t), rms(weights, other, truth(other)))

    def draw(self, scene: Scene) -> Drawn:
        """polynomials.png, polynomials.csv, and the coefficients as a table."""
        penalties = (None, *self.ln_penalties)
        by_degree = [self.fitted(degree, None) for degree in range(max(self.degrees) + 1)]
        shown = [[self.fitted(degree, penalty) for degree in self.degrees] for penalty in penalties]
        by_penalty = [self.fitted(max(self.degrees), float(one)) for one in np.linspace(*_RANGE)]
        table = by_degree + [self.fitted(one.degree, penalty) for penalty in self.ln_penalties for one in by_degree]
        files: dict[str, bytes | str] = {"polynomials.png": self._picture(shown, by_degree, by_penalty)}
        files["polynomials.csv"] = _csv(table)
        said = [f"{len(self.targets)} points, no penalty; coefficients by degree", *_columns(shown[0])]
        if self.ln_penalties:
            highest = [next(one for one in row if one.degree == max(self.degrees)) for row in shown]
            said += ["", f"degree {max(self.degrees)} by penalty (lambda/2 |w|^2)", *_columns(highest)]
        said += ["", f"rms: root mean square error at the points, and at {HELD_OUT} others of the true sine"]
        return Drawn(files, tuple(said))

    def _picture(self, shown: Sequence[Sequence[Fit]], by_degree: Sequence[Fit], by_penalty: Sequence[Fit]) -> bytes:
        from matplotlib.figure import Figure

        rows, columns = len(shown), len(self.degrees)
        figure = Figure(figsize=(max(2.5 * columns, 8), 2.2 * rows + 3.2), dpi=120, layout="constrained")
        parts: Any = figure.subfigures(2, 1, height_ratios=(2.2 * rows, 3.2))
        above = parts[0].subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for line, fits in zip(above, shown, strict=True):
            for axes, one in zip(line, fits, strict=True):
                self._one(axes, one)
        handles, words = above[0][0].get_legend_handles_labels()
        parts[0].legend(handles, words, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
        left, right = parts[1].subplots(1, 2)
        _errors(left, [one.degree for one in by_degree], by_degree)
        left.set_xlabel("degree, no penalty", fontsize=8)
        left.set_xticks([one.degree for one in by_degree][:: 1 + len(by_degree) // 15])
        _errors(right, [one.ln_penalty for one in by_penalty], by_penalty)
        right.set_xlabel(rf"$\ln\lambda$, degree {max(self.degrees)}", fontsize=8)
        for penalty in self.ln_penalties:
            right.axvline(penalty, color="0.6", linewidth=0.8, linestyle=":")
        return png(figure)

    def _one(self, axes: Axes, one: Fit) -> None:
        """A polynomial with the points and the true function."""
        smooth = np.linspace(0, 1, _SMOOTH)
        axes.plot(smooth, truth(smooth), color=_TRUTH, linewidth=1, linestyle="--", label="sin 2πx")
        curve = np.vander(smooth, one.degree + 1, increasing=True) @ one.weights
        axes.plot(smooth, curve, color=_FIT, linewidth=1.6, label="fit")
        axes.plot(*self.points(), "o", markersize=4, markerfacecolor="none", color=_POINTS, label="points")
        high = 1.5 * max(abs(value) for value in self.targets)
        axes.set_ylim(-high, high)
        penalty = "no penalty" if one.ln_penalty is None else rf"$\ln\lambda = {one.ln_penalty:g}$"
        axes.set_title(f"degree {one.degree}, {penalty}", fontsize=8.5)
        axes.tick_params(labelsize=7)


def _errors(axes: Axes, at: Sequence[Any], fits: Sequence[Fit]) -> None:
    mark = "o" if len(fits) < 40 else ""
    axes.plot(at, [one.training for one in fits], marker=mark, markersize=4, color=_POINTS, label="at the points")
    label = "at others of the true sine"
    axes.plot(
        at, [one.held_out for one in fits], marker=mark and "s", markersize=4, ls="--", color=_HELD_OUT, label=label
    )
    axes.set_ylim(bottom=0)
    axes.set_title("root mean square error", fontsize=9)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    axes.tick_params(labelsize=7)


def _csv(fits: Sequence[Fit]) -> str:
    """A line for each polynomial; no penalty is an empty field."""
    most = max(one.degree for one in fits)
    lines = [csv_line(("degree", "ln_penalty", "training_rms", "held_out_rms", *(f"w{i}" for i in range(most + 1))))]
    for one in fits:
        penalty = "" if one.ln_penalty is None else repr(one.ln_penalty)
        weights = [repr(float(weight)) for weight in one.weights] + [""] * (most - one.degree)
        lines.append(csv_line((str(one.degree), penalty, repr(one.training), repr(one.held_out), *weights)))
    return "".join(lines)


def _columns(fits: Sequence[Fit]) -> list[str]:
    """The coefficients of some polynomials, one a column, as many as a line holds."""
    lines = []
    for begin in range(0, len(fits), _ACROSS):
        some = fits[begin : begin + _ACROSS]
        alike = len({one.degree for one in some}) == 1 and len(some) > 1
        heads = [one.told if alike else f"degree {one.degree}" for one in some]
        lines.append(f"{'':11}" + "".join(f"{head:>16}" for head in heads))
        for i in range(max(one.degree for one in some) + 1):
            cells = [f"{one.weights[i]:,.2f}" if i <= one.degree else "" for one in some]
            lines.append((f"{f'w{i}':11}" + "".join(f"{cell:>16}" for cell in cells)).rstrip())
        lines.append(f"{'rms points':11}" + "".join(f"{one.training:>16.3f}" for one in some))
        lines.append(f"{'rms others':11}" + "".join(f"{one.held_out:>16.3f}" for one in some))
    return lines
