"""Pictures as photographs are, drawn from a seed: rough forms and fine ones, some of every size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def scene(seed: int, size: tuple[int, int] = (200, 150)) -> Image.Image:
    """A cloud of colours whose spectrum falls as that of photographs does (amplitude as 1 / frequency).

    Args:
        size: Width and height.
    """
    width, height = size
    draw = np.random.default_rng(seed)
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    fall = 1 / np.maximum(np.hypot(down, across), 1 / max(size))
    planes = []
    common = draw.standard_normal((height, width))
    for _ in range(3):
        noise = common + 0.5 * draw.standard_normal((height, width))
        plane = np.fft.ifft2(np.fft.fft2(noise) * fall).real
        planes.append(128 + 50 * (plane - plane.mean()) / plane.std())
    return Image.fromarray(np.stack(planes, axis=2).clip(0, 255).round().astype(np.uint8))


def gallery(root: Path, classes: int = 3, each: int = 8, size: tuple[int, int] = (200, 150)) -> Path:
    """Class folders of scenes, none like another; JPEGs of varying sizes."""
    for number in range(classes * each):
        folder = root / f"class{number % classes}"
        folder.mkdir(parents=True, exist_ok=True)
        wider = size[0] + number % 7 * 10, size[1] + number % 5 * 10
        scene(number, wider).save(folder / f"{number:03}.jpg", quality=92)
    return root
