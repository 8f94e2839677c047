"""Losses of classification, from logits (b, classes) and label ids (b,) to a mean in float32."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


def cross_entropy(
    logits: Float[Tensor, "b c"], targets: Int64[Tensor, " b"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Softmax and cross-entropy; ``smoothing`` spreads that share of every label evenly over all classes.

    Source: label smoothing, Szegedy et al., arXiv:1512.00567, section 7.
    """
    return F.cross_entropy(logits.float(), targets, label_smoothing=smoothing)


def softmax_bce(
    logits: Float[Tensor, "b c"], targets: Int64[Tensor, " b"], smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Softmax, then binary cross-entropy of every probability against the one-hot label, averaged over all of them.

    Teaching material pairs the two; cross-entropy is the better choice, and the comparison shows it.
    """
    classes = logits.shape[1]
    one_hot = F.one_hot(targets, classes).float() * (1 - smoothing) + smoothing / classes  # (b, c)
    with torch.autocast(logits.device.type, enabled=False):
        return F.binary_cross_entropy(logits.float().softmax(dim=1), one_hot)


LOSSES = {"cross-entropy": cross_entropy, "bce": softmax_bce}


def of_ignorance(loss: str, classes: int) -> float:
    """The loss when every class is given the same probability: ln C for cross-entropy.

    >>> round(of_ignorance("cross-entropy", 10), 3)
    2.303
    """
    share = 1 / classes
    if loss == "bce":
        return -(math.log(share) + (classes - 1) * math.log1p(-share)) / classes
    return math.log(classes)
