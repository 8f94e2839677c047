"""CIFAR's batches: read as Python 2 wrote them, and nothing in any file is ever run."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dojang.data import cifar
from dojang.data.cifar import CIFAR10, CIFAR100, Layout, find_cifar, read_batch
from dojang.data.manifest import Manifest
from dojang.data.named import NAMES
from dojang.errors import DataError, DojangError, SecurityError


def text(word: str) -> bytes:
    return b"U" + bytes([len(word)]) + word.encode()


def words(*values: str) -> bytes:
    return b"](" + b"".join(map(text, values)) + b"e"


def numbers(*values: int) -> bytes:
    return b"](" + b"".join(b"K" + bytes([value]) for value in values) + b"e"


def array(values: np.ndarray, by_columns: bool = False) -> bytes:
    """An array as NumPy 1 wrote it from Python 2, memo and all."""
    rows, columns = values.shape
    return b"".join(
        [
            b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01",
            b"M" + struct.pack("<H", rows) + b"M" + struct.pack("<H", columns),
            b"\x86cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05",
            b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb" + (b"\x88" if by_columns else b"\x89"),
            b"T" + struct.pack("<I", values.size) + values.tobytes("F" if by_columns else "C") + b"tb",
        ]
    )


def table(**items: bytes) -> bytes:
    return b"\x80\x02}q\x00(" + b"".join(text(key) + value for key, value in items.items()) + b"u."


def planes(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3072)).astype(np.uint8)


def batch(layout: Layout, n: int, seed: int) -> bytes:
    facts = {"batch_label": text("part"), layout.labels_key: numbers(*(i % 3 for i in range(n)))}
    return table(**facts, data=array(planes(n, seed)), filenames=words(*(f"a_{i}.png" for i in range(n))))


def files_of(layout: Layout) -> dict[str, bytes]:
    parts = (*layout.train, *layout.test)
    made = {file: batch(layout, 4, seed) for seed, file in enumerate(parts)}
    return made | {layout.meta: table(**{layout.names_key: words("ant", "bee", "cow")})}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, bytes]]:
    """Small sets of the published form, whose MD5s stand in the table for the length of a test."""
    sets = {}
    for layout in cifar.LAYOUTS:
        sets[layout.folder] = files_of(layout)
        for file, data in sets[layout.folder].items():
            monkeypatch.setitem(layout.md5, file, hashlib.md5(data).hexdigest())
    return sets


def unpack(files: dict[str, bytes], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def opened(folder: Path) -> Manifest:
    manifest = find_cifar(folder)
    assert manifest is not None
    return manifest


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
@pytest.mark.parametrize("by_columns", [False, True])
def test_a_batch_is_read_as_pickle_reads_it(by_columns: bool) -> None:
    data = table(
        data=array(planes(3, 1), by_columns),
        labels=numbers(1, 2, 255),
        again=b"h\x03",
        nested=b"(K\x01)K\x02\x85tq\x99",
        flags=b"]\x88a",
        far=b"J\xff\xff\xff\xff",
    )
    theirs = pickle.loads(data, encoding="latin1")
    ours = read_batch(data, "x")
    assert np.array_equal(ours["data"].values, theirs["data"])
    assert np.array_equal(ours["again"].values, theirs["again"])
    for key in ("labels", "nested", "flags", "far"):
        assert ours[key] == theirs[key]


@pytest.mark.parametrize("layout", cifar.LAYOUTS, ids=lambda layout: layout.title)
@pytest.mark.parametrize("below", [False, True])
def test_pixels_labels_and_paths(layout: Layout, below: bool, made: dict[str, Any], tmp_path: Path) -> None:
    unpack(made[layout.folder], tmp_path / layout.folder if below else tmp_path)
    manifest = opened(tmp_path)
    prefix = layout.folder + "/" if below else ""
    assert manifest.classes == ("ant", "bee", "cow")
    assert manifest.paths == tuple(f"{prefix}{file}#{i}" for file in (*layout.train, *layout.test) for i in range(4))
    assert manifest.splits == ("train",) * 4 * len(layout.train) + ("test",) * 4
    assert manifest.targets.tolist() == [0, 1, 2, 0] * (len(layout.train) + 1)
    flat, picture = planes(4, len(layout.train))[2], np.asarray(manifest.source.read(f"{prefix}{layout.test[0]}#2"))
    assert picture.shape == (32, 32, 3)
    assert picture.flags.c_contiguous
    assert not picture.flags.writeable
    # as the format's page says: 1,024 red values row by row, then green, then blue
    for row, column, colour in ((0, 0, 0), (0, 31, 1), (31, 0, 2), (17, 5, 1), (31, 31, 2)):
        assert picture[row, column, colour] == flat[colour * 1024 + row * 32 + column]


def pack(files: dict[str, bytes], layout: Layout, path: Path) -> str:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in ({"readme.html": b"<p>"} | files).items():
            member = tarfile.TarInfo(f"{layout.folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("layout", cifar.LAYOUTS, ids=lambda layout: layout.title)
def test_the_archive_is_read_in_place(
    layout: Layout, made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = pack(made[layout.folder], layout, tmp_path / layout.archive)
    with pytest.raises(SecurityError) as caught:
        find_cifar(tmp_path)
    assert digest in caught.value.what
    assert layout.archive_md5 in caught.value.what

    here = Layout(**(vars(layout) | {"archive_md5": digest}))
    monkeypatch.setattr(cifar, "LAYOUTS", (here,))
    manifest = opened(tmp_path)
    assert manifest.paths[5 - 1] == f"{layout.archive}!/{layout.folder}/{(*layout.train, *layout.test)[1]}#0"
    assert [path.name for path in tmp_path.iterdir()] == [layout.archive]

    less = {name: data for name, data in made[layout.folder].items() if name != layout.meta}
    here = Layout(**(vars(layout) | {"archive_md5": pack(less, layout, tmp_path / layout.archive)}))
    monkeypatch.setattr(cifar, "LAYOUTS", (here,))
    with pytest.raises(DataError, match=f"lacks {layout.meta}"):
        find_cifar(tmp_path)


def test_nothing_to_find(tmp_path: Path) -> None:
    for name in ("train", "test", "meta"):
        (tmp_path / name).mkdir()
    assert find_cifar(tmp_path) is None
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "train").write_bytes(b"")
    assert find_cifar(tmp_path / "a") is None
    assert find_cifar(tmp_path / "absent") is None


def test_missing_files_and_two_sets(made: dict[str, Any], tmp_path: Path) -> None:
    unpack(made[CIFAR10.folder], tmp_path / CIFAR10.folder)
    (tmp_path / CIFAR10.folder / "data_batch_3").unlink()
    with pytest.raises(DataError, match="not its data_batch_3") as caught:
        find_cifar(tmp_path)
    assert caught.value.code == "D117"
    unpack(made[CIFAR10.folder], tmp_path / CIFAR10.folder)
    unpack(made[CIFAR100.folder], tmp_path / CIFAR100.folder)
    with pytest.raises(DataError, match="2 data sets: 'cifar-10-batches-py', 'cifar-100-python'") as caught:
        find_cifar(tmp_path)
    assert caught.value.code == "D117"


def test_another_md5_is_refused_with_both(made: dict[str, Any], tmp_path: Path) -> None:
    changed = made[CIFAR10.folder]["data_batch_2"].replace(b"a_1.png", b"a_9.png")
    unpack(made[CIFAR10.folder] | {"data_batch_2": changed}, tmp_path)
    with pytest.raises(SecurityError) as caught:
        find_cifar(tmp_path)
    assert caught.value.code == "X501"
    assert "data_batch_2" in caught.value.what
    assert hashlib.md5(changed).hexdigest() in caught.value.what
    assert CIFAR10.md5["data_batch_2"] in caught.value.what
    assert "https://www.cs.toronto.edu/~kriz/cifar.html" in caught.value.fix


class Hostile:
    def __init__(self, flag: str) -> None:
        self.flag = flag

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.flag}",)


def hostile(flag: Path) -> list[bytes]:
    command = f"touch {flag}"
    by_hand = [
        f"cos\nsystem\n(S'{command}'\ntR.",
        f"(S'{command}'\nios\nsystem\n.",
        f"(cos\nsystem\nS'{command}'\no.",
        f'c__builtin__\neval\n(S\'__import__("os").system("{command}")\'\ntR.',
        "Pwhatever\n.",
        "\x82\x01.",
        "cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\n(I0\ntS'b'\ntR.",
        "cos\nsystem\n}b.",
        "]}b.",
        "cos\nsystem\n)\x81.",
    ]
    return [pickle.dumps({"data": Hostile(str(flag))}, protocol) for protocol in range(6)] + [
        code.encode("latin-1") for code in by_hand
    ]


@pytest.mark.parametrize("number", range(16))
def test_nothing_in_a_hostile_file_runs(
    number: int, made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = tmp_path / "flag"
    data = hostile(flag)[number]
    monkeypatch.setattr(os, "system", lambda command: flag.write_text(command))
    with pytest.raises(SecurityError) as caught:
        read_batch(data, "model.pkl")
    assert caught.value.code == "X501"
    assert "'model.pkl' is a pickle file" in caught.value.what

    # and not even when the table vouches for it
    unpack(made[CIFAR10.folder] | {"data_batch_1": data}, tmp_path / "set")
    with pytest.raises(SecurityError):
        find_cifar(tmp_path / "set")
    monkeypatch.setitem(CIFAR10.md5, "data_batch_1", hashlib.md5(data).hexdigest())
    with pytest.raises(SecurityError):
        find_cifar(tmp_path / "set")
    assert not flag.exists()


def test_the_hostile_files_would_run(tmp_path: Path) -> None:
    """The test above would prove nothing if its files were harmless."""
    flag = tmp_path / "flag"
    pickle.loads(hostile(flag)[2])
    assert flag.exists()


def test_torn_and_changed_files_give_coded_errors() -> None:
    whole = batch(CIFAR10, 2, 0)
    for cut in [*range(120), *range(len(whole) - 60, len(whole))]:
        with pytest.raises(DojangError):
            read_batch(whole[:cut], "x")
    draw = random.Random(0)
    for _ in range(500):
        at = draw.choice([draw.randrange(320), draw.randrange(len(whole) - 60, len(whole))])
        changed = bytearray(whole)
        changed[at] = draw.randrange(256)
        try:
            read_batch(bytes(changed), "x")
        except DojangError as error:
            assert error.code in ("D116", "X501")


@pytest.mark.parametrize(
    "code", [b"", b".", b"t.", b"a.", b"u.", b"\x87.", b"h\x07.", b"N", b"}]K\x01s.", b"](K\x01u."]
)
def test_an_empty_stack_is_a_torn_file(code: bytes) -> None:
    with pytest.raises(DataError) as caught:
        read_batch(b"\x80\x02" + code, "x")
    assert caught.value.code == "D116"


@pytest.mark.parametrize(
    "data",
    [
        table(labels=numbers(1)),
        table(data=array(planes(1, 0))),
        table(data=array(planes(1, 0)[:, :3000]), labels=numbers(1)),
        table(data=words("a"), labels=numbers(1)),
        table(data=array(planes(1, 0)), labels=words("a")),
        b"\x80\x02]q\x00.",
    ],
)
def test_a_batch_without_pictures_or_labels(
    data: bytes, made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CIFAR10.md5, "test_batch", hashlib.md5(data).hexdigest())
    unpack(made[CIFAR10.folder] | {"test_batch": data}, tmp_path)
    with pytest.raises(DataError, match="no batch of 32 x 32 RGB pictures") as caught:
        find_cifar(tmp_path)
    assert caught.value.code == "D116"


@pytest.fixture(scope="session")
def real_cifar10(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the published batches, rebuilt from the lossless form in which they are kept."""
    script = shared_data / "cifar10" / "unpack.py"
    if not script.is_file():
        pytest.skip(f"no {script}")
    folder = tmp_path_factory.mktemp("cifar10")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
    return folder


