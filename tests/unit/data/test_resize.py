"""The kernel in C against its definition, Pillow; and when it is used."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dojang.data import resize, statistics
from dojang.data.options import DataOptions
from dojang.data.pairs import from_pairs
from dojang.data.prepare import Prepared, prepare
from dojang.data.resize import FILTERS, Resize, with_pillow
from dojang.native import compiler

needs_compiler = pytest.mark.skipif(not (shutil.which("gcc") or shutil.which("cc")), reason="no C compiler")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for all tests of this file: compiling takes a while."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def compiled(cache: Path) -> Iterator[Resize]:
    """The kernel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOJANG_CACHE", str(cache))
        resize.library.cache_clear()
        resize.kernel.cache_clear()
        found = resize.kernel()
        assert found is not None
        yield found
    resize.library.cache_clear()
    resize.kernel.cache_clear()


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    """Black and white: sums leave 0 to 255 on both sides."""
    levels = np.random.default_rng(seed).choice(np.array([0, 1, 254, 255], np.uint8), (height, width, 3))
    return Image.fromarray(levels)


@needs_compiler
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    sides=st.tuples(*[st.integers(1, 90)] * 4),
    name=st.sampled_from(sorted(FILTERS)),
    margins=st.none() | st.tuples(*[st.integers(0, 63).map(lambda part: part / 64)] * 4),
    seed=st.integers(0, 9),
)
def test_the_kernel_gives_pillow_s_bits(
    compiled: Resize,
    sides: tuple[int, int, int, int],
    name: str,
    margins: tuple[float, float, float, float] | None,
    seed: int,
) -> None:
    height, width, down, across = sides
    box = None
    if margins is not None and height > 2 and width > 2:
        left, top, right, bottom = margins
        box = left, top, width - right, height - bottom
    image = noise(height, width, seed)
    found = compiled(image, (down, across), name, box)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    assert np.array_equal(found, with_pillow(image, (down, across), name, box))


@needs_compiler
@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize(
    ("size", "to"),
    [
        ((300, 200), (146, 97)),
        ((200, 300), (97, 146)),
        # Pillow goes down the columns first where the height loses more than twice what the width does
        ((300, 100), (100, 90)),
        ((121, 100), (101, 90)),
        ((120, 100), (100, 90)),
        ((300, 50), (60, 80)),
        # 15, 16 and 17 rows at a time, and one
        ((15, 40), (9, 20)),
        ((16, 40), (9, 20)),
        ((17, 40), (9, 20)),
        ((1, 40), (9, 20)),
        # more than one part of a row
        ((40, 700), (30, 500)),
        ((40, 60), (40, 60)),
    ],
)
def test_sizes_at_which_the_kernel_changes_its_way(
    compiled: Resize, name: str, size: tuple[int, int], to: tuple[int, int]
) -> None:
    image = noise(*size)
    assert np.array_equal(compiled(image, to, name, None), with_pillow(image, to, name))


def not_asked(*args: object) -> np.ndarray:
    raise AssertionError("Pillow was asked")


