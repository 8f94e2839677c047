"""Names as pictures can show them: in a font that has their letters, or by number where none has.

The font of drawing libraries has Latin, Greek and Cyrillic letters, and no Hangul; an empty box in its place would be a
name that nobody can read. So each name is drawn in the first font that has all of it: the library's own, that of
``pip install 'dojang[korean]'``, one of the machine's. Nothing is fetched. A name that no font has is shown by the
number of its class, and a file beside the picture says which is which.
"""

from __future__ import annotations

import functools
import importlib.util
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from dojang.data.manifest import plain, readable

# of the machine, those first that are made for Korean; each is asked whether it has the letters
_FAMILIES = (
    *("Noto Sans CJK KR", "Noto Sans KR", "Source Han Sans KR", "NanumGothic", "NanumBarunGothic", "Malgun Gothic"),
    *("Apple SD Gothic Neo", "AppleGothic", "UnDotum", "Baekmuk Dotum", "Noto Sans CJK JP", "Noto Sans CJK SC"),
    *("Droid Sans Fallback", "WenQuanYi Zen Hei", "Arial Unicode MS", "Noto Sans"),
)
# columns of a name
_LONGEST = 22


@dataclass(frozen=True)
class Drawn:
    """A name for a picture.

    Args:
        text: The name, cut after 22 columns, or "#3".
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


def drawn(labels: tuple[str, ...], *, longest: int = _LONGEST, first: int = 0) -> list[Drawn]:
    """How each name can be shown.

    Args:
        labels: Of the classes, in the order of their ids.
        longest: Columns of a name, where a letter of Hangul takes two.
        first: The number of the first, for those that are shown by number.

    >>> [name.text for name in drawn(("cat", "naïve", "a\\nb"))]
    ['cat', 'naïve', 'a\\\\nb']
    """
    names = [plain(label) for label in readable(labels)]
    cut = [_cut(name, longest) for name in names]
    twice = {name for name, n in Counter(cut).items() if n > 1}
    return [
        _one(text if text not in twice else f"{_cut(name, longest - 6)} #{number}", number)
        for number, (name, text) in enumerate(zip(names, cut, strict=True), first)
    ]


def _cut(name: str, most: int) -> str:
    if cell_len(name) <= most:
        return name
    while cell_len(name) > most - 1:
        name = name[:-1]
    return f"{name}…"


def _one(label: str, number: int) -> Drawn:
    fonts = _fonts()
    for font in fonts:
        # a font without "…" has dots
        if all(_has(font, ord(c)) for c in label if c != "…"):
            return Drawn(label if _has(font, ord("…")) else label.replace("…", ".."), font)
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
    machine = dict[str, str]()
    # of each family the upright one of usual weight, in whatever order they are listed
    for entry in sorted(font_manager.fontManager.ttflist, key=_unusual, reverse=True):
        machine[entry.name] = entry.fname
    return (*found, *(machine[family] for family in _FAMILIES if family in machine))


def _unusual(entry: Any) -> tuple[bool, int]:
    from matplotlib import font_manager

    weight = font_manager.weight_dict.get(entry.weight, entry.weight)
    return entry.style != "normal", abs(int(weight) - 400)


@functools.cache
def _has(font: str, letter: int) -> bool:
    from matplotlib import font_manager

    try:
        return bool(font_manager.get_font(font).get_char_index(letter))
    except (OSError, RuntimeError, ValueError):
        # a font that was removed or is broken has no letters
        return False
