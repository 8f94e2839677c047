"""Pictures from a Python object: each form of image gives the pixels it shows, each bad item its index."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dojang.data.decode import decode
from dojang.data.pairs import from_pairs
from dojang.data.split import assign, describe
from dojang.errors import ConfigError, DataError

RAMP = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
GREY = RAMP[..., 0].copy()


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def shown(image: Any, mode: str = "RGB") -> np.ndarray:
    """The pixels that training would get of an image."""
    found = from_pairs([(image, "a"), (GREY, "b")])
    return decode(found.source.read("pairs#0"), "pairs#0", mode=mode)


@pytest.mark.parametrize(
    "image",
    [
        RAMP,
        np.asfortranarray(RAMP),
        RAMP[::-1][::-1],
        torch.from_numpy(RAMP).permute(2, 0, 1),
        torch.from_numpy(RAMP).permute(2, 0, 1).float() / 255,
        torch.from_numpy(RAMP).permute(2, 0, 1).double() / 255,
        Image.fromarray(RAMP),
        png(Image.fromarray(RAMP)),
        bytearray(png(Image.fromarray(RAMP))),
        memoryview(png(Image.fromarray(RAMP))),
        np.dstack([RAMP, np.full((4, 6), 255, np.uint8)]),
        Image.fromarray(RAMP).convert("RGBA"),
        torch.from_numpy(np.dstack([RAMP, np.full((4, 6), 255, np.uint8)])).permute(2, 0, 1),
    ],
)
def test_forms_of_a_colour_image(image: Any) -> None:
    np.testing.assert_array_equal(shown(image), RAMP)


@pytest.mark.parametrize(
    "image",
    [
        GREY,
        GREY[..., None],
        torch.from_numpy(GREY),
        torch.from_numpy(GREY)[None],
        torch.from_numpy(GREY)[None] / 255,
        Image.fromarray(GREY),
        png(Image.fromarray(GREY)),
    ],
)
def test_forms_of_a_grey_image(image: Any) -> None:
    np.testing.assert_array_equal(shown(image, "L"), GREY[..., None])


def test_every_level_survives_floats() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for kind in (torch.float32, torch.float64):
        np.testing.assert_array_equal(shown(torch.from_numpy(levels).to(kind)[None] / 255, "L")[..., 0], levels)


def test_transparent_and_palette_images_are_decoded_as_files_are() -> None:
    for image in (
        Image.fromarray(np.dstack([RAMP, np.arange(24, dtype=np.uint8).reshape(4, 6) * 10])),
        Image.fromarray(RAMP).quantize(8),
        Image.fromarray(GREY).convert("1"),
        Image.fromarray(GREY).convert("LA"),
    ):
        np.testing.assert_array_equal(shown(image), decode(png(image), "x", mode="RGB"))
    see_through = Image.fromarray(GREY).convert("P")
    see_through.info["transparency"] = 5
    np.testing.assert_array_equal(shown(see_through), decode(png(see_through), "x", mode="RGB"))


def test_an_orientation_tag_is_not_applied_again() -> None:
    image = Image.fromarray(np.dstack([RAMP, np.full((4, 6), 255, np.uint8)]))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    opened = Image.open(io.BytesIO(file.getvalue()))
    assert opened.getexif()[0x0112] == 6
    np.testing.assert_array_equal(shown(opened), RAMP)


def test_arrays_are_copied_and_read_only() -> None:
    image = GREY.copy()
    found = from_pairs([(image, "a"), (GREY, "b")])
    image[:] = 0
    kept = found.source.read("pairs#0")
    np.testing.assert_array_equal(kept, GREY)
    assert isinstance(kept, np.ndarray) and not kept.flags.writeable


class Mapped:
    """As torch's datasets are: no __iter__."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        if not 0 <= index < 12:
            raise AssertionError("asked for more than there is")
        return np.full((2, 2), index, np.uint8), index % 2 + 3


def stream(n: int) -> Iterator[tuple[np.ndarray, str]]:
    for i in range(n):
        yield np.full((2, 2), i, np.uint8), "xy"[i % 2]


