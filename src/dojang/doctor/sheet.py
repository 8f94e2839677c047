"""One HTML page of pictures with words, light and dark, that needs no network.

A page and no drawing: the browser has letters for class names in any script, which drawing libraries have not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from dojang.data.manifest import plain
from dojang.data.thumbnail import EXACT, address

_SIDE = 192

_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --line: #8885; --dim: #737373; --ink: #222; --mark: #c8401f; --dot: #2f6f9f; }
@media (prefers-color-scheme: dark) { :root { --dim: #9a9a9a; --ink: #ddd; --mark: #ff7a52; --dot: #79b8e8; } }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 68rem; margin: 0 auto; padding: 1rem 1rem 4rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; margin: .2rem 0 .6rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .2rem; }
p { margin: .3rem 0; max-width: 46rem; } .dim { color: var(--dim); }
code, .m td { font-family: ui-monospace, monospace; } code { overflow-wrap: anywhere; }
.row { border-top: 1px solid var(--line); padding: .5rem 0 .2rem; }
.row > b { display: block; font-weight: 600; overflow-wrap: anywhere; margin-bottom: .3rem; }
.row > b span { font-weight: 400; color: var(--dim); }
.all { display: flex; flex-wrap: wrap; gap: .6rem; align-items: flex-start; }
figure { margin: 0; } figcaption { font-size: .74rem; color: var(--dim); overflow-wrap: anywhere; max-width: 12rem; }
.s figure { width: 6rem; } .s img { width: 6rem; height: 6rem; object-fit: contain; background: #8882; }
.s figcaption { max-width: 6rem; max-height: 3.9em; overflow: hidden; line-height: 1.3; }
img.p, .s img.p { image-rendering: pixelated; } img { display: block; max-width: 100%; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; margin: .6rem 0; } td, th { padding: .2rem .9rem .2rem 0; text-align: left; }
th { font-weight: 600; } .n { text-align: right; font-variant-numeric: tabular-nums; }
.m { margin: .2rem 0; } .m td { padding: 0 .25rem; font-size: .68rem; line-height: 1.5; text-align: right; }
.m td { min-width: 1.5rem; } .all > div { max-width: 100%; } th { white-space: nowrap; }
.m td.i { color: var(--dim); padding-right: .5rem; }
.four { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.2rem, 1fr)); gap: .8rem; }
.four figcaption { max-width: none; } .four svg { width: 100%; height: auto; color: var(--ink); }
.four svg text { font-family: system-ui, sans-serif; }
.wide { max-width: 20rem; } .over { position: relative; }
.over i { position: absolute; outline: 2px solid var(--mark); }
</style></head><body>
<h1>{{ title }}</h1>
{% for sentence in summary %}<p>{{ sentence }}</p>{% endfor %}
{% for heading, sentences, body in sections %}
<section><h2>{{ heading }}</h2>
{% for sentence in sentences %}<p class="dim">{{ sentence }}</p>{% endfor %}
{{ body }}</section>
{% endfor %}
</body></html>
"""

Section = tuple[str, Sequence[str], Markup]


def sheet(title: str, summary: Sequence[str], sections: Iterable[Section]) -> str:
    """The text of a page.

    Args:
        summary: Sentences below the title.
        sections: Heading, sentences below it, and what it shows, made by the functions below.
    """
    # every name is escaped: a folder may be called <script>
    made = Environment(autoescape=True, undefined=StrictUndefined).from_string(_TEMPLATE)
    inert = [(plain(heading), list(map(plain, sentences)), body) for heading, sentences, body in sections]
    return made.render(title=plain(title), summary=list(map(plain, summary)), sections=inert)


