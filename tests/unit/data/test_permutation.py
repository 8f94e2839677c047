"""One fixed order of pixels: what it is by a second computation, and that normalising puts it in place last of all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dojang import seeds
from dojang.data import store
from dojang.data.augment import Augment
from dojang.data.changes import draw
from dojang.data.loader import Pictures
from dojang.data.manifest import Manifest
from dojang.data.mixing import changed
from dojang.data.options import AugmentOptions, DataOptions
from dojang.data.pairs import from_pairs
from dojang.data.permutation import order, permuted
from dojang.data.prepare import Prepared, prepare
from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError
from dojang.models import weights
from dojang.tasks.classify.options import ClassifyOptions
from dojang.tasks.classify.task import Classify

SIDE = st.integers(1, 40)
SPEC = Preprocess("RGB", 5, 7, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7), permute_pixels=True)
PLAIN = dataclasses.replace(SPEC, permute_pixels=False)


def levels(n: int = 4, height: int = 5, width: int = 7, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, height, width, channels), np.uint8)


def by_hand(images: torch.Tensor) -> torch.Tensor:
    """Pictures (b, c, h, w) in the order, pixel by pixel."""
    height, width = images.shape[2:]
    made = torch.empty_like(images)
    for place, pixel in enumerate(order(height, width).tolist()):
        made[:, :, place // width, place % width] = images[:, :, pixel // width, pixel % width]
    return made


# The order


@given(SIDE, SIDE)
def test_every_pixel_has_one_place(height: int, width: int) -> None:
    assert sorted(order(height, width).tolist()) == list(range(height * width))


@pytest.mark.parametrize("size", [(28, 28), (32, 32), (5, 7), (7, 5), (1, 1)])
def test_it_is_what_the_hash_says_in_whole_numbers(size: tuple[int, int]) -> None:
    """A second computation, in Python's unbounded integers: nothing of it may ever change, or old weights would fail.

    splitmix64 of Steele, Lea and Flood; a key is the first eight bytes of a SHA-256.
    """
    height, width = size
    text = "\x1f".join(("int:0", "str:pixels", f"int:{height}", f"int:{width}"))
    state, whole = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"), 2**64

    def number(pixel: int) -> int:
        x = (state + (pixel + 1) * 0x9E3779B97F4A7C15) % whole
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % whole
        x = (x ^ x >> 27) * 0x94D049BB133111EB % whole
        x ^= x >> 31
        return x - whole if x >= 2**63 else x

    assert order(*size).tolist() == sorted(range(height * width), key=number)


def test_neighbours_are_torn_apart() -> None:
    """Of 756 pairs of neighbours about 4 in 784 lie beside each other again by chance: some four of them."""
    place = np.argsort(order(28, 28)).reshape(28, 28)
    rows, columns = place // 28, place % 28
    apart = abs(np.diff(rows, axis=1)) + abs(np.diff(columns, axis=1))
    assert (apart == 1).sum() < 15
    assert not np.array_equal(order(28, 28), np.arange(784))


def test_sizes_have_orders_of_their_own_and_seeds_have_not() -> None:
    assert not np.array_equal(order(4, 9), order(9, 4)) and not np.array_equal(order(4, 9), order(6, 6))
    wanted = order(6, 6).tolist()
    seeds.uniform(seeds.key(5, "anything"), np.arange(9))
    np.random.default_rng(0).random(3)
    assert order(6, 6).tolist() == wanted


@pytest.mark.parametrize("shape", [(5, 7, 3), (2, 5, 7, 1), (2, 3, 4, 4, 2)])
def test_the_channels_of_a_pixel_stay_together(shape: tuple[int, ...]) -> None:
    pixels = torch.arange(int(np.prod(shape))).reshape(shape)
    before = pixels.clone()
    found = permuted(pixels)
    assert torch.equal(pixels, before) and found.shape == pixels.shape and found.dtype == pixels.dtype
    rows = pixels.reshape(-1, *shape[-3:])
    for one, other in zip(rows, found.reshape(-1, *shape[-3:]), strict=True):
        width = shape[-2]
        for place, pixel in enumerate(order(*shape[-3:-1]).tolist()):
            assert torch.equal(other[place // width, place % width], one[pixel // width, pixel % width])


# In Preprocess


def test_normalised_pictures_are_those_in_order() -> None:
    pixels = torch.from_numpy(levels())
    found = SPEC.normalise(pixels)
    assert torch.equal(found, by_hand(PLAIN.normalise(pixels)))
    assert not torch.equal(found, PLAIN.normalise(pixels))
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_pictures_that_were_changed_are_those_in_order() -> None:
    images = torch.from_numpy(levels()).permute(0, 3, 1, 2) / 255
    before = images.clone()
    found = SPEC.normalise_scaled(images)
    assert torch.equal(found, by_hand(PLAIN.normalise_scaled(images))) and torch.equal(images, before)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_gradients_pass_also_where_answers_were_given_before() -> None:
    spec = dataclasses.replace(SPEC, height=3, width=11)
    with torch.inference_mode():
        spec.normalise(torch.from_numpy(levels(1, 3, 11)))
    images = torch.rand(1, 3, 3, 11, requires_grad=True)
    spec.normalise_scaled(images)[0, :, 0, 0].sum().backward()
    assert images.grad is not None
    # the first place shows the pixel that the order names first, and no other
    assert (images.grad[0, 0].flatten() != 0).nonzero().tolist() == [[int(order(3, 11)[0])]]


def test_training_changes_the_picture_as_a_person_sees_it() -> None:
    """Crops, turns, mixing: all as without it, and then the pixels in order."""
    augment = Augment.by(AugmentOptions(degrees=30, erase=0.9, mixup=0.4, cutmix=0.4, brightness=0.3))
    rows = np.arange(4)
    pictures = Pictures(levels(), rows, draw(augment, 0, 1, rows, (5, 7)))
    tasks = [Classify(rows % 2, 2, spec, ClassifyOptions(), torch.device("cpu")) for spec in (PLAIN, SPEC)]
    plain, moved = (task.collate(pictures) for task in tasks)
    assert torch.equal(moved.images, by_hand(plain.images)) and torch.equal(moved.targets, plain.targets)
    assert plain.own is not None and moved.own is not None and torch.equal(moved.own, plain.own)
    images, _ = changed(torch.from_numpy(pictures.pixels), pictures.changes, PLAIN.mean)  # type: ignore[arg-type]
    assert torch.equal(plain.images, PLAIN.normalise_scaled(images))


def test_what_a_person_looks_at_stays_as_it_is() -> None:
    photo = levels(1, 30, 44)[0]
    assert np.array_equal(SPEC.picture(photo, "a"), PLAIN.picture(photo, "a"))
    assert np.array_equal(SPEC.load(photo, "a"), PLAIN.load(photo, "a"))


def test_c251_pictures_of_another_size() -> None:
    with pytest.raises(ConfigError) as caught:
        SPEC.normalise(torch.from_numpy(levels(2, 6, 7)))
    assert caught.value.code == "C251"
    assert caught.value.what == (
        "pictures of 6 x 7, and this network knows pixels in one fixed order of 5 x 7 (--permute-pixels)."
    )
    assert "bring pictures to 5 x 7 first" in caught.value.fix
    PLAIN.normalise(torch.from_numpy(levels(2, 6, 7)))


# Written down


def test_the_card_keeps_it_and_older_cards_have_none(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(weights.dump({"w": torch.ones(1)}, weights.Card(preprocess=SPEC.as_dict())))
    card = weights.card_of(path)
    assert card.preprocess["permute_pixels"] is True and Preprocess.from_dict(card.preprocess) == SPEC
    # where it is off nothing is said: such files are what they were, and dojangs that do not know of it read them
    fields = "mode height width resize fit interpolation background max_pixels mean std"
    assert " ".join(PLAIN.as_dict()) == fields
    assert Preprocess.from_dict(json.loads(json.dumps(PLAIN.as_dict()))) == PLAIN


def two_parts() -> Manifest:
    pictures = levels(6)
    return from_pairs(
        {"train": list(zip(pictures[:4], "abab", strict=True)), "val": [*zip(pictures[4:6], "ab", strict=True)]}
    )


def made(*, place: str = "memory", **options: object) -> Prepared:
    return prepare(
        two_parts(),
        DataOptions(store=place, **options),
        seed=0,
        default_size=8,
        threads=0,
        assign=False,  # type: ignore[arg-type]
    )


def test_the_option_reaches_the_preprocessing_and_nothing_else() -> None:
    plain, moved = made(), made(permute_pixels=True)
    assert moved.preprocess == dataclasses.replace(plain.preprocess, permute_pixels=True)
    assert np.array_equal(moved.store.buffer, plain.store.buffer)
    assert made(permute_pixels=True, imgsz=3).preprocess.permute_pixels


def test_kept_pictures_serve_both(monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(place="disk").store.place
    built = []
    real = store.Preprocess.load
    monkeypatch.setattr(store.Preprocess, "load", lambda *args, **more: built.append(1) or real(*args, **more))
    assert made(place="disk", permute_pixels=True).store.place == first and not built
