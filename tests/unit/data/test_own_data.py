"""Data given in Python as people have it: arrays, splits, torchvision's data sets, channels and colours, streams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dojang
from dojang import files
from dojang.data.decode import decode
from dojang.data.kept import Kept
from dojang.data.manifest import Manifest
from dojang.data.pairs import from_pairs
from dojang.data.split import describe
from dojang.errors import ConfigError, DataError, ResourceError

DRAW = np.random.default_rng(0)
X, Y = DRAW.integers(0, 256, (6, 5, 7, 3), np.uint8), np.array([0, 1, 0, 1, 0, 1])


def shown(found: Manifest, mode: str = "RGB") -> np.ndarray:
    return np.stack([decode(found.source.read(path), path, mode=mode) for path in found.paths])


def test_it_is_public() -> None:
    assert dojang.from_pairs is from_pairs and "from_pairs" in dir(dojang)


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        [X, list(Y.tolist())],
        (X, Y[:, None]),
        (X, np.eye(2)[Y]),
        (X / 255, Y),
        ((X / 255).astype(np.float32), torch.from_numpy(Y)),
        (torch.from_numpy(X).permute(0, 3, 1, 2), torch.from_numpy(Y)),
        (torch.from_numpy(X).permute(0, 3, 1, 2) / 255, Y),
        torch.utils.data.TensorDataset(torch.from_numpy(X).permute(0, 3, 1, 2), torch.from_numpy(Y)),
        zip(X, Y, strict=True),
    ],
)
def test_two_arrays(data: Any) -> None:
    found = from_pairs(data)
    np.testing.assert_array_equal(shown(found), X)
    assert found.classes == ("0", "1") and found.targets.tolist() == Y.tolist() and set(found.splits) == {""}


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("of", [np.asarray, torch.from_numpy])
def test_channels_first_and_last_and_both_orders_of_colour(kind: type, of: Any) -> None:
    levels = X if kind is np.uint8 else (X / 255).astype(kind)
    # the definition, one pixel after the other
    first = np.empty((6, 3, 5, 7), levels.dtype)
    for n, y, x, c in np.ndindex(6, 5, 7, 3):
        first[n, c, y, x] = levels[n, y, x, c]
    for layout, color, given in (
        ("hwc", "rgb", levels),
        ("HWC", "BGR", levels[..., ::-1].copy()),
        ("chw", "rgb", first),
        ("chw", "bgr", first[:, ::-1].copy()),
    ):
        found = from_pairs((of(given), Y), layout=layout, color=color)
        np.testing.assert_array_equal(shown(found), X)


def test_grey_and_alpha_in_both_layouts() -> None:
    grey = X[..., :1]
    np.testing.assert_array_equal(shown(from_pairs((grey.transpose(0, 3, 1, 2), Y), layout="chw"), "L"), grey)
    np.testing.assert_array_equal(shown(from_pairs((grey[..., 0], Y), layout="chw"), "L"), grey)
    alpha = np.concatenate([X, np.full((6, 5, 7, 1), 255, np.uint8)], axis=3)
    bgra = alpha[..., [2, 1, 0, 3]].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(shown(from_pairs((bgra, Y), layout="chw", color="bgr")), X)
    np.testing.assert_array_equal(shown(from_pairs((grey[..., 0] > 99, Y)), "L"), np.where(grey > 99, 255, 0))


def test_images_know_their_colours_themselves() -> None:
    image = Image.fromarray(X[0])
    np.testing.assert_array_equal(shown(from_pairs([(image, 0), (image, 1)], color="bgr", layout="chw"))[0], X[0])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layout": "hcw"}, "ConfigError[C202]: layout cannot be 'hcw'; expected 'hwc' or 'chw'."),
        ({"color": "grb"}, "ConfigError[C202]: color cannot be 'grb'; expected 'rgb' or 'bgr'."),
        ({"color": None}, "ConfigError[C202]: color cannot be None"),
    ],
)
def test_words_that_are_no_layout(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_pairs((X, Y), **options)
    assert str(caught.value).startswith(expected)


def test_as_keras_gives_them() -> None:
    found = from_pairs(((X, Y[:, None]), (X[:2], Y[:2, None])))
    assert describe(found) == "train 6, test 2; 2 classes" and found.paths[6:] == ("test#0", "test#1")
    np.testing.assert_array_equal(shown(found), np.concatenate([X, X[:2]]))


def test_a_dict_brings_its_own_splits() -> None:
    found = from_pairs({"test": (X[:2], Y[:2]), "train": zip(X, Y, strict=True), "validation": [(X[0], 0)]})
    assert describe(found) == "train 6, val 1, test 2; 2 classes"
    assert found.notes == ("val has no images of 1 class: 1",)
    with pytest.raises(DataError, match=r"cannot read 'pairs#0': the rows are train#0 to #5, val#0 to #0, test#0 to"):
        found.source.read("pairs#0")


class Named(torch.utils.data.Dataset):
    """As torchvision's: numbers, and the names beside them."""

    def __init__(self, classes: list[str], labels: list[int]) -> None:
        self.classes, self.labels = classes, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return Image.fromarray(X[index % 6]), self.labels[index]


