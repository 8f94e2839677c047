"""torchvision's Dataset and torch's DataLoader, as tutorials write them: the road of the plain loop and of timm's."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from entrant import DATASETS, Clock
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def pictures(folder: Path, dataset: str, *, train: bool, augment: bool = False) -> Any:
    """One part of a set: ToTensor and Normalize, before them a mirrored, shifted crop where that is asked for."""
    facts = DATASETS[dataset]
    steps: list[Any] = [transforms.ToTensor(), transforms.Normalize(facts.mean, facts.std)]
    if augment:
        steps = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(facts.size, padding=4), *steps]
    kind = getattr(datasets, facts.name)
    return kind(folder / "torchvision", train=train, transform=transforms.Compose(steps), download=False)


def loader(data: Any, batch_size: int, *, shuffle: bool, workers: int) -> DataLoader[Any]:
    """Batches of it, put together by other processes."""
    return DataLoader(data, batch_size=batch_size, shuffle=shuffle, num_workers=workers)


def fit(
    model: nn.Module,
    batches: DataLoader[Any],
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    clock: Clock,
    epochs: int,
    before: Callable[[int], object] = lambda step: None,
) -> None:
    """Train as tutorials do; ``before`` is told the number of each step, for a schedule."""
    model.train()
    for _ in range(epochs):
        for images, targets in batches:
            before(clock.steps)
            optimizer.zero_grad()
            loss(model(images), targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            clock.step(len(images))


def on_test(model: nn.Module, options: argparse.Namespace) -> tuple[float | None, float | None]:
    """Top-1 on the test pictures and the seconds that took; of a run that was cut short, nothing."""
    if not options.whole:
        return None, None
    test = pictures(options.data, options.dataset, train=False)
    return score(model, loader(test, 1000, shuffle=False, workers=options.workers))


@torch.inference_mode()
def score(model: nn.Module, batches: DataLoader[Any]) -> tuple[float, float]:
    """Top-1 of a network on all batches, and the seconds that took."""
    began = time.perf_counter()
    model.eval()
    correct = total = 0
    for images, targets in batches:
        correct += int((model(images).argmax(dim=1) == targets).sum())
        total += len(targets)
    return correct / total, time.perf_counter() - began
