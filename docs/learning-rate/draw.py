"""The pictures of docs/learning-rate.md and docs/studies.md, drawn by dojang.

    python docs/learning-rate/draw.py [--data-root DATA]

It carries out the ready-made studies `polynomials` and, with --data-root, `learning-rate` (minutes, on MNIST), prints
what they say, and keeps their pictures in fewer colours, so that they are small.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from dojang.study import drawings, named, plan, study

HERE = Path(__file__).parent


def smaller(png: bytes, colours: int = 128) -> bytes:
    """The same picture in a palette."""
    out = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    # by an octree, which keeps the colours of thin lines, too
    picture.quantize(colours, method=Image.Quantize.FASTOCTREE).save(out, format="png", optimize=True)
    return out.getvalue()


def pictures(name: str, recipe: dict[str, str]) -> dict[str, bytes]:
    """Those of a ready-made study."""
    made = named.plan(name)
    if recipe:
        made = plan.changed(made, recipe={**made.recipe, **recipe})
    with tempfile.TemporaryDirectory() as project:
        folder = study.begin(made, project=project, name=name)
        found = {}
        for one in drawings.kept(folder).values():
            sys.stdout.write("\n".join([*one["said"], "", ""]))
            found |= {file: (folder / file).read_bytes() for file in one["files"] if file.endswith(".png")}
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root")
    root = parser.parse_args().data_root
    every = pictures("polynomials", {}) | (pictures("learning-rate", {"data_root": root}) if root else {})
    for file, png in every.items():
        (HERE / file).write_bytes(smaller(png))
