"""Data sets by name: found by content, never mixed up, never fetched unasked."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dojang import files
from dojang.data import cifar, fetch, named
from dojang.data.named import NAMES, open_named
from dojang.errors import DataError, ResourceError

SETS = ("mnist", "fashion-mnist")


def contents(seed: int) -> dict[str, bytes]:
    """A small set in the form of MNIST's, without gzip."""
    draw = np.random.default_rng(seed)
    made = {}
    for part, n in (("train", 20), ("t10k", 10)):
        made[f"{part}-images-idx3-ubyte"] = struct.pack(">4I", 2051, n, 4, 4) + draw.bytes(16 * n)
        made[f"{part}-labels-idx1-ubyte"] = struct.pack(">2I", 2049, n) + bytes(i % 10 for i in range(n))
    return made


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@pytest.fixture(autouse=True)
def no_system_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "SYSTEM", tmp_path / "system")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, bytes]]:
    """Small sets that stand under the names of the two real ones for the length of a test; by name, files' contents."""
    made = {}
    for seed, name in enumerate(SETS):
        made[name] = contents(seed)
        published = tuple(
            fetch.File(file.name, len(zipped), md5(zipped), md5(data))
            for file in NAMES[name].files
            for data in (made[name][file.name.removesuffix(".gz")],)
            for zipped in (gzip.compress(data, mtime=0),)
        )
        monkeypatch.setitem(NAMES, name, replace(NAMES[name], files=published))
    return made


