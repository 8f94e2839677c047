"""Drawings: numbers lie where they should."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from dojang.report import svg
from dojang.report.figures import score_bar
from dojang.report.svg import Bin, Frame, Line, Mark


def test_a_frame_puts_corners_into_corners() -> None:
    frame = Frame((0, 10), (1, 3))
    assert frame.at(0, 1) == (44, 196) and frame.at(10, 3) == (350, 12) and frame.at(5, 2) == (197, 104)
    # what is outside stays at the edge
    assert frame.at(0, 99) == (44, 12)


def test_a_chart_is_xml_and_says_its_title() -> None:
    line = Line("val", "<b>", [(1, 0.5), (2, float("nan")), (3, 0.25)], dots=True, said=["<one>", "two"])
    drawing = svg.chart('a "title"', "step", [line], [Mark("best", 2)])
    root = ElementTree.fromstring(str(drawing))
    assert root.get("aria-label") == 'a "title"'
    points = next(one.get("points") for one in root.iter("polyline"))
    assert len(points.split()) == 2 and "nan" not in str(drawing)
    mark = next(one for one in root.iter("line") if one.get("class") == "mark best")
    left, right = (float(place.split(",")[0]) for place in points.split())
    # step 2 lies between 1 and 3, and all begins at 0
    assert float(mark.get("x1")) == pytest.approx((left + right) / 2, abs=0.1) and left > 44


def test_one_point_is_a_dot() -> None:
    assert "circle" in svg.chart("t", "step", [Line("train", "x", [(5, 0.5)])])


def test_a_bar_ends_where_its_score_does() -> None:
    drawn = str(svg.bar(0.4, 0.25, 0.6, "t"))
    assert 'width="40.0"' in drawn and 'x1="25.0" x2="60.0"' in drawn
    assert "whisker" not in str(svg.bar(0.4, None, None, "t"))


@pytest.mark.parametrize("value", [{"value": 2.3, "low": 2.0, "high": 2.6}, {"value": None}, {"value": float("nan")}])
def test_what_is_no_share_has_no_bar(value: dict) -> None:
    assert score_bar(value, "t") is None


def test_a_reliability_curve_has_a_dot_for_each_bin() -> None:
    drawn = str(svg.reliability("t", [Bin(0.5, 0.4, 0.1, 0.7, 10), Bin(0.9, 0.95, 0.9, 0.99, 40)], "p", "right", "n"))
    assert drawn.count('class="dot train"') == 2 and "p 0.50: right 0.40 (0.10 – 0.70), 10 n" in drawn
    # the foot of the smaller bin is a quarter as tall
    tall = [float(h) for h in re.findall(r'class="many"[^>]* height="([\d.]+)"', drawn)]
    assert tall == [7.0, 28.0]


def test_a_long_line_keeps_its_mean() -> None:
    points = [(float(i), float(i % 7)) for i in range(1000)]
    thin = svg.thinned(points, 100)
    assert len(thin) == 100
    assert sum(y for _, y in thin) / 100 == pytest.approx(sum(y for _, y in points) / 1000)
