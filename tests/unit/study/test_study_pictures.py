"""The pictures of a study: every cell is in them once, as what it is, for every kind of study that there can be."""

from __future__ import annotations

import io
import itertools
import runpy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from dojang.study import canvas, dots_picture, heatmap_picture, parallel_picture, pictures
from dojang.study.dimensions import has_squares
from dojang.study.looks import mark, with_interval
from dojang.study.plan import Plan
from dojang.study.search import Search, Span
from dojang.tasks.classify import letters

untrained = runpy.run_path(str(Path(__file__).with_name("untrained.py")))
GRID, plan_of, lines_of, one_each = (untrained[name] for name in ("GRID", "plan_of", "lines_of", "one_each"))
RATES = Span(1e-4, 1.0, True, False)
WORDS = {f"a variant with quite a long name, the number {i}": {"lr": (i + 1) / 100} for i in range(20)}


def told(cell: Any, seed: int) -> float | str:
    """One best, one like it, some worse, one of one seed, one that failed, one that was stopped."""
    if cell.number % 7 == 4:
        return "failed"
    if cell.number % 7 == 5 and seed:
        return "failed"
    if cell.number % 7 == 6 and seed:
        return "pruned"
    if cell.number <= 2:
        return 0.9 + (seed * cell.number % 3) / 200
    return 0.3 + cell.number / 1000 + seed / 10_000


CASES: dict[str, tuple[dict[str, Any], Callable[..., Any]]] = {
    "grid": ({"grid": GRID}, told),
    "three fields": ({"grid": GRID | {"batch_norm": (False, True)}}, told),
    "variants": ({"variants": WORDS}, told),
    "sixty": ({"variants": WORDS, "grid": {"batch_size": (8, 16, 32)}}, told),
    "values": ({"grid": {"hidden_dims": ((32,), (32, 64)), "lr": (None, 0.1), "batch_norm": (True, False)}}, told),
    "Hangul": ({"variants": {"고양이": {}, "$x_1^2$": {"lr": 0.5}}, "grid": {"batch_size": (8, 16)}}, told),
    "one cell": ({"grid": {"lr": (0.1,)}}, told),
    "one variant": ({"variants": {"mine": {"lr": 0.1}}}, told),
    "all failed": ({"grid": GRID}, lambda cell, seed: "failed"),
    "one failed": ({"grid": {"lr": (0.1,)}}, lambda cell, seed: "failed"),
    "no numbers": ({"grid": GRID}, lambda cell, seed: float("nan") if cell.number < 4 else 0.5),
    "all equal": ({"grid": GRID}, lambda cell, seed: 1.0),
    "not all run": ({"grid": GRID}, lambda cell, seed: 0.5 + seed / 100 if cell.number == 2 else None),
    "one seed": ({"grid": GRID, "seeds": (0,)}, told),
    "sizes": ({"grid": {"weight_decay": (0.0, 1e-5, 1e-2), "batch_size": (1, 100, 4096)}, "score": "log_loss"},
              lambda cell, seed: 10.0 ** (cell.number - 5) * (1 + seed / 10)),
    "loss": ({"grid": {"batch_size": (8, 16, 32)}, "score": "log_loss"}, lambda cell, seed: cell.number + seed / 50),
    "search": ({"search": Search("random", 40, 0, GRID | {"lr": RATES}), "seeds": (0,)}, told),
    "search of lists": ({"search": Search("random", 9, 0, GRID)}, told),
    "one span": ({"search": Search("random", 9, 0, {"lr": RATES})}, told),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Plan, list[Any]]:
    given, score = CASES[request.param]
    plan = plan_of(**given)
    return plan, lines_of(plan, score)


def gids(figure: Figure) -> Counter[str]:
    """How often each kind of artist is in a figure."""
    axes = figure.axes[0]
    return Counter(one.get_gid() for one in (*axes.patches, *axes.lines) if one.get_gid())


def marks(plan: Plan, lines: list[Any], what: str, times: int = 1) -> Counter[str]:
    kinds = Counter(mark(one, len(plan.seeds)) for one in lines)
    return Counter({f"{what} {kind}": n * times for kind, n in kinds.items()})


