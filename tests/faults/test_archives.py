"""X3: archives, whole and hostile. They are read in place, nothing is written, and what could do harm is refused."""

from __future__ import annotations

import bz2
import gc
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dojang.data import hostile
from dojang.data.scan import find
from dojang.data.split import assign
from dojang.errors import DataError, DojangError, SecurityError

_DRAW = np.random.default_rng(0)
PETS = {f"{kind}/{i}.jpg": _DRAW.bytes(50 + 77 * i) for kind in ("cat", "dog") for i in range(8)}
SUFFIXES = ["tar", "tar.gz", "tar.xz", "tar.bz2", "zip"]
COMPRESSED = ["tar.gz", "tar.xz", "tar.bz2"]


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test runs in a folder two below tmp_path, so that ../ would show, and leaves nothing but its archives."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    yield
    monkeypatch.undo()
    left = {str(path.relative_to(folder)) for path in tmp_path.rglob("*") if path.is_file() and folder in path.parents}
    assert left <= {f"photos.{suffix}" for suffix in SUFFIXES} | {"photos.dat"}
    assert [path for path in tmp_path.rglob("*") if path.is_file() and folder not in path.parents] == []


def pack(members: dict[str, bytes], suffix: str, name: str = "") -> Path:
    path = Path(name or f"photos.{suffix}")
    if suffix == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it warns of names that are there twice
            for member, data in members.items():
                packed.writestr(member, data)
    else:
        mode = {"tar": "w:", "tar.gz": "w:gz", "tar.xz": "w:xz", "tar.bz2": "w:bz2"}[suffix]
        with tarfile.open(path, mode) as packed:  # type: ignore[call-overload]
            for member, data in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                packed.addfile(info, io.BytesIO(data))
    return path


def refused(path: Path, code: str) -> str:
    with pytest.raises(DojangError) as caught:
        assign(find(path))
    error = caught.value
    assert error.code == code and error.exit_code == 3 and error.fix
    assert isinstance(error, SecurityError if code[0] == "X" else DataError)
    assert not any(not c.isprintable() and c != "\n" for c in str(error))
    return str(error)


# whole archives


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pictures_are_read_in_place(suffix: str) -> None:
    found = find(pack(PETS, suffix))
    assert found.paths == tuple(f"photos.{suffix}!/{name}" for name in sorted(PETS))
    assert found.classes == ("cat", "dog") and set(found.splits) == {""} and found.notes == ()
    assert found.source.name == f"photos.{suffix}"
    for name, data in PETS.items():
        assert found.source.read(f"photos.{suffix}!/{name}") == data


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_threads_read_at_random(suffix: str) -> None:
    found = find(pack(PETS, suffix))
    paths = [found.paths[i] for i in np.random.default_rng(0).integers(0, len(found), 2_000)]
    with ThreadPoolExecutor(8) as pool:
        for path, data in zip(paths, pool.map(found.source.read, paths), strict=True):
            assert data == PETS[path.partition("!/")[2]]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_split_folders_one_top_folder_and_what_is_passed_over(suffix: str) -> None:
    names = ["train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg", "val/notes.txt", ".git/1.jpg", "val/cat/._1.jpg"]
    members = {f"./my photos/{name}": b"x" for name in names} | {"__MACOSX/my photos/1.jpg": b""}
    found = find(pack(members, suffix))
    assert found.paths == tuple(
        f"photos.{suffix}!/my photos/{name}" for name in ("train/cat/1.jpg", "train/dog/1.jpg", "val/cat/1.jpg")
    )
    assert found.splits == ("train", "train", "val")
    assert found.notes == (
        "ignored 3 hidden files and folders: __MACOSX, my photos/.git, my photos/val/cat/._1.jpg",
        "ignored 1 file that is not a picture: my photos/val/notes.txt",
        "went down into my photos/, the only folder with pictures in the archive",
        "val has no images of 1 class: dog",
    )
    assert found.source.read(found.paths[0]) == b"x"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ["고양이", "🐈", "e\u0301", "a\nb", "=cmd()", "x" * 120, "y" * 251])
