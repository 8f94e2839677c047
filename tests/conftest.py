"""What every test lives in: no network, a home and a cache of its own."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest


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


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, matplotlib_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, beside ``tmp_path`` and not in it; caches lie below it."""
    folder = tmp_path_factory.mktemp("home")
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
