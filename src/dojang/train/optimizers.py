"""Optimizers by name, and the groups of parameters that they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from dojang.registry import Registry
from dojang.train.options import TrainOptions

Make = Callable[[list[dict[str, Any]], TrainOptions], Optimizer]
OPTIMIZERS: Registry[Make] = Registry("optimizer", "C203")


@OPTIMIZERS.register("sgd")
def _sgd(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    momentum = o.momentum or 0.0
    nesterov = o.nesterov and momentum > 0
    return torch.optim.SGD(groups, lr=o.lr or 0.0, momentum=momentum, nesterov=nesterov, fused=o.fused)


@OPTIMIZERS.register("adam")
def _adam(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.Adam(groups, lr=o.lr or 0.0, betas=(o.momentum or 0.0, 0.999), fused=o.fused)


@OPTIMIZERS.register("adamw")
def _adamw(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.AdamW(groups, lr=o.lr or 0.0, betas=(o.momentum or 0.0, 0.999), fused=o.fused)


@OPTIMIZERS.register("nadam")
def _nadam(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.NAdam(groups, lr=o.lr or 0.0, betas=(o.momentum or 0.0, 0.999))


@OPTIMIZERS.register("radam")
def _radam(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.RAdam(groups, lr=o.lr or 0.0, betas=(o.momentum or 0.0, 0.999))


@OPTIMIZERS.register("rmsprop")
def _rmsprop(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.RMSprop(groups, lr=o.lr or 0.0, momentum=o.momentum or 0.0)


@OPTIMIZERS.register("adagrad")
def _adagrad(groups: list[dict[str, Any]], o: TrainOptions) -> Optimizer:
    return torch.optim.Adagrad(groups, lr=o.lr or 0.0, fused=o.fused)


def penalised(model: nn.Module) -> list[nn.Parameter]:
    """The weights that penalties act on: matrices and filters, not biases and norms."""
    return [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]


def make(model: nn.Module, options: TrainOptions) -> Optimizer:
    """The optimizer that the options name, over a model's trainable parameters.

    Weight decay acts on matrices and filters only.  All rates start at ``options.lr``; the loop scales them.
    """
    weights = penalised(model)
    chosen = {id(p) for p in weights}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    groups = [
        {"params": weights, "weight_decay": options.weight_decay or 0.0},
        {"params": others, "weight_decay": 0.0},
    ]
    return OPTIMIZERS[options.optimizer]([group for group in groups if group["params"]], options)
