"""One number inside a network, traced both ways: the pixels it saw, the arithmetic that made it, where it goes next."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from dojang.explain import arithmetic
from dojang.explain.readers import Reader, readers
from dojang.explain.seen import Seen, seen
from dojang.explain.sight import Sight
from dojang.explain.trace import Trace
from dojang.explain.unit import Unit, unit
from dojang.explain.work import Work


@dataclasses.dataclass(frozen=True, eq=False)
class Xray:
    """A unit of a layer, for one picture.

    Args:
        source: The picture's name.
        layer: The layer's name, and ``type`` its kind.
        index: The unit: channel, row and column of a map, or its number.
        shape: Of what the layer gives.
        value: The network's own number.
        work: How it came about; its ``result`` is the same number, computed here in float64.
        given: Who gave the layer its numbers.
        given_shape: Of these.
        seen: The pixels it saw; None where that is not known.
        readers: Where it goes next.

    Example:
        >>> from dojang.data.preprocess import Preprocess
        >>> from dojang.explain.sight import look
        >>> from dojang.models.build import build
        >>> from dojang.predict.predictor import Predictor
        >>> net = build("mnist-cnn", in_channels=1, classes=2, image_size=(12, 12), seed=0)
        >>> predictor = Predictor(net, ("a", "b"), Preprocess("L", 12, 12, mean=(0.0,), std=(1.0,)))
        >>> found = xray(look(predictor, np.full((12, 12), 255, np.uint8), "white"), "conv1:3,0,5")
        >>> found.seen.box, found.work.terms.patch.shape
        ((0, 4, 2, 7), (1, 3, 3))
        >>> abs(found.work.result - found.value) < 1e-5
        True
    """

    source: str
    layer: str
    type: str
    index: tuple[int, ...]
    shape: tuple[int, ...]
    value: float
    work: Work
    given: str
    given_shape: tuple[int, ...]
    seen: Seen | None
    readers: tuple[Reader, ...]

    @property
    def unit(self) -> str:
        """As it can be asked for again."""
        return f"{self.layer}:{','.join(map(str, self.index))}"

    @property
    def gap(self) -> float | None:
        """How far the sum here is from the network's own number; None where it is not written out."""
        return None if self.work.result is None else abs(self.work.result - self.value)

    def as_dict(self, most: int | None = None) -> dict[str, Any]:
        """Plain values, for JSON; numbers have seven digits.

        Args:
            most: Of patch, kernel and products so many numbers at most: those of the channels (of a dense layer the
                inputs) whose sums are the largest, named by ``kept``; and of pixels, or none.  None gives all.
        """
        work, terms, window = self.work, self.work.terms, self.work.window
        told: dict[str, Any] = {
            "source": self.source,
            "unit": self.unit,
            "layer": self.layer,
            "type": self.type,
            "index": list(self.index),
            "shape": list(self.shape),
            "value": _short(self.value),
            "kind": work.kind,
            "formula": work.formula,
            "filled": work.filled,
            "result": None if work.result is None else _short(work.result),
            "gap": self.gap,
            "numbers": {name: _short(number) for name, number in work.numbers},
            "copied_from": None if work.source is None else list(work.source),
            "given": self.given,
            "given_shape": list(self.given_shape),
            "seen": None if self.seen is None else self.seen.as_dict(most),
            "readers": [dataclasses.asdict(reader) | {"told": str(reader)} for reader in self.readers],
        }
        if terms is not None:
            kept = terms.largest(most)
            told["terms"] = {
                "kept": None if kept is None else kept.tolist(),
                "patch": _listed(terms.patch if kept is None else terms.patch[kept]),
                "kernel": _listed(terms.kernel if kept is None else terms.kernel[kept]),
                "products": _listed(terms.products if kept is None else terms.products[kept]),
                "sums": _listed(terms.sums) if terms.patch.ndim > 1 else None,
                "sum": _short(terms.sum),
                "bias": _short(terms.bias),
                "inside": None if terms.inside is None else terms.inside.tolist(),
                "rows": None if terms.places is None else list(terms.places[0]),
                "columns": None if terms.places is None else list(terms.places[1]),
                "first_channel": terms.channels,
                "folded": None if terms.folded is None else list(terms.folded),
            }
        if window is not None:
            told["window"] = {
                "values": _listed(window.values),
                "rows": list(window.rows),
                "columns": list(window.columns),
                "winner": None if window.winner is None else list(window.winner),
                "divisor": window.divisor,
            }
        return told

    def __str__(self) -> str:
        from dojang.explain.written import written

        return written(self)

    def _repr_html_(self) -> str:
        from markupsafe import Markup

        return str(Markup("<pre>{}</pre>").format(str(self)))


def xray(sight: Sight, said: str | Unit) -> Xray:
    """Look through one unit.

    Args:
        said: The unit, as ``LAYER:CHANNEL,ROW,COLUMN``; what is left out is chosen (the strongest).

    Raises:
        ConfigError: C203 for a layer that is not there, C291 for a unit that it does not have.
    """
    trace = sight.trace
    chosen = said if isinstance(said, Unit) else unit(trace, said)
    call, index = chosen.call, chosen.index
    assert call.gave is not None  # or it has no unit
    node = trace.nodes[call.gave]
    given = call.given
    inner = None if call.layer else arithmetic.maker(trace, call.gave)
    # a block is what the layer at its end gives
    work = arithmetic.of_layer(trace, inner or call, index)
    given = (inner or call).given
    if work.kind == "other" and not call.layer and inner is None:
        work = arithmetic.of_operation(trace, call.gave, index)
        given = node.sources[work.part] if node.sources else None
    return Xray(
        sight.source,
        call.name,
        call.type,
        index,
        node.shape,
        float(trace.value(call.gave)[index]),
        work,
        "" if given is None else giver(trace, given),
        () if given is None else trace.nodes[given].shape,
        seen(sight, node.field, index),
        tuple(_labelled(sight, reader) for reader in readers(trace, call.gave, index)),
    )


def _labelled(sight: Sight, reader: Reader) -> Reader:
    """With the class whose score it is, where that is the answer."""
    labels = sight.predictor.labels
    known = not reader.layer and reader.index and reader.index[0] < len(labels)
    return dataclasses.replace(reader, label=labels[reader.index[0]]) if known and reader.index else reader


def giver(trace: Trace, node: int) -> str:
    """Who made a node, in a few words: a layer's name, or what a network's own code did with those of others.

    >>> import torch
    >>> from torch import nn
    >>> from dojang.explain.trace import trace as traced
    >>> giver(traced(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 1, 2, 2)), 0)
    'the picture'
    """
    if node == 0:
        return "the picture"
    made = trace.nodes[node]
    call = arithmetic.maker(trace, node)
    if call is not None:
        return call.name
    op = made.op.removesuffix("_")
    others = [giver(trace, source) for source in dict.fromkeys(made.sources)]
    if op in ("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "clone", "contiguous") and others:
        return others[0]
    if op == "add":
        return f"the sum of {' and '.join(others)}"
    if op == "cat":
        return f"{len(others)} side by side: {', '.join(others)}"
    return f"{op} of {', '.join(others)}" if others else op


def _short(number: float) -> float:
    return float(f"{number:.7g}")


def _listed(numbers: np.ndarray) -> Any:
    """An array as lists of numbers of seven digits."""
    if numbers.ndim == 1:
        return [_short(float(number)) for number in numbers]
    return [_listed(part) for part in numbers]
