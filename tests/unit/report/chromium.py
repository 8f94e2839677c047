"""A headless Chromium driven through a pipe by its own protocol: no socket, no library, no download.

Source: the Chrome DevTools Protocol, https://chromedevtools.github.io/devtools-protocol/, with --remote-debugging-pipe:
JSON messages that end in a zero byte, from file descriptor 4, to file descriptor 3.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

# puts the two pipes where the protocol expects them, out of each other's way first, and becomes the browser
_AS_EXPECTED = """import os, sys
for given, high in ((int(sys.argv[1]), 100), (int(sys.argv[2]), 101)):
    os.dup2(given, high)
os.dup2(100, 3)
os.dup2(101, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def found() -> str | None:
    """Where Chromium is, if it is on this machine."""
    return next((place for name in NAMES if (place := shutil.which(name))), None)


class Browser:
    """One page in a browser of its own.

    Args:
        profile: An empty folder for the browser's own files.
        width, height: Of the page, in CSS pixels.
        scale: Device pixels to one of them.
        dark, still: What the reader prefers: dark colours, and little motion.
        environment: Variables beside those of this process.
    """

    def __init__(
        self,
        profile: Path,
        *,
        width: int = 1100,
        height: int = 900,
        scale: float = 1.0,
        dark: bool = False,
        still: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        # of what the page says to the console, and of what it wanted from elsewhere
        self.errors: list[str] = []
        self.asked: list[str] = []
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._events: list[dict[str, Any]] = []
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()

        self._process = subprocess.Popen(
            [
                *(sys.executable, "-S", "-c", _AS_EXPECTED, str(theirs_in), str(theirs_out)),
                found() or "chromium",
                *("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
                *("--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={profile}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs_in, theirs_out),
            env={**os.environ, **(environment or {})},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            self._begin(width, height, scale, dark=dark, still=still)
        except BaseException:
            self.close()
            raise

    def _begin(self, width: int, height: int, scale: float, *, dark: bool, still: bool) -> None:
        target = self._call("Target.createTarget", {"url": "about:blank"}, session="")["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True}, session="")[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        self.resize(width, height, scale)
        features = [("prefers-color-scheme", "dark" if dark else "light")]
        features.append(("prefers-reduced-motion", "reduce" if still else "no-preference"))
        self._call(
            "Emulation.setEmulatedMedia", {"features": [{"name": name, "value": value} for name, value in features]}
        )

    def resize(self, width: int, height: int, scale: float = 1.0) -> None:
        """Another size of the page; under 600 pixels it is a phone's."""
        facts = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", facts)

    def open(self, path: Path) -> None:
        """Load a page and wait until it stands."""
        self._call("Page.navigate", {"url": path.absolute().as_uri()})
        self._until("Page.loadEventFired")
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self._call("Runtime.evaluate", {"expression": script, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def click(self, selector: str) -> None:
        """Press the middle of an element with the mouse, as a reader would."""
        script = f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
            e.scrollIntoView({{block: 'center', inline: 'center', behavior: 'instant'}});
            const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"""
        x, y = self.run(script)
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1})

    def press(self, key: str, text: str = "") -> None:
        """Press a key, by its name in the DOM ("ArrowRight", "Enter", "Escape")."""
        codes = {"Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9}
        facts = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        self._call("Input.dispatchKeyEvent", {"type": "keyDown", "text": text, **facts})
        self._call("Input.dispatchKeyEvent", {"type": "keyUp", **facts})

    def shoot(self, *, whole: bool = False, kind: str = "png", quality: int = 70) -> bytes:
        """A picture of the window, or of the whole page."""
        facts: dict[str, Any] = {"format": kind, "captureBeyondViewport": whole}
        if kind != "png":
            facts["quality"] = quality
        if whole:
            size = self._call("Page.getLayoutMetrics")["cssContentSize"]
            facts["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        return base64.b64decode(self._call("Page.captureScreenshot", facts)["data"])

    def paper(self) -> bytes:
        """The page as PDF."""
        return base64.b64decode(self._call("Page.printToPDF", {"printBackground": False, "paperWidth": 8.27,
                                                                "paperHeight": 11.69})["data"])  # fmt: skip

    def _call(self, method: str, facts: dict[str, Any] | None = None, session: str | None = None) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": facts or {}}
        if session is None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                found: dict[str, Any] = answer["result"]
                return found
            self._note(answer)

    def _until(self, method: str) -> None:
        while not any(event.get("method") == method for event in self._events):
            self._note(self._next())
        self._events.clear()

    def _note(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        method, facts = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(facts["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and facts["type"] in ("error", "warning"):
            self.errors.append(json.dumps(facts["args"]))
        elif method == "Log.entryAdded" and facts["entry"]["level"] in ("error", "warning"):
            self.errors.append(facts["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not facts["request"]["url"].startswith(("data:", "file:")):
            self.asked.append(facts["request"]["url"])

    def _next(self, seconds: float = 30.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self._in, 1 << 20)
            if not piece:
                raise RuntimeError("the browser has ended")
            self._buffer += piece
        text, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        return found

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser."""
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
