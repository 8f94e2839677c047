"""Combinations that are drawn: the same however often they are asked for, where they were said to be."""

from __future__ import annotations

import math

import numpy as np

from dojang.study.search import BATCH, Search, Span

SPACE = {
    "lr": Span(1e-4, 1e-1, True, False),
    "batch_size": Span(8, 64, False, True),
    "optimizer": ("adam", "sgd"),
    "conv_dims": ((8,), (8, 16)),
}


def test_random_draws_are_uniform_on_their_scale() -> None:
    drawn = Search("random", 4000, 3, SPACE).combinations([], higher=True)
    rates = np.log10([one["lr"] for one in drawn])
    sizes = np.array([one["batch_size"] for one in drawn])
    # a mean of 4,000 uniform draws: three standard errors are .014 of the width
    assert abs(rates.mean() + 2.5) < 0.042 and rates.min() >= -4 and rates.max() <= -1
    assert set(sizes) == set(range(8, 65)) and abs(sizes.mean() - 36) < 0.8
    assert abs(np.mean([one["optimizer"] == "adam" for one in drawn]) - 0.5) < 0.024
    assert {one["conv_dims"] for one in drawn} == {(8,), (8, 16)}
    # the fields are drawn apart from each other
    assert abs(np.corrcoef(rates, sizes)[0, 1]) < 0.05
    assert drawn[:50] == Search("random", 50, 3, SPACE).combinations([0.5] * 7, higher=True)
    assert drawn != Search("random", 4000, 4, SPACE).combinations([], higher=True)


def test_it_is_written_as_it_is_read() -> None:
    found = Search("tpe", 9, 2, SPACE)
    assert Search.read(found.as_dict(), "x") == found


def test_a_time_is_written_with_its_unit() -> None:
    found = Search("random", 9, 2, {"time": Span(2.0, 90.0, False, False)})
    assert found.as_dict()["space"] == {"time": {"low": "2.0s", "high": "90.0s", "log": False}}
    assert Search.read(found.as_dict(), "x") == found
    chosen = Search("random", 9, 2, {"time": (1.0, 120.0, None)})
    assert chosen.as_dict()["space"] == {"time": ["1.0s", "120.0s", None]}
    assert Search.read(chosen.as_dict(), "x") == chosen


def score(one: dict) -> float:
    return -((math.log10(one["lr"]) + 2) ** 2) - 0.1 * (one["optimizer"] == "sgd")


def test_optuna_draws_in_batches_that_depend_on_scores_alone() -> None:
    search = Search("tpe", 30, 0, {"lr": SPACE["lr"], "optimizer": SPACE["optimizer"]})
    scores: list[float | None] = []
    asked = [0]
    while len(found := search.combinations(scores, higher=True)) > len(scores):
        asked.append(len(found))
        scores += [None if i == 5 else score(one) for i, one in enumerate(found) if i >= len(scores)]
    assert asked == [*range(0, 30, BATCH), 30]
    # what was drawn stays, however much of it is known by now: a study that goes on draws the same
    assert search.combinations(scores[:9], higher=True) == found[:12]
    late = [score(one) for one in found[20:]]
    early = [score(one) for one in found[:10]]
    assert np.mean(late) > np.mean(early)
