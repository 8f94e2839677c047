"""Study files: read whole and checked before the first run, and written back as they were read."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dojang import recipe
from dojang.errors import ConfigError
from dojang.study import named, plan
from dojang.study.plan import Plan, read

WHOLE = """
format: 1
title: What helps?
data: digits
recipe: {model: mlp, epochs: 2, time: null}
variants:
  plain: {}
  tanh: {activation: tanh, hidden_dims: [32, 16]}
grid: {batch_size: [16, 64], lr: [0.1, 1e-3]}
seeds: [5, 7]
judge: test
score: log_loss
"""


def test_every_combination_of_grid_and_variants_is_a_cell() -> None:
    found = read(WHOLE, "x.yaml")
    cells = found.cells()
    assert [cell.number for cell in cells] == list(range(1, 9)) and found.count == 8
    assert cells[0].name == "plain, batch_size 16, lr 0.1" and cells[0].folder == "cell-01"
    assert cells[5].changes == {"activation": "tanh", "hidden_dims": (32, 16), "batch_size": 16, "lr": 0.001}
    assert found.seeds == (5, 7) and found.judge == "test" and found.score == "log_loss"


def test_a_plan_is_written_as_it_is_read() -> None:
    found = read(WHOLE + "about: {}\n".format("none") + "inside: true\n", "x.yaml")
    assert read(recipe.dump_yaml(found.as_dict()), "y.yaml") == found
    timed = Plan(data="digits", recipe={"time": 90.0}, grid={"lr": (0.1, 0.2)})
    assert read(recipe.dump_yaml(timed.as_dict()), "y.yaml") == timed


def test_optimizer_and_rate_of_one_study_stand_together() -> None:
    # a rate that is written in the file holds for every optimizer of its grid
    from dojang.runs import recipe as recipes

    found = Plan(data="digits", recipe={"lr": 0.02}, grid={"optimizer": ("adam", "sgd")})
    resolved = [recipes.resolve([{**found.recipe, **cell.changes}]).train for cell in found.cells()]
    assert [(one.optimizer, one.lr) for one in resolved] == [("adam", 0.02), ("sgd", 0.02)]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("- a", "C280", "is no study"),
        ("grid: [", "C207", "not valid YAML"),
        ("format: 9\ngrid: {lr: [1]}", "C213", "newer dojang"),
        ("gird: {lr: [0.1]}", "C280", "unknown entry 'gird' in x.yaml. Did you mean 'grid'?"),
        ("lr: 0.1", "C280", "It is an option of the runs: it belongs under recipe, variants or grid."),
        ("grid: {lerning_rate: [0.1]}", "C201", "Did you mean 'learning_rate'?"),
        ("grid: {lr: [fast]}", "C202", "lr cannot be 'fast'; expected a number above 0"),
        ("grid: {lr: 0.1}", "C280", "grid: lr is 0.1; expected values."),
        ("grid: {lr: [0.1, 0.1]}", "C280", "lr has the same value twice"),
        ("grid: {seed: [1, 2]}", "C280", "seed is not a field of a study: it decides that itself."),
        ("grid: {val: [0.1, 0.2]}", "C280", "val cannot differ within a study"),
        ("recipe: {name: x}", "C280", "name is not a field of a study"),
        ("variants: {a: {lr: 0.1}}\ngrid: {lr: [0.1, 0.2]}", "C280", "lr is in the grid and in a variant."),
        ("seeds: none", "C280", "seeds is 'none'; expected their number, or a list of them."),
        ("seeds: [1, 1]", "C280", "seeds is [1, 1]"),
        ("judge: train", "C280", "judge is 'train'; expected one of val, test"),
        ("score: f1", "C280", "score is 'f1'; expected one of top1"),
        ("recipe: fast", "C280", "recipe is 'fast'; expected lines of 'name: value'."),
        ("grid: {lr: [0.1]}\nsearch: {space: {lr: [0.1]}}", "C280", "a search or a grid with variants, not both"),
        ("search: {space: {lr: {low: 1, high: 0.1}}}", "C280", "expected values, or low and high"),
        ("search: {space: {lr: {low: -1, high: 0.1, log: true}}}", "C202", "lr cannot be -1"),
        ("search: {method: tep, space: {lr: [0.1]}}", "C280", "method is 'tep'; expected random or tpe."),
        ("search: {trials: 0, space: {lr: [0.1]}}", "C280", "trials is 0; expected a whole number from 1"),
        ("variants: {a: {epochs: 3, time: 5s}}", "C210", "cell 'a': epochs and time are both given"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(text: str, code: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, "x.yaml")
    assert caught.value.code == code and said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"C221.*No such file"):
        plan.read_file(tmp_path / "x.yaml")


def test_too_many_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"C280.*10,100 combinations"):
        Plan(data="x", grid={"lr": tuple(i / 1000 for i in range(1, 102)), "batch_size": tuple(range(1, 101))})


@pytest.mark.parametrize("name", named.names())
def test_a_ready_made_study_is_one(name: str) -> None:
    found = named.plan(name)
    assert found.title and found.about and bool(found.data) is found.trains
    assert 1 < found.count <= 60 if found.trains else found.draw
    assert set(yaml.safe_load(named.text(name))) <= set(plan.ENTRIES)


def test_a_study_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match=r"C283.*no study 'batch-by-optimiser'.*Did you mean 'batch-by-optimizer'\?"):
        named.plan("batch-by-optimiser")
