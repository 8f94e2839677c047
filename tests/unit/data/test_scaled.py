"""Scaled decoding: training JPEGs only, recorded, and never what is scored."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dojang.data import prepare as preparing
from dojang.data.decode import decode, decode_image, look_through
from dojang.data.manifest import Manifest
from dojang.data.options import DataOptions
from dojang.data.prepare import Prepared, prepare
from dojang.data.preprocess import Preprocess
from dojang.data.store import build
from dojang.errors import DataError

SPEC = Preprocess("RGB", 16, 16, 1.25)


class Pictures:
    """A source of files that are held here, which counts what is read."""

    name = "pictures"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.reads = files, 0

    def read(self, path: str) -> bytes:
        self.reads += 1
        return self.files[path]


def waves(height: int, width: int, phase: float = 0.0) -> Image.Image:
    """Smooth colours, as photographs have."""
    y, x = np.mgrid[:height, :width]
    across = [np.sin(x / width * (3 + k) + y / height * (5 - k) + phase + k) for k in range(3)]
    return Image.fromarray((np.stack(across, 2) * 100 + 128).astype(np.uint8))


def encoded(image: Image.Image, format: str = "JPEG", orientation: int = 1) -> bytes:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    image.save(file, format, exif=exif, **({"quality": 95} if format == "JPEG" else {}))
    return file.getvalue()


def manifest_of(files: dict[str, bytes], splits: list[str]) -> Manifest:
    n = len(files)
    labels = tuple((i % 2,) for i in range(n))
    return Manifest(Pictures(files), ("a", "b"), tuple(files), labels, tuple(splits), ("",) * n)


def ready(manifest: Manifest, preprocess: Preprocess | None = None, **options: Any) -> Prepared:
    return prepare(
        manifest, DataOptions(**options), seed=0, default_size=16, threads=2, preprocess=preprocess, assign=False
    )


# How much


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("sides", [(71, 72), (72, 200), (200, 145), (289, 290), (576, 600), (9000, 400), (20, 30)])
def test_twice_the_kept_sides_remain(fit: str, sides: tuple[int, int]) -> None:
    """By definition: the largest of 8, 4, 2, 1 that leaves them."""
    spec = Preprocess("RGB", 16, 16, 1.0 if fit == "pad" else 1.25, fit)
    factor = min(spec.height / sides[0], spec.width / sides[1]) if fit == "pad" else max(20 / sides[0], 20 / sides[1])
    inner = max(1, round(sides[0] * factor)), max(1, round(sides[1] * factor))
    fitting = [s for s in (1, 2, 4, 8) if all(side // s >= 2 * to for side, to in zip(sides, inner, strict=True))]
    assert spec.reduction(*sides) == max(fitting, default=1)


def test_all_pixels_are_decoded_of_pictures_that_are_not_much_larger() -> None:
    assert [Preprocess("RGB", 128, 128, 256 / 224).reduction(side, side) for side in (340, 583, 584, 1168, 2448)] == [
        1,
        1,
        2,
        4,
        8,
    ]


# The pixels


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(203, 301), (161, 160)])
def test_a_reduced_picture_shows_the_same_scene(orientation: int, size: tuple[int, int]) -> None:
    """Upright, and with what rounding added at its edges left out: close to the picture decoded whole."""
    data = encoded(waves(*size), orientation=orientation)
    whole = SPEC.load(data, "a")
    for reduction in (2, 4):
        small = SPEC.load(data, "a", reduction=reduction)
        assert small.shape == whole.shape
        assert np.abs(small.astype(int) - whole).mean() < 1.5
        # turned or shifted by a pixel it would be further away
        assert np.abs(np.roll(small, 1, 0).astype(int) - whole).mean() > 1.5


def test_the_box_follows_the_turn() -> None:
    """33 x 18 pixels at a quarter are 8.25 x 4.5, in 9 x 5."""
    boxes = {}
    for orientation in range(1, 9):
        found = decode_image(encoded(waves(18, 33), orientation=orientation), "a", mode="RGB", reduction=4)
        assert (found.height, found.width) == ((18, 33) if orientation < 5 else (33, 18))
        boxes[orientation] = found.box
    assert boxes == {
        1: (0.0, 0.0, 8.25, 4.5),
        2: (0.75, 0.0, 9.0, 4.5),
        3: (0.75, 0.5, 9.0, 5.0),
        4: (0.0, 0.5, 8.25, 5.0),
        5: (0.0, 0.0, 4.5, 8.25),
        6: (0.5, 0.0, 5.0, 8.25),
        7: (0.5, 0.75, 5.0, 9.0),
        8: (0.0, 0.75, 4.5, 9.0),
    }


def test_other_formats_are_decoded_whole() -> None:
    data = encoded(waves(100, 120), "PNG")
    assert decode_image(data, "a", mode="RGB", reduction=4).box is None
    assert np.array_equal(SPEC.load(data, "a", reduction=4), SPEC.load(data, "a"))


# Which pictures


def files_of() -> dict[str, bytes]:
    large = {f"{i}.jpg": encoded(waves(170, 200, i)) for i in range(3)}
    return large | {"3.png": encoded(waves(170, 200, 3), "PNG"), "4.jpg": encoded(waves(40, 50, 4))}


SPLITS = ["train", "val", "test", "train", "train"]


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_only_large_training_jpegs_are_scaled(place: str) -> None:
    files = files_of()
    made = ready(manifest_of(files, SPLITS), imgsz=16, store=place)
    assert made.preprocess.reduction(170, 200) == 4
    for row, (path, data) in enumerate(files.items()):
        reduction = 4 if path == "0.jpg" else 1
        assert np.array_equal(made.store.picture(row), made.preprocess.load(data, path, reduction=reduction))
    whole = made.preprocess.load(files["0.jpg"], "0.jpg")
    assert not np.array_equal(made.store.picture(0), whole)
    assert made.notes == ("decoding 1 training JPEG at 1/2, 1/4 or 1/8 (--no-scaled-decoding decodes all)",)


def test_it_can_be_switched_off() -> None:
    files = files_of()
    made = ready(manifest_of(files, SPLITS), imgsz=16, scaled_decoding=False)
    assert made.notes == ()
    for row, (path, data) in enumerate(files.items()):
        assert np.array_equal(made.store.picture(row), made.preprocess.load(data, path))


def test_what_is_scored_is_decoded_whole() -> None:
    """Pictures prepared for weights that are there already, whatever split they call themselves."""
    files = files_of()
    made = ready(manifest_of(files, ["train"] * 5), preprocess=SPEC)
    assert made.notes == ()
    for row, (path, data) in enumerate(files.items()):
        assert np.array_equal(made.store.picture(row), SPEC.load(data, path))


def test_a_store_on_disk_knows_what_was_scaled() -> None:
    manifest = manifest_of(files_of(), SPLITS).replace(digests=("a", "b", "c", "d", "e"))
    sizes = np.array([(170, 200)] * 4 + [(40, 50)])

    def place(*reductions: int) -> str:
        return build(manifest, sizes, SPEC, reductions=np.array(reductions), place="disk").store.place

    none = build(manifest, sizes, SPEC, place="disk").store.place
    assert place(1, 1, 1, 1, 1) == none
    assert len({none, place(4, 1, 1, 1, 1), place(2, 1, 1, 1, 1), place(1, 4, 1, 1, 1)}) == 4


# Read once


def test_small_files_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_of()
    manifest = manifest_of(files, SPLITS)
    once = ready(manifest)
    assert isinstance(manifest.source, Pictures)
    # and the first once more, to see whether there are files or arrays
    assert manifest.source.reads == 6
    for name, value, reads in (("_HELD_EACH", 0, 11), ("_HELD", 1, 10)):
        with monkeypatch.context() as patch:
            patch.setattr(preparing, name, value)
            manifest.source.reads = 0
            twice = ready(manifest)
            assert manifest.source.reads == reads
        assert np.array_equal(once.store.buffer, twice.store.buffer)


def test_a_file_that_was_looked_through_is_held_to_the_limit_of_its_reader() -> None:
    data = encoded(waves(30, 40), "PNG")
    walked = look_through(data, "a")
    assert np.array_equal(np.asarray(decode_image(walked, "a", mode="RGB").image), decode(data, "a", mode="RGB"))
    with pytest.raises(DataError, match="D105"):
        decode_image(walked, "a", mode="RGB", max_pixels=1199)
