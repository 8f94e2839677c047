"""The options of classification."""

from __future__ import annotations

from dataclasses import dataclass

from dojang.recipe import option


@dataclass(frozen=True)
class ClassifyOptions:
    """What is minimised."""

    loss: str = option(
        "cross-entropy",
        "cross-entropy; bce: softmax and binary cross-entropy on one-hot labels; focal: what is known counts little",
        choices=("cross-entropy", "bce", "focal"),
    )
    label_smoothing: float = option(0.0, "share of each label spread over all classes", low=0, high=0.99)
    tta: str = option(
        "none",
        "also score with test-time augmentation; auto shifts by a pixel, and mirrors what training mirrored",
        choices=("none", "auto", "mirror", "shift", "mirror+shift"),
    )
    focal_gamma: float = option(2.0, "how little, with --loss focal; 0 is cross-entropy", low=0, high=10)
    class_weights: str = option(
        "none", "balanced: in training the pictures of rare classes count more", choices=("none", "balanced")
    )
    calibrate: str = option(
        "temperature",
        "temperature: fitted on the validation part at the end, so that probabilities mean what they say",
        choices=("none", "temperature"),
    )
    familiar: bool = option(
        True, "keep with the weights what known pictures look like to the network, for predict --none-of-these"
    )
