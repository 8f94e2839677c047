"""Progress and the end of training, in steps and in seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dojang.train.budget import Budget

counts = st.integers(0, 10**6)
times = st.floats(0, 1e6)


def test_epochs() -> None:
    budget = Budget(steps=8)
    assert [budget.progress(step, 1e9) for step in range(0, 10, 2)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [budget.spent(step, 1e9) for step in (0, 7, 8, 9)] == [False, False, True, True]


def test_time() -> None:
    budget = Budget(seconds=60.0)
    assert [budget.progress(10**9, elapsed) for elapsed in (0.0, 15.0, 60.0, 90.0)] == [0.0, 0.25, 1.0, 1.0]
    assert [budget.spent(10**9, elapsed) for elapsed in (0.0, 59.9, 60.0)] == [False, False, True]


def test_a_new_budget_begins_where_the_old_one_was_left() -> None:
    more = Budget(steps=30, from_step=20)
    assert [more.progress(step, 0.0) for step in (20, 25, 30)] == [0.0, 0.5, 1.0]
    assert [more.spent(step, 0.0) for step in (20, 29, 30)] == [False, False, True]
    longer = Budget(seconds=10.0, from_seconds=100.0)
    assert [longer.progress(0, elapsed) for elapsed in (100.0, 104.0, 110.0)] == [0.0, 0.4, 1.0]
    assert [longer.spent(0, elapsed) for elapsed in (100.0, 109.9, 110.0)] == [False, False, True]


def test_an_empty_budget_is_spent_and_does_not_divide_by_nothing() -> None:
    assert Budget(steps=5, from_step=5).progress(5, 0.0) == 0.0
    assert Budget(steps=5, from_step=5).spent(5, 0.0)


@given(counts, times, st.integers(1, 10**6), st.integers(0, 10**6))
def test_progress_in_steps_is_a_share_that_reaches_1_when_spent(
    step: int, elapsed: float, length: int, start: int
) -> None:
    budget = Budget(steps=start + length, from_step=start)
    progress = budget.progress(step, elapsed)
    assert 0.0 <= progress <= 1.0
    assert (progress == 1.0) == budget.spent(step, elapsed)
    assert progress <= budget.progress(step + 1, elapsed)


@given(counts, times, st.floats(0.1, 1e6))
def test_progress_in_time_is_a_share_that_reaches_1_when_spent(step: int, elapsed: float, length: float) -> None:
    budget = Budget(seconds=length)
    progress = budget.progress(step, elapsed)
    assert 0.0 <= progress <= 1.0
    assert (progress == 1.0) == budget.spent(step, elapsed)
    assert progress == pytest.approx(min(elapsed / length, 1.0))
