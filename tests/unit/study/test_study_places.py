"""Which cell lies where in the pictures of a study: computed apart from all drawing, and held exactly."""

from __future__ import annotations

import math
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dojang.study import looks
from dojang.study.axes import axis
from dojang.study.dimensions import dimensions, has_squares, limited
from dojang.study.looks import aside, mark, scale, without
from dojang.study.results import DOTS, HEATMAP, INSIDE, PARALLEL, pictures
from dojang.study.search import Search, Span
from dojang.study.slices import slices
from dojang.study.squares import heat_map
from dojang.study.ticks import log_ticks, ticks

numbers = st.floats(-1e6, 1e6, allow_nan=False)
untrained = runpy.run_path(str(Path(__file__).with_name("untrained.py")))
GRID, plan_of, lines_of, one_each = (untrained[name] for name in ("GRID", "plan_of", "lines_of", "one_each"))


@given(numbers, numbers, st.integers(2, 8))
def test_ticks_are_few_and_inside(a: float, b: float, most: int) -> None:
    low, high = min(a, b), max(a, b)
    if high - low < 1e-6 * max(1.0, abs(low), abs(high)):
        return
    found = ticks(low, high, most)
    assert len(found) <= most + 1
    slack = 1e-6 * (high - low)
    assert all(low - slack <= tick <= high + slack for tick in found)
    assert found == sorted(found)


@given(st.floats(1e-9, 1e9), st.floats(1.01, 1e12), st.integers(2, 8))
def test_log_ticks_are_few_round_and_inside(low: float, ratio: float, most: int) -> None:
    found = log_ticks(low, low * ratio, most)
    assert len(found) <= most + 1 and found == sorted(found)
    assert all(low * (1 - 1e-6) <= tick <= low * ratio * (1 + 1e-6) for tick in found)
    if ratio >= 10:
        assert found and all(f"{tick:e}".replace(".", "").rstrip("0")[0] in "125" for tick in found)


def test_in_what_cells_differ() -> None:
    plan = plan_of(variants={"a": {}, "b": {"lr": 0.1}}, grid=GRID | {"epochs": (3,)})
    # what has one value is no dimension
    assert [(one.name, one.words) for one in dimensions(plan)] == [
        ("variant", ("a", "b")), ("optimizer", ("adam", "sgd")), ("batch_size", ("16", "64", "256"))
    ]  # fmt: skip
    (alone,) = dimensions(plan_of(grid={"lr": (0.1,)}))
    assert alone.words == ("as it is",) and alone.place(plan_of(grid={"lr": (0.1,)}).cells()[0]) == 0
    (variant,) = dimensions(plan_of(variants={"mine": {"lr": 0.1}}))
    assert variant.words == ("mine",)
    # True is equal to 1 in Python, None is shown in words, tuples are values
    mixed = plan_of(grid={"hidden_dims": ((32,), (32, 64)), "lr": (None, 0.1), "batch_norm": (True, False)})
    assert [one.words for one in dimensions(mixed)] == [("32", "32,64"), ("default", "0.1"), ("on", "off")]
    assert [one.numbers for one in dimensions(mixed)] == [False, False, False]
    places = [tuple(one.place(cell) for one in dimensions(mixed)) for cell in mixed.cells()]
    assert places == [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]


def test_which_pictures_a_study_has() -> None:
    span = Span(1e-4, 0.1, True, False)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"grid": GRID}, HEATMAP),
        ({"variants": {"a": {}, "b": {"lr": 0.1}}, "grid": {"batch_size": (8, 16)}}, HEATMAP),
        ({"grid": {"batch_size": (8, 16)}}, DOTS),
        ({"grid": {"batch_size": (8,)}}, DOTS),
        ({"search": Search("random", 4, 0, GRID)}, HEATMAP),
        # a square would stand for cells with other rates
        ({"search": Search("random", 4, 0, GRID | {"lr": span})}, DOTS),
    ]
    for given_, first in cases:
        plan = plan_of(**given_)
        assert has_squares(plan) == (first == HEATMAP)
        assert pictures(plan, lines_of(plan, one_each)) == [first, PARALLEL]
    plan = plan_of(grid=GRID, inside=True)
    assert pictures(plan, lines_of(plan, one_each)) == [HEATMAP, PARALLEL, INSIDE]
    # no network of the first seed came to its end
    assert pictures(plan, lines_of(plan, lambda cell, seed: "failed" if seed == 0 else 0.5)) == [HEATMAP, PARALLEL]


