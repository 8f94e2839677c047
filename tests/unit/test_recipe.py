"""The machinery of options, on options of its own: reading, refusing, layers, and YAML both ways."""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dojang import recipe
from dojang.errors import ConfigError
from dojang.recipe import option


@dataclasses.dataclass(frozen=True)
class Kitchen:
    """One of everything."""

    steps: int = option(20, "a count", low=1)
    lr: float | None = option(None, "a rate", aliases=("lr0", "learning_rate"), above=0)
    weight_decay: float = option(0.0, "a penalty", aliases=("wd",), low=0)
    momentum: float = option(0.9, "a share", low=0, high=0.9999)
    most: int = option(5, "a limit", high=10)
    name: str = option("train", "a word")
    loss: str = option("bce", "a choice", choices=("bce", "cross-entropy"))
    flip: str | None = option(None, "a choice or not", choices=("none", "horizontal"))
    val: float | str | None = option(None, "a share, or none", low=0, choices=("none",))
    dims: tuple[int, ...] | None = option(None, "numbers", low=1)
    time: float | None = option(None, "a time", unit="duration")
    fused: bool = option(True, "a switch")
    norm: bool | None = option(None, "a switch or not")


@dataclasses.dataclass(frozen=True)
class Cellar:
    """Another room."""

    bottles: int = option(0, "a count", low=0)


KNOWN = recipe.options_of(Kitchen, Cellar)


def read(name: str, value: Any) -> Any:
    return recipe.read({name: value}, KNOWN, "test")[name]


