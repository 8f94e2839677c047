"""Boxes and masks beside pictures that are cut, mirrored, turned and slanted: both must show the same thing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dojang.data import places
from dojang.data.augment import Augment
from dojang.data.loader import Loader
from dojang.data.preprocess import Preprocess
from dojang.data.store import Store

SIDE, N = 32, 40
AUGMENTS = {
    "cut": Augment("none", 0),
    "padded and mirrored": Augment("both", 5),
    "parts": Augment("horizontal", crop="resized", crop_scale=0.3),
    "turned": Augment("none", crop="center", degrees=40),
    "everything": Augment("both", 3, degrees=25, translate=0.1, zoom=0.2, shear=10, brightness=0.1, hue=0.1),
    "randaugment": Augment("horizontal", 2, random_ops="randaugment", ops_count=3, ops_strength=20),
    "trivialaugment": Augment("none", crop="resized", random_ops="trivialaugment"),
}


def planted() -> tuple[Store, list[np.ndarray], np.ndarray]:
    """Dark pictures of different sizes with a bright rectangle each; masks of it; its box."""
    draw = np.random.default_rng(11)
    pictures, masks, boxes = [], [], []
    for _ in range(N):
        height, width = draw.integers(SIDE, SIDE + 14, 2)
        top, left = draw.integers(4, 12, 2)
        h, w = draw.integers(10, 18, 2)
        mask = np.zeros((height, width), np.uint8)
        mask[top : top + h, left : left + w] = 1
        pictures.append(np.repeat(np.where(mask, 250, 5).astype(np.uint8)[:, :, None], 3, axis=2))
        masks.append(mask)
        boxes.append((left, top, left + w, top + h))
    sizes = np.array([p.shape[:2] for p in pictures], np.int64)
    lengths = sizes.prod(axis=1) * 3
    buffer = np.concatenate([p.ravel() for p in pictures])
    return Store(buffer, np.cumsum(lengths) - lengths, sizes[:, 0], sizes[:, 1], 3), masks, np.array(boxes, np.float64)


@pytest.mark.parametrize("name", AUGMENTS)
def test_masks_and_boxes_move_as_the_pixels_do(name: str) -> None:
    store, masks, boxes = planted()
    loader = Loader(store, np.arange(N), Preprocess("RGB", SIDE, SIDE), batch_size=N, seed=1, augment=AUGMENTS[name])
    overlaps, moved_ones = [], 0
    for epoch in range(3):
        made = next(iter(loader.batches(epoch)))
        images = torch.from_numpy(made.pixels).permute(0, 3, 1, 2) / 255
        if made.changes is not None:
            images = made.changes.apply(images, (0.0, 0.0, 0.0))
        found = loader.places(loader.order(epoch), epoch)
        for row, image, place in zip(made.rows.tolist(), images.numpy(), found, strict=True):
            mask = places.mask(masks[row], place, (SIDE, SIDE), outside=0)
            # colours are changed too, so the brighter half is what was bright
            grey = image.mean(axis=0)
            if np.ptp(grey) < 0.3 or mask.sum() < 20:
                continue
            shown = (grey > (grey.max() + grey.min()) / 2).astype(np.uint8)
            if shown[mask == 1].mean() < 0.5:
                # solarized
                continue
            overlaps.append((mask & shown).sum() / (mask | shown).sum())
            box, share = places.boxes(boxes[row : row + 1], place, (SIDE, SIDE))
            y, x = np.nonzero(mask)
            around = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
            # upright around moved corners: never smaller than what is there, and equal to it where nothing turns
            assert (box[0, :2] <= around[:2] + 1).all() and (box[0, 2:] >= around[2:] - 1).all()
            if name in ("cut", "padded and mirrored", "parts"):
                assert np.abs(box[0] - around).max() <= 1
            assert 0 < share[0] <= 1
            moved_ones += not np.array_equal(place, np.eye(2, 3))
    assert len(overlaps) > 60 and moved_ones > 30
    exact = name in ("cut", "padded and mirrored")
    assert min(overlaps) == 1.0 if exact else np.median(overlaps) > 0.93 and np.mean(overlaps) > 0.9


def test_a_mask_never_holds_a_class_that_was_not_there() -> None:
    mask = np.random.default_rng(0).choice(np.array([0, 7, 200], np.uint8), (20, 31))
    place = np.array([[0.8, 0.3, -1.2], [-0.2, 1.1, 2.5]])
    made = places.mask(mask, place, (25, 25))
    assert set(np.unique(made)) == {0, 7, 200, 255}
    # by loops: the pixel whose middle comes nearest
    back = np.linalg.inv(np.vstack([place, [0, 0, 1]]))
    for y in range(25):
        for x in range(25):
            sx, sy, _ = back @ (x + 0.5, y + 0.5, 1)
            i, j = int(np.floor(sy)), int(np.floor(sx))
            assert made[y, x] == (mask[i, j] if 0 <= i < 20 and 0 <= j < 31 else 255)
    folded = places.mask(mask, place, (25, 25), fill="reflect")
    assert set(np.unique(folded)) == {0, 7, 200} and np.array_equal(folded[made != 255], made[made != 255])


def test_a_window_beyond_the_edge_reflects_as_pictures_do() -> None:
    store, masks, _ = planted()
    augment = Augment("both", 6, fill="reflect")
    loader = Loader(store, np.arange(N), Preprocess("RGB", SIDE, SIDE), batch_size=N, seed=2, augment=augment)
    made = next(iter(loader.batches(0)))
    for row, pixels, place in zip(made.rows.tolist(), made.pixels, loader.places(loader.order(0), 0), strict=True):
        mask = places.mask(masks[row], place, (SIDE, SIDE), fill="reflect")
        assert np.array_equal(mask, pixels[:, :, 0] > 128)


def test_boxes_beyond_the_picture_have_nothing_left() -> None:
    given = np.array([[0.0, 0, 4, 4], [2, 2, 6, 6], [20, 20, 22, 22], [3, 3, 3, 9]])
    made, share = places.boxes(given, np.eye(2, 3), (4, 4))
    assert made.tolist() == [[0, 0, 4, 4], [2, 2, 4, 4], [4, 4, 4, 4], [3, 3, 3, 4]]
    assert share.tolist() == [1, 0.25, 0, 0]
    # mirrored, left and right change places and stay in order
    mirror = places.of_windows(*(np.array([v]) for v in (0, 0, 4, 4)), np.array([True]), np.array([False]), (4, 4))
    assert places.boxes(given[:1] * 0.5, mirror[0], (4, 4))[0].tolist() == [[2, 0, 4, 2]]


def test_there_and_back_is_nothing() -> None:
    from dojang.data import geometry

    draw = np.random.default_rng(4)
    sources = geometry.matrices(*(draw.uniform(0.5, 5, 6) for _ in range(6)))
    forth = places.of_sources(sources, (20, 30))
    back = places.of_sources(np.linalg.inv(places._square(sources))[:, :2], (20, 30))
    np.testing.assert_allclose(places.then(forth, back), np.tile(np.eye(2, 3), (6, 1, 1)), atol=1e-9)