def grid(rows: Iterable[tuple[str, Sequence[np.ndarray | tuple[np.ndarray, str]]]]) -> Markup:
    """Rows of pictures, each row with a caption, each picture with words below it where it has any.

    Use it for anything that is seen best side by side: pictures by class, before and after.

    Args:
        rows: Caption and pictures; "name | number" makes what follows the bar less strong. A picture is uint8 (h, w),
            (h, w, 1) or (h, w, 3), alone or with its words.

    Example:
        >>> str(grid([("cat | 12", [(np.zeros((2, 2), np.uint8), "<a>.png")])]))[:60]
        '<div class="row"><b>cat <span>12</span></b><div class="all s'
    """
    made = []
    for caption, pictures in rows:
        name, _, more = caption.rpartition(" | ") if " | " in caption else (caption, "", "")
        shown = [picture if isinstance(picture, tuple) else (picture, "") for picture in pictures]
        figures = Markup("").join(figure(levels, words) for levels, words in shown)
        head = Markup("<b>{} <span>{}</span></b>").format(plain(name), plain(more))
        made.append(Markup('<div class="row">{}<div class="all s">{}</div></div>').format(head, figures))
    return Markup("").join(made)


def figure(
    levels: np.ndarray, words: str = "", *, over: Markup | str = "", style: str = "", side: int = _SIDE
) -> Markup:
    """One picture with words below it.

    Args:
        levels: uint8 (h, w), (h, w, 1) or (h, w, 3).
        over: Laid over the picture.
        style: Of CSS, for the picture.
        side: Larger pictures are made smaller, to at most so many pixels.
    """
    image = Markup('<img {}src="{}" alt="" style="{}">').format(
        Markup('class="p" ') if max(levels.shape[:2]) <= EXACT else "", address(levels, side), style
    )
    if over:
        image = Markup('<div class="over">{}{}</div>').format(image, over)
    below = Markup("<figcaption>{}</figcaption>").format(plain(words)) if words else ""
    return Markup("<figure>{}{}</figure>").format(image, below)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table; all columns but the first hold numbers."""
    cells = Markup("").join(Markup("<th{}>{}</th>").format(_right(i), word) for i, word in enumerate(header))
    lines = [Markup("<tr>{}</tr>").format(cells)]
    for row in rows:
        cells = Markup("").join(Markup("<td{}>{}</td>").format(_right(i), word) for i, word in enumerate(row))
        lines.append(Markup("<tr>{}</tr>").format(cells))
    return Markup('<div class="scroll"><table>{}</table></div>').format(Markup("").join(lines))


def matrix(levels: np.ndarray, top: int, left: int, tint: tuple[int, int, int] = (255, 255, 255)) -> Markup:
    """The numbers of one channel, each on its own shade.

    Args:
        levels: uint8 (h, w).
        top, left: Row and column of the first number, shown at the sides.
        tint: The colour of level 255.
    """
    head = Markup("").join(Markup('<td class="i">{}</td>').format(left + x) for x in range(levels.shape[1]))
    lines = [Markup('<tr><td class="i"></td>{}</tr>').format(head)]
    for y, row in enumerate(levels.tolist()):
        cells = [Markup('<td class="i">{}</td>').format(top + y)]
        for level in row:
            shade = [level * part // 255 for part in tint]
            # the weights of the eye, as gray pictures have them
            ink = "#000" if 299 * shade[0] + 587 * shade[1] + 114 * shade[2] > 120_000 else "#fff"
            colour = f"background:rgb({shade[0]},{shade[1]},{shade[2]});color:{ink}"
            cells.append(Markup('<td style="{}">{}</td>').format(colour, level))
        lines.append(Markup("<tr>{}</tr>").format(Markup("").join(cells)))
    return Markup('<div class="scroll"><table class="m">{}</table></div>').format(Markup("").join(lines))


def lines_of(sentences: Iterable[str]) -> Markup:
    """Sums and such, each on a line of its own."""
    return Markup("").join(Markup("<p><code>{}</code></p>").format(escape(sentence)) for sentence in sentences)


def _right(column: int) -> Markup:
    return Markup(' class="n"') if column else Markup("")
