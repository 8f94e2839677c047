"""The fixtures that every test lives in do what they say."""

from __future__ import annotations

import contextlib
import os
import socket
import urllib.request
from pathlib import Path

import pytest

from dojang import files


def test_the_network_is_out_of_reach():
    with socket.socket() as one:
        for attempt in (
            lambda: one.connect(("127.0.0.1", 9)),
            lambda: one.connect_ex(("127.0.0.1", 9)),
            lambda: socket.create_connection(("127.0.0.1", 9)),
            lambda: socket.getaddrinfo("localhost", 9),
            lambda: urllib.request.urlopen("http://localhost:9/"),
        ):
            with pytest.raises(pytest.fail.Exception, match="tried to use the network"), contextlib.suppress(Exception):
                attempt()


@pytest.mark.sockets
def test_the_marker_opens_it():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_home_and_cache_are_empty_and_beside_tmp_path(home, tmp_path):
    assert Path.home() == home
    # compiling takes seconds, so the kernels' folder is one for all tests; it is all there is
    native = files.cache_folder() / "native"
    assert [path for path in home.rglob("*") if not path.is_dir()] == []
    assert list(files.cache_folder().iterdir()) == [native] and native.is_symlink()
    assert list(tmp_path.iterdir()) == []
    assert files.cache_folder().is_relative_to(home)
    assert not home.is_relative_to(tmp_path)
    assert "DOJANG_DATA" not in os.environ
