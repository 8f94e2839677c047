"""What the service says of its network: labels, the way of a picture, layers; nothing of where its files lie."""

from __future__ import annotations

from typing import Any

import dojang
from dojang.data.preprocess import Preprocess
from dojang.models.summary import summarise
from dojang.predict.familiar import Familiar
from dojang.predict.predictor import Predictor


def about(predictor: Predictor, *, none_of_these: bool, unknown_below: float | None) -> dict[str, Any]:
    """For GET /model."""
    p = predictor.preprocess
    summary = summarise(predictor.model, (p.height, p.width), p.channels)
    return {
        "dojang": dojang.__version__,
        "task": "classify",
        "network": getattr(predictor.model, "preset", "") or type(predictor.model).__name__,
        "parameters": summary.total,
        "labels": list(predictor.labels),
        "input": {"height": p.height, "width": p.width, "channels": p.channels, "mode": p.mode},
        "preprocess": steps(p),
        "temperature": predictor.temperature,
        "unknown": {
            "none_of_these": none_of_these and isinstance(predictor.familiar, Familiar),
            "below": unknown_below,
        },
        "layers": [
            {"path": row.path, "name": row.name, "kind": row.type, "shape": None if row.shape is None else [*row.shape]}
            for row in summary.rows
        ],
    }


def steps(p: Preprocess) -> list[str]:
    """What happens to a picture, in words, in order.

    Example:
        >>> steps(Preprocess("L", 28, 28, mean=(0.5,), std=(0.25,)))[0]
        'decoded to 8-bit gray, upright, transparency over level 255'
    """
    gray = "gray" if p.mode == "L" else "RGB"
    found = [f"decoded to 8-bit {gray}, upright, transparency over level {p.background}"]
    if p.fit == "pad":
        found.append(f"resized ({p.interpolation}) to fit inside {p.height}x{p.width}, level {p.background} beside it")
    else:
        box = f"{round(p.height * p.resize)}x{round(p.width * p.resize)}"
        found.append(f"resized ({p.interpolation}) to cover {box}")
        found.append(f"the central {p.height}x{p.width} cut out")
    if p.permute_pixels:
        found.append("pixels put in one fixed order")
    mean, std = (", ".join(f"{v:.4g}" for v in values) for values in (p.mean, p.std))
    return [*found, f"scaled to 0..1, minus {mean}, divided by {std}"]