def test_real_cifar10(real_cifar10: Path) -> None:
    manifest = opened(real_cifar10)
    assert manifest.classes == NAMES["cifar10"].classes
    assert set(manifest.counts()["train"].values()) == {5000}
    assert set(manifest.counts()["test"].values()) == {1000}
    train = np.stack([np.asarray(manifest.source.read(manifest.paths[row])) for row in manifest.rows("train")[::10]])
    # a tenth of the pictures: the published moments to two digits
    assert np.abs(train.mean((0, 1, 2)) / 255 - (0.4914, 0.4822, 0.4465)).max() < 0.005
    assert np.abs(train.std((0, 1, 2)) / 255 - (0.2470, 0.2435, 0.2616)).max() < 0.005


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
def test_a_real_batch_is_read_fast_and_as_pickle_reads_it(real_cifar10: Path) -> None:
    data = (real_cifar10 / CIFAR10.folder / "data_batch_4").read_bytes()
    start = time.perf_counter()
    ours = read_batch(data, "x")
    assert time.perf_counter() - start < 2
    theirs = pickle.loads(data, encoding="latin1")
    assert np.array_equal(ours["data"].values, theirs["data"])
    assert ours["labels"] == theirs["labels"]
    assert ours["filenames"] == theirs["filenames"]
