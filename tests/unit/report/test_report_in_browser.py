"""The page in a real Chromium: no word of complaint, and pressing a number shows the pictures behind it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from dojang.report.report import Report

chromium = runpy.run_path(str(Path(__file__).with_name("chromium.py")))
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium["found"]() is None, reason="no Chromium on this machine"),
]
OPEN = "document.querySelector('.behind:popover-open')"


@pytest.mark.parametrize("phone", [False, True])
def test_a_reader(phone: bool, make_run, tmp_path: Path) -> None:
    page = Report(make_run(each=30), lang="ko" if phone else "en", threads=0).write(tmp_path / "page.html")
    width = 390 if phone else 1100
    with chromium["Browser"](tmp_path / "profile", width=width, dark=phone, still=True) as browser:
        browser.open(page)
        # nothing is wider than the window but what scrolls by itself
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run(OPEN) is None
        browser.click("td.miss button")
        assert browser.run(f"{OPEN}.querySelectorAll('img').length") > 0
        loaded = f"[...{OPEN}.querySelectorAll('img')].every(one => one.complete && one.naturalWidth > 0)"
        assert browser.run(loaded)
        cell = browser.run("document.querySelector('td.miss button').innerText")
        shown = browser.run(f"{OPEN}.querySelectorAll('img').length")
        assert shown == min(int(cell), 12)
        browser.press("Escape")
        assert browser.run(f"{OPEN} === null")
        # by keys alone: along the diagonal, and open
        browser.run("document.querySelector('[data-at=\"0,0\"]').focus()")
        browser.press("ArrowDown")
        at = browser.run("document.activeElement.dataset.at")
        assert at.endswith(",0") and at != "0,0"
        browser.press("Enter", "\r")
        assert browser.run(f"{OPEN}.id") == f"c{at.replace(',', '-')}"
        browser.press("Escape")
        assert browser.run("getComputedStyle(document.querySelector('.matrix i.c')).display") != "none"
        browser.click("#as-shares")
        assert browser.run("getComputedStyle(document.querySelector('.matrix i.c')).display") == "none"
        assert browser.run("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
        assert browser.paper().startswith(b"%PDF")
        assert browser.errors == [] and browser.asked == []


def test_the_driver_sees_a_complaint(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>console.error('no'); nothing.here</script>")
    with chromium["Browser"](tmp_path / "profile") as browser:
        browser.open(page)
        assert any("no" in error for error in browser.errors) and any("nothing" in error for error in browser.errors)
        assert browser.asked == ["http://127.0.0.1:9/x.png"]
