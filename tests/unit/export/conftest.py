"""Two trained runs and what is exported of them, once for all tests here: tracing a graph takes seconds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from colours import KINDS, SIZES, picture, trained, warmed

from dojang.export.export import export
from dojang.runs.exported import Exported

# or ONNX Runtime, where a test imports it, would write into the home folder and call its maker
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes in colour, of all sizes and as PNG, JPEG and PNG with transparency; train and val."""
    root, draw = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split, n in (("train", 18), ("val", 12)):
        for kind, label in enumerate(KINDS):
            folder = root / split / label
            folder.mkdir(parents=True)
            for i in range(n):
                image = picture(kind, draw, SIZES[i % len(SIZES)])
                if i % 3 == 0:
                    image.putalpha(200)
                image.save(folder / f"{i}.{('png', 'png', 'jpg')[i % 3]}")
    return root


@pytest.fixture(scope="session")
def coloured(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run on ``photos``: RGB, resized to 16 x 16 and cut; at a temperature."""
    return warmed(trained(photos, tmp_path_factory.mktemp("coloured"), imgsz=16, epochs=6), 1.7)


@pytest.fixture(scope="session")
def grey(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run on ``stripes``: one channel, 10 x 10, pixels in a fixed order."""
    return trained(stripes, tmp_path_factory.mktemp("grey"), epochs=3, val=20, permute_pixels=True)


@pytest.fixture(scope="session")
def shipped(coloured: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """``coloured`` as ONNX."""
    return export(coloured, out=tmp_path_factory.mktemp("shipped") / "photos.onnx")


@pytest.fixture(scope="session")
def shipped_grey(grey: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """``grey`` as ONNX, and in 8 bits."""
    return export(grey, out=tmp_path_factory.mktemp("shipped") / "stripes.onnx", int8=True)
