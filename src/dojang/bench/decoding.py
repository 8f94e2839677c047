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
_QUALITY = 90


def decoding(threads: int) -> list[Rate]:
    """JPEGs of 500x375 decoded to RGB by one thread and, where there are more, by all of them."""
    pictures = [jpeg(i) for i in range(PICTURES)]
    facts = {"format": "JPEG", "width": WIDTH, "height": HEIGHT, "bytes": sum(map(len, pictures)) // PICTURES}
    amounts = {"images_per_s": float(PICTURES), "megapixel_per_s": PICTURES * WIDTH * HEIGHT / 1e6}
    return [
        Rate(facts | {"threads": n}, Work(f"decode, {n} threads", functools.partial(_prepare, pictures, n)), amounts)
        for n in sorted({1, threads})
    ]


def jpeg(number: int) -> bytes:
    """A made-up photograph: noise of every coarseness, the finer the weaker, as in pictures of the world.

    >>> jpeg(0) == jpeg(0) != jpeg(1)
    True
    """
    draw = np.random.default_rng(seeds.torch_seed(0, "bench", "jpeg", number))
    levels = np.full((HEIGHT, WIDTH, 3), 128.0)
    cells, strength = 2, 96.0
    while cells < WIDTH:
        small = Image.fromarray(draw.integers(0, 256, (cells * HEIGHT // WIDTH + 1, cells, 3), dtype=np.uint8))
        grown = small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        levels += (np.asarray(grown) / 255 - 0.5) * strength
        cells, strength = cells * 2, strength * 0.6
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