def test_names_of_classes_are_taken_from_the_data_set() -> None:
    whole = Named(["dog", "cat"], [0, 1, 1, 0])
    for data in (
        whole,
        torch.utils.data.Subset(whole, [0, 1, 2, 3]),
        torch.utils.data.ConcatDataset([whole, torch.utils.data.Subset(whole, [0])]),
    ):
        found = from_pairs(data)
        assert found.classes == ("dog", "cat") and found.targets.tolist()[:4] == [0, 1, 1, 0]
    assert from_pairs(whole, classes=["x", "y"]).classes == ("x", "y")


def test_splits_are_matched_by_name() -> None:
    train, val = Named(["bird", "cat", "dog"], [0, 1, 2]), Named(["bird", "dog"], [0, 1])
    found = from_pairs({"train": train, "val": val})
    # number 1 of val is a dog
    assert found.targets.tolist() == [0, 1, 2, 0, 2]
    with pytest.raises(DataError) as caught:
        from_pairs({"train": val, "val": train})
    assert str(caught.value) == (
        "DataError[D107]: the validation set has a class the training set lacks: 'cat' (1 image). Known: bird, dog.\n"
        "  Scoring it would be meaningless.\n"
        "  Fix: rename the labels of val, or add the class to train."
    )


class Stream(torch.utils.data.IterableDataset):
    """Has a length and, from torch, a __getitem__ that only raises."""

    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Iterator[Any]:
        return iter(list(zip(X, Y.tolist(), strict=True)))


