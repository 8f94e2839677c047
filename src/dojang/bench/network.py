"""How fast one network trains and answers, in each precision and layout, and how much of the machine that is."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from dojang import seeds
from dojang.bench.measure import Times, Work, reason
from dojang.bench.options import BenchOptions
from dojang.bench.rates import PRECISIONS
from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError
from dojang.models import build
from dojang.models.layers import Network
from dojang.models.options import ModelOptions
from dojang.runs import recipe as recipes
from dojang.tasks.classify.task import Batch, Classify
from dojang.train import optimizers
from dojang.train.precision import autocast

LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
#: one for the forward pass, one for each of the two gradients; the first layer's missing one is counted too
TRAINING_COST = 3


class Measured:
    """A network and its recipe, ready to be timed.

    Args:
        name: A preset or ``FILE.py:CLASS``; None for the default one.
        options: Picture size, classes, pictures a step.
        device: Where it runs.

    Raises:
        ConfigError: C203, C204 for a network that there is not or that does not fit the pictures, C208 for one of one's
            own that cannot take them.
    """

    def __init__(self, name: str | None, options: BenchOptions, device: torch.device) -> None:
        self.options, self.device = options, device
        self.name = name or ModelOptions.model
        self.model = build.build(
            self.name,
            in_channels=options.channels,
            classes=options.classes,
            image_size=(options.imgsz, options.imgsz),
            seed=0,
        )
        # the name asked for may leave the choice to the size of the pictures
        self.name = (self.model.preset if isinstance(self.model, Network) else "") or self.name
        facts = {"model": self.name, "imgsz": options.imgsz, "batch_size": options.batch_size}
        self.recipe = recipes.resolve([facts])
        self.flop = flop(self.model, options.channels, options.imgsz)

    def works(self) -> list[tuple[dict[str, str], Work]]:
        """Training and inference in each precision and layout; what each is, and the work."""
        found = []
        # training and inference share a copy of the network
        subject = functools.cache(functools.partial(_Subject, self))
        for mode in ("training", "inference"):
            for precision in PRECISIONS:
                for layout in LAYOUTS:
                    what = f"{self.name}, {mode}, {precision}, {layout}"
                    work = Work(what, functools.partial(_prepare, subject, mode, precision, layout))
                    found.append(({"mode": mode, "precision": precision, "layout": layout}, work))
        return found

    def row(self, facts: Mapping[str, str], times: Times, peak: Mapping[str, float | None]) -> dict[str, Any]:
        """Images a second, and what that is in TFLOP/s and as a share of the peak measured in that precision."""
        images = times.rate(self.options.batch_size)
        row: dict[str, Any] = dict(facts) | {"images_per_s": images, "tflop_per_s": None, "share_of_peak": None}
        if images is None:
            return row | {"failed": times.failed}
        cost = self.flop * (TRAINING_COST if facts["mode"] == "training" else 1)
        row["tflop_per_s"] = images["median"] * cost / 1e12
        best = peak[facts["precision"]]
        if best:
            row["share_of_peak"] = row["tflop_per_s"] / best
        return row

    def facts(self) -> dict[str, Any]:
        """What the figures are of."""
        options, train = self.options, self.recipe.train
        return {
            "name": self.name,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "in_channels": options.channels,
            "height": options.imgsz,
            "width": options.imgsz,
            "classes": options.classes,
            "batch_size": options.batch_size,
            "optimizer": train.optimizer,
            "loss": self.recipe.task.loss,
            "forward_flop_per_image": self.flop,
            "training_flop_per_image": self.flop * TRAINING_COST,
        }


class _Subject:
    """A copy of the network in one precision and layout, its optimizer, and a batch that is always the same."""

    def __init__(self, measured: Measured, precision: str, layout: str) -> None:
        options, device = measured.options, measured.device
        recipe, form = measured.recipe.replace(precision=precision), LAYOUTS[layout]
        self.device, self.precision = device, precision
        self.model = copy.deepcopy(measured.model)
        self.model.to(device, memory_format=form)  # type: ignore[call-overload]
        self.optimizer = optimizers.make(self.model, recipe.train)
        generator = torch.Generator().manual_seed(seeds.torch_seed(0, "bench", "pictures"))
        size = (options.batch_size, options.channels, options.imgsz, options.imgsz)
        images = torch.randn(size, generator=generator).contiguous(memory_format=form)
        targets = torch.randint(options.classes, (options.batch_size,), generator=generator)
        self.batch = Batch(images.to(device), targets.to(device))
        # the loss is the task's own; what it does to pixels beforehand is not timed
        preprocess = Preprocess("L" if options.channels == 1 else "RGB", options.imgsz, options.imgsz)
        self.task = Classify(np.zeros(0, np.int64), options.classes, preprocess, recipe.task, device)

    def train(self) -> None:
        """A step as train/loop.py takes it: forward, loss, zero_grad, backward, step."""
        self.model.train()
        with autocast(self.precision, self.device):
            loss, _ = self.task.loss(self.model, self.batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    @torch.inference_mode()
    def infer(self) -> Tensor:
        """The logits of the batch (b, classes)."""
        self.model.eval()
        with autocast(self.precision, self.device):
            logits: Tensor = self.model(self.batch.images)
        return logits


def flop(model: nn.Module, in_channels: int, imgsz: int) -> int:
    """Operations of a forward pass for one picture: matrix products and convolutions, a multiplication and an addition
    counted as two.

    Raises:
        ConfigError: C208 when the network cannot take the picture.

    Example:
        >>> flop(nn.Conv2d(3, 8, 3, padding=1), 3, 32) == 2 * 9 * 3 * 8 * 32 * 32
        True
    """
    modes = [(module, module.training) for module in model.modules()]
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            model.eval()(torch.zeros(1, in_channels, imgsz, imgsz))
    except Exception as error:
        raise ConfigError(
            "C208",
            f"{type(model).__name__} cannot take a picture of {imgsz}x{imgsz}, {in_channels} channels: {reason(error)}",
            fix="--imgsz and --channels as the network expects them.",
        ) from error
    finally:
        for module, mode in modes:
            module.training = mode
    return int(counter.get_total_flops())


def _prepare(subject: Callable[[str, str], _Subject], mode: str, precision: str, layout: str) -> Callable[[], object]:
    ready = subject(precision, layout)
    return ready.train if mode == "training" else ready.infer
