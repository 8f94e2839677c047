"""The pictures of docs/report.md, by a headless Chromium: python docs/report/draw.py RUN [FONTS]

RUN is one of MNIST, whose pictures may be shown to anybody: `dojang train mnist --model sprint-s --epochs 1`. FONTS
is a folder that holds fonts/, for a machine without Korean letters (it becomes XDG_DATA_HOME of the browser).
"""

from __future__ import annotations

import io
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from dojang.report.report import Report

HERE = Path(__file__).parent
DRIVER = HERE.parents[1] / "tests" / "unit" / "report" / "chromium.py"
# name, language, width, height, dark, the cell to press
SHOTS = (
    ("desktop", "en", 1100, 1180, False, ""),
    ("dark", "en", 1100, 900, True, "td.miss:has(button[data-at='4,9']) button"),
    ("phone", "en", 390, 844, False, "td.miss:has(button[data-at='9,4']) button"),
    ("korean", "ko", 1100, 1180, False, ""),
)


def shots(run: str, environment: dict[str, str]) -> dict[str, bytes]:
    """Every picture, by name, as PNG of few colours."""
    browser_of: Any = runpy.run_path(str(DRIVER))["Browser"]
    found = {}
    for name, lang, width, height, dark, cell in SHOTS:
        with tempfile.TemporaryDirectory() as place:
            page = Path(place, "page.html")
            page.write_text(Report(run, lang=lang).page().html, "utf-8")
            size = {"width": width, "height": height, "dark": dark, "environment": environment}
            with browser_of(Path(place, "profile"), **size) as browser:
                browser.open(page)
                if cell:
                    browser.click(cell)
                found[name] = small(browser.shoot())
                assert browser.errors == [] and browser.asked == []
    return found


def small(png: bytes) -> bytes:
    """A screenshot in 128 colours."""
    file = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


if __name__ == "__main__":
    fonts = {"XDG_DATA_HOME": sys.argv[2]} if len(sys.argv) > 2 else {}
    for name, data in shots(sys.argv[1], fonts).items():
        (HERE / f"{name}.png").write_bytes(data)
