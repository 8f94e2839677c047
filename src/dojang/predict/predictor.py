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
from dojang.data.manifest import plain
from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError
from dojang.models import build, weights
from dojang.models.features import features
from dojang.predict.answer import Answer
from dojang.predict.familiar import UNFAMILIAR, Familiar

T = TypeVar("T")


class Predictor:
    """A trained network with its labels and its preprocessing.

    Args:
        model: In any mode; it is put into evaluation mode.
        labels: Names of the classes, in the order of the network's outputs.
        preprocess: What every picture goes through.
        temperature: Logits are divided by it before the softmax.
        device: Where the network runs.
        familiar: What pictures of its classes look like to it, or why that is not known.
    """

    def __init__(
        self,
        model: nn.Module,
        labels: Sequence[str],
        preprocess: Preprocess,
        *,
        temperature: float = 1.0,
        device: torch.device | str = "cpu",
        familiar: Familiar | str = "they were never shown the pictures that they were trained on",
    ) -> None:
        self.device, self.familiar = torch.device(device), familiar
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
        tensors, card, beside = weights.read(path)
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
        # a file may say anything
        why = plain(str(card.extra.get("familiar") or _OLDER))[:200]
        familiar = Familiar.from_tensors(beside) if beside else why
        if familiar is None:
            raise weights.broken(str(path), "what it says of known pictures does not fit together")
        return cls(model, card.labels, preprocess, temperature=card.temperature, device=device, familiar=familiar)

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
        return _shares(self.logits(pixels))

    @torch.inference_mode()
    def look(
        self, pixels: UInt8[np.ndarray, "b h w c"]
    ) -> tuple[Float[Tensor, "b d"] | None, Float[Tensor, "b classes"]]:
        """What the network makes of pictures in front of its last layer, and :meth:`logits`.

        There are no features of a network that dojang has not built.
        """
        own = torch.from_numpy(np.require(pixels, requirements="W"))
        images: Tensor = self.preprocess.normalise(own.to(self.device))
        seen = features(self.model, images)
        if seen is None:
            return None, self.model(images).float() / self.temperature
        return seen[0].float(), seen[1].float() / self.temperature

    def predict(
        self,
        sources: Iterable[tuple[str, bytes | np.ndarray]],
        *,
        batch_size: int = 64,
        threads: int = 0,
        unknown_below: float | None = None,
        none_of_these: bool = False,
    ) -> Iterator[Answer]:
        """An answer for each picture, in order.

        Args:
            sources: Names, and encoded bytes or RGB pixels uint8 (h, w, c).
            threads: That decode ahead.
            unknown_below: An answer is unknown where its label is less probable.
            none_of_these: An answer is unknown where its picture is farther from all classes than 95 % of the
                validation pictures were.

        Raises:
            ConfigError: C202 for an ``unknown_below`` that is no probability, C249 for ``none_of_these`` of weights
                that do not hold what known pictures look like.
            DataError: For a picture that cannot be read, naming it.
        """
        if unknown_below is not None and not 0 <= unknown_below <= 1:
            raise ConfigError(
                "C202", f"--unknown-below is {unknown_below!r}; expected a probability.", fix="--unknown-below 0.5"
            )
        if none_of_these and isinstance(self.familiar, str):
            raise _cannot_tell(self.familiar)
        return self._answers(sources, batch_size, threads, unknown_below, none_of_these)

    def _answers(
        self,
        sources: Iterable[tuple[str, bytes | np.ndarray]],
        batch_size: int,
        threads: int,
        unknown_below: float | None,
        none_of_these: bool,
    ) -> Iterator[Answer]:
        def load(item: tuple[str, bytes | np.ndarray]) -> tuple[str, np.ndarray]:
            return item[0], self.preprocess.picture(item[1], item[0])

        for several in batches(in_order(load, sources, threads), batch_size):
            pixels = np.stack([one for _, one in several])
            shares: list[float | None] = [None] * len(several)
            if none_of_these and isinstance(self.familiar, Familiar):
                seen, scores = self.look(pixels)
                if seen is None:
                    raise _cannot_tell("their network was given in Python, and is none of dojang's own")
                if seen.shape[1] != self.familiar.means.shape[1]:
                    raise weights.broken("these weights", "what they say of known pictures is of another network")
                shares = [*self.familiar.familiarity(seen).tolist()]
                found = _shares(scores)
            else:
                found = self.probabilities(pixels)
            for (name, _), row, share in zip(several, found, shares, strict=True):
                yield self.answer(name, row, unknown_below=unknown_below, familiarity=share)

    def answer(
        self,
        name: str,
        probabilities: np.ndarray,
        *,
        unknown_below: float | None = None,
        familiarity: float | None = None,
    ) -> Answer:
        """The answer that a row of probabilities means."""
        best = int(probabilities.argmax())
        unknown = unknown_below is not None and float(probabilities[best]) < unknown_below
        unknown |= familiarity is not None and familiarity <= UNFAMILIAR
        return Answer(name, self.labels[best], tuple(probabilities.tolist()), self.labels, unknown, familiarity)


def _shares(scores: Tensor) -> np.ndarray:
    found: np.ndarray = scores.softmax(dim=1).cpu().numpy()
    if not np.isfinite(found).all():
        raise weights.broken("these weights", "their network's scores are not finite (nan or infinity)")
    return found


def _cannot_tell(why: str) -> ConfigError:
    fix = "--unknown-below 0.5, which goes by the probability alone"
    if "validation" in why:
        fix += "; or train with a validation part"
    if why == _OLDER:
        fix += "; or train again without --no-familiar"
    return ConfigError(
        "C249",
        f"these weights cannot tell what is none of their classes: {why}.",
        context="For that they hold what their training pictures look like to the network.",
        fix=f"{fix}.",
    )


_OLDER = "they were written by an older dojang, or by training with --no-familiar"


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Items, some at a time."""
    iterator = iter(items)
    while several := list(islice(iterator, size)):
        yield several
