"""The loader: a function of (seed, epoch, step) that any number of threads computes alike."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang import seeds
from dojang.data.ahead import in_order
from dojang.data.augment import Augment
from dojang.data.loader import Loader, Pictures
from dojang.data.preprocess import Preprocess
from dojang.data.store import Store
from dojang.errors import DataError

SIZE = 8
SPEC = Preprocess("RGB", SIZE, SIZE)
AUGMENTS = [
    None,
    Augment(),
    Augment("horizontal"),
    Augment("both", 2),
    Augment("none", 2, "center"),
    Augment("vertical", 0, "center"),
    # more padding than picture: some windows see nothing of it
    Augment("horizontal", 20),
]


def store_of(pictures: list[np.ndarray]) -> Store:
    sizes = np.array([picture.shape[:2] for picture in pictures], dtype=np.int64).reshape(-1, 2)
    lengths = [picture.size for picture in pictures]
    offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    buffer = np.concatenate([picture.reshape(-1) for picture in pictures])
    return Store(buffer, offsets, sizes[:, 0], sizes[:, 1], pictures[0].shape[2])


def pictures_of(kind: str, n: int = 23) -> list[np.ndarray]:
    draw = np.random.default_rng(1)
    sides = {
        "exact": [(SIZE, SIZE)] * n,
        "larger": [(SIZE + 3, SIZE + 2)] * n,
        "ragged": [(SIZE + i % 4, SIZE + i % 3) for i in range(n)],
    }[kind]
    return [draw.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sides]


def loader_of(kind: str = "ragged", augment: Augment | None = None, n: int = 23, **options: object) -> Loader:
    given_ = {"batch_size": 5, "seed": 3, "augment": augment} | options
    return Loader(store_of(pictures_of(kind, n)), np.arange(n), SPEC, **given_)  # type: ignore[arg-type]


def reference(picture: np.ndarray, augment: Augment | None, seed: int, epoch: int, row: int) -> np.ndarray:
    """What the network is to see of a row, written out."""
    pad = 0
    top, left = (picture.shape[0] - SIZE) // 2, (picture.shape[1] - SIZE) // 2
    if augment is None:
        return picture[top : top + SIZE, left : left + SIZE]
    draws = augment.draw(seed, epoch, np.array([row]))
    if augment.crop == "random":
        pad = augment.padding
        picture = np.pad(picture, ((pad, pad), (pad, pad), (0, 0)))
        top = int(draws.down[0] * (picture.shape[0] - SIZE + 1))
        left = int(draws.right[0] * (picture.shape[1] - SIZE + 1))
    seen = picture[top : top + SIZE, left : left + SIZE]
    if draws.mirrored[0]:
        seen = seen[:, ::-1]
    return seen[::-1] if draws.upended[0] else seen


def same(one: Iterator[Pictures], other: Iterator[Pictures]) -> int:
    """The number of batches, if both give the same; else fails."""
    number = 0
    for a, b in itertools.zip_longest(one, other):
        assert np.array_equal(a.rows, b.rows)
        assert np.array_equal(a.pixels, b.pixels)
        number += 1
    return number


@pytest.mark.parametrize("kind", ["exact", "larger", "ragged"])
@pytest.mark.parametrize("augment", AUGMENTS, ids=str)
def test_every_picture_is_its_definition(kind: str, augment: Augment | None) -> None:
    loader = loader_of(kind, augment)
    pictures = pictures_of(kind)
    for epoch in (0, 7):
        order = iter(loader.order(epoch))
        for batch in loader.batches(epoch):
            assert batch.pixels.dtype == np.uint8
            assert batch.pixels.shape == (len(batch.rows), SIZE, SIZE, 3)
            for row, pixels in zip(batch.rows, batch.pixels, strict=True):
                assert row == next(order)
                assert np.array_equal(pixels, reference(pictures[row], augment, 3, epoch, int(row)))
        assert next(order, None) is None


@pytest.mark.parametrize("augment", [None, Augment("both", 2)], ids=str)
def test_the_tail_of_an_epoch_is_the_epoch_s_tail(augment: Augment | None) -> None:
    loader = loader_of(augment=augment)
    whole = list(loader.batches(4))
    assert len(whole) == loader.steps == 5
    for first in range(6):
        # a loader of its own has the same past: none
        assert same(loader_of(augment=augment).batches(4, first), iter(whole[first:])) == max(5 - first, 0)


def test_two_walks_at_once_do_not_disturb_each_other() -> None:
    loader = loader_of(augment=Augment("both", 2), threads=2)
    one, other = loader.batches(0), loader.batches(1)
    mixed = [next(walk) for _ in range(5) for walk in (one, other)]
    assert same(iter(mixed[::2]), loader.batches(0)) == 5
    assert same(iter(mixed[1::2]), loader.batches(1)) == 5


@pytest.mark.parametrize("kind", ["exact", "ragged"])
@pytest.mark.parametrize("augment", [None, Augment("both", 2)], ids=str)
def test_any_number_of_threads_gives_the_same_bits(kind: str, augment: Augment | None) -> None:
    """T7."""
    for epoch in range(2):
        alone = list(loader_of(kind, augment, threads=0).batches(epoch))
        for threads in (1, 4):
            assert same(loader_of(kind, augment, threads=threads).batches(epoch), iter(alone)) == 5


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 50), st.booleans())
def test_each_row_once_an_epoch(n: int, batch_size: int, epoch: int, train: bool) -> None:
    rows = np.random.default_rng(n).permutation(60)[:n]
    store = store_of(pictures_of("exact", 60))
    loader = Loader(store, rows, SPEC, batch_size=batch_size, augment=Augment() if train else None)
    batches = list(loader.batches(epoch))
    sizes = [len(batch.rows) for batch in batches]
    assert sorted(np.concatenate([batch.rows for batch in batches]).tolist()) == sorted(rows.tolist())
    assert len(batches) == loader.steps == -(-n // batch_size)
    # all full but the last
    assert all(size == batch_size for size in sizes[:-1])
    if not train:
        assert np.array_equal(np.concatenate([batch.rows for batch in batches]), rows)


def test_the_order_differs_by_epoch_and_by_seed() -> None:
    orders = {
        loader_of(augment=Augment(), seed=seed).order(epoch).tobytes() for seed in range(5) for epoch in range(20)
    }
    assert len(orders) == 100
    assert np.array_equal(loader_of(augment=Augment()).order(2), loader_of(augment=Augment(), batch_size=9).order(2))


def test_the_order_is_the_one_of_seeds() -> None:
    rows = np.arange(23) * 2 + 1
    loader = Loader(store_of(pictures_of("exact", 60)), rows, SPEC, batch_size=5, seed=9, augment=Augment())
    assert np.array_equal(loader.order(4), rows[seeds.permutation(seeds.key(9, "order", 4), 23)])


def test_validation_has_one_order_and_no_chance() -> None:
    loader = loader_of()
    assert same(loader.batches(0), loader.batches(31)) == 5
    assert same(loader_of(seed=1).batches(), loader_of(seed=2).batches()) == 5


@pytest.mark.parametrize(
    ("n", "batch_size", "drop", "sizes"),
    [
        (11, 5, True, [5, 5]),
        (11, 5, False, [5, 5, 1]),
        (12, 5, True, [5, 5, 2]),
        (10, 5, True, [5, 5]),
        (3, 5, True, [3]),
        # all there is, and nothing for batch normalisation to work on
        (1, 5, True, []),
        (1, 5, False, [1]),
        # the user's own batches of one stay
        (3, 1, True, [1, 1, 1]),
    ],
)
def test_a_last_batch_of_one(n: int, batch_size: int, drop: bool, sizes: list[int]) -> None:
    """T12."""
    for threads in (0, 2):
        loader = loader_of("exact", Augment(), n, batch_size=batch_size, drop_single=drop, threads=threads)
        assert [len(batch.rows) for batch in loader.batches()] == sizes
        assert loader.steps == len(sizes)


def test_the_store_is_not_changed_by_who_changes_a_batch() -> None:
    loader = loader_of("exact")
    before = loader.store.buffer.copy()
    for batch in loader.batches():
        batch.pixels[:] = 0
    assert np.array_equal(loader.store.buffer, before)


# T9: errors in threads


class Broken(Store):
    """A store whose row 12 cannot be read."""

    def picture(self, row: int) -> np.ndarray:
        if row == 12:
            raise DataError("D112", "cannot read 'cat/12.jpg': Input/output error.", fix="look at the disk.")
        return super().picture(row)


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_t9_an_error_in_a_thread_is_raised_with_its_own_words(threads: int) -> None:
    store = Broken(**vars(store_of(pictures_of("ragged"))))
    before = threading.active_count()
    walk = Loader(store, np.arange(23), SPEC, batch_size=5, threads=threads).batches()
    # what comes before it is whole
    assert [next(walk).rows.tolist() for _ in range(2)] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    with pytest.raises(DataError) as caught:
        next(walk)
    assert (
        str(caught.value) == "DataError[D112]: cannot read 'cat/12.jpg': Input/output error.\n  Fix: look at the disk."
    )
    assert next(walk, None) is None
    assert threading.active_count() == before


@given(st.lists(st.integers(-5, 5), max_size=30), st.integers(0, 4))
@settings(max_examples=40)
def test_in_order_is_map(items: list[int], threads: int) -> None:
    """Results in order, and an error at the turn of its item, whichever thread was first."""

    def work(n: int) -> float:
        return 60 / n

    def walk(results: Iterator[float]) -> tuple[list[float], bool]:
        found = []
        try:
            for result in results:
                found.append(result)
        except ZeroDivisionError:
            return found, True
        return found, False

    assert walk(in_order(work, items, threads)) == walk(map(work, items))


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_in_order_runs_only_so_far_ahead(threads: int) -> None:
    """Items without end: memory would fill if they were all taken."""
    started = itertools.count()
    begun = 0
    lock = threading.Lock()

    def work(n: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        return n

    before = threading.active_count()
    walk = in_order(work, started, threads)
    for expected in range(50):
        assert next(walk) == expected
        with lock:
            assert begun - (expected + 1) <= 2 * threads
    taken = next(started)
    assert taken <= 50 + 2 * threads
    walk.close()
    assert threading.active_count() == before


def test_in_order_uses_all_its_threads() -> None:
    """Three items that wait for each other end only if three threads have them at once."""
    meeting = threading.Barrier(3, timeout=20)
    assert list(in_order(lambda n: (meeting.wait() < 3, n), range(3), 3)) == [(True, 0), (True, 1), (True, 2)]


def test_in_order_stops_when_its_consumer_does() -> None:
    before = threading.active_count()
    done = []
    for result in in_order(done.append, range(10_000), 2):
        assert result is None
        break
    assert len(done) <= 6
    assert threading.active_count() == before


def test_in_order_passes_on_an_error_of_the_items() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(in_order(abs, items(), 2))


def test_every_class_as_often_as_any_other() -> None:
    labels = np.repeat([0, 1, 2], [17, 4, 2])
    loader = loader_of(augment=Augment(flip="horizontal"), balance=labels)
    seen = np.zeros(23, int)
    for epoch in range(30):
        order = loader.order(epoch)
        assert len(order) == 23
        counts = np.bincount(labels[order % 23], minlength=3)
        # 23 pictures for three classes: 8, 8 and 7
        assert sorted(counts.tolist()) == [7, 8, 8]
        # of one that comes up again each turn is another, and all of a class come up before any does so again
        assert len(set(order.tolist())) == 23
        for kind in range(3):
            turns = np.bincount(order[labels[order % 23] == kind] % 23, minlength=23)[labels == kind]
            assert turns.max() - turns.min() <= 1
        seen += np.bincount(order % 23, minlength=23)
    # over the epochs every picture of the large class has its turn
    assert seen.min() > 0
    assert not np.array_equal(loader.order(0), loader.order(1))
    again = loader_of(augment=Augment(flip="horizontal"), balance=labels)
    assert np.array_equal(loader.order(3), again.order(3))


def test_a_picture_that_comes_up_again_is_changed_in_another_way() -> None:
    labels = np.repeat([0, 1], [22, 1])
    augment = Augment(flip="horizontal", padding=2)
    loader = loader_of(augment=augment, balance=labels, batch_size=23)
    (batch,) = loader.batches(0)
    copies = batch.pixels[batch.rows == 22]
    assert len(copies) >= 11 and len({copy.tobytes() for copy in copies}) > 5
    # the first turn of each is what it is without balance
    plain = {int(row): picture for one in loader_of(augment=augment).batches(0) for row, picture in
             zip(one.rows, one.pixels, strict=True)}  # fmt: skip
    order = loader.order(0)
    for position in np.flatnonzero(order < 23):
        assert np.array_equal(batch.pixels[position], plain[int(order[position])])