def test_a_stream_of_torch() -> None:
    np.testing.assert_array_equal(shown(from_pairs(Stream())), X)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(X[0]).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    found = from_pairs([("a.png", "a"), (tmp_path / "a.png", "b")])
    np.testing.assert_array_equal(shown(found), X[[0, 0]])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ((X, Y[:5]), "D114]: the data has 6 pictures and 5 labels; expected one label each."),
        ({"train": (X, Y[:5])}, "D114]: train has 6 pictures and 5 labels"),
        (
            (X, np.full((6, 2), 0.5)),
            "D114]: item 0 of the data has a row of 2 numbers for a label; expected a number",
        ),
        ({"test": (X, Y)}, "D114]: the data has 'test' only; expected train, too."),
        ({}, "D114]: the data is an empty dict; expected train, too."),
        (
            {"tran": (X, Y)},
            "D114]: the data has the splits 'tran'; expected train, and val or test or both.",
        ),
        ({"val": (X, Y), "valid": (X, Y)}, "D114]: the data has the splits 'val', 'valid'; expected"),
        ({"image": X, "label": Y}, "D114]: the data has the splits 'image', 'label'; expected train"),
        ({"train": [], "val": (X, Y)}, "D101]: train of the pairs holds no images: there is no item."),
        ({"train": (X, Y), "test": [(X[0], 0), 7]}, "D114]: item 1 of test is a int; expected a pair"),
        ([{"image": X[0], "label": 1}], 'Fix: ((row["image"], row["label"]) for row in data)'),
        ((X.transpose(0, 3, 1, 2), Y), 'Fix: dojang.from_pairs(data, layout="chw"), if the channels come first'),
        ((X * 1.0, Y), "D114]: item 0 of the data is an array with values from "),
        ((X * 1.0, Y), "Fix: image / 255, if they are levels from 0 to 255"),
        ((X, Y * 1.0), "D114]: item 0 of the data has a label of type float: 0.0; expected a whole number or a name."),
        (Named(["a"], [0, 1]), "D114]: item 1 of the data has the label 1; there are 1 classes (0..0)."),
        (
            torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.rand(4, 3, 5, 5), torch.arange(4)), 2),
            "Fix: give the dataset, not a loader of batches (loader.dataset)",
        ),
    ],
)
def test_what_is_no_data(data: Any, expected: str) -> None:
    with pytest.raises(DataError) as caught:
        from_pairs(data)
    assert expected in str(caught.value)


def test_a_model_trains_on_them(tmp_path: Path) -> None:
    bright = np.arange(40) % 2
    pictures = DRAW.integers(0, 60, (40, 3, 8, 8), np.uint8) + (bright * 150).astype(np.uint8)[:, None, None, None]
    parts = {"train": (pictures[:30], bright[:30]), "val": (pictures[30:35], bright[30:35])}
    data = from_pairs(parts, ["dark", "bright"], layout="chw", color="bgr")
    run = dojang.Model("mlp").train(data, epochs=2, project=str(tmp_path))
    assert run.metrics["val"]["n"] == 5 and run.val(data)


class TestKept:
    """What does not fit the memory is on the disk, and the same."""

    PICTURES = (b"abc", X[0], X[1, ..., 0], b"", X[2][::2])

    @pytest.mark.parametrize("room", [0, 3, 63, 10**9])
    def test_what_goes_in_comes_out(self, room: int, home: Path) -> None:
        kept = Kept(room)
        for picture in self.PICTURES:
            kept.append(picture)
        assert len(kept) == 5 and [type(kept[i]) for i in range(5)] == [type(picture) for picture in self.PICTURES]
        for i, picture in enumerate(self.PICTURES):
            np.testing.assert_array_equal(np.asarray(kept[i]), np.asarray(picture))
        assert [path.name for path in (home / ".cache" / "dojang").iterdir()] == ["native"], "no file has a name"

    def test_pairs_outgrow_the_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dojang.data.store.free_memory", lambda: 1000)
        found = from_pairs((X, Y))
        assert found.source._pictures["pairs"].in_memory == 2  # type: ignore[attr-defined]
        np.testing.assert_array_equal(shown(found), X)

    def test_a_full_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(fd: int, data: memoryview) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(files, "_write", full)
        with pytest.raises(ResourceError, match=r"R401\]: cannot write pictures put aside: needs at least 105 bytes"):
            Kept(0).append(X[0])

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ResourceError, match=r"R402\]"):
            files.Spool(tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("data", "fix"),
    [
        (((X, Y), (X, Y), (X, Y)), '{"train": data[0], "val": data[1], "test": data[2]}'),
        ((list(X), Y.tolist()), "zip(pictures, labels), if these are all pictures and all labels"),
        ((X, Y.astype(float)), "labels.astype(int), if they are numbers of classes"),
    ],
)
def test_what_people_give_otherwise_is_told(data: Any, fix: str) -> None:
    with pytest.raises(DataError) as caught:
        from_pairs(data)
    assert caught.value.code == "D114" and caught.value.fix == fix
