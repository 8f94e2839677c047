"""Draws of augmentation: functions of (seed, epoch, sample), of the distributions that they claim."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from dojang.data import policies
from dojang.data.augment import Augment
from dojang.data.changes import Changes, draw
from dojang.data.loader import Loader, Pictures
from dojang.data.mixing import mix
from dojang.data.options import AugmentOptions
from dojang.data.preprocess import Preprocess
from dojang.data.store import Store

EVERYTHING = Augment(
    "both",
    2,
    degrees=20,
    translate=0.1,
    zoom=0.1,
    shear=5,
    random_ops="trivialaugment",
    brightness=0.2,
    contrast=0.2,
    saturation=0.2,
    hue=0.1,
    grey=0.3,
    blur=0.5,
    noise=0.1,
    erase=0.5,
    cutout=3,
)
MANY = 20_000
# once in 10,000 a fair draw fails; the seeds are fixed
RARE = 1e-4


def images_of(n: int, channels: int = 3, side: int = 12) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(5).random((n, channels, side, side), np.float32))


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**31 - 1), st.integers(0, 500), st.lists(st.integers(0, 10**7), min_size=1, max_size=8), st.data()
)
def test_a_picture_is_changed_alike_in_any_batch(seed: int, epoch: int, rows: list[int], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=5))
    images, turns, size = images_of(len(rows)), np.array(rows), (12, 12)
    together = draw(EVERYTHING, seed, epoch, turns, size).apply(images, (0.5, 0.4, 0.3))
    apart = draw(EVERYTHING, seed, epoch, turns[chosen], size).apply(images[chosen], (0.5, 0.4, 0.3))
    assert torch.equal(together[chosen], apart)


@pytest.mark.parametrize("other", [(4, 7), (3, 8)], ids=["seed", "epoch"])
def test_another_epoch_or_seed_changes_otherwise(other: tuple[int, int]) -> None:
    turns = np.arange(50)
    one, two = (draw(EVERYTHING, *key, turns, (12, 12)) for key in ((3, 7), other))
    assert one.draws.keys() == two.draws.keys() and len(one.draws) == 13
    for name in one.draws:
        assert not np.array_equal(one.draws[name], two.draws[name]), name


def test_operations_do_not_share_their_draws() -> None:
    """Two amounts of one picture have nothing to do with each other, or with where it is cut."""
    augment = dataclasses.replace(EVERYTHING, mixup=1.0)
    turns = np.arange(MANY)
    drawn = draw(augment, 0, 0, turns, (12, 12)).draws
    cuts = augment.draw(0, 0, turns)
    names = ("brightness", "contrast", "saturation", "hue", "sigma", "own")
    columns = [drawn[name] for name in names] + [
        drawn["sources"][:, 0, 1],
        drawn["grey"],
        drawn["blur"],
        cuts.down,
        cuts.right,
    ]
    off = np.corrcoef(np.array(columns, float))[~np.eye(len(columns), dtype=bool)]
    assert np.abs(off).max() < 5 / np.sqrt(MANY)


def test_amounts_are_even_within_their_bounds() -> None:
    drawn = draw(EVERYTHING, 1, 2, np.arange(MANY), (12, 12)).draws
    bounds = {
        "brightness": (0.8, 1.2),
        "contrast": (0.8, 1.2),
        "saturation": (0.8, 1.2),
        "hue": (-0.1, 0.1),
        "sigma": (0.1, 2.0),
    }
    for name, (low, high) in bounds.items():
        assert scipy.stats.kstest(drawn[name], "uniform", (low, high - low)).pvalue > RARE, name
    for name, share in (("grey", 0.3), ("blur", 0.5)):
        assert scipy.stats.binomtest(int(drawn[name].sum()), MANY, share).pvalue > RARE, name
    # only turned: the matrix is that of the angle
    turned = draw(Augment(degrees=20), 1, 2, np.arange(MANY), (12, 12)).draws["sources"]
    angles = np.degrees(np.arctan2(turned[:, 0, 1], turned[:, 0, 0]))
    assert scipy.stats.kstest(angles, "uniform", (-20, 40)).pvalue > RARE
    np.testing.assert_allclose(np.linalg.det(turned[:, :, :2]), 1)
    # only moved: whole pixels, up to a tenth of each side
    moved = draw(Augment(translate=0.1), 1, 2, np.arange(MANY), (40, 60)).draws["sources"][:, :, 2]
    assert set(np.unique(moved[:, 0])) == set(range(-6, 7)) and set(np.unique(moved[:, 1])) == set(range(-4, 5))
    larger = 1 / draw(Augment(zoom=0.3), 1, 2, np.arange(MANY), (40, 60)).draws["sources"][:, 0, 0]
    assert scipy.stats.kstest(larger, "uniform", (0.7, 0.6)).pvalue > RARE


@pytest.mark.parametrize("height, width", [(60, 90), (64, 64), (30, 200)])
def test_parts_are_those_of_torchvision(height: int, width: int) -> None:
    """Areas and shapes of random parts, by two-sample tests against RandomResizedCrop's own draws."""
    n = 4000
    made = Augment(crop="resized", crop_scale=0.2).parts(0, 1, np.arange(n), np.full(n, height), np.full(n, width))
    tops, lefts, heights, widths = made
    assert (tops >= 0).all() and (lefts >= 0).all()
    assert (tops + heights <= height).all() and (lefts + widths <= width).all()
    torch.manual_seed(0)
    picture = torch.empty(3, height, width)
    crop = v2.RandomResizedCrop(8, scale=(0.2, 1.0))
    theirs = [crop.make_params([picture]) for _ in range(n)]
    for ours, name in ((tops, "top"), (lefts, "left"), (heights, "height"), (widths, "width")):
        found = scipy.stats.ks_2samp(ours, [one[name] for one in theirs], method="asymp")
        assert found.pvalue > RARE, name


