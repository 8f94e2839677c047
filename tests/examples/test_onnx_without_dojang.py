"""examples/onnx_without_dojang.py answers as dojang does, on the original files, where there is no dojang."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dojang

EXAMPLE = Path(__file__).parents[2] / "examples/onnx_without_dojang.py"
# dojang cannot be imported; then the script is run as it stands
ALONE = "import runpy, sys; sys.modules['dojang'] = None; del sys.argv[0]; runpy.run_path(sys.argv[0])"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Warm and cold pictures of all sizes."""
    draw = np.random.default_rng(0)
    for label, colour in (("따뜻한", (120, 60, 0)), ("cold", (0, 60, 120))):
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for i in range(24):
            pixels = draw.integers(0, 130, (20 + i, 44 - i, 3)) + colour
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.jpg")
    return tmp_path / "photos"


def test_it_answers_as_dojang_does(photos: Path, tmp_path: Path) -> None:
    run = dojang.Model("cnn").train(
        data=str(photos), project=str(tmp_path / "runs"), conv_dims=(4, 4), epochs=3, imgsz=16, batch=8, threads=1
    )
    made = run.export("onnx")
    pixels = np.random.default_rng(1).integers(0, 256, (31, 52, 3)).astype(np.uint8)
    asked = [photos / "cold" / "3.jpg", photos / "따뜻한" / "4.jpg"]
    exif = Image.Exif()
    exif[0x0112] = 8
    for name, mode, more in (
        ("turned.jpg", "RGB", {"exif": exif}),
        ("noise.png", "RGB", {}),
        ("grey.png", "L", {}),
        ("palette.png", "P", {}),
        ("print.jpg", "CMYK", {}),
    ):
        Image.fromarray(pixels).convert(mode).save(tmp_path / name, **more)
        asked.append(tmp_path / name)
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, str(EXAMPLE), str(made.path), *map(str, asked)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONUTF8": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    right = dojang.Model(run.path).predict(list(asked))
    assert len({answer.label for answer in right}) == 2
    for line, path, answer in zip(ran.stdout.splitlines(), asked, right, strict=True):
        assert line.startswith(f"{path}: {answer.label} (")
        assert abs(float(line.rpartition("(")[2].rstrip(")")) - answer.probability) < 1.1e-3


def test_it_is_short() -> None:
    """Twenty lines, none of them dojang's."""
    text = EXAMPLE.read_text("utf-8")
    assert len(text.splitlines()) <= 20 and "import dojang" not in text
