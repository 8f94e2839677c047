"""IDX files: read as the format says, refused when they are anything but exactly that."""

from __future__ import annotations

import gzip
import itertools
import shutil
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dojang.data import idx
from dojang.errors import DataError

TYPES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}
CODES = {"u1": "B", "i1": "b", ">i2": "h", ">i4": "i", ">f4": "f", ">f8": "d"}
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
T_IMAGES, T_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def header(kind: int, *shape: int) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape)


def packed(values: np.ndarray) -> bytes:
    dtype = values.dtype.newbyteorder(">").str.lstrip("|")
    return header(TYPES[dtype], *values.shape) + values.astype(dtype).tobytes()


def pictures(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 4, 3)).astype(np.uint8)


def labels(n: int, classes: int = 3) -> np.ndarray:
    return (np.arange(n) % classes).astype(np.uint8)


def fill(folder: Path, names: tuple[str, str] = (IMAGES, LABELS), n: int = 6, zipped: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in zip(names, (pictures(n), labels(n)), strict=True):
        data = packed(values)
        (folder / name).write_bytes(gzip.compress(data) if zipped else data)


def refusal(data: bytes) -> str:
    with pytest.raises(DataError) as caught:
        idx.read_idx(data, "a.idx")
    assert caught.value.code == "D116"
    assert "'a.idx'" in caught.value.what
    return caught.value.what


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(1,), (5,), (2, 3), (2, 3, 4), (0,), (3, 0)])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_type_is_read_as_struct_reads_it(dtype: str, shape: tuple[int, ...], zipped: bool) -> None:
    numbers = [i % 100 for i in range(int(np.prod(shape)))]
    data = header(TYPES[dtype], *shape) + struct.pack(f">{len(numbers)}{CODES[dtype]}", *numbers)
    values = idx.read_idx(gzip.compress(data) if zipped else data, "x")
    assert values.shape == shape
    assert values.dtype == np.dtype(dtype).newbyteorder("=")
    assert values.ravel().tolist() == numbers


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.booleans(), st.data())
def test_any_cut_or_tail_is_refused(shape: list[int], zipped: bool, data: st.DataObject) -> None:
    whole = header(0x08, *shape) + bytes(int(np.prod(shape)))
    stored = gzip.compress(whole) if zipped else whole
    assert idx.content(stored, "x") == whole
    refusal(stored[: data.draw(st.integers(0, len(stored) - 1))])
    refusal(stored + data.draw(st.binary(min_size=1, max_size=3).filter(lambda tail: tail.strip(b"\0") or not zipped)))
    refusal(gzip.compress(whole + b"1"))


def test_sizes_are_in_the_message() -> None:
    data = packed(pictures(2))
    assert "truncated: its header declares 2 x 4 x 3 uint8 values, 40 bytes with the header; there are 39 bytes" in (
        refusal(data[:-1])
    )
    assert "there are 39 bytes" in refusal(gzip.compress(data[:-1]))
    assert "too long" in refusal(data + b"0") and "there are 41 bytes" in refusal(data + b"0")
    assert "there are more than 40" in refusal(gzip.compress(data + b"000"))
    assert "checksum is missing" in refusal(gzip.compress(data)[:-5])


@pytest.mark.parametrize(
    "data", [b"", b"\0\0", b"<html>", b"\0\0\x0a\1\0\0\0\1a", b"\0\0\x08\0a", b"\0\1\x08\1\0\0\0\1a", b"\x1f\x8bxxxxx"]
)
def test_other_files_are_not_idx(data: bytes) -> None:
    assert "not an IDX file" in refusal(data) or "damaged gzip" in refusal(data)


