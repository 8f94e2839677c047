"""The only writer: whole files or none, folders with numbers, locks, names that stay inside, and the refusals.

Faults in the middle of a write are tests/faults/test_saves.py.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dojang import files, folders
from dojang.errors import ConfigError, ResourceError, SecurityError

WRITABLE = "choose a place you can write: --out, --project FOLDER (or DOJANG_CACHE=FOLDER for the cache)."
# any bytes that a file system takes as a name
NAMES = st.binary(min_size=1, max_size=40).filter(lambda b: b"\0" not in b and b"/" not in b).map(os.fsdecode)
AsNobody = Callable[[Callable[[], object]], str]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that everybody can list and nobody but root can write, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "old.txt").write_bytes(b"old")
        os.chmod(folder / "old.txt", 0o444)
        os.chmod(folder, 0o555)
        yield folder
        os.chmod(folder, 0o755)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes ten bytes a call and is full after the second."""
    calls = 0

    def write(fd: int, data: memoryview) -> int:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(fd, data[:10])

    monkeypatch.setattr(files, "_write", write)
    monkeypatch.setattr(files, "_free", lambda folder: 96_000_000)


# Writing


def test_pieces_become_one_file(tmp_path: Path) -> None:
    with files.writing(tmp_path / "deep" / "er" / "a.bin") as out:
        out.write(b"12")
        out.write(memoryview(b"345"))
        assert out.size == 5
        # nothing is to be seen before the end
        assert not (tmp_path / "deep" / "er" / "a.bin").exists()
    assert (tmp_path / "deep" / "er" / "a.bin").read_bytes() == b"12345"
    assert names(tmp_path / "deep" / "er") == ["a.bin"]


def test_an_array_is_written_as_its_bytes(tmp_path: Path) -> None:
    import numpy as np

    values = np.arange(12, dtype=np.int64).reshape(3, 4)
    files.write_bytes(tmp_path / "a.bin", values.data)
    assert (tmp_path / "a.bin").read_bytes() == values.tobytes()


def test_a_system_that_writes_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_write", lambda fd, data: os.write(fd, data[:3]))
    files.write_bytes(tmp_path / "a.bin", bytes(range(100)))
    assert (tmp_path / "a.bin").read_bytes() == bytes(range(100))
    files.append_text(tmp_path / "a.csv", "0123456789\n")
    assert (tmp_path / "a.csv").read_bytes() == b"0123456789\n"


@pytest.mark.parametrize("fault", [RuntimeError("mine"), KeyboardInterrupt()])
def test_an_error_in_the_block_leaves_the_old_file(tmp_path: Path, fault: BaseException) -> None:
    files.write_bytes(tmp_path / "a.bin", b"old")
    with pytest.raises(type(fault)), files.writing(tmp_path / "a.bin") as out:
        out.write(b"new")
        raise fault
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_no_descriptor_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd"))
    files.write_bytes(tmp_path / "a.bin", b"1")
    files.append_text(tmp_path / "a.csv", "1\n")
    with contextlib.suppress(RuntimeError), files.writing(tmp_path / "b.bin"):
        raise RuntimeError
    for call in ("_write", "_sync", "_replace"):
        with monkeypatch.context() as patch, contextlib.suppress(ResourceError):
            patch.setattr(files, call, _raises(errno.EIO))
            files.write_bytes(tmp_path / "a.bin", b"2")
    with files.locked(tmp_path / ".lock", "it"):
        pass
    assert len(os.listdir("/proc/self/fd")) == before
    assert (tmp_path / "a.bin").read_bytes() == b"1"


def _raises(number: int) -> Callable[..., int]:
    def call(*args: object, **more: object) -> int:
        raise OSError(number, os.strerror(number))

    return call


def test_a_close_that_fails_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The descriptor is gone after the first close, whatever it said; a second would close another file's."""
    closed: list[int] = []

    def close(fd: int) -> None:
        closed.append(fd)
        os.close(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files, "_close", close)
    with pytest.raises(ResourceError, match=r"^ResourceError\[R402\]: .*: Input/output error\."):
        files.write_bytes(tmp_path / "a.bin", b"1")
    assert len(closed) == 1
    assert names(tmp_path) == []


def test_the_first_error_is_told_when_the_close_fails_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def close(fd: int) -> None:
        os.close(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files, "_close", close)
    monkeypatch.setattr(files, "_write", _raises(errno.ENOSPC))
    with pytest.raises(ResourceError, match="R401"):
        files.write_bytes(tmp_path / "a.bin", b"1")
    assert names(tmp_path) == []


@settings(max_examples=25)
@given(NAMES, st.text(st.characters(codec="utf-8")) | NAMES)
def test_text_and_names_of_any_bytes(name: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name + "_")
        files.write_text(path, text)
        assert files.read_text(path) == text
        assert path.read_bytes() == os.fsencode(text)
        files.append_text(path, text)
        assert path.read_bytes() == os.fsencode(text) * 2
        assert names(Path(folder)) == [path.name]


