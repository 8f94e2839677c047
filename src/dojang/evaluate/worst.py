"""The pictures that a network is most surely wrong about: a table, and a sheet of them.

They are where to look first: a wrong label, a picture that shows two things, a class nobody thought of.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dojang.tasks.classify.letters import Drawn, drawn

#: how many are listed of each split, and how many of those are shown
LISTED, SHOWN = 100, 24
# of the sheet, in pixels
_SIDE, _GAP, _LINE, _COLUMNS, _TOP = 150, 12, 17, 6, 40
_INK, _DIM, _MARK = "#222222", "#6b6b6b", "#b33c00"


def order(true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The rows that are answered wrongly, the surest answer first; of equally sure ones that which gave the truth less.

    Args:
        true: Class ids of shape (n,).
        probabilities: Shape (n, c).

    Returns:
        int64, fewer than n.

    >>> order(np.array([0, 0, 1]), np.array([[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]])).tolist()
    [1, 0]
    """
    predicted = probabilities.argmax(axis=1)
    rows = np.flatnonzero(predicted != true)
    sure, given = probabilities[rows, predicted[rows]], probabilities[rows, true[rows]]
    sorted_rows: np.ndarray = rows[np.lexsort((rows, given, -sure))]
    return sorted_rows


def small(levels: np.ndarray) -> np.ndarray:
    """A picture at the size of the sheet, uint8 (h, w, 3); small ones are enlarged in whole steps, pixel by pixel."""
    image = Image.fromarray(np.ascontiguousarray(levels.squeeze(-1) if levels.shape[2:] == (1,) else levels))
    longest = max(image.size)
    if longest > _SIDE:
        image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    elif (times := _SIDE // longest) > 1:
        image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    return np.asarray(image.convert("RGB"))


def sheet(
    pictures: Sequence[np.ndarray],
    said: Sequence[int],
    sure: Sequence[float],
    true: Sequence[int],
    labels: tuple[str, ...],
    title: str,
) -> bytes:
    """The pictures side by side as PNG bytes, each with what was answered and what it is.

    Args:
        pictures: From :func:`small`.
        said, sure, true: Of each: the answer, its probability, the truth.
        labels: Names of the classes.
        title: What they are of.
    """
    names = drawn(labels)
    across = max(1, min(_COLUMNS, len(pictures)))
    down = -(-len(pictures) // across)
    cell = _SIDE + _GAP, _SIDE + 2 * _LINE + _GAP + 6
    width = max(across * cell[0] + _GAP, 480)
    image = Image.new("RGB", (width, down * cell[1] + _TOP + _GAP), "white")
    pen = ImageDraw.Draw(image)
    pen.text((_GAP, 11), title, fill=_INK, font=_font(drawn(("",))[0].font, 15))
    for i, picture in enumerate(pictures):
        left, top = _GAP + i % across * cell[0], _TOP + i // across * cell[1]
        shown = Image.fromarray(picture)
        image.paste(shown, (left + (_SIDE - shown.width) // 2, top + (_SIDE - shown.height) // 2))
        for line, name, before, after, colour in (
            (0, names[said[i]], "", f" {_share(sure[i])}", _MARK),
            (1, names[true[i]], "is ", "", _DIM),
        ):
            _caption(pen, (left, top + _SIDE + 3 + line * _LINE), before, name, after, colour)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def shown(pictures: Mapping[str, np.ndarray], paths: Sequence[str], rows: Sequence[int]) -> list[int]:
    """Those of the rows whose picture is at hand, at most as many as a sheet shows."""
    return [row for row in rows if paths[row] in pictures][:SHOWN]


def _share(value: float) -> str:
    # rounding must not make certainty of what is none
    return f"{min(value, 0.9999):.4f}" if value > 0.999 else f"{value:.3f}"


def _caption(pen: ImageDraw.ImageDraw, place: tuple[int, int], before: str, name: Drawn, after: str, ink: str) -> None:
    """A line no wider than its picture; a name that is too long loses its end, and no number is lost."""
    font, plain, text = _font(name.font, 13), _font(drawn(("",))[0].font, 13), name.text
    room = _SIDE - plain.getlength(before) - plain.getlength(after)
    while text and font.getlength(text) > room:
        text = text[:-2] + "." if len(text) > 2 else ""
    at = float(place[0])
    for words, face in ((before, plain), (text, font), (after, plain)):
        pen.text((at, place[1]), words, fill=ink, font=face)
        at += face.getlength(words)


def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)
