"""A computational graph as a drawing and as text: values on the way forward, gradients on the way back."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

import numpy as np

from dojang.convolution.graph import GATES, Node, ordered

_WIDE, _HIGH, _RADIUS = 150, 62, 17  # at least, between columns; between rows; of a circle
# two of Okabe and Ito's colours, which the colour-blind can tell apart
_VALUE, _GRADIENT, _LOCAL = "#0072b2", "#d55e00", "#666"


def names(node: Node) -> dict[int, str]:
    """A name for every node, by its identity: its own, or a letter and a number."""
    found: dict[int, str] = {}
    taken = {one.name for one in ordered(node) if one.name}
    number = 0
    for one in ordered(node):
        name = one.name
        while not name:
            number += 1
            name = "" if f"n{number}" in taken else f"n{number}"
        found[id(one)] = name
    return found


def number(values: np.ndarray, most: int = 4) -> str:
    """A value in a few characters.

    >>> number(np.array(-12.0)), number(np.array([0.25, 1 / 3])), number(np.eye(2)), number(np.zeros((3, 4)))
    ('-12', '[0.25 0.333]', '[1 0; 0 1]', '3 x 4 numbers')
    """
    # no zero is negative here
    values = np.asarray(values) + 0.0
    if values.ndim == 0:
        return f"{float(values):.3g}"
    if values.size <= most and values.ndim <= 2:
        rows = (" ".join(f"{one:.3g}" for one in row) for row in np.atleast_2d(values))
        return "[" + "; ".join(rows) + "]"
    return " x ".join(str(side) for side in values.shape) + " numbers"


def local(node: Node) -> tuple[np.ndarray, ...]:
    """The local gradients: the slope of a gate along each input, where it works number by number; else nothing.

    >>> from dojang.convolution.graph import value
    >>> [float(one) for one in local(value(3.0) * value(-4.0))]
    [-4.0, 3.0]
    """
    given = [parent.data for parent in node.parents]
    if not node.gate or any(one.shape != node.data.shape for one in given) or node.gate in ("matmul", "conv"):
        return ()
    return tuple(np.asarray(one) for one in GATES[node.gate].back(given, node.data, np.ones_like(node.data)))


def text(node: Node) -> str:
    """A line for each node: its value, its gradient, its gate's local slopes, and what it hands to each input.

    Call :meth:`Node.backward` first, or all gradients are 0.

    Example:
        >>> from dojang.convolution.graph import value
        >>> f = (value(-2, "x") + value(5, "y")).named("q") * value(-4, "z")
        >>> f.named("f").backward()
        >>> print(text(f))
        node       value  gradient  slopes  hands on
        x          -2     -4
        y          5      -4
        q = x + y  3      -4        1, 1    x -4, y -4
        z          -4     3
        f = q × z  -12    1         -4, 3   q -4, z 3
    """
    called = names(node)
    rows = [("node", "value", "gradient", "slopes", "hands on")]
    for one in ordered(node):
        handed = ", ".join(
            f"{called[id(parent)]} {number(part)}" for parent, part in zip(one.parents, one.handed, strict=False)
        )
        slopes = ", ".join(number(slope) for slope in local(one))
        rows.append(
            (_formula(one, called), number(one.data), number(one.gradient), slopes, handed)
        )  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _formula(node: Node, called: Mapping[int, str]) -> str:
    name = called[id(node)]
    if not node.gate:
        return name
    given, symbol = [called[id(parent)] for parent in node.parents], GATES[node.gate].symbol
    if node.gate in ("add", "mul", "matmul"):
        return f"{name} = {given[0]} {symbol} {given[1]}"
    return f"{name} = {node.gate}({', '.join(given)})"


def draw(node: Node) -> str:
    """The graph as the text of an SVG file: at each node its value above, the gradient that flows back below.

    Where gates work on single numbers, the slope along each input stands on its line: times it the gradient flows on.

    Example:
        >>> from dojang.convolution.graph import value
        >>> f = value(2.0, "x").square()
        >>> f.backward()
        >>> draw(f).startswith("<svg"), ">4</text>" in draw(f)
        (True, True)
    """
    nodes, called = ordered(node), names(node)
    column: dict[int, int] = {}
    for one in nodes:
        column[id(one)] = 1 + max((column[id(parent)] for parent in one.parents), default=-1)
    for one in reversed(nodes):
        # what is given stands next to where it is first used
        if not one.gate:
            users = [column[id(other)] for other in nodes if any(parent is one for parent in other.parents)]
            column[id(one)] = min(users, default=1) - 1
    row = _rows(nodes, column)
    # room for the longest number behind a node, and for a slope before the next
    longest = max(len(number(values)) for one in nodes for values in (one.data, one.gradient))
    step = max(_WIDE, 7 * longest + 2 * _RADIUS + 70)
    place = {id(one): (40 + step * column[id(one)] + _RADIUS, 44 + _HIGH * row[id(one)] + _RADIUS) for one in nodes}
    # the legend, too
    width = max(300, max(x for x, _ in place.values()) + _RADIUS + 7 * longest + 30)
    height = max(y for _, y in place.values()) + 56
    parts: list[str] = []
    for one in nodes:
        x, y = place[id(one)]
        slopes = local(one) if one.data.ndim == 0 else ()
        for number_, (parent, part) in enumerate(
            zip(one.parents, one.handed or (None,) * len(one.parents), strict=True)
        ):
            px, py = place[id(parent)]
            # a number used twice by one gate: two lines
            twice = sum(other is parent for other in one.parents) - 1
            aside = twice and (14 if number_ else -14)
            parts.append(_line(px, py + aside / 2, x, y + aside / 2))
            if slopes:
                # before the circle, whatever the number's length
                at = x - _RADIUS - 6, y - (y - py) * (_RADIUS + 24) / (x - px) + 4 + aside
                parts.append(_label(*at, f"× {number(slopes[number_])}", _LOCAL, anchor="end"))
            if part is not None and len(parent_users(nodes, parent)) > 1:
                # a number used twice: what each road brings back
                parts.append(_label(px + (x - px) * 0.62, py + (y - py) * 0.62 + 14, number(part), _GRADIENT))
    for one in nodes:
        x, y = place[id(one)]
        symbol = GATES[one.gate].symbol if one.gate else called[id(one)]
        fill = "#fff" if one.gate else "#f2f2f2"
        parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{_RADIUS}" fill="{fill}" stroke="#444"/>')
        parts.append(_label(x, y + 4, symbol, "#000", anchor="middle"))
        parts.append(_label(x + _RADIUS + 3, y - 5, number(one.data), _VALUE))
        parts.append(_label(x + _RADIUS + 3, y + 15, number(one.gradient), _GRADIENT))
        if one.gate and one.name:
            parts.append(_label(x, y - _RADIUS - 5, one.name, "#000", anchor="middle"))
    parts.append(_label(16, height - 12, "value, forward", _VALUE))
    parts.append(_label(116, height - 12, "gradient, back", _GRADIENT))
    if any(one.gate and one.data.ndim == 0 and local(one) for one in nodes):
        parts.append(_label(216, height - 12, "local slope", _LOCAL))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="12" role="img" '
        f'aria-label="computational graph">\n<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def parent_users(nodes: list[Node], parent: Node) -> list[Node]:
    """The nodes that a node goes into."""
    return [one for one in nodes if any(other is parent for other in one.parents)]


def _rows(nodes: list[Node], column: Mapping[int, int]) -> dict[int, float]:
    """How far down each node stands: what is given in the order of its use, a gate in the middle of its inputs."""
    found: dict[int, float] = {}
    taken: dict[int, set[float]] = {}
    last = -1.0
    for one in nodes:
        if not one.gate:
            last += 1
            wanted = last
        else:
            wanted = float(np.mean([found[id(parent)] for parent in one.parents]))
        places = taken.setdefault(column[id(one)], set())
        while any(abs(wanted - other) < 0.9 for other in places):
            wanted += 0.5
        places.add(wanted)
        found[id(one)] = wanted
    return found


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="#888"/>'


def _label(x: float, y: float, words: str, colour: str, anchor: str = "start") -> str:
    # white around the letters, so that lines do not strike them through
    halo = ' stroke="#fff" stroke-width="3" paint-order="stroke"' * (anchor != "middle")
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}" text-anchor="{anchor}"{halo}>{escape(words)}</text>'
