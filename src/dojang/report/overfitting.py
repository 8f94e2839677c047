"""Where overfitting begins, read off the validations of a run by one stated rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: how much the last validation loss must lie above the lowest one, as a share of it
RISE = 0.05
#: with fewer validations a rise means nothing
LEAST = 3


@dataclass(frozen=True)
class Overfitting:
    """The validation with the lowest loss, before the loss rose.

    Args:
        row: Its number in results.csv, from 0.
        step, epoch: Where it was.
        lowest, last: Validation loss there and at the end.
        train_then, train_last: Training loss there and at the end.
    """

    row: int
    step: int
    epoch: int
    lowest: float
    last: float
    train_then: float
    train_last: float


def begins(results: Sequence[Mapping[str, str]]) -> Overfitting | None:
    """Where overfitting begins; None where it does not.

    It begins at the lowest validation loss if the last validation loss lies more than 5 % above it and the training
    loss fell in between. The second condition tells overfitting from training that went wrong, in which both rise.

    Args:
        results: Rows of results.csv with val/loss and train/loss.

    Example:
        >>> rows = [(1.0, 1.0), (0.6, 0.5), (0.8, 0.2)]
        >>> begins([{"step": str(i), "epoch": str(i), "val/loss": str(v), "train/loss": str(t)}
        ...         for i, (v, t) in enumerate(rows)]).step
        1
    """
    if len(results) < LEAST or not measured(results):
        return None
    losses = [float(row["val/loss"]) for row in results]
    learned = [float(row["train/loss"]) for row in results]
    least = min(range(len(losses)), key=losses.__getitem__)
    if not (losses[-1] > (1 + RISE) * losses[least] and learned[-1] < learned[least]):
        return None
    row = results[least]
    return Overfitting(
        least, int(float(row["step"])), int(float(row["epoch"])), losses[least], losses[-1], learned[least], learned[-1]
    )


def measured(results: Sequence[Mapping[str, str]]) -> bool:
    """Whether both losses stand in every row."""
    return bool(results) and all(row.get("val/loss") and row.get("train/loss") for row in results)