def test_a_changed_byte_fails_the_checksum() -> None:
    stored = bytearray(gzip.compress(packed(pictures(300)), compresslevel=0))
    stored[len(stored) // 2] ^= 1
    assert "damaged gzip" in refusal(bytes(stored))


def test_a_bomb_is_decompressed_no_further_than_it_declares() -> None:
    bomb = gzip.compress(header(0x08, 10) + bytes(100_000_000))
    tracemalloc.start()
    refusal(bomb)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_a_lying_header_is_refused_before_memory_is_taken() -> None:
    tracemalloc.start()
    assert "cannot hold them" in refusal(gzip.compress(header(0x08, idx.MAX_BYTES - 8)))
    assert f"at most {idx.MAX_BYTES:,}" in refusal(gzip.compress(header(0x08, idx.MAX_BYTES - 7)))
    assert "at most" in refusal(gzip.compress(header(0x0E, *[2**32 - 1] * 20)))
    assert "truncated" in refusal(header(0x0E, *[2**32 - 1] * 255))
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@pytest.mark.parametrize("below", [".", "raw", "MNIST/raw", "Any Name/raw"])
@pytest.mark.parametrize(
    ("images", "its_labels"),
    [
        (IMAGES, LABELS),
        (IMAGES.replace("-idx", ".idx"), LABELS.replace("-idx", ".idx")),
        (IMAGES + ".gz", LABELS + ".gz"),
    ],
)
def test_found_in_every_layout_and_spelling(tmp_path: Path, below: str, images: str, its_labels: str) -> None:
    fill(tmp_path / below, (images, its_labels), zipped=images.endswith(".gz"))
    manifest = idx.find_idx(tmp_path)
    assert manifest is not None
    prefix = "" if below == "." else below + "/"
    assert manifest.paths == tuple(f"{prefix}{images}#{i}" for i in range(6))
    assert manifest.classes == ("0", "1", "2")
    assert manifest.targets.tolist() == [0, 1, 2, 0, 1, 2]
    assert set(manifest.splits) == {"train"}
    for row, path in enumerate(manifest.paths):
        assert np.array_equal(manifest.source.read(path), pictures(6)[row])


def test_gzip_is_known_by_content(tmp_path: Path) -> None:
    fill(tmp_path, zipped=True)
    fill(tmp_path, ("test-images-idx3-ubyte.gz", "test-labels-idx1-ubyte.gz"), n=2, zipped=False)
    manifest = idx.find_idx(tmp_path, classes=("shoe", "bag", "hat"))
    assert manifest is not None
    assert manifest.splits == ("train",) * 6 + ("test",) * 2
    assert manifest.classes == ("shoe", "bag", "hat")
    assert manifest.counts()["train"] == {"shoe": 2, "bag": 2, "hat": 2}
    assert manifest.paths[-1] == "test-images-idx3-ubyte.gz#1"


def test_label_values_are_names_in_the_order_of_numbers(tmp_path: Path) -> None:
    fill(tmp_path, n=4)
    (tmp_path / LABELS).write_bytes(packed(np.array([10, 2, 10, 26], np.int32)))
    manifest = idx.find_idx(tmp_path)
    assert manifest is not None
    assert (manifest.classes, manifest.targets.tolist()) == (("2", "10", "26"), [1, 0, 1, 2])


def test_pixels_cannot_be_changed_and_strange_rows_are_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    manifest = idx.find_idx(tmp_path)
    assert manifest is not None
    assert not np.asarray(manifest.source.read(f"{IMAGES}#0")).flags.writeable
    for path in (f"{IMAGES}#6", f"{IMAGES}#-1", IMAGES, f"{IMAGES}#", "other#0", f"{IMAGES}#" + "9" * 5000):
        with pytest.raises(DataError) as caught:
            manifest.source.read(path)
        assert caught.value.code == "D112"


def test_nothing_to_find(tmp_path: Path) -> None:
    assert idx.find_idx(tmp_path) is None
    (tmp_path / "train-images-idx3-ubyte").mkdir()
    (tmp_path / "train-images.png").write_bytes(b"")
    assert idx.find_idx(tmp_path) is None


def fails(folder: Path, code: str, *words: str, **options: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        idx.find_idx(folder, **options)
    assert caught.value.code == code
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("gone", [IMAGES, LABELS])
def test_a_missing_half_is_named(tmp_path: Path, gone: str) -> None:
    fill(tmp_path)
    (tmp_path / gone).unlink()
    fails(tmp_path, "D117", f"not {gone}.", f"put {gone} into")


def test_counts_must_agree(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / LABELS).write_bytes(packed(labels(5)))
    fails(tmp_path, "D116", "6 pictures", "5 labels", IMAGES)


def test_arrays_must_be_pictures_and_labels(tmp_path: Path) -> None:
    for name, values in itertools.chain(
        ((IMAGES, v) for v in (pictures(6)[0], pictures(6).astype(np.int16), pictures(6)[:, :0])),
        ((LABELS, v) for v in (labels(6).astype(np.float32), labels(6)[None])),
    ):
        fill(tmp_path)
        (tmp_path / name).write_bytes(packed(values))
        fails(tmp_path, "D116", name, "values")


def test_no_pictures_at_all(tmp_path: Path) -> None:
    fill(tmp_path, n=0)
    fails(tmp_path, "D116", "holds no pictures")


def test_labels_must_have_names(tmp_path: Path) -> None:
    fill(tmp_path)
    fails(tmp_path, "D116", "the label 2 at row 2", "2 classes (0..1)", classes=("a", "b"))
    (tmp_path / LABELS).write_bytes(packed(np.array([0, 0, 0, -1, 0, 0], np.int8)))
    fails(tmp_path, "D116", "the label -1 at row 3", classes=("a", "b"))


def test_two_sets_are_a_question(tmp_path: Path) -> None:
    fill(tmp_path / "MNIST" / "raw")
    fill(tmp_path / "FashionMNIST" / "raw")
    fails(tmp_path, "D117", "2 data sets: 'FashionMNIST/raw', 'MNIST/raw'", "give one of them")
    assert idx.find_idx(tmp_path / "MNIST") is not None


def test_two_files_for_one_place(tmp_path: Path) -> None:
    fill(tmp_path)
    fill(tmp_path, (IMAGES + ".gz", LABELS + ".gz"), zipped=True)
    manifest = idx.find_idx(tmp_path)
    assert manifest is not None
    assert len(manifest) == 6
    assert f"left out {IMAGES}: {IMAGES}.gz beside it was read" in manifest.notes
    fill(tmp_path, (T_IMAGES, T_LABELS))
    fill(tmp_path, ("test-images-idx3-ubyte", "test-labels-idx1-ubyte"))
    fails(tmp_path, "D117", "2 files of test images", T_IMAGES, "test-images")


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)

    def denied(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    fails(tmp_path, "D112", "Permission denied", IMAGES, "chmod")


def test_real_mnist(shared_data: Path, tmp_path: Path) -> None:
    manifest = idx.find_idx(shared_data / "mnist")
    assert manifest is not None
    assert list(manifest.counts()["train"].values()) == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert list(manifest.counts()["test"].values()) == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    train = np.stack([np.asarray(manifest.source.read(manifest.paths[row])) for row in manifest.rows("train")])
    assert train.shape == (60_000, 28, 28)
    assert (round(train.mean() / 255, 4), round(train.std() / 255, 4)) == (0.1307, 0.3081)

    torn = tmp_path / "torn"
    shutil.copytree(shared_data / "mnist", torn)
    images = torn / "t10k-images-idx3-ubyte.gz"
    images.chmod(0o644)
    images.write_bytes(images.read_bytes()[:-100_000])
    fails(torn, "D116", "t10k-images-idx3-ubyte.gz", "truncated", "7,840,016 bytes")
