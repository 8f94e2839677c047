"""A picture as what it is to a network: a matrix of numbers, one for each colour, and one long vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from dojang.data import flatten
from dojang.data.decode import decode, described, is_gray, probe
from dojang.doctor.sheet import Section, figure, lines_of, matrix, sheet, table
from dojang.errors import ConfigError, many

# a whole picture up to this side is shown in numbers, of larger ones a part
_WHOLE, _PART = 32, 8
_NAMES, _TINTS = ("red", "green", "blue"), ((255, 60, 60), (60, 220, 60), (90, 130, 255))
_SIDE, _SOME = 320, 18


@dataclass(frozen=True)
class Anatomy:
    """A picture and the part of it that is shown in numbers.

    Args:
        name: Of the picture.
        levels: uint8 (h, w, c), c 1 for gray and 3 for red, green and blue.
        top, left: Where the part begins, in pixels.
        part: Its height and width.
        pixel: Row and column of the one whose place in the vector is worked out.
    """

    name: str
    levels: np.ndarray
    top: int
    left: int
    part: tuple[int, int]
    pixel: tuple[int, int]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the channels."""
        return _NAMES if self.levels.shape[2] == 3 else ("gray",)

    @property
    def numbers(self) -> np.ndarray:
        """The part, uint8 (h, w, c)."""
        return self.levels[self.top : self.top + self.part[0], self.left : self.left + self.part[1]]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        shape, (y, x) = self._shape, self.pixel
        return {
            "picture": self.name,
            "height": shape[0],
            "width": shape[1],
            "channels": shape[2],
            "length": int(self.levels.size),
            "part": {"top": self.top, "left": self.left, "levels": self.numbers.tolist()},
            "planes": [
                {"channel": name, "mean": float(plane.mean()), "least": int(plane.min()), "most": int(plane.max())}
                for name, plane in self._planes
            ],
            "index": {
                "y": y,
                "x": x,
                "channels_last": [flatten.last(y, x, c, shape) for c in range(shape[2])],
                "channels_first": [flatten.first(y, x, c, shape) for c in range(shape[2])],
            },
        }

    def lines(self) -> list[str]:
        """For a terminal of 80 columns."""
        height, width, channels = self._shape
        said = [f"{height} x {width} x {channels} = {self.levels.size:,} numbers from 0 to 255"]
        rows, columns = min(self.part[0], 16), min(self.part[1], 16)
        top, left = self.top + (self.part[0] - rows) // 2, self.left + (self.part[1] - columns) // 2
        for name, plane in self._planes:
            said.append(f"{name}, from row {top}, column {left}:")
            part = plane[top : top + rows, left : left + columns]
            said += ["".join(f"{level:4d}" for level in row) for row in part.tolist()]
        y, x = self.pixel
        said.append(f"as a vector, the number at row {y}, column {x}, channel {channels - 1}:")
        last, first = flatten.written_out(y, x, channels - 1, self._shape)
        return [*said, f"  channels last:  {last}", f"  channels first: {first}"]

    def page(self) -> str:
        """The text of the page."""
        height, width, channels = self._shape
        sections = [
            self._picture(),
            *([self._planes_shown()] if channels == 3 else []),
            self._matrices(),
            self._vector(),
        ]
        summary = [
            f"{height} rows, {width} columns, {many(channels, 'channel')}: {height} x {width} x {channels} = "
            f"{self.levels.size:,} numbers from 0 (dark) to 255 (bright)."
        ]
        return sheet(f"{self.name} as numbers", summary, sections)

    @property
    def _shape(self) -> tuple[int, int, int]:
        height, width, channels = self.levels.shape
        return height, width, channels

    @property
    def _planes(self) -> list[tuple[str, np.ndarray]]:
        return [(name, self.levels[:, :, c]) for c, name in enumerate(self.names)]

    def _picture(self) -> Section:
        height, width, _ = self._shape
        over: Markup | str = ""
        words: list[str] = []
        if self.part != (height, width):
            places = (self.left / width, self.top / height, self.part[1] / width, self.part[0] / height)
            box = ";".join(
                f"{side}:{100 * p:.3f}%" for side, p in zip(("left", "top", "width", "height"), places, strict=True)
            )
            over = Markup('<i style="{}"></i>').format(box)
            words = [f"The framed part of {self.part[0]} x {self.part[1]} pixels is shown in numbers below."]
        image = figure(self.levels, over=over, style="width:100%", side=2 * _SIDE)
        return "The picture", words, Markup('<div class="wide">{}</div>').format(image)

    def _planes_shown(self) -> Section:
        shown = []
        for (name, plane), c in zip(self._planes, range(3), strict=True):
            tinted = np.zeros_like(self.levels)
            tinted[:, :, c] = plane
            for levels, words in ((plane, f"{name}, as gray"), (tinted, f"{name}, in its colour")):
                shown.append(figure(levels, words, style="width:100%", side=_SIDE))
        rows = [(name, f"{p.mean():.1f}", f"{p.std():.1f}", p.min(), p.max()) for name, p in self._planes]
        body = Markup('<div class="four">{}</div>').format(Markup("").join(shown))
        about = ["Three gray pictures, one on the other: what is bright in a plane has much of its colour."]
        return "Its colour planes", about, body + table(("channel", "mean", "deviation", "least", "most"), rows)

    def _matrices(self) -> Section:
        tints = _TINTS if len(self.names) == 3 else ((255, 255, 255),)
        made = [
            Markup("<div><b>{}</b>{}</div>").format(name, matrix(self.numbers[:, :, c], self.top, self.left, tints[c]))
            for c, name in enumerate(self.names)
        ]
        words = ["Rows are numbered from the top and columns from the left, both from 0."]
        return "As a matrix of numbers", words, Markup('<div class="all">{}</div>').format(Markup("").join(made))

    def _vector(self) -> Section:
        shape = self._shape
        height, width, channels = shape
        y, x = self.pixel
        body = Markup("")
        ways = (
            ("Channels last", "(H, W, C): a pixel's colours stand together", flatten.last, (0, 1, 2)),
            ("Channels first", "(C, H, W): each plane is a piece of its own", flatten.first, (2, 0, 1)),
        )
        for which, (title, order, place, axes) in enumerate(ways):
            vector = self.levels.transpose(axes).reshape(-1)
            sums = [
                f"{name} {vector[place(y, x, c, shape)]}: {flatten.written_out(y, x, c, shape)[which]}"
                for c, name in enumerate(self.names)
            ]
            begin = place(y, x, 0, shape)
            some = vector[begin : begin + _SOME].tolist()
            more = " ..." if begin + len(some) < vector.size else ""
            sums.append(f"from {begin} on: {' '.join(map(str, some))}{more}")
            body += Markup("<p><b>{}</b> {}</p>").format(title, order) + lines_of(sums)
        about = (
            f"All {self.levels.size:,} numbers one after the other, from 0. Where those of the pixel at row y = {y}, "
            f"column x = {x} stand, with H = {height}, W = {width}, C = {channels}:"
        )
        return "As one vector", [about], body


