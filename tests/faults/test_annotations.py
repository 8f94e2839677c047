"""Masks and boxes that are wrong (I12): each planted, and told with its file and value before a network sees it."""

from __future__ import annotations

import io
import math
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dojang.data import annotations, places
from dojang.data.decode import decode_numbers
from dojang.errors import DataError


def png(levels: np.ndarray, mode: str = "L", format: str = "PNG", **how: Any) -> bytes:
    image = Image.fromarray(levels.astype(np.uint8))
    if mode == "P":
        image = Image.frombytes("P", image.size, levels.astype(np.uint8).tobytes())
        # colours that have nothing to do with the numbers
        image.putpalette([(37 * i) % 256 for i in range(768)])
    elif mode != "L":
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, format, **how)
    return file.getvalue()


def classes_of(seed: int = 0, size: tuple[int, int] = (20, 30), most: int = 19) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, most, size, dtype=np.uint8)


def error(data: bytes, **how: Any) -> str:
    with pytest.raises(DataError) as caught:
        annotations.mask(data, "street/007.png", **{"size": (20, 30), "classes": 19} | how)
    return str(caught.value)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_mask_is_its_numbers(mode: str) -> None:
    numbers = classes_of()
    made = annotations.mask(png(numbers, mode), "m.png", size=(20, 30), classes=19)
    assert made.dtype == np.uint8 and np.array_equal(made, numbers)
    # through every lossless format that is read
    for format in ("PNG", "BMP", "TIFF", "GIF"):
        assert np.array_equal(decode_numbers(png(numbers, mode, format), "m"), numbers), format


def test_a_value_that_is_no_class() -> None:
    numbers = classes_of()
    numbers[3:7, 5:9] = 255
    text = error(png(numbers))
    assert (
        "DataError[D115]: mask street/007.png has the value 255 at 16 pixels; this task has 19 classes (0..18)." in text
    )
    assert "255 is often 'ignore'." in text and "ignore=255" in text
    # said to be no class, it is none
    assert annotations.mask(png(numbers), "m.png", size=(20, 30), classes=19, ignore=255)[3, 5] == 255
    numbers[0, 0] = 19
    assert "has the value 19 at 1 pixel (2 such values)" in error(png(numbers))
    assert "has the value 19 at 1 pixel; this" in error(png(numbers), ignore=255)
    assert "this task has 1 class (0..0)" in error(png(classes_of()), classes=1)


def test_a_mask_of_another_size() -> None:
    text = error(png(classes_of(size=(20, 31))))
    assert "DataError[D127]: mask street/007.png is 31 x 20, its picture 30 x 20." in text and "nearest" in text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: png(classes_of(), "RGB"), "has pixels of mode RGB; a mask holds one number a pixel"),
        (lambda: png(classes_of(), "1"), "has pixels of mode 1;"),
        (lambda: png(classes_of(), "L", "JPEG"), "is a JPEG: its numbers are not those that were stored"),
        (lambda: png(classes_of())[:60], "D102"),
        (lambda: b"<html>", "D103"),
    ],
)
def test_what_is_no_mask(data: Any, words: str) -> None:
    assert words in error(data())


def test_a_name_is_inert() -> None:
    with pytest.raises(DataError) as caught:
        annotations.mask(png(classes_of()), "\x1b[31mred.png", size=(1, 1), classes=19)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([4, 4, 4, 9], "box 1 (WBC) [4, 4, 4, 9] has no area"),
        ([9, 4, 4, 9], "has no area"),
        ([4, 4, 9, math.nan], "box 1 (WBC) [4, 4, 9, nan] holds what is no number"),
        ([4, math.inf, 9, 9], "holds what is no number"),
        ([4, 4, 31, 9], "box 1 (WBC) [4, 4, 31, 9] reaches outside of 30 x 20"),
        ([-1, 4, 9, 9], "reaches outside"),
        ([4, 4, 9, 20.5], "reaches outside"),
    ],
)
def test_a_box_that_is_none(box: list[float], words: str) -> None:
    good = [0, 0, 30, 20]
    assert annotations.boxes([good, good], "a.xml", size=(20, 30)).shape == (2, 4)
    with pytest.raises(DataError) as caught:
        annotations.boxes([good, box], "a.xml", size=(20, 30), names=["RBC", "WBC"])
    assert f"DataError[D128]: a.xml: {words}" in str(caught.value) or words in str(caught.value)
    assert "Fix: mend these boxes" in str(caught.value)


def test_boxes_of_no_shape() -> None:
    assert annotations.boxes([], "a.xml", size=(20, 30)).shape == (0, 4)
    for given in ([1, 2, 3, 4], [[1, 2, 3]], "boxes", [[1, 2, 3, "x"]], None):
        with pytest.raises(DataError, match="D128"):
            annotations.boxes(given, "a.xml", size=(20, 30))
    many = [[1, 1, 1, 1]] * 5
    with pytest.raises(DataError, match=r"box 2 .* has no area; and 2 more"):
        annotations.boxes(many, "a.xml", size=(20, 30))


def test_masks_grow_and_shrink_by_the_nearest_pixel() -> None:
    """However they are moved, no class comes up between two others."""
    numbers = np.where(classes_of(1, (24, 24), 2) == 1, 18, 0).astype(np.uint8)
    for scale in (0.37, 1.0, 2.6):
        side = round(24 * scale)
        place = np.array([[scale, 0, 0], [0, scale, 0]])
        assert set(np.unique(places.mask(numbers, place, (side, side), outside=255))) <= {0, 18, 255}


def test_the_two_flat_boxes_of_a_published_set(shared_data: Path) -> None:
    """BCCD has two boxes without an area among 4,888; they are found, and no others."""
    found = {}
    with tarfile.open(shared_data / "bccd.tar") as archive:
        for member in archive:
            if not member.name.endswith(".xml"):
                continue
            file = archive.extractfile(member)
            assert file is not None
            root = ElementTree.parse(file).getroot()
            size = int(root.findtext("size/height", "0")), int(root.findtext("size/width", "0"))
            given = [
                [float(one.findtext(f"bndbox/{side}", "nan")) for side in ("xmin", "ymin", "xmax", "ymax")]
                for one in root.iter("object")
            ]
            try:
                annotations.boxes(given, member.name, size=size)
            except DataError as caught:
                found[Path(member.name).stem] = caught.what
    assert sorted(found) == ["BloodImage_00338", "BloodImage_00343"]
    assert "[504, 337, 504, 337] has no area" in found["BloodImage_00338"]


def test_the_masks_of_a_published_set(shared_data: Path) -> None:
    with tarfile.open(shared_data / "camvid.tar") as archive:
        names = [name for name in archive.getnames() if "annot/" in name and name.endswith(".png")]
        for name in names[::100]:
            file = archive.extractfile(name)
            assert file is not None
            data = file.read()
            numbers = annotations.mask(data, name, size=(180, 240), classes=12)
            assert numbers.shape == (180, 240)
            if (numbers == 11).any():
                with pytest.raises(DataError, match=r"D115.* has the value 11 at"):
                    annotations.mask(data, name, size=(180, 240), classes=11)
                annotations.mask(data, name, size=(180, 240), classes=11, ignore=11)
