"""The pictures of docs/studies.md, drawn by dojang: python docs/studies/draw.py"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from dojang.study import study
from dojang.study.plan import read

PLACE = Path(__file__).parent
# each picture from the study that it suits
STUDIES = {
    "heatmap.png": """
        title: Which optimizer, with which batch?
        data: digits
        recipe: {model: mlp, hidden_dims: [32], epochs: 3, familiar: false}
        grid: {optimizer: [adam, sgd], batch_size: [16, 32, 64, 128]}
        seeds: 3
    """,
    "dots.png": """
        title: What helps a small network?
        data: digits
        recipe: {model: mlp, hidden_dims: [32], epochs: 4, batch_size: 32, familiar: false}
        variants:
          plain: {}
          batch norm: {batch_norm: true}
          dropout: {dropout: 0.3}
          leaky ReLU: {activation: leaky-relu}
          maxout: {activation: maxout}
        seeds: 3
    """,
    "parallel.png": """
        title: Which rate, batch and optimizer?
        data: digits
        recipe: {model: mlp, hidden_dims: [32], epochs: 1, familiar: false}
        search:
          method: random
          trials: 24
          space: {lr: {low: 1.0e-4, high: 1, log: true}, batch_size: [16, 64, 256], optimizer: [adam, sgd]}
        seeds: 1
    """,
}

if __name__ == "__main__":
    for name, text in STUDIES.items():
        with tempfile.TemporaryDirectory() as folder:
            made = study.begin(read(text, name), project=folder, jobs=1)
            # with fewer colours, since a page of documentation is to load fast
            Image.open(made / name).quantize(64, dither=Image.Dither.NONE).save(PLACE / name, optimize=True)
