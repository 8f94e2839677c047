"""What an explanation is of: a network, one picture as people and as the network see it, and the class asked about."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from dojang.data.decode import decode
from dojang.data.permutation import order, permuted
from dojang.errors import ConfigError, did_you_mean, listing
from dojang.explain.frame import Frame
from dojang.explain.trace import Trace, trace
from dojang.predict.answer import Answer
from dojang.predict.predictor import Predictor

_SAME = ("image", "trace", "order")


@dataclasses.dataclass(frozen=True)
class Sight:
    """One picture before one network.

    Args:
        predictor: The network with its labels and preprocessing.
        source: The picture's name.
        original: The upright picture, uint8 RGB (h, w, 3).
        pixels: What the network sees of it, uint8 (h, w, c), each pixel in its own place.
        frame: How these lie on the picture.
        answer: What the network says.
        target: The class that is asked about, by its number.
    """

    predictor: Predictor
    source: str
    original: UInt8[np.ndarray, "H W 3"]
    pixels: UInt8[np.ndarray, "h w c"]
    frame: Frame
    answer: Answer
    target: int

    @property
    def label(self) -> str:
        """The class that is asked about."""
        return self.predictor.labels[self.target]

    @cached_property
    def image(self) -> Float[Tensor, "1 c h w"]:
        """The picture normalised, each pixel in its own place, also where the network knows them in another order."""
        plain = dataclasses.replace(self.predictor.preprocess, permute_pixels=False)
        own = torch.from_numpy(np.array(self.pixels[None]))
        return plain.normalise(own.to(self.predictor.device))

    def given(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalised pictures as the network takes them: in its own order where it has one. Gradients pass."""
        if not self.predictor.preprocess.permute_pixels:
            return images
        return permuted(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def scores(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b classes"]:
        """The network's scores (logits, before the temperature) for normalised pictures, each pixel in its place."""
        found: Tensor = self.predictor.model(self.given(images)).float()
        return found

    @cached_property
    def trace(self) -> Trace:
        """What every layer was given and gave."""
        return trace(self.predictor.model, self.given(self.image))

    @cached_property
    def order(self) -> np.ndarray | None:
        """Which pixel of the picture the network has at each place, both counted row by row; None: its own."""
        p = self.predictor.preprocess
        return order(p.height, p.width) if p.permute_pixels else None

    def about(self, label: str) -> Sight:
        """The same picture, asked about another class. Raises C203."""
        other = dataclasses.replace(self, target=self.predictor.labels.index(known(self.predictor, label)))
        # what was found out before does not depend on the class
        other.__dict__.update({name: self.__dict__[name] for name in _SAME if name in self.__dict__})
        return other

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "source": self.source,
            "answer": self.answer.as_dict(),
            "asked": self.label,
            "frame": self.frame.as_dict(),
            "pixels_in_another_order": self.order is not None,
        }

    def in_place(self, values: np.ndarray) -> np.ndarray:
        """Values (h, w) by the network's places put where the picture has those pixels."""
        if self.order is None:
            return values
        # not empty_like: of an array that lies by columns its flat form would be a copy
        placed = np.empty(values.shape, values.dtype)
        placed.reshape(-1)[self.order] = values.reshape(-1)
        return placed


def look(predictor: Predictor, data: bytes | np.ndarray, source: str, label: str | None = None) -> Sight:
    """Show a picture to a network.

    Args:
        data: Its encoded bytes, or uint8 pixels (h, w), (h, w, 1) or (h, w, 3).
        source: What to call it.
        label: The class to ask about; None takes the answer.

    Raises:
        DataError: For a picture that cannot be read.
        ConfigError: C203 for a class that the network does not know.
    """
    p = predictor.preprocess
    original = decode(data, source, mode="RGB", background=p.background, max_pixels=p.max_pixels)
    pixels = np.ascontiguousarray(p.picture(data, source))
    answer = predictor.answer(source, predictor.probabilities(pixels[None])[0])
    target = predictor.labels.index(known(predictor, answer.label if label is None else label))
    return Sight(predictor, source, original, pixels, Frame.of(p, *original.shape[:2]), answer, target)


def known(predictor: Predictor, label: str) -> str:
    """A class that the network knows. Raises C203."""
    if label not in predictor.labels:
        near = did_you_mean(label, predictor.labels)
        raise ConfigError(
            "C203", f"the network knows no class {label!r}.{near}", context=f"It knows {listing(predictor.labels)}."
        )
    return label
