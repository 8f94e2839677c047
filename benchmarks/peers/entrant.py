"""What every entrant of time_to_accuracy.py shares: its arguments, its clock and the one line that it prints.

An entrant runs in an environment of its own, which need not hold dojang, so nothing of dojang is imported here.
Import this module first: the cold time counts from its first line.
"""

from __future__ import annotations

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402


@dataclass(frozen=True)
class Dataset:
    """A published set, as torchvision knows it.

    Args:
        name: Of the class in ``torchvision.datasets``.
        channels: Of its pictures.
        size: Height and width in pixels.
        mean: Of the training pixels, 0 to 1, for each channel.
        std: Likewise.
        count: Training pictures.
    """

    name: str
    channels: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    count: int


DATASETS = {
    "mnist": Dataset("MNIST", 1, 28, (0.1307,), (0.3081,), 60_000),
    "fashion-mnist": Dataset("FashionMNIST", 1, 28, (0.2860,), (0.3530,), 60_000),
    "cifar10": Dataset("CIFAR10", 3, 32, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), 50_000),
}
CLASSES = 10


class EnoughError(Exception):
    """As many steps were measured as were asked for."""


class Clock:
    """Times training and counts its pictures; the first step, which sets things up, is not part of the rate.

    Args:
        steps: After so many :class:`EnoughError` is raised; None for the whole training.
        seconds: Likewise, after so many since the first step.
    """

    def __init__(self, steps: int | None = None, seconds: float | None = None) -> None:
        self._most_steps, self._most_seconds = steps, seconds
        self.steps = self.images = 0
        self.seconds = 0.0
        self._began = self._first = self._last = 0.0
        self._first_images = 0

    def __enter__(self) -> Clock:
        self._began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> bool:
        self.seconds = time.perf_counter() - self._began
        return kind is EnoughError

    def step(self, images: int) -> None:
        """A training step on so many pictures is done."""
        self._last = time.perf_counter()
        self.steps += 1
        self.images += images
        if self.steps == 1:
            self._first, self._first_images = self._last, images
        if self._most_steps is not None and self.steps >= self._most_steps:
            raise EnoughError
        if self._most_seconds is not None and self._last - self._first >= self._most_seconds:
            raise EnoughError

    @property
    def rate(self) -> float | None:
        """Pictures a second after the first step; None when there was no other."""
        seconds = self._last - self._first
        return (self.images - self._first_images) / seconds if seconds > 0 else None


def arguments(
    about: str | None, epochs: Mapping[str, int], batch_sizes: Mapping[str, int], *, models: tuple[str, ...] = ()
) -> argparse.Namespace:
    """What an entrant was asked to do.

    Args:
        about: Its description.
        epochs: Its own number for each data set, where none is given.
        batch_sizes: Likewise.
        models: Networks to choose from, the first is the default.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder made by prepare.py")
    parser.add_argument("--dataset", choices=tuple(epochs), required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--workers", type=int, default=2, help="processes that load, where pictures are loaded so")
    parser.add_argument("--limit-batches", type=int, metavar="N", help="stop after N steps: a rate, not a result")
    parser.add_argument(
        "--limit-seconds", type=float, metavar="S", help="stop S seconds after the first step: likewise"
    )
    if models:
        parser.add_argument("--model", choices=models, default=models[0])
    options = parser.parse_args()
    options.whole = options.limit_batches is None and options.limit_seconds is None
    options.epochs = options.epochs or epochs[options.dataset]
    options.batch_size = options.batch_size or batch_sizes[options.dataset]
    return options


def flops(model: Any, example: Any) -> int | None:
    """Floating-point operations of one picture's forward pass, a multiplication and an addition being two.

    Args:
        model: A torch network.
        example: A batch of one, as the network takes it.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    was_training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(example)
    model.train(was_training)
    return counter.get_total_flops() or None


def report(
    peer: str,
    version: str,
    options: argparse.Namespace,
    clock: Clock,
    *,
    model: str,
    forward_flops: int | None,
    top1: float | None = None,
    test_seconds: float | None = None,
    settings: str = "",
) -> None:
    """Print the result as one line of JSON.

    Args:
        peer: Which entrant.
        version: Of what trains.
        model: Which network.
        forward_flops: What :func:`flops` found.
        top1: Of the 10,000 test pictures, looked at once; None where only a rate was measured.
        test_seconds: How long that look took.
        settings: In words, what decides the training.
    """
    import torch

    print(
        json.dumps(
            {
                "peer": peer,
                "version": version,
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                "model": model,
                "settings": settings,
                "dataset": options.dataset,
                "seed": options.seed,
                "epochs": options.epochs,
                "batch_size": options.batch_size,
                "whole": options.whole,
                "limit_batches": options.limit_batches,
                "limit_seconds": options.limit_seconds,
                "train_images": DATASETS[options.dataset].count,
                "steps": clock.steps,
                "images": clock.images,
                "train_seconds": round(clock.seconds, 3),
                "test_seconds": None if test_seconds is None else round(test_seconds, 3),
                "cold_wall_seconds": round(time.perf_counter() - STARTED, 3),
                "test_top1": None if top1 is None else round(top1, 5),
                "images_per_second": None if clock.rate is None else round(clock.rate, 1),
                "forward_flops_per_image": forward_flops,
            }
        ),
        flush=True,
    )