def refused(name: str, value: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        read(name, value)
    assert caught.value.code == "C202"
    return str(caught.value)


def loads(text: str) -> dict[str, Any]:
    return recipe.load_yaml(text, KNOWN, "recipe.yaml")


# Declarations


def test_a_declaration_gives_everything() -> None:
    assert list(KNOWN) == [field.name for room in (Kitchen, Cellar) for field in dataclasses.fields(room)]
    lr = KNOWN["weight_decay"]
    assert (lr.flag, lr.default, lr.room, lr.is_switch) == ("--weight-decay", 0.0, Kitchen, False)
    assert lr.facts["help"] == "a penalty"
    assert {name for name, entry in KNOWN.items() if entry.is_switch} == {"fused", "norm"}
    assert KNOWN["val"].kinds == (float, str, type(None))


def test_a_room_can_be_made_without_any_value() -> None:
    assert Kitchen() == recipe.build(Kitchen, {"bottles": 3})
    assert recipe.build(Cellar, {"bottles": 3, "lr": 1.0}) == Cellar(bottles=3)


def test_two_rooms_may_not_share_a_name() -> None:
    @dataclasses.dataclass(frozen=True)
    class Attic:
        bottles: int = option(0, "a count")

    with pytest.raises(TypeError, match="Attic and Cellar share 'bottles'"):
        recipe.options_of(Kitchen, Cellar, Attic)


# Values


@pytest.mark.parametrize(
    ("name", "given_", "value"),
    [
        ("steps", 3, 3),
        ("steps", "3", 3),
        ("steps", " 1_000 ", 1000),
        ("steps", 3.0, 3),
        ("steps", "1e3", 1000),
        ("most", -7, -7),
        ("lr", 1, 1.0),
        ("lr", "1e-3", 1e-3),
        ("lr", "none", None),
        ("lr", None, None),
        ("name", "3", "3"),
        ("name", " a b ", " a b "),
        ("loss", "cross-entropy", "cross-entropy"),
        ("flip", "none", "none"),
        ("flip", None, None),
        ("val", "none", "none"),
        ("val", "0.1", 0.1),
        ("val", 500, 500.0),
        ("val", None, None),
        ("dims", "32,64", (32, 64)),
        ("dims", "[32, 64]", (32, 64)),
        ("dims", "(32, 64,)", (32, 64)),
        ("dims", [32, "64"], (32, 64)),
        ("dims", (32,), (32,)),
        ("dims", 32, (32,)),
        ("dims", "32", (32,)),
        ("dims", [], ()),
        ("dims", "none", None),
        ("fused", False, False),
        ("fused", "no", False),
        ("fused", "Off", False),
        ("fused", "YES", True),
        ("fused", "1", True),
        ("norm", "none", None),
        ("norm", "true", True),
        ("time", "90s", 90.0),
        ("time", "5m", 300.0),
        ("time", "5 min", 300.0),
        ("time", "1.5H", 5400.0),
        ("time", "1e2s", 100.0),
        ("time", "none", None),
        ("time", None, None),
    ],
)
def test_values_from_python_yaml_and_the_shell(name: str, given_: Any, value: Any) -> None:
    found = read(name, given_)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "given_", "expected"),
    [
        ("steps", 0, "expected a whole number of at least 1."),
        ("steps", "many", "expected a whole number of at least 1."),
        ("steps", 1.5, "expected a whole number of at least 1."),
        ("steps", True, "expected a whole number of at least 1."),
        ("steps", None, "expected a whole number of at least 1."),
        ("steps", "none", "expected a whole number of at least 1."),
        ("steps", "", "expected a whole number of at least 1."),
        ("steps", [1], "expected a whole number of at least 1."),
        ("lr", 0, "expected a number above 0."),
        ("lr", -0.1, "expected a number above 0."),
        ("lr", "0", "expected a number above 0."),
        ("lr", math.nan, "expected a number above 0."),
        ("lr", math.inf, "expected a number above 0."),
        ("lr", "1e999", "expected a number above 0."),
        ("lr", 10**400, "expected a number above 0."),
        ("lr", True, "expected a number above 0."),
        ("momentum", 1, "expected a number from 0 to 0.9999."),
        ("momentum", -1e-9, "expected a number from 0 to 0.9999."),
        ("most", 11, "expected a whole number of at most 10."),
        ("name", 3, "expected a word."),
        ("name", None, "expected a word."),
        ("loss", "mse", "expected one of bce, cross-entropy."),
        ("loss", None, "expected one of bce, cross-entropy."),
        ("loss", "cross-entrpy", "expected one of bce, cross-entropy. Did you mean 'cross-entropy'?"),
        ("flip", "sideways", "expected one of none, horizontal."),
        ("flip", False, "expected one of none, horizontal."),
        ("val", -1, "expected a number of at least 0, or none."),
        ("val", "no", "expected a number of at least 0, or none. Did you mean 'none'?"),
        ("dims", "32,0", "expected numbers joined by commas of at least 1."),
        ("dims", [32, -1], "expected numbers joined by commas of at least 1."),
        ("dims", "32;64", "expected numbers joined by commas of at least 1."),
        ("dims", [1.5], "expected numbers joined by commas of at least 1."),
        ("dims", [[1]], "expected numbers joined by commas of at least 1."),
        ("dims", [True], "expected numbers joined by commas of at least 1."),
        ("dims", {"a": 1}, "expected numbers joined by commas of at least 1."),
        ("time", 90, "expected a time with its unit, such as 90s, 5m or 2h."),
        ("time", 90.5, "expected a time with its unit, such as 90s, 5m or 2h."),
        ("time", "90", "expected a time with its unit, such as 90s, 5m or 2h."),
        ("time", "5d", "expected a time with its unit, such as 90s, 5m or 2h."),
        ("time", "m", "expected a time with its unit, such as 90s, 5m or 2h."),
        ("time", "-5m", "expected a time with its unit, such as 90s, 5m or 2h."),
        ("time", "0s", "expected a time with its unit, such as 90s, 5m or 2h."),
        ("time", "1e999s", "expected a time with its unit, such as 90s, 5m or 2h."),
        ("time", "1:30", "expected a time with its unit, such as 90s, 5m or 2h."),
        ("fused", "maybe", "expected true or false."),
        ("fused", 1, "expected true or false."),
        ("fused", None, "expected true or false."),
        ("norm", 0.5, "expected true or false."),
    ],
)
def test_what_is_refused_and_what_is_expected(name: str, given_: Any, expected: str) -> None:
    assert refused(name, given_) == f"ConfigError[C202]: test: {name} cannot be {recipe.told(given_)}; {expected}"


BOUNDS = st.floats(-100, 100)


@given(BOUNDS, BOUNDS, BOUNDS, st.floats(-200, 200), st.sampled_from(["low", "high", "above"]))
def test_bounds_are_their_definition(low: float, high: float, above: float, value: float, kind: str) -> None:
    facts = {"low": low, "high": high, "above": above}
    room = dataclasses.make_dataclass("Room", [("x", float, option(0.0, "", **{kind: facts[kind]}))])
    expected = {"low": value >= low, "high": value <= high, "above": value > above}[kind]
    try:
        assert recipe.read({"x": value}, recipe.options_of(room), "test") == {"x": value}
        assert expected
    except ConfigError as error:
        assert error.code == "C202"
        assert not expected