def test_which_cell_lies_in_which_square() -> None:
    plan = plan_of(grid=GRID)
    found = heat_map(plan, lines_of(plan, one_each))
    assert (found.rows.name, found.columns.name, found.others, found.left_out) == ("optimizer", "batch_size", (), 0)
    (panel,) = found.panels
    assert [[one.cell.number if one else 0 for one in row] for row in panel.squares] == [[1, 2, 3], [4, 5, 6]]
    assert panel.fixed == () and panel.name == ""


def test_three_dimensions_are_heat_maps_of_the_largest_two() -> None:
    plan = plan_of(grid={"batch_norm": (True, False)} | GRID | {"epochs": (1, 2, 3, 4)})
    found = heat_map(plan, lines_of(plan, one_each))
    assert (found.rows.name, found.columns.name) == ("batch_size", "epochs")
    names = ["batch_norm on, optimizer adam", "batch_norm on, optimizer sgd"]
    names += ["batch_norm off, optimizer adam", "batch_norm off, optimizer sgd"]
    assert [panel.name for panel in found.panels] == names
    for number, panel in enumerate(found.panels):
        shown = [[one.cell.number if one else 0 for one in row] for row in panel.squares]
        assert shown == [[12 * number + 4 * i + j + 1 for j in range(4)] for i in range(3)]
    # of many, those that have the best cells, in the order of the file: the best are the last here
    few = heat_map(plan, lines_of(plan, one_each), most=2)
    assert [panel.name for panel in few.panels] == names[2:] and few.left_out == 2
    cut = heat_map(plan, lines_of(plan, one_each), values=2)
    assert cut.cut == (("batch_size", 2, 3), ("epochs", 2, 4))
    assert cut.rows.words == ("64", "256") and cut.columns.words == ("3", "4")
    assert [[one.cell.number if one else 0 for one in row] for row in cut.panels[0].squares] == [[7, 8], [11, 12]]


def test_what_a_search_did_not_draw_or_drew_twice() -> None:
    plan = plan_of(search=Search("random", 12, 0, GRID))
    lines = lines_of(plan, one_each)
    found = heat_map(plan, lines)
    drawn = {(cell.fields["optimizer"], cell.fields["batch_size"]) for cell in plan.cells()}
    assert len(drawn) < len(plan.cells())
    for i, optimizer in enumerate(GRID["optimizer"]):
        for j, size in enumerate(GRID["batch_size"]):
            one = found.panels[0].squares[i][j]
            assert (one is not None) == ((optimizer, size) in drawn)
            if one is not None:
                same = [x.cell.number for x in lines if dict(x.cell.fields) == dict(one.cell.fields)]
                assert one.cell.number == same[0]


def test_marks_and_what_is_said_of_those_without_a_score() -> None:
    plan = plan_of(grid={"batch_size": (8, 16, 32, 64, 128, 256)}, seeds=(0, 1, 2))
    scores: dict[int, Callable[[int], float | str | None]] = {
        1: lambda seed: 0.9 + seed / 100,
        2: lambda seed: 0.9 + (seed * 2 % 3) / 100 - 0.001,
        3: lambda seed: 0.5 + seed / 90,
        4: lambda seed: "failed" if seed < 2 else "pruned",
        5: lambda seed: 0.95 if seed == 0 else "failed",
        6: lambda seed: None,
    }
    lines = {one.cell.number: one for one in lines_of(plan, lambda cell, seed: scores[cell.number](seed))}
    kinds = {number: mark(one, 3) for number, one in lines.items()}
    assert kinds == {1: "best", 2: "alike", 3: "rest", 4: "none", 5: "open", 6: "none"}
    # where all are run once, nothing can be told of any, and it is said once for all
    assert mark(lines[5], 1) == "rest"
    said = {number: aside(one) for number, one in lines.items()}
    assert said == {1: "", 2: "", 3: "", 4: "2 failed, 1 stopped", 5: "2 failed", 6: "not run"}
    assert without(list(lines.values())) == "2 without a score: 1 failed, 1 not run"
    assert without([lines[1]]) == ""


