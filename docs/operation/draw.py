"""The pictures of these pages, drawn by dojang: python docs/operation/draw.py"""

from __future__ import annotations

from pathlib import Path

from dojang.convolution.demonstrations import DEMONSTRATIONS, Graph
from dojang.convolution.graph import neuron
from dojang.convolution.pictures import draw

PICTURES = Path(__file__).parent / "pictures"


def pictures() -> dict[str, str]:
    """Every picture by its file's name."""
    made = {}
    for name, demonstration in DEMONSTRATIONS.items():
        shown = demonstration()
        made[f"{name}.svg"] = shown._repr_html_() if isinstance(shown, Graph) else draw(shown)
    made["neuron.svg"] = Graph(neuron((2, -3, -3), (-1, -2))[0])._repr_html_()
    return made


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for name, text in pictures().items():
        (PICTURES / name).write_text(text, encoding="utf-8")
