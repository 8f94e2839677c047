"""What the loop asks of a task. The loop knows no more of one than this."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from dojang.data.loader import Pictures


class Metrics(Protocol):
    """Scores gathered batch by batch."""

    def update(self, batch: Any, outputs: Tensor, loss: float) -> None:
        """Take in a batch, what the model gave for it, and its mean loss."""

    def result(self) -> dict[str, float]:
        """The scores so far, "loss" among them."""


class Task(Protocol):
    """Batches, a loss, scores: what is learned."""

    name: str
    #: scores by which best can be chosen, and whether higher is better
    monitors: dict[str, bool]

    def collate(self, pictures: Pictures, size: tuple[int, int] | None = None) -> Any:
        """A batch on the device, from pictures and their rows; ``len(batch)`` is its number of pictures.

        Args:
            size: Height and width at which it is shown; None leaves them.
        """

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        """The mean loss of a batch, a scalar with its graph, and the model's outputs."""

    def metrics(self) -> Metrics:
        """A fresh accumulator."""

    def expected_loss(self) -> float:
        """The loss of a network that knows nothing, for the check before training."""

    def chance(self) -> float:
        """The top-1 of a network that knows nothing."""
