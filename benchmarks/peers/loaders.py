"""torchvision's Dataset and torch's DataLoader, as tutorials write them: the road of the plain loop and of timm's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from entrant import DATASETS
from torch import nn
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
