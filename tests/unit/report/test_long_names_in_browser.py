"""A class name without a place to break, on a phone: nothing runs over the numbers, no count is pushed away."""

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
_OVER = """[...document.querySelectorAll('.classes th[scope=row], .counts th[scope=row]')].filter(
    one => one.scrollWidth > one.clientWidth + 1).length"""
_PUSHED = "(one => one.scrollWidth - one.clientWidth)(document.querySelector('.counts').parentElement)"


@pytest.mark.parametrize("width", [390, 1280])
def test_a_name_of_sixty_letters(width: int, make_run, tmp_path: Path) -> None:
    page = Report(make_run(("m" * 60, "dog", "owl")), threads=0).write(tmp_path / "page.html")
    with chromium["Browser"](tmp_path / "profile", width=width) as browser:
        browser.open(page)
        assert browser.run(_OVER) == 0 and browser.run(_PUSHED) <= 0