@needs_compiler
def test_the_kernel_itself_ran(compiled: Resize, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests above compare is not Pillow with Pillow."""

    image = noise(60, 80)
    expected = with_pillow(image, (30, 40), "bilinear")
    monkeypatch.setattr(resize, "with_pillow", not_asked)
    assert np.array_equal(compiled(image, (30, 40), "bilinear", None), expected)
    # gray, very tall ones and pictures in several pieces of memory are left to Pillow
    for other in (image.convert("L"), noise(300, 40), Image.new("RGB", (2400, 2000))):
        with pytest.raises(AssertionError, match="Pillow was asked"):
            compiled(other, (30, 40), "bilinear", None)


@needs_compiler
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 1), (2, 3), (1, 7), (3, 3), (4, 4), (17, 31), (256, 300)])
def test_a_picture_that_keeps_its_size(
    compiled: Resize, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every length of what is left behind groups of four pixels; nothing behind its place is written."""
    image = noise(*size, seed=sum(size))
    monkeypatch.setattr(resize, "with_pillow", not_asked)
    numbers = image.width * image.height * 3
    room = np.full(numbers + 32, 77, np.uint8)
    place = room[16 : 16 + numbers].reshape(*size, 3)
    compiled(image, size, "bilinear", None, place)
    assert np.array_equal(place, np.asarray(image))
    assert (room[:16] == 77).all() and (room[16 + numbers :] == 77).all()


@needs_compiler
def test_pictures_left_to_pillow_come_from_it(compiled: Resize) -> None:
    for image in (noise(60, 80).convert("L"), Image.new("RGB", (2400, 2000), (9, 8, 7))):
        found = compiled(image, (30, 40), "bicubic", None)
        assert np.array_equal(found, with_pillow(image, (30, 40), "bicubic"))
        assert found.shape == (30, 40, len(image.getbands()))


@needs_compiler
def test_sums_are_numpy_s(compiled: Resize) -> None:
    library = resize.library()
    assert library is not None
    library.dojang_sums.argtypes = [ctypes.c_void_p, *[ctypes.c_int64] * 4, ctypes.c_void_p, ctypes.c_void_p]
    for channels, height, width in ((1, 3, 5), (3, 70, 130), (3, 2, 64), (1, 66_000, 2)):
        levels = np.random.default_rng(0).integers(200, 256, (height, width + 3, channels), np.uint8)
        found = np.ones((2, channels), np.int64)
        at = levels.ctypes.data + 2 * channels, levels.strides[0]
        library.dojang_sums(*at, height, width, channels, found[0].ctypes.data, found[1].ctypes.data)
        cut = levels[:, 2:-1].astype(np.int64)
        assert found.tolist() == [(cut.sum((0, 1)) + 1).tolist(), ((cut**2).sum((0, 1)) + 1).tolist()]


@needs_compiler
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_set_prepared_with_the_kernel_is_the_same(
    compiled: Resize, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """Store, mean and deviation, to the last bit."""
    sizes = [(40, 31), (50, 64), (33, 70)]
    arrays = [np.asarray(noise(*size, seed=i).convert(mode)) for i, size in enumerate(sizes)]
    pairs = [(array, "ab"[i % 2]) for i, array in enumerate(arrays)]
    manifest = from_pairs(pairs).replace(splits=("train",) * 3)

    def made() -> Prepared:
        return prepare(manifest, DataOptions(imgsz=12), seed=0, default_size=12, threads=0, assign=False)

    plain = made()
    asked: list[str] = []

    def counted(image: Image.Image, size: tuple[int, int], interpolation: str, *where: Any) -> np.ndarray:
        asked.append(interpolation)
        return compiled(image, size, interpolation, *where)

    monkeypatch.setattr(resize, "WORTH", 0)
    monkeypatch.setattr(statistics, "WORTH", 0)
    monkeypatch.setattr(resize, "kernel", lambda: counted)
    fast = made()
    assert len(asked) == 3
    assert np.array_equal(fast.store.buffer, plain.store.buffer)
    assert fast.preprocess == plain.preprocess


@needs_compiler
def test_it_is_compiled_once(compiled: Resize, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOJANG_CACHE", str(cache))
    kept = list((cache / "native").iterdir())
    before = [path.stat().st_mtime_ns for path in kept]
    assert [path.suffix for path in kept] == [".so"]

    def never(*args: object, **more: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(subprocess, "run", never)
    fresh(monkeypatch)
    found = resize.library()
    assert found is not None
    assert Path(found._name) == kept[0]
    assert [path.stat().st_mtime_ns for path in kept] == before


def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the length of a test, nothing is known of the kernel yet."""
    for name in ("library", "kernel"):
        original = getattr(resize, name).__wrapped__
        monkeypatch.setattr(resize, name, original)


def test_little_work_needs_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> None:
        raise AssertionError("it was compiled")

    monkeypatch.setattr(resize, "kernel", never)
    assert resize.fastest(resize.WORTH - 1) is with_pillow
    with pytest.raises(AssertionError):
        resize.fastest(resize.WORTH)


def test_without_a_compiler_pillow_resizes(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh(monkeypatch)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert resize.fastest(10**12) is with_pillow


def test_a_kernel_that_cannot_be_built_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fresh(monkeypatch)
    (tmp_path / "resize.c").write_text("not C")
    monkeypatch.setattr(compiler, "__file__", str(tmp_path / "compiler.py"))
    assert resize.fastest(10**12) is with_pillow


def test_a_kernel_with_other_bits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resize._agrees(with_pillow)
    assert not resize._agrees(lambda *asked: with_pillow(*asked) ^ (np.arange(3) == 1).astype(np.uint8))


@pytest.mark.parametrize("which", ["kernel", "pillow"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_straight_into_a_place(compiled: Resize, which: str, mode: str) -> None:
    """What it gives is the place, filled with the same levels, and nothing beside it is touched."""
    image = noise(60, 80).convert(mode)
    run = compiled if which == "kernel" else with_pillow
    channels = len(mode)
    for size in ((20, 30), (60, 80)):
        length = size[0] * size[1] * channels
        memory = np.full(length + 20, 7, np.uint8)
        place = memory[10:-10].reshape(*size, channels)
        found = run(image, size, "bilinear", None, place)
        assert found is place
        assert np.array_equal(place, with_pillow(image, size, "bilinear"))
        assert (memory[:10] == 7).all() and (memory[-10:] == 7).all()
