"""Augmentation: cuts against NumPy's padding, and draws that depend on nothing but seed, epoch and row."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from dojang.data.augment import Augment
from dojang.data.windows import cut

FLIPS = ("none", "horizontal", "vertical", "both")
SIDE = st.integers(1, 9)
OFFSET = st.integers(-30, 30)
FAR = 64


def reference(
    picture: np.ndarray, size: tuple[int, int], top: int, left: int, mirrored: bool, upended: bool
) -> np.ndarray:
    """A wide border of black by np.pad, the window out of it, then the flips by index."""
    wide = np.pad(picture, ((FAR, FAR), (FAR, FAR), (0, 0)))
    window = wide[FAR + top : FAR + top + size[0], FAR + left : FAR + left + size[1]]
    if mirrored:
        window = np.flip(window, axis=1)
    return np.flip(window, axis=0) if upended else window


@given(SIDE, SIDE, st.sampled_from([1, 3]), st.tuples(SIDE, SIDE), OFFSET, OFFSET, st.booleans(), st.booleans())
def test_a_cut_is_its_reference(
    height: int, width: int, channels: int, size: tuple[int, int], top: int, left: int, mirrored: bool, upended: bool
) -> None:
    picture = np.arange(1, 1 + height * width * channels, dtype=np.uint8).reshape(height, width, channels)
    before = picture.copy()
    found = cut(picture, size, top, left, mirrored, upended)
    assert found.shape == (*size, channels)
    assert found.dtype == np.uint8
    assert np.array_equal(found, reference(picture, size, top, left, mirrored, upended))
    assert np.array_equal(picture, before)


def test_every_offset_of_a_small_picture() -> None:
    """All that Hypothesis may miss: a window that lies before, on, and wholly behind each edge."""
    picture = np.arange(1, 13, dtype=np.uint8).reshape(3, 4, 1)
    for top in range(-9, 10):
        for left in range(-9, 10):
            for size in ((2, 2), (5, 6)):
                found = cut(picture, size, top, left, False, False)
                assert np.array_equal(found, reference(picture, size, top, left, False, False))


def test_a_window_inside_is_no_copy() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    assert np.shares_memory(cut(picture, (4, 4), 2, 3, False, True), picture)


@given(
    st.integers(0, 2**31 - 1),
    st.integers(0, 1000),
    st.lists(st.integers(0, 10**7), min_size=1, max_size=20, unique=True),
    st.data(),
)
def test_a_draw_does_not_depend_on_its_batch(seed: int, epoch: int, rows: list[int], data: st.DataObject) -> None:
    augment = Augment("both", 4)
    together = augment.draw(seed, epoch, np.array(rows))
    chosen = data.draw(st.permutations(range(len(rows))).flatmap(lambda p: st.integers(1, len(p)).map(lambda n: p[:n])))
    apart = augment.draw(seed, epoch, np.array(rows)[chosen])
    for field in ("mirrored", "upended", "down", "right"):
        assert np.array_equal(getattr(together, field)[chosen], getattr(apart, field))
        assert getattr(together, field).shape == (len(rows),)


@pytest.mark.parametrize("flip", FLIPS)
def test_what_is_off_never_happens_and_what_is_on_half_the_time(flip: str) -> None:
    n = 4000
    draws = Augment(flip).draw(0, 1, np.arange(n))
    for happened, words in ((draws.mirrored, ("horizontal", "both")), (draws.upended, ("vertical", "both"))):
        assert happened.dtype == bool
        if flip in words:
            assert scipy.stats.binomtest(int(happened.sum()), n).pvalue > 1e-4
        else:
            assert not happened.any()


def test_nothing_is_on_unless_asked() -> None:
    draws = Augment().draw(0, 0, np.arange(1000))
    assert not draws.mirrored.any()
    assert not draws.upended.any()


def test_shares_lie_in_the_unit_interval_and_fill_it() -> None:
    draws = Augment("both", 4).draw(3, 5, np.arange(4000))
    for share in (draws.down, draws.right):
        assert share.min() >= 0
        assert share.max() < 1
        assert scipy.stats.kstest(share, "uniform").pvalue > 1e-4


def test_the_four_draws_of_a_picture_know_nothing_of_each_other() -> None:
    draws = Augment("both", 4).draw(0, 0, np.arange(4000))
    streams = np.array([draws.mirrored, draws.upended, draws.down, draws.right], dtype=np.float64)
    # nor of those of the picture after it; correlation of independent draws: standard deviation 1 / sqrt(n)
    both = np.concatenate([streams[:, :-1], streams[:, 1:]])
    off = np.corrcoef(both)[~np.eye(8, dtype=bool)]
    assert np.abs(off).max() < 5 / np.sqrt(3999)


def test_all_draws_are_distinct() -> None:
    """T8: over epochs, seeds and rows no draw comes twice (53 bits, 12,000 draws: chance 1 in 10^8)."""
    found = [
        share
        for seed in range(3)
        for epoch in range(4)
        for draws in [Augment("both", 4).draw(seed, epoch, np.arange(500))]
        for share in (*draws.down, *draws.right)
    ]
    assert len(set(found)) == len(found) == 12_000


def test_flips_do_not_move_the_cut() -> None:
    """So a recipe can be compared with and without them."""
    rows = np.arange(50)
    with_, without = Augment("both", 4).draw(0, 0, rows), Augment("none", 4).draw(0, 0, rows)
    assert np.array_equal(with_.down, without.down)
    assert np.array_equal(with_.right, without.right)
