"""The pictures of docs/explain.md, drawn by dojang: python docs/explain/draw.py [weights of squeezenet1_1]

MNIST is looked for as `dojang train mnist` does.  The photograph comes with scikit-learn: china.jpg, by danielbuechele,
CC BY 2.0; it is drawn only where weights are named (docs/models.md says how they are made).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import dojang
from dojang.data.named import open_named
from dojang.explain import deconvolution, nearest
from dojang.explain.explain import Asked, explain
from dojang.explain.maximise import maximise
from dojang.explain.overlay import overlay
from dojang.explain.sheet import fitting, sheet, tile
from dojang.explain.sight import look
from dojang.predict.predictor import Predictor

PLACE = Path(__file__).parent
METHODS = ("gradcam", "layercam", "occlusion", "integrated")
SIDE = 168


def save(image: Image.Image, name: str, colours: int = 128) -> None:
    """With fewer colours, since a page of documentation is to load fast."""
    image.quantize(colours, dither=Image.Dither.NONE).save(PLACE / name, optimize=True)


def heats(predictor: Predictor, asked: list[tuple[str, np.ndarray, str | None]], title: str, side: int) -> Image.Image:
    """Rows: a picture, and its heat maps for a class."""
    tiles, captions = [], []
    for name, picture, label in asked:
        sight = look(predictor, picture, name, label)
        found = explain(predictor, [(name, picture)], Asked(methods=METHODS, label=label))[0]
        size = fitting(sight.original.shape, side)
        tiles += [
            tile(sight.original, size),
            *(tile(np.asarray(overlay(sight.original, h)), size) for h in found.heats),
        ]
        probability = sight.answer.probabilities[sight.target]
        captions += [f"{sight.label} {probability:.3f}", *METHODS]
    return sheet(tiles, captions, title)


def digits() -> None:
    """All that is shown of MNIST, from one short training."""
    with tempfile.TemporaryDirectory() as folder:
        model = dojang.Model("mnist-cnn")
        run = model.train(data="mnist", epochs=2, seed=0, project=folder, name="mnist", check=False)
        predictor, place = run.predictor("cpu"), run.path
        every = open_named("mnist")
        test = every.keep(every.rows("test")[:2000])
        pixels = [np.asarray(test.source.read(path)) for path in test.paths]
        labels = [test.classes[target] for target in test.targets]
        answers = list(predictor.predict([(f"{n}", picture) for n, picture in enumerate(pixels)]))
        wrong = next(n for n, answer in enumerate(answers) if answer.label != labels[n])
        said = answers[wrong].label
        asked = [("seven", pixels[0], None), ("wrong", pixels[wrong], said), ("wrong", pixels[wrong], labels[wrong])]
        save(heats(predictor, asked, f"a 7; a {labels[wrong]} taken for a {said}, asked about both", SIDE), "heat.png")
        sight = look(predictor, pixels[wrong], "wrong")
        found = explain(
            predictor, [("wrong", pixels[wrong])], Asked(maps=("relu1",), deconvolve=("relu2",), nearest=6), run=place
        )[0]
        save(found.maps[0].drawn(), "maps.png")
        save(deconvolution.drawn(sight, list(found.deconvolved[0])), "deconvolution.png")
        save(nearest.drawn(sight, found.near), "nearest.png")
        made = [maximise(predictor, label) for label in predictor.labels]
        said = [f"{one.of} {one.probability:.3f}" for one in made]
        sys.stdout.write(f"probabilities of the made pictures: {'  '.join(said)}\n")
        tiles = [tile(one.pixels, fitting(one.pixels.shape, 160)) for one in made]
        save(
            sheet(tiles, [f"{one.of}: {one.after:.3g}" for one in made], "what excites each class most"), "classes.png"
        )
        sys.stdout.write(f"{found.xray('conv2:7,5,5')}\n")


def photograph(weights: str) -> None:
    """A photograph, with the network of 1,000 classes."""
    from sklearn.datasets import load_sample_image

    picture = np.asarray(load_sample_image("china.jpg"))
    predictor = Predictor.load(weights)
    save(
        heats(predictor, [("china.jpg", picture, None)], "china.jpg, by danielbuechele, CC BY 2.0", 300),
        "photo.png",
        256,
    )


if __name__ == "__main__":
    digits()
    if len(sys.argv) > 1:
        photograph(sys.argv[1])
