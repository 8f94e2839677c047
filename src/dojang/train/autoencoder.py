"""Layers that first learn to give back what they are given, one after the other, before the network learns labels.

Each layer with weights but the last is trained, in order, with a decoder behind it that is thrown away: a dense layer
for a dense one, a transposed convolution for a convolution.  What the layers before it learned stays as it is.
Source: Bengio, Lamblin, Popovici, Larochelle, "Greedy Layer-Wise Training of Deep Networks", NIPS 2006.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dojang import seeds
from dojang.data.loader import Loader, Pictures
from dojang.errors import ConfigError, many
from dojang.models.cnn import CNN
from dojang.models.layers import ACTIVATIONS
from dojang.models.mlp import MLP
from dojang.train.guard import Stop, Stopped
from dojang.train.task import Task

#: steps of each layer, and pictures of each step: 25,600 pictures a layer however many there are, which costs about
#: what one epoch of 60,000 costs for that layer.  They lose 33 % of the variance of MNIST's pixels in 50 sigmoid units
#: and 14 % in 100 of tanh; four times as many steps lose 15 and 10 %
STEPS, PICTURES = 200, 128
# of Adam; in so few steps 1e-3 left two to four times as much, 1e-2 more again in convolutions
_LR = 3e-3
_WEIGHTED = (nn.Linear, nn.Conv2d)
# what belongs to a layer's code beside its weights; pooling throws away what was to be given back
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True)
class Reconstruction:
    """What came of it.

    Args:
        layers: Names of the layers that were trained.
        lost: For each, the share of the variance of what it is given that its decoder did not give back, over the
            last tenth of its steps.
        steps: Of each; fewer than :data:`STEPS` only where the time was up.
    """

    layers: tuple[str, ...]
    lost: tuple[float, ...]
    steps: tuple[int, ...]

    def __str__(self) -> str:
        shares = ", ".join(
            f"{name} {100 * lost:.{0 if lost >= 0.1 else 1}f} %"
            for name, lost in zip(self.layers, self.lost, strict=True)
        )
        if not any(self.steps):
            return "autoencoder: layers learned nothing: no time was left"
        return f"autoencoder: not given back of what a layer is given: {shares}"


def layers(model: nn.Module) -> list[str]:
    """The names of the layers that are trained: all with weights but the last.

    Raises:
        ConfigError: C204 for a network whose layers do not lie in a row, or that has one layer only.

    Example:
        >>> layers(MLP(1, 10, (8, 8)))
        ['fc1']
    """
    if type(model) not in (MLP, CNN):
        kind = getattr(model, "preset", "") or type(model).__name__
        raise ConfigError(
            "C204",
            f"--init autoencoder trains layers that lie in a row, and those of {kind} do not, or are not dojang's own.",
            fix="--init he, or --model cnn",
        )
    found = [name for name, layer in model.named_children() if isinstance(layer, _WEIGHTED)][:-1]
    if not found:
        raise ConfigError(
            "C204",
            "--init autoencoder trains every layer but the last, and this network has one layer.",
            fix="--init xavier, or --hidden-dims 128",
        )
    return found


def words(model: nn.Module) -> str:
    """What it costs, for the plan."""
    return (
        f"{many(len(layers(model)), 'layer')} as autoencoders first, {STEPS} steps of at most {PICTURES} pictures each"
    )


def pretrain(
    task: Task, model: nn.Module, loader: Loader, seed: int, stop: Stop, seconds: float | None = None
) -> Reconstruction:
    """Train each layer but the last to give back what it is given, in place; the same bits for the same seed.

    Norms work by the batch and are left as they are, dropout is off, in float32.

    Args:
        loader: The training pictures in no order, not augmented; gone through again and again.
        seed: Of the run; the decoders are drawn from a part of it.
        seconds: After which a layer's steps end; None for all of them.

    Raises:
        ConfigError: C204 as :func:`layers`.
        Stopped: When asked to; some layers are trained then, so it has to be begun anew.
    """
    names = layers(model)
    children = dict(model.named_children())
    rows = list(children)
    weighted = [number for number, layer in enumerate(children.values()) if isinstance(layer, _WEIGHTED)]
    ends = math.inf if seconds is None else time.perf_counter() + seconds
    stream = _again(loader)
    lost, steps = [], []
    # the network is asked in parts, and its norms would count the batches: their numbers are put back
    modes = [(module, module.training) for module in model.modules()]
    kept = {name: copy.deepcopy(layer.state_dict()) for name, layer in children.items() if isinstance(layer, _NORMS)}
    try:
        for layer in children.values():
            layer.train(not isinstance(layer, (nn.Dropout, nn.Dropout2d)))
        for number, (at, following) in enumerate(pairwise(weighted)):
            code = [children[one] for one in rows[at:following] if _codes(children[one])]
            before = [children[one] for one in rows[:at]]
            share, done = _train(task, before, code, stream, seeds.torch_seed(seed, "autoencoder", number), stop, ends)
            lost.append(share)
            steps.append(done)
    finally:
        for name, values in kept.items():
            children[name].load_state_dict(values)
        for module, mode in modes:
            module.training = mode
        for parameter in model.parameters():
            parameter.grad = None
    return Reconstruction(tuple(names), tuple(lost), tuple(steps))


def _codes(layer: nn.Module) -> bool:
    return isinstance(layer, (*_WEIGHTED, *_NORMS)) or type(layer) in _KINDS


def _train(
    task: Task,
    before: list[nn.Module],
    code: list[nn.Module],
    stream: Iterator[Pictures],
    seed: int,
    stop: Stop,
    ends: float,
) -> tuple[float, int]:
    layer = code[0]
    decoder: nn.Module | None = None
    learned: list[nn.Parameter] = []
    optimizer: torch.optim.Optimizer | None = None
    shares: list[Tensor] = []
    for _ in range(STEPS):
        if stop.signal:
            raise Stopped(stop.signal)
        if time.perf_counter() > ends:
            break
        with torch.no_grad():
            given = _through(before, task.collate(next(stream)).images.float())
        found = _through(code, given)
        if decoder is None or optimizer is None:
            decoder = _decoder(layer, given, found, seed)
            learned = [*layer.parameters(), *decoder.parameters()]
            optimizer = torch.optim.Adam(learned, lr=_LR)
        again = decoder(found)
        # over the variance, so that a layer of small numbers is judged as one of large ones
        loss = F.mse_loss(again, given) / given.var(unbiased=False).clamp_min(1e-12)
        for parameter, gradient in zip(learned, torch.autograd.grad(loss, learned), strict=True):
            parameter.grad = gradient
        optimizer.step()
        shares.append(loss.detach())
    last = shares[-max(1, STEPS // 10) :]
    return float(torch.stack(last).mean()) if last else math.nan, len(shares)


def _decoder(layer: Any, given: Tensor, found: Tensor, seed: int) -> nn.Module:
    """The layer's mirror image, from what it makes of its pictures back to what it was given."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        if isinstance(layer, nn.Linear):
            return nn.Linear(found.shape[1], layer.in_features).to(given.device)
        size, stride, padding = layer.kernel_size, layer.stride, layer.padding
        # rows at the end that no window reached
        more = [
            given.shape[2 + side] - ((found.shape[2 + side] - 1) * stride[side] - 2 * padding[side] + size[side])
            for side in (0, 1)
        ]
        mirror = nn.ConvTranspose2d(
            found.shape[1], layer.in_channels, size, stride, padding, output_padding=(more[0], more[1])
        )
        return mirror.to(given.device)


def _through(row: list[nn.Module], x: Tensor) -> Tensor:
    for layer in row:
        x = layer(x)
    return x


def _again(loader: Loader) -> Iterator[Pictures]:
    while True:
        yield from loader.batches()


_KINDS = {type(make()) for make in ACTIVATIONS.values()}
