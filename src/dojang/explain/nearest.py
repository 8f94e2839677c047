"""The training pictures that a network finds most like a picture: those nearest by its features.

Source: for pictures compared by what the last layer is given, Krizhevsky, Sutskever, Hinton, NIPS 2012, figure 4; here
by the angle between them, as in dojang's own measure of what is familiar.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from dojang.data import division
from dojang.data.loader import Loader
from dojang.data.manifest import pasted
from dojang.data.prepare import Prepared, prepare
from dojang.errors import ConfigError, DataError
from dojang.explain.sheet import cut, fitting, tile
from dojang.explain.sight import Sight
from dojang.models.features import features
from dojang.predict.predictor import Predictor
from dojang.runs import folder as names
from dojang.runs import recipe as recipes
from dojang.runs.opened import own_data, unchanged
from dojang.tasks.classify.letters import drawn as letters
from dojang.train.precision import threads_given

Tick = Callable[[str, int, int], None]
_BATCH = 250
# of a picture on the sheet, and of what stands below it
_SIDE, _GAP, _LINE = 120, 10, 16
_INK, _DIM, _MARK = "#222222", "#6b6b6b", "#b33c00"


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbour:
    """A training picture that is like another one.

    Args:
        path: As splits.csv names it.
        label: What it is.
        similarity: The cosine of the angle between both pictures' features: 1 where they are the same.
        pixels: As the network sees it, uint8 (h, w, c).
    """

    path: str
    label: str
    similarity: float
    pixels: UInt8[np.ndarray, "h w c"]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"path": self.path, "label": self.label, "similarity": self.similarity}


def nearest(
    sights: Sequence[Sight], learned: Prepared, count: int, *, tick: Tick | None = None
) -> list[list[Neighbour]]:
    """The training pictures nearest to each of some pictures, the nearest first; all of them are looked at.

    Args:
        sights: Of one network.
        learned: Of :func:`training_pictures`.
        count: How many for each.
        tick: Told how far it is.

    Raises:
        ConfigError: C202 for less than one.
    """
    if count < 1:
        raise ConfigError(
            "C202", f"--nearest is {count}: it is how many training pictures are shown.", fix="--nearest 6"
        )
    asked = torch.cat([_described(sight, sight.image) for sight in sights])
    manifest = learned.manifest
    rows = manifest.rows("train")
    best = torch.full((len(sights), 0), 0.0)
    chosen = torch.zeros((len(sights), 0), dtype=torch.int64)
    done = 0
    for pictures in Loader(learned.store, rows, sights[0].predictor.preprocess, batch_size=_BATCH).batches():
        own = torch.from_numpy(np.array(pictures.pixels)).to(sights[0].predictor.device)
        plain_order = dataclasses.replace(sights[0].predictor.preprocess, permute_pixels=False)
        found = _described(sights[0], plain_order.normalise(own))
        alike = asked @ found.T
        # of equally near ones the first: sorting keeps their order
        best, chosen = torch.cat([best, alike], 1), torch.cat([chosen, _repeated(pictures.rows, len(sights))], 1)
        order = best.argsort(dim=1, descending=True, stable=True)[:, :count]
        best, chosen = best.gather(1, order), chosen.gather(1, order)
        done += len(pictures)
        if tick is not None:
            tick("comparing", done, len(rows))
    several = []
    for near, some in zip(best.tolist(), chosen.tolist(), strict=True):
        pixels = Loader(learned.store, np.array(some), sights[0].predictor.preprocess, batch_size=len(some))
        shown = pixels.assemble(np.array(some), 0).pixels
        several.append(
            [
                Neighbour(manifest.paths[row], manifest.classes[manifest.targets[row]], min(alike, 1.0), picture)
                for row, alike, picture in zip(some, near, shown, strict=True)
            ]
        )
    return several


def training_pictures(run: str | Path, predictor: Predictor, data: Any = None, *, tick: Tick | None = None) -> Prepared:
    """The pictures that a run learned from, sure to be the same ones.

    Args:
        run: Its folder.
        data: Where they are now; None where args.yaml says.  For a run on pairs: the same pairs.

    Raises:
        ConfigError: C215 for a place that is no run folder, C218 for pictures that have changed or are not given.
        DataError: D100 where they are not, with the flag that says where they are now.
    """
    folder = names.find(run)
    recipe, facts = recipes.load(folder / names.ARGS)
    try:
        manifest = own_data(facts["data"], data, recipe.data.data_root, fix="explain(..., data=pairs)")
    except DataError as error:
        if error.code != "D100":
            raise
        raise DataError(
            "D100",
            error.what,
            context="There the run's own training pictures are looked for.",
            fix=f"dojang explain {pasted(str(run))} PICTURE --nearest 6 --data PLACE, where they are now.",
        ) from None
    whole = division.again(manifest, folder / names.SPLITS)
    prepared = prepare(
        whole.keep(whole.rows("train")),
        recipe.data,
        seed=recipe.train.seed,
        default_size=predictor.preprocess.height,
        threads=threads_given(recipe.train.threads),
        preprocess=predictor.preprocess,
        assign=False,
        tick=tick or (lambda stage, done, total: None),
    )
    return unchanged(prepared, folder, fix="bring the data back; or --data PLACE, where it is elsewhere now.")


def drawn(sight: Sight, near: Sequence[Neighbour]) -> Image.Image:
    """A sheet: the picture, and beside it its neighbours with their labels; those of another class are marked."""
    labels = tuple(dict.fromkeys([sight.answer.label, *(one.label for one in near)]))
    shown = dict(zip(labels, letters(labels), strict=True))
    base = letters(("",))[0].font
    across = min(len(near), 6) + 1
    down = -(-len(near) // 6)
    size = (_GAP + across * (_SIDE + _GAP), _GAP + max(down, 1) * (_SIDE + 2 * _LINE + _GAP))
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    tiles = [(0, 0, sight.pixels, sight.answer.label, "the answer", _INK)]
    for number, one in enumerate(near):
        ink = _INK if one.label == sight.answer.label else _MARK
        tiles.append((number // 6, number % 6 + 1, one.pixels, one.label, f"alike {one.similarity:.3f}", ink))
    for row, column, pixels, label, below, ink in tiles:
        left, top = _GAP + column * (_SIDE + _GAP), _GAP + row * (_SIDE + 2 * _LINE + _GAP)
        small = tile(pixels, fitting(pixels.shape, _SIDE))
        image.paste(small, (left + (_SIDE - small.width) // 2, top + (_SIDE - small.height) // 2))
        name, face = shown[label], _font(shown[label].font)
        pen.text((left, top + _SIDE + 1), cut(name.text, face, _SIDE), fill=ink, font=face)
        pen.text((left, top + _SIDE + 1 + _LINE), below, fill=_DIM, font=_font(base))
    return image


def _described(sight: Sight, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
    """The features of normalised pictures, each pixel in its place, brought to length one; on the CPU."""
    model, given = sight.predictor.model, sight.given(images)
    with torch.no_grad():
        own = features(model, given)
        seen = own[0] if own is not None else _before_last(sight, given)
    flat = seen.float().cpu()
    unit: Tensor = flat / flat.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return unit


def _before_last(sight: Sight, given: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
    """What the last layer with weights is given, of a network that dojang has not built."""
    weighted = [call for call in sight.trace.layers() if any(True for _ in call.module.parameters(recurse=False))]
    if not weighted:
        raise ConfigError("C290", "this network has no layer with weights, so it has no features to compare.")
    last, caught, uses = weighted[-1], list[Tensor](), 0

    def hook(module: Any, args: Any) -> None:
        nonlocal uses
        uses += 1
        if uses == last.use:
            caught.append(args[0])

    handle = last.module.register_forward_pre_hook(hook)
    try:
        sight.predictor.model(given)
    finally:
        handle.remove()
    seen = caught[0]
    flat: Tensor = seen.flatten(2).mean(dim=2) if seen.ndim == 4 else seen.flatten(1)
    return flat


def _repeated(rows: np.ndarray, times: int) -> Tensor:
    return torch.from_numpy(np.array(rows)).expand(times, -1)


def _font(path: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, 13)
