"""The pictures on the page of a study: all cells, in both languages, legible in light and dark, nothing fetched."""

from __future__ import annotations

import re
import runpy
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from dojang import files, recipe
from dojang.report import study_dots, study_heat, study_parallel
from dojang.report.studied import Study
from dojang.report.text import Words
from dojang.study import results
from dojang.study.canvas import luminance
from dojang.study.dimensions import has_squares
from dojang.study.looks import mark
from dojang.study.plan import Plan
from dojang.study.search import Search, Span
from dojang.study.study import _Ended

untrained = runpy.run_path(str(Path(__file__).parents[1] / "study" / "untrained.py"))
GRID, plan_of, lines_of, rows_of = (untrained[name] for name in ("GRID", "plan_of", "lines_of", "rows_of"))
T = Words("en")


def told(cell: Any, seed: int) -> float | str:
    if cell.number == 4:
        return "failed"
    return 0.9 + (seed * cell.number % 3) / 200 if cell.number <= 2 else 0.3 + cell.number / 1000 + seed / 10_000


STUDIES: dict[str, dict[str, Any]] = {
    "grid": {"grid": GRID},
    "maps": {"grid": GRID | {"batch_norm": (True, False)}},
    "variants": {"variants": {"<b>plain</b>": {}, "고양이": {"lr": 0.5}, "c": {"lr": 0.1}, "d": {"lr": 0.2}}},
    "search": {"search": Search("random", 12, 0, GRID | {"lr": Span(1e-4, 1.0, True, False)}), "seeds": (0,)},
    "loss": {"grid": GRID, "score": "log_loss"},
    "alone": {"grid": {"lr": (0.1,)}},
}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Study]:
    """A study whose runs are lines of a table."""

    def make(plan: Plan, score: Callable[..., Any] = told) -> Study:
        files.write_text(tmp_path / "study.yaml", recipe.dump_yaml(plan.as_dict()))
        settings = {"format": 1, "data": "digits", "judge": "val", "threads": 1, "device": "cpu"}
        files.write_json(tmp_path / "state.json", settings)
        rows = rows_of(plan, score)
        results.write_rows(tmp_path, plan, list(rows.values()))

        def knows(self: _Ended, cell: Any, seed: int) -> bool:
            self.rows = dict(rows)
            return (cell.number, seed) in rows

        monkeypatch.setattr(_Ended, "knows", knows)
        return Study(tmp_path)

    return make


def drawings(html: str) -> list[ElementTree.Element]:
    """The charts of a page; each is XML that parses."""
    return [ElementTree.fromstring(one) for one in re.findall(r'<svg class="chart.*?</svg>', html, flags=re.S)]