def test_map_style() -> None:
    found = from_pairs(Mapped())
    assert found.classes == ("3", "4") and found.targets.tolist() == [0, 1] * 6
    assert found.paths == tuple(f"pairs#{i}" for i in range(12)) and set(found.splits) == {""}
    assert [int(np.asarray(found.source.read(path))[0, 0]) for path in found.paths] == list(range(12))
    assert describe(assign(found, val=2, test=2)) == "train 8, val 2, test 2; 2 classes"


def test_streams_are_read_once() -> None:
    source = stream(30)
    found = from_pairs(source)
    assert len(found) == 30 and found.classes == ("x", "y") and next(source, None) is None
    assert int(np.asarray(found.source.read("pairs#17"))[0, 0]) == 17


@pytest.mark.parametrize(
    ("labels", "classes", "names", "ids"),
    [
        ([10, 9, 2, 10], None, ("2", "9", "10"), [2, 1, 0, 2]),
        (["b", "a"], None, ("a", "b"), [1, 0]),
        ([1, 0], ["dog", "cat"], ("dog", "cat"), [1, 0]),
        (["cat", 0], ["dog", "cat"], ("dog", "cat"), [1, 0]),
        ([np.int64(1), torch.tensor(0), np.array(1)], ["a", "b", "c"], ("a", "b", "c"), [1, 0, 1]),
        ([np.str_("b"), "a"], None, ("a", "b"), [1, 0]),
    ],
)
def test_labels(labels: list[Any], classes: list[str] | None, names: tuple[str, ...], ids: list[int]) -> None:
    found = from_pairs([(GREY, label) for label in labels], classes)
    assert found.classes == names and found.targets.tolist() == ids


