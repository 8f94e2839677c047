"""What every test lives in: no network, a home and a cache of its own."""

from __future__ import annotations

import io
import os
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from jaxtyping import install_import_hook

# shapes in types are checked wherever these are called in a test
install_import_hook(
    [
        "dojang.data.loader",
        "dojang.data.preprocess",
        "dojang.predict.predictor",
        "dojang.tasks.classify",
    ],
    "beartype.beartype",
)


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to connect or to look up a host fails the test, unless it is marked ``sockets``."""
    if request.node.get_closest_marker("sockets"):
        return

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        # Failed is no Exception, so no "except OSError" or "except Exception" on the way hides the attempt
        pytest.fail(f"this test tried to use the network: {args[-1:]}; mark it 'sockets' if it must")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.fixture(scope="session")
def matplotlib_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: matplotlib lists the fonts of the machine when it finds none of its own there."""
    return tmp_path_factory.mktemp("matplotlib")


@pytest.fixture(scope="session")
def native_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: compiling the kernels takes a second or two."""
    return tmp_path_factory.mktemp("native")


@pytest.fixture(autouse=True)
def home(
    tmp_path_factory: pytest.TempPathFactory,
    matplotlib_folder: Path,
    native_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """An empty home folder, beside ``tmp_path`` and not in it; caches lie below it."""
    folder = tmp_path_factory.mktemp("home")
    (folder / ".cache" / "dojang").mkdir(parents=True)
    (folder / ".cache" / "dojang" / "native").symlink_to(native_folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / ".cache"))
    monkeypatch.setenv("DOJANG_CACHE", str(folder / ".cache" / "dojang"))
    monkeypatch.setenv("MPLCONFIGDIR", str(matplotlib_folder))
    monkeypatch.delenv("DOJANG_DATA", raising=False)
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: $DOJANG_TEST_DATA, or shared/data beside the repository; skips where absent."""
    given = os.environ.get("DOJANG_TEST_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: set DOJANG_TEST_DATA, or put it into {folder}")
    return folder


def write_idx(path: Path, values: np.ndarray) -> None:
    """A NumPy uint8 array as an IDX file."""
    header = bytes([0, 0, 8, values.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in values.shape)
    path.write_bytes(header + values.tobytes())


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten-pixel grey pictures of three kinds (stripes down, across, none) as IDX files: 90 to train, 30 to test."""
    folder = tmp_path_factory.mktemp("stripes")
    draw = np.random.default_rng(0)
    for name, n in (("train", 90), ("t10k", 30)):
        kinds = np.arange(n) % 3
        pictures = draw.integers(0, 60, (n, 10, 10))
        for picture, kind in zip(pictures, kinds, strict=True):
            if kind < 2:
                lines = picture if kind else picture.T
                lines[:, draw.integers(0, 3) :: 3] += 180
        write_idx(folder / f"{name}-images-idx3-ubyte", pictures.astype(np.uint8))
        write_idx(folder / f"{name}-labels-idx1-ubyte", kinds.astype(np.uint8))
    return folder


@pytest.fixture
def as_nobody() -> Callable[[Callable[[], object]], str]:
    """Tells the error of dojang's that an act meets in a child process without root's rights.

    The child must not train: torch refuses a backward pass in a child of a process whose autograd has made threads.
    """
    # not at the top: what shapes are checked in is imported after the hook
    from dojang.errors import DojangError

    def error_of(act: Callable[[], object]) -> str:
        ours, theirs = os.pipe()
        with warnings.catch_warnings():
            # newer Pythons warn of threads that other tests left; the child runs none
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            text = "no error"
            try:
                if os.geteuid() == 0:
                    os.setgroups([])
                    os.setgid(65534)
                    os.setuid(65534)
                act()
            except DojangError as error:
                text = str(error)
            except BaseException as error:
                text = f"not ours: {error!r}"
            os.write(theirs, text.encode())
            os._exit(0)
        os.close(theirs)
        with open(ours, "rb") as pipe:
            text = pipe.read().decode()
        assert os.waitpid(child, 0)[1] == 0
        return text

    return error_of


class Web:
    """Stands for the network: what is at which address, and what was asked for."""

    def __init__(self, pages: dict[str, bytes | Exception]) -> None:
        self.pages, self.asked = pages, list[str]()

    def connect(self, address: str) -> io.BytesIO:
        self.asked.append(address)
        page = self.pages.get(address, OSError("404"))
        if isinstance(page, Exception):
            raise page
        return io.BytesIO(page)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Web]:
    """Puts pages where the network would be."""

    # not at the top: what shapes are checked in is imported after the hook
    from dojang.data import fetch

    def make(pages: dict[str, bytes | Exception]) -> Web:
        made = Web(pages)
        monkeypatch.setattr(fetch, "_connect", made.connect)
        return made

    return make
