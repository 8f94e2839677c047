"""The head first: it learns from what trained layers make of each picture, computed once, before all layers learn.

A head that knows nothing would send its noise through layers that know something; trained first, it moves them little.
Source: Kumar, Raghunathan, Jones, Ma, Liang, "Fine-Tuning can Distort Pretrained Features and Underperform
Out-of-Distribution", arXiv:2202.10054.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dojang import seeds
from dojang.data.loader import Loader
from dojang.models.layers import Network
from dojang.train.guard import Stop, Stopped
from dojang.train.options import TrainOptions
from dojang.train.precision import autocast
from dojang.train.schedules import rate
from dojang.train.task import Task

# of AdamW, for a head alone
_LR, _DECAY = 2e-3, 0.01
# of features; the same on every machine, so that equal runs are equal
_MOST = 2**30


@dataclass(frozen=True)
class Learned:
    """What came of it.

    Args:
        pictures: Whose features were kept; of very many pictures as many as take a GiB.
        epochs: Over them.
        bytes: What those took.
        loss: Mean loss of the last epoch.
    """

    pictures: int
    epochs: int
    bytes: int
    loss: float


def fit_head(
    task: Task,
    model: Network,
    loader: Loader,
    options: TrainOptions,
    device: torch.device,
    stop: Stop,
    seconds: float | None = None,
) -> Learned:
    """Train the layers behind the last map, ``options.head_epochs`` times over; all others stay as they are.

    Args:
        loader: The training pictures, not augmented, in no order.
        seconds: After which no epoch begins; None for as many as they take.

    Raises:
        Stopped: When asked to; the head is half trained then.
    """
    layers = list(model.head())
    # what the first layers of the head do without weights or chance is done once, too
    fixed: list[nn.Module] = []
    while layers and not any(True for _ in layers[0].parameters()) and not isinstance(layers[0], _LATER):
        fixed.append(layers.pop(0))
    modes = [(module, module.training) for module in model.modules()]
    ends = math.inf if seconds is None else time.perf_counter() + seconds
    try:
        model.eval()
        features, targets, batch = _features(task, model, nn.Sequential(*fixed), loader, options, device, stop)
        head = nn.Sequential(*layers).train()
        epochs, loss = _learn(task, head, features, targets, batch, options, device, stop, ends)
    finally:
        for module, mode in modes:
            module.training = mode
    return Learned(len(targets), epochs, features.numel() * features.element_size(), loss)


def _features(
    task: Task,
    model: Network,
    fixed: nn.Module,
    loader: Loader,
    options: TrainOptions,
    device: torch.device,
    stop: Stop,
) -> tuple[Tensor, Tensor, Any]:
    """What the head is given for each picture, their labels, and one batch as a pattern."""
    kept: Tensor | None = None
    targets: list[Tensor] = []
    done, batch = 0, None
    with torch.no_grad(), autocast(options.precision, device):
        for pictures in loader.batches():
            if stop.signal:
                raise Stopped(stop.signal)
            batch = task.collate(pictures)
            found = fixed(model.maps(batch.images))
            if kept is None:
                each = found[0].numel() * found.element_size()
                most = min(len(loader.rows), max(options.batch_size, _MOST // each))
                kept = found.new_empty(most, *found.shape[1:])
            part = min(len(kept) - done, len(found))
            kept[done : done + part] = found[:part]
            targets.append(batch.targets[:part])
            done += part
            if done == len(kept):
                break
    assert kept is not None  # a loader of training pictures is never empty
    return kept[:done], torch.cat(targets), batch


def _learn(
    task: Task,
    head: nn.Module,
    features: Tensor,
    targets: Tensor,
    batch: Any,
    options: TrainOptions,
    device: torch.device,
    stop: Stop,
    ends: float,
) -> tuple[int, float]:
    size = min(options.batch_size, len(targets))
    steps = max(1, len(targets) // size)
    optimizer = torch.optim.AdamW(head.parameters(), lr=_LR, weight_decay=_DECAY)
    total, done, mean = options.head_epochs * steps, 0, 0.0
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for epoch in range(options.head_epochs):
            if epoch and time.perf_counter() > ends:
                break
            order = torch.from_numpy(seeds.permutation(seeds.key(options.seed, "head", epoch), len(targets)))
            losses = []
            for number in range(steps):
                if stop.signal:
                    raise Stopped(stop.signal)
                step = epoch * steps + number
                rows = order[number * size : (number + 1) * size].to(targets.device)
                torch.manual_seed(seeds.torch_seed(options.seed, "dropout", "head", step))
                optimizer.param_groups[0]["lr"] = _LR * rate("cosine", step / total, 0.0, 0.0)
                optimizer.zero_grad(set_to_none=True)
                with autocast(options.precision, device):
                    part = dataclasses.replace(batch, images=features[rows].float(), targets=targets[rows])
                    loss, _ = task.loss(head, part)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append(loss.detach().float())
            done, mean = epoch + 1, float(torch.stack(losses).mean())
    for parameter in head.parameters():
        parameter.grad = None
    return done, mean


# chance is drawn anew for each step, and a batch stays one of maps
_LATER = (nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.Flatten)