def test_a_part_is_resized_as_pillow_resizes() -> None:
    """What the loader gives is the part, by Pillow's own resize, mirrored where the draw says."""
    from PIL import Image

    values = np.random.default_rng(0).integers(0, 256, (3, 30, 41, 3), dtype=np.uint8)
    store = Store(values.ravel(), np.arange(3) * values[0].size, np.full(3, 30), np.full(3, 41), 3)
    augment = Augment("horizontal", crop="resized", crop_scale=0.3)
    loader = Loader(store, np.arange(3), Preprocess("RGB", 12, 12), batch_size=3, seed=4, augment=augment)
    turned = []
    for epoch in range(4):
        made = next(iter(loader.batches(epoch)))
        parts = augment.parts(4, epoch, made.rows, np.full(3, 30), np.full(3, 41))
        mirrored = augment.draw(4, epoch, made.rows).mirrored
        for row, top, left, height, width, flip, found in zip(made.rows, *parts, mirrored, made.pixels, strict=True):
            part = Image.fromarray(values[row, top : top + height, left : left + width])
            expected = np.asarray(part.resize((12, 12), Image.Resampling.BILINEAR))
            assert np.array_equal(found, expected[:, ::-1] if flip else expected)
            turned.append(flip)
    assert any(turned) and not all(turned)


def test_rectangles_have_the_area_and_shape_of_their_paper() -> None:
    side = 200
    boxes = draw(Augment(erase=0.7), 0, 0, np.arange(MANY), (side, side)).draws["erased"]
    heights, widths = (boxes[:, 2] - boxes[:, 0]).astype(float), (boxes[:, 3] - boxes[:, 1]).astype(float)
    some = heights > 0
    assert scipy.stats.binomtest(int(some.sum()), MANY, 0.7).pvalue > RARE
    assert boxes.min() >= 0 and boxes.max() <= side
    # those that fit as drawn: sides are rounded to whole pixels
    area, ratio = heights[some] * widths[some] / side**2, np.log(heights[some] / widths[some])
    inside = (heights[some] < side) & (widths[some] < side)
    assert inside.mean() > 0.85 and abs(np.corrcoef(area[inside], np.sign(ratio[inside]))[0, 1]) < 0.05
    assert area.min() > 0.017 and area[inside].max() < 0.337 and np.abs(ratio).max() < np.log(1 / 0.3) + 0.1
    small = area[area < 0.25]
    assert scipy.stats.kstest(small, "uniform", (0.02, 0.23)).statistic < 0.02


def test_a_square_is_cut_out_around_a_place_in_the_picture() -> None:
    boxes = draw(Augment(cutout=5), 0, 0, np.arange(MANY), (12, 20)).draws["cutout"]
    assert (boxes[:, 2] - boxes[:, 0] == 5).all() and (boxes[:, 3] - boxes[:, 1] == 5).all()
    for axis, side in ((0, 12), (1, 20)):
        centres = np.bincount(boxes[:, axis] + 2, minlength=side)
        assert len(centres) == side and scipy.stats.chisquare(centres).pvalue > RARE
    images = images_of(4)
    made = draw(Augment(cutout=5), 0, 0, np.arange(4), (12, 12)).apply(images, (0.5, 0.4, 0.3))
    changed = (made != images).any(dim=1).sum(dim=(1, 2))
    # a quarter of it and more lies inside
    assert (changed >= 9).all() and (changed <= 25).all()


