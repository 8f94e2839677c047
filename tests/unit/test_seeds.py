"""Draws against splitmix64 in Python's own integers, its published numbers, and what randomness must look like."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from dojang import seeds

INT64 = st.integers(-(2**63), 2**63 - 1)
MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def splitmix64(state: int) -> int:
    """The number that follows a state, as Vigna's splitmix64.c has it, in integers without a limit."""
    z = (state + GOLDEN) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def unsigned(values: np.ndarray) -> list[int]:
    return [int(value) & MASK for value in values]


def test_the_published_numbers() -> None:
    """The first five of seed 1234567: Rosetta Code, "Pseudo-random numbers/Splitmix64", from the authors' C."""
    assert unsigned(seeds.bits(1234567, np.arange(5))) == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


# the sum of key and increment is just beyond an int64, and just within
@example(2**63 - GOLDEN, [0, 1, -1])
@example(2**63 - 1 - GOLDEN, [0, 1, -1])
@given(INT64, st.lists(INT64, min_size=1, max_size=8))
def test_bits_are_splitmix64_at_any_counter(key: int, counters: list[int]) -> None:
    expected = [splitmix64(key + n * GOLDEN) for n in counters]
    assert unsigned(seeds.bits(key, np.array(counters))) == expected


@given(INT64, st.lists(INT64, max_size=8))
def test_numpy_equals_torch_bit_for_bit(key: int, counters: list[int]) -> None:
    array, tensor = np.array(counters, np.int64), torch.tensor(counters, dtype=torch.int64)
    for draw in (seeds.bits, seeds.uniform):
        ours, theirs = draw(key, array), draw(key, tensor)
        assert ours.dtype == theirs.numpy().dtype
        assert ours.tobytes() == theirs.numpy().tobytes()
    assert seeds.integers(key, array, 1000).tolist() == seeds.integers(key, tensor, 1000).tolist()


def test_types_and_shapes() -> None:
    counters = np.arange(6).reshape(2, 3)
    for draw, kind in ((seeds.bits, np.int64), (seeds.uniform, np.float64)):
        assert draw(3, counters).shape == (2, 3)
        assert draw(3, counters).dtype == kind
        assert draw(3, np.empty(0, np.int64)).shape == (0,)
    assert seeds.bits(3, torch.arange(2)).dtype == torch.int64
    assert seeds.integers(3, torch.arange(2), 5).dtype == torch.int64
    # float32 would have room for 24 of the 53 bits
    assert seeds.uniform(3, torch.arange(2)).dtype == torch.float64
    torch.testing.assert_close(
        seeds.uniform(3, torch.arange(9)), torch.from_numpy(seeds.uniform(3, np.arange(9))), rtol=0, atol=0
    )
    assert not np.array_equal(
        seeds.uniform(3, np.arange(99)).astype(np.float32).astype(np.float64), seeds.uniform(3, np.arange(99))
    )


def test_the_counters_are_not_changed() -> None:
    array, tensor = np.arange(5), torch.arange(5)
    seeds.integers(1, array, 3)
    seeds.integers(1, tensor, 3)
    assert array.tolist() == tensor.tolist() == [0, 1, 2, 3, 4]


@given(INT64, INT64)
def test_uniform_is_the_upper_53_bits(key: int, counter: int) -> None:
    value = seeds.uniform(key, np.array([counter])).item()
    assert value == (splitmix64(key + counter * GOLDEN) >> 11) / 2**53
    assert 0 <= value < 1


@pytest.mark.parametrize("purpose", ["order", "augment"])
def test_uniform_is_uniform(purpose: str) -> None:
    """Over counters, and over keys at one counter: Kolmogorov and Smirnov, chi-square of pairs of neighbours."""
    n = 20_000
    over_counters = seeds.uniform(seeds.key(0, purpose), np.arange(n))
    over_keys = np.concatenate([seeds.uniform(seeds.key(0, purpose, epoch), np.zeros(1, int)) for epoch in range(2000)])
    for draws in (over_counters, over_keys):
        assert scipy.stats.kstest(draws, "uniform").pvalue > 1e-4
    cells, _, _ = np.histogram2d(over_counters[::2], over_counters[1::2], bins=8, range=[[0, 1], [0, 1]])
    assert scipy.stats.chisquare(cells.ravel()).pvalue > 1e-4


