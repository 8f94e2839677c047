"""Whether an engine gives the eager float32 network's answer: held against it on pictures of many kinds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from dojang import seeds
from dojang.serve.engine import Engine, Seen

#: of a probability, as the exported files have it
GAP = 1e-4
#: of a logit or feature, of the largest of its kind: probabilities near 0 and 1 hide what is wrong there
RELATIVE = 1e-3
PICTURES = 48


@dataclass(frozen=True)
class Parity:
    """How far an engine is off.

    Args:
        gap: Of any probability.
        relative: Of any logit or feature.
        moved: Pictures whose most probable class is another, ties within :data:`GAP` aside.
    """

    gap: float
    relative: float
    moved: int

    @property
    def holds(self) -> bool:
        """Whether it may answer. Written so that NaN fails."""
        return self.gap <= GAP and self.relative <= RELATIVE and self.moved == 0


def pictures(count: int, height: int, width: int, channels: int) -> UInt8[np.ndarray, "n h w c"]:
    """Made-up pictures: noise, slopes, spots and strokes, of weak and strong contrast; and all black and all white.

    Example:
        >>> made = pictures(5, 8, 8, 1)
        >>> made.shape, int(made[0].max()), int(made[1].min())
        ((5, 8, 8, 1), 0, 255)
    """
    draw = np.random.default_rng(seeds.torch_seed(0, "serve", "parity"))
    y, x = np.mgrid[:height, :width] / max(height, width)
    made = np.zeros((count, height, width, channels), np.uint8)
    for number in range(count):
        kind = number % 4 if number > 1 else -number - 1
        if kind == -1:
            continue
        if kind == -2:
            made[number] = 255
            continue
        contrast, base = draw.uniform(10, 128), draw.uniform(0, 255, channels)
        if kind == 0:
            shape = draw.normal(size=(height, width, channels))
        elif kind == 1:
            shape = (x * draw.normal() + y * draw.normal())[..., None] * draw.normal(size=channels)
        elif kind == 2:
            at = draw.uniform(0, 1, 2)
            shape = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) * draw.uniform(5, 80))[..., None] * np.full(
                channels, 2
            )
        else:
            turn, wave = draw.uniform(0, np.pi), draw.uniform(5, 40)
            shape = np.sin((x * np.cos(turn) + y * np.sin(turn)) * wave)[..., None] * draw.normal(size=channels)
        made[number] = np.clip(base + contrast * shape, 0, 255).astype(np.uint8)
    return made


def compare(engine: Engine, reference: Seen, shown: UInt8[np.ndarray, "n h w c"]) -> Parity:
    """An engine against what the eager network said, alone and in batches of two sizes.

    Example:
        >>> rows = np.float32([[1, 2], [3, 0]])
        >>> compare(lambda pixels: (None, rows[: len(pixels)]), (None, rows), np.zeros((2, 1, 1, 1), np.uint8)).holds
        True
    """
    third = max(1, len(shown) // 3)
    found = [engine(shown[:1]), engine(shown[1:third]), engine(shown[third:])] if third > 1 else [engine(shown)]
    logits = np.concatenate([scores for _, scores in found])
    ours, theirs = shares(logits), shares(reference[1])
    off = [float(np.abs(logits - reference[1]).max() / max(1e-6, float(np.abs(reference[1]).max())))]
    if reference[0] is not None:
        seen = np.concatenate([one for one, _ in found if one is not None])
        off.append(float(np.abs(seen - reference[0]).max() / max(1e-6, float(np.abs(reference[0]).max()))))
    best = theirs.argmax(1)
    behind = theirs[np.arange(len(theirs)), best] - theirs[np.arange(len(theirs)), ours.argmax(1)]
    return Parity(float(np.abs(ours - theirs).max()), max(off), int((behind > GAP).sum()))


def shares(logits: Float32[np.ndarray, "n classes"]) -> Float32[np.ndarray, "n classes"]:
    """Probabilities.

    >>> shares(np.float32([[0, 0], [1000, 0]])).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    # by hand: of one picture, torch's softmax takes as long as a small network
    found: np.ndarray = np.exp(logits - np.maximum.reduce(logits, axis=1, keepdims=True))
    found /= np.add.reduce(found, axis=1, keepdims=True)
    return found
