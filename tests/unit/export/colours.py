"""Pictures in the colour of their class, of all sizes, and a small network that learns them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

import dojang
from dojang.models import weights

# the third could start a formula, or paint a terminal, where it is not looked after
KINDS = ("red", "gruen, 초록", "=cmd()\x1b[31m")
#: heights and widths: like a camera's, a tower, a banner, odd, smaller than what the network sees, one pixel
SIZES = ((60, 80), (90, 31), (17, 120), (37, 41), (9, 11), (1, 1))


def picture(kind: int, draw: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A picture in the colour of its class, with noise."""
    pixels = draw.integers(0, 110, (*size, 3))
    pixels[..., kind] += 120
    return Image.fromarray(pixels.astype(np.uint8))


def trained(data: Path, place: Path, **options: object) -> Path:
    """A run of a small network."""
    known = {"threads": 1, "batch": 20, "project": str(place), "conv_dims": (4, 6), "hidden_dims": (8,)}
    return dojang.Model("mnist-cnn").train(data=str(data), **known | options).path


def warmed(run: Path, temperature: float) -> Path:
    """The run at a temperature, as one is fitted where there is more validation data."""
    path = run / "weights/best.safetensors"
    tensors, card, beside = weights.read(path)
    path.write_bytes(weights.dump(tensors, dataclasses.replace(card, temperature=temperature), beside))
    return run