def test_a_score_that_is_no_number_is_none() -> None:
    plan = plan_of(grid={"batch_size": (8, 16)})
    lines = lines_of(plan, lambda cell, seed: math.nan if cell.number == 1 else 0.5 + seed / 100)
    assert [(one.cell.number, mark(one, 3)) for one in lines] == [(2, "best"), (1, "none")]
    assert aside(lines[1]) == "no score"
    assert scale(lines, "top1") == scale(lines[:1], "top1")
    assert scale(lines_of(plan, lambda cell, seed: "failed"), "top1") is None


def test_the_best_is_at_the_good_end_whichever_way_is_better() -> None:
    plan = plan_of(grid={"batch_size": (8, 16, 32)}, seeds=(0,))
    up = scale(lines_of(plan, lambda cell, seed: cell.number / 10), "top1")
    assert up is not None and [up.good(value) for value in (0.1, 0.2, 0.3)] == pytest.approx([0, 0.5, 1])
    assert up.at(0.3) == pytest.approx(1 - 0.05 / 1.1) and up.at(9.0) == 1 and up.at(-9.0) == 0 and not up.log
    loss = plan_of(grid={"batch_size": (8, 16, 32)}, seeds=(0,), score="log_loss")
    down = scale(lines_of(loss, lambda cell, seed: cell.number / 10), "log_loss")
    assert down is not None and [down.good(value) for value in (0.1, 0.2, 0.3)] == pytest.approx([1, 0.5, 0])
    assert down.at(0.1) > down.at(0.2) > down.at(0.3)
    # losses of very different sizes lie on a log axis; shares never do
    far = scale(lines_of(loss, lambda cell, seed: 10.0 ** (2 * cell.number)), "log_loss")
    assert far is not None and far.log and [far.good(10.0**n) for n in (2, 4, 6)] == pytest.approx([1, 0.5, 0])
    tiny = scale(lines_of(plan, lambda cell, seed: 10.0 ** -(2 * cell.number)), "top1")
    assert tiny is not None and not tiny.log
    same = scale(lines_of(plan, lambda cell, seed: 1.0), "top1")
    assert same is not None and same.good(1.0) == 1 and (same.bottom, same.top) == (0.95, 1.0)


def test_intervals_have_room_on_the_axis_of_scores() -> None:
    plan = plan_of(grid={"batch_size": (8, 16)})
    lines = lines_of(plan, one_each)
    found = scale(lines, "top1")
    assert found is not None
    for one in lines:
        assert one.over is not None and found.bottom < one.over.low and one.over.high < found.top


def test_places_on_axes_of_names_and_numbers() -> None:
    plan = plan_of(grid=GRID, seeds=(0,))
    lines = lines_of(plan, one_each)
    assert [one.cell.number for one in lines] == [6, 5, 4, 3, 2, 1]
    names, sizes = (axis(one, lines) for one in dimensions(plan))
    # the first of the file on top
    assert names.kind == "names" and names.ticks == ((0.75, "adam"), (0.25, "sgd"))
    # cells of one value beside each other, the best on top
    assert names.places == pytest.approx((0.275, 0.25, 0.225, 0.775, 0.75, 0.725))
    # 16, 64, 256 are equally far apart on a log axis, larger ones up
    assert sizes.kind == "log" and [text for _, text in sizes.ticks] == ["16", "64", "256"]
    assert [place for place, _ in sizes.ticks] == pytest.approx([0.08, 0.5, 0.92])
    assert sizes.places == pytest.approx((0.9325, 0.5125, 0.0925, 0.9075, 0.4875, 0.0675))