def test_mixup_lays_two_pictures_on_each_other() -> None:
    changes = draw(Augment(mixup=0.4), 0, 0, np.arange(MANY), (4, 4))
    assert scipy.stats.kstest(changes.draws["own"], scipy.stats.beta(0.4, 0.4).cdf).pvalue > RARE
    images = images_of(5)
    found = mix(images, changes.part(0, 5))
    assert found is not None
    mixed, own = found
    for i in range(5):
        share = float(changes.draws["own"][i])
        torch.testing.assert_close(mixed[i], share * images[i] + (1 - share) * images[(i + 1) % 5])
        assert float(own[i]) == pytest.approx(share)


def test_cutmix_takes_just_the_share_that_its_label_has() -> None:
    n = 300
    changes = draw(Augment(cutmix=1.0), 0, 0, np.arange(n), (12, 10))
    # each picture one level of its own, so that every pixel says where it is from
    images = torch.arange(n, dtype=torch.float32)[:, None, None, None].expand(n, 1, 12, 10)
    found = mix(images, changes)
    assert found is not None
    mixed, own = found
    for i in range(n):
        from_self = (mixed[i] == i).float().mean()
        assert float(from_self) == pytest.approx(float(own[i]), abs=1e-6)
        assert set(mixed[i].unique().tolist()) <= {float(i), float((i + 1) % n)}
    shares = draw(Augment(cutmix=1.0), 0, 0, np.arange(MANY), (100, 100)).draws["own"]
    # alpha of 1 is even; a box that sticks out takes less
    assert 0.5 < shares.mean() < 0.75 and shares.min() < 0.05 and shares.max() > 0.99


def test_some_are_mixed_in_one_way_some_in_the_other_some_not() -> None:
    draws = draw(Augment(mixup=0.4, cutmix=1.0, mix_prob=0.6), 0, 0, np.arange(MANY), (32, 32)).draws
    whole = draws["own"] == 1.0
    assert scipy.stats.binomtest(int(draws["cut"].sum()), MANY, 0.5).pvalue > RARE
    assert 0.4 < whole.mean() < 0.44
    assert mix(images_of(3), draw(Augment(blur=0.5), 0, 0, np.arange(3), (12, 12))) is None


def test_parts_of_a_batch_keep_their_changes() -> None:
    turns = np.arange(7)
    changes = draw(EVERYTHING, 0, 0, turns, (4, 4))
    batch = Pictures(np.zeros((7, 4, 4, 3), np.uint8), turns, changes)
    parts = batch.parts(3)
    assert [len(part) for part in parts] == [3, 2, 2]
    for name, values in changes.draws.items():
        assert np.array_equal(np.concatenate([p.changes.draws[name] for p in parts if p.changes]), values)


def test_a_grey_picture_is_changed_as_well() -> None:
    images = images_of(6, channels=1)
    made = draw(EVERYTHING, 0, 0, np.arange(6), (12, 12)).apply(images, (0.5,))
    assert made.shape == images.shape and not torch.equal(made, images)
    assert float(made.min()) >= 0 and float(made.max()) <= 1


def test_pictures_given_are_never_written_to() -> None:
    images = images_of(40)
    before = images.clone()
    for field, value in dataclasses.asdict(EVERYTHING).items():
        one = Augment(**{field: value}) if field not in ("flip", "padding") else Augment()  # type: ignore[arg-type]
        if one.recolours:
            draw(one, 0, 0, np.arange(40), (12, 12)).apply(images, (0.5, 0.5, 0.5))
        assert torch.equal(images, before), field


@pytest.mark.parametrize("name", ["none", "light", "notes", "strong", "auto"])
@pytest.mark.parametrize("pictures", [500, 5_000, 50_000])
def test_policies_are_options(name: str, pictures: int) -> None:
    values = policies.values(name, pictures, 32)
    assert values.keys() <= {field.name for field in dataclasses.fields(AugmentOptions)} - {"augment"}
    made = Augment.by(AugmentOptions(**values))
    assert made.recolours == (name != "none") and made.moves == (name != "none")
    assert (name == "none") == (made.words() == "" and made.crop == "center")


def test_auto_changes_more_where_there_is_less() -> None:
    found = [policies.values("auto", n, 32) for n in (1_999, 2_000, 19_999, 20_000)]
    expected = ["strong", "notes", "notes", "light"]
    assert found == [policies.values(name, 1, 32) for name in expected]
    # large pictures are cut from what is kept, which is larger; small ones are padded
    assert (
        policies.values("strong", 1, 128)["train_crop"] == "resized"
        and policies.values("light", 1, 128)["crop_padding"] == 0
    )
    assert policies.values("light", 1, 28)["crop_padding"] == 3


def test_changes_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Changes(Augment(), {}).draws = {}  # type: ignore[misc]