def texts(figure: Figure) -> list[str]:
    return [one.get_text() for one in figure.axes[0].texts]


def test_every_cell_is_a_square_or_a_dot_and_a_line(case: tuple[Plan, list[Any]]) -> None:
    plan, lines = case
    if has_squares(plan):
        found = gids(heatmap_picture.figure(plan, "val", lines))
        outlines = Counter({name: n for name, n in found.items() if name.startswith("outline")})
        if plan.search is None:
            assert found - outlines == marks(plan, lines, "square")
        expected = marks(plan, lines, "outline")
        shown = {name: n for name, n in expected.items() if name.split()[1] in ("best", "alike", "open")}
        # of what was drawn twice one is shown
        assert outlines == shown if plan.search is None else set(outlines) <= set(shown)
    else:
        found = gids(dots_picture.figure(plan, "val", lines))
        found.pop("interval", 0)
        panels = len(dots_picture.slices(plan, lines))
        assert found == marks(plan, lines, "cell", panels)
    found = gids(parallel_picture.figure(plan, "val", lines))
    assert found.pop("interval", 0) == len(with_interval(lines, len(plan.seeds)))
    assert found == marks(plan, lines, "cell")


def test_nothing_is_drawn_beyond_the_paper(case: tuple[Plan, list[Any]]) -> None:
    plan, lines = case
    first = heatmap_picture if has_squares(plan) else dots_picture
    for module in (first, parallel_picture):
        figure = module.figure(plan, "val", lines)
        figure.draw_without_rendering()
        paper = figure.bbox
        for text in figure.axes[0].texts:
            box = text.get_window_extent()
            inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= paper.width and box.y1 <= paper.height
            assert inside, (module.__name__, text.get_text())


def test_names_do_not_run_into_each_other() -> None:
    plan = plan_of(variants=WORDS, grid={"optimizer": ("adam", "sgd"), "label_smoothing": (0.0, 0.1)})
    lines = lines_of(plan, one_each)
    for module in (heatmap_picture, parallel_picture):
        figure = module.figure(plan, "val", lines)
        figure.draw_without_rendering()
        boxes = [one.get_window_extent() for one in figure.axes[0].texts]
        over = [
            (a.get_text(), b.get_text())
            for i, a in enumerate(figure.axes[0].texts)
            for j, b in enumerate(figure.axes[0].texts[:i])
            if boxes[i].overlaps(boxes[j])
        ]
        assert over == [], module.__name__


def test_a_heat_map_says_what_is_in_its_squares() -> None:
    plan = plan_of(grid=GRID, title="Which <one>?")
    lines = lines_of(plan, told)
    said = texts(heatmap_picture.figure(plan, "val", lines))
    by_cell = {one.cell.number: one for one in lines}
    for number in (1, 2, 3):
        one = by_cell[number]
        assert f"{one.mean:.4f}" in said and f"±{(one.over.high - one.over.low) / 2:.4f}" in said
    assert said.count("3 failed") == 1 and said.count("2 stopped") == 1
    assert {"adam", "sgd", "16", "64", "256", "optimizer", "batch_size", "Which <one>?"} <= set(said)
    assert {"best", "not told apart from it", "nothing can be said"} <= set(said)
    unrun = texts(heatmap_picture.figure(plan, "val", lines_of(plan, lambda cell, seed: None)))
    assert unrun.count("not run") == 6 and "best" not in unrun