@pytest.mark.parametrize(
    ("values", "kind", "places"),
    [
        ((0.1, 0.2, 0.3), "numbers", (0.08, 0.5, 0.92)),
        ((0.1, 0.01, 0.001), "log", (0.92, 0.5, 0.08)),
        ((0.0, 0.25, 0.5), "numbers", (0.08, 0.5, 0.92)),
        # 0 has no logarithm, and on a linear axis the small ones would fall together
        ((0.0, 1e-5, 1e-4, 1e-2), "even", (0.08, 0.36, 0.64, 0.92)),
        # of more than a hundred to one the scale is a logarithm, however uneven
        ((1.0, 2.0, 300.0), "log", (0.08, 0.08 + 0.84 * math.log(2) / math.log(300), 0.92)),
        ((0.5,), "names", (0.5,)),
    ],
)
def test_scales_of_listed_numbers(values: tuple[float, ...], kind: str, places: tuple[float, ...]) -> None:
    plan = plan_of(grid={"weight_decay": values, "optimizer": ("adam",)}, seeds=(0,))
    lines = lines_of(plan, one_each)
    found = axis(dimensions(plan)[0], lines)
    assert found.kind == kind and [place for place, _ in found.ticks] == pytest.approx(list(places))
    by_cell = {one.cell.number: place for one, place in zip(lines, found.places, strict=True)}
    assert [by_cell[number] for number in sorted(by_cell)] == pytest.approx(list(places))


def test_numbers_of_a_span_lie_exactly_where_they_are() -> None:
    space = {"lr": Span(1e-4, 0.1, True, False), "dropout": Span(0.0, 0.5, False, False)}
    plan = plan_of(search=Search("random", 9, 0, space), seeds=(0,))
    lines = lines_of(plan, one_each)
    rate, dropout = (axis(one, lines) for one in dimensions(plan))
    assert rate.kind == "log" and [text for _, text in rate.ticks] == ["0.0001", "0.001", "0.01", "0.1"]
    assert [place for place, _ in rate.ticks] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    for line, place in zip(lines, rate.places, strict=True):
        assert 1e-4 * 1000**place == pytest.approx(line.cell.fields["lr"])
    assert dropout.kind == "numbers" and dropout.ticks[-1] == (1.0, "0.5")
    for line, place in zip(lines, dropout.places, strict=True):
        assert place / 2 == pytest.approx(line.cell.fields["dropout"])


@given(st.integers(1, 12), st.integers(1, 30))
def test_no_cell_lies_nearer_to_another_value_than_to_its_own(values: int, trials: int) -> None:
    space = {"batch_size": tuple(range(8, 8 + values)), "lr": Span(0.1, 1.0, False, False)}
    plan = plan_of(search=Search("random", trials, 3, space), seeds=(0,))
    lines = lines_of(plan, one_each)
    one = dimensions(plan)[0]
    found = axis(one, lines)
    assert all(0 <= place <= 1 for place in found.places) and len(set(found.places)) == len(lines)
    for line, place in zip(lines, found.places, strict=True):
        if one.name == "batch_size":
            nearest = min(found.ticks, key=lambda tick: abs(tick[0] - place))
            assert nearest[1] == str(line.cell.fields["batch_size"])


def test_slices_are_rows_in_the_order_of_the_file() -> None:
    variants: dict[str, dict[str, Any]] = {name: {"lr": i + 0.1} for i, name in enumerate(("b", "a", "c"))}
    plan = plan_of(variants=variants)
    (found,) = slices(plan, lines_of(plan, one_each))
    assert [text for _, text in found.axis.ticks] == ["b", "a", "c"] and found.one_each and found.left_out == 0
    assert [one.cell.variant for one in found.lines] == ["c", "a", "b"]
    assert found.axis.places == pytest.approx((1 / 6, 1 / 2, 5 / 6))
    space = {"lr": Span(0.1, 1.0, False, False), "optimizer": ("adam", "sgd")}
    plan = plan_of(search=Search("random", 7, 0, space), seeds=(0,))
    rate, optimizer = slices(plan, lines_of(plan, one_each))
    assert (rate.axis.kind, optimizer.axis.kind) == ("numbers", "names") and not optimizer.one_each
    many = plan_of(grid={"batch_size": tuple(range(1, 101))}, seeds=(0,))
    (cut,) = slices(many, lines_of(many, one_each))
    # the best are the largest here
    assert cut.left_out == 40 and [text for _, text in cut.axis.ticks] == [str(n) for n in range(41, 101)]
    one = dimensions(many)[0]
    assert limited(one, lines_of(many, one_each), 100) is one


def test_words_of_scores() -> None:
    assert [looks.worded(value) for value in (0.0, 0.5, 99.0, 123.4, 12345.0, 2e7)] == [
        "0.0000", "0.5000", "99.0000", "123.4", "12,345", "2e+07"
    ]  # fmt: skip
