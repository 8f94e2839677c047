"""Test-time augmentation: the mean answer to several views of a picture, for those that one view leaves in doubt.

Source: Keller Jordan, arXiv:2404.00498, section 3.5, for the views and their weights; asking again only for the least
confident quarter is Hiverge's, github.com/hiverge/cifar10-speedrun.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8

from dojang.predict.predictor import Predictor

DOUBTFUL = 0.25
"""The share of pictures, the least confident ones, that are looked at again."""


def views(pixels: UInt8[np.ndarray, "b h w c"], kind: str) -> list[tuple[float, np.ndarray]]:
    """Views of pictures and the weight of each; the weights sum to one.

    Args:
        kind: "mirror" for left and right exchanged, "shift" for a pixel up and left, and down and right, with the
            picture mirrored at its edge where it is missing, or "mirror+shift" for both together.

    >>> [weight for weight, _ in views(np.zeros((1, 4, 4, 1), np.uint8), "mirror+shift")]
    [0.25, 0.25, 0.125, 0.125, 0.125, 0.125]
    """
    found = [(1.0, pixels)]
    if "shift" in kind:
        height, width = pixels.shape[1:3]
        wide = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        found = [(0.5, pixels), (0.25, wide[:, :height, :width]), (0.25, wide[:, 2:, 2:])]
    if "mirror" in kind:
        found = [(weight / 2, view) for weight, whole in found for view in (whole, whole[:, :, ::-1])]
    return found


def ask_again(
    predictor: Predictor, pixels: UInt8[np.ndarray, "b h w c"], kind: str
) -> Float32[np.ndarray, "b classes"]:
    """Probabilities from the weighted mean of the scores of all views."""
    total = sum(weight * predictor.logits(np.ascontiguousarray(view)) for weight, view in views(pixels, kind))
    found: np.ndarray = total.softmax(dim=1).cpu().numpy()  # type: ignore[union-attr]
    return found


def doubtful(probabilities: Float32[np.ndarray, "b classes"]) -> np.ndarray:
    """Which rows are looked at again: the least confident share of them, int64, ascending."""
    count = int(np.ceil(DOUBTFUL * len(probabilities)))
    order = np.argsort(probabilities.max(axis=1), kind="stable")
    return np.sort(order[:count])
