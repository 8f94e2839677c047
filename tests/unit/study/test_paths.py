"""Paths of optimizers against their definitions, and the rate from which gradient descent diverges."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dojang import recipe
from dojang.errors import ConfigError
from dojang.runs import recipe as recipes
from dojang.study import drawings, study
from dojang.study import paths as module
from dojang.study.paths import FUNCTIONS, Function, path, values, verdict
from dojang.study.plan import read
from dojang.train.options import TrainOptions

GIVEN = """
draw:
  paths:
    steps: 12
    functions: [bowl, saddle]
    optimizers:
      SGD: {optimizer: sgd, lr: 0.9, momentum: 0}
      <b>: {optimizer: adam, lr: 0.3}
      운동량: {optimizer: sgd, lr: 0.1, momentum: 0.9, nesterov: false}
    rates: [0.05, 0.9, 1.02]
"""


def options(**given: Any) -> TrainOptions:
    return recipes.resolve([recipes.read_layer(given, "test")]).train


def slope(name: str, p: np.ndarray) -> np.ndarray:
    """The gradients, by hand."""
    return np.array({"bowl": (p[0] / 10, 2 * p[1]), "saddle": (p[0], -p[1] + p[1] ** 3 / 9)}[name])


def stepped(name: str, steps: int, step: Callable[[np.ndarray, int, dict[str, np.ndarray]], np.ndarray]) -> np.ndarray:
    """Places by a rule that gives what is taken off for a gradient."""
    place, kept = np.array(FUNCTIONS[name].start), dict[str, np.ndarray]()
    places = [place]
    for number in range(1, steps + 1):
        place = place - step(slope(name, place), number, kept)
        places.append(place)
    return np.stack(places)


def heavy(g: np.ndarray, number: int, kept: dict[str, np.ndarray]) -> np.ndarray:
    # Polyak's heavy ball
    kept["v"] = 0.9 * kept.get("v", np.zeros(2)) + g
    return 0.1 * kept["v"]


def nesterov(g: np.ndarray, number: int, kept: dict[str, np.ndarray]) -> np.ndarray:
    # Sutskever et al., 2013, as torch and the notes have it: the gradient is taken once more on top
    kept["v"] = 0.9 * kept.get("v", np.zeros(2)) + g
    return 0.1 * (g + 0.9 * kept["v"])


def adagrad(g: np.ndarray, number: int, kept: dict[str, np.ndarray]) -> np.ndarray:
    # Duchi, Hazan and Singer, 2011
    kept["s"] = kept.get("s", np.zeros(2)) + g**2
    return 1.5 * g / (np.sqrt(kept["s"]) + 1e-10)


def rmsprop(g: np.ndarray, number: int, kept: dict[str, np.ndarray]) -> np.ndarray:
    # Tieleman and Hinton, 2012, with a decay of .99
    kept["s"] = 0.99 * kept.get("s", np.zeros(2)) + 0.01 * g**2
    return 0.1 * g / (np.sqrt(kept["s"]) + 1e-8)


def adam(g: np.ndarray, number: int, kept: dict[str, np.ndarray]) -> np.ndarray:
    # Kingma and Ba, 2015, algorithm 1
    kept["m"] = 0.9 * kept.get("m", np.zeros(2)) + 0.1 * g
    kept["v"] = 0.999 * kept.get("v", np.zeros(2)) + 0.001 * g**2
    return 0.3 * (kept["m"] / (1 - 0.9**number)) / (np.sqrt(kept["v"] / (1 - 0.999**number)) + 1e-8)


RULES: list[tuple[dict[str, Any], Callable[..., np.ndarray]]] = [
    ({"optimizer": "sgd", "lr": 0.95, "momentum": 0}, lambda g, number, kept: 0.95 * g),
    ({"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": False}, heavy),
    ({"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}, nesterov),
    ({"optimizer": "adagrad", "lr": 1.5}, adagrad),
    ({"optimizer": "rmsprop", "lr": 0.1}, rmsprop),
    ({"optimizer": "adam", "lr": 0.3}, adam),
]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("given", "rule"), RULES, ids=[str(i) for i in range(len(RULES))])
def test_a_path_is_that_of_the_definition(name: str, given: dict[str, Any], rule: Callable[..., np.ndarray]) -> None:
    found = path(FUNCTIONS[name], options(**given), 25)
    assert found.shape == (26, 2)
    np.testing.assert_allclose(found, stepped(name, 25, rule), rtol=1e-7, atol=1e-9)


def test_the_optimizers_are_those_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TrainOptions] = []
    real = module.optimizers.make

    def make(model: torch.nn.Module, given: TrainOptions) -> torch.optim.Optimizer:
        asked.append(given)
        return real(model, given)

    monkeypatch.setattr(module.optimizers, "make", make)
    path(FUNCTIONS["bowl"], options(optimizer="nadam", lr=0.2), 3)
    assert [(one.optimizer, one.lr, one.momentum) for one in asked] == [("nadam", 0.2, 0.9)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_what_is_said_of_them(name: str) -> None:
    one = FUNCTIONS[name]
    for place in one.bottoms:
        assert values(one, np.array([place])) == pytest.approx([0.0], abs=1e-12)
        assert slope(name, np.array(place)) == pytest.approx([0, 0])
    x, y, height = one.grid(50)
    assert height.min() >= one.lowest and (x[0, 0], y[0, 0]) == (one.box[0], one.box[2])
    assert height[3, 7] == pytest.approx(float(one.value(torch.tensor([x[3, 7], y[3, 7]]))))
    if one.curvatures:
        # of a quadratic they are half the second differences
        at = [float(one.value(torch.tensor(p, dtype=torch.float64))) for p in ((1.0, 0.0), (0.0, 1.0))]
        assert sorted(2 * value for value in at) == pytest.approx(one.curvatures)


def height(rate: float, steps: int = 3000) -> float:
    bowl = FUNCTIONS["bowl"]
    return float(values(bowl, path(bowl, options(optimizer="sgd", lr=rate, momentum=0), steps))[-1])


def test_gradient_descent_converges_below_two_over_the_curvature_and_diverges_above() -> None:
    smallest, largest = FUNCTIONS["bowl"].curvatures or (0, 0)
    limit = 2 / largest
    assert height(0.999 * limit) < 1e-4 and height(1.001 * limit) > 100
    # at the limit it goes to and fro for ever: y is 2, -2, 2 ...
    assert height(limit, 1000) == pytest.approx(4.0, rel=1e-6)
    assert verdict(0.999 * limit, (smallest, largest)) == "right" and verdict(limit, (smallest, largest)) == "too high"
    # what leaves least of both axes is best in the end
    best = 2 / (smallest + largest)
    assert all(height(best, 200) < height(share * best, 200) for share in (0.9, 0.97, 1.03))


def test_what_goes_out_of_sight_ends() -> None:
    found = path(FUNCTIONS["bowl"], options(optimizer="sgd", lr=50.0, momentum=0), 1000)
    assert 2 < len(found) < 10 and np.isfinite(found).all()
    lost = Function("no number", lambda p: p.sum() * math.nan, (0.0, 0.0), 0.0, (), (0, 1, 0, 1))
    assert len(path(lost, options(optimizer="sgd", lr=0.1), 10)) == 2


def test_beside_the_ridge_a_constant_rate_waits() -> None:
    # from the saddle the height of SGD stays for some steps, then falls
    one = FUNCTIONS["saddle"]
    fall = values(one, path(one, options(optimizer="sgd", lr=0.95, momentum=0), 40))
    assert fall[2] - fall[4] < 0.1 and fall[40] < 1e-3


def test_a_study_of_paths(tmp_path: Path) -> None:
    plan = read(GIVEN, "x.yaml")
    assert read(recipe.dump_yaml(plan.as_dict()), "y.yaml") == plan
    folder = study.begin(plan, project=tmp_path)
    said = drawings.kept(folder)["paths"]["said"]
    assert max(map(len, said)) <= 80
    rows = list(csv.DictReader(io.StringIO((folder / "paths.csv").read_text("utf-8"), newline="")))
    ends = {(row["function"], row["optimizer"], row["lr"]): row for row in rows if row["step"] == "12"}
    assert len(ends) == 9 and len(rows) == 9 * 13
    expected = stepped("saddle", 12, adam)[-1]
    last = ends["saddle", "<b>", "0.3"]
    assert [float(last["x"]), float(last["y"])] == pytest.approx(expected.tolist(), rel=1e-7)
    assert f"{float(last['height']):.2g}" in next(line for line in said if line.startswith("<b>"))
    for rate in (0.05, 0.9, 1.02):
        # plain gradient descent on a quadratic has a closed form
        last = ends["bowl", "gradient descent", f"{rate:g}"]
        closed = (-7 * (1 - rate / 10) ** 12, 2 * (1 - 2 * rate) ** 12)
        assert (float(last["x"]), float(last["y"])) == pytest.approx(closed, rel=1e-9)
    told = [line for line in said if line.startswith("lr ")]
    assert ["too low" in told[0], "right" in told[1], "too high" in told[2]] == [True] * 3
    assert "a step leaves 1.040 of the distance" in told[2]
    assert (folder / "paths.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("{}", "C280", "paths has no optimizers, or no functions."),
        ("{functions: [bowel], optimizers: {a: {lr: 1}}}", "C280", "no function 'bowel'. Did you mean 'bowl'?"),
        ("{optimizers: [sgd]}", "C280", "x.yaml, draw, paths, optimizers is ['sgd']"),
        ("{optimizers: {a: sgd}}", "C280", "x.yaml, draw, paths, a is 'sgd'; expected options."),
        ("{optimizers: {a: {lrr: 1}}}", "C280", "unknown setting 'lrr' in x.yaml, draw, paths, a. Did you mean 'lr'?"),
        ("{optimizers: {a: {optimizer: sdg}}}", "C202", "optimizer cannot be 'sdg'"),
        ("{optimizers: {a: {optimizer: muon}}}", "C280", "muon changes matrices; two numbers are none."),
        ("{optimizers: {a: {lr: 0}}}", "C202", "lr cannot be 0"),
        ("{rates: [0], optimizers: {a: {lr: 1}}}", "C202", "rates cannot be [0]"),
    ],
)
def test_settings_that_cannot_be(text: str, code: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"draw: {{paths: {text}}}", "x.yaml")
    assert caught.value.code == code and said in str(caught.value)
