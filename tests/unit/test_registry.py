"""Things by name, and the answer to a name that nobody knows."""

from __future__ import annotations

import pytest

from dojang.errors import ConfigError
from dojang.registry import Registry


def shapes() -> Registry[int]:
    table = Registry[int]("shape", "C203")
    for sides, name in ((4, "square"), (3, "triangle"), (6, "hexagon")):
        table.add(name, sides)
    return table


def test_what_was_entered_is_found() -> None:
    table = shapes()
    assert table["square"] == 4
    assert table.add("line", 2) == 2
    assert "line" in table
    assert "circle" not in table
    assert len(table) == 4


def test_names_come_sorted() -> None:
    assert list(shapes()) == ["hexagon", "square", "triangle"]


def test_register_gives_the_thing_back() -> None:
    table = Registry[object]("loss", "C203")

    @table.register("mean")
    def mean() -> str:
        return "mean"

    assert table["mean"] is mean
    assert mean() == "mean"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        shapes()["sqare"]
    assert str(caught.value) == (
        "ConfigError[C203]: unknown shape 'sqare'. Did you mean 'square'?\n  Known: hexagon, square, triangle."
    )


def test_an_unknown_name_near_nothing() -> None:
    with pytest.raises(ConfigError) as caught:
        shapes()["zzz"]
    assert str(caught.value) == "ConfigError[C203]: unknown shape 'zzz'.\n  Known: hexagon, square, triangle."


def test_the_code_is_the_table_s_own() -> None:
    with pytest.raises(ConfigError, match=r"^ConfigError\[C299\]: unknown thing"):
        Registry[int]("thing", "C299")["a"]


def test_a_name_is_given_once() -> None:
    table = shapes()
    with pytest.raises(ConfigError) as caught:
        table.add("square", 5)
    assert str(caught.value) == ("ConfigError[C203]: there is a shape 'square' already.\n  Fix: choose another name.")
    assert table["square"] == 4


def test_tables_do_not_share() -> None:
    one, other = shapes(), Registry[int]("shape", "C203")
    assert len(one) == 3
    assert len(other) == 0
