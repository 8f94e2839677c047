"""Pictures in small: exact where they are small already, never decoded whole where that is not needed."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dojang.data import thumbnail as module
from dojang.data.thumbnail import EXACT, address, thumbnail
from dojang.errors import DataError


def read(made: str) -> Image.Image:
    head, _, data = made.partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert head == f"data:image/{image.format.lower()};base64"
    return image


def encoded(levels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(levels).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 1), (EXACT, EXACT, 3)])
def test_small_pictures_keep_every_pixel(shape: tuple[int, ...]) -> None:
    levels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    image = read(address(levels))
    assert image.format == "PNG" and (np.asarray(image).reshape(shape) == levels).all()
    assert thumbnail(levels, "x", 96) == address(levels)
    assert thumbnail(encoded(levels.squeeze(), "PNG"), "x", 96) == address(levels)


def test_larger_ones_are_made_small() -> None:
    levels = np.zeros((300, 200, 3), np.uint8)
    levels[:, 100:] = 255
    image = read(thumbnail(encoded(levels, "JPEG"), "x", 90))
    assert image.format == "JPEG" and image.size == (60, 90)
    small = np.asarray(image).astype(int)
    assert small[:, :25].max() < 30 and small[:, 35:].min() > 225


def test_gray_stays_gray() -> None:
    assert read(thumbnail(encoded(np.zeros((200, 200), np.uint8), "PNG"), "x", 90)).mode == "L"


def test_a_large_jpeg_is_not_decoded_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = module.decode_image

    def watched(*args, reduction: int, **kwargs):
        seen.append(reduction)
        return real(*args, reduction=reduction, **kwargs)

    monkeypatch.setattr(module, "decode_image", watched)
    for side in (1600, 500, 100):
        thumbnail(encoded(np.zeros((side, side // 2, 3), np.uint8), "JPEG"), "x", 96)
    assert seen == [8, 2, 1]


def test_what_is_no_picture_says_so() -> None:
    with pytest.raises(DataError, match="D103"):
        thumbnail(b"<html>", "a.jpg", 96)
