"""The picture of docs/studies-inside.md, drawn by dojang: python docs/studies-inside/draw.py"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from dojang.runs import recipe, train
from dojang.study.inside import Inside, inside
from dojang.study.inside_picture import compared

PLACE = Path(__file__).parent / "starts.png"
DEEP: dict[str, Any] = {"model": "mlp", "hidden_dims": [100] * 10, "epochs": 20, "threads": 1}
STARTS: dict[str, dict[str, Any]] = {
    "sigmoid, U(0, 1)": {"activation": "sigmoid", "init": "uniform"},
    "sigmoid, N(0, .02)": {"activation": "sigmoid", "init": "normal"},
    "sigmoid, Xavier": {"activation": "sigmoid", "init": "xavier"},
    "tanh, Xavier": {"activation": "tanh", "init": "xavier"},
    "ReLU, N(0, .02)": {"activation": "relu", "init": "normal"},
    "ReLU, He": {"activation": "relu", "init": "he"},
    "ReLU, N(0, .02), batch norm": {"activation": "relu", "init": "normal", "batch_norm": True},
    "tanh, autoencoder": {"activation": "tanh", "init": "autoencoder"},
}


def look(folder: Path, changes: dict[str, Any]) -> Inside:
    """Ten layers trained on digits, looked into."""
    layer = recipe.read_layer({**DEEP, **changes, "project": str(folder)}, "draw.py")
    return inside(train.begin("digits", [layer]))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = {name: look(Path(folder), changes) for name, changes in STARTS.items()}
    for name, one in found.items():
        signals = [layer.signal for layer in one.before if layer.kind == "activation"]
        figures = (signals[0], signals[-1], one.fall("before"), one.fall("after"))
        sys.stdout.write(f"{name:30}" + "".join(f" {value:9.2g}" for value in figures) + "\n")
    PLACE.write_bytes(compared(found))
