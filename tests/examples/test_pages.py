"""Every line of code in docs/operation runs, and its pictures are what dojang draws today."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "operation"


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_a_page(page: Path) -> None:
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert failed == 0
    assert tried or page.stem == "README"
    for linked in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / linked).exists(), linked


def test_pictures_are_as_drawn_today() -> None:
    drawn = runpy.run_path(str(PAGES / "draw.py"))["pictures"]()
    assert {path.name for path in (PAGES / "pictures").iterdir()} == set(drawn)
    for name, text in drawn.items():
        assert (PAGES / "pictures" / name).read_text("utf-8") == text, f"{name}: python docs/operation/draw.py"