# Names


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("lr", "lr"),
        ("lr0", "lr"),
        ("learning-rate", "lr"),
        ("--learning-rate", "lr"),
        ("weight_decay", "weight_decay"),
        ("weight-decay", "weight_decay"),
        ("wd", "weight_decay"),
        ("bottles", "bottles"),
    ],
)
def test_names_and_aliases(written: str, name: str) -> None:
    assert recipe.canonical(written, KNOWN, "test") == name
    assert list(recipe.read({written: 1}, KNOWN, "test")) == [name]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("weight_deacy", " Did you mean 'weight_decay'?"),
        ("lerning_rate", " Did you mean 'learning_rate'?"),
        ("frobnicate", ""),
        ("", ""),
    ],
)
def test_names_that_nobody_knows(written: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe.read({written: 1}, KNOWN, "train()")
    assert str(caught.value) == f"ConfigError[C201]: unknown option {written!r} in train().{meant}"


def test_later_layers_win() -> None:
    assert recipe.merge([{"a": 1, "b": 1}, {}, {"b": 2, "c": 2}, {"c": None}]) == {"a": 1, "b": 2, "c": None}
    assert recipe.merge([]) == {}


# YAML

RECIPE = """# what worked
steps: 10

dims:
  - 32
  - 64
name: "a: b"
loss: bce

weight_deacy: 0.01
"""


def test_c201_names_the_line_and_the_nearest() -> None:
    text = RECIPE.replace("\nloss: bce", "")
    assert text.splitlines()[8] == "weight_deacy: 0.01"
    with pytest.raises(ConfigError) as caught:
        loads(text)
    assert str(caught.value) == (
        "ConfigError[C201]: unknown option 'weight_deacy' in recipe.yaml line 9. Did you mean 'weight_decay'?"
    )


def test_c202_names_the_line() -> None:
    with pytest.raises(ConfigError) as caught:
        loads("steps: 10\n\n# slower\nlr0: fast\n")
    assert str(caught.value) == (
        "ConfigError[C202]: recipe.yaml line 4: lr cannot be 'fast'; expected a number above 0."
    )


def test_what_a_recipe_file_may_hold() -> None:
    assert loads(RECIPE.replace("deacy", "decay")) == {
        "steps": 10,
        "dims": (32, 64),
        "name": "a: b",
        "loss": "bce",
        "weight_decay": 0.01,
    }
    assert loads("") == loads("# nothing\n") == {}
    assert loads("lr: 1e-3\nval: none\ntime: 5m\nfused: no\ndims: 1,2\n") == {
        "lr": 1e-3,
        "val": "none",
        "time": 300.0,
        "fused": False,
        "dims": (1, 2),
    }
    assert loads("a: &x 3\n".replace("a", "steps") + "most: *x\n") == {"steps": 3, "most": 3}


@pytest.mark.parametrize(
    "text",
    [
        "steps: [1\n",
        "steps: 1\n  lr: 2\n",
        "steps: 1\n---\nsteps: 2\n",
        "steps: *nobody\n",
        "steps: \x00\n",
        "steps: 2024-99-99\n",
        "steps: !!int x\n",
        "steps: !!python/object/apply:os.getcwd []\n",
        "dims: &x [*x]\n",
        "dims: " + "[" * 2000 + "\n",
    ],
)
def test_c207_for_what_is_no_yaml(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^ConfigError\[C207\]: recipe.yaml is not valid YAML: ") as caught:
        loads(text)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["- steps\n", "steps\n", "3\n", "[]\n"])
def test_c207_for_what_has_no_names(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(text)
    assert str(caught.value) == ("ConfigError[C207]: recipe.yaml holds no 'name: value' lines.\n  Fix: lr: 0.01")


@pytest.mark.parametrize(
    "key", ['"1"', "1", "yes", '"yes"', "null", "2024-01-01", "<<", '"a: b"', '"\'"', "1.5", '"["']
)
def test_c201_for_keys_that_yaml_reads_as_something_else(key: str) -> None:
    with pytest.raises(ConfigError, match=r"^ConfigError\[C201\]: unknown option .* in recipe.yaml line 2\."):
        loads(f"steps: 1\n{key}: {{lr: 1}}\n")


@pytest.mark.parametrize("value", [datetime.date(2024, 1, 1), {"a": 1}, {1}, b"1", object()])
@pytest.mark.parametrize("name", list(KNOWN))
def test_c202_for_values_of_any_other_type(name: str, value: Any) -> None:
    assert f"{name} cannot be" in refused(name, value)


TEXTS = st.text() | st.binary(max_size=20).map(os.fsdecode)
LAYERS = st.fixed_dictionaries(
    {},
    optional={
        "steps": st.integers(1, 2**53),
        "lr": st.none() | st.floats(0, 1e300, exclude_min=True),
        "weight_decay": st.floats(0, 1e300),
        "momentum": st.floats(0, 0.9999),
        "most": st.integers(-(2**53), 10),
        "name": TEXTS,
        "loss": st.sampled_from(["bce", "cross-entropy"]),
        "flip": st.sampled_from([None, "none", "horizontal"]),
        "val": st.none() | st.just("none") | st.floats(0, 1e300),
        "dims": st.none() | st.lists(st.integers(1, 2**53)).map(tuple),
        "time": st.none(),
        "fused": st.booleans(),
        "norm": st.none() | st.booleans(),
        "bottles": st.integers(0, 9),
    },
)


@given(LAYERS)
def test_yaml_there_and_back(layer: dict[str, Any]) -> None:
    text = recipe.dump_yaml(layer)
    assert loads(text) == layer
    assert list(loads(text)) == list(layer)
    assert yaml.safe_load(text) == ({k: list(v) if isinstance(v, tuple) else v for k, v in layer.items()} or None)


@given(LAYERS)
def test_every_value_survives_the_shell(layer: dict[str, Any]) -> None:
    """As text, which is what a flag is."""
    for name, value in layer.items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if value is None and KNOWN[name].facts["choices"]:
            # "none" is a word of its own there, and None cannot be typed
            continue
        assert recipe.read({name: text}, KNOWN, "--" + name) == {name: value}


@pytest.mark.parametrize(
    "name", ["\x85", "a\u2028b", "\u2029", "\ufeff", "\r", "a\n\nb \n", "\udcff", "\0", "x" * 200 + "\n y"]
)
def test_yaml_keeps_the_characters_that_it_would_fold(name: str) -> None:
    assert loads(recipe.dump_yaml({"name": name, "steps": 1})) == {"name": name, "steps": 1}


def test_yaml_is_one_line_an_option_in_order() -> None:
    text = recipe.dump_yaml(
        {"steps": 1, "dims": (1, 2), "lr": None, "name": "고양이", "segments": [{"a": 1}, {"b": 2}]}
    )
    assert text == "steps: 1\ndims: [1, 2]\nlr: null\nname: 고양이\nsegments:\n- {a: 1}\n- {b: 2}\n"
    assert recipe.dump_yaml({"lr": 0.1, "steps": 1}) == "lr: 0.1\nsteps: 1\n"
    assert recipe.dump_yaml({}) == ""


@given(st.text(st.sampled_from("lr0: 1-[]{}&*#'\"!|>\n\t,?%@`~<s\\")))
def test_any_text_gives_a_layer_or_a_coded_error(text: str) -> None:
    try:
        layer = loads(text)
    except ConfigError as error:
        assert error.code in ("C201", "C202", "C207")
    else:
        assert set(layer) <= set(KNOWN)


def test_the_code_of_yaml_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with pytest.raises(ConfigError, match="C207"):
        loads(f"name: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{mark}]]\n")
    assert not mark.exists()


@pytest.mark.parametrize("name", [1, True, None, datetime.date(2024, 1, 2)])
def test_c201_for_names_from_python_that_are_no_words(name: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe.read({name: 2}, KNOWN, "test")
    assert caught.value.code == "C201" and f"unknown option {str(name)!r} in test" in str(caught.value)


def test_c202_tells_a_value_without_end_in_a_few_words() -> None:
    assert "steps cannot be 'fast'; expected" in refused("steps", "fast")
    value: Any = "x"
    for _ in range(9):
        value = [value] * 10
    # of ten thousand million letters, and of more digits than Python writes
    assert len(refused("loss", value)) < 500
    assert len(refused("name", {"a": value})) < 500
    assert "steps cannot be a number of very many digits" in refused("steps", 16**5000)
    assert len(refused("loss", "x" * 100_000)) < 500
    assert "cannot be 'bcee'; expected one of bce, cross-entropy. Did you mean 'bce'?" in refused("loss", "bcee")
