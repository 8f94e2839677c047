"""Errors: one object, and the same words in Python, in the shell and in JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dojang import errors
from dojang.errors import (
    ConfigError,
    DataError,
    DojangError,
    ExportError,
    ResourceError,
    SecurityError,
    ServeError,
    TrainError,
    did_you_mean,
    listing,
)

KINDS = (DojangError, ConfigError, DataError, TrainError, ExportError, ResourceError, SecurityError, ServeError)


def test_the_form_is_that_of_the_handbook() -> None:
    error = TrainError("T301", "loss became NaN.", context="Last good: step-1200.", fix="--lr 0.1")
    assert str(error) == "TrainError[T301]: loss became NaN.\n  Last good: step-1200.\n  Fix: --lr 0.1"
    assert str(TrainError("T301", "loss became NaN.", fix="--lr 0.1")) == (
        "TrainError[T301]: loss became NaN.\n  Fix: --lr 0.1"
    )
    assert str(TrainError("T301", "loss became NaN.", context="So.")) == "TrainError[T301]: loss became NaN.\n  So."
    assert str(TrainError("T301", "loss became NaN.")) == "TrainError[T301]: loss became NaN."


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        *((ConfigError, 2), (DataError, 3), (TrainError, 1), (ResourceError, 4), (SecurityError, 3), (DojangError, 1)),
        *((ExportError, 1), (ServeError, 1)),
    ],
)
def test_exit_codes(kind: type[DojangError], code: int) -> None:
    """0 ok, 1 failed, 2 usage, 3 bad data, 4 no room."""
    error = kind("X000", "so.")
    assert error.exit_code == code
    assert error.as_dict()["exit_code"] == code
    assert isinstance(error, DojangError)


def test_every_kind_is_here() -> None:
    found = {thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)}
    assert found == set(KINDS)


@given(st.sampled_from(KINDS), st.text(), st.text(), st.text())
def test_json_holds_what_str_shows(kind: type[DojangError], what: str, context: str, fix: str) -> None:
    error = kind("D104", what, context=context, fix=fix)
    plain = json.loads(json.dumps(error.as_dict()))
    assert plain.pop("error") == kind.__name__
    assert plain.pop("exit_code") == kind.exit_code
    again = kind(**plain)
    assert str(again) == str(error)
    assert (again.code, again.what, again.context, again.fix) == ("D104", what, context, fix)


def test_did_you_mean_the_nearest_or_nothing() -> None:
    known = ["lr", "weight_decay", "momentum"]
    assert did_you_mean("weight_deacy", known) == " Did you mean 'weight_decay'?"
    assert did_you_mean("momentun", iter(known)) == " Did you mean 'momentum'?"
    assert did_you_mean("frobnicate", known) == ""
    assert did_you_mean("lr", []) == ""


@given(st.lists(st.integers()), st.integers(1, 12))
def test_listing_names_the_first_and_counts_the_rest(items: list[int], most: int) -> None:
    shown, _, more = listing(items, most).partition(" and ")
    words = shown.split(", ") if shown else []
    assert words == [str(item) for item in items[:most]]
    assert len(words) + (int(more.removesuffix(" more")) if more else 0) == len(items)


def test_listing_of_very_many() -> None:
    assert listing(range(12_410), most=2) == "0, 1 and 12,408 more"
