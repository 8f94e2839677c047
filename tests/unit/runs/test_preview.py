"""The preview of augmentation shows what training will see, and reads no more than it shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dojang.data.pairs import from_pairs
from dojang.data.scan import find
from dojang.errors import DataError
from dojang.runs.preview import preview


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Colour pictures of 150 x 200 in two classes, 9 and 3 of them, one broken."""
    draw = np.random.default_rng(0)
    for label, n in (("a", 9), ("b", 3)):
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for i in range(n):
            coarse = Image.fromarray(draw.integers(0, 256, (5, 6, 3), dtype=np.uint8))
            coarse.resize((200, 150)).save(folder / f"{i}.png")
    return tmp_path / "photos"


def test_before_is_what_validation_sees_and_after_what_training_sees(stripes: Path) -> None:
    found = preview(find(str(stripes)), [{"augment": "none"}], pictures=5, epochs=2)
    assert found.before.shape == (5, 10, 10, 1) and found.after.shape == (5, 2, 10, 10, 1)
    assert found.words == "none: nothing is changed"
    assert np.array_equal(found.after, found.before[:, None].repeat(2, axis=1))
    assert found.labels == ("0", "1", "2", "0", "1")
    changed = preview(find(str(stripes)), [{"augment": "strong"}], pictures=5, epochs=3)
    assert np.array_equal(changed.before, found.before) and changed.paths == found.paths
    for one, before in zip(changed.after, changed.before, strict=True):
        assert all(not np.array_equal(one[i], other) for i in range(3) for other in (before, one[(i + 1) % 3]))
    again = preview(find(str(stripes)), [{"augment": "strong"}], pictures=5, epochs=3)
    assert np.array_equal(again.after, changed.after)


def test_what_training_would_do_unasked_is_shown(photographs: Path) -> None:
    manifest = find(str(photographs))
    found = preview(manifest, [{}], pictures=4, epochs=8)
    assert found.words == "flip horizontal" and found.before.shape == (4, 128, 128, 3)
    # the others of b are held out
    assert sorted(found.labels) == ["a", "a", "a", "b"]
    # twelve pictures are few
    assert preview(manifest, [{"augment": "auto"}]).words.startswith("auto: flip horizontal, parts from 0.35")
    one = preview(manifest, [{"augment": "auto", "random_ops": "none", "erase": 0, "cutmix": 0, "flip": "none"}])
    assert one.words == "auto: parts from 0.35 of the area"


def test_a_policy_goes_by_the_pictures_that_training_learns_from() -> None:
    # of 2,100 pictures 1,680 are learned from: fewer than the 2,000 from which on "auto" changes less
    draw = np.random.default_rng(0)
    manifest = from_pairs((draw.integers(0, 256, (8, 8), np.uint8), "ab"[i % 2]) for i in range(2100))
    assert "trivialaugment" in preview(manifest, [{"augment": "auto"}]).words
    assert "degrees 15" in preview(manifest, [{"augment": "auto", "val": "none", "test": 0.0}]).words


def test_only_what_is_shown_is_read(photographs: Path) -> None:
    shown = preview(find(str(photographs)), [{}], pictures=4).paths
    other = next(path for path in photographs.rglob("*.png") if str(path.relative_to(photographs)) not in shown)
    other.write_bytes(b"no picture")
    assert preview(find(str(photographs)), [{}], pictures=4).paths == shown
    (photographs / shown[0]).write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        preview(find(str(photographs)), [{}], pictures=4)
    assert caught.value.code == "D104"


def test_data_without_a_training_part(stripes: Path) -> None:
    manifest = find(str(stripes))
    with pytest.raises(DataError) as caught:
        preview(manifest.replace(splits=("test",) * len(manifest)), [{}])
    assert caught.value.code == "D101" and "no training pictures" in str(caught.value)
