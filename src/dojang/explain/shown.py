"""How explanations show themselves in a notebook; names are inert."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from PIL import Image

from dojang.data.manifest import plain
from dojang.data.thumbnail import address
from dojang.explain import words
from dojang.explain.sheet import fitting, tile

if TYPE_CHECKING:
    from dojang.explain.explain import Explained, Explanation

# of a picture, in pixels
_SIDE = 300
_FIGURE = Markup(
    '<figure style="margin:0;width:{}px;font-size:12px;overflow-wrap:anywhere">'
    '<img src="{}" alt="{}" style="width:100%">{}</figure>'
)
_ROW = Markup('<div style="display:flex;flex-wrap:wrap;gap:10px">{}</div>')


def explanation(found: Explanation) -> str:
    """The answer, the picture with heat over it, and where that is, as HTML."""
    sight = found.sight
    told = "  ".join(f"{plain(label)} {probability:.3f}" for label, probability in found.answer.top(3))
    lines = [Markup("<p><b>{}</b>: {}</p>").format(plain(sight.source), told)]
    figures = [_figure(tile(sight.original, fitting(sight.original.shape, _SIDE)), "the picture")]
    figures += [
        _figure(found.overlay(one.method), f"{one.method}, for {plain(one.label)}: {words.sentence(one)}")
        for one in found.heats
    ]
    lines.append(_ROW.format(Markup("").join(figures)))
    if found.layer is not None:
        lines.append(Markup("<p>at <code>{}</code>: {}</p>").format(plain(found.layer), found.why))
    lines += [_whole(one.drawn()) for one in found.maps]
    lines += [Markup("<pre>{}</pre>").format(str(one)) for one in found.xrays]
    if found.deconvolved:
        from dojang.explain.deconvolution import drawn as back

        lines += [_whole(back(sight, list(some))) for some in found.deconvolved if some]
    if found.near:
        from dojang.explain.nearest import drawn

        lines.append(_whole(drawn(sight, found.near)))
    return str(Markup("").join(lines))


def several(found: Explained) -> str:
    """All of them, one below the other, as HTML."""
    # what is in it was made inert there
    lines = [Markup(explanation(one)) for one in found]  # noqa: S704
    if found.filters is not None:
        lines.append(_whole(found.filters.drawn()))
    made = [
        _figure(tile(one.pixels, fitting(one.pixels.shape, _SIDE)), f"excites {plain(one.of)}")
        for one in found.maximised
    ]
    lines += [_ROW.format(Markup("").join(made))] if made else []
    return str(Markup("").join(lines))


def _figure(image: Image.Image, text: str) -> Markup:
    levels = np.asarray(image)
    return _FIGURE.format(min(_SIDE, image.width), address(levels, _SIDE, 90), text, text)


def _whole(image: Image.Image) -> Markup:
    levels = np.asarray(image)
    return Markup('<p><img src="{}" alt="" style="max-width:100%"></p>').format(address(levels, 1000, 90))
