"""The options of classification."""

from __future__ import annotations

from dataclasses import dataclass

from dojang.recipe import option


@dataclass(frozen=True)
class ClassifyOptions:
    """What is minimised."""

    loss: str = option(
        "cross-entropy",
        "cross-entropy, or bce: softmax and binary cross-entropy on one-hot labels",
        choices=("cross-entropy", "bce"),
    )
    label_smoothing: float = option(0.0, "share of each label spread over all classes", low=0, high=0.99)
    tta: str = option(
        "none",
        "also score with test-time augmentation; auto shifts by a pixel, and mirrors what training mirrored",
        choices=("none", "auto", "mirror", "shift", "mirror+shift"),
    )
