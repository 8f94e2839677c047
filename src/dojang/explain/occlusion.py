"""How much a score falls where a part of the picture is covered.

Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, arXiv:1311.2901, section
4.2, which covers with grey; here that is the mean of the training pictures.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch

from dojang.errors import ConfigError
from dojang.explain.heat import Heat
from dojang.explain.sight import Sight

# of the shorter side, that a window has
_SHARE = 1 / 5
# pixels of pictures that are shown at once
_AT_ONCE = 2**20


def occlusion(sight: Sight, window: int | None = None, stride: int | None = None) -> Heat:
    """Cover one window after the other, and see how far the score of the class falls.

    Args:
        window: Its side in the network's pixels; None takes a fifth of the shorter side.
        stride: From one window to the next; None takes a third of a window.

    Returns:
        For each pixel the mean fall over all windows that cover it; below 0 where the score rises.

    Raises:
        ConfigError: C202 for a window or stride that cannot be.
    """
    height, width = sight.frame.size
    most = min(height, width)
    window = max(2, round(most * _SHARE)) if window is None else window
    stride = max(1, window // 3) if stride is None else stride
    if not 1 <= window <= most or not 1 <= stride <= window:
        raise ConfigError(
            "C202",
            f"a window of {window} at stride {stride} cannot cover pictures of {height} x {width}.",
            fix=f"a window of 1 to {most}, and a stride of 1 to the window.",
        )
    corners = list(itertools.product(_starts(height, window, stride), _starts(width, window, stride)))
    some = max(1, _AT_ONCE // (height * width))
    fallen, times = np.zeros((height, width)), np.zeros((height, width))
    with torch.no_grad():
        image = sight.image
        whole = float(sight.scores(image)[0, sight.target])
        for part in range(0, len(corners), some):
            places = corners[part : part + some]
            covered = image.repeat(len(places), 1, 1, 1)
            for one, (top, left) in zip(covered, places, strict=True):
                one[:, top : top + window, left : left + window] = 0
            scores = sight.scores(covered)[:, sight.target].tolist()
            for (top, left), score in zip(places, scores, strict=True):
                fallen[top : top + window, left : left + window] += whole - score
                times[top : top + window, left : left + window] += 1
    values = (fallen / times).astype(np.float32)
    facts = {"window": window, "stride": stride, "windows": len(corners), "score": whole}
    return Heat("occlusion", sight.label, values, sight.frame, facts=facts)


def _starts(side: int, window: int, stride: int) -> list[int]:
    """Where windows begin, the last one at the end."""
    return sorted({*range(0, side - window + 1, stride), side - window})
