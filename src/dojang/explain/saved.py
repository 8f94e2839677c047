"""Explanations as files: pictures to look at, arrays to go on with, and explain.json, which tells of all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dojang import files
from dojang.data.manifest import plain
from dojang.explain import deconvolution, nearest
from dojang.explain.overlay import png
from dojang.explain.sheet import fitting, sheet, tile

if TYPE_CHECKING:
    from pathlib import Path

    from dojang.explain.explain import Explained, Explanation

TABLE = "explain.json"
# of a picture that excites something, on their sheet
_SIDE = 160


def write(found: Explained, folder: Path) -> None:
    """Write all of it.

    Args:
        folder: That nobody else writes into.
    """
    told: dict[str, Any] = {"format": 1, "notes": list(found.notes), "pictures": []}
    for one, name in zip(found, names([one.sight.source for one in found]), strict=True):
        written = _picture(one, folder / name)
        told["pictures"].append(one.as_dict() | {"folder": name, "files": written})
    told["filters"] = None
    if found.filters is not None:
        files.write_bytes(folder / "filters.png", png(found.filters.drawn()))
        files.write_npz(folder / "filters.npz", {"filters": found.filters.values})
        told["filters"] = {"layer": found.filters.layer, "shape": list(found.filters.values.shape)}
    told["maximised"] = [one.told() for one in found.maximised]
    if found.maximised:
        tiles = [tile(one.pixels, fitting(one.pixels.shape, _SIDE)) for one in found.maximised]
        captions, faces = _captions([one.of for one in found.maximised], [one.after for one in found.maximised])
        files.write_bytes(folder / "maximised.png", png(sheet(tiles, captions, "what excites them most", faces)))
        for made, name in zip(found.maximised, _distinct([slug(one.of) for one in found.maximised]), strict=True):
            pixels = made.pixels[..., 0] if made.pixels.shape[2] == 1 else made.pixels
            files.write_bytes(folder / f"maximised-{name}.png", png(Image.fromarray(pixels)))
    files.write_json(folder / TABLE, told)


def _picture(one: Explanation, folder: Path) -> list[str]:
    """The files of one picture; gives their names."""
    made: dict[str, bytes] = {}
    for heat in one.heats:
        made[f"heat-{heat.method}.png"] = png(one.overlay(heat.method))
    for maps in one.maps:
        made[f"maps-{slug(maps.layer)}.png"] = png(maps.drawn())
    for several in one.deconvolved:
        if several:
            name = slug(several[0].unit if len(several) == 1 else several[0].unit.rpartition(":")[0])
            made[f"deconvolution-{name}.png"] = png(deconvolution.drawn(one.sight, list(several)))
    if one.near:
        made["nearest.png"] = png(nearest.drawn(one.sight, one.near))
    for found in one.xrays:
        made[f"xray-{slug(found.unit)}.txt"] = f"{found}\n".encode()
    for name, data in made.items():
        files.write_bytes(folder / name, data)
    arrays: dict[str, np.ndarray] = {heat.method: heat.values for heat in one.heats}
    arrays |= {f"maps-{slug(maps.layer)}": maps.values for maps in one.maps}
    arrays |= {f"deconvolution-{slug(d.unit)}": d.values for several in one.deconvolved for d in several}
    arrays["seen"] = one.sight.pixels
    files.write_npz(folder / "heat.npz", arrays)
    return [*made, "heat.npz"]


def slug(text: str) -> str:
    """A text as part of a file's name.

    >>> slug("conv1:5,10,14"), slug("relu#2"), slug("../a b")
    ('conv1-5-10-14', 'relu-2', 'a-b')
    """
    return re.sub(r"[^\w.]+", "-", text).strip("-.")[:60] or "picture"


def names(several: list[str]) -> list[str]:
    """A name of its own for each, made of the last part of a path; of equal ones the second is name-2.

    >>> names(["a/cat.jpg", "b/cat.jpg", "array 1"])
    ['cat', 'cat-2', 'array-1']
    """
    lasts = [text.replace("\\", "/").rpartition("/")[2] for text in several]
    return _distinct([slug(re.sub(r"\.\w{1,5}$", "", last) or last) for last in lasts])


def _distinct(stems: list[str]) -> list[str]:
    found: list[str] = []
    for stem in stems:
        number, name = 1, stem
        while name.lower() in {other.lower() for other in found}:
            number += 1
            name = f"{stem}-{number}"
        found.append(name)
    return found


def _captions(of: list[str], values: list[float]) -> tuple[list[str], list[str]]:
    """What stands below each, and the font that has its letters; "" for the usual one."""
    if all(text.isascii() for text in of):
        return [f"{plain(text)}: {value:.3g}" for text, value in zip(of, values, strict=True)], []
    # names in other letters cost a search for fonts
    from dojang.tasks.classify.letters import drawn

    shown = drawn(tuple(of))
    told = [f"{one.text}: {value:.3g}" for one, value in zip(shown, values, strict=True)]
    return told, [one.font for one in shown]