def anatomy(data: bytes | np.ndarray, name: str, at: tuple[int, int] | None = None) -> Anatomy:
    """Take a picture apart.

    Args:
        data: The bytes of a file, or uint8 pixels (h, w), (h, w, 1) or (h, w, 3).
        name: For the page and for messages.
        at: Row and column where the part in numbers begins; None for the middle. Of pictures up to 32 x 32 all is
            shown.

    Raises:
        DataError: As :func:`dojang.data.decode.decode`.
        ConfigError: C202 for a place outside of the picture.
    """
    info = described(data) if isinstance(data, np.ndarray) else probe(data, name)
    levels = decode(data, name, mode="L" if is_gray(info) else "RGB")
    height, width = levels.shape[:2]
    whole = max(height, width) <= _WHOLE and at is None
    part = (height, width) if whole else (min(_PART, height), min(_PART, width))
    if at is None:
        top, left = (height - part[0]) // 2, (width - part[1]) // 2
        pixel = height // 2, width // 2
    else:
        top, left = pixel = at
        if not (0 <= top < height and 0 <= left < width):
            raise ConfigError(
                "C202",
                f"--at {top},{left} is outside of the picture: rows 0 to {height - 1}, columns 0 to {width - 1}.",
                fix=f"--at {height // 2},{width // 2}",
            )
        part = (min(part[0], height - top), min(part[1], width - left))
    return Anatomy(name, levels, top, left, part, pixel)
