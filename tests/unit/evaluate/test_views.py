"""Test-time augmentation: what is looked at, with which weights, and only where one look leaves a doubt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dojang.data.options import DataOptions
from dojang.data.pairs import from_pairs
from dojang.data.prepare import Prepared, prepare
from dojang.data.preprocess import Preprocess
from dojang.evaluate.evaluate import Evaluation, evaluate
from dojang.evaluate.views import ask_again, doubtful, views
from dojang.predict.predictor import Predictor

SPEC = Preprocess("L", 4, 5, mean=(0.0,), std=(1.0,))
KINDS = {"mirror": 2, "shift": 3, "mirror+shift": 6}


def pictures(n: int = 7, height: int = 4, width: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, height, width, 1), np.uint8)


class Net(nn.Module):
    """Scores that depend on every pixel in its own way; remembers how many pictures it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            self.layer = nn.Linear(20, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        found: torch.Tensor = 3 * self.layer(x.flatten(1))
        return found


def predictor(temperature: float = 1.0) -> Predictor:
    return Predictor(Net(), ("a", "b", "c"), SPEC, temperature=temperature)


# The views


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(4, 5), (1, 1), (2, 1)])
def test_weights_sum_to_one_and_shapes_stay(kind: str, size: tuple[int, int]) -> None:
    pixels = pictures(3, *size)
    before = pixels.copy()
    found = views(pixels, kind)
    assert len(found) == KINDS[kind]
    assert sum(weight for weight, _ in found) == 1.0
    assert all(view.shape == pixels.shape and view.dtype == np.uint8 for _, view in found)
    assert np.array_equal(found[0][1], pixels)
    # the picture itself counts most
    assert found[0][0] == max(weight for weight, _ in found)
    assert np.array_equal(pixels, before)


def test_mirrored_twice_is_the_picture() -> None:
    pixels = pictures()
    (_, whole), (_, mirrored) = views(pixels, "mirror")
    assert not np.array_equal(mirrored, whole)
    assert np.array_equal(mirrored[:, :, 0], whole[:, :, -1])
    assert np.array_equal(views(mirrored, "mirror")[1][1], pixels)


def test_shifts_are_a_pixel_each_way_along_the_diagonal() -> None:
    pixels = pictures()
    (half, _), (one, down), (other, up) = views(pixels, "shift")
    assert (half, one, other) == (0.5, 0.25, 0.25)
    assert np.array_equal(down[:, 1:, 1:], pixels[:, :-1, :-1])
    assert np.array_equal(up[:, :-1, :-1], pixels[:, 1:, 1:])
    # what is missing is the picture mirrored at its edge, the edge itself not doubled
    assert np.array_equal(down[:, 0, 1:], pixels[:, 1, :-1])
    assert np.array_equal(up[:, :-1, -1], pixels[:, 1:, -2])


def test_both_together_are_each_view_and_its_mirror_image() -> None:
    pixels = pictures()
    shifted, both = views(pixels, "shift"), views(pixels, "mirror+shift")
    for i, (weight, view) in enumerate(shifted):
        for found in both[2 * i : 2 * i + 2]:
            assert found[0] == weight / 2
        assert np.array_equal(both[2 * i][1], view)
        assert np.array_equal(both[2 * i + 1][1], view[:, :, ::-1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_softmax_of_the_mean_score(kind: str) -> None:
    pixels, one = pictures(), predictor(2.0)
    layer = one.model.layer
    assert isinstance(layer, nn.Linear) and layer.bias is not None
    weight, bias = (p.detach().double().numpy() for p in (layer.weight, layer.bias))
    scores = sum(w * 3 * ((v.reshape(len(v), -1) / 255) @ weight.T + bias) / 2.0 for w, v in views(pixels, kind))
    wanted = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found = ask_again(one, pixels, kind)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("kind", ["mirror", "mirror+shift"])
def test_a_mirrored_picture_has_the_same_answer(kind: str) -> None:
    pixels, one = pictures(), predictor()
    mirrored = np.ascontiguousarray(pixels[:, :, ::-1])
    # shifts go the other way in a mirror, so with them the two differ a little; with the mirror alone they do not
    gap = np.abs(ask_again(one, mirrored, kind) - ask_again(one, pixels, kind)).max()
    assert gap < (1e-6 if kind == "mirror" else 0.5)
    assert np.abs(one.probabilities(mirrored) - one.probabilities(pixels)).max() > 1e-2


# Doubt


@given(st.lists(st.integers(34, 100), min_size=1, max_size=50))
def test_the_doubtful_are_the_least_confident_quarter(confidence: list[int]) -> None:
    sure = np.array(confidence, dtype=np.float32) / 100
    rows = doubtful(np.stack([(1 - sure) / 2, sure, (1 - sure) / 2], axis=1))
    assert len(rows) == -(-len(sure) // 4)
    assert rows.tolist() == sorted(set(rows.tolist()))
    others = np.delete(sure, rows)
    assert others.size == 0 or sure[rows].max() <= others.min()
    # of equal ones the first
    last = sure[rows].max()
    assert set(rows) >= set(np.flatnonzero(sure < last))
    tied = np.flatnonzero(sure == last)
    kept = [row for row in tied if row in rows]
    assert kept == tied[: len(kept)].tolist()


def prepared(n: int = 13) -> Prepared:
    pairs = [(picture[:, :, 0], "abc"[i % 3]) for i, picture in enumerate(pictures(n))]
    manifest = from_pairs(pairs).replace(splits=("test",) * n)
    return prepare(manifest, DataOptions(), seed=0, default_size=4, threads=1, preprocess=SPEC, assign=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_size", [2, 250])
def test_only_the_doubtful_are_looked_at_again(kind: str, batch_size: int) -> None:
    made, one = prepared(), predictor()
    found = evaluate(one, made.store, made.manifest, "test", batch_size=batch_size, tta=kind)
    assert one.model.seen == 13 + 4 * KINDS[kind]
    plain = evaluate(predictor(), made.store, made.manifest, "test", batch_size=batch_size)
    # the answer is that of one view, whatever stands beside it
    assert np.array_equal(found.probabilities, plain.probabilities)
    assert plain.augmented is None
    assert found.augmented is not None
    again = doubtful(plain.probabilities)
    assert len(again) == 4
    sure = np.setdiff1d(np.arange(13), again)
    assert np.array_equal(found.augmented[sure], plain.probabilities[sure])
    wanted = ask_again(predictor(), pictures(13)[again], kind)
    # in batches of two, whose products are summed in another order
    np.testing.assert_allclose(found.augmented[again], wanted, rtol=1e-5)
    assert np.abs(wanted - plain.probabilities[again]).max() > 1e-3


def test_the_score_with_augmentation_stands_beside_the_other() -> None:
    true = np.array([0, 1, 1, 0])
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.4, 0.6]], np.float32)
    better = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]], np.float32)
    make: Callable[..., Evaluation] = lambda **more: Evaluation(  # noqa: E731
        "test", tuple("abcd"), true, shares, ("x", "y"), **more
    )
    plain: dict[str, Any] = make().metrics()
    found: dict[str, Any] = make(augmented=better).metrics()
    assert "top1_tta" not in plain
    assert plain["top1"]["value"] == found["top1"]["value"] == 0.5
    assert found["top1_tta"]["value"] == 0.75
    assert found["top1_tta"]["n"] == 4
    assert found["top1_tta"]["low"] < 0.75 < found["top1_tta"]["high"]
    # all else is of the single view
    assert {name: value for name, value in found.items() if name != "top1_tta"} == plain
