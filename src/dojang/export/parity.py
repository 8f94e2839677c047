"""Whether an exported graph answers as the network does: on real pictures, alone and in batches (RELIABILITY S1)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from dojang.data.manifest import plain
from dojang.data.resize import with_pillow
from dojang.errors import ConfigError, ExportError, many
from dojang.export.onnx import Ask
from dojang.export.real import Picture
from dojang.predict.predictor import Predictor, batches

#: how far apart two probabilities may be
TOLERANCE = 1e-4
#: real pictures that are asked about, and how many at a time
PICTURES, BATCHES = 256, (1, 7, 32)
# a picture that is asked about in a batch; thirty-two of a camera's would fill a machine
_PIXELS = 300_000


@dataclass(frozen=True)
class Parity:
    """How near the answers are.

    Args:
        pictures: How many, by split.
        gap: The largest difference of two probabilities.
        ties: Pictures with another label, where the network's two were within the tolerance of each other.
        sizes: Different heights and widths among the pictures.
        side_by_side: Height and width to which pictures were brought for batches; None where all have one size.
        seconds: That the graph takes for one picture, the median.
        size: Height and width of these.
    """

    pictures: dict[str, int]
    gap: float
    ties: int
    sizes: int
    side_by_side: tuple[int, int] | None
    seconds: float
    size: tuple[int, int]

    @property
    def n(self) -> int:
        """How many pictures."""
        return sum(self.pictures.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "n": self.n,
            "pictures": dict(self.pictures),
            "batches": list(BATCHES),
            "largest_probability_difference": self.gap,
            "tolerance": TOLERANCE,
            "ties": self.ties,
            "sizes": self.sizes,
            "batched_at": None if self.side_by_side is None else list(self.side_by_side),
            "seconds_a_picture": self.seconds,
            "at": list(self.size),
        }


@dataclass
class _Found:
    """What comparing found, picture by picture."""

    labels: Sequence[str]
    gap: float = 0.0
    ties: int = 0
    asked: int = 0
    bad: int = 0
    worst: str = ""

    def compare(self, name: str, how: str, ours: np.ndarray, theirs: np.ndarray) -> None:
        """Two rows of probabilities for one picture."""
        self.asked += 1
        gap = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else np.inf
        top = int(ours.argmax())
        said = int(theirs.argmax()) if ours.shape == theirs.shape else -1
        tie = said != top and said >= 0 and ours[top] - ours[said] <= TOLERANCE
        # written so that nan is no agreement
        if not gap <= TOLERANCE or (said != top and not tie):
            self.bad += 1
            if not self.worst or not gap <= self.gap:
                self.worst = self._told(name, how, ours, theirs)
        else:
            self.ties += tie
        # nan is the largest of all, and stays
        if not gap <= self.gap and not np.isnan(self.gap):
            self.gap = gap

    def _told(self, name: str, how: str, ours: np.ndarray, theirs: np.ndarray) -> str:
        if ours.shape != theirs.shape:
            return f"{plain(name)} ({how}): {ours.shape[-1]} classes, {theirs.shape[-1]} in the graph"
        differences = np.nan_to_num(np.abs(ours - theirs), nan=np.inf)
        ids = dict.fromkeys((int(ours.argmax()), int(differences.argmax())))
        pairs = [f"{plain(self.labels[i])} is {ours[i]:.6f}, and {theirs[i]:.6f} in the graph" for i in ids]
        return f"{plain(name)} ({how}): {'; '.join(pairs)}"

    def stop(self) -> None:
        """Raise E701 if anything was wrong."""
        if not self.bad:
            return
        raise ExportError(
            "E701",
            f"the exported graph does not answer as the network does, e.g. {self.worst}.",
            context=f"{self.bad:,} of {many(self.asked, 'answer')} had another label, or a probability more than "
            f"{TOLERANCE:g} off. No file is left.",
            fix='another --format; or other versions of the libraries: pip install --upgrade "dojang[export]"',
        )


def check(ask: Ask, predictor: Predictor, pictures: Iterable[Picture]) -> Parity:
    """Ask both about the same pictures.

    One by one each has its own size; a batch is one array, so its pictures have one size: where they differ, they are
    brought to the commonest first, for both.

    Args:
        ask: The exported graph.
        predictor: The network, which is right.

    Raises:
        ExportError: E701 where they differ, with a picture and both answers.
        ConfigError: C218 where there is no picture at all.
    """
    found = _Found(predictor.labels)
    splits, sizes = Counter[str](), Counter[tuple[int, int]]()
    kept, seconds = list[tuple[str, np.ndarray]](), list[tuple[tuple[int, int], float]]()
    for picture in pictures:
        size = (picture.pixels.shape[0], picture.pixels.shape[1])
        seen = predictor.preprocess.picture(picture.data, picture.name)
        began = time.perf_counter()
        theirs = ask(picture.pixels[None])
        seconds.append((size, time.perf_counter() - began))
        found.compare(picture.name, _sized(size), predictor.probabilities(seen[None])[0], theirs[0])
        splits[picture.split] += 1
        sizes[size] += 1
        kept.append((picture.name, _smaller(picture.pixels)))
    if not kept:
        raise ConfigError(
            "C218", "no picture of the data can be read, or is the one that it was.", fix="--data PLACE, of pictures."
        )
    found.stop()
    place = Counter(pixels.shape[:2] for _, pixels in kept).most_common(1)[0][0]
    side = [(name, _brought(pixels, (place[0], place[1]))) for name, pixels in kept]
    ours = np.concatenate([_answers(predictor, [pixels for _, pixels in some]) for some in batches(side, BATCHES[-1])])
    for batch in BATCHES[1:]:
        for name, row, theirs in zip((name for name, _ in side), ours, _rows(ask, side, batch), strict=True):
            found.compare(name, f"{_sized((place[0], place[1]))}, in a batch of {batch}", row, theirs)
        found.stop()
    common = sizes.most_common(1)[0][0]
    # the first ones load code and take memory
    times = [taken for size, taken in seconds if size == common]
    return Parity(
        dict(splits),
        found.gap,
        found.ties,
        len(sizes),
        (place[0], place[1]) if len(sizes) > 1 else None,
        median(times[len(times) // 4 :]),
        common,
    )


def _rows(ask: Ask, side: Sequence[tuple[str, np.ndarray]], batch: int) -> Iterator[np.ndarray]:
    for some in batches(side, batch):
        yield from ask(np.stack([pixels for _, pixels in some]))


def _answers(predictor: Predictor, pictures: Sequence[np.ndarray]) -> np.ndarray:
    return predictor.probabilities(np.stack([predictor.preprocess.picture(one, "") for one in pictures]))


def _smaller(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    share = (_PIXELS / (height * width)) ** 0.5
    return pixels if share >= 1 else _brought(pixels, (max(1, int(height * share)), max(1, int(width * share))))


def _brought(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return pixels if pixels.shape[:2] == size else with_pillow(Image.fromarray(pixels), size, "bilinear")


def _sized(size: tuple[int, int]) -> str:
    """As people say it: width first."""
    return f"{size[1]:,} x {size[0]:,}"
