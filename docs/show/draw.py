"""The picture of docs/show.md, drawn by dojang: python docs/show/draw.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from dojang.data.options import DataOptions
from dojang.data.scan import find
from dojang.doctor.stages import STAGES, stages
from dojang.doctor.stages_page import signed

PLACE = Path(__file__).parent / "stages.png"


def picture() -> np.ndarray:
    """Six digits in four stages, one below the other: uint8 (h, w)."""
    found = stages(find("digits"), DataOptions())
    rows = []
    for name in STAGES:
        values = found.stage(name)[..., 0]
        most = float(np.quantile(np.abs(values), 0.995))
        shown = np.rint(255 * values).astype(np.uint8) if name == "original" else signed(values, most)
        large = shown.repeat(8, axis=1).repeat(8, axis=2)
        rows.append(np.concatenate([np.pad(one, 4, constant_values=255) for one in large], axis=1))
    return np.concatenate(rows)


if __name__ == "__main__":
    Image.fromarray(picture()).save(PLACE, optimize=True)
