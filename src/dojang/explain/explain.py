"""Explanations: pictures before a network, and all that was asked about them, as objects, files and words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dojang.errors import ConfigError, did_you_mean
from dojang.explain import deconvolution, filters, heat, maximise, nearest, overlay, target
from dojang.explain.deconvolution import Deconvolved
from dojang.explain.everywhere import everywhere
from dojang.explain.filters import Filters, Maps
from dojang.explain.heat import Heat
from dojang.explain.integrated import integrated
from dojang.explain.maximise import Maximised
from dojang.explain.nearest import Neighbour, Tick
from dojang.explain.occlusion import occlusion
from dojang.explain.options import DEFAULT, DEFAULT_DENSE, METHODS
from dojang.explain.sight import Sight, look
from dojang.explain.xray import Xray, xray
from dojang.predict.answer import Answer
from dojang.predict.predictor import Predictor

_AT_A_LAYER = ("gradcam", "layercam")
_BY_PIXELS: dict[str, Callable[[Sight], Heat]] = {
    "occlusion": occlusion,
    "integrated": integrated,
    "everywhere": everywhere,
}


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is to be explained.

    Args:
        methods: Heat maps, by their names (:data:`dojang.explain.options.METHODS`); none takes two that suit.
        layer: Where they are taken; None finds it.
        label: The class that is asked about; None takes the answer.
        xrays: Units to look through, as ``LAYER:CHANNEL,ROW,COLUMN``.
        maps: Layers whose feature maps are wanted.
        deconvolve: Units, or layers, that are led back to the pixels.
        nearest: How many training pictures.

    Raises:
        ConfigError: C203 for a method that does not exist.
    """

    methods: tuple[str, ...] = ()
    layer: str | None = None
    label: str | None = None
    xrays: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    deconvolve: tuple[str, ...] = ()
    nearest: int = 0

    def __post_init__(self) -> None:
        for name in self.methods:
            if name not in METHODS:
                raise ConfigError(
                    "C203",
                    f"there is no method {name!r}.{did_you_mean(name, METHODS)}",
                    context=f"Methods: {', '.join(METHODS)}.",
                )


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """Why a network answers as it does to one picture; a notebook shows it.

    Args:
        sight: The picture before the network.
        heats: The heat maps that were asked for.
        why: Why the layer they were taken at was chosen; "" where there is none.
        xrays, maps, deconvolved, near: What else was asked for.
    """

    sight: Sight
    heats: tuple[Heat, ...]
    why: str = ""
    xrays: tuple[Xray, ...] = ()
    maps: tuple[Maps, ...] = ()
    deconvolved: tuple[tuple[Deconvolved, ...], ...] = ()
    near: tuple[Neighbour, ...] = ()

    @property
    def answer(self) -> Answer:
        """What the network says."""
        return self.sight.answer

    @property
    def label(self) -> str:
        """The class that was asked about."""
        return self.sight.label

    @property
    def layer(self) -> str | None:
        """Where in the network the heat maps were taken; None where they go by the pixels."""
        return next((one.layer for one in self.heats if one.layer is not None), None)

    def heat(self, method: str | None = None) -> Heat:
        """A heat map by its method; None takes the first.

        Raises:
            ConfigError: C203 for one that was not asked for.
        """
        for one in self.heats:
            if method in (None, one.method):
                return one
        made = ", ".join(one.method for one in self.heats)
        raise ConfigError("C203", f"no heat map by {method!r} was asked for.", context=f"There are: {made or 'none'}.")

    def overlay(self, method: str | None = None) -> Image.Image:
        """A heat map over the picture."""
        return overlay.overlay(self.sight.original, self.heat(method))

    def xray(self, unit: str) -> Xray:
        """Look through one unit: ``LAYER:CHANNEL,ROW,COLUMN``. Raises C203 and C291."""
        return xray(self.sight, unit)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; X-rays in full, of arrays their shapes."""
        return {
            **self.sight.as_dict(),
            "layer": self.layer,
            "why": self.why,
            "heat": [one.told() for one in self.heats],
            "xrays": [one.as_dict() for one in self.xrays],
            "maps": [{"layer": one.layer, "shape": list(one.values.shape)} for one in self.maps],
            "deconvolved": [
                [{"unit": one.unit, "value": one.value, "box": one.box} for one in several]
                for several in self.deconvolved
            ],
            "nearest": [one.as_dict() for one in self.near],
        }

    def _repr_html_(self) -> str:
        from dojang.explain.shown import explanation

        return explanation(self)

    def __repr__(self) -> str:
        methods = ", ".join(one.method for one in self.heats)
        return f"Explanation({self.sight.answer}; {methods}{f' at {self.layer}' if self.layer else ''})"


class Explained(list[Explanation]):
    """Explanations in the order of the pictures; a notebook shows them one below the other.

    ``notes`` says what was converted on the way, ``filters`` and ``maximised`` are of the network alone.
    """

    notes: tuple[str, ...] = ()
    filters: Filters | None = None
    maximised: tuple[Maximised, ...] = ()

    def save(self, folder: Path) -> None:
        """Write all of it into a fresh folder: pictures, arrays, explain.json."""
        from dojang.explain.saved import write

        write(self, folder)

    def _repr_html_(self) -> str:
        from dojang.explain.shown import several

        return several(self)


def one(sight: Sight, asked: Asked) -> Explanation:
    """What was asked about one picture, but for its nearest neighbours, which are found for several at once.

    Raises:
        ConfigError: C290 to C292 for what this network cannot be asked, C203 for layers that are not there.
    """
    methods = asked.methods or (DEFAULT if _has_maps(sight) or asked.layer else DEFAULT_DENSE)
    watched, heats = None, []
    for method in dict.fromkeys(methods):
        if method in _AT_A_LAYER:
            watched = watched or heat.watch(sight, asked.layer)
            heats.append(heat.at_layer(sight, watched, method))
        else:
            heats.append(_BY_PIXELS[method](sight))
    return Explanation(
        sight,
        tuple(heats),
        watched.target.why if watched is not None else "",
        tuple(xray(sight, unit) for unit in asked.xrays),
        tuple(filters.maps(sight, layer) for layer in asked.maps),
        tuple(tuple(deconvolution.strongest(sight, said)) for said in asked.deconvolve),
    )


def explain(
    predictor: Predictor,
    sources: Iterable[tuple[str, bytes | np.ndarray]],
    asked: Asked,
    *,
    run: str | Path | None = None,
    data: Any = None,
    tick: Tick | None = None,
) -> Explained:
    """Explain a network's answers to pictures.

    Args:
        sources: Names, and encoded bytes or pixels.
        run: The run folder, where nearest training pictures are asked for.
        data: Where these are now.

    Raises:
        DataError: For a picture that cannot be read.
        ConfigError: As :func:`one` and :func:`dojang.explain.nearest.training_pictures`.
    """
    made = Explained(one(look(predictor, picture, name, asked.label), asked) for name, picture in sources)
    if asked.nearest and made:
        if run is None:
            raise ConfigError("C215", "nearest training pictures are those of a run, and none is given.", fix="run=RUN")
        learned = nearest.training_pictures(run, predictor, data, tick=tick)
        found = nearest.nearest([one.sight for one in made], learned, asked.nearest, tick=tick)
        for number, near in enumerate(found):
            made[number] = dataclasses.replace(made[number], near=tuple(near))
    return made


def of_network(
    predictor: Predictor, wanted: bool, units: Sequence[str]
) -> tuple[Filters | None, tuple[Maximised, ...]]:
    """The filters of the first layer, if wanted, and the pictures that excite classes or units."""
    p = predictor.preprocess
    blank = np.full((p.height, p.width), p.background, np.uint8)
    found = filters.filters(look(predictor, blank, "blank")) if wanted else None
    return found, tuple(maximise.maximise(predictor, said) for said in units)


def _has_maps(sight: Sight) -> bool:
    return next(target.candidates(sight.trace), None) is not None
