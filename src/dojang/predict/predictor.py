"""From one weights file to answers: the single-view float32 answer that every score of dojang is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from dojang.data.ahead import in_order
from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError
from dojang.models import build, weights
from dojang.predict.answer import Answer

T = TypeVar("T")


class Predictor:
    """A trained network with its labels and its preprocessing.

    Args:
        model: In any mode; it is put into evaluation mode.
        labels: Names of the classes, in the order of the network's outputs.
        preprocess: What every picture goes through.
        temperature: Logits are divided by it before the softmax.
        device: Where the network runs.
    """

    def __init__(
        self,
        model: nn.Module,
        labels: Sequence[str],
        preprocess: Preprocess,
        *,
        temperature: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.model = model.eval().to(self.device, torch.float32, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.labels, self.preprocess, self.temperature = tuple(labels), preprocess, temperature

    @classmethod
    def load(cls, path: str | Path, *, model: nn.Module | None = None, device: torch.device | str = "cpu") -> Predictor:
        """Open a weights file.

        Args:
            model: The network, for a file of a model of one's own (its file stores no architecture).

        Raises:
            ConfigError: C240 when the file stores no architecture and no model is given.
            SecurityError: X501 for pickles, X506 for files that are damaged.
        """
        tensors, card = weights.load(path)
        if model is None:
            if card.architecture is None:
                raise ConfigError(
                    "C240",
                    f"{str(path)!r} holds the weights of a model of your own; its code is not in the file.",
                    fix="--model mynet.py:CNN, or in Python model=CNN().",
                )
            model = build.rebuild(card.architecture)
        weights.restore(model, tensors)
        preprocess = Preprocess.from_dict(card.preprocess)
        return cls(model, card.labels, preprocess, temperature=card.temperature, device=device)

    @torch.inference_mode()
    def logits(self, pixels: UInt8[np.ndarray, "b h w c"]) -> Float[Tensor, "b classes"]:
        """The network's float32 scores, over the temperature, for pictures as :meth:`Preprocess.picture` gives them."""
        # torch warns of memory that it may not write, which decoded pictures often are
        own = torch.from_numpy(np.require(pixels, requirements="W"))
        images: Tensor = self.preprocess.normalise(own.to(self.device))
        found: Tensor = self.model(images).float() / self.temperature
        return found

    def probabilities(self, pixels: UInt8[np.ndarray, "b h w c"]) -> Float32[np.ndarray, "b classes"]:
        """Probabilities for pictures as :meth:`Preprocess.picture` gives them."""
        found: np.ndarray = self.logits(pixels).softmax(dim=1).cpu().numpy()
        return found

    def predict(
        self, sources: Iterable[tuple[str, bytes | np.ndarray]], *, batch_size: int = 64, threads: int = 0
    ) -> Iterator[Answer]:
        """An answer for each picture, in order.

        Args:
            sources: Names, and encoded bytes or RGB pixels uint8 (h, w, c).
            threads: That decode ahead.

        Raises:
            DataError: For a picture that cannot be read, naming it.
        """

        def load(item: tuple[str, bytes | np.ndarray]) -> tuple[str, np.ndarray]:
            return item[0], self.preprocess.picture(item[1], item[0])

        for several in batches(in_order(load, sources, threads), batch_size):
            found = self.probabilities(np.stack([pixels for _, pixels in several]))
            for (name, _), row in zip(several, found, strict=True):
                yield self.answer(name, row)

    def answer(self, name: str, probabilities: np.ndarray) -> Answer:
        """The answer that a row of probabilities means."""
        return Answer(name, self.labels[int(probabilities.argmax())], tuple(probabilities.tolist()), self.labels)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Items, some at a time."""
    iterator = iter(items)
    while several := list(islice(iterator, size)):
        yield several
