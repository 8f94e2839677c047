"""What an exported file says of itself: the same texts in every format, so that it can be used without dojang."""

from __future__ import annotations

import json
from pathlib import Path

from dojang import files
from dojang.models import weights
from dojang.predict.predictor import Predictor

FORMAT = 1
INPUT, OUTPUT = "pictures", "probabilities"
CONTRACT = (
    f"{INPUT}: uint8 (batch, height, width, 3), decoded, upright, RGB, of any size, transparency laid over the "
    f"background; {OUTPUT}: float32 (batch, classes), in the order of the labels."
)


def about(predictor: Predictor, path: Path) -> dict[str, str]:
    """Names and texts for an exported file's metadata; values that are no text are JSON.

    Args:
        predictor: What is exported.
        path: The weights file that it was loaded from.
    """
    card = weights.card_of(path)
    return {
        "format": str(FORMAT),
        "dojang": card.version,
        "task": card.task,
        "labels": json.dumps(list(predictor.labels), ensure_ascii=False),
        "preprocess": json.dumps(predictor.preprocess.as_dict(), sort_keys=True),
        "temperature": json.dumps(predictor.temperature),
        "source_sha256": files.sha256_of(path),
        "contract": CONTRACT,
    }