def test_any_name(suffix: str, name: str) -> None:
    found = find(pack({f"{name}/{name}.jpg": b"1", "dog/1.jpg": b"2"}, suffix))
    assert found.source.read(f"photos.{suffix}!/{name}/{name}.jpg") == b"1"


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_names_that_are_no_text(suffix: str) -> None:
    name = os.fsdecode(b"\xff\xfe")
    found = find(pack({f"{name}/1.jpg": b"1", "dog/1.jpg": b"2"}, suffix))
    assert found.source.read(f"photos.{suffix}!/{name}/1.jpg") == b"1"


def test_zip_names_in_utf8_that_do_not_say_so() -> None:
    path = pack({"고양이/1.jpg": b"1", "dog/1.jpg": b"2"}, "zip")
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := data.find(signature, place + 1)) >= 0:
            data[place + at + 1] &= ~0x08
    path.write_bytes(data)
    found = find(path)
    assert "고양이" in found.classes and found.source.read("photos.zip!/고양이/1.jpg") == b"1"


def test_zip_names_in_an_old_code_page() -> None:
    path = pack({"catX/1.jpg": b"1", "dog/1.jpg": b"2"}, "zip")
    path.write_bytes(path.read_bytes().replace(b"catX", b"cat\x82"))
    found = find(path)
    assert found.classes == ("caté", "dog") and found.source.read("photos.zip!/caté/1.jpg") == b"1"


def test_zip_names_with_backslashes() -> None:
    found = find(pack({"set\\cat\\1.jpg": b"1", "set\\dog\\1.jpg": b"2", "set\\": b""}, "zip"))
    assert found.paths == ("photos.zip!/set/cat/1.jpg", "photos.zip!/set/dog/1.jpg")
    assert found.source.read("photos.zip!/set/cat/1.jpg") == b"1"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_content_decides_not_the_extension(suffix: str) -> None:
    assert len(find(pack(PETS, suffix, "photos.dat"))) == len(PETS)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_members_and_folders(suffix: str) -> None:
    path = pack(PETS | {"cat/empty.jpg": b""}, suffix)
    if suffix == "tar":
        with tarfile.open(path, "a") as packed:
            for name in ("bird", "cat", "cat"):
                info = tarfile.TarInfo(name)
                info.type = tarfile.DIRTYPE
                packed.addfile(info)
        assert find(path).notes == ("left out 1 folder without pictures: bird/",)
    assert find(path).source.read(f"photos.{suffix}!/cat/empty.jpg") == b""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_archives_that_hold_no_classes(suffix: str) -> None:
    assert f"'photos.{suffix}' holds no images: the archive is empty." in refused(pack({}, suffix), "D101")
    text = refused(pack({"cat/1.txt": b"", "dog/1.txt": b""}, suffix), "D101")
    assert "its 2 folders, cat/ and dog/, contain 2 .txt files." in text
    text = refused(pack({"1.jpg": b"", "2.jpg": b""}, suffix), "D122")
    assert "holds 2 images but no class folders, e.g. 1.jpg." in text
    assert "Fix: pack the pictures in one folder a class." in text
    assert "one class only: 'cat' (1 image)" in refused(pack({"set/cat/1.jpg": b""}, suffix), "D109")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_members_that_are_not_there(suffix: str) -> None:
    found = find(pack(PETS, suffix))
    for path in ("photos.tar!/cat/99.jpg", "../../etc/passwd", f"photos.{suffix}!/cat"):
        with pytest.raises(DataError, match=r"D112\]: cannot read .* there is no such member"):
            found.source.read(path)


def test_a_tar_cut_short_after_it_was_scanned() -> None:
    path = pack(PETS, "tar")
    found = find(path)
    os.truncate(path, 3_000)
    with pytest.raises(DataError, match=r"D112\]: cannot read .* the archive was cut short while it was in use"):
        found.source.read(found.paths[-1])


