"""Hostile archives given to `dojang clean --out --apply`: refused by name, and nothing is written anywhere."""

from __future__ import annotations

import gzip
import hashlib
import io
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dojang.cli.main import main
from dojang.data import hostile


def picture(number: int) -> bytes:
    file = io.BytesIO()
    levels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(levels).save(file, "PNG")
    return file.getvalue()


PETS = {f"pets/{kind}/{i}.png": picture(i) for i in range(3) for kind in ("cat", "dog")}
OUTSIDE = [
    "../evil.png",
    "pets/cat/../../../evil.png",
    "/evil.png",
    "C:/evil.png",
    "C:evil.png",
    "..\\evil.png",
    "\\evil.png",
    "pets\\..\\..\\..\\evil.png",
    ".git/../../evil.png",
    "../notes.txt",
]


def tar(path: Path, add: Callable[[tarfile.TarFile], None]) -> None:
    with tarfile.open(path, "w") as packed:
        for name, data in PETS.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
        add(packed)


def tar_member(name: str, data: bytes = b"evil") -> Callable[[tarfile.TarFile], None]:
    def add(packed: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        packed.addfile(info, io.BytesIO(data))

    return add


def tar_special(kind: bytes, target: str, then: str = "") -> Callable[[tarfile.TarFile], None]:
    """A link or a device, and perhaps a file that would be written through it."""

    def add(packed: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("pets/cat/link" if then else "pets/cat/link.png")
        info.type, info.linkname = kind, target
        packed.addfile(info)
        if then:
            tar_member(then)(packed)

    return add


def zip_of(path: Path, name: str, data: bytes = b"evil", mode: int = 0) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it warns of names that are there twice
        for member, content in PETS.items():
            packed.writestr(member, content)
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, (mode | 0o777) << 16 if mode else 0
        info.compress_type = zipfile.ZIP_DEFLATED
        packed.writestr(info, data)


def everything(root: Path) -> dict[str, str]:
    """Every name below a place, what kind of thing it is, and what is in it; links are not followed."""
    found = {}
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode
        content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else ""
        found[str(path.relative_to(root))] = f"{stat.S_IFMT(mode):o} {content}"
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three folders deep, so that what climbs out would show; beside it a file that a link would overwrite."""
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    (tmp_path / "a" / "secret.png").write_bytes(b"secret")
    monkeypatch.chdir(folder)
    return tmp_path


def refused(place: Path, archive: str, code: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The message; every way of cleaning is tried, and the whole surroundings stay as they were."""
    before = everything(place)
    for words in (
        ["--out", "new", "--apply"],
        ["--out", "new", "--rename-classes", "lower", "--reencode", "png", "--plan", "p.csv", "--apply"],
        ["--plan", "p.csv"],
    ):
        assert main(["clean", archive, *words]) == 3
        said = capsys.readouterr().err
        assert f"[{code}]" in said and archive in said.replace("the archive", archive)
        assert everything(place) == before
    return said


def packed_as(suffix: str, add: Callable[[tarfile.TarFile], None]) -> str:
    tar(Path("evil.tar"), add)
    if suffix == "tar":
        return "evil.tar"
    data = gzip.compress(Path("evil.tar").read_bytes())
    Path("evil.tar").unlink()
    Path("evil.tar.gz").write_bytes(data)
    return "evil.tar.gz"


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "zip"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_members_that_would_lie_outside(
    place: Path, capsys: pytest.CaptureFixture[str], suffix: str, name: str
) -> None:
    if suffix == "zip":
        zip_of(Path("evil.zip"), name)
        archive = "evil.zip"
    else:
        archive = packed_as(suffix, tar_member(name))
    shown = name.replace("\\", "/") if suffix == "zip" else name
    assert f"a member named {shown!r}, which would lie outside" in refused(place, archive, "X502", capsys)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
@pytest.mark.parametrize(
    ("kind", "target", "then"),
    [
        (tarfile.SYMTYPE, "../../../../secret.png", ""),
        (tarfile.SYMTYPE, "/tmp", "pets/cat/link/evil.png"),
        (tarfile.SYMTYPE, "..", "pets/cat/link/link/evil.png"),
        (tarfile.LNKTYPE, "../../../../secret.png", ""),
        (tarfile.LNKTYPE, "pets/cat/0.png", ""),
        (tarfile.CHRTYPE, "", ""),
        (tarfile.BLKTYPE, "", ""),
        (tarfile.FIFOTYPE, "", ""),
    ],
)
def test_links_and_devices(
    place: Path, capsys: pytest.CaptureFixture[str], suffix: str, kind: bytes, target: str, then: str
) -> None:
    archive = packed_as(suffix, tar_special(kind, target, then))
    said = refused(place, archive, "X503", capsys)
    assert f"{archive!r} has a member that is" in said and "'pets/cat/link" in said


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR])
def test_links_and_devices_in_a_zip(place: Path, capsys: pytest.CaptureFixture[str], mode: int) -> None:
    zip_of(Path("evil.zip"), "pets/cat/link.png", b"../../../../secret.png", mode)
    assert "'pets/cat/link.png'" in refused(place, "evil.zip", "X503", capsys)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "zip"])
