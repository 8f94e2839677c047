"""What the record recipe adds: flips that alternate, pictures mirrored at their edge, and cuts made together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang.data.augment import Augment, Draws, cut, cut_alike
from dojang.data.loader import Loader, Pictures
from dojang.data.preprocess import Preprocess
from dojang.data.store import Store

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


# Cuts made together


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(1, 40),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.sampled_from([1, 3]),
    smaller=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    padding=st.integers(0, 12),
    fill=st.sampled_from(["black", "reflect"]),
    flip=st.sampled_from(["none", "horizontal", "alternating", "vertical", "both"]),
    centred=st.booleans(),
    seed=st.integers(0, 99),
)
def test_cut_together_is_cut_one_by_one(
    n: int,
    height: int,
    width: int,
    channels: int,
    smaller: tuple[int, int],
    padding: int,
    fill: str,
    flip: str,
    centred: bool,
    seed: int,
) -> None:
    size = max(1, height - smaller[0]), max(1, width - smaller[1])
    pictures = np.random.default_rng(seed).integers(0, 256, (n, height, width, channels), np.uint8)
    before = pictures.copy()
    draws = Augment(flip, padding).draw(seed, 1, np.arange(n))
    found = cut_alike(pictures, size, padding, fill, draws, centred)
    assert found.shape == (n, *size, channels)
    assert found.dtype == np.uint8
    assert np.array_equal(pictures, before)
    for i, picture in enumerate(pictures):
        if centred:
            top, left = (height - size[0]) // 2, (width - size[1]) // 2
        else:
            top = int(draws.down[i] * (height + 2 * padding - size[0] + 1)) - padding
            left = int(draws.right[i] * (width + 2 * padding - size[1] + 1)) - padding
        flips = bool(draws.mirrored[i]), bool(draws.upended[i])
        assert np.array_equal(found[i], cut(picture, size, top, left, *flips, fill)), i


def test_every_window_of_a_small_picture_comes_up() -> None:
    """The ends of the room as well: a share just below 1 is the last window."""
    share = np.array([0.0, 0.2, 0.4, 0.6, 0.8, np.nextafter(1.0, 0.0)])
    down, right = (axis.ravel() for axis in np.meshgrid(share, share, indexing="ij"))
    draws = Draws(np.zeros(36, bool), np.zeros(36, bool), down, right)
    picture = np.arange(1, 10, dtype=np.uint8).reshape(3, 3, 1)
    found = cut_alike(np.repeat(picture[None], 36, axis=0), (3, 3), 2, "black", draws, False)
    windows = {window.tobytes() for window in found}
    wide = np.pad(picture, ((2, 2), (2, 2), (0, 0)))
    assert windows == {wide[top : top + 3, left : left + 3].tobytes() for top in range(5) for left in range(5)}


# The loader's choice between the two


def loader_of(augment: Augment | None, batch_size: int, side: int = 6, n: int = 50) -> Loader:
    pictures = np.random.default_rng(2).integers(0, 256, (n, side, side, 3), np.uint8)
    sides = np.full(n, side, np.int64)
    store = Store(pictures.reshape(-1), np.arange(n, dtype=np.int64) * pictures[0].size, sides, sides, 3)
    return Loader(store, np.arange(n), Preprocess("RGB", 6, 6), batch_size=batch_size, seed=3, augment=augment)


@pytest.mark.parametrize(
    "augment",
    [
        Augment("alternating", 1, fill="reflect"),
        Augment("both", 1),
        Augment("horizontal"),
        Augment("none", 1, "center", "reflect"),
    ],
    ids=str,
)
@pytest.mark.parametrize("side", [6, 7])
def test_batches_cut_together_are_those_cut_one_by_one(augment: Augment, side: int) -> None:
    """Batches of 200 would be worth it: 9 or 16 windows, at least four pictures each."""
    together, apart = loader_of(augment, 200, side, 220), loader_of(augment, 200, side, 220)
    assert together._few_windows
    apart._few_windows = False
    for epoch in range(2):
        for one, other in zip(together.batches(epoch), apart.batches(epoch), strict=True):
            assert np.array_equal(one.rows, other.rows)
            assert np.array_equal(one.pixels, other.pixels)


def test_few_pictures_or_many_windows_are_cut_one_by_one() -> None:
    assert not loader_of(Augment("none", 1), 35)._few_windows
    assert loader_of(Augment("none", 1), 36)._few_windows
    assert not loader_of(Augment("none", 3), 36)._few_windows
    assert not loader_of(None, 50)._few_windows
    # a store smaller than the cut has no room at all
    assert not loader_of(Augment("none", 0), 50, side=5)._few_windows


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
