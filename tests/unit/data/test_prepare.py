"""From a manifest to pictures and their description: mode, size, mean and deviation, and what is left out."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dojang import files
from dojang.data.manifest import Manifest
from dojang.data.options import DataOptions
from dojang.data.prepare import Prepared, bad_pictures, prepare
from dojang.data.preprocess import Preprocess
from dojang.data.scan import find
from dojang.errors import DataError

MARGIN = 256 / 224
Picture = bytes | np.ndarray


class Pictures:
    """A source of pictures that are held here."""

    name = "pictures"

    def __init__(self, pictures: dict[str, Picture]) -> None:
        self.pictures = pictures

    def read(self, path: str) -> Picture:
        return self.pictures[path]


def noise(height: int = 12, width: int = 12, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def encoded(pixels: np.ndarray, format: str = "PNG", mode: str | None = None) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    (image.convert(mode) if mode else image).save(file, format)
    return file.getvalue()


def manifest_of(**splits: list[Picture]) -> Manifest:
    """Pictures by split; "flat" for those that have none. Labels alternate."""
    pictures = {f"{split}{i}": picture for split, several in splits.items() for i, picture in enumerate(several)}
    names = ["" if split == "flat" else split for split, several in splits.items() for _ in several]
    n = len(pictures)
    labels = tuple((int(path[-1]) % 2,) for path in pictures)
    return Manifest(Pictures(pictures), ("a", "b"), tuple(pictures), labels, tuple(names), ("",) * n)


def ready(manifest: Manifest, *, size: int = 24, threads: int = 0, assign: bool = False, **options: Any) -> Prepared:
    return prepare(manifest, DataOptions(**options), seed=0, default_size=size, threads=threads, assign=assign)


# Mode


def test_all_gray_is_gray() -> None:
    gray = [noise(seed=i) for i in range(4)]
    made = ready(manifest_of(train=[gray[0], encoded(gray[1]), encoded(gray[2], "JPEG"), encoded(gray[3], mode="1")]))
    assert (made.preprocess.mode, made.preprocess.channels, made.store.channels) == ("L", 1, 1)


@pytest.mark.parametrize("coloured", [noise(channels=3), encoded(noise(channels=3)), encoded(noise(), mode="P")])
def test_one_coloured_training_picture_makes_it_rgb(coloured: Picture) -> None:
    gray = [noise(seed=i) for i in range(3)]
    assert ready(manifest_of(train=[*gray, coloured])).preprocess.mode == "RGB"
    # what is tested has no say
    made = ready(manifest_of(train=gray, val=[coloured], test=[coloured]))
    assert made.preprocess.mode == "L"
    assert made.store.picture(4).shape == (12, 12, 1)


# Size


@pytest.mark.parametrize(
    ("sizes", "options", "expected"),
    [
        ([(28, 28)] * 3, {}, (28, 28, 1.0)),
        ([(64, 40)] * 3, {}, (64, 40, 1.0)),
        ([(1, 1)] * 3, {}, (1, 1, 1.0)),
        ([(65, 65)] * 3, {}, (24, 24, MARGIN)),
        ([(64, 65)] * 3, {}, (24, 24, MARGIN)),
        ([(28, 28), (28, 29), (28, 28)], {}, (24, 24, MARGIN)),
        ([(28, 28)] * 3, {"imgsz": 20}, (20, 20, 1.0)),
        ([(65, 65)] * 3, {"imgsz": 20}, (20, 20, MARGIN)),
        ([(28, 30), (28, 29), (28, 28)], {"imgsz": 20}, (20, 20, MARGIN)),
        ([(65, 65)] * 3, {"fit": "pad"}, (24, 24, 1.0)),
        ([(28, 28)] * 3, {"fit": "pad"}, (28, 28, 1.0)),
    ],
)
def test_the_size_that_the_network_sees(
    sizes: list[tuple[int, int]], options: dict[str, Any], expected: tuple[int, int, float]
) -> None:
    arrays: list[Picture] = [noise(*size, seed=i) for i, size in enumerate(sizes)]
    files_ = [encoded(picture) for picture in arrays if isinstance(picture, np.ndarray)]
    for train in (arrays, files_):
        # test pictures of another size change nothing
        spec = ready(manifest_of(train=train, test=[noise(99, 7)]), **options).preprocess
        assert (spec.height, spec.width, spec.resize) == expected


def test_options_reach_the_description() -> None:
    spec = ready(
        manifest_of(train=[noise(70, 70)]), fit="pad", interpolation="bicubic", background=7, max_pixels=4900
    ).preprocess
    assert (spec.fit, spec.interpolation, spec.background, spec.max_pixels) == ("pad", "bicubic", 7, 4900)


def test_the_size_counts_after_the_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(noise(30, 20)[:, :, 0]).save(file, "JPEG", exif=exif)
    spec = ready(manifest_of(train=[file.getvalue()])).preprocess
    assert (spec.height, spec.width) == (20, 30)


# Mean and deviation


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_mean_and_deviation_are_numpy_s_on_the_training_part(channels: int, place: str) -> None:
    train = [noise(14, 10, channels, seed=i) // (i + 1) for i in range(7)]
    other = [noise(14, 10, channels, seed=i) for i in range(20, 25)]
    made = ready(manifest_of(val=other[:2], train=train, test=other[2:]), store=place)
    shares = np.stack(train) / 255
    np.testing.assert_allclose(made.preprocess.mean, shares.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(made.preprocess.std, shares.std(axis=(0, 1, 2)), rtol=1e-12)
    assert len(made.preprocess.mean) == channels
    assert all(type(value) is float for value in (*made.preprocess.mean, *made.preprocess.std))


def test_mean_and_deviation_are_of_what_the_network_sees() -> None:
    """Pictures of many sizes: resized, and the central cut of each."""
    train = [noise(30 + 3 * i, 70 - 4 * i, 3, seed=i) for i in range(6)]
    spec = ready(manifest_of(train=train)).preprocess
    seen = np.stack([spec.picture(picture, "a") for picture in train]) / 255
    np.testing.assert_allclose(spec.mean, seen.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(spec.std, seen.std(axis=(0, 1, 2)), rtol=1e-12)


def test_more_pictures_than_are_counted_at_a_time() -> None:
    train = list(np.random.default_rng(0).integers(0, 256, (2500, 3, 3, 1), dtype=np.uint8))
    spec = ready(manifest_of(train=train)).preprocess
    np.testing.assert_allclose(spec.mean[0], np.mean(np.stack(train) / 255), rtol=1e-12)
    np.testing.assert_allclose(spec.std[0], np.std(np.stack(train) / 255), rtol=1e-12)


def test_pictures_that_are_tested_change_nothing() -> None:
    train = [noise(seed=i) for i in range(4)]
    one = ready(manifest_of(train=train, val=[noise(seed=9)], test=[noise(seed=10)] * 3))
    other = ready(manifest_of(train=train, val=[noise(seed=11)], test=[np.zeros((50, 20, 3), np.uint8)]))
    assert one.preprocess == other.preprocess
    # while a training picture does
    assert one.preprocess != ready(manifest_of(train=[*train, noise(seed=12)])).preprocess


def test_the_held_out_part_counts_as_tested() -> None:
    """Pictures that the split takes away for val and test are not in the mean."""
    flat = [noise(seed=i) // (1 + i % 5) for i in range(40)]
    made = ready(manifest_of(flat=flat), assign=True)
    rows = made.manifest.rows("train")
    assert 0 < len(rows) < 40
    np.testing.assert_allclose(
        made.preprocess.mean[0], np.mean(np.stack([flat[row] for row in rows]) / 255), rtol=1e-12
    )


def test_a_channel_that_never_changes_is_divided_by_one() -> None:
    train = [
        np.concatenate([noise(seed=i), np.full((12, 12, 1), 51, np.uint8), noise(seed=9 + i)], 2) for i in range(3)
    ]
    spec = ready(manifest_of(train=train)).preprocess
    assert spec.std[1] == 1.0
    assert spec.mean[1] == pytest.approx(0.2)
    assert spec.std[0] < 0.5


@pytest.mark.parametrize("channels", [1, 3])
def test_normalize_none_and_imagenet(channels: int) -> None:
    manifest = manifest_of(train=[noise(channels=channels, seed=i) for i in range(3)])
    none = ready(manifest, normalize="none").preprocess
    assert (none.mean, none.std) == ((0.0,) * channels, (1.0,) * channels)
    # torchvision, docs of its ImageNet weights
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    imagenet = ready(manifest, normalize="imagenet").preprocess
    if channels == 1:
        mean, std = (np.mean(mean),), (np.mean(std),)  # type: ignore[assignment]
    assert imagenet.mean == pytest.approx(mean)
    assert imagenet.std == pytest.approx(std)


def test_mnist_has_the_numbers_that_everybody_knows(shared_data: Path) -> None:
    """.1307 and .3081, of its 60,000 training pictures."""
    manifest = find(shared_data / "mnist")
    made = prepare(
        manifest.keep(manifest.rows("train")), DataOptions(), seed=0, default_size=99, threads=0, assign=False
    )
    spec = made.preprocess
    assert len(made.manifest) == 60_000
    assert (spec.mode, spec.height, spec.width, spec.resize) == ("L", 28, 28, 1.0)
    assert round(spec.mean[0], 4) == 0.1307
    assert round(spec.std[0], 4) == 0.3081


# Splits


def test_the_split_is_made_and_recorded() -> None:
    flat = [noise(seed=i) for i in range(40)]
    made = ready(manifest_of(flat=flat), assign=True)
    assert made.manifest.counts() == {
        "train": {"a": 16, "b": 16},
        "val": {"a": 2, "b": 2},
        "test": {"a": 2, "b": 2},
    }
    assert any("seed 0" in note for note in made.manifest.notes)
    again = ready(manifest_of(flat=flat), assign=True, threads=3)
    assert again.manifest.splits == made.manifest.splits
    assert again.manifest.fingerprint() == made.manifest.fingerprint()
    other = prepare(manifest_of(flat=flat), DataOptions(), seed=1, default_size=9, threads=0)
    assert other.manifest.splits != made.manifest.splits


def test_splits_are_taken_as_they_are_when_nothing_is_to_be_assigned() -> None:
    manifest = manifest_of(train=[noise(seed=i) for i in range(6)], test=[noise(seed=7)])
    assert ready(manifest).manifest.splits == manifest.splits
    assert "val" in ready(manifest, assign=True).manifest.splits
    assert ready(manifest, assign=True, val="none").manifest.splits == manifest.splits


def test_rows_digests_and_store_belong_together() -> None:
    """Digests are of the bytes of a file, and of the pixels of an array."""
    pictures: list[Picture] = [noise(seed=1), encoded(noise(seed=2)), b"junk", noise(seed=3)[:, :, 0]]
    made = ready(manifest_of(train=pictures))
    assert made.manifest.paths == ("train0", "train1", "train3")
    for row, path in enumerate(made.manifest.paths):
        data = made.manifest.source.read(path)
        raw = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        assert made.manifest.digests[row] == files.sha256(raw)
        assert np.array_equal(made.store.picture(row), made.preprocess.load(data, path))


# A description that is there already


def test_the_description_of_trained_weights_is_kept() -> None:
    spec = Preprocess("RGB", 10, 9, resize=1.5, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), fit="crop")
    manifest = manifest_of(test=[noise(seed=i) for i in range(3)])
    made = prepare(
        manifest,
        DataOptions(imgsz=99, normalize="none"),
        seed=0,
        default_size=77,
        threads=0,
        preprocess=spec,
        assign=False,
    )
    assert made.preprocess == spec
    assert made.store.picture(0).shape == (15, 15, 3)


# Pictures that cannot be read


def good_header(seed: int = 0) -> bytes:
    """A picture whose pixels are cut away; its header is whole."""
    whole = encoded(noise(40, 40, seed=seed))
    return whole[:-500]


@pytest.mark.parametrize("threads", [0, 3])
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_bad_pictures_are_listed_and_left_out(threads: int, place: str) -> None:
    train = [noise(40, 40, seed=1), b"<html>", noise(40, 40, seed=2), good_header()]
    made = ready(manifest_of(train=train, val=[b"", noise(40, 40, seed=3)]), threads=threads, store=place)
    assert made.manifest.paths == ("train0", "train2", "val1")
    assert made.manifest.splits == ("train", "train", "val")
    assert sorted(made.bad) == ["train1", "train3", "val0"]
    assert {path: error.code for path, error in made.bad.items()} == {
        "train1": "D103",
        "train3": "D102",
        "val0": "D103",
    }
    assert all(path in error.what for path, error in made.bad.items())
    assert len(made.store) == 3
    good = np.stack([train[0], train[2]]) / 255  # type: ignore[list-item]
    assert made.preprocess.mean == pytest.approx((good.mean(),))


def test_the_limit_of_pixels_is_kept_before_decoding() -> None:
    made = ready(manifest_of(train=[encoded(noise(40, 41)), encoded(noise(40, 40))]), max_pixels=1600)
    assert {path: error.code for path, error in made.bad.items()} == {"train0": "D105"}


def test_d104_when_no_picture_can_be_read() -> None:
    for pictures in ([b"", b"x"], [good_header(1), good_header(2)], [b"", good_header()]):
        with pytest.raises(DataError) as caught:
            ready(manifest_of(train=pictures))
        text = str(caught.value)
        assert text.startswith("DataError[D104]: 2 of 2 images cannot be decoded, e.g. 'train0' is ")
        assert "\n  They are: train0, train1.\n  Fix: repair them, or pass --bad=skip" in text


@pytest.mark.parametrize("bad", [b"", good_header()], ids=["header", "pixels"])
def test_d104_when_nothing_is_left_to_train_on(bad: bytes) -> None:
    with pytest.raises(DataError) as caught:
        ready(manifest_of(train=[bad, bad], val=[noise()]))
    assert str(caught.value).startswith("DataError[D104]: 2 of 3 images cannot be decoded, e.g. 'train0' is ")


def test_d104_as_the_handbook_has_it() -> None:
    first = DataError("D102", "cat/0091.jpg (truncated: 41,216 bytes, data ends inside scan 1).")
    error = bad_pictures({"cat/0091.jpg": first, "b": first, "c": first}, 12_408, "runs/classify/train3/bad.csv")
    assert str(error) == (
        "DataError[D104]: 3 of 12,408 images cannot be decoded, e.g. cat/0091.jpg (truncated: 41,216 bytes, data ends "
        "inside scan 1).\n"
        "  Full list: runs/classify/train3/bad.csv.\n"
        "  Fix: repair them, or pass --bad=skip to leave them out (recorded in the run)."
    )


# Progress


@pytest.mark.parametrize("threads", [0, 2])
def test_progress_of_both_stages(threads: int) -> None:
    seen: list[tuple[str, int, int]] = []
    pictures = [noise(seed=1), b"junk", noise(seed=2)]
    prepare(
        manifest_of(train=pictures),
        DataOptions(),
        seed=0,
        default_size=9,
        threads=threads,
        assign=False,
        tick=lambda *step: seen.append(step),
    )
    assert seen == [("reading", 1, 3), ("reading", 2, 3), ("reading", 3, 3), ("decoding", 1, 2), ("decoding", 2, 2)]


def test_any_number_of_threads_gives_the_same() -> None:
    manifest = manifest_of(train=[encoded(noise(30 + i, 40, 3, seed=i)) for i in range(8)])
    one, other = ready(manifest, threads=0), ready(manifest, threads=4)
    assert one.preprocess == other.preprocess
    assert np.array_equal(one.store.buffer, other.store.buffer)
    assert dataclasses.replace(one.manifest) == other.manifest
