"""Windows of a whole batch, in C, together, or one by one: the same bits, whichever runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang.data import windows
from dojang.data.augment import Augment, Draws
from dojang.data.loader import Loader
from dojang.data.preprocess import Preprocess
from dojang.data.store import Store
from dojang.data.windows import Cutter, Windows, cut, with_numpy
from dojang.native import compiler

SIDE = st.integers(1, 9)
# the kernel turns rows in pieces of five pixels
WIDE = st.integers(1, 33)


@pytest.fixture(scope="module")
def native() -> Cutter:
    made = windows.kernel()
    if made is None:
        assert not compiler.possible()
        pytest.skip("no C compiler here")
    return made


def store_of(sizes: list[tuple[int, int]], channels: int, seed: int = 0) -> Store:
    heights, widths = np.array(sizes, np.int64).T
    lengths = heights * widths * channels
    # what lies behind the last picture belongs to nobody
    buffer = np.random.default_rng(seed).integers(1, 256, int(lengths.sum()), np.uint8)
    return Store(buffer, np.cumsum(lengths) - lengths, heights, widths, channels)


def drawn(n: int, seed: int, far: int) -> Windows:
    random = np.random.default_rng(seed)
    places = random.integers(-far, far + 1, (2, n))
    flips = random.integers(0, 2, (2, n)).astype(bool)
    return Windows(places[0], places[1], flips[0], flips[1])


def one_by_one(store: Store, rows: np.ndarray, where: Windows, size: tuple[int, int], fill: str) -> np.ndarray:
    out = [
        cut(
            store.picture(row), size, int(where.tops[i]), int(where.lefts[i]), where.mirrored[i], where.upended[i], fill
        )
        for i, row in enumerate(rows.tolist())
    ]
    return np.stack(out) if out else np.empty((0, *size, store.channels), np.uint8)


@settings(max_examples=300, deadline=None)
@given(
    sizes=st.lists(st.tuples(SIDE, WIDE), min_size=1, max_size=6),
    channels=st.sampled_from([1, 3]),
    size=st.tuples(st.integers(1, 12), WIDE),
    n=st.integers(0, 20),
    far=st.sampled_from([0, 2, 12, 40]),
    fill=st.sampled_from(["black", "reflect"]),
    seed=st.integers(0, 2**31 - 1),
)
def test_the_kernel_cuts_as_numpy_does(
    native: Cutter,
    sizes: list[tuple[int, int]],
    channels: int,
    size: tuple[int, int],
    n: int,
    far: int,
    fill: str,
    seed: int,
) -> None:
    """Also windows that lie wholly beside their picture, larger ones, and rows that come twice."""
    store = store_of(sizes, channels, seed)
    rows = np.random.default_rng(seed).integers(0, len(sizes), n)
    where = drawn(n, seed, far)
    before = store.buffer.copy()
    found = native(store, rows, where, size, fill)
    assert found.dtype == np.uint8
    assert found.shape == (n, *size, channels)
    assert np.array_equal(found, one_by_one(store, rows, where, size, fill))
    assert np.array_equal(found, with_numpy(store, rows, where, size, fill))
    assert np.array_equal(store.buffer, before)


@settings(max_examples=150, deadline=None)
@given(
    side=st.tuples(SIDE, SIDE),
    channels=st.sampled_from([1, 3]),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    far=st.sampled_from([0, 1]),
    fill=st.sampled_from(["black", "reflect"]),
    seed=st.integers(0, 99),
)
def test_many_of_a_size_are_cut_together(
    side: tuple[int, int], channels: int, size: tuple[int, int], far: int, fill: str, seed: int
) -> None:
    """36 kinds of window at most among 160 pictures."""
    store = store_of([side] * 7, channels, seed)
    rows = np.random.default_rng(seed).integers(0, 7, 160)
    where = drawn(160, seed, far)
    block = store.block()
    assert block is not None
    found = windows._alike(block, rows, where, size, fill)
    assert found is not None
    assert np.array_equal(found, one_by_one(store, rows, where, size, fill))


def test_many_windows_are_not_cut_together() -> None:
    store = store_of([(6, 6)] * 5, 3)
    block = store.block()
    assert block is not None
    assert windows._alike(block, np.arange(5), drawn(5, 0, 3), (4, 4), "black") is None
    assert windows._alike(block, np.arange(0), drawn(0, 0, 3), (4, 4), "black") is None


def test_a_batch_in_pieces_of_memory(native: Cutter) -> None:
    """Arrays of other strides and types than the kernel reads."""
    store = store_of([(5, 7)] * 9, 3)
    narrow = Store(store.buffer, store.offsets, store.heights.astype(np.int32), store.widths.astype(np.int32), 3)
    where = drawn(40, 4, 3)
    rows = np.random.default_rng(1).integers(0, 9, 40)
    strided = Windows(where.tops[::2], where.lefts[::2], where.mirrored[::2], where.upended[::2])
    found = native(narrow, rows[::2], strided, (4, 6), "reflect")
    assert np.array_equal(found, one_by_one(store, rows[::2], strided, (4, 6), "reflect"))


# The loader's choice


def loader_of(augment: Augment | None, side: int = 6, n: int = 220) -> Loader:
    store = store_of([(side, side)] * n, 3)
    return Loader(store, np.arange(n), Preprocess("RGB", 6, 6), batch_size=200, seed=3, augment=augment)


@pytest.mark.parametrize(
    "augment",
    [
        Augment("alternating", 1, fill="reflect"),
        Augment("both", 1),
        Augment("horizontal"),
        Augment("none", 1, "center", "reflect"),
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("side", [5, 6, 7])
def test_batches_are_the_same_with_and_without_the_kernel(
    native: Cutter, augment: Augment | None, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = loader_of(augment, side)
    assert plain._cut is with_numpy
    monkeypatch.setattr(windows, "WORTH", 1)
    compiled = loader_of(augment, side)
    assert compiled._cut is native
    for epoch in range(2):
        for one, other in zip(plain.batches(epoch), compiled.batches(epoch), strict=True):
            assert np.array_equal(one.rows, other.rows)
            assert np.array_equal(one.pixels, other.pixels)


class Corners(Augment):
    """Shares on a grid, the last of them just below 1."""

    def draw(self, seed: int, epoch: int, rows: np.ndarray) -> Draws:
        share = np.array([0.0, 0.2, 0.4, 0.6, 0.8, np.nextafter(1.0, 0.0)])
        down, right = (axis.ravel() for axis in np.meshgrid(share, share, indexing="ij"))
        return Draws(np.zeros(36, bool), np.zeros(36, bool), down, right)


def test_every_window_of_a_small_picture_comes_up() -> None:
    """The ends of the room as well."""
    store = store_of([(3, 3)], 1)
    rows = np.zeros(36, np.int64)
    loader = Loader(store, rows, Preprocess("L", 3, 3), batch_size=36, augment=Corners(padding=2))
    wide = np.pad(store.picture(0), ((2, 2), (2, 2), (0, 0)))
    found = {window.tobytes() for window in loader.assemble(rows, 0).pixels}
    assert found == {wide[top : top + 3, left : left + 3].tobytes() for top in range(5) for left in range(5)}


def test_without_a_compiler_numpy_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "WORTH", 1)
    monkeypatch.setattr(windows, "kernel", lambda: None)
    assert loader_of(Augment("both", 1))._cut is with_numpy


def test_a_store_on_the_disk(native: Cutter, tmp_path: object) -> None:
    """A memory map that can only be read."""
    store = store_of([(5, 7)] * 9, 3)
    path = f"{tmp_path}/pixels.bin"
    store.buffer.tofile(path)
    mapped = Store(np.memmap(path, np.uint8, mode="r"), store.offsets, store.heights, store.widths, 3)
    rows, where = np.arange(9), drawn(9, 1, 3)
    assert np.array_equal(native(mapped, rows, where, (4, 4), "black"), native(store, rows, where, (4, 4), "black"))
