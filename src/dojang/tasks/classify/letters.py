"""Names as pictures can show them: in a font that has their letters, or by number where none has.

The font of drawing libraries has Latin, Greek and Cyrillic letters, and no Hangul; an empty box in its place would be a
name that nobody can read. So each name is drawn in the first font that has all of it: the library's own, that of
``pip install 'dojang[korean]'``, one of the machine's. Nothing is fetched. A name that no font has is shown by the
number of its class, and a file beside the picture says which is which.
"""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from dojang.data.manifest import readable

# of the machine, those first that are made for Korean; each is asked whether it has the letters
_FAMILIES = (
    *("Noto Sans CJK KR", "Noto Sans KR", "Source Han Sans KR", "NanumGothic", "NanumBarunGothic", "Malgun Gothic"),
    *("Apple SD Gothic Neo", "AppleGothic", "UnDotum", "Baekmuk Dotum", "Noto Sans CJK JP", "Noto Sans CJK SC"),
    *("Droid Sans Fallback", "WenQuanYi Zen Hei", "Arial Unicode MS", "Noto Sans"),
)
_LONGEST = 40


@dataclass(frozen=True)
class Drawn:
    """A name for a picture.

    Args:
        text: The name, cut after 40 letters, or "#3".
        font: The file of the font that has all of it.
        numbered: Whether it is shown by number.
    """

    text: str
    font: str
    numbered: bool = False

    @property
    def plotted(self) -> str:
        """The text for matplotlib, which would read "$" as the start of mathematics."""
        return self.text.replace("$", r"\$")


def drawn(labels: tuple[str, ...]) -> list[Drawn]:
    """How each name can be shown.

    Args:
        labels: Of the classes, in the order of their ids.

    >>> [name.text for name in drawn(("cat", "naïve", "a\\nb"))]
    ['cat', 'naïve', '#2']
    """
    return [_one(label[:_LONGEST], number) for number, label in enumerate(readable(labels))]


def _one(label: str, number: int) -> Drawn:
    fonts = _fonts()
    for font in fonts:
        if all(c.isprintable() and _has(font, ord(c)) for c in label):
            return Drawn(label, font)
    return Drawn(f"#{number}", fonts[0], numbered=True)


@functools.cache
def _fonts() -> tuple[str, ...]:
    """Files of fonts, in the order in which they are asked."""
    from matplotlib import font_manager

    found = [str(font_manager.findfont("DejaVu Sans"))]
    # its own module would change the settings of matplotlib; the file alone does not
    package = importlib.util.find_spec("koreanize_matplotlib")
    for place in (package.submodule_search_locations or []) if package else []:
        found += [str(path) for path in Path(place).glob("fonts/NanumGothic.ttf")]
    machine = {entry.name: entry.fname for entry in reversed(font_manager.fontManager.ttflist)}
    return (*found, *(machine[family] for family in _FAMILIES if family in machine))


@functools.cache
def _has(font: str, letter: int) -> bool:
    from matplotlib import font_manager

    try:
        return bool(font_manager.get_font(font).get_char_index(letter))
    except (OSError, RuntimeError, ValueError):
        # a font that was removed or is broken has no letters
        return False
