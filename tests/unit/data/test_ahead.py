"""Work on threads: in order, not too far ahead, and errors at their item's turn."""

from __future__ import annotations

import threading

import pytest

from dojang.data.ahead import in_order


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("together", [1, 2, 7, 100])
@pytest.mark.parametrize("count", [0, 1, 7, 20])
def test_results_come_in_order(threads: int, together: int, count: int) -> None:
    assert list(in_order(lambda n: n * n, range(count), threads, together)) == [n * n for n in range(count)]


@pytest.mark.parametrize("together", [1, 3])
def test_no_more_than_two_parcels_a_thread_are_in_the_making(together: int) -> None:
    items = iter(range(100))
    results = in_order(lambda n: n, items, 2, together)
    assert next(results) == 0
    assert next(items) == 5 * together


@pytest.mark.parametrize("threads", [0, 1, 2])
@pytest.mark.parametrize("together", [1, 4])
def test_an_error_comes_at_its_item_s_turn(threads: int, together: int) -> None:
    def work(n: int) -> int:
        if n == 5:
            raise KeyError(n)
        return n

    seen = []
    with pytest.raises(KeyError):
        for result in in_order(work, range(50), threads, together):
            seen.append(result)
    assert seen == [0, 1, 2, 3, 4]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dojang")]
