"""One unit of one layer, as a user names it: LAYER:CHANNEL,ROW,COLUMN."""

from __future__ import annotations

import dataclasses

import numpy as np

from dojang.errors import ConfigError
from dojang.explain.trace import Call, Trace

_WORDS = {1: ("unit",), 2: ("token", "channel"), 3: ("channel", "row", "column")}


@dataclasses.dataclass(frozen=True, eq=False)
class Unit:
    """One number of a layer's output.

    Args:
        index: Its place there, without the batch: channel, row and column of a map, or the number in a row.
    """

    call: Call
    index: tuple[int, ...]

    @property
    def name(self) -> str:
        """As it can be asked for."""
        return f"{self.call.name}:{','.join(map(str, self.index))}"


def unit(trace: Trace, said: str) -> Unit:
    """The unit that a user means; of what is not said the strongest is taken.

    Args:
        said: ``LAYER:CHANNEL,ROW,COLUMN``, ``LAYER:CHANNEL`` or ``LAYER``; of a dense layer ``LAYER:UNIT``.

    Raises:
        ConfigError: C203 for a layer that is not there, C291 for a unit that it does not have.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from dojang.explain.trace import trace
        >>> found = trace(nn.Sequential(nn.Conv2d(1, 4, 3)).eval(), torch.zeros(1, 1, 8, 8))
        >>> unit(found, "conv1:3,0,5").index
        (3, 0, 5)
    """
    name, colon, rest = said.rpartition(":")
    call = trace.find(name if colon else said)
    if call.gave is None:
        raise ConfigError("C291", f"the layer {call.name!r} gives nothing that the picture went into.")
    shape = trace.nodes[call.gave].shape
    try:
        asked = tuple(int(part) for part in rest.split(",")) if colon else ()
    except ValueError:
        asked = (-1,)
    if len(asked) > len(shape) or not all(0 <= one < side for one, side in zip(asked, shape, strict=False)):
        ends = ", ".join(f"{word} 0 to {side - 1}" for word, side in zip(dims(shape), shape, strict=True))
        middle = ",".join(str(side // 2) for side in shape)
        raise ConfigError(
            "C291",
            f"{call.name} has no unit {rest!r}: it has {ends}.",
            fix=f"{call.name}:{middle}",
        )
    values = trace.value(call.gave)[asked].abs().cpu().numpy()
    return Unit(call, (*asked, *(int(one) for one in np.unravel_index(int(values.argmax()), values.shape))))


def dims(shape: tuple[int, ...]) -> tuple[str, ...]:
    """What the numbers of a unit count, in a word each."""
    return _WORDS.get(len(shape), tuple(f"index {n + 1}" for n in range(len(shape))))
