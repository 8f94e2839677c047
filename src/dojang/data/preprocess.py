"""What happens to every picture on its way to a network: one frozen description, saved with the weights.

The store, validation, prediction and, later, the server and the exported graph all run these same steps:
decode -> resize in 8 bits -> crop or pad -> (pixels in one fixed order) -> scale -> normalise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from dojang.data.decode import MAX_PIXELS, Walked, decode, decode_image
from dojang.data.permutation import permuted
from dojang.data.resize import Resize, with_pillow
from dojang.errors import ConfigError, DataError


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """The way from a picture's bytes to the network's input.

    Args:
        mode: "L" (one channel) or "RGB".
        height, width: What the network sees, in pixels.
        resize: With fit "crop", a picture is scaled to just cover a box of ``height * resize`` by ``width * resize``,
            and the centre is cut out; 1.0 cuts only what sticks out.
        fit: "crop", or "pad": scaled to just fit inside, with ``background`` beside it.
        interpolation: "bilinear" or "bicubic", as Pillow computes them in 8 bits.
        background: Grey level, 0 to 255, behind transparent pixels and beside padded pictures.
        max_pixels: Larger pictures are refused before they are decoded.
        mean, std: One number a channel, on the scale of 0 to 1.
        permute_pixels: Put the pixels of every picture in one fixed order (:mod:`dojang.data.permutation`). That is
            done where pictures are normalised, through which every road to a network leads: behind crop, augmentation
            and the views of test-time augmentation, which see the picture as a person does.
    """

    mode: str
    height: int
    width: int
    resize: float = 1.0
    fit: str = "crop"
    interpolation: str = "bilinear"
    background: int = 255
    max_pixels: int = 50_000_000
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    permute_pixels: bool = False

    @property
    def channels(self) -> int:
        return 1 if self.mode == "L" else 3

    @property
    def crops(self) -> bool:
        """Whether stored pictures are larger than what the network sees, so that training may choose the cut."""
        return self.fit == "crop"

    def stored_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width at which a picture of this size is kept."""
        if self.fit == "pad":
            return self.height, self.width
        box_h, box_w = round(self.height * self.resize), round(self.width * self.resize)
        scale = max(box_h / height, box_w / width)
        return max(box_h, round(height * scale)), max(box_w, round(width * scale))

    def inner_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to which a picture of this size is resized; with fit "pad" it lies inside what is kept."""
        if self.fit != "pad":
            return self.stored_size(height, width)
        scale = min(self.height / height, self.width / width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def keeps(self, height: int, width: int) -> bool:
        """Whether a picture of this size can be kept: one row of 20,000 pixels, made to cover a box, fills memory."""
        return self._has_room(self.stored_size(height, width))

    def _has_room(self, stored: tuple[int, int]) -> bool:
        return stored[0] * stored[1] <= max(self.max_pixels, MAX_PIXELS)

    def reduction(self, height: int, width: int) -> int:
        """How much smaller, 1, 2, 4 or 8 times, a JPEG of this size may be decoded and still be resized well.

        What is decoded keeps at least twice the sides that it is resized to, as in Pillow's ``reducing_gap=2.0``.

        >>> [Preprocess("RGB", 128, 128).reduction(side, 4 * side) for side in (511, 512, 1024, 9999)]
        [1, 2, 4, 8]
        """
        inner = self.inner_size(height, width)
        fraction = min(height // (2 * inner[0]), width // (2 * inner[1]))
        return next((scale for scale in (8, 4, 2) if fraction >= scale), 1)

    def load(
        self,
        data: bytes | Walked | np.ndarray,
        where: str,
        *,
        reduction: int = 1,
        resize: Resize = with_pillow,
        out: UInt8[np.ndarray, "h w c"] | None = None,
    ) -> UInt8[np.ndarray, "h w c"]:
        """Decode and resize one picture to the size at which it is kept.

        Args:
            data: Encoded bytes, looked through already or not; or uint8 pixels (h, w) or (h, w, c) in RGB order.
            where: Its name, for messages.
            reduction: What :meth:`reduction` gave, for training pictures; 1 decodes every pixel.
            resize: What resizes; all of them give the same bits.
            out: Where it is put, C-contiguous, of the size at which it is kept; None takes memory of its own.

        Raises:
            DataError: As :func:`dojang.data.decode.decode`; D105 when it is so long and thin that it cannot be kept.
        """
        how: dict[str, Any] = {"mode": self.mode, "background": self.background, "max_pixels": self.max_pixels}
        if isinstance(data, np.ndarray):
            pixels = decode(data, where, **how)
            height, width = pixels.shape[:2]
        else:
            image, height, width, box = decode_image(data, where, reduction=reduction, **how)
        target = self.stored_size(height, width)
        if not self._has_room(target):
            raise DataError(
                "D105",
                f"{where!r} is {width:,} x {height:,}; scaled to cover the network's {self.width} x {self.height} it "
                f"would be {target[1]:,} x {target[0]:,}, {target[0] * target[1] / 1e6:,.0f} megapixels; "
                f"the limit is {max(self.max_pixels, MAX_PIXELS) / 1e6:,.0f}.",
                fix="--fit pad, cut the picture, or pass --bad=skip to leave it out (recorded in the run).",
            )
        if out is not None and out.shape != (*target, self.channels):
            # or a kernel would write beyond its place
            raise DataError(
                "D102",
                f"{where!r} is not what it was when its header was read: it is {width:,} x {height:,} now.",
                fix="let nothing write into the data meanwhile, and start again.",
            )
        inner = target if self.fit != "pad" else self.inner_size(height, width)
        straight = out if inner == target else None
        if not isinstance(data, np.ndarray):
            pixels = resize(image, inner, self.interpolation, box, straight)
        elif inner != (height, width):
            image = Image.fromarray(pixels[:, :, 0] if self.channels == 1 else pixels)
            pixels = resize(image, inner, self.interpolation, None, straight)
        elif straight is not None:
            # most arrays have the size already, and need no image at all
            straight[...] = pixels
        if inner == target:
            return pixels if straight is None else straight
        canvas = np.empty((*target, self.channels), np.uint8) if out is None else out
        canvas.fill(self.background)
        top, left = (target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2
        canvas[top : top + inner[0], left : left + inner[1]] = pixels
        return canvas

    def centre(self, height: int, width: int) -> tuple[int, int]:
        """Top and left of the central cut in a kept picture of this size."""
        return (height - self.height) // 2, (width - self.width) // 2

    def picture(self, data: bytes | np.ndarray, where: str) -> UInt8[np.ndarray, "h w c"]:
        """One picture exactly as the network sees it in validation, still in 8 bits, each pixel in its own place."""
        kept = self.load(data, where)
        top, left = self.centre(*kept.shape[:2])
        return kept[top : top + self.height, left : left + self.width]

    def normalise(self, pixels: UInt8[Tensor, "b h w c"]) -> Float[Tensor, "b c h w"]:
        """Scale to 0..1 and normalise; float32, channels first in shape, channels last in memory.

        Raises:
            ConfigError: C251 for pictures of another size, where pixels are put in the order of one size.
        """
        if self.permute_pixels:
            pixels = self._in_order(pixels)
        # (x / 255 - mean) / std with one rounding less
        shift = torch.tensor([255.0 * m for m in self.mean], device=pixels.device)
        scale = torch.tensor([255.0 * s for s in self.std], device=pixels.device)
        return pixels.to(torch.float32).sub_(shift).div_(scale).permute(0, 3, 1, 2)

    def normalise_scaled(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The same of pictures that were scaled to 0..1 already, and changed there."""
        if self.permute_pixels:
            images = self._in_order(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        shift, scale = (torch.tensor(v, device=images.device)[:, None, None] for v in (self.mean, self.std))
        return ((images - shift) / scale).contiguous(memory_format=torch.channels_last)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the weights file; of pixels that stay where they are nothing is said, as in older files."""
        values = dataclasses.asdict(self)
        if not self.permute_pixels:
            del values["permute_pixels"]
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """What :meth:`as_dict` gave.

        Raises:
            ConfigError: C213 for steps that this dojang does not know, which it must not leave out in silence.
        """
        unknown = [str(name)[:40] for name in values if name not in {one.name for one in dataclasses.fields(cls)}]
        if unknown:
            raise ConfigError(
                "C213",
                f"pictures go through a step that this dojang does not know: {', '.join(unknown[:5])}.",
                fix="pip install --upgrade dojang",
            )
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**plain)

    def _in_order(self, pixels: Tensor) -> Tensor:
        """Pictures (b, h, w, c) with their pixels in the fixed order."""
        height, width = pixels.shape[1:3]
        if (height, width) != (self.height, self.width):
            raise ConfigError(
                "C251",
                f"pictures of {height} x {width}, and this network knows pixels in one fixed order of {self.height} x "
                f"{self.width} (--permute-pixels).",
                fix=f"bring pictures to {self.height} x {self.width} first: Preprocess.picture does.",
            )
        return permuted(pixels)