def put(made: dict[str, bytes], folder: Path, zipped: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in made.items():
        (folder / (name + ".gz" * zipped)).write_bytes(gzip.compress(data, mtime=0) if zipped else data)
    return folder


def refusal(code: str, name: str, *words: str, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        open_named(name, **options)
    assert caught.value.code == code
    for word in words:
        assert word in str(caught.value)
    return caught.value


def test_the_table() -> None:
    for name, entry in NAMES.items():
        assert len(set(entry.classes)) == {"cifar100": 100}.get(name, 10)
        assert entry.licence
        assert entry.kind == "sklearn" or (entry.files and entry.mirrors and entry.folders)
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in entry.mirrors)
        assert all(len(file.md5) == 32 and file.size > 0 for file in entry.files)
    assert list(NAMES["cifar100"].classes) == sorted(NAMES["cifar100"].classes)
    digests = [file.content_md5 for name in SETS for file in NAMES[name].files]
    assert len(set(digests)) == 8


def test_digits_are_scaled_exactly() -> None:
    from sklearn.datasets import load_digits

    manifest = open_named("digits")
    theirs = load_digits()
    assert len(manifest) == 1797
    assert set(manifest.splits) == {""}
    assert manifest.classes == tuple("0123456789")
    assert manifest.targets.tolist() == theirs.target.tolist()
    assert any("0..16" in note and "v * 255 / 16" in note for note in manifest.notes)
    for row in (0, 5, 1796):
        pixels = manifest.source.read(f"digits#{row}")
        assert isinstance(pixels, np.ndarray)
        assert pixels.dtype == np.uint8
        assert pixels.tolist() == [[round(v * 255 / 16) for v in line] for line in theirs.images[row].tolist()]
    assert round(8 * 255 / 16) == 128


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("below", [".", "mnist", "MNIST", "MNIST/raw", "raw", "anything/raw"])
def test_the_same_rows_wherever_found(small: dict[str, Any], tmp_path: Path, below: str, zipped: bool) -> None:
    put(small["mnist"], tmp_path / "data" / below, zipped)
    manifest = open_named("mnist", tmp_path / "data")
    assert manifest.paths[0] == "train-images-idx3-ubyte.gz#0"
    assert manifest.paths[-1] == "t10k-images-idx3-ubyte.gz#9"
    assert manifest.splits == ("train",) * 20 + ("test",) * 10
    assert manifest.source.name == "mnist"
    assert any(str(tmp_path / "data" / below) in note for note in manifest.notes)
    picture = manifest.source.read("t10k-images-idx3-ubyte.gz#3")
    assert isinstance(picture, np.ndarray)
    assert picture.tobytes() == small["mnist"]["t10k-images-idx3-ubyte"][16 + 48 : 16 + 64]
    # neither the folder nor gzip is part of what is hashed
    other = put(small["mnist"], tmp_path / "other" / "mnist")
    assert manifest.fingerprint() == open_named("mnist", other).fingerprint()


def test_places_in_their_order(small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOJANG_DATA", str(tmp_path / "variable"))
    places = [
        tmp_path / "root",
        tmp_path / "variable",
        files.cache_folder() / "data",
        tmp_path / "system",
    ]
    for place in reversed(places):
        put(small["mnist"], place / "mnist")
        assert str(place) in open_named("mnist", tmp_path / "root").notes[-1]


def test_two_sets_of_equal_file_names_are_told_apart(small: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "torchvision"
    put(small["mnist"], root / "MNIST" / "raw", zipped=False)
    put(small["fashion-mnist"], root / "FashionMNIST" / "raw", zipped=False)
    assert open_named("mnist", root).classes == tuple("0123456789")
    fashion = open_named("fashion-mnist", root)
    assert fashion.classes[8:] == ("Bag", "Ankle boot")
    assert "FashionMNIST" in fashion.notes[-1]

    swapped = tmp_path / "swapped"
    put(small["fashion-mnist"], swapped / "mnist")
    refusal("D118", "mnist", "is not MNIST's: it is Fashion-MNIST's", data_root=swapped)
    assert open_named("fashion-mnist", swapped / "mnist").classes[0] == "T-shirt/top"


def test_one_changed_pixel_is_another_set(small: dict[str, Any], tmp_path: Path) -> None:
    name = "t10k-images-idx3-ubyte"
    changed = small["mnist"] | {name: small["mnist"][name][:-1] + b"\0"}
    put(changed, tmp_path / "mnist")
    error = refusal("D118", "mnist", name, "content MD5", md5(small["mnist"][name]), data_root=tmp_path)
    assert md5(changed[name]) in str(error)
    # a good copy further on is taken all the same
    put(small["mnist"], files.cache_folder() / "data" / "mnist")
    assert len(open_named("mnist", tmp_path)) == 30


def test_half_a_set_is_named(small: dict[str, Any], tmp_path: Path) -> None:
    folder = put(small["mnist"], tmp_path / "mnist")
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (folder / name).unlink()
    refusal("D118", "mnist", "does not hold t10k-images-idx3-ubyte.gz", data_root=tmp_path)


def test_nowhere(tmp_path: Path) -> None:
    error = refusal("D118", "fashion-mnist", "not on this machine", "--download", "30.9 MB", data_root=tmp_path / "a")
    cache = files.cache_folder() / "data"
    for place in (tmp_path / "a", cache, tmp_path / "system"):
        assert f"'{place}' (no such folder)" in error.context
    for file in NAMES["fashion-mnist"].files:
        assert file.name in error.fix
    assert str(tmp_path / "a" / "fashion-mnist") in error.fix
    assert "apt install dataset-fashion-mnist" in error.fix
    assert "cifar-10-python.tar.gz" in refusal("D118", "cifar10", "170.5 MB").fix
    assert str(cache / "cifar10") in refusal("D118", "cifar10").fix
    refusal("D118", "fashion", "no data set named 'fashion'", "Known: digits, mnist")
    refusal("D118", "minst", "Did you mean 'mnist'?")


def test_cifar_by_name(tmp_path: Path) -> None:
    folder = tmp_path / "CIFAR10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for file in cifar.CIFAR10.md5:
        (folder / file).write_bytes(b"\x80\x02}.")
    refusal("D118", "cifar10", "data_batch_1", "MD5", cifar.CIFAR10.md5["data_batch_1"], data_root=tmp_path)
    refusal("D118", "cifar100", "(not there)", data_root=tmp_path)


def served(name: str, made: dict[str, bytes], mirror: int = 0) -> dict[str, bytes | Exception]:
    return {
        NAMES[name].mirrors[mirror] + file.name: gzip.compress(made[file.name.removesuffix(".gz")], mtime=0)
        for file in NAMES[name].files
    }


def test_download_only_when_asked(small: dict[str, Any], tmp_path: Path, web: Callable[..., Any]) -> None:
    net = web(served("mnist", small["mnist"]))
    refusal("D118", "mnist", data_root=tmp_path)
    assert net.asked == []
    manifest = open_named("mnist", tmp_path, download=True)
    assert len(manifest) == 30
    assert len(net.asked) == 4
    home = files.cache_folder() / "data" / "mnist"
    assert sorted(os.listdir(home)) == sorted(file.name for file in NAMES["mnist"].files)
    assert any("downloaded" in note for note in manifest.notes)
    assert os.listdir(tmp_path) == []
    # from now on it is there
    assert open_named("mnist", download=True).fingerprint() == manifest.fingerprint()
    assert len(net.asked) == 4


def test_a_download_goes_on_where_it_stopped(small: dict[str, Any], web: Callable[..., Any]) -> None:
    pages = served("mnist", small["mnist"])
    last = NAMES["mnist"].files[-1].name
    net = web({address: page for address, page in pages.items() if not address.endswith(last)})
    refusal("D119", "mnist", last, download=True)
    net = web(pages)
    open_named("mnist", download=True)
    assert [address.rsplit("/", 1)[1] for address in net.asked] == [last]


def test_the_second_mirror_helps(small: dict[str, Any], web: Callable[..., Any]) -> None:
    pages = served("mnist", small["mnist"], mirror=1)
    pages |= {
        address: page[:-1] for address, page in served("mnist", small["mnist"]).items() if isinstance(page, bytes)
    }
    net = web(pages)
    assert len(open_named("mnist", download=True)) == 30
    assert len(net.asked) == 8


@pytest.mark.parametrize("case", ["no network", "short", "long", "endless", "other", "html", "stops", "times out"])
def test_what_is_not_the_published_file_is_not_kept(
    case: str, small: dict[str, Any], web: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = NAMES["mnist"].files[0]
    good = gzip.compress(small["mnist"][file.name.removesuffix(".gz")], mtime=0)
    page: dict[str, Any] = {
        "no network": OSError("Temporary failure in name resolution"),
        "short": good[:-1],
        "long": good + b"0",
        "endless": bytes(10_000_000),
        "other": good[:-1] + bytes([good[-1] ^ 1]),
        "html": b"<html>",
        "stops": good,
        "times out": TimeoutError("timed out"),
    }
    words = {
        "no network": "Temporary failure",
        "short": f"sent {len(good) - 1} bytes, expected {len(good)}",
        "long": f"sent {len(good) + 1} bytes",
        "endless": f"sent {len(good) + 1} bytes",
        "other": f"expected {file.md5}",
        "html": "sent 6 bytes",
        "stops": "Connection reset",
        "times out": "timed out",
    }
    web({mirror + file.name: page[case] for mirror in NAMES["mnist"].mirrors})
    if case == "stops":

        class Stops(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                if self.tell() == 0:
                    return super().read(10)
                raise ConnectionResetError(104, "Connection reset by peer")

        monkeypatch.setattr(fetch, "_connect", lambda address: Stops(good))
    error = refusal("D119", "mnist", file.name, words[case], *NAMES["mnist"].mirrors, download=True)
    home = files.cache_folder() / "data" / "mnist"
    assert f"put {file.name}" in error.fix
    assert os.listdir(home) == []


def test_a_full_disk_is_said_as_such(
    small: dict[str, Any], web: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    web(served("mnist", small["mnist"]))

    def full(fd: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write", full)
    with pytest.raises(ResourceError) as caught:
        open_named("mnist", download=True)
    assert caught.value.code == "R401"
    assert os.listdir(files.cache_folder() / "data" / "mnist") == []


def test_real_mnist_by_name(shared_data: Path, tmp_path: Path) -> None:
    zipped = open_named("mnist", shared_data)
    assert (len(zipped), zipped.rows("test").size) == (70_000, 10_000)
    refusal("D118", "fashion-mnist", "it is MNIST's", data_root=shared_data / "mnist")
    # torchvision's layout, unpacked
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (shared_data / "mnist").glob("*.gz"):
        with gzip.open(path) as packed, open(raw / path.stem, "wb") as plain:
            shutil.copyfileobj(packed, plain)
        assert md5(path.read_bytes()) == {file.name: file.md5 for file in NAMES["mnist"].files}[path.name]
    assert open_named("mnist", tmp_path).fingerprint() == zipped.fingerprint()


@pytest.mark.skipif(
    not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="Debian's dataset-fashion-mnist is not installed"
)
def test_real_fashion_mnist_from_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "SYSTEM", Path("/usr/share/datasets"))
    manifest = open_named("fashion-mnist")
    assert set(manifest.counts()["train"].values()) == {6000}
    assert set(manifest.counts()["test"].values()) == {1000}
