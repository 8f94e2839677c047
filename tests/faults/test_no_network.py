"""X7: nothing that dojang does reaches for the network, and training makes no socket at all."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dojang
from dojang.cli.main import main

TINY = ["model=mnist-cnn", "conv_dims=3,4", "hidden_dims=6", "epochs=1", "batch=20", "val=10", "threads=1"]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "p.png"
    Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10)).save(path)
    return path


def test_every_verb_works_with_the_network_out_of_reach(
    stripes: Path, tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In process; conftest fails a test that tries to connect, and here not even a socket can be made."""

    def refuse(*args: object, **kwargs: object) -> None:
        pytest.fail("dojang made a socket")

    monkeypatch.setattr(socket.socket, "__init__", refuse)
    run = tmp_path / "train"
    for words in (
        ["train", str(stripes), *TINY, f"project={tmp_path}"],
        ["train", "--resume", str(run), "epochs=2"],
        ["val", str(run)],
        ["val", str(run), str(stripes), "--project", str(tmp_path)],
        ["predict", str(run), str(picture)],
        ["export", str(run), "--format", "torch-export"],
        ["summary", "mnist-cnn"],
    ):
        assert main(words) == 0, capsys.readouterr().err


def test_a_data_set_that_is_not_here_is_not_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    """No repair unasked: what would fetch it is named, and nothing is tried."""
    words = ["train", "mnist", "--data-root", str(tmp_path), f"project={tmp_path / 'runs'}"]
    assert main(words) == 3
    err = capsys.readouterr().err
    assert "mnist" in err
    assert "--download" in err
    assert list(tmp_path.iterdir()) == []


# sockets cannot be made, looked up or connected, from before dojang is imported on
ALONE = """
import socket, sys

def refuse(*args, **kwargs):
    raise SystemExit("a socket was asked for")

class Refused(socket.socket):
    __init__ = refuse

import _socket
# at the root of it: socket.socket is a class of Python's over this one
socket.socket = socket.SocketType = _socket.socket = _socket.SocketType = Refused
for name in ("socketpair", "create_connection", "create_server", "getaddrinfo", "gethostbyname", "fromfd"):
    setattr(socket, name, refuse)
for name in ("getaddrinfo", "gethostbyname", "socketpair"):
    setattr(_socket, name, refuse)
sys.addaudithook(lambda event, args: refuse() if event.startswith("socket.") else None)

import dojang
run = dojang.Model("mlp").train(data=sys.argv[1], project=sys.argv[2], epochs=1, val=10, threads=1)
run.val()
print(len(run.predict(sys.argv[3])))
"""

# what these libraries would send, and keep in the home folder, they may not; one of them has telemetry of its own
EXPORT = """
for format, int8 in (("openvino", False), ("onnx", True)):
    run.export(format, int8=int8)
print([name for name in sys.modules if name.partition(".")[0] in ("openvino_telemetry", "requests")])
"""


def test_training_makes_no_socket_in_a_process_of_its_own(stripes: Path, tmp_path: Path, picture: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, str(stripes), str(tmp_path), str(picture)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "1\n"


def test_nor_does_exporting(stripes: Path, tmp_path: Path, picture: Path, home: Path) -> None:
    """Nor do the libraries that it loads, in code that Python does not see: their files and threads would show."""
    before = sorted(path for path in home.rglob("*"))
    # with these ONNX Runtime is silent of its own
    spoken = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    ran = subprocess.run(
        [sys.executable, "-c", ALONE + EXPORT, str(stripes), str(tmp_path), str(picture)],
        capture_output=True,
        text=True,
        check=False,
        env=spoken,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "1\n[]\n"
    # nor is anything kept for later
    assert sorted(path for path in home.rglob("*")) == before


def test_onnx_runtime_is_imported_in_one_place_only() -> None:
    """Anywhere else it could come first, and would report to its maker."""
    source = Path(dojang.__file__).parent
    found = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"^\s*(import|from) onnxruntime", path.read_text("utf-8"), re.MULTILINE)
    }
    # the second one behind a call of the first
    assert found == {"export/runtime.py", "export/int8.py"}


@pytest.mark.parametrize("attempt", ["socket.socket()", "socket.getaddrinfo('localhost', 1)", "_socket.socket()"])
def test_the_trap_springs(attempt: str) -> None:
    code = ALONE.split("\nimport dojang")[0] + f"\n{attempt}\n"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "a socket was asked for" in ran.stderr
