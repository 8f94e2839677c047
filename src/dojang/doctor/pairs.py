"""Pairs of pictures that are one: by their bytes, by their pixels, or nearly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from dojang.data.decode import decode
from dojang.data.manifest import Manifest
from dojang.doctor import alike, small
from dojang.doctor.look import Looks

# pairs whose thumbnails are laid on each other at once
_TOGETHER = 512
# pictures that are confirmed, kept for their next pair
_KEPT = 256


@dataclass(frozen=True)
class Pair:
    """Two rows that show one picture.

    Args:
        rows: The smaller first.
        how: "bytes", "pixels" (the same after decoding) or "near".
        score: How well they agree, 1 at most.
    """

    rows: tuple[int, int]
    how: str
    score: float


def pairs(
    manifest: Manifest, looks: Looks, *, tick: Callable[[str, int, int], None] = lambda stage, done, total: None
) -> list[Pair]:
    """All pairs, those of the same bytes first.

    Of pictures with the same bytes each is paired with the first of them, and only that one is compared with others.
    """
    seen = np.flatnonzero(looks.facts["seen"])
    first: dict[bytes, int] = {}
    found: list[Pair] = []
    single: list[int] = []
    for row, digest in zip(seen.tolist(), looks.facts["digest"][seen].tolist(), strict=True):
        if digest in first:
            found.append(Pair((first[digest], row), "bytes", 1.0))
        else:
            first[digest] = row
            single.append(row)
    rows = np.array(single, np.int64)
    sides = np.maximum(looks.facts["width"], looks.facts["height"])[rows]
    if len(rows) and sides.max() <= small.LONGEST:
        return found + _small(manifest, rows, tick)
    return found + _nearly(manifest, looks, rows, tick)


def _small(manifest: Manifest, rows: np.ndarray, tick: Callable[[str, int, int], None]) -> list[Pair]:
    levels = []
    for done, row in enumerate(rows.tolist(), 1):
        path = manifest.paths[row]
        levels.append(decode(manifest.source.read(path), path, mode="L")[:, :, 0])
        tick("comparing", done, 2 * len(rows))
    found = []
    for a, b, score in small.pairs(levels):
        one, other = int(rows[a]), int(rows[b])
        same = score > 0.9999 and _same(manifest, one, other)
        found.append(Pair((one, other), "pixels" if same else "near", min(score, 1.0)))
    tick("comparing", 2 * len(rows), 2 * len(rows))
    return found


def _nearly(manifest: Manifest, looks: Looks, rows: np.ndarray, tick: Callable[[str, int, int], None]) -> list[Pair]:
    prints = alike.fingerprints(looks.thumbs[rows])

    @lru_cache(maxsize=_KEPT)
    def grey(row: int) -> np.ndarray:
        path = manifest.paths[row]
        levels = decode(manifest.source.read(path), path, mode="L")
        return np.asarray(Image.fromarray(levels[:, :, 0]).resize((alike.SIDE, alike.SIDE), Image.Resampling.BOX))

    found = []
    for block in alike.near(prints):
        for start in range(0, len(block), _TOGETHER):
            part = block[start : start + _TOGETHER]
            laid = alike.align(looks.thumbs[rows[part[:, 0]]], looks.thumbs[rows[part[:, 1]]])
            for a, b in part[laid >= alike.THUMBS].tolist():
                one, other = int(rows[a]), int(rows[b])
                score = alike.confirm(grey(one), grey(other))
                if score >= alike.FINE:
                    found.append(
                        Pair((one, other), "pixels" if _same(manifest, one, other) else "near", min(score, 1.0))
                    )
        tick("comparing", int(block[-1, 0]) + 1, len(rows))
    tick("comparing", len(rows), len(rows))
    return found


def _same(manifest: Manifest, one: int, other: int) -> bool:
    """Whether two pictures have the same levels."""
    levels = [
        decode(manifest.source.read(manifest.paths[row]), manifest.paths[row], mode="RGB") for row in (one, other)
    ]
    return bool(levels[0].shape == levels[1].shape and (levels[0] == levels[1]).all())