def test_each_of_the_64_bits_is_fair() -> None:
    words = seeds.bits(seeds.key(7, "bits"), np.arange(4096)).view(np.uint64)
    ones = np.array([int(((words >> np.uint64(b)) & np.uint64(1)).sum()) for b in range(64)])
    # 64 binomials of n = 4096: five standard deviations
    assert np.abs(ones - 2048).max() < 5 * 32


@given(INT64, st.lists(st.tuples(INT64, st.integers(1, 2**53)), min_size=1, max_size=8))
def test_integers_stay_below_their_limit(key: int, pairs: list[tuple[int, int]]) -> None:
    counters, high = np.array(pairs).T
    found = seeds.integers(key, counters, high)
    assert found.dtype == np.int64
    assert (found >= 0).all()
    assert (found < high).all()
    assert found.tolist() == [seeds.integers(key, counters[i : i + 1], int(high[i])).item() for i in range(len(pairs))]


def test_integers_take_every_value_alike() -> None:
    counts = np.bincount(seeds.integers(seeds.key(0, "dice"), np.arange(6000), 6), minlength=6)
    assert len(counts) == 6
    assert scipy.stats.chisquare(counts).pvalue > 1e-4


@given(INT64, st.integers(0, 300))
def test_a_permutation_has_every_number_once(key: int, n: int) -> None:
    order = seeds.permutation(key, n)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))
    assert np.array_equal(order, seeds.permutation(key, n))


def test_permutations_differ_by_key() -> None:
    orders = {seeds.permutation(seeds.key(0, "order", epoch), 20).tobytes() for epoch in range(200)}
    assert len(orders) == 200
    # every picture is first about as often as any other
    firsts = np.bincount([seeds.permutation(seeds.key(s, "order"), 5)[0] for s in range(1000)], minlength=5)
    assert scipy.stats.chisquare(firsts).pvalue > 1e-4


@given(st.lists(st.one_of(st.integers(), st.text(max_size=4)), max_size=4))
def test_a_key_is_an_int64_and_depends_on_nothing_else(parts: list[int | str]) -> None:
    assert -(2**63) <= seeds.key(*parts) < 2**63
    assert seeds.key(*parts) == seeds.key(*parts)
    assert 0 <= seeds.torch_seed(*parts) < 2**63
    torch.Generator().manual_seed(seeds.torch_seed(*parts))


def test_keys_tell_their_parts_apart() -> None:
    parts = [(), (0,), (1,), ("0",), (0, 0), (0, "order"), (0, "order", 1), (0, "order", 11), (0, "order1", 1), (-1,)]
    parts += [("ab", "c"), ("a", "bc"), ("abc",)]
    assert len({seeds.key(*some) for some in parts}) == len(parts)
    assert len({seeds.torch_seed(*some) for some in parts}) == len(parts)


def test_keys_and_orders_stay_what_they_were() -> None:
    """A run of an older dojang resumes only while these hold: the definition, spelled out, and its value."""
    digest = hashlib.sha256(b"int:0\x1fstr:order\x1fint:0").digest()
    key = seeds.key(0, "order", 0)
    assert key == struct.unpack("<q", digest[:8])[0] == -8091519684232528402
    signed = [word - 2**64 if word >= 2**63 else word for word in (splitmix64(key + n * GOLDEN) for n in range(50))]
    assert seeds.permutation(key, 50).tolist() == sorted(range(50), key=signed.__getitem__)
    assert seeds.torch_seed(0, "order", 0) == key & (2**63 - 1)
