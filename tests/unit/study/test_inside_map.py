"""Many networks looked into: more than lines can tell apart are rows of maps, each with its name and its numbers."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image

from dojang.study import inside_map, inside_picture
from dojang.study.inside import Inside
from dojang.study.layers import Layer


def network(number: int, layers: int) -> Inside:
    """Its signal shrinks ten times a layer."""

    def at(scale: float) -> tuple[Layer, ...]:
        found = []
        for i in range(layers):
            size = scale * 10.0 ** -(i + number)
            found.append(Layer(f"w{i}", "weights", "Linear", 5, 0.0, 1.0, 1.0, weight_gradient=2 * size))
            found.append(Layer(f"a{i}", "activation", "ReLU", 5, 0.0, 1.0, size))
        return tuple(found)

    return Inside(f"run {number}", 9, at(1.0), at(0.5))


def test_nine_are_lines_and_ten_are_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(inside_map, "draw", lambda names, maps: asked.append((names, maps)) or b"map")
    found = {f"network {n}": network(n, 3 - n % 2) for n in range(10)}
    assert inside_picture.compared(dict(list(found.items())[:9])) != b"map" and not asked
    assert inside_picture.compared(found) == b"map"
    (names, maps), = asked  # fmt: skip
    assert names == list(found) and list(maps) == [inside_picture._SPREAD, inside_picture._GRADIENT]
    spread, gradient = maps.values()
    assert list(spread) == ["before", "after"]
    assert spread["before"][0] == pytest.approx([1, 0.1, 0.01]) and spread["after"][1] == pytest.approx([0.05, 0.005])
    assert gradient["before"][2] == pytest.approx([0.02, 0.002, 0.0002])


def test_each_has_a_row_with_its_name_and_its_numbers() -> None:
    names = [f"batch_norm on, init xavier, lr {n}" for n in range(12)]
    rows: list[list[float | None]] = [[10.0**-n, 0.0, math.inf][: 3 - n % 2] for n in range(12)]
    figure = inside_map.figure(
        names, {"spread": {"before": rows, "after": rows}, "gradient": {"before": rows, "after": rows}}
    )
    first, *_ = figure.axes
    assert [one.get_text() for one in first.get_yticklabels()] == names
    (image,) = first.images
    values = np.ma.getdata(image.get_array())
    assert values.shape == (12, 3) and values[:, 0] == pytest.approx([row[0] for row in rows])
    assert (values[:, 1] < image.norm.vmin).all() and np.isnan(values[:, 2]).all()
    # more than eight powers of ten are not told apart by colour
    assert image.norm.vmax == 1.0 and image.norm.vmin == pytest.approx(1e-8, rel=0.01)
    grey = image.cmap(image.norm(values))[:, 1, :3]
    assert len(np.unique(grey, axis=0)) == 1 and not (grey == image.cmap(image.norm(values))[:1, 0, :3]).all()
    # what is no number is crossed out, where there is such a layer
    (crosses,) = first.lines
    assert set(zip(crosses.get_xdata(), crosses.get_ydata(), strict=True)) == {(3, n) for n in range(0, 12, 2)}


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, 1.0, None])
def test_maps_of_odd_networks(value: float | None) -> None:
    rows = [[value] * 2, []] * 50
    png = inside_map.draw([f"{'한글' * 40} {n}" for n in range(100)], {"spread": {"before": rows}})
    assert png == inside_map.draw([f"{'한글' * 40} {n}" for n in range(100)], {"spread": {"before": rows}})
    assert Image.open(io.BytesIO(png)).height < 3000
