"""Looks before the leap: what should be true of a network before its first step."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from dojang import seeds
from dojang.data.loader import Loader
from dojang.errors import TrainError
from dojang.train.task import Task


@dataclass(frozen=True)
class Checks:
    """What was seen before training.

    Args:
        output: Shape of the answer to two random pictures.
        untrained: top-1 of the untrained network on a batch; chance is what it should be near to.
        first_loss: Its loss there; ``expected`` is that of a network that knows nothing.
    """

    output: tuple[int, ...]
    untrained: float
    chance: float
    first_loss: float
    expected: float

    def __str__(self) -> str:
        text = (
            f"before training: output {self.output}; top-1 {self.untrained:.3f} (chance {self.chance:.3f}); "
            f"loss {self.first_loss:.3f} (knowing nothing: {self.expected:.3f})"
        )
        if self.first_loss > 3 * self.expected:
            text += "; such a high first loss often means weights that start too large (--init he)"
        return text


@torch.no_grad()
def look(task: Task, model: nn.Module, loader: Loader, classes: int) -> Checks:
    """A forward pass on random input, and the score and loss of the untrained network on a first batch.

    Args:
        loader: Of pictures that are not augmented.

    Raises:
        TrainError: T302 when the network does not give one number a class; T303 when its answer is not finite.
    """
    was_training = model.training
    model.eval()
    pictures = next(iter(loader.batches()))
    batch = task.collate(pictures)
    images: Tensor = batch.images
    with torch.random.fork_rng([]):
        torch.manual_seed(seeds.torch_seed("checks"))
        noise = torch.randn(2, *images.shape[1:]).to(images.device)
    output = model(noise)
    if output.shape != (2, classes):
        raise TrainError(
            "T302",
            f"the network answers two pictures with shape {tuple(output.shape)}; "
            f"{(2, classes)} is needed: one number for each of {classes} classes.",
            fix=f"let its last layer have {classes} outputs.",
        )
    if not torch.isfinite(output).all():
        raise TrainError("T303", "the untrained network's answer to random input is not finite.", fix="--init he")
    loss, outputs = task.loss(model, batch)
    metrics = task.metrics()
    metrics.update(batch, outputs, float(loss))
    model.train(was_training)
    return Checks(tuple(output.shape), metrics.result()["top1"], task.chance(), float(loss), task.expected_loss())


def overfit(task: Task, model: nn.Module, loader: Loader, pictures: int = 8, steps: int = 200) -> float:
    """Train a copy of a network on the first few pictures alone; gives its top-1 on them, which should be 1.

    A network that cannot learn eight pictures by heart is broken somewhere: labels, loss, or layers that do not learn.
    """
    first = next(islice(loader.batches(), 1))
    batch = task.collate(type(first)(first.pixels[:pictures], first.rows[:pictures]))
    twin = copy.deepcopy(model).train()
    # noise and running statistics are for many pictures; by heart, the plain function is what is asked
    for layer in twin.modules():
        if isinstance(layer, (nn.Dropout, nn.Dropout2d, nn.modules.batchnorm._BatchNorm)):
            layer.eval()
    optimizer = torch.optim.Adam(twin.parameters(), lr=2e-3)
    top1 = 0.0
    with torch.enable_grad():
        for _ in range(steps):
            loss, outputs = task.loss(twin, batch)
            metrics = task.metrics()
            metrics.update(batch, outputs.detach(), float(loss.detach()))
            top1 = metrics.result()["top1"]
            if top1 == 1.0 and float(loss.detach()) < 0.05:
                break
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return top1