def test_a_member_too_long_to_be_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dojang.data.archive.MOST_BYTES", 100)
    for suffix in ("tar", "zip"):
        found = find(pack(PETS, suffix))
        with pytest.raises(DataError, match="it has 589 bytes; at most"):
            found.source.read(f"photos.{suffix}!/cat/7.jpg")


# names


OUTSIDE = ["../x.jpg", "cat/../../x.jpg", "/etc/x.jpg", "C:/x.jpg", "C:x.jpg", "..\\x.jpg", "\\x.jpg", "cat/.."]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", OUTSIDE)
def test_members_outside(suffix: str, name: str) -> None:
    text = refused(pack(PETS | {name: b"x"}, suffix), "X502")
    shown = name.replace("\\", "/") if suffix == "zip" else name
    assert f"the archive has a member named {shown!r}, which would lie outside" in text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_members_outside_in_hidden_folders_and_other_files(suffix: str) -> None:
    for name in (".git/../../x", "../notes.txt", "__MACOSX/../../x"):
        refused(pack(PETS | {name: b"x"}, suffix), "X502")


def test_a_zero_byte_in_a_zip_name() -> None:
    path = pack({**PETS, "cat/Z.jpg": b"1"}, "zip")
    path.write_bytes(path.read_bytes().replace(b"cat/Z.jpg", b"cat/\0.jpg"))
    assert r"'cat/\x00.jpg'" in refused(path, "X502")


LINKS: list[tuple[bytes, str]] = [
    (tarfile.SYMTYPE, "a symbolic link to '/etc/passwd'"),
    (tarfile.LNKTYPE, "a hard link to '/etc/passwd'"),
    (tarfile.CHRTYPE, "a device"),
    (tarfile.BLKTYPE, "a device"),
    (tarfile.FIFOTYPE, "a device"),
    (tarfile.GNUTYPE_SPARSE, "of a special kind"),
    (b"M", "of a special kind"),
]


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
@pytest.mark.parametrize(("kind", "words"), LINKS)
@pytest.mark.parametrize("name", ["cat/link.jpg", ".git/link", "notes"])
def test_links_and_devices_in_a_tar(suffix: str, kind: bytes, words: str, name: str) -> None:
    path = pack(PETS, "tar")
    with tarfile.open(path, "a") as packed:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        packed.addfile(info)
    if suffix == "tar.gz":
        data = gzip.compress(path.read_bytes())
        path = Path("photos.tar.gz")
        path.write_bytes(data)
    text = refused(path, "X503")
    assert f"'photos.{suffix}' has a member that is {words}: {name!r}. Only plain files and folders are read." in text
    assert "Fix: pack it again with the files themselves: tar --dereference" in text


@pytest.mark.parametrize(("mode", "words"), [(stat.S_IFLNK, "a symbolic link"), (stat.S_IFCHR, "a device")])
def test_links_and_devices_in_a_zip(mode: int, words: str) -> None:
    path = pack(PETS, "zip")
    with zipfile.ZipFile(path, "a") as packed:
        info = zipfile.ZipInfo("cat/link.jpg")
        info.create_system, info.external_attr = 3, (mode | 0o777) << 16
        packed.writestr(info, "/etc/passwd")
    assert f"'photos.zip' has a member that is {words}: 'cat/link.jpg'." in refused(path, "X503")