def test_what_is_left_out_is_said() -> None:
    plan = plan_of(grid=GRID | {"epochs": (1, 2, 3), "init": ("he", "xavier", "normal"), "batch_norm": (True, False)},
                   seeds=(0,))  # fmt: skip
    lines = lines_of(plan, one_each)
    said = texts(heatmap_picture.figure(plan, "val", lines))
    assert not any("of 12 heat maps" in one for one in said)
    plan = plan_of(grid=dict(plan.grid) | {"activation": ("relu", "tanh")}, seeds=(0,))
    said = texts(heatmap_picture.figure(plan, "val", lines_of(plan, one_each)))
    assert "16 of 24 heat maps, those that have the best cells." in said and "All figures are in table.csv." in said
    many = plan_of(grid={"batch_size": tuple(range(1, 71))}, seeds=(0,))
    said = texts(dots_picture.figure(many, "val", lines_of(many, one_each)))
    assert "60 of 70 values of batch_size, those that have the best cells; all are in table.csv." in said
    spread = plan_of(grid={"batch_size": tuple(range(1, 51))}, seeds=(0, 1))
    figure = parallel_picture.figure(spread, "val", lines_of(spread, one_each))
    n = gids(figure)["interval"]
    assert any(f"scores for {n} cells: the best" in one for one in texts(figure)) and 0 < n <= 40


def test_lines_without_a_score_end_before_it() -> None:
    plan = plan_of(grid=GRID)
    figure = parallel_picture.figure(plan, "val", lines_of(plan, told))
    ends = {one.get_gid(): one.get_xdata()[-1] for one in figure.axes[0].lines if str(one.get_gid()).startswith("cell")}
    assert ends["cell none"] < ends["cell best"] == ends["cell rest"]
    assert "2 without a score: 1 failed, 1 stopped" in texts(figure)
    widths = {one.get_gid(): one.get_linewidth() for one in figure.axes[0].lines if one.get_gid()}
    assert widths["cell best"] > widths["cell alike"] > widths["cell rest"]


def test_the_best_is_the_darkest_and_every_colour_can_be_written_on() -> None:
    shades = [canvas.luminance(canvas.colour(good)) for good in np.linspace(0, 1, 31)]
    assert all(a > b for a, b in itertools.pairwise(shades))
    for good in np.linspace(0, 1, 101):
        ground = canvas.colour(good)
        ink = 0.0 if canvas.ink_on(ground) == "black" else 1.0
        light, dark = sorted((canvas.luminance(ground), ink), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5
    # losses: the smallest is the darkest
    plan = plan_of(grid=GRID, score="log_loss")
    lines = lines_of(plan, lambda cell, seed: cell.number + seed / 100)
    patches = heatmap_picture.figure(plan, "val", lines).axes[0].patches
    grounds = [one.get_facecolor()[:3] for one in patches if str(one.get_gid()).startswith("square")]
    assert grounds[0] == pytest.approx(canvas.colour(1)) and grounds[-1] == pytest.approx(canvas.colour(0))
    assert len(grounds) == 6 and sorted(map(canvas.luminance, grounds)) == list(map(canvas.luminance, grounds))


def test_the_same_table_gives_the_same_pixels(tmp_path: Path) -> None:
    for given in ({"grid": GRID}, {"search": Search("random", 9, 0, GRID | {"lr": RATES})}):
        plan = plan_of(**given)
        found = []
        for name in ("a", "b"):
            place = tmp_path / name
            place.mkdir(exist_ok=True)
            pictures.write(place, plan, "val", lines_of(plan, told))
            found.append({one.name: one.read_bytes() for one in place.iterdir()})
        assert found[0] == found[1] and all(len(one) > 1000 for one in found[0].values())
        for png in found[0].values():
            Image.open(io.BytesIO(png)).verify()
    assert sorted(found[0]) == ["dots.png", "heatmap.png", "parallel.png"]


def test_names_that_no_font_has_are_numbers_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "_FAMILIES", ())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    letters._fonts.cache_clear()
    plan = plan_of(variants={"plain": {}, "고양이": {"lr": 0.5}}, grid=GRID | {"init": ("he", "xavier", "normal")})
    lines = lines_of(plan, one_each)
    said = "#2 is the variant of that number in study.yaml: no font here has its letters."
    for module in (heatmap_picture, parallel_picture):
        found = texts(module.figure(plan, "val", lines))
        assert said in found and not any("고" in one for one in found)
    assert "#2, optimizer sgd" in texts(heatmap_picture.figure(plan, "val", lines))
    letters._fonts.cache_clear()
