"""Losses of classification, from logits (b, classes) and label ids (b,) to a mean in float32."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


def cross_entropy(
    logits: Float[Tensor, "b c"],
    targets: Int64[Tensor, " b"],
    smoothing: float = 0.0,
    weights: Float[Tensor, " c"] | None = None,
    shares: Float[Tensor, " b"] | None = None,
) -> Float[Tensor, ""]:
    """Softmax and cross-entropy; ``smoothing`` spreads that share of every label evenly over all classes.

    Args:
        weights: A factor for the pictures of each class. The mean is over pictures, not over weights, so a batch that
            is worked off in parts comes to the same.
        shares: How much each picture counts: of one that is mixed of two, the share that has this label.

    Source: label smoothing, Szegedy et al., arXiv:1512.00567, section 7.
    """
    if weights is None and shares is None:
        return F.cross_entropy(logits.float(), targets, label_smoothing=smoothing)
    each = F.cross_entropy(logits.float(), targets, label_smoothing=smoothing, reduction="none")
    return _mean(each, targets, weights, shares)


def softmax_bce(
    logits: Float[Tensor, "b c"],
    targets: Int64[Tensor, " b"],
    smoothing: float = 0.0,
    weights: Float[Tensor, " c"] | None = None,
    shares: Float[Tensor, " b"] | None = None,
) -> Float[Tensor, ""]:
    """Softmax, then binary cross-entropy of every probability against the one-hot label, averaged over all of them.

    Teaching material pairs the two; cross-entropy is the better choice, and the comparison shows it.
    """
    classes = logits.shape[1]
    one_hot = F.one_hot(targets, classes).float() * (1 - smoothing) + smoothing / classes  # (b, c)
    with torch.autocast(logits.device.type, enabled=False):
        share = logits.float().softmax(dim=1)
        if weights is None and shares is None:
            return F.binary_cross_entropy(share, one_hot)
        each = F.binary_cross_entropy(share, one_hot, reduction="none").mean(dim=1)
        return _mean(each, targets, weights, shares)


def focal(
    logits: Float[Tensor, "b c"],
    targets: Int64[Tensor, " b"],
    smoothing: float = 0.0,
    weights: Float[Tensor, " c"] | None = None,
    shares: Float[Tensor, " b"] | None = None,
    gamma: float = 2.0,
) -> Float[Tensor, ""]:
    """Cross-entropy times (1 - p)^gamma, p the probability of the label: what is known already counts little.

    Args:
        gamma: 0 is cross-entropy.

    Source: Lin et al., arXiv:1708.02002, equation 4, with softmax in place of the sigmoid.
    """
    each = F.cross_entropy(logits.float(), targets, label_smoothing=smoothing, reduction="none")
    # of the label itself, however it is smoothed; 1 - p from its logarithm, exact also where p is nearly 1
    known = logits.float().log_softmax(dim=1).gather(1, targets[:, None])[:, 0]
    each = each * (-torch.expm1(known)).clamp(min=1e-12) ** gamma
    return _mean(each, targets, weights, shares)


def _mean(each: Tensor, targets: Tensor, weights: Tensor | None, shares: Tensor | None) -> Float[Tensor, ""]:
    """Of losses (b,), each by the weight of its class and its own share; over pictures."""
    for factors in (None if weights is None else weights[targets], shares):
        each = each if factors is None else each * factors
    return each.mean()


LOSSES = {"cross-entropy": cross_entropy, "bce": softmax_bce, "focal": focal}


def balanced(counts: np.ndarray) -> np.ndarray:
    """Weights with which all classes count alike: n / (classes x count), so that the mean over pictures is 1.

    Args:
        counts: int (classes,), training pictures of each.

    Returns:
        float32 (classes,); 1 for a class without pictures.

    >>> balanced(np.array([30, 10])).tolist()
    [0.6666666865348816, 2.0]
    """
    present = counts > 0
    weights: np.ndarray = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0)
    return weights.astype(np.float32)


def of_ignorance(loss: str, classes: int, gamma: float = 2.0) -> float:
    """The loss when every class is given the same probability: ln C for cross-entropy.

    >>> round(of_ignorance("cross-entropy", 10), 3), round(of_ignorance("focal", 10), 3)
    (2.303, 1.865)
    """
    share = 1 / classes
    if loss == "bce":
        return -(math.log(share) + (classes - 1) * math.log1p(-share)) / classes
    if loss == "focal":
        return float((1 - share) ** gamma * math.log(classes))
    return math.log(classes)
