"""What the record recipe adds: flips that alternate, pictures mirrored at their edge, batches in parts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dojang.data.augment import Augment
from dojang.data.loader import Pictures
from dojang.data.windows import cut

# Flips that alternate


@pytest.mark.parametrize("seed", range(3))
def test_two_epochs_show_every_picture_both_ways(seed: int) -> None:
    rows = np.arange(2000)
    shown = [Augment("alternating").draw(seed, epoch, rows).mirrored for epoch in range(6)]
    for one, next_ in pairwise(shown):
        assert one.dtype == bool
        assert np.array_equal(one, ~next_)
    assert np.array_equal(shown[0], shown[2])
    # half of them in each epoch, chosen by the seed
    assert scipy.stats.binomtest(int(shown[0].sum()), 2000).pvalue > 1e-4
    other = Augment("alternating").draw(seed + 1, 0, rows).mirrored
    assert 800 < int((shown[0] ^ other).sum()) < 1200


def test_alternating_moves_nothing_else() -> None:
    rows = np.arange(500)
    one, other = Augment("alternating", 2).draw(0, 3, rows), Augment("horizontal", 2).draw(0, 3, rows)
    assert not one.upended.any()
    assert np.array_equal(one.down, other.down) and np.array_equal(one.right, other.right)
    # nor does which half it is know where the cut lies: standard deviation of a correlation 1 / sqrt(n)
    assert abs(np.corrcoef(one.mirrored, one.down)[0, 1]) < 5 / np.sqrt(500)


def test_an_alternating_draw_does_not_depend_on_its_batch() -> None:
    rows = np.arange(300)
    whole = Augment("alternating").draw(5, 1, rows).mirrored
    some = np.array([7, 299, 0, 120])
    assert np.array_equal(Augment("alternating").draw(5, 1, rows[some]).mirrored, whole[some])


# The picture mirrored at its edge


def padded(picture: np.ndarray, by: int) -> np.ndarray:
    return np.pad(picture, ((by, by), (by, by), (0, 0)), mode="reflect")


@given(
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from([1, 3]),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(-20, 20),
    st.integers(-20, 20),
    st.booleans(),
    st.booleans(),
)
def test_a_reflecting_cut_is_numpy_s_padding(
    height: int, width: int, channels: int, size: tuple[int, int], top: int, left: int, mirrored: bool, upended: bool
) -> None:
    """Also far outside, where the picture comes again and again."""
    picture = np.arange(height * width * channels, dtype=np.uint8).reshape(height, width, channels)
    found = cut(picture, size, top, left, mirrored, upended, "reflect")
    wanted = padded(picture, 32)[32 + top :, 32 + left :][: size[0], : size[1]]
    wanted = wanted[:, ::-1] if mirrored else wanted
    assert found.dtype == np.uint8
    assert np.array_equal(found, wanted[::-1] if upended else wanted)


def test_inside_the_picture_the_fill_does_not_matter() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    for flips in ((False, False), (True, False), (False, True), (True, True)):
        assert np.array_equal(cut(picture, (4, 5), 2, 3, *flips, "reflect"), cut(picture, (4, 5), 2, 3, *flips))


# Parts of a batch


@given(st.integers(1, 60), st.integers(1, 70))
def test_parts_are_even_whole_and_in_order(n: int, size: int) -> None:
    pictures = Pictures(np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1), np.arange(n) + 100)
    parts = pictures.parts(size)
    lengths = [len(part) for part in parts]
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1
    assert len(parts) == -(-n // size)
    assert np.array_equal(np.concatenate([part.rows for part in parts]), pictures.rows)
    assert np.array_equal(np.concatenate([part.pixels for part in parts]), pictures.pixels)


def test_a_batch_that_is_small_enough_stays_whole() -> None:
    pictures = Pictures(np.zeros((5, 1, 1, 1), np.uint8), np.arange(5))
    for size in (None, 5, 6):
        (whole,) = pictures.parts(size)
        assert whole is pictures