GOOD = [(GREY, "a"), (GREY, "b")]
WIDE = torch.zeros(5, 4, 6, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (5, "is a int; expected a pair: (image, label)."),
        ((GREY,), "is 1 values; expected a pair: (image, label)."),
        ((GREY, "a", "b"), "is 3 values; expected a pair"),
        ({"image": GREY}, "is a dict; expected a pair"),
        (("cat.jpg", "a"), "is a path that cannot be read; cannot read cat.jpg: No such file or directory."),
        ((None, "a"), "is a NoneType; an image is an array (h, w) or (h, w, c), a torch tensor (c, h, w), a PIL image"),
        ((b"", "a"), "is 0 bytes; expected the bytes of a picture file."),
        (
            (GREY.astype(float), "a"),
            "is an array with values from 0 to 69; floats are 0 to 1.\n  Fix: image / 255, if they are levels",
        ),
        ((GREY[0], "a"), "has the shape 6; an array is (h, w), or (h, w, c) with 1 to 4 channels."),
        (
            (GREY.astype(np.int64), "a"),
            "is an array of int64; levels are uint8, or floats from 0 to 1.\n  Fix: im",
        ),
        (
            (np.zeros((2, 3, 4, 4), np.uint8), "a"),
            "2 x 3 x 4 x 4; an array is (h, w), or (h, w, c) with",
        ),
        ((np.zeros((2, 3, 4, 4), np.uint8), "a"), "Fix: give the dataset, not a loader of batches (loader.dataset)"),
        ((np.uint8(3), "a"), "has the shape a single number; an array is"),
        ((np.zeros((), np.uint8), "a"), "has the shape a single number; an array is"),
        ((GREY[:0], "a"), "has the shape 0 x 6; an array is"),
        ((RAMP.transpose(2, 0, 1), "a"), "has the shape 3 x 4 x 6; an array is (h, w), or (h, w, c) with 1 to 4"),
        ((RAMP.transpose(2, 0, 1), "a"), 'Fix: dojang.from_pairs(data, layout="chw"), if the channels come first'),
        ((WIDE, "a"), "has the shape 5 x 4 x 6; a tensor is (h, w), or (c, h, w) with 1 to 4 channels."),
        ((torch.zeros(5, 4, 3, dtype=torch.uint8), "a"), 'Fix: dojang.from_pairs(data, layout="hwc"), if the channels'),
        ((torch.zeros(1, 4, 6, dtype=torch.int64), "a"), "is a tensor of torch.int64; tensors are uint8, or floats"),
        (
            (torch.full((1, 2, 2), 2.5), "a"),
            "is a tensor with values from 2.5 to 2.5; floats are 0 to 1.\n  Fix: give pic",
        ),
        ((torch.tensor([[[0.5, -1]]]), "a"), "is a tensor with values from -1 to 0.5; floats are 0 to 1."),
        ((torch.full((1, 2, 2), float("nan")), "a"), "is a tensor with NaN; floats are 0 to 1."),
        ((torch.zeros(1, 0, 2), "a"), "has the shape 1 x 0 x 2; a tensor is"),
        ((Image.new("F", (2, 2)), "a"), 'is a PIL image of mode F; it is not read.\n  Fix: image.convert("RGB")'),
        (
            (Image.open(io.BytesIO(png(Image.fromarray(RAMP))[:50])), "a"),
            "is a PIL image that cannot be read; Pillow says",
        ),
        ((GREY, 1), "has the label 1, item 0 has 'a'; expected all numbers or all names."),
        ((GREY, 1.0), "has a label of type float: 1.0; expected a whole number or a name."),
        ((GREY, True), "has a label of type bool: True; expected"),
        ((GREY, None), "has a label of type NoneType: None; expected"),
        ((GREY, np.zeros(3)), "has a label of type ndarray: array([0., 0., 0.]); expected"),
    ],
)
def test_a_bad_item_is_named(item: Any, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        from_pairs([*GOOD, item])
    assert str(caught.value).startswith("DataError[D114]: item 2 of the data ") and expected in str(caught.value)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("bog", "has the label 'bog'; the classes are cat, dog. Did you mean 'dog'?"),
        (2, "has the label 2; there are 2 classes (0..1)."),
        (-1, "has the label -1; there are 2 classes (0..1)."),
    ],
)
def test_labels_outside_the_classes(label: Any, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        from_pairs([(GREY, "cat"), (GREY, label)], ["cat", "dog"])
    assert str(caught.value) == f"DataError[D114]: item 1 of the data {expected}"


def failing() -> Iterator[tuple[np.ndarray, str]]:
    yield from stream(2)
    raise KeyError("column")


class Failing(Mapped):
    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        if index == 2:
            raise KeyError("column")
        return super().__getitem__(index)


@pytest.mark.parametrize("items", [failing(), Failing()])
def test_errors_of_the_owners_code_are_told_with_the_index(items: Any) -> None:
    with pytest.raises(DataError) as caught:
        from_pairs(items)
    assert str(caught.value) == (
        "DataError[D114]: item 2 of the data cannot be read; its own code raised KeyError: 'column'."
    )
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], "DataError[D101]: the pairs hold no images: there is no item."),
        (iter([]), "DataError[D101]: the pairs hold no images"),
        (7, "DataError[D114]: a int gives no items; expected an iterable, or __len__ and __getitem__."),
        ([(GREY, "a")] * 3, "DataError[D109]: 'pairs' has one class only: 'a' (3 images)."),
    ],
)
def test_no_pairs_at_all(items: Any, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        assign(from_pairs(items))
    assert str(caught.value).startswith(expected)


def test_classes_of_one_name() -> None:
    with pytest.raises(ConfigError) as caught:
        from_pairs(GOOD, ["a", "b", "a"])
    assert str(caught.value) == ("ConfigError[C202]: classes has 'a' more than once; expected different names.")


@pytest.mark.parametrize("path", ["pairs#2", "pairs#-1", "pairs#", "x#0", "pairs", "pairs#" + "9" * 30])
def test_paths_that_are_no_row(path: str) -> None:
    with pytest.raises(DataError, match=r"D112\]: cannot read .*: the rows are pairs#0 to #1\."):
        from_pairs(GOOD).source.read(path)
