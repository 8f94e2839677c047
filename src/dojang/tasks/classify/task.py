"""Classification: one label a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from dojang.data.loader import Pictures
from dojang.data.mixing import changed
from dojang.data.preprocess import Preprocess
from dojang.metrics import scores
from dojang.tasks.classify import losses
from dojang.tasks.classify.options import ClassifyOptions
from dojang.train import progressive


@dataclass(frozen=True)
class Batch:
    """Pictures as the network takes them, and their labels.

    Args:
        own: Where pictures are mixed, how much of each is its own; the rest is of the next one in the batch.
    """

    images: Float[Tensor, "b c h w"]
    targets: Int64[Tensor, " b"]
    own: Float[Tensor, " b"] | None = None

    def __len__(self) -> int:
        return len(self.targets)


class Scores:
    """Loss, top-1, balanced accuracy and macro F1 over batches, from one confusion matrix."""

    def __init__(self, classes: int) -> None:
        self.matrix = np.zeros((classes, classes), np.int64)
        self.total_loss = 0.0

    def update(self, batch: Batch, outputs: Tensor, loss: float) -> None:
        """Take in a batch, its logits (b, classes) and its mean loss."""
        predicted = outputs.float().argmax(dim=1)
        self.matrix += scores.confusion_matrix(batch.targets.cpu().numpy(), predicted.cpu().numpy(), len(self.matrix))
        self.total_loss += loss * len(batch)

    def result(self) -> dict[str, float]:
        """The scores so far."""
        n = int(self.matrix.sum())
        return {
            "loss": self.total_loss / n if n else float("nan"),
            "top1": float(np.trace(self.matrix)) / n if n else float("nan"),
            "balanced_accuracy": scores.balanced_accuracy(self.matrix),
            "macro_f1": scores.macro_f1(self.matrix),
        }


class Classify:
    """The task that the loop trains.

    Args:
        targets: int64 (n,), the label id of each row of the manifest.
        classes: Their number.
        preprocess: What turns stored pixels into the network's input.
        options: The loss.
        device: Where batches go.
        weights: float32 (classes,), what a picture of each class counts in training; None for all alike.
    """

    name = "classify"
    monitors = {"top1": True, "loss": False, "balanced_accuracy": True, "macro_f1": True}  # noqa: RUF012

    def __init__(
        self,
        targets: np.ndarray,
        classes: int,
        preprocess: Preprocess,
        options: ClassifyOptions,
        device: torch.device,
        weights: np.ndarray | None = None,
    ) -> None:
        self.weights = None if weights is None else torch.from_numpy(weights).to(device)
        self.targets, self.classes = torch.from_numpy(targets), classes
        self.preprocess, self.options, self.device = preprocess, options, device

    def collate(self, pictures: Pictures, size: tuple[int, int] | None = None) -> Batch:
        """Pixels to the device, changed there if they are to be, normalised and shown at a size; labels beside them."""
        pixels = torch.from_numpy(pictures.pixels).to(self.device)
        targets = self.targets[torch.from_numpy(pictures.rows)].to(self.device)
        own = None
        if pictures.changes is None:
            images = self.preprocess.normalise(pixels)
        else:
            images, own = changed(pixels, pictures.changes, self.preprocess.mean)
            images = self.preprocess.normalise_scaled(images)
        return Batch(images if size is None else progressive.shown(images, size), targets, own)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean loss and logits (b, classes). Smoothing and weights are for learning: in evaluation there are none."""
        logits = model(batch.images)
        smoothing, weights = (self.options.label_smoothing, self.weights) if model.training else (0.0, None)
        more = {"gamma": self.options.focal_gamma} if self.options.loss == "focal" else {}

        def of(targets: Tensor, shares: Tensor | None) -> Tensor:
            return losses.LOSSES[self.options.loss](logits, targets, smoothing, weights, shares, **more)

        if batch.own is None:
            return of(batch.targets, None), logits
        return of(batch.targets, batch.own) + of(batch.targets.roll(-1), 1 - batch.own), logits

    def metrics(self) -> Scores:
        """A fresh accumulator."""
        return Scores(self.classes)

    def expected_loss(self) -> float:
        """The loss of a network that gives every class the same probability."""
        return losses.of_ignorance(self.options.loss, self.classes, self.options.focal_gamma)

    def chance(self) -> float:
        """One in the number of classes."""
        return 1 / self.classes
