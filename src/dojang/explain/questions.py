"""One question about one picture at a time, as a page or a notebook asks them.

Every answer has ``as_dict()``: plain values for JSON, arrays packed as :func:`dojang.explain.packed.packed` says.  A
picture is shown to the network once, by :func:`dojang.explain.sight.look`; what is asked of it later starts from there.
Hooks are put into the network while it is watched, so only one thread may ask about one network at a time.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from dojang.explain import filters as weights
from dojang.explain import maximise as maximising
from dojang.explain import target
from dojang.explain import xray as looking
from dojang.explain.explain import Asked, one
from dojang.explain.filters import Filters, Maps
from dojang.explain.heat import Heat
from dojang.explain.maximise import STEPS, Maximised
from dojang.explain.sight import Sight, look
from dojang.explain.xray import Xray
from dojang.predict.predictor import Predictor

__all__ = ["Layer", "filters", "heat", "layers", "look", "maps", "maximise", "xray"]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer, or a module made of layers, that can be asked about.

    Args:
        name: As it is asked for.
        type: Its kind.
        shape: Of what it gives for one picture.
        layer: Whether it has no parts.
        maps: Channels, height and width, where it gives maps.
        filters: Shape (n, c, h, w) of its weights, where a picture can show them.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    layer: bool
    maps: tuple[int, int, int] | None
    filters: tuple[int, int, int, int] | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)


def layers(sight: Sight) -> tuple[Layer, ...]:
    """All that a picture goes through, in the order of the network; dropout, which hands on what it gets, left out."""
    trace, found = sight.trace, []
    for call in trace.calls:
        if call.gave is None or call.passes or not call.path:
            continue
        layout = target.layout(trace, call)
        maps = None if layout is None else (layout.channels, layout.height, layout.width)
        found.append(
            Layer(call.name, call.type, trace.nodes[call.gave].shape, call.layer, maps, weights.shape(trace, call))
        )
    return tuple(found)


def heat(sight: Sight, method: str, label: str | None = None, layer: str | None = None) -> Heat:
    """How much each place speaks for a class.

    Args:
        method: A name of :data:`dojang.explain.options.METHODS`.
        label: The class; None takes that of the sight.
        layer: Where gradcam and layercam are taken; None finds it.

    Raises:
        ConfigError: C203 for a method, class or layer that is not there, C290 where no layer gives maps, C248 of
            "everywhere" for a network that has no fully convolutional form.
    """
    asked = Asked(methods=(method,), layer=layer)
    return one(sight if label is None else sight.about(label), asked).heat()


def maps(sight: Sight, layer: str) -> Maps:
    """What a layer makes of the picture. Raises C203 and C290."""
    return weights.maps(sight, layer)


def filters(sight: Sight, layer: str | None = None) -> Filters:
    """The weights of a layer as small pictures; None takes the first with weights. Raises C203 and C290."""
    return weights.filters(sight, layer)


def maximise(predictor: Predictor, layer: str, channel: int, *, steps: int = STEPS) -> Maximised:
    """The picture that excites a channel of a layer the most. Raises C203, C291 and C293."""
    return maximising.maximise(predictor, f"{layer}:{channel}", steps=steps)


def xray(sight: Sight, layer: str, channel: int, y: int | None = None, x: int | None = None) -> Xray:
    """Look through one unit; of a dense layer ``channel`` is its number. What is None is chosen (the strongest).

    Raises:
        ConfigError: C203 for a layer that is not there, C291 for a unit that it does not have.
    """
    index = [channel, *(place for place in (y, x) if place is not None)]
    return looking.xray(sight, f"{layer}:{','.join(map(str, index))}")