def test_json_is_plain_and_strict(tmp_path: Path) -> None:
    value = {"format": 1, "name": "고양이", "values": [1.5, None, True]}
    files.write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text("utf-8")
    assert json.loads(text) == value
    assert text.startswith('{\n  "format": 1,\n  "name": "고양이"')
    assert text.endswith("}\n")
    # JSON has no NaN, and most readers of it fail on one
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", float("nan"))
    assert (tmp_path / "a.json").read_text("utf-8") == text


def test_a_log_grows_at_its_end(tmp_path: Path) -> None:
    for i in range(3):
        files.append_text(tmp_path / "steps.csv", f"{i}\n")
    assert (tmp_path / "steps.csv").read_text() == "0\n1\n2\n"


def test_a_log_is_flushed_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for name in ("_write", "_sync", "_close"):
        real = getattr(files, name)

        def call(*args: object, name: str = name, real: Callable[..., object] = real) -> object:
            seen.append(name)
            return real(*args)

        monkeypatch.setattr(files, name, call)
    files.append_text(tmp_path / "steps.csv", "1\n")
    assert seen == ["_write", "_sync", "_close"]


# What the refusals say


@pytest.mark.usefixtures("full")
def test_r401_says_how_much_and_where(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(ResourceError) as caught:
        files.write_bytes(tmp_path / "a.bin", bytes(412_000_000), keeps="state/step-4500 is intact.")
    assert str(caught.value) == (
        f"ResourceError[R401]: cannot write a.bin: needs at least 412.0 MB, 96.0 MB free on {str(tmp_path)!r} "
        "(No space left on device).\n"
        "  state/step-4500 is intact.\n"
        "  Fix: free space, then run the command again (a training run: dojang train --resume RUN)."
    )
    assert isinstance(caught.value.__cause__, OSError)
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.usefixtures("full")
def test_r401_of_a_log(tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as caught:
        files.append_text(tmp_path / "steps.csv", "0123456789" * 3)
    assert str(caught.value).startswith(
        f"ResourceError[R401]: cannot write steps.csv: needs at least 10 bytes, 96.0 MB free on {str(tmp_path)!r} ("
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_r401_for_every_kind_of_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Also when there is no room for the folder; then the nearest one that exists is named."""
    monkeypatch.setattr(Path, "mkdir", _raises(number))
    with pytest.raises(ResourceError) as caught:
        files.write_bytes(tmp_path / "no" / "such" / "a.bin", b"1")
    assert caught.value.code == "R401"
    assert f"free on {str(tmp_path)!r} ({os.strerror(number)})." in caught.value.what
    with pytest.raises(ResourceError, match="R401"):
        folders.numbered(tmp_path, "train")


def test_r402_of_a_place_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    path = tmp_path / "a" / "b" / "c.json"
    for act in (
        lambda: files.write_text(path, ""),
        lambda: files.append_text(path, ""),
        lambda: folders.numbered(path, "train"),
        lambda: _lock(path),
    ):
        with pytest.raises(ResourceError) as caught:
            act()
        assert caught.value.code == "R402"
        assert ": Not a directory." in caught.value.what
    with pytest.raises(ResourceError) as caught:
        files.write_text(path, "")
    assert str(caught.value) == f"ResourceError[R402]: cannot write {str(path)!r}: Not a directory.\n  Fix: {WRITABLE}"


def _lock(path: Path) -> None:
    with files.locked(path, "it"):
        pass


def test_a_folder_that_may_not_be_written(read_only: Path, as_nobody: AsNobody) -> None:
    """In a child that is nobody: root may write anywhere."""
    new, old = read_only / "new.txt", read_only / "old.txt"
    acts: dict[Path, list[Callable[[], object]]] = {
        new: [
            lambda: files.write_text(new, "new"),
            lambda: files.append_text(new, "new"),
            lambda: folders.numbered(read_only, "new.txt"),
            lambda: folders.numbered(read_only, "new.txt", exist_ok=True),
            lambda: _lock(new),
        ],
        old: [
            # the file itself may be replaced only where the folder may be written
            lambda: files.write_text(old, "new"),
            lambda: files.append_text(old, "new"),
            lambda: _lock(old),
        ],
        new / "er": [lambda: files.write_text(new / "er", "new"), lambda: folders.numbered(new, "er")],
    }
    for path, several in acts.items():
        for act in several:
            reason = f"cannot write {str(path)!r}: Permission denied."
            assert as_nobody(act) == f"ResourceError[R402]: {reason}\n  Fix: {WRITABLE}"
    assert names(read_only) == ["old.txt"]
    assert old.read_bytes() == b"old"


# Names that stay inside


@pytest.mark.parametrize("name", ["a.jpg", "cat/1.jpg", "a..b", "...", "cat/..dog", "./a", "é/ü", "a b", "cat//1.jpg"])
def test_members_that_stay_inside(tmp_path: Path, name: str) -> None:
    assert files.check_member(name) == name
    assert files.safe_join(tmp_path, name).is_relative_to(tmp_path.resolve())


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../../b",
        "a/..",
        "..",
        "..\\a",
        "a\\..\\..\\b",
        "\\\\host\\share",
        "C:\\a",
        "c:a",
        "C:/a",
        "a\0.jpg",
    ],
)
def test_members_that_do_not(tmp_path: Path, name: str) -> None:
    for act in (lambda: files.check_member(name), lambda: files.safe_join(tmp_path, name)):
        with pytest.raises(SecurityError) as caught:
            act()
        assert str(caught.value) == (
            f"SecurityError[X502]: the archive has a member named {name!r}, which would lie outside the folder it is "
            "unpacked to.\n"
            "  Nothing was read from it or written.\n"
            "  Fix: get the archive from a source you trust, or pack the pictures again with relative names."
        )


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "", "...", "C:", "a\\..", "~"]), max_size=6).map("/".join))
def test_what_is_joined_lies_inside(name: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        try:
            path = files.safe_join(root, name)
        except SecurityError:
            return
        assert Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def test_a_link_that_leads_outside(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "away").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "near").symlink_to(tmp_path / "in")
    assert files.safe_join(tmp_path / "in", "near/a") == tmp_path.resolve() / "in" / "a"
    for name in ("away", "away/a"):
        with pytest.raises(SecurityError, match="X502"):
            files.safe_join(tmp_path / "in", name)


# Folders with numbers


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    found = [folders.numbered(tmp_path / "runs" / "classify", "train") for _ in range(3)]
    assert [path.name for path in found] == ["train", "train2", "train3"]
    assert all(path.is_dir() for path in found)
    # the first free number is taken
    found[1].rmdir()
    assert folders.numbered(tmp_path / "runs" / "classify", "train") == found[1]


def test_a_file_of_that_name_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "train").write_bytes(b"mine")
    (tmp_path / "train2").symlink_to(tmp_path / "nowhere")
    assert folders.numbered(tmp_path, "train").name == "train3"
    assert (tmp_path / "train").read_bytes() == b"mine"


def test_exist_ok_takes_the_folder_that_is_there(tmp_path: Path) -> None:
    first = folders.numbered(tmp_path, "train", exist_ok=True)
    (first / "a").write_bytes(b"")
    assert folders.numbered(tmp_path, "train", exist_ok=True) == first
    assert names(tmp_path) == ["train"]


def test_exist_ok_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "train").write_bytes(b"mine")
    with pytest.raises(ConfigError) as caught:
        folders.numbered(tmp_path, "train", exist_ok=True)
    assert str(caught.value) == (
        f"ConfigError[C205]: {str(tmp_path / 'train')!r} is a file; a folder is needed.\n  Fix: --name other"
    )


def test_two_that_begin_at_once_get_two_folders(tmp_path: Path) -> None:
    found: list[Path] = []
    start = threading.Barrier(8)

    def begin() -> None:
        start.wait()
        found.append(folders.numbered(tmp_path, "train"))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in found) == ["train", *(f"train{i}" for i in range(2, 9))]


# What killed writers leave


def dead_process() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_only_the_temporaries_of_the_dead_go(tmp_path: Path) -> None:
    dead = dead_process()
    gone = [f".a.bin.{dead}.dojang-tmp", f"weights/.b.c.{dead}.dojang-tmp"]
    kept = [
        f".a.bin.{os.getpid()}.dojang-tmp",
        ".a.bin.1.dojang-tmp",
        f".a.bin.{10**30}.dojang-tmp",
        ".a.bin.dojang-tmp",
        f"a.bin.{dead}.dojang-tmp",
        f".a.bin.{dead}.tmp",
        ".a.bin.x.dojang-tmp",
        "weights/best.safetensors",
    ]
    (tmp_path / "weights").mkdir()
    for name in (*gone, *kept):
        (tmp_path / name).write_bytes(b"")
    assert folders.clear_temporaries(tmp_path) == [Path(name).name for name in gone]
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(left) == sorted(kept)
    assert folders.clear_temporaries(tmp_path) == []


def test_a_living_process_keeps_its_temporary(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (tmp_path / f".a.{child.pid}.dojang-tmp").write_bytes(b"")
        assert folders.clear_temporaries(tmp_path) == []
    finally:
        child.communicate(b"\n")
    assert len(folders.clear_temporaries(tmp_path)) == 1


def test_the_temporaries_of_another_user_are_his(tmp_path: Path, as_nobody: AsNobody) -> None:
    """kill() answers EPERM for a process that lives and is not ours."""
    os.chmod(tmp_path, 0o755)
    assert as_nobody(lambda: _must(files._alive(os.getppid()))) == "no error"


def _must(true: bool) -> None:
    assert true


def test_what_a_writer_leaves_has_a_name_that_is_cleared(tmp_path: Path) -> None:
    """A writer that is killed in its block."""
    code = (
        "import os, sys; from dojang import files\n"
        "with files.writing(sys.argv[1]) as out:\n    out.write(b'half')\n    os._exit(137)"
    )
    child = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.bin")], check=False)
    assert child.returncode == 137
    [left] = names(tmp_path)
    assert folders.clear_temporaries(tmp_path) == [left]
    assert names(tmp_path) == []


# Locks


def test_a_lock_is_held_for_the_block(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with files.locked(path, "'runs/train'"):
        with pytest.raises(ConfigError) as caught, files.locked(path, "'runs/train'"):
            pytest.fail("the lock was given twice")
        assert str(caught.value) == (
            f"ConfigError[C206]: 'runs/train' is in use by process {os.getpid()}.\n"
            "  Fix: wait for it to end, or stop it."
        )
    with files.locked(path, "'runs/train'"):
        pass


def test_a_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with contextlib.suppress(RuntimeError), files.locked(tmp_path / ".lock", "it"):
        raise RuntimeError
    _lock(tmp_path / ".lock")


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dojang import files\n"
        "with files.locked(Path(sys.argv[1]), 'it'):\n    print('held', flush=True)\n    input()"
    )
    path = tmp_path / ".lock"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=f"in use by process {child.pid}"):
            _lock(path)
        child.kill()
        child.wait()
        _lock(path)


# Digests, and the cache


@given(st.binary(max_size=200))
def test_digests(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a")
        path.write_bytes(data)
        assert files.sha256(data) == files.sha256_of(path) == hashlib.sha256(data).hexdigest()
        assert files.sha256_of(path, "md5") == hashlib.md5(data).hexdigest()


def test_where_the_cache_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOJANG_CACHE", "/somewhere")
    assert files.cache_folder() == Path("/somewhere")
    monkeypatch.delenv("DOJANG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert files.cache_folder() == Path("/caches/dojang")
    # an empty variable counts as none, as the XDG rules have it
    for name in ("DOJANG_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
    assert files.cache_folder() == home / ".cache" / "dojang"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert files.cache_folder() == home / ".cache" / "dojang"


def test_removing(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "pixels.bin").write_bytes(b"1")
    (tmp_path / "a").write_bytes(b"1")
    files.remove(tmp_path / "a")
    files.remove(tmp_path / "a")
    folders.remove_folder(tmp_path / "store")
    assert names(tmp_path) == []


def test_a_move_never_replaces_anything(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    (tmp_path / "dangling").symlink_to("nowhere")
    for target in ("b", "dangling", "none/x"):
        with pytest.raises(ResourceError, match="R402"):
            folders.move(tmp_path / "a", tmp_path / target)
    assert (tmp_path / "a").read_text() == "a" and (tmp_path / "b").read_text() == "b"
    folders.move(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_text() == "a"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems look first and rename then")
def test_a_file_that_appears_while_another_is_moved_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("a")
    real = os.path.lexists

    def appears(path: Path) -> bool:
        there = real(path)
        Path(path).write_text("new")
        return there

    monkeypatch.setattr(os.path, "lexists", appears)
    with pytest.raises(ResourceError, match=r"R402\]: cannot write .*b': File exists"):
        folders.move(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a").read_text() == "a" and (tmp_path / "b").read_text() == "new"


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    half = folders.unfinished(tmp_path / "new")
    files.write_bytes(half / "deep" / "a.bin", b"1", flush=False)
    assert half.name == "new.unfinished" and not (tmp_path / "new").exists()
    folders.finish(tmp_path / "new")
    assert (tmp_path / "new" / "deep" / "a.bin").read_bytes() == b"1" and not half.exists()
    with pytest.raises(ConfigError, match="C202"):
        files.must_be_new(tmp_path / "new", fix="--out NEW", flag="--out")


def test_a_name_as_long_as_disks_take(tmp_path: Path) -> None:
    for name in ("고" * 83 + ".png", "x" * 255):
        files.write_bytes(tmp_path / name, b"1")
        assert names(tmp_path) == [name]
        (tmp_path / name).unlink()
        with folders.new_folder(tmp_path / name) as folder:
            files.write_bytes(folder / name, b"2", flush=False)
        assert (tmp_path / name / name).read_bytes() == b"2"
        (tmp_path / name / name).unlink()
        (tmp_path / name).rmdir()
