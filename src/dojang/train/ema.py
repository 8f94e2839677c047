"""Averaged weights: an exponential moving average of everything in a network that is a float, norms' statistics too."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """A copy of a network that follows it: ``average = decay * average + (1 - decay) * network`` after every step.

    Early on the decay is ``(1 + step) / (10 + step)`` if that is smaller, so that the start is forgotten.
    Source: the schedule of TensorFlow's ExponentialMovingAverage; Polyak and Juditsky, 1992.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Follow the network after a step (counted from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        mine, theirs = self.model.state_dict(), model.state_dict()
        floats = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[name] for name in floats], [theirs[name] for name in floats], 1 - decay)
        for name in mine.keys() - set(floats):
            mine[name].copy_(theirs[name])
