"""The store: the same pictures in memory and on disk, decoded once, kept by content, bounded in size."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dojang import files
from dojang.data import store as stores
from dojang.data.manifest import Manifest
from dojang.data.options import DataOptions
from dojang.data.prepare import prepare
from dojang.data.preprocess import Preprocess
from dojang.data.scan import find
from dojang.data.store import Built, build, free_memory
from dojang.errors import ConfigError, DataError, ResourceError

SPEC = Preprocess("RGB", 16, 16, resize=1.25)
RAGGED = [(20, 31), (31, 20), (64, 64), (9, 17), (33, 32)]


class Counting:
    """A source that counts what is read of it."""

    name = "photos"

    def __init__(self, pictures: list[bytes]) -> None:
        self.pictures, self.reads, self.lock = pictures, 0, threading.Lock()

    def read(self, path: str) -> bytes:
        with self.lock:
            self.reads += 1
        return self.pictures[int(path.removesuffix(".png"))]


def png(height: int, width: int, seed: int = 0) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def photos(sizes: list[tuple[int, int]] = RAGGED, seed: int = 0) -> tuple[Manifest, np.ndarray]:
    return manifest_of([png(*size, seed=seed + i) for i, size in enumerate(sizes)]), np.array(sizes)


def manifest_of(pictures: list[bytes]) -> Manifest:
    n = len(pictures)
    return Manifest(
        Counting(pictures),
        ("a", "b"),
        tuple(f"{i}.png" for i in range(n)),
        tuple((i % 2,) for i in range(n)),
        ("train",) * n,
        ("",) * n,
        tuple(map(files.sha256, pictures)),
    )


def reads(manifest: Manifest) -> int:
    assert isinstance(manifest.source, Counting)
    return manifest.source.reads


def cache() -> Path:
    return files.cache_folder() / "stores"


def kept() -> list[str]:
    """The stores that are on the disk, by name."""
    return sorted(path.name for path in cache().iterdir()) if cache().exists() else []


def same(one: Built, other: Built) -> None:
    assert len(one.store) == len(other.store) == len(one.manifest)
    assert one.manifest.paths == other.manifest.paths
    for row in range(len(one.store)):
        assert np.array_equal(one.store.picture(row), other.store.picture(row))


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        data = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (data, path.stat().st_mtime_ns)
    return found


# The same pictures


@pytest.mark.parametrize("sizes", [RAGGED, [(20, 20)] * 4, [(5, 9)]], ids=["ragged", "of one size", "one"])
@pytest.mark.parametrize("threads", [0, 1, 3])
def test_memory_and_disk_give_the_pictures_that_preprocess_gives(sizes: list[tuple[int, int]], threads: int) -> None:
    manifest, heads = photos(sizes)
    memory = build(manifest, heads, SPEC, place="memory", threads=threads)
    disk = build(manifest, heads, SPEC, place="disk", threads=threads)
    same(memory, disk)
    assert memory.store.place == "memory"
    assert Path(disk.store.place).parent == cache()
    assert isinstance(disk.store.buffer, np.memmap)
    for row, path in enumerate(manifest.paths):
        expected = SPEC.load(manifest.source.read(path), path)
        assert memory.store.picture(row).dtype == np.uint8
        assert np.array_equal(memory.store.picture(row), expected)
        assert (memory.store.heights[row], memory.store.widths[row]) == expected.shape[:2]


def test_a_block_is_there_when_all_have_one_size() -> None:
    for place in ("memory", "disk"):
        store = build(*photos([(20, 31)] * 4), SPEC, place=place).store
        block = store.block()
        assert block is not None
        assert block.shape == (4, 20, 31, 3)
        assert np.shares_memory(block, store.buffer)
        assert all(np.array_equal(block[row], store.picture(row)) for row in range(4))
        assert build(*photos(RAGGED), SPEC, place=place).store.block() is None


def test_pictures_are_no_copies() -> None:
    store = build(*photos(), SPEC, place="memory").store
    assert np.shares_memory(store.picture(2), store.buffer)


def test_nobody_can_change_a_store_on_disk() -> None:
    store = build(*photos(), SPEC, place="disk").store
    with pytest.raises(ValueError, match="read-only"):
        store.picture(0)[0, 0, 0] = 1


def test_the_buffer_is_as_large_as_the_pictures() -> None:
    manifest, heads = photos()
    store = build(manifest, heads, SPEC, place="memory").store
    areas = [np.prod(SPEC.stored_size(*size)) * 3 for size in RAGGED]
    assert len(store.buffer) == sum(areas)
    assert store.offsets.tolist() == [0, *np.cumsum(areas)[:-1].tolist()]


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_no_pictures_at_all(place: str) -> None:
    built = build(manifest_of([]), np.empty((0, 2), np.int64), SPEC, place=place)
    assert len(built.store) == 0
    assert built.store.block() is None
    assert built.bad == {}


def test_progress_is_told() -> None:
    for place in ("memory", "disk"):
        seen: list[int] = []
        build(*photos(), SPEC, place=place, threads=2, tick=seen.append)
        assert seen == [1, 2, 3, 4, 5]


# Where it is kept


def test_half_of_what_is_free_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, heads = photos()
    need = sum(int(np.prod(SPEC.stored_size(*size))) * 3 for size in RAGGED)
    monkeypatch.setattr(stores, "free_memory", lambda: 2 * need + 2)
    assert build(manifest, heads, SPEC).store.place == "memory"
    monkeypatch.setattr(stores, "free_memory", lambda: 2 * need)
    assert build(manifest, heads, SPEC).store.place != "memory"
    assert build(manifest, heads, SPEC, place="memory").store.place == "memory"


def test_free_memory_is_plausible() -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    total = page * os.sysconf("SC_PHYS_PAGES")
    # what Linux calls available is at least what is wholly unused (give other processes an eighth), and never all
    unused = page * os.sysconf("SC_AVPHYS_PAGES")
    assert unused - total / 8 <= free_memory() <= total


def test_free_memory_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path, *args: object, **more: object) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", missing)
    assert free_memory() == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def test_nothing_is_written_in_the_data_folder(tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/2.png", "cat/3.png", "dog/1.png", "dog/2.png", "dog/3.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(20, 30, seed=sum(map(ord, name))))
    before = snapshot(tmp_path)
    for place in ("disk", "memory", "disk"):
        manifest = find(tmp_path / "photos")
        prepared = prepare(manifest, DataOptions(store=place), seed=0, default_size=16, threads=2)
        assert len(prepared.store) == 6
    assert snapshot(tmp_path) == before
    assert len(kept()) == 1


# Used again


def test_a_store_on_disk_is_decoded_once() -> None:
    manifest, heads = photos()
    first = build(manifest, heads, SPEC, place="disk")
    assert reads(manifest) == 5
    again = build(manifest, heads, SPEC, place="disk")
    assert reads(manifest) == 5
    same(first, again)
    build(manifest, heads, SPEC, place="memory")
    assert reads(manifest) == 10


def test_the_key_is_what_decides_the_pixels_and_no_more() -> None:
    manifest, heads = photos()
    base = build(manifest, heads, SPEC, place="disk").store.place

    def place(m: Manifest = manifest, h: np.ndarray = heads, **changes: Any) -> str:
        return build(m, h, Preprocess(**vars(SPEC) | changes), place="disk").store.place

    assert place() == base
    # names, labels, splits and what comes after the store change no stored pixel
    assert place(manifest.replace(paths=tuple(f"{i}" for i in range(5)), splits=("test",) * 5)) == base
    assert place(mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0)) == base
    others = [
        place(height=17),
        place(width=17),
        place(resize=1.0),
        place(fit="pad"),
        place(interpolation="bicubic"),
        place(background=0),
        place(mode="L"),
        place(*photos(seed=1)),
        place(manifest.keep(np.array([1, 0, 2, 3, 4])), heads[[1, 0, 2, 3, 4]]),
        place(manifest.keep(np.arange(4)), heads[:4]),
    ]
    assert len({base, *others}) == 11
    assert len(kept()) == 11


def test_another_version_of_the_store_is_another_store(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, heads = photos()
    build(manifest, heads, SPEC, place="disk")
    monkeypatch.setattr(stores, "VERSION", stores.VERSION + 1)
    build(manifest, heads, SPEC, place="disk")
    assert reads(manifest) == 10


# Pictures that cannot be read


def broken() -> tuple[Manifest, np.ndarray]:
    """Rows 1 and 3 have a good header; row 1 is cut, row 3 has a broken checksum."""
    pictures = [png(*size, seed=i) for i, size in enumerate(RAGGED)]
    pictures[1] = pictures[1][:-400]
    middle = len(pictures[3]) // 2
    pictures[3] = pictures[3][:middle] + bytes([pictures[3][middle] ^ 255]) + pictures[3][middle + 1 :]
    return manifest_of(pictures), np.array(RAGGED)


def test_bad_pictures_are_recorded_and_remembered() -> None:
    manifest, heads = broken()
    memory = build(manifest, heads, SPEC, place="memory", threads=2)
    first = build(manifest, heads, SPEC, place="disk", threads=2)
    count = reads(manifest)
    again = build(manifest, heads, SPEC, place="disk", threads=2)
    assert reads(manifest) == count
    for built in (memory, first, again):
        assert list(built.bad) == ["1.png", "3.png"]
        assert built.manifest.paths == ("0.png", "2.png", "4.png")
        assert built.manifest.labels == ((0,), (0,), (0,))
        same(built, memory)
        for path, error in built.bad.items():
            with pytest.raises(DataError) as caught:
                SPEC.load(manifest.source.read(path), path)
            # every word of it, also after a day on the disk
            assert error.as_dict() == caught.value.as_dict()


@pytest.mark.parametrize("bad", [[0], [2], [4], [0, 1], [1, 3], [3, 4], [0, 2, 4]], ids=str)
@pytest.mark.parametrize("sizes", [RAGGED, [(20, 20)] * 5], ids=["many sizes", "one size"])
def test_in_memory_the_others_move_up(sizes: list[tuple[int, int]], bad: list[int]) -> None:
    """Places are given out beforehand; those of pictures that turn out to be broken close."""
    whole = build(*photos(sizes), SPEC, place="memory").store
    manifest, all_sizes = photos(sizes)
    for row in bad:
        manifest.source.pictures[row] = manifest.source.pictures[row][:-20]  # type: ignore[attr-defined]
    built = build(manifest, all_sizes, SPEC, place="memory", threads=2)
    good = [row for row in range(5) if row not in bad]
    assert sorted(built.bad) == [f"{row}.png" for row in bad]
    assert built.manifest.paths == tuple(f"{row}.png" for row in good)
    for place, row in enumerate(good):
        assert np.array_equal(built.store.picture(place), whole.picture(row)), row
    block = built.store.block()
    assert (block is not None) == (len(set(sizes)) == 1)
    if block is not None:
        assert np.array_equal(block, np.stack([whole.picture(row) for row in good]))


@pytest.mark.parametrize("other", [(21, 31), (200, 310), (3, 3)], ids=str)
def test_d102_a_file_that_changed_since_its_header_was_read(other: tuple[int, int]) -> None:
    """Its place is as large as the header said; nothing is written beside it."""
    manifest, sizes = photos()
    manifest.source.pictures[1] = png(*other, seed=9)  # type: ignore[attr-defined]
    built = build(manifest, sizes, SPEC, place="memory")
    whole = build(*photos(), SPEC, place="memory").store
    assert list(built.bad) == ["1.png"]
    assert built.bad["1.png"].code == "D102"
    assert built.bad["1.png"].what.endswith(
        f"is not what it was when its header was read: it is {other[1]} x {other[0]} now."
    )
    for place, row in enumerate((0, 2, 3, 4)):
        assert np.array_equal(built.store.picture(place), whole.picture(row)), row


def test_context_is_remembered_too() -> None:
    """An error of several lines: the folder holds no picture at all."""
    manifest = manifest_of([png(9, 9), b"<!DOCTYPE html><html>not found</html>", png(9, 9, seed=1)])
    built = [build(manifest, np.array([(9, 9)] * 3), SPEC, place="disk") for _ in range(2)]
    assert built[0].bad["1.png"].context
    assert str(built[0].bad["1.png"]) == str(built[1].bad["1.png"])


def test_an_error_of_another_kind_stops_the_build() -> None:
    """A bug is no bad picture; nothing is kept of the store."""
    manifest, heads = photos()

    def fail(path: str) -> bytes:
        raise RuntimeError(f"a bug at {path}")

    manifest.source.read = fail  # type: ignore[method-assign]
    for place in ("memory", "disk"):
        with pytest.raises(RuntimeError, match=r"a bug at 0\.png"):
            build(manifest, heads, SPEC, place=place, threads=2)
    assert not list(cache().rglob("*.*"))


def test_i11_a_picture_too_thin_to_keep_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Preprocess("L", 128, 128)
    manifest = manifest_of([png(1, 20_000), png(30, 30)])
    monkeypatch.setenv("DOJANG_CACHE_LIMIT", "1e6")
    for place in ("memory", "disk", "auto"):
        built = build(manifest, np.array([(1, 20_000), (30, 30)]), spec, place=place)
        assert built.bad["0.png"].code == "D105"
        assert len(built.store.buffer) == 128 * 128


# Room


def three_stores() -> list[str]:
    """Names of stores used one, two and three hours ago."""
    found = []
    for age in range(3):
        place = Path(build(*photos(seed=100 * age), SPEC, place="disk").store.place)
        then = (place / "index.json").stat().st_mtime - 3600 * (3 - age)
        os.utime(place / "index.json", (then, then))
        found.append(place.name)
    return found


def size_of(name: str) -> int:
    return sum(file.stat().st_size for file in (cache() / name).iterdir())


def test_the_store_used_longest_ago_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    old, middle, young = three_stores()
    need = sum(int(np.prod(SPEC.stored_size(*size))) * 3 for size in RAGGED)
    monkeypatch.setenv("DOJANG_CACHE_LIMIT", str(size_of(middle) + size_of(young) + need))
    new = Path(build(*photos(seed=1000), SPEC, place="disk").store.place).name
    assert kept() == sorted([middle, young, new])
    # one byte less, and the next goes too
    monkeypatch.setenv("DOJANG_CACHE_LIMIT", str(size_of(young) + size_of(new) + need - 1))
    newer = Path(build(*photos(seed=2000), SPEC, place="disk").store.place).name
    assert kept() == sorted([new, newer])
    assert old not in kept()


def test_a_use_counts_as_young(monkeypatch: pytest.MonkeyPatch) -> None:
    old, _, young = three_stores()
    build(*photos(seed=0), SPEC, place="disk")
    monkeypatch.setenv("DOJANG_CACHE_LIMIT", str(2.5 * size_of(old)))
    new = Path(build(*photos(seed=1000), SPEC, place="disk").store.place).name
    assert kept() == sorted([old, new])
    assert young not in kept()


def test_no_store_goes_while_there_is_room() -> None:
    three = three_stores()
    build(*photos(seed=1000), SPEC, place="disk")
    assert set(three) < set(kept())


def test_a_store_that_is_evicted_while_it_is_used_stays_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, heads = photos()
    used = build(manifest, heads, SPEC, place="disk")
    monkeypatch.setenv("DOJANG_CACHE_LIMIT", str(size_of(Path(used.store.place).name) + 10))
    build(*photos(seed=1000), SPEC, place="disk")
    assert not Path(used.store.place).exists()
    same(used, build(manifest, heads, SPEC, place="memory"))


def test_r403_when_one_store_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    old = three_stores()
    monkeypatch.setenv("DOJANG_CACHE_LIMIT", "2e9")
    large = Preprocess("RGB", 40_000, 40_000, max_pixels=10**10)
    manifest, heads = photos()
    with pytest.raises(ResourceError) as caught:
        build(manifest, heads[:1], large, place="disk")
    need = int(np.prod(large.stored_size(*RAGGED[0]))) * 3
    assert str(caught.value) == (
        f"ResourceError[R403]: the decoded pictures take {need / 1e9:.1f} GB; the cache folder may hold 2.0 GB.\n"
        f"  Fix: DOJANG_CACHE_LIMIT={need + 10**9}, or a smaller --imgsz."
    )
    assert caught.value.exit_code == 4
    # nothing was evicted for what would not have fitted anyway, and nothing was read
    assert kept() == sorted(old)
    assert reads(manifest) == 0


@pytest.mark.parametrize("limit", ["much", "", "inf", "nan"])
def test_a_limit_that_is_no_number(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv("DOJANG_CACHE_LIMIT", limit)
    with pytest.raises(ConfigError) as caught:
        build(*photos(), SPEC, place="disk")
    assert str(caught.value) == (
        f"ConfigError[C202]: DOJANG_CACHE_LIMIT cannot be {limit!r}; expected a number of bytes.\n"
        "  Fix: DOJANG_CACHE_LIMIT=40e9"
    )


# A build that does not end


@pytest.mark.parametrize("call", ["_write", "_sync", "_replace"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_full_disk_leaves_no_half_store(monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    manifest, heads = photos()
    real, calls = getattr(files, call), 0

    def fail(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls >= number:
            raise OSError(28, "No space left on device")
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(files, call, fail)
        with pytest.raises(ResourceError, match=r"^ResourceError\[R401\]"):
            build(manifest, heads, SPEC, place="disk")
    assert not list(cache().rglob("*.dojang-tmp"))
    assert not list(cache().rglob("index.json"))
    # the next attempt begins again and is whole
    same(build(manifest, heads, SPEC, place="disk"), build(manifest, heads, SPEC, place="memory"))
    assert len(list(cache().rglob("index.json"))) == 1


def test_stores_of_a_process_that_was_killed() -> None:
    """The whole one is found by its content and used; what is left of the other is cleared."""
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import test_store as t\n"
        "t.build(*t.photos(), t.SPEC, place='disk')\n"
        "t.build(*t.photos(seed=1000), t.SPEC, place='disk', tick=lambda n: n == 3 and os._exit(137))"
    )
    folder = str(Path(__file__).parent)
    assert subprocess.run([sys.executable, "-c", code, folder], check=False).returncode == 137
    assert len(list(cache().rglob("*.dojang-tmp"))) == 1
    manifest, heads = photos()
    found = build(manifest, heads, SPEC, place="disk")
    assert reads(manifest) == 0
    same(found, build(manifest, heads, SPEC, place="memory"))
    build(*photos(seed=2000), SPEC, place="disk")
    assert not list(cache().rglob("*.dojang-tmp"))


def test_the_index_says_what_it_is() -> None:
    place = Path(build(*broken(), SPEC, place="disk").store.place)
    index = json.loads((place / "index.json").read_text())
    assert (index["format"], index["pictures"], sorted(index["bad"])) == (1, 3, ["1", "3"])
    assert sorted(path.name for path in place.iterdir()) == ["index.json", "pixels.bin", "table.bin"]
