"""A network as a row of volumes: how wide and high its maps are, how many channels they have, what makes each."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from dojang.models.summary import Row, Summary

# pixels of the drawing: the largest map's side, a volume's column, and volumes in a line
_TALL, _COLUMN, _LINE = 130, 104, 9
_MOST = 27
# Okabe and Ito's colours, which the colour-blind can tell apart; light, middle and dark sides of a box
_COLOURS = {
    "input": ("#f2f2f2", "#d0d0d0", "#a8a8a8"),
    "convolution": ("#bfe0f5", "#7fbfe6", "#3f93c4"),
    "pooling": ("#f8dfae", "#eeb94f", "#c08410"),
    "dense": ("#bfe6d9", "#66c2a3", "#1b8a66"),
}


@dataclasses.dataclass(frozen=True)
class Volume:
    """Layers one behind the other whose outputs have one shape.

    Args:
        kind: "input", "convolution", "pooling" or "dense": what made the shape.
        layers: Their names.
        shape: (c, h, w), or (n,).
        parameters: Of all of them.
    """

    kind: str
    layers: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int


def volumes(summary: Summary) -> list[Volume]:
    """The network in at most some thirty volumes: where there are more shapes, those of one map's size become one."""
    rows = [row for row in summary.rows if row.shape and len(row.shape) in (1, 3)]
    found = [Volume("input", ("input",), summary.input_shape, 0)]
    for key in (lambda row: row.shape, lambda row: row.shape[1:] or ()):
        parts = [list(part) for _, part in itertools.groupby(rows, key)]
        made = _joined(_volume(part, after) for part, after in zip(parts, [*parts[1:], []], strict=True))
        if len(made) <= _MOST:
            break
    return [*found, *made]


def _joined(found: Iterable[Volume]) -> list[Volume]:
    """Neighbours of one shape as one: branches put side by side, and the dropout behind them."""
    made: list[Volume] = []
    for volume in found:
        if made and made[-1].shape == volume.shape:
            before = made[-1]
            layers, parameters = before.layers + volume.layers, before.parameters + volume.parameters
            made[-1] = dataclasses.replace(before, layers=layers, parameters=parameters)
        else:
            made.append(volume)
    return made


def _volume(rows: Sequence[Row], after: Sequence[Row]) -> Volume:
    shape = rows[-1].shape or ()
    # where branches were put side by side no layer gives what is there: the next one is given it
    given = after[0].given if after else None
    if given is not None and given[1:] == shape[1:] and len(shape) == 3 and given != rows[0].given:
        shape = given
    kinds = [row.type for row in rows]
    kind = "dense" if len(shape) == 1 else "convolution"
    if (
        kind != "dense"
        and not any("Conv" in word for word in kinds)
        and any("Pool" in word or word == "Maxout" for word in kinds)
    ):
        kind = "pooling"
    return Volume(kind, tuple(row.name for row in rows), shape, sum(row.parameters for row in rows))


def draw(summary: Summary, title: str) -> str:
    """The drawing, as the text of an SVG file.

    Args:
        summary: Of the network.
        title: Above the drawing.

    Example:
        >>> from torch import nn
        >>> from dojang.models.summary import summarise
        >>> text = draw(summarise(nn.Sequential(nn.Conv2d(3, 8, 3)), (32, 32), 3), "a layer")
        >>> text.startswith("<svg"), "8 x 30 x 30" in text
        (True, True)
    """
    found = volumes(summary)
    # lines of about the same length, each as high as its highest box
    each = -(-len(found) // -(-len(found) // _LINE))
    lines = [found[start : start + each] for start in range(0, len(found), each)]
    width = max(_COLUMN * each + 40, 620)
    parts = [
        f'<text x="20" y="28" font-size="16" font-weight="bold">{escape(title)}</text>',
        f'<text x="20" y="46" font-size="11" fill="#555">{_facts(summary)}</text>',
    ]
    floor = 56.0
    for line in lines:
        sizes = [_sizes(volume, summary) for volume in line]
        floor += max(high + slant for high, slant, _ in sizes)
        for place, (volume, size) in enumerate(zip(line, sizes, strict=True)):
            parts += _box(volume, size, 20 + place * _COLUMN, floor)
        floor += 70
    height = round(floor + 6)
    parts += _legend(found, height - 16)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">\n'
        "<desc>drawn by dojang</desc>\n"
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _facts(summary: Summary) -> str:
    return (
        f"{summary.total:,} parameters, {summary.macs:,} multiplications with additions, depth {summary.depth}. "
        "Below each box: shape, layers, parameters."
    )


def _sizes(volume: Volume, summary: Summary) -> tuple[float, float, float]:
    """Height of a box, lean of its side, thickness: square roots of a map's sides, logarithms of numbers."""
    channels, *map_ = volume.shape
    if not map_:
        return min(12 + 11 * math.log2(channels + 1), _TALL * 1.4), 2.0, 8.0
    largest = max(summary.input_shape[1:])
    high, deep = (max(5.0, _TALL * math.sqrt(side / largest)) for side in map_)
    return high, deep * 0.34, 3 + 4 * math.log2(channels + 1)


def _box(volume: Volume, sizes: tuple[float, float, float], left: float, floor: float) -> list[str]:
    """A box in oblique projection, standing on one line with its neighbours, and what is said of it."""
    light, middle, dark = _COLOURS[volume.kind]
    high, slant, thick = sizes
    x, y = left + 4, floor - high
    far = x + thick
    front = _points((x, y), (far, y), (far, floor), (x, floor))
    roof = _points((x, y), (x + slant, y - slant), (far + slant, y - slant), (far, y))
    side = _points((far, y), (far + slant, y - slant), (far + slant, floor - slant), (far, floor))
    shown = [f'<polygon points="{points}" fill="{fill}" stroke="#444" stroke-width="0.7" stroke-linejoin="round"/>'
             for points, fill in ((front, light), (roof, middle), (side, dark))]  # fmt: skip
    said = [" x ".join(str(number) for number in volume.shape), _layers(volume), f"{volume.parameters:,}"]
    colours = ("#000", "#333", "#666")
    for number, (text, colour) in enumerate(zip(said, colours, strict=True)):
        if number == 2 and not volume.parameters:
            continue
        size = 11 if number == 0 else 10
        shown.append(
            f'<text x="{left:.0f}" y="{floor + 16 + 14 * number:.0f}" font-size="{size}" fill="{colour}">'
            f"{escape(text)}</text>"
        )
    return shown


def _points(*corners: tuple[float, float]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _layers(volume: Volume) -> str:
    first, last = volume.layers[0], volume.layers[-1]
    text = first if first == last else f"{first} … {last.rpartition('.')[2]}"
    if len(text) > 17:
        text = f"{len(volume.layers)} layers" if first != last else f"…{first[-16:]}"
    return text


def _legend(found: Sequence[Volume], y: float) -> list[str]:
    words = {
        "input": "input",
        "convolution": "with convolutions",
        "pooling": "pooled",
        "dense": "dense, numbers in a row",
    }
    shown, x = [], 20.0
    for kind in words:
        if any(volume.kind == kind for volume in found):
            shown.append(f'<rect x="{x:.0f}" y="{y - 9:.0f}" width="10" height="10" fill="{_COLOURS[kind][1]}"/>')
            shown.append(f'<text x="{x + 15:.0f}" y="{y:.0f}" font-size="11">{words[kind]}</text>')
            x += 36 + 6.2 * len(words[kind])
    return shown