@pytest.mark.parametrize("name", ["pets/cat/0.PNG", "pets/cat/./0.png", "pets/Cat/0.png"])
def test_names_that_are_one(place: Path, capsys: pytest.CaptureFixture[str], suffix: str, name: str) -> None:
    if suffix == "zip":
        zip_of(Path("evil.zip"), name, PETS["pets/cat/0.png"])
        archive = "evil.zip"
    else:
        archive = packed_as(suffix, tar_member(name))
    assert f"{archive!r} has two members of one name" in refused(place, archive, "X505", capsys)


@pytest.mark.parametrize("suffix", ["tar.gz", "zip"])
def test_bombs(place: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    zeros = bytes(40 * 2**20)
    if suffix == "zip":
        zip_of(Path("evil.zip"), "pets/cat/bomb.png", zeros)
        archive = "evil.zip"
    else:
        archive = packed_as(suffix, tar_member("pets/cat/bomb.png", zeros))
    assert f"{archive!r} is refused: 'pets/cat/bomb.png' unpacks from" in refused(place, archive, "X504", capsys)


@pytest.mark.parametrize("suffix", ["tar", "zip"])
def test_too_many_members(
    place: Path, capsys: pytest.CaptureFixture[str], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hostile, "MOST_ENTRIES", 6)
    if suffix == "zip":
        zip_of(Path("evil.zip"), "pets/cat/9.png", picture(9))
        archive = "evil.zip"
    else:
        archive = packed_as("tar", tar_member("pets/cat/9.png", picture(9)))
    refused(place, archive, "X504", capsys)


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "zip"])
def test_a_good_archive_becomes_a_folder(place: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    archive = f"good.{suffix}"
    if suffix == "zip":
        zip_of(Path(archive), "pets/cat/more.png", picture(7))
    else:
        Path(packed_as(suffix, tar_member("pets/cat/more.png", picture(7)))).rename(archive)
    assert main(["clean", archive, "--out", "new", "--apply"]) == 0
    made = {path.relative_to("new").as_posix(): path.read_bytes() for path in Path("new").rglob("*") if path.is_file()}
    assert made == {name.removeprefix("pets/"): data for name, data in PETS.items()} | {"cat/more.png": picture(7)}
    assert sorted(path.name for path in Path().iterdir()) == sorted([archive, "new", "new.plan.csv"])


def test_an_edited_plan_cannot_lead_outside(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = packed_as("tar", tar_member("pets/cat/9.png", picture(9)))
    assert main(["clean", archive, "--plan", "p.csv"]) == 0
    text = Path("p.csv").read_text()
    for to in ("../../evil.png", "/evil.png", "C:/x/evil.png", "..\\evil.png", "cat/../../evil.png", "cat/.hidden.png"):
        Path("p.csv").write_text(text.replace("keep,cat/9.png", f"keep,{to}"))
        before = everything(place)
        assert main(["clean", archive, "--plan", "p.csv", "--out", "new", "--apply"]) == 3
        assert "DataError[D152]: p.csv line " in capsys.readouterr().err
        assert everything(place) == before
