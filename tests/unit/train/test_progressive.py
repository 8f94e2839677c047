"""Progressive resizing: smaller pictures first, full ones from the given share on, a network that takes both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from dojang.errors import ConfigError
from dojang.models import build
from dojang.runs import recipe, session, train
from dojang.runs.session import Session
from dojang.train import progressive
from dojang.train.log import read_table
from dojang.train.precision import Agreement

SIDE = st.integers(1, 300)
TINY: dict[str, Any] = {
    "model": "sprint",
    "conv_dims": "3,4",
    "progressive": 0.0,
    "epochs": 4,
    "batch_size": 20,
    "val": 10,
    "optimizer": "sgd",
    "lr": 0.05,
    "threads": 1,
    "precision": "fp32",
    "train_sample": 0,
}


@given(st.tuples(SIDE, SIDE), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_sizes_only_grow(full: tuple[int, int], until: float, one: float, other: float) -> None:
    first, second = (progressive.size(full, progress, until) for progress in sorted((one, other)))
    assert first[0] <= second[0] <= full[0] and first[1] <= second[1] <= full[1]
    assert min(first) >= 1
    if max(one, other) >= until:
        assert second == full
    known = progressive.sizes(full, until)
    assert first in known and second in known
    assert known == sorted(known) and known[-1] == full and len(known) == len(set(known)) <= 2


@pytest.mark.parametrize("side", [28, 32, 64, 128, 224])
def test_it_begins_at_three_quarters(side: int) -> None:
    found = [progressive.size((side, side), progress, 0.6)[0] for progress in (0, 0.3, 0.599, 0.6, 1)]
    assert [one / side for one in found] == pytest.approx([3 / 4, 3 / 4, 3 / 4, 1, 1], abs=1 / side)
    assert all(one % 2 == 0 for one in found)


def test_zero_is_off() -> None:
    assert progressive.sizes((31, 17), 0) == [(31, 17)]
    assert progressive.size((31, 17), 0.0, 0.0) == (31, 17)


def test_pictures_are_shrunk_as_pillow_does() -> None:
    """Bilinear with antialiasing, as everywhere in preparing pictures; Pillow's floats are the oracle."""
    levels = np.random.default_rng(0).normal(size=(2, 3, 32, 28)).astype(np.float32)
    images = torch.from_numpy(levels).contiguous(memory_format=torch.channels_last)
    found = progressive.shown(images, (20, 18))
    assert found.is_contiguous(memory_format=torch.channels_last)
    for i in range(2):
        for channel in range(3):
            wanted = Image.fromarray(levels[i, channel]).resize((18, 20), Image.Resampling.BILINEAR)
            np.testing.assert_allclose(found[i, channel].numpy(), np.asarray(wanted), atol=2e-6)


def test_full_pictures_are_handed_on() -> None:
    images = torch.zeros(2, 3, 9, 8)
    assert progressive.shown(images, (9, 8)) is images


# In a run


def seen_by_training(data: Path, project: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[int]:
    """The side of every batch that the network is trained on."""
    sides: list[int] = []
    make = build.build

    def noting(*args: Any, **more: Any) -> nn.Module:
        model = make(*args, **more)

        def note(model: nn.Module, args: tuple[Tensor, ...]) -> None:
            if model.training:
                sides.append(args[0].shape[-1])

        model.register_forward_pre_hook(note)
        return model

    monkeypatch.setattr(session.build, "build", noting)
    monkeypatch.setattr(Session, "finish", lambda self: {})
    train.begin(str(data), [recipe.read_layer(TINY | {"project": str(project)} | options, "test")])
    return sides


def test_a_run_begins_small_and_ends_large(stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 steps, and ten pixels are 8 at first."""
    assert seen_by_training(stripes, tmp_path, monkeypatch, progressive=0.75) == [8] * 12 + [10] * 4


def test_parts_of_a_step_have_its_size(stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = seen_by_training(stripes, tmp_path, monkeypatch, progressive=0.5, micro_batch=10)
    assert sides == [8] * 16 + [10] * 16


def test_off_is_the_default(stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen_by_training(stripes, tmp_path, monkeypatch) == [10] * 16


def test_validation_sees_full_pictures(stripes: Path, tmp_path: Path) -> None:
    """What it scores early on is what the weights file would answer."""
    options = TINY | {"project": str(tmp_path), "progressive": 1.0, "epochs": 1, "lr": 1e-12}
    folder = train.begin(str(stripes), [recipe.read_layer(options, "test")])
    same = train.begin(str(stripes), [recipe.read_layer(options | {"progressive": 0.0}, "test")])
    one, other = (float(read_table(run / "results.csv")[-1]["val/top1"]) for run in (folder, same))
    assert one == other


def test_c231_a_network_of_one_size(stripes: Path, tmp_path: Path) -> None:
    options = TINY | {"project": str(tmp_path), "progressive": 0.5, "model": "cnn"}
    with pytest.raises(ConfigError) as caught:
        train.begin(str(stripes), [recipe.read_layer(options, "test")])
    assert caught.value.code == "C231"
    assert "--progressive 0.5 shows pictures of 8 x 8 at first" in caught.value.what
    assert "takes 10 x 10 only" in caught.value.what
    assert caught.value.fix == "--progressive 0"


def test_a_network_of_one_s_own_that_takes_one_size() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 8 * 8, 3)).train()
    with pytest.raises(ConfigError, match="mat1 and mat2"):
        progressive.check(model, torch.zeros(2, 1, 10, 10), 0.3)
    assert model.training
    progressive.check(model, torch.zeros(2, 1, 10, 10), 0)


@pytest.mark.parametrize("side", [28, 32, 48, 64])
def test_sprint_takes_every_size_it_is_shown(side: int) -> None:
    net = build.build("sprint-s", in_channels=3, classes=4, image_size=(side, side), seed=0)
    progressive.check(net, torch.randn(2, 3, side, side), 0.5)


def test_bf16_is_looked_at_in_every_size(stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel may be wrong at one width alone: the worst size decides."""
    asked = []

    def compare(model: nn.Module, images: Tensor) -> Agreement:
        asked.append(images.shape[-1])
        return Agreement("conv1", "forward", {8: float("nan"), 10: 0.002}[images.shape[-1]])

    monkeypatch.setattr(session, "compare", compare)
    monkeypatch.setattr(session, "has_bf16", lambda device: True)
    monkeypatch.setattr(Session, "finish", lambda self: {})
    options = TINY | {"project": str(tmp_path), "progressive": 0.5, "precision": "auto"}
    folder = train.begin(str(stripes), [recipe.read_layer(options, "test")])
    assert asked == [8, 10]
    assert "precision: fp32" in (folder / "args.yaml").read_text()
