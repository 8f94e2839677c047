"""The pictures of docs/report.md, by a headless Chromium: python docs/report/draw.py RUN RUN-WITH-PHOTOGRAPHS [FONTS]

FONTS is a folder that holds fonts/, for a machine without Korean letters (it becomes XDG_DATA_HOME of the browser).
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
# name, which run, language, width, height, dark, the cell to press
SHOTS = (
    ("desktop", 0, "en", 1100, 1180, False, ""),
    ("dark", 0, "en", 1100, 900, True, "td.miss:has(button[data-at='4,9']) button"),
    ("phone", 1, "en", 390, 844, False, "td.miss button"),
    ("korean", 0, "ko", 1100, 1180, False, ""),
)


def shots(runs: list[str], environment: dict[str, str]) -> dict[str, bytes]:
    """Every picture, by name, as PNG of few colours."""
    browser_of: Any = runpy.run_path(str(DRIVER))["Browser"]
    found = {}
    for name, which, lang, width, height, dark, cell in SHOTS:
        with tempfile.TemporaryDirectory() as place:
            page = Path(place, "page.html")
            page.write_text(Report(runs[which], lang=lang).page().html, "utf-8")
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
    fonts = {"XDG_DATA_HOME": sys.argv[3]} if len(sys.argv) > 3 else {}
    for name, data in shots(sys.argv[1:3], fonts).items():
        (HERE / f"{name}.png").write_bytes(data)
        print(name, len(data))
