"""Study files: read whole and checked before the first run, and written back as they were read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from dojang import recipe
from dojang.errors import ConfigError
from dojang.study import named, plan
from dojang.study.drawings import Drawing
from dojang.study.plan import Cell, Plan, read

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
        ("seeds: [true]", "C280", "seeds is [True]"),
        ("grid: {lr: [0.1, 1e-1]}", "C280", "lr has the same value twice: 0.1."),
        ("grid: {lr: [0.1], lr0: [0.2]}", "C280", "'lr' and 'lr0' are the same field, lr"),
        ("recipe: {batch_size: 8, batch-size: 9}", "C280", "x.yaml, recipe: 'batch_size' and 'batch-size' are the"),
        ("variants: {a: {lr: 0.1, learning_rate: 0.2}}", "C280", "variant a: 'lr' and 'learning_rate' are the same"),
        ("search: {space: {lr: [0.1], lr0: [0.2]}}", "C280", "x.yaml, search, space: 'lr' and 'lr0' are the same"),
        ("variants:\n  a: {lr: 0.1}\n  a: {lr: 0.2}", "C207", "x.yaml line 3: 'a' is there twice."),
        ("variants:\n  1: {lr: 0.1}\n  '1': {lr: 0.2}", "C207", "x.yaml line 3: '1' is there twice."),
        ("recipe: {lr: 0.1}\nrecipe: {lr: 0.2}", "C207", "x.yaml line 2: 'recipe' is there twice."),
        ("recipe: {1: 2}", "C201", "unknown option '1' in x.yaml, recipe"),
        ("recipe: {on: 2}", "C201", "unknown option 'on'"),
        ("variants: {a: {null: 2}}", "C201", "unknown option 'null' in x.yaml, variant a"),
        ("grid: {2024-01-02: [2]}", "C201", "unknown option '2024-01-02'"),
        ("search: {space: {2024-01-02: [2]}}", "C201", "unknown option '2024-01-02'"),
        ("recipe: {? [a] : 2}", "C207", "a name that is no word"),
        ("inside: !!bool maybe", "C207", "x.yaml is not valid YAML"),
        ("title: &a x\nabout: *a", "C207", "x.yaml line 2: *a is an alias"),
        ("inside: 'no'", "C280", "x.yaml, inside is 'no'; expected true or false"),
        ("inside: 1", "C280", "inside is 1; expected true or false"),
        ("format: '9'", "C280", "format is '9'; expected 1"),
        ("format: 2.0", "C280", "format is 2.0; expected 1"),
        ("format: true", "C280", "format is True; expected 1"),
        ("format: 0", "C280", "format is 0; expected 1"),
        ("score: 0", "C280", "score is 0; expected one of top1"),
        ("search: {space: {lr: {low: 0.1, high: 1, log: 'true'}}}", "C280", "log of lr is 'true'; expected true or"),
        ("variants: {a: {epochs: 3, time: 5s}}", "C210", "cell 'a': epochs and time are both given"),
    ],
)
def test_what_is_wrong_is_said_before_anything_begins(text: str, code: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, "x.yaml")
    assert caught.value.code == code and said in str(caught.value)


PLACES = ("title: {}", "recipe: {}", "recipe: {{loss: {}}}", "variants: {{a: {}}}", "grid: {}", "grid: {{lr: {}}}",
          "judge: {}", "score: {}", "seeds: {}", "inside: {}", "format: {}", "search: {}", "search: {{method: {}}}",
          "search: {{trials: {}}}", "search: {{space: {}}}", "search: {{space: {{lr: {}}}}}",
          "search: {{space: {{lr: {{low: 1, high: 2, log: {}}}}}}}")  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_value_without_end_is_told_in_a_few_words(place: str) -> None:
    # what is written out may be long too
    nested = "[" + ", ".join(["[" + ", ".join(["word"] * 50) + "]"] * 50) + "]"
    with pytest.raises(ConfigError) as caught:
        read(place.format(nested), "x.yaml")
    assert caught.value.code in ("C280", "C202") and len(str(caught.value)) < 800


def test_a_few_lines_do_not_stand_for_a_billion_values() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(ConfigError, match=r"C207.*x\.yaml line 2: \*a is an alias"):
        read("\n".join(lines), "x.yaml")


def test_names_that_yaml_takes_for_something_else_stay_words() -> None:
    found = read("variants: {on: {lr: 0.1}, 1.0: {lr: 0.2}, null: {lr: 0.3}}", "x.yaml")
    assert list(found.variants) == ["on", "1.0", "null"]
    assert list(read(recipe.dump_yaml(found.as_dict()), "y.yaml").variants) == ["on", "1.0", "null"]


def test_a_plan_that_was_not_read_has_no_value_twice_either() -> None:
    for values in ((0.1, 0.1), (1, 1.0)):
        with pytest.raises(ConfigError, match=r"C280.*grid: lr has the same value twice"):
            Plan(data="x", grid={"lr": values})
    assert Plan(data="x", grid={"conv_dims": ((8,), (8, 16))}).count == 2


def test_a_search_for_a_time_is_written_as_it_is_read() -> None:
    for space in ("[1s, 2m]", "{low: 2s, high: 9s}"):
        found = read(f"data: digits\nsearch: {{trials: 3, space: {{time: {space}}}}}", "x.yaml")
        assert read(recipe.dump_yaml(found.as_dict()), "y.yaml") == found


def test_what_is_around_a_title_is_not_kept() -> None:
    found = Plan(data="digits", title=" Why? ", about="Because.\n")
    again = read(recipe.dump_yaml(found.as_dict()), "y.yaml")
    assert (again.title, again.about) == ("Why?", "Because.") and again.as_dict() == found.as_dict()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"C221.*No such file"):
        plan.read_file(tmp_path / "x.yaml")


def test_too_many_are_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"C280.*10,100 combinations"):
        Plan(data="x", grid={"lr": tuple(i / 1000 for i in range(1, 102)), "batch_size": tuple(range(1, 101))})


def test_too_many_are_refused_before_they_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(plan: Plan) -> list[Cell]:
        raise AssertionError("ten thousand million cells were listed")

    monkeypatch.setattr(Plan, "cells", listed)
    many = tuple(range(1, 100_001))
    with pytest.raises(ConfigError, match=r"C280.*10,000,000,000 combinations"):
        Plan(data="x", grid={"batch_size": many, "epochs": many}, draw={"finder": Listing()})


@dataclass(frozen=True)
class Listing(Drawing):
    """A drawing whose check looks at every cell, as those of rates do."""

    def check(self, plan: Plan) -> None:
        plan.cells()


@pytest.mark.parametrize("name", named.names())
def test_a_ready_made_study_is_one(name: str) -> None:
    found = named.plan(name)
    assert found.title and found.about and bool(found.data) is found.trains
    assert 1 < found.count <= 60 if found.trains else found.draw
    assert set(yaml.safe_load(named.text(name))) <= set(plan.ENTRIES)


def test_a_study_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match=r"C283.*no study 'batch-by-optimiser'.*Did you mean 'batch-by-optimizer'\?"):
        named.plan("batch-by-optimiser")
