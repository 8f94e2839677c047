"""What stops training: a number that is no number, or somebody who asks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dojang.errors import TrainError


class Stopped(Exception):  # noqa: N818 (no error: somebody asked)
    """Training was asked to stop; the state is saved. ``signal`` is the number of the signal that asked."""

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


@dataclass
class Stop:
    """A request to stop, set by a signal handler and read by the loop between steps. 0 means: go on."""

    signal: int = 0


def gradient_norm(model: nn.Module) -> Tensor:
    """The Euclidean norm of the whole gradient, a scalar."""
    return torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])


def check_finite(
    loss: float, norm: float, *, step: int, epoch: int, last: float | None, lr: float, precision: str
) -> None:
    """Refuse a step whose loss or gradient is not finite, before it touches the weights.

    Raises:
        TrainError: T301 with what is known of the moment; the caller adds where the last good state is.
    """
    if math.isfinite(loss) and math.isfinite(norm):
        return
    if math.isfinite(loss):
        what = "the gradient became " + ("NaN" if math.isnan(norm) else "infinite")
    else:
        what = "loss became " + ("NaN" if math.isnan(loss) else "infinite")
    raise TrainError(
        "T301",
        f"{what} at epoch {epoch + 1}, step {step:,} "
        f"(last finite loss {'none' if last is None else f'{last:.3g}'}; grad norm {norm:.1e}; "
        f"lr {lr:.2g}; {precision}).",
        context="Weights were not updated.",
    )
