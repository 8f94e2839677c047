"""Preprocess: sizes by their properties, pixels against Pillow and NumPy, and one answer wherever a picture is read."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from dojang.data.decode import MAX_PIXELS
from dojang.data.loader import Loader
from dojang.data.manifest import Manifest
from dojang.data.options import DataOptions
from dojang.data.prepare import prepare
from dojang.data.preprocess import Preprocess
from dojang.data.store import build
from dojang.errors import ConfigError, DataError

Fields = dict[str, Any]
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
MARGIN = 256 / 224
SIDES = st.integers(1, 2000)
# as plain values: the types that tests check are checked at random places, which Hypothesis forbids in a strategy
SPECS = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["L", "RGB"]),
        "height": st.integers(1, 300),
        "width": st.integers(1, 300),
        "resize": st.sampled_from([1.0, MARGIN, 1.5]),
        "fit": st.sampled_from(["crop", "pad"]),
        "interpolation": st.sampled_from(["bilinear", "bicubic"]),
        "background": st.integers(0, 255),
        "max_pixels": st.integers(1, 10**9),
        "mean": st.lists(st.floats(0, 1), max_size=3).map(tuple),
        "std": st.lists(st.floats(0.01, 1), max_size=3).map(tuple),
    }
)


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def jpeg(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]).save(file, "JPEG", **options)
    return file.getvalue()


class Photos:
    """A source of pictures that are held here."""

    name = "photos"

    def __init__(self, pictures: list[bytes]) -> None:
        self.pictures = pictures

    def read(self, path: str) -> bytes:
        return self.pictures[int(path)]


def manifest_of(pictures: list[bytes], split: str = "train") -> Manifest:
    n = len(pictures)
    labels = tuple((i % 2,) for i in range(n))
    return Manifest(Photos(pictures), ("a", "b"), tuple(map(str, range(n))), labels, (split,) * n, ("",) * n)


# Sizes


@given(SPECS, SIDES, SIDES)
def test_a_cropped_picture_just_covers_its_box(fields: Fields, height: int, width: int) -> None:
    spec = Preprocess(**fields | {"fit": "crop"})
    box_h, box_w = round(spec.height * spec.resize), round(spec.width * spec.resize)
    kept_h, kept_w = spec.stored_size(height, width)
    assert kept_h >= box_h >= spec.height
    assert kept_w >= box_w >= spec.width
    # just: one of its sides is the box's
    assert kept_h == box_h or kept_w == box_w
    # and its shape is kept to the nearest pixel
    scale = max(box_h / height, box_w / width)
    assert abs(kept_h - height * scale) <= 0.5 + 1e-6
    assert abs(kept_w - width * scale) <= 0.5 + 1e-6


@given(SPECS, SIDES, SIDES)
def test_a_padded_picture_has_the_network_s_size(fields: Fields, height: int, width: int) -> None:
    spec = Preprocess(**fields | {"fit": "pad"})
    assert spec.stored_size(height, width) == (spec.height, spec.width)


@given(SPECS, SIDES, SIDES)
def test_the_central_cut_lies_inside_and_in_the_middle(fields: Fields, height: int, width: int) -> None:
    spec = Preprocess(**fields)
    kept = spec.stored_size(height, width)
    for start, size, whole in zip(spec.centre(*kept), (spec.height, spec.width), kept, strict=True):
        after = whole - size - start
        assert start >= 0
        assert after - start in (0, 1)


@given(SPECS, SIDES, SIDES)
def test_turning_picture_and_network_turns_the_size(fields: Fields, height: int, width: int) -> None:
    spec = Preprocess(**fields)
    turned = dataclasses.replace(spec, height=spec.width, width=spec.height)
    assert turned.stored_size(width, height) == spec.stored_size(height, width)[::-1]


def test_sizes_that_are_known() -> None:
    spec = Preprocess("RGB", 224, 224, resize=MARGIN)
    # as the ImageNet networks have it: the shorter side 256, then the central 224
    assert spec.stored_size(480, 640) == (256, 341)
    assert spec.stored_size(640, 480) == (341, 256)
    assert spec.stored_size(100, 100) == (256, 256)
    assert spec.centre(256, 341) == (16, 58)
    assert Preprocess("L", 28, 28).stored_size(28, 28) == (28, 28)


# Pixels


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(("height", "width"), [(37, 53), (53, 37), (8, 9), (64, 64), (200, 31)])
def test_crop_is_pillow_s_resize_and_the_middle_of_it(mode: str, interpolation: str, height: int, width: int) -> None:
    spec = Preprocess(mode, 32, 24, resize=MARGIN, interpolation=interpolation)
    data = jpeg(noise(height, width))
    image = Image.open(io.BytesIO(data)).convert("RGB").convert(mode)
    kept_h, kept_w = spec.stored_size(height, width)
    resized = image.resize((kept_w, kept_h), FILTERS[interpolation])
    expected = np.asarray(resized).reshape(kept_h, kept_w, spec.channels)
    assert np.array_equal(spec.load(data, "a"), expected)
    top, left = (kept_h - 32) // 2, (kept_w - 24) // 2
    seen = spec.picture(data, "a")
    assert seen.shape == (32, 24, spec.channels)
    assert np.array_equal(seen, np.asarray(resized.crop((left, top, left + 24, top + 32))).reshape(seen.shape))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("background", [0, 128, 255])
@pytest.mark.parametrize(("height", "width"), [(37, 53), (53, 37), (5, 9), (64, 64), (300, 2)])
def test_pad_is_the_whole_picture_on_a_background(mode: str, background: int, height: int, width: int) -> None:
    spec = Preprocess(mode, 32, 24, fit="pad", background=background)
    pixels = noise(height, width, spec.channels)
    seen = spec.picture(pixels, "a")
    assert seen.shape == (32, 24, spec.channels)
    scale = min(32 / height, 24 / width)
    inner_h, inner_w = max(1, round(height * scale)), max(1, round(width * scale))
    image = Image.fromarray(pixels if mode == "RGB" else pixels[:, :, 0])
    inner = np.asarray(image.resize((inner_w, inner_h), FILTERS["bilinear"])).reshape(inner_h, inner_w, -1)
    above, before = (32 - inner_h) // 2, (24 - inner_w) // 2
    expected = np.pad(
        inner,
        ((above, 32 - inner_h - above), (before, 24 - inner_w - before), (0, 0)),
        constant_values=background,
    )
    assert np.array_equal(seen, expected)
    assert inner_h == 32 or inner_w == 24


def test_pad_keeps_what_crop_cuts() -> None:
    """A picture whose ends are red and blue."""
    pixels = np.full((20, 100, 3), 128, np.uint8)
    pixels[:, :10], pixels[:, -10:] = (255, 0, 0), (0, 0, 255)
    cut = Preprocess("RGB", 20, 20).picture(pixels, "a")
    assert cut.min() == cut.max() == 128
    whole = Preprocess("RGB", 20, 20, fit="pad", background=7).picture(pixels, "a")
    assert whole[10, 0].tolist() == [255, 0, 0]
    assert whole[10, -1].tolist() == [0, 0, 255]
    assert (whole[:8] == 7).all()
    assert (whole[12:] == 7).all()


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_a_picture_of_the_right_size_is_left_alone(fit: str) -> None:
    pixels = noise(28, 28, 1)
    assert np.array_equal(Preprocess("L", 28, 28, fit=fit).picture(pixels, "a"), pixels)


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_the_picture_given_is_not_changed(fit: str) -> None:
    pixels = noise(30, 20)
    before = pixels.copy()
    pixels.flags.writeable = False
    for side in (30, 7, 40):
        Preprocess("RGB", side, side, fit=fit).picture(pixels, "a")
    assert np.array_equal(pixels, before)


def test_transparency_shows_the_same_background_that_pads() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (40, 10), (9, 9, 9, 0)).save(file, "PNG")
    seen = Preprocess("RGB", 20, 20, fit="pad", background=77).picture(file.getvalue(), "a")
    assert seen.min() == seen.max() == 77


# I11: sizes that nobody expects


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (2, 1), (1, 65), (700, 1)])
def test_i11_small_and_thin_pictures(fit: str, height: int, width: int) -> None:
    spec = Preprocess("RGB", 64, 64, resize=MARGIN, fit=fit)
    seen = spec.picture(np.full((height, width, 3), 200, np.uint8), "a")
    assert seen.shape == (64, 64, 3)
    assert (seen == 200).all(axis=2).any()
    assert seen[0, 0].tolist() in ([200, 200, 200], [255, 255, 255])


@pytest.mark.parametrize(("height", "width"), [(1, 20000), (20000, 1), (1, 65535), (65535, 1)])
def test_i11_long_pictures_are_padded_or_refused(height: int, width: int) -> None:
    """Scaled so that one row covers 146 pixels, the other side would fill memory; nothing is taken for it."""
    pixels = np.full((height, width, 1), 200, np.uint8)
    seen = Preprocess("L", 128, 128, fit="pad").picture(pixels, "a")
    assert seen.shape == (128, 128, 1)
    assert 200 in seen
    spec = Preprocess("L", 128, 128, resize=MARGIN)
    assert not spec.keeps(height, width)
    with pytest.raises(DataError) as caught:
        spec.picture(pixels, "thin.png")
    long = 146 * max(height, width)
    size = f"146 x {long:,}" if width == 1 else f"{long:,} x 146"
    assert str(caught.value) == (
        f"DataError[D105]: 'thin.png' is {width:,} x {height:,}; scaled to cover the network's 128 x 128 it would be "
        f"{size}, {146 * long / 1e6:,.0f} megapixels; the limit is 50.\n"
        "  Fix: --fit pad, cut the picture, or pass --bad=skip to leave it out (recorded in the run)."
    )


@given(SPECS, st.integers(1, 65535), st.integers(1, 65535))
def test_i11_what_is_kept_is_bounded(fields: Fields, height: int, width: int) -> None:
    spec = Preprocess(**fields)
    area = math.prod(spec.stored_size(height, width))
    assert spec.keeps(height, width) == (area <= max(spec.max_pixels, MAX_PIXELS))


# Normalising


@settings(max_examples=40)
@given(st.integers(1, 3), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9), st.data())
def test_normalise_is_its_definition(n: int, channels: int, height: int, width: int, data: st.DataObject) -> None:
    shares = st.tuples(*[st.floats(0, 1)] * channels)
    mean, std = data.draw(shares), data.draw(st.tuples(*[st.floats(0.1, 1)] * channels))
    pixels = noise(n * height, width, channels).reshape(n, height, width, channels)
    spec = Preprocess("L" if channels == 1 else "RGB", height, width, mean=mean, std=std)
    found = spec.normalise(torch.from_numpy(pixels))
    expected = np.moveaxis((pixels.astype(np.float64) / 255 - mean) / std, 3, 1)
    assert found.dtype == torch.float32
    assert found.shape == (n, channels, height, width)
    assert np.abs(found.numpy().astype(np.float64) - expected).max() <= 1e-6
    # channels last in memory: the bytes lie as the pixels did
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert found.permute(0, 2, 3, 1).is_contiguous()


def test_normalise_does_not_change_the_pixels() -> None:
    pixels = torch.from_numpy(noise(4, 4)[None])
    before = pixels.clone()
    Preprocess("RGB", 4, 4, mean=(0.5,) * 3, std=(0.2,) * 3).normalise(pixels)
    assert torch.equal(pixels, before)


def test_every_level_one_by_one() -> None:
    """mean 0 and std 1 give x / 255, and nothing is lost between levels."""
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1)
    found = Preprocess("L", 16, 16, mean=(0.0,), std=(1.0,)).normalise(levels).flatten()
    torch.testing.assert_close(found, torch.arange(256) / 255, rtol=1e-7, atol=0)
    assert (found.diff() > 0).all()


# Saved and read back


@given(SPECS)
def test_as_dict_there_and_back(fields: Fields) -> None:
    spec = Preprocess(**fields)
    plain = json.loads(json.dumps(spec.as_dict()))
    assert Preprocess.from_dict(plain) == spec
    assert hash(Preprocess.from_dict(plain)) == hash(spec)


def test_a_step_that_is_not_known_is_not_left_out() -> None:
    of_tomorrow = Preprocess("L", 8, 8).as_dict() | {"sharpen": 2.0}
    with pytest.raises(ConfigError, match=r"C213.*a step that this dojang does not know: sharpen") as caught:
        Preprocess.from_dict(of_tomorrow)
    assert caught.value.fix == "pip install --upgrade dojang"


# S2: one answer wherever a picture is read


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("place", ["memory", "disk"])
@pytest.mark.parametrize("threads", [0, 2])
def test_s2_the_loader_gives_what_picture_gives(fit: str, place: str, threads: int) -> None:
    """JPEGs of odd sizes, turned by EXIF too: bit-equal through inspect, store and loader, and read alone."""
    exif = Image.Exif()
    exif[0x0112] = 6
    sizes = [(37, 53), (53, 37), (64, 64), (9, 70), (33, 31), (41, 120), (23, 17)]
    pictures = [jpeg(noise(h, w, seed=i), quality=80) for i, (h, w) in enumerate(sizes)]
    pictures += [jpeg(noise(45, 31, seed=9), exif=exif), jpeg(noise(45, 31, 1, seed=9))]
    options = DataOptions(imgsz=32, fit=fit, store=place)
    prepared = prepare(manifest_of(pictures), options, seed=0, default_size=99, threads=threads, assign=False)
    spec = prepared.preprocess
    assert (spec.mode, spec.height, spec.fit) == ("RGB", 32, fit)
    loader = Loader(prepared.store, np.arange(len(pictures)), spec, batch_size=4, threads=threads)
    seen = [(row, pixels) for batch in loader.batches() for row, pixels in zip(batch.rows, batch.pixels, strict=True)]
    assert [row for row, _ in seen] == list(range(len(pictures)))
    for row, pixels in seen:
        alone = spec.picture(pictures[row], "a")
        assert alone.shape == pixels.shape == (32, 32, 3)
        assert np.array_equal(alone, pixels)
        # the saved description gives the same again
        assert np.array_equal(Preprocess.from_dict(spec.as_dict()).picture(pictures[row], "a"), pixels)


def test_s2_the_turned_picture_is_upright() -> None:
    """The oracle is Pillow's own road."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = jpeg(noise(45, 31), exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    spec = Preprocess("RGB", 16, 16)
    resized = np.asarray(upright.resize(spec.stored_size(31, 45)[::-1], FILTERS["bilinear"]))
    top, left = spec.centre(*resized.shape[:2])
    assert np.array_equal(spec.picture(data, "a"), resized[top : top + 16, left : left + 16])


def test_s2_encoded_and_decoded_pictures_agree() -> None:
    pixels = noise(37, 53)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    spec = Preprocess("RGB", 24, 24, resize=MARGIN)
    assert np.array_equal(spec.picture(file.getvalue(), "a"), spec.picture(pixels, "a"))
    store = build(manifest_of([file.getvalue()]).replace(digests=("x",)), np.array([[37, 53]]), spec).store
    assert np.array_equal(store.picture(0), spec.load(pixels, "a"))


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(20, 20), (31, 47), (9, 12)], ids=str)
@pytest.mark.parametrize("encoded", [True, False], ids=["file", "pixels"])
def test_loading_into_a_place(fit: str, mode: str, size: tuple[int, int], encoded: bool) -> None:
    spec = Preprocess(mode, 20, 20, fit=fit)
    pixels = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = file.getvalue() if encoded else pixels
    wanted = spec.load(data, "a")
    place = np.full(wanted.shape, 99, np.uint8)
    assert spec.load(data, "a", out=place) is place
    assert np.array_equal(place, wanted)
    with pytest.raises(DataError, match="not what it was"):
        spec.load(data, "a", out=np.empty((*wanted.shape[:2], 2), np.uint8))
