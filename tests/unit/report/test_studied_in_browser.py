"""The page of a study in a real Chromium, on a desktop and on a phone, light and dark: nothing is wider than the window
but what scrolls by itself, and a line says what it is."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from dojang.report.studied import Study
from dojang.study.plan import Plan
from dojang.study.search import Search, Span
from dojang.study.study import Settings

chromium = runpy.run_path(str(Path(__file__).with_name("chromium.py")))
untrained = runpy.run_path(str(Path(__file__).parents[1] / "study" / "untrained.py"))
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium["found"]() is None, reason="no Chromium on this machine"),
]
LONG = {f"a variant with a name of its own, {i}": {"lr": (i + 1) / 100} for i in range(6)}
# what lies outside of its place: letters of a drawing beyond it, squares over their names
_OUT = """[...document.querySelectorAll('svg.chart')].flatMap(svg => { const b = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text:not(.said)')].map(one => [one.textContent, one.getBoundingClientRect()])
        .filter(([_, r]) => r.left < b.left - 1 || r.right > b.right + 1 || r.top < b.top - 1
            || r.bottom > b.bottom + 1)
        .map(([text]) => text); })"""


def page_of(plan: Plan, place: Path, lang: str) -> Path:
    found = object.__new__(Study)
    found.folder, found.plan, found.settings = place, plan, Settings("digits", "val", 1, "cpu")
    found.lines = untrained["lines_of"](
        plan, lambda cell, seed: "failed" if cell.number == 3 else untrained["one_each"](cell, seed)
    )
    (place / "study.yaml").write_text("format: 1")
    page = place / "page.html"
    page.write_text(found.page(lang), "utf-8")
    return page


@pytest.mark.parametrize("phone", [False, True])
@pytest.mark.parametrize("kind", ["squares", "dots", "search"])
def test_a_reader_of_a_study(kind: str, phone: bool, tmp_path: Path) -> None:
    rates: dict[str, Any] = {"lr": Span(1e-4, 1.0, True, False), "optimizer": ("adam", "sgd")}
    given = {
        "squares": {"variants": LONG, "grid": {"batch_size": (16, 64, 256), "batch_norm": (True, False)}},
        "dots": {"variants": LONG},
        "search": {"search": Search("random", 30, 0, rates)},
    }[kind]
    plan = untrained["plan_of"](**given)
    page = page_of(plan, tmp_path, "ko" if phone else "en")
    width = 390 if phone else 1200
    with chromium["Browser"](tmp_path / "profile", width=width, dark=phone, still=True) as browser:
        browser.open(page)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run(_OUT) == []
        # a line is pointed at, or the keyboard goes to it: it says what it is, and no other does
        shown = "[...document.querySelectorAll('.said')].filter(e => getComputedStyle(e).visibility == 'visible')"
        assert browser.run(f"{shown}.length") == 0
        browser.run("document.querySelectorAll('.parallel .cell[tabindex]')[1].focus()")
        said = browser.run(f"{shown}.map(e => e.textContent)")
        assert said == [browser.run("document.activeElement.getAttribute('aria-label')")]
        assert said[0].split(":")[0] in {one.name for one in plan.cells()}
        assert browser.errors == [] and browser.asked == []
