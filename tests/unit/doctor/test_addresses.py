"""Tables of addresses: fetched on request alone, within limits, http and https alone, pictures by content."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dojang import files
from dojang.cli.main import main
from dojang.data import addresses
from dojang.data.addresses import AddressError, picture
from dojang.data.scan import find


def encoded(format: str, seed: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)).save(file, format)
    return file.getvalue()


PAGES = {"/a.png": encoded("PNG"), "/b": encoded("JPEG"), "/c.jpg": encoded("WEBP"), "/page": b"<html>no</html>"}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        asked.append(self.path)
        to = {
            "/file": "file:///etc/passwd",
            "/ftp": "ftp://127.0.0.1/a.png",
            "/hop": "/a.png",
            "/round": f"/round{len(asked)}",
        }
        path = "/round" if self.path.startswith("/round") else self.path
        if path in to:
            self.send_response(302)
            self.send_header("Location", to[path])
            self.end_headers()
        elif path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(30):
                try:
                    self.wfile.write(b"x")
                except OSError:
                    return
                time.sleep(0.02)
        elif path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(10_000):
                    self.wfile.write(bytes(10_000))
            except OSError:
                return
        else:
            page = PAGES.get(path)
            self.send_response(404 if page is None else 200)
            self.end_headers()
            self.wfile.write(page or b"")

    def log_message(self, *args: object) -> None:
        pass


asked: list[str] = []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "_sync_all", lambda: None)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def refusal(address: str, most: int = 100_000, seconds: float = 5.0) -> str:
    with pytest.raises(AddressError) as caught:
        picture(address, most, seconds)
    return str(caught.value)


@pytest.mark.sockets
def test_real_answers(here: str) -> None:
    assert picture(f"{here}/a.png", 10_000, 5) == (PAGES["/a.png"], "png")
    assert picture(f"{here}/b", 10_000, 5)[1] == "jpg"
    # what it is, not what it is called
    assert picture(f"{here}/c.jpg", 10_000, 5)[1] == "webp"
    assert picture(f"{here}/hop", 10_000, 5)[0] == PAGES["/a.png"]
    assert "404" in refusal(f"{here}/none")
    assert "it looks like an HTML page" in refusal(f"{here}/page")
    size = len(PAGES["/a.png"])
    assert refusal(f"{here}/a.png", most=size - 1) == f"it has more than {size - 1:,} bytes"
    assert refusal(f"{here}/endless") == "it has more than 100,000 bytes"
    assert "Redirection to url 'file:///etc/passwd' is not allowed" in refusal(f"{here}/file")
    assert refusal(f"{here}/ftp") == "it is no address of http or https"
    before = len(asked)
    assert "redirect" in refusal(f"{here}/round")
    assert len(asked) - before <= addresses.MOST_REDIRECTS + 1
    began = time.monotonic()
    assert refusal(f"{here}/slow", seconds=0.3) in ("it took more than 0.3 s", "timed out")
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://x/y", "data:image/png;base64,", "a.png", "http://", "http://x/a b",
                "//x/y", "http://x/\na", "http://[x/", "javascript:1", ""]
)  # fmt: skip
def test_what_is_no_address_is_never_asked(address: str) -> None:
    # the network is closed in tests: an attempt would fail otherwise
    assert refusal(address) == "it is no address of http or https"


@pytest.mark.sockets
def test_a_table_is_fetched_on_request_alone(here: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = ["/a.png", "/b", "/c.jpg", "/none", "/page"]
    lines = [f"{here}{path},{'cat' if number % 2 else 'dog'}" for number, path in enumerate(paths)]
    Path("t.csv").write_text("url,label\n" + "\n".join([*lines, "file:///etc/passwd,cat"]) + "\n")
    assert main(["data", "gather", "--by", "t.csv", "--out", "new"]) == 0
    said = capsys.readouterr().out
    assert "t.csv names 6 addresses at 127.0.0.1 (5), no host (1)" in said and "nothing was fetched" in said
    assert main(["data", "gather", "--by", "t.csv", "--out", "new", "--apply"]) == 2
    assert "nothing is fetched unasked" in capsys.readouterr().err
    assert asked == [] and not Path("new").exists()
    # three have no picture: said, written down, and in the status
    assert main(["data", "gather", "--by", "t.csv", "--out", "new", "--download"]) == 3
    said = capsys.readouterr().out
    assert "        3  pictures\n        3  addresses without a picture" in said and "404" in said
    found = find("new")
    assert found.paths == ("cat/000003.jpg", "dog/000002.png", "dog/000004.webp")
    rows = list(csv.DictReader(io.StringIO(Path("new.downloads.csv").read_text())))
    assert [row["result"] == "ok" for row in rows] == [True, True, True, False, False, False]
    assert rows[0]["sha256"] == files.sha256(PAGES["/a.png"]) and rows[0]["path"] == "dog/000002.png"
    assert rows[5]["result"] == "it is no address of http or https"
    assert main(["data", "gather", "--by", "t.csv", "--out", "new", "--download"]) == 2


@pytest.mark.sockets
def test_the_limit_of_all_together(here: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.csv").write_text(f"url,label\n{here}/a.png,cat\n{here}/b,cat\n{here}/c.jpg,cat\n")
    words = ["data", "gather", "--by", "t.csv", "--out", "new", "--download", "--json"]
    assert main([*words, "--max-total-megabytes", "0.001"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["fetched"] + len(told["failed"]) == 3 and told["failed"]
    assert 0 < sum(path.stat().st_size for path in Path("new").rglob("*.*")) <= 1000


@pytest.mark.sockets
def test_no_picture_at_all(here: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.csv").write_text(f"url,label\n{here}/none,cat\n{here}/page,cat\n")
    assert main(["data", "gather", "--by", "t.csv", "--out", "new", "--download"]) == 3
    said = capsys.readouterr().err
    assert "DataError[D119]: none of 2 addresses gave a picture" in said and "new.downloads.csv" in said
    assert not Path("new").exists() and not Path("new.unfinished").exists()
    assert main(["data", "gather", "--by", "t.csv", "--out", "new", "--download"]) == 3
    assert "DataError[D160]: 'new.downloads.csv' is there, of an earlier run." in capsys.readouterr().err
    Path("t.csv").write_text("url,label\nhttp://x/y,cat\nhttp://x/y,dog\n")
    assert main(["data", "gather", "--by", "t.csv", "--out", "other", "--download"]) == 3
    assert "D155]: t.csv line 3: http://x/y is on line 2 too." in capsys.readouterr().err