def tar_of(*members: tuple[str, bytes]) -> bytes:
    """A tar in which a name may come twice."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return file.getvalue()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("one", "other"), [("cat/a.jpg", "cat/A.JPG"), ("Cat/x.jpg", "cat/X.jpg"), ("n/r", "N/R")])
def test_names_that_differ_in_case_only(suffix: str, one: str, other: str) -> None:
    text = refused(pack(PETS | {one: b"1", other: b"2"}, suffix), "X505")
    assert f"'photos.{suffix}' has two members of one name: {one!r} and {other!r}." in text
    assert "Fix: rename one of the two and pack the archive again." in text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_name_twice(suffix: str) -> None:
    # one of the two begins with "./"
    assert "'cat/1.jpg' and 'cat/1.jpg'" in refused(pack(PETS | {"./cat/1.jpg": b"2"}, suffix), "X505")
    Path("photos.tar").write_bytes(tar_of(("cat/1.jpg", b"1"), ("dog/1.jpg", b"1"), ("cat/1.jpg", b"2")))
    refused(Path("photos.tar"), "X505")
    with zipfile.ZipFile("photos.zip", "w") as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        packed.writestr("cat/1.jpg", b"1")
        packed.writestr("cat/1.jpg", b"2")
    refused(Path("photos.zip"), "X505")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_classes_that_differ_in_case_only_are_said(suffix: str) -> None:
    found = find(pack({"Cat/1.jpg": b"", "cat/2.jpg": b"", "dog/1.jpg": b""}, suffix))
    assert found.notes == ("these are different classes: 'Cat', 'cat'",)


# bombs


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_too_many_members(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile, "MOST_ENTRIES", 16)
    assert len(find(pack(PETS, suffix))) == 16
    monkeypatch.setattr(hostile, "MOST_ENTRIES", 15)
    text = refused(pack(PETS, suffix), "X504")
    assert text.startswith(f"SecurityError[X504]: 'photos.{suffix}' is refused: it has more than 15 members.")


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_a_million_members_are_not_all_kept(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []
    real = hostile.Rules.admit

    def admit(rules: hostile.Rules, name: str, *, is_folder: bool) -> str:
        alive.append(sum(type(thing) is tarfile.TarInfo for thing in gc.get_objects()))
        return real(rules, name, is_folder=is_folder)

    path = pack(PETS, suffix)
    gc.collect()
    monkeypatch.setattr(hostile.Rules, "admit", admit)
    find(path)
    assert len(alive) == len(PETS) and max(alive) <= min(alive) + 2


def peak_of(act: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


ZEROS = bytes(40 * 2**20)


@pytest.mark.parametrize("suffix", [*COMPRESSED, "zip"])
@pytest.mark.parametrize("name", ["cat/bomb.jpg", "bomb.txt", ".git/bomb"])
def test_a_member_that_swells_is_refused_before_it_fills_memory(suffix: str, name: str) -> None:
    path = pack(PETS | {name: ZEROS}, suffix)
    peak = peak_of(lambda: refused(path, "X504"))
    assert peak < 20 * 2**20
    text = refused(path, "X504")
    assert f"{name!r} unpacks from " in text and "and the limit is 1,000 to 1." in text
    assert "Fix: if you trust it: unpack it yourself and give the folder." in text


@pytest.mark.parametrize("suffix", [*COMPRESSED, "zip"])
def test_small_members_may_swell(suffix: str) -> None:
    found = find(pack(PETS | {"cat/black.bmp": bytes(900_000)}, suffix))
    assert found.source.read(f"photos.{suffix}!/cat/black.bmp") == bytes(900_000)


@pytest.mark.parametrize(("suffix", "tool"), [("tar.gz", "gzip"), ("tar.xz", "xz"), ("tar.bz2", "bzip2")])
def test_more_than_memory_should_hold(suffix: str, tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    total = sum(map(len, PETS.values()))
    monkeypatch.setattr(hostile, "MOST_TOTAL", total)
    assert len(find(pack(PETS, suffix))) == len(PETS)
    monkeypatch.setattr(hostile, "MOST_TOTAL", total - 1)
    text = refused(pack(PETS, suffix), "X504")
    assert "its files take more than 0.0 GB, and a compressed tar is read into memory." in text
    assert "A plain tar or a zip is read in place, however large it is." in text
    assert f"Fix: {tool} -dk photos.{suffix}, and give the plain tar." in text
    # a size is refused before it is read, so a lying header cannot make it read
    assert len(find(pack(PETS, "tar"))) == len(find(pack(PETS, "zip"))) == len(PETS)


def test_a_zip_that_unpacks_to_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile, "MOST_TOTAL", 10**6)
    path = pack({f"{kind}/{i}.bmp": bytes(10**6) for kind in ("cat", "dog") for i in range(5)}, "zip")
    assert f"its members unpack from {path.stat().st_size:,} to 10,000,000 bytes." in refused(path, "X504")


def patch_zip(path: Path, offset: int, value: int) -> None:
    """Set a 32-bit number in every entry of the directory, and in the header of the member itself, 6 bytes less far."""
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x01\x02", offset), (b"PK\x03\x04", offset - 2)):
        place = -1
        while (place := data.find(signature, place + 1)) >= 0:
            struct.pack_into("<I", data, place + at, value)
    path.write_bytes(data)


def test_zip_members_that_share_their_bytes() -> None:
    path = pack({"cat/1.jpg": bytes(1_000), "dog/1.jpg": bytes(1_000)}, "zip")
    patch_zip(path, 20, 300)
    size = path.stat().st_size
    assert f"its members claim 600 packed bytes, and it has {size}." in refused(path, "X504")


def test_a_zip_member_that_lies_about_its_size() -> None:
    path = pack({"cat/1.jpg": ZEROS, "dog/1.jpg": bytes(10)}, "zip")
    patch_zip(path, 24, 100)
    found = find(path)

    def read() -> None:
        with pytest.raises(DataError, match=r"D112\]: cannot read photos.zip!/cat/1.jpg .* it is damaged \(Bad CRC-32"):
            found.source.read("photos.zip!/cat/1.jpg")

    assert peak_of(read) < 5 * 2**20


def test_a_zip_member_shorter_than_it_says() -> None:
    path = pack({"cat/1.jpg": bytes(10), "dog/1.jpg": bytes(10)}, "zip")
    patch_zip(path, 24, 500_000)
    with pytest.raises(DataError, match=r"D112\]: cannot read photos.zip!/cat/1.jpg"):
        find(path).source.read("photos.zip!/cat/1.jpg")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_methods_that_can_swell_without_bound(method: int) -> None:
    with zipfile.ZipFile("photos.zip", "w", method) as packed:
        packed.writestr("cat/1.jpg", bytes(1_000))
    text = refused(Path("photos.zip"), "D112")
    assert f"cannot read 'cat/1.jpg' in 'photos.zip': it is compressed by method {method}; deflate is read." in text


def test_encrypted_zips() -> None:
    path = pack(PETS, "zip")
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "in 'photos.zip': it is encrypted.\n  Fix: unpack it and give the folder." in refused(path, "D112")


def header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    """The 512 bytes before a member, with any size field."""
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT))
    block[124:136], block[156:157] = size, kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


HUGE = b"\x80" + (2**60).to_bytes(11, "big")
NEGATIVE = b"\xff" * 10 + b"\xfe\x00"


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
@pytest.mark.parametrize("size", [HUGE, NEGATIVE, b"77777777777\0"])
def test_tar_headers_that_claim_all_memory(kind: bytes, size: bytes) -> None:
    data = header("cat/1.jpg", size, kind) + bytes(10_240)
    Path("photos.tar").write_bytes(data)
    Path("photos.tar.gz").write_bytes(gzip.compress(data))
    for name in ("photos.tar", "photos.tar.gz"):
        peak = peak_of(lambda name=name: refused(Path(name), "X504"))  # type: ignore[misc]
        assert peak < 5 * 2**20
        assert "is refused: a header in it claims " in refused(Path(name), "X504")


@pytest.mark.parametrize("size", [HUGE, NEGATIVE, b"77777777777\0"])
def test_tar_members_that_claim_any_size(size: bytes) -> None:
    data = header("cat/1.jpg", size) + bytes(10_240)
    Path("photos.tar").write_bytes(data)
    assert "cannot read photos.tar: the archive is damaged (it ends inside a member)." in refused(
        Path("photos.tar"), "D112"
    )
    Path("photos.tar.gz").write_bytes(gzip.compress(data))
    with pytest.raises(DojangError) as caught:
        find("photos.tar.gz")
    assert caught.value.code == ("D112" if size == NEGATIVE else "X504")


def test_a_tar_of_nothing_but_long_names() -> None:
    Path("photos.tar").write_bytes(header("x", b"00000000001\0", b"L").ljust(1_024, b"\0") * 5_000)
    refused(Path("photos.tar"), "D112")


# damage


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_archives_cut_short(suffix: str, part: float) -> None:
    path = pack(PETS, suffix)
    size = path.stat().st_size
    # a tar ends in blocks of zeros, of which one is enough
    size = size if suffix != "tar" else len(PETS) * 1_024
    os.truncate(path, int(size * part))
    assert refused(path, "D112").startswith(f"DataError[D112]: cannot read photos.{suffix}: ")


@pytest.mark.parametrize("blocks", range(1, 16))
def test_a_tar_that_ends_between_members(blocks: int) -> None:
    path = pack(dict.fromkeys(PETS, b"x"), "tar")
    os.truncate(path, blocks * 1_024)
    assert "the archive is damaged (it has no end mark)." in refused(path, "D112")


def test_a_tar_with_a_torn_header() -> None:
    path = pack(dict.fromkeys(PETS, b"x"), "tar")
    data = bytearray(path.read_bytes())
    data[3 * 1_024 + 5] ^= 1
    path.write_bytes(data)
    assert "the archive is damaged (it has no end mark)." in refused(path, "D112")


@pytest.mark.parametrize("open_", [lambda data: data, gzip.compress, bz2.compress, lzma.compress])
def test_tars_one_behind_the_other(open_: Callable[[bytes], bytes]) -> None:
    data = tar_of(("cat/1.jpg", b"1"), ("dog/1.jpg", b"1"))
    Path("photos.tar").write_bytes(open_(data + data))
    assert "the archive is damaged (it goes on after its end mark)." in refused(Path("photos.tar"), "D112")


def test_a_bad_checksum_at_the_end_of_a_compressed_tar() -> None:
    path = pack(PETS, "tar.gz")
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    assert "the archive is damaged (CRC check failed" in refused(path, "D112")


def test_a_bad_checksum_in_a_zip() -> None:
    path = pack({"cat/1.jpg": b"x" * 9, "dog/1.jpg": b"y" * 9}, "zip")
    found = find(path)
    data = bytearray(path.read_bytes())
    place = data.find(zlib.compress(b"x" * 9, 6)[2:-4])
    data[place + 1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"D112\]: cannot read photos.zip!/cat/1.jpg in 'photos.zip': it is damaged"):
        find(path).source.read("photos.zip!/cat/1.jpg")
    assert found.source.read("photos.zip!/dog/1.jpg") == b"y" * 9


@pytest.mark.parametrize("open_", [gzip.compress, bz2.compress, lzma.compress])
def test_what_is_compressed_but_no_tar(open_: Callable[[bytes], bytes]) -> None:
    Path("photos.dat").write_bytes(open_(_DRAW.bytes(2_000)))
    assert "cannot read photos.dat: it holds no tar (" in refused(Path("photos.dat"), "D112")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_random_damage_gives_our_errors_only(suffix: str) -> None:
    path = pack({name: data[:200] for name, data in PETS.items()}, suffix)
    whole = path.read_bytes()
    draw = np.random.default_rng(len(suffix))
    for _ in range(150):
        data = bytearray(whole)
        for place in draw.integers(0, len(data), draw.integers(1, 6)):
            data[place] = draw.integers(256)
        path.write_bytes(data)
        try:
            found = find(path)
            for row in found.paths:
                found.source.read(row)
        except DojangError as error:
            assert error.code in {"D100", "D101", "D122", "D124", "D107", "D109", "D112"} or error.code[0] == "X"
