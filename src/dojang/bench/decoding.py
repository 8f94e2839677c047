"""How fast JPEGs become pixels, through the same door as in training."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from dojang import seeds
from dojang.bench.measure import Work
from dojang.bench.rates import Rate
from dojang.data.decode import decode

WIDTH, HEIGHT, PICTURES = 500, 375, 16
_QUALITY, _CONTRAST = 90, 48.0


def decoding(threads: int) -> list[Rate]:
    """JPEGs of 500x375 decoded to RGB by one thread and, where there are more, by all of them."""
    pictures = [jpeg(i) for i in range(PICTURES)]
    facts = {"format": "JPEG", "width": WIDTH, "height": HEIGHT, "bytes": sum(map(len, pictures)) // PICTURES}
    amounts = {"images_per_s": float(PICTURES), "megapixel_per_s": PICTURES * WIDTH * HEIGHT / 1e6}
    return [
        Rate(
            facts | {"threads": n},
            Work(f"decode, {n} thread{'s' * (n > 1)}", functools.partial(_prepare, pictures, n)),
            amounts,
        )
        for n in sorted({1, threads})
    ]


def jpeg(number: int) -> bytes:
    """A made-up photograph: noise with as much contrast in each octave, which is about what photographs have.

    Smooth colours alone would decode too fast: they leave few bytes to read.

    Example:
        >>> jpeg(0) == jpeg(0) != jpeg(1)
        True

    Source: Field, "Relations between the statistics of natural images and the response properties of cortical cells",
    J. Opt. Soc. Am. A 4 (1987): amplitudes fall as one over frequency.
    """
    draw = np.random.default_rng(seeds.torch_seed(0, "bench", "jpeg", number))
    levels = np.full((HEIGHT, WIDTH, 3), 128.0)
    cells = 2
    while cells < WIDTH:
        small = Image.fromarray(draw.integers(0, 256, (cells * HEIGHT // WIDTH + 1, cells, 3), dtype=np.uint8))
        grown = small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        levels += (np.asarray(grown) / 255 - 0.5) * _CONTRAST
        cells *= 2
    file = io.BytesIO()
    Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def _prepare(pictures: list[bytes], threads: int) -> Callable[[], object]:
    def one(data: bytes) -> np.ndarray:
        return decode(data, "bench.jpg", mode="RGB")

    def alone() -> None:
        for data in pictures:
            one(data)

    def together() -> None:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(one, pictures):
                pass

    return alone if threads == 1 else together
