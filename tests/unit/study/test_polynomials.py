"""Polynomial fits against exact arithmetic and other libraries; the figures of the notes; overfitting is seen."""

from __future__ import annotations

import csv
import io
import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dojang.errors import ConfigError
from dojang.study import drawings, named, study
from dojang.study.plan import read
from dojang.study.polynomials import HELD_OUT, Polynomials, fit, rms

TARGETS = (0.349486, 0.830839, 1.007332, 0.971507, 0.133066, 0.166823, -0.848307, -0.445686, -0.563567, 0.261502)
X = np.arange(10) / 9
T = np.array(TARGETS)


def exact(degree: int, penalty: float = 0.0) -> list[float]:
    """The minimum by its normal equations (A'A + lambda I) w = A't in rational numbers, so nothing is rounded."""
    x = [Fraction(i, 9) for i in range(10)]
    t = [Fraction(str(one)) for one in TARGETS]
    n = degree + 1
    rows = [[sum(one ** (i + j) for one in x) + (Fraction(penalty) if i == j else 0) for j in range(n)]
            + [sum(one**i * value for one, value in zip(x, t, strict=True))] for i in range(n)]  # fmt: skip
    for i in range(n):
        pivot = next(k for k in range(i, n) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [one / rows[i][i] for one in rows[i]]
        for k in range(n):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [float(row[-1]) for row in rows]


@pytest.mark.parametrize("degree", [0, 1, 3, 6, 9])
@pytest.mark.parametrize("ln_penalty", [None, -18.0, 0.0])
def test_exact_arithmetic_gives_the_same(degree: int, ln_penalty: float | None) -> None:
    penalty = 0.0 if ln_penalty is None else math.exp(ln_penalty)
    # the condition of the points is 1e7 at degree 9, and 1e-16 is a float's share: 1e-8 of the largest is lost
    largest = max(map(abs, exact(degree, penalty)))
    assert fit(X, T, degree, penalty) == pytest.approx(exact(degree, penalty), abs=1e-8 * largest)


def test_through_ten_points_goes_one_polynomial_of_degree_nine() -> None:
    # Lagrange's form at a place between them, in rational numbers
    x, at = [Fraction(i, 9) for i in range(10)], Fraction(1, 7)
    value = Fraction(0)
    for i, t in enumerate(TARGETS):
        product = Fraction(str(t))
        for j in range(10):
            if j != i:
                product *= (at - x[j]) / (x[i] - x[j])
        value += product
    weights = fit(X, T, 9)
    assert float(np.polynomial.polynomial.polyval(1 / 7, weights)) == pytest.approx(float(value), abs=1e-8)
    assert rms(weights, X, T) < 1e-8


@pytest.mark.parametrize("degree", [0, 1, 3, 6, 9])
def test_numpy_gives_the_same(degree: int) -> None:
    # on an interval of its own, which is better conditioned, then brought to this one
    other = np.polynomial.Polynomial.fit(X, T, degree).convert().coef
    assert fit(X, T, degree) == pytest.approx(other, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("degree", [1, 3, 9])
@pytest.mark.parametrize("ln_penalty", [-18, -5, 0, 2])
def test_scikit_learn_gives_the_same(degree: int, ln_penalty: int) -> None:
    from sklearn.linear_model import Ridge

    design = X[:, None] ** np.arange(degree + 1)
    # its penalty is on the squares, twice both halves of ours; the constant is a column, so it is in the penalty
    other = Ridge(alpha=math.exp(ln_penalty), fit_intercept=False, solver="svd").fit(design, T).coef_
    assert fit(X, T, degree, math.exp(ln_penalty)) == pytest.approx(other, rel=1e-6, abs=1e-8)


@given(st.integers(0, 6), st.floats(-12, 3), st.lists(st.floats(-1, 1), min_size=7, max_size=7))
def test_nothing_near_it_is_better(degree: int, ln_penalty: float, aside: list[float]) -> None:
    def error(weights: np.ndarray) -> float:
        y = np.polynomial.polynomial.polyval(X, weights)
        return float(0.5 * ((y - T) ** 2).sum() + 0.5 * math.exp(ln_penalty) * (weights**2).sum())

    found = fit(X, T, degree, math.exp(ln_penalty))
    assert error(found) <= error(found + 1e-3 * np.array(aside[: degree + 1])) + 1e-12


def test_the_figures_of_the_notes() -> None:
    # SCOPE T3, and the first three of the true degree 6, which stand under no heading there
    assert fit(X, T, 3).round(2).tolist() == [0.31, 7.99, -25.43, 17.37]
    assert fit(X, T, 6)[:3] == pytest.approx([0.35, 2.62, 32.1], abs=0.05)
    # docs/notes.md, errata
    assert fit(X, T, 9, math.exp(-18))[:3].round(2).tolist() == [0.35, 5.77, -14.97]
    assert fit(X, T, 9, 1.0)[:3].round(2).tolist() == [0.46, -0.34, -0.37]


def test_training_error_falls_and_error_between_the_points_rises() -> None:
    found = [Polynomials(TARGETS).fitted(degree, None) for degree in range(10)]
    training = [one.training for one in found]
    assert all(a >= b for a, b in pairwise(training)) and training[9] < 1e-8
    assert found[9].held_out > 5 * found[3].held_out and found[3].held_out < found[0].held_out
    # a penalty that fits mends it, one that is too large does not
    mild, strong = (Polynomials(TARGETS).fitted(9, one) for one in (-18.0, 0.0))
    assert mild.held_out < found[3].held_out < strong.held_out < found[9].held_out


def test_held_out_points_are_none_of_the_training() -> None:
    others = (np.arange(HELD_OUT) + 0.5) / HELD_OUT
    assert not set(others.tolist()) & set(X.tolist())
    one = Polynomials(TARGETS).fitted(3, None)
    y = np.polyval(one.weights[::-1], others)
    assert one.held_out == pytest.approx(float(np.sqrt(np.mean((y - np.sin(2 * np.pi * others)) ** 2))), rel=1e-12)


def test_the_ready_made_study(tmp_path: Path) -> None:
    plan = named.plan("polynomials")
    assert plan.draw == {"polynomials": Polynomials(TARGETS, (0, 1, 3, 9), (-18.0, 0.0))}
    assert not plan.trains and "erratum" in plan.about.lower()
    folder = study.begin(plan, project=tmp_path, name="polynomials")
    said = drawings.kept(folder)["polynomials"]["said"]
    assert max(map(len, said)) <= 80
    assert [line.split() for line in said if line.startswith("w3")] == [
        ["w3", "17.37", "48,568.31"],
        ["w3", "48,568.31", "29.86", "-0.24"],
    ]
    rows = list(csv.DictReader(io.StringIO((folder / "polynomials.csv").read_text(), newline="")))
    assert [(row["degree"], row["ln_penalty"]) for row in rows] == [
        (str(degree), penalty) for penalty in ("", "-18.0", "0.0") for degree in range(10)
    ]
    for row in rows:
        degree, penalty = int(row["degree"]), row["ln_penalty"]
        weights = [float(row[f"w{i}"]) for i in range(degree + 1)]
        assert weights == fit(X, T, degree, math.exp(float(penalty)) if penalty else 0.0).tolist()
        assert all(row[f"w{i}"] == "" for i in range(degree + 1, 10))
    assert (folder / "polynomials.png").read_bytes().startswith(b"\x89PNG")


def test_many_degrees_are_told_in_columns_that_a_line_holds(tmp_path: Path) -> None:
    text = "draw: {polynomials: {targets: [0, 1, 0], degrees: [0, 1, 2, 3, 4, 5], ln_penalties: [-3]}}"
    folder = study.begin(read(text, "x.yaml"), project=tmp_path)
    said = drawings.kept(folder)["polynomials"]["said"]
    heads = [line.split() for line in said if line.strip().startswith("degree ") and "by" not in line]
    assert heads == [["degree", "0", "degree", "1", "degree", "2", "degree", "3"], ["degree", "4", "degree", "5"]]
    assert max(map(len, said)) <= 80


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("targets: [1]", "C280", "polynomials has 1 targets; expected two points or more."),
        ("targets: [1, 2]\ndegrees: [1, 1]", "C280", "degrees is [1, 1]; expected values, each once."),
        ("targets: [1, 2]\nln_penalties: [0, 0]", "C280", "ln_penalties is [0.0, 0.0]"),
        ("targets: [1, 2]\ndegrees: [-1]", "C202", "degrees cannot be [-1]"),
        ("target: [1, 2]", "C280", "unknown setting 'target' in x.yaml, draw, polynomials. Did you mean 'targets'?"),
    ],
)
def test_settings_that_cannot_be(text: str, code: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read("draw:\n  polynomials:\n    " + text.replace("\n", "\n    "), "x.yaml")
    assert caught.value.code == code and said in str(caught.value)
