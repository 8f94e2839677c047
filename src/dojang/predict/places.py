"""Where in a picture a class is: a classifier made fully convolutional and asked at every place of a larger picture."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image

from dojang.data.decode import decode
from dojang.errors import ConfigError
from dojang.models.convolutional import convolutionalize
from dojang.models.receptive import Field, fields
from dojang.predict.predictor import Predictor

# of the network's side, that the picture's shorter one is made
TIMES = 2.0


@dataclasses.dataclass(frozen=True)
class Places:
    """Answers at every place.

    Args:
        picture: What was asked, uint8 (h, w, c).
        probabilities: float32 (rows, columns, classes).
        labels: Names of the classes.
        field: What each place sees.
    """

    picture: UInt8[np.ndarray, "h w c"]
    probabilities: Float32[np.ndarray, "rows columns classes"]
    labels: tuple[str, ...]
    field: Field

    @property
    def best(self) -> str:
        """The class of the most certain place."""
        return self.labels[int(self.probabilities.max(axis=(0, 1)).argmax())]

    def of(self, label: str) -> Float32[np.ndarray, "h w"]:
        """The probability of a class for every pixel: that of the places whose fields have their middle near it."""
        found = self.probabilities[:, :, self.labels.index(label)]
        height, width = self.picture.shape[:2]
        down = _middles(self.field.down.start, self.field.down.size, self.field.down.jump, found.shape[0])
        across = _middles(self.field.across.start, self.field.across.size, self.field.across.jump, found.shape[1])
        rows = np.array([np.interp(np.arange(width) + 0.5, across, row) for row in found])
        columns = np.array([np.interp(np.arange(height) + 0.5, down, column) for column in rows.T])
        return columns.T.astype(np.float32)

    def drawn(self, label: str | None = None) -> Image.Image:
        """The picture in grey with the probability of a class over it, from dark blue (0) to yellow (1)."""
        from matplotlib import colormaps

        heat = self.of(label or self.best)
        levels = self.picture if self.picture.shape[2] == 3 else np.repeat(self.picture, 3, axis=2)
        grey = levels @ np.array([0.299, 0.587, 0.114])
        # equally bright steps, which the colour-blind can tell apart
        colour = 255 * colormaps["viridis"](heat)[:, :, :3]
        mixed = 0.5 * grey[:, :, None] + 0.5 * colour
        return Image.fromarray(mixed.round().astype(np.uint8))


class Everywhere:
    """A network that is asked at every place of pictures.

    Args:
        predictor: Of one of dojang's networks with convolutions.
        times: A picture's shorter side becomes so many times the network's.

    Raises:
        ConfigError: C248 for a network that has no fully convolutional form, or that knows pixels in one fixed order.
    """

    def __init__(self, predictor: Predictor, times: float = TIMES) -> None:
        seen = predictor.preprocess
        if seen.permute_pixels:
            raise ConfigError(
                "C248",
                "this network was trained with --permute-pixels: it knows pixels in one fixed order of "
                f"{seen.height} x {seen.width}, and a larger picture has no such places.",
                fix="a network that was trained without --permute-pixels.",
            )
        self.predictor, self.times = predictor, times
        self.network = convolutionalize(predictor.model).to(predictor.device)

    def places(self, data: bytes | np.ndarray, where: str) -> Places:
        """The answers for one picture.

        Args:
            data: The bytes of the picture, or its pixels.
            where: What to call it in messages.

        Raises:
            DataError: Of a picture that cannot be read.
        """
        predictor, preprocess = self.predictor, self.predictor.preprocess
        levels = decode(
            data, where, mode=preprocess.mode, background=preprocess.background, max_pixels=preprocess.max_pixels
        )
        height, width = levels.shape[:2]
        scale = self.times * max(preprocess.height / height, preprocess.width / width)
        larger = dataclasses.replace(
            preprocess, height=max(1, round(height * scale)), width=max(1, round(width * scale)), resize=1.0, fit="crop"
        )
        pixels = np.ascontiguousarray(larger.picture(levels, where))
        with torch.inference_mode():
            images = preprocess.normalise(torch.from_numpy(pixels[None].copy()).to(predictor.device))
            scores = self.network(images).float() / predictor.temperature
            found: np.ndarray = scores.softmax(dim=1)[0].permute(1, 2, 0).cpu().numpy()
        return Places(pixels, np.ascontiguousarray(found), predictor.labels, self._field(pixels.shape[:2]))

    @functools.lru_cache(maxsize=8)  # noqa: B019 (photographs of a few sizes; it goes with the object)
    def _field(self, size: tuple[int, int]) -> Field:
        field = fields(self.network, size, self.predictor.preprocess.channels)[""]
        assert field is not None  # convolutions and pooling only
        return field


def _middles(start: float, size: float, jump: float, count: int) -> np.ndarray:
    """The middles of the fields of some places, in pixels."""
    return start + size / 2 + jump * np.arange(count)