def classes(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [one for one in root.iter() if name in one.get("class", "").split()]


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_both_pictures_are_on_the_page_with_every_cell(name: str, lang: str, made: Callable[..., Study]) -> None:
    found = made(plan_of(**STUDIES[name]))
    plan, html, t = found.plan, found.page(lang), Words(lang)
    kinds = Counter(mark(one, len(plan.seeds)) for one in found.lines)
    *_, parallel = drawings(html)
    cells = [one for one in classes(parallel, "cell") if one.find("polyline") is not None]
    assert Counter(one.get("class", "").split()[1] for one in cells) == kinds
    said = {one.findtext("title") for one in cells}
    assert len(said) == len({one.cell.name for one in found.lines})
    # whoever cannot point goes there by the keyboard
    assert all(one.get("tabindex") == "0" and one.get("aria-label") == one.findtext("title") for one in cells)
    if has_squares(plan):
        squares = re.findall(r'<td class="((?:best|alike|open|rest|none)[^"]*)" style', html)
        assert Counter(one.split()[0] for one in squares) == kinds
        assert t("study_squares") in html and "선명" in html if lang == "ko" else "stronger" in html
    else:
        charts = drawings(html)[:-1]
        assert all(len(classes(one, "cell")) == len(found.lines) for one in charts)
        assert len(charts) == max(len(plan.fields), 1) if plan.search else len(charts) == 1
        assert sum(len(classes(one, "full")) for one in charts) == len(charts) * (kinds["best"] + kinds["alike"])
    assert t("study_parallel") in html
    # no script, nothing from elsewhere
    shown = re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    assert "<script" not in html and not re.search(r"https?:|url\(|@import|<link|src=\"(?!data:)", shown)
    assert "<b>plain" not in html and "nan" not in re.sub(r"<pre.*?</pre>", "", shown, flags=re.S)


def test_a_square_says_its_figures_and_who_failed(made: Callable[..., Study]) -> None:
    found = made(plan_of(grid=GRID))
    html = found.page()
    best = next(one for one in found.lines if one.best)
    half = (best.over.high - best.over.low) / 2
    square = re.search(r'<td class="best[^"]*"[^>]*>(.*?)</td>', html)
    assert square and re.findall(r"<span>(.*?)</span>", square.group(1)) == [f"{best.mean:.4f}", f"±{half:.4f}"]
    assert "<span>3 failed</span>" in html and "<span>3개 실패</span>" in found.page("ko")
    heads = re.search(r'<table class="heat">(.*?)</thead>(.*?)</table>', html, flags=re.S)
    assert heads and re.findall(r"<span>(\d+)</span></th>", heads.group(1)) == ["16", "64", "256"]
    assert re.findall(r'<th scope="row".*?<span>(\w+)</span>', heads.group(2)) == ["adam", "sgd"]


def test_of_runs_that_failed_and_runs_that_were_stopped_both_are_told(made: Callable[..., Study]) -> None:
    html = made(plan_of(grid=GRID), lambda cell, seed: "failed" if seed == 0 else "pruned" if seed == 1 else 0.5).page()
    assert html.count("0 (1 failed, 1 stopped)") == 6


def test_the_best_is_up_whichever_way_is_better() -> None:
    for score in ("top1", "log_loss"):
        plan = plan_of(grid={"batch_size": (8, 16, 32)}, score=score)
        lines = lines_of(plan, lambda cell, seed: cell.number / 10 + seed * cell.number / 1000)
        root = ElementTree.fromstring(str(study_parallel.parallel(plan, lines, T)["drawing"]))
        ends = {}
        for one in classes(root, "cell"):
            if (way := one.find("polyline")) is not None:
                ends[one.get("class", "").split()[1]] = float(way.get("points", "").split(",")[-1])
        assert ends["best"] < ends["rest"]
        (chart,) = study_dots.dots(plan, lines, T)["charts"]
        dots = ElementTree.fromstring(str(chart["drawing"]))
        best = float(next(one for one in dots.iter("path")).get("d", "")[1:].split(",")[0])
        assert all(float(one.get("cx", "")) < best for one in classes(dots, "hollow"))


def test_of_very_many_lines_the_best_are_drawn_and_that_is_said() -> None:
    plan = plan_of(grid={"batch_size": tuple(range(1, 501))}, seeds=(0,))
    found = study_parallel.parallel(plan, lines_of(plan, lambda cell, seed: cell.number / 1000), T)
    root = ElementTree.fromstring(str(found["drawing"]))
    cells = classes(root, "cell")
    assert len(cells) == 400 and found["notes"][0].startswith("400 of 500 lines are drawn")
    assert {one.findtext("title", "").split(":")[0] for one in cells} == {f"batch_size {n}" for n in range(101, 501)}
    # so many stops would be a trap: the keyboard goes to the best
    assert sum(one.get("tabindex") == "0" for one in cells) == 1


def test_of_very_many_squares_the_best_are_drawn_and_that_is_said() -> None:
    plan = plan_of(grid={"batch_size": tuple(range(1, 71)), "batch_norm": (True, False)}, seeds=(0,))
    lines = lines_of(plan, lambda cell, seed: cell.number / 1000)
    found = study_heat.heat(plan, lines, T)
    assert found["left"] == [
        "60 of 70 values of batch_size are shown, those with the best combinations; the table has all."
    ]
    assert [name for name, _ in found["panels"][0]["rows"]] == [str(n) for n in range(11, 71)]
    (chart,) = study_dots.dots(plan_of(grid={"batch_size": tuple(range(1, 71))}, seeds=(0,)), lines[::2], T)["charts"]
    assert chart["left"].startswith("60 of 70 values")


def colours(dark: bool) -> dict[str, tuple[float, ...]]:
    """The colours of the style sheet by name."""
    text = resources.files("dojang.report").joinpath("page.css").read_text("utf-8")
    first, second = re.findall(r":root \{(.*?)\}", text, flags=re.S)[:2]
    found = {}
    for name, value in re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", first + (second if dark else "")):
        whole = value[1:] if len(value) == 7 else "".join(2 * digit for digit in value[1:])
        found[name] = tuple(int(whole[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return found


def contrast(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mixed(a: tuple[float, ...], b: tuple[float, ...], share: float) -> tuple[float, ...]:
    return tuple(share * x + (1 - share) * y for x, y in zip(a, b, strict=True))


def test_figures_can_be_read_on_every_square_and_every_line_can_be_seen() -> None:
    css = resources.files("dojang.report").joinpath("page.css").read_text("utf-8")
    assert ".heat td.white { color: #fff; }" in css
    assert ".heat td, .heat td.white { color: #fff; } .heat td.black { color: #000; }" in css
    plan = plan_of(grid={"batch_size": tuple(range(1, 41)), "batch_norm": (True, False)}, seeds=(0,))
    lines = lines_of(plan, lambda cell, seed: cell.number / 100)
    squares = [one for _, row in study_heat.heat(plan, lines, T)["panels"][0]["rows"] for one in row]
    assert len(squares) == 80
    for one in squares:
        for dark in (False, True):
            there = colours(dark)
            ground = mixed(there["hit"], there["page"], one.strength)
            white = "black" not in one.kind if dark else "white" in one.kind
            assert contrast(ground, (1.0,) * 3 if white else (0.0,) * 3) >= 4.5, (one, dark)
    for dark in (False, True):
        there = colours(dark)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            # WCAG 2.2, 1.4.11: what is drawn
            assert contrast(mixed(there["hit"], there["poor"], share), there["page"]) >= 3
