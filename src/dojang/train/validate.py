"""Scores of a network on the batches of a loader, in evaluation mode."""

from __future__ import annotations

import torch
from torch import nn

from dojang.data.loader import Loader
from dojang.train.guard import Stop
from dojang.train.precision import autocast
from dojang.train.task import Task


@torch.no_grad()
def score(
    task: Task,
    model: nn.Module,
    loader: Loader,
    device: torch.device,
    precision: str = "fp32",
    stop: Stop | None = None,
) -> dict[str, float] | None:
    """The task's scores; None when somebody asked to stop meanwhile.

    The network is put back into the mode it was in.
    """
    metrics = task.metrics()
    was_training = model.training
    model.eval()
    try:
        for pictures in loader.batches():
            if stop and stop.signal:
                return None
            batch = task.collate(pictures)
            with autocast(precision, device):
                loss, outputs = task.loss(model, batch)
            metrics.update(batch, outputs, float(loss))
    finally:
        model.train(was_training)
    return metrics.result()
