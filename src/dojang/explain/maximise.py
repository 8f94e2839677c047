"""The picture that excites a unit or a class the most, made from nothing.

Made without care it is noise that no eye can read.  So it is made of waves, the slow ones first, and of colours as they
vary in photographs; it is moved, turned and enlarged a little before each look, so that nothing hangs on a single
pixel; neighbouring pixels may not differ much; and where training pictures are mostly dark, or mostly light, so is it
but for what is needed, above all at its edges.  Sources: Simonyan, Vedaldi, Zisserman, arXiv:1312.6034, for the idea;
Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017, doi 10.23915/distill.00007, for waves, colours and
movements; Mahendran and Vedaldi, arXiv:1412.0035, for the difference of neighbours (total variation).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from dojang import seeds
from dojang.data.permutation import permuted
from dojang.data.preprocess import Preprocess
from dojang.data.thumbnail import address
from dojang.errors import ConfigError, did_you_mean, listing
from dojang.explain.trace import Call, trace
from dojang.explain.unit import dims
from dojang.predict.predictor import Predictor

#: steps that are taken
STEPS = 96
_RATE = 0.05
# up to this side so many views of the picture are looked at in each step; of larger ones a single one
_SMALL, _VIEWS = 64, 4
# how far it is moved (of its side), turned (in degrees) and enlarged
_MOVED, _TURNED, _ENLARGED = 0.15, 15.0, 0.2
# how much differences of neighbours, and needless light (or darkness), count beside the score; the latter at the edge
# so many times more than in the middle, where things are in pictures
_ROUGH, _NEEDLESS, _EDGE = 1.0, 3.0, 6.0
# training pictures are mostly dark below this mean level, and mostly light above one less it
_DARK = 1 / 3
# how strong the waves are at first; a unit that is silent for one beginning may not be for a louder one, and a class
# that nothing leads to from one may be reached from another, in twice or three times as many steps
_BEGINNINGS = (0.01, 0.1, 0.5)
# the square root of the covariance of red, green and blue in photographs of ImageNet; of Olah et al.'s lucid (Apache-2)
_COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))

Goal = Callable[[Float[Tensor, "b c h w"]], Float[Tensor, ""]]


@dataclasses.dataclass(frozen=True, eq=False)
class Maximised:
    """A picture made for a unit or a class.

    Args:
        of: What it excites: the name of a class, or LAYER:CHANNEL.
        pixels: uint8 (h, w, c), at the network's size.
        before, after: What the unit (of a channel, on average over its map) or the class's score was for the picture
            that it began with, and is for this one.
        steps: That it took.
        probability: Of a class, that the network gives it for this picture; None of a unit.
    """

    of: str
    pixels: UInt8[np.ndarray, "h w c"]
    before: float
    after: float
    steps: int
    probability: float | None = None

    def told(self) -> dict[str, Any]:
        """What is said of it, as plain values."""
        names = ("of", "before", "after", "steps", "probability")
        return {name: getattr(self, name) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """The same with the picture as a data address, for JSON."""
        return self.told() | {"picture": address(self.pixels, max(self.pixels.shape[:2]), 92)}


def maximise(predictor: Predictor, said: str, *, steps: int = STEPS) -> Maximised:
    """Make the picture that excites a class or a unit the most; the same one each time.

    Args:
        said: The name of a class; or ``LAYER:CHANNEL``, a channel on average over its map, or
            ``LAYER:CHANNEL,ROW,COLUMN``, one of its units.
        steps: More take longer, and bring out more.  A fine pattern, which turning and moving blur, comes late: where
            the network does not take the picture for the class, it is begun anew, louder, with more steps.

    Raises:
        ConfigError: C203 for what is neither a class nor a layer, C291 for a unit that the layer does not have, C293
            for one that stays silent whatever it is shown.
    """
    if said in predictor.labels:
        target = predictor.labels.index(said)

        def of_class(images: Tensor) -> Tensor:
            found: Tensor = predictor.model(images)[:, target].float().mean()
            return found

        def convinced(pixels: np.ndarray) -> bool:
            return int(predictor.probabilities(pixels[None])[0].argmax()) == target

        pixels, before, after, taken = _made(predictor, said, of_class, steps, convinced)
        probability = float(predictor.probabilities(pixels[None])[0, target])
        return Maximised(said, pixels, before, after, taken, probability)
    call, index = _unit(predictor, said)

    def of_unit(images: Tensor) -> Tensor:
        output = _output(predictor.model, call, images)
        for number in index:
            # the first side is the batch
            output = output[:, number]
        return output.float().mean()

    return Maximised(f"{call.name}:{','.join(map(str, index))}", *_made(predictor, said, of_unit, steps))


def _unit(predictor: Predictor, said: str) -> tuple[Call, tuple[int, ...]]:
    p = predictor.preprocess
    blank = torch.zeros(1, p.channels, p.height, p.width, device=predictor.device)
    network = trace(predictor.model, blank)
    name, colon, rest = said.rpartition(":")
    if not colon:
        labels = predictor.labels
        raise ConfigError(
            "C203",
            f"the network knows no class {said!r}.{did_you_mean(said, labels)}",
            context=f"It knows {listing(labels)}.",
            fix="--maximise LAYER:CHANNEL, for a unit.",
        )
    call = network.find(name)
    shape = () if call.gave is None else network.nodes[call.gave].shape
    index = tuple(int(part) if part.strip().isdecimal() else -1 for part in rest.split(","))
    good = 0 < len(index) <= len(shape)
    if not good or not all(0 <= one < side for one, side in zip(index, shape, strict=False)):
        ends = ", ".join(f"{word} 0 to {side - 1}" for word, side in zip(dims(shape), shape, strict=True))
        raise ConfigError("C291", f"{call.name} has no unit {rest!r}: it has {ends}.", fix=f"{call.name}:0")
    return call, index


def _output(model: torch.nn.Module, call: Call, images: Tensor) -> Tensor:
    """What a layer gives for prepared pictures, with its gradients."""
    caught: list[Tensor] = []
    uses = 0

    def hook(module: Any, args: Any, output: Any) -> Any:
        nonlocal uses
        uses += 1
        if uses != call.use or not isinstance(output, Tensor):
            return None
        caught.append(output)
        # what comes next may work in place: it gets a copy
        return output.clone()

    handle = call.module.register_forward_hook(hook)
    try:
        model(images)
    finally:
        handle.remove()
    return caught[0]


def _made(
    predictor: Predictor, said: str, goal: Goal, steps: int, enough: Callable[[np.ndarray], bool] | None = None
) -> tuple[np.ndarray, float, float, int]:
    """The picture, the goal before and after, and the steps it took."""
    p, device = predictor.preprocess, predictor.device
    views = _VIEWS if max(p.height, p.width) <= _SMALL else 1
    base = _background(p)

    def look(picture: Tensor, several: int | None, step: int) -> Tensor:
        seen = picture[None] if several is None else _moved(picture, several, step, said, base)
        images = p.normalise_scaled(seen) if not p.permute_pixels else _in_order(p, seen)
        return goal(images)

    found = None
    for attempt, loudness in enumerate(_BEGINNINGS, 1):
        waves = _waves(p, said, loudness).to(device).requires_grad_(True)
        with torch.enable_grad():
            first = look(_painted(waves, p), None, 0)
            gradient = torch.autograd.grad(first, waves, allow_unused=True)[0]
        if gradient is None or not bool(torch.count_nonzero(gradient)):
            continue
        _climb(waves, p, lambda picture, step: look(picture, views, step), attempt * steps)
        pixels = _levels(waves, p)
        with torch.no_grad():
            after = float(look(torch.from_numpy(pixels).to(device).permute(2, 0, 1).float() / 255, None, 0))
        if found is None or after > found[2]:
            found = pixels, float(first.detach()), after, attempt * steps
        if enough is None or enough(pixels):
            break
    if found is None:
        raise ConfigError(
            "C293",
            f"{said} stays silent: no beginning excites it, so there is no way to more.",
            context="An activation whose number is below zero for whatever it is shown is dead.",
            fix="another channel; or the layer in front of the activation.",
        )
    return found


def _climb(waves: Tensor, p: Preprocess, look: Callable[[Tensor, int], Tensor], steps: int) -> None:
    """Change the waves so that what is looked for grows, and what no eye could read does not."""
    base, where = _background(p), _edge(p).to(waves.device)
    optimizer = torch.optim.Adam([waves], lr=_RATE)
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            picture = _painted(waves, p)
            score = look(picture, step)
            down, across = (picture.diff(dim=side).abs().mean() for side in (1, 2))
            needless = ((picture - base).abs() * where).mean() if base is not None else 0.0
            # as a share of the score, whatever numbers the network works with
            loss = score.detach().abs() * (_ROUGH * (down + across) + _NEEDLESS * needless) - score
            waves.grad = torch.autograd.grad(loss, waves)[0]
        optimizer.step()


def _levels(waves: Float[Tensor, "c h w2 2"], p: Preprocess) -> UInt8[np.ndarray, "h w c"]:
    """The picture in whole levels, as a file has it."""
    with torch.no_grad():
        pixels = (_painted(waves, p) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return np.ascontiguousarray(pixels.cpu().numpy())


def _in_order(p: Preprocess, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Normalised, the pixels in the order that the network knows."""
    plain = dataclasses.replace(p, permute_pixels=False).normalise_scaled(images)
    return permuted(plain.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def _background(p: Preprocess) -> float | None:
    """The level that most pixels of the training pictures have, from 0 to 1; None where there is no such."""
    mean = sum(p.mean) / len(p.mean)
    return 0.0 if mean < _DARK else 1.0 if mean > 1 - _DARK else None


def _edge(p: Preprocess) -> Float[Tensor, "h w"]:
    """One in the middle, more at the edge."""
    down, across = ((torch.arange(side) + 0.5) * 2 / side - 1 for side in (p.height, p.width))
    return 1 + _EDGE * torch.maximum(down.abs()[:, None], across.abs()[None, :]) ** 4


def _waves(p: Preprocess, said: str, loudness: float) -> Tensor:
    """The beginning: real and imaginary parts of waves, drawn from a normal distribution."""
    shape = (p.channels, p.height, p.width // 2 + 1, 2)
    count = math.prod(shape)
    key = seeds.key(0, "maximise", said)
    draws = seeds.uniform(key, np.arange(2 * count, dtype=np.int64))
    # Box and Muller
    normal = np.sqrt(-2 * np.log1p(-draws[:count])) * np.cos(2 * np.pi * draws[count:])
    return torch.from_numpy((loudness * normal).reshape(shape).astype(np.float32))


def _painted(waves: Float[Tensor, "c h w2 2"], p: Preprocess) -> Float[Tensor, "c h w"]:
    """The picture that waves make, levels between 0 and 1; slow waves are the larger ones."""
    down = torch.fft.fftfreq(p.height, device=waves.device)[:, None]
    across = torch.fft.rfftfreq(p.width, device=waves.device)[None, :]
    frequency = (down**2 + across**2).sqrt().clamp(min=1 / max(p.height, p.width))
    size = math.sqrt(p.height * p.width) / frequency
    values = torch.fft.irfft2(torch.view_as_complex(waves) * size, s=(p.height, p.width)) / 4
    if p.channels == 3:
        table = torch.tensor(_COLOURS, device=waves.device)
        values = torch.einsum("ij,jhw->ihw", table / table.norm(dim=0).max(), values)
    # it begins at the mean of the training pictures
    middle = torch.tensor(p.mean, device=waves.device)[:, None, None].clamp(0.05, 0.95)
    return torch.sigmoid(values + torch.logit(middle))


def _moved(
    picture: Float[Tensor, "c h w"], views: int, step: int, said: str, base: float | None
) -> Float[Tensor, "b c h w"]:
    """The picture moved, turned and enlarged, in some ways that the step decides."""
    draws = 2 * seeds.uniform(seeds.key(0, "move", said, step), np.arange(4 * views, dtype=np.int64)) - 1
    turn, zoom, right, down = torch.from_numpy(draws.astype(np.float32)).reshape(4, views).to(picture.device)
    angle, size = turn * math.radians(_TURNED), 1 + _ENLARGED * zoom
    # grid coordinates reach from -1 to 1
    first = torch.stack([angle.cos() / size, -angle.sin() / size, 2 * _MOVED * right], dim=1)
    second = torch.stack([angle.sin() / size, angle.cos() / size, 2 * _MOVED * down], dim=1)
    grid = F.affine_grid(torch.stack([first, second], dim=1), [views, *picture.shape], align_corners=False)
    several = picture[None].expand(views, -1, -1, -1)
    if base is None:
        return F.grid_sample(several, grid, padding_mode="reflection", align_corners=False)
    # beside the picture there is background
    return F.grid_sample(several - base, grid, padding_mode="zeros", align_corners=False) + base
