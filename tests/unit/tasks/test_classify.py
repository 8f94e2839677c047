"""Losses against their definition as loops and against torch in float64; scores against one pass and scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dojang.data.loader import Pictures
from dojang.data.preprocess import Preprocess
from dojang.tasks.classify import losses
from dojang.tasks.classify.options import ClassifyOptions
from dojang.tasks.classify.task import Batch, Classify, Scores

# float32 sums of a few hundred terms near 1: a few units in the last place
CLOSE = 2e-6


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def case(seed: int, rows: int, classes: int, scale: float = 3.0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=draw, dtype=torch.float64) * scale
    return logits, torch.randint(classes, (rows,), generator=draw)


def soft_targets(row: int, classes: int, smoothing: float) -> list[float]:
    return [(1 - smoothing) * (c == row) + smoothing / classes for c in range(classes)]


def probabilities(row: list[float]) -> list[float]:
    largest = max(row)
    powers = [math.exp(value - largest) for value in row]
    return [power / sum(powers) for power in powers]


def cross_entropy_by_loops(logits: Tensor, targets: Tensor, smoothing: float) -> float:
    total = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        shares = zip(soft_targets(target, len(row), smoothing), probabilities(row), strict=True)
        total -= sum(wanted * math.log(got) for wanted, got in shares)
    return total / len(logits)


def bce_by_loops(logits: Tensor, targets: Tensor, smoothing: float) -> float:
    total = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        for wanted, got in zip(soft_targets(target, len(row), smoothing), probabilities(row), strict=True):
            total -= wanted * math.log(got) + (1 - wanted) * math.log(1 - got)
    return total / (len(logits) * logits.shape[1])


def cross_entropy_by_torch(logits: Tensor, targets: Tensor, smoothing: float) -> float:
    return float(F.cross_entropy(logits.double(), targets, label_smoothing=smoothing))


def bce_by_torch(logits: Tensor, targets: Tensor, smoothing: float) -> float:
    classes = logits.shape[1]
    one_hot = F.one_hot(targets, classes).double() * (1 - smoothing) + smoothing / classes
    return float(F.binary_cross_entropy(logits.double().softmax(1), one_hot))


def focal_by_loops(logits: Tensor, targets: Tensor, smoothing: float, gamma: float = 2.0) -> float:
    total = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        found = probabilities(row)
        shares = zip(soft_targets(target, len(row), smoothing), found, strict=True)
        total -= (1 - found[target]) ** gamma * sum(wanted * math.log(got) for wanted, got in shares)
    return total / len(logits)


BY_LOOPS = {"cross-entropy": cross_entropy_by_loops, "bce": bce_by_loops, "focal": focal_by_loops}
ORACLES = [
    ("cross-entropy", cross_entropy_by_loops),
    ("cross-entropy", cross_entropy_by_torch),
    ("bce", bce_by_loops),
    ("bce", bce_by_torch),
    ("focal", focal_by_loops),
]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize(("name", "oracle"), ORACLES)
@pytest.mark.parametrize(("rows", "classes"), [(1, 2), (7, 3), (32, 10)])
def test_losses_are_their_definition(name: str, oracle: Any, smoothing: float, rows: int, classes: int) -> None:
    logits, targets = case(rows, rows, classes)
    found = losses.LOSSES[name](logits.float(), targets, smoothing)
    assert found.dtype == torch.float32
    assert found.shape == ()
    assert float(found) == pytest.approx(oracle(logits.float(), targets, smoothing), rel=CLOSE)


@pytest.mark.parametrize("name", losses.LOSSES)
@given(shift=st.floats(-30, 30), seed=st.integers(0, 1000), smoothing=st.floats(0, 0.9))
@settings(max_examples=25, deadline=None)
def test_a_constant_added_to_the_logits_changes_nothing(name: str, shift: float, seed: int, smoothing: float) -> None:
    """A property: the softmax does not see it."""
    logits, targets = case(seed, 5, 4)
    loss = losses.LOSSES[name]
    before, after = (float(loss(values.float(), targets, smoothing)) for values in (logits, logits + shift))
    assert after == pytest.approx(before, rel=1e-4)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_weights_of_classes(name: str) -> None:
    """The mean over pictures of each picture's loss times the weight of its class; in parts it is the same."""
    logits, targets = case(5, 12, 3)
    weights = torch.tensor([0.5, 1.0, 4.0])
    each = [BY_LOOPS[name](logits[i : i + 1], targets[i : i + 1], 0.1) * float(weights[targets[i]]) for i in range(12)]
    loss = losses.LOSSES[name]
    found = loss(logits.float(), targets, 0.1, weights)
    assert float(found) == pytest.approx(sum(each) / 12, rel=CLOSE)
    parts = [loss(logits[a:b].float(), targets[a:b], 0.1, weights) * (b - a) for a, b in ((0, 5), (5, 12))]
    assert float(sum(parts)) / 12 == pytest.approx(float(found), rel=CLOSE)
    alike = loss(logits.float(), targets, 0.1, torch.ones(3))
    assert float(alike) == pytest.approx(float(loss(logits.float(), targets, 0.1)), rel=CLOSE)


def test_balanced_weights_are_scikit_learn_s() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 2], [50, 8, 2])
    counts = np.bincount(labels)
    found = losses.balanced(counts)
    np.testing.assert_allclose(found, compute_class_weight("balanced", classes=np.arange(3), y=labels), rtol=1e-6)
    # a picture counts 1 on the mean, and a class that is not there divides nothing by zero
    assert found[labels].mean() == pytest.approx(1)
    assert losses.balanced(np.array([3, 0, 1])).tolist() == pytest.approx([2 / 3, 1, 2])


def test_focal_between_cross_entropy_and_nothing() -> None:
    logits, targets = case(6, 9, 4)
    plain = losses.cross_entropy(logits.float(), targets)
    assert float(losses.focal(logits.float(), targets, gamma=0.0)) == pytest.approx(float(plain), rel=CLOSE)
    assert float(losses.focal(logits.float(), targets)) < float(plain)
    # what is known for certain gives no loss, no NaN, and no gradient that is one
    sure = torch.tensor([[200.0, 0.0], [0.0, -200.0]], requires_grad=True)
    losses.focal(sure, torch.tensor([0, 0])).backward()
    assert sure.grad is not None and sure.grad.isfinite().all()
    knowing_nothing = losses.focal(torch.zeros(2, 5), torch.tensor([1, 2]))
    assert losses.of_ignorance("focal", 5) == pytest.approx(float(knowing_nothing), rel=CLOSE)


def test_weights_are_for_learning_alone() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    spec = Preprocess(mode="L", height=2, width=2)
    batch = Batch(torch.randn(6, 1, 2, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 0, 0, 0, 1]))
    weights = losses.balanced(np.array([5, 1]))
    tasks = [
        Classify(np.zeros(1, np.int64), 2, spec, ClassifyOptions(), torch.device("cpu"), w) for w in (None, weights)
    ]
    with torch.no_grad():
        for training in (False, True):
            net.train(training)
            plain, weighted = (float(one.loss(net, batch)[0]) for one in tasks)
            assert (plain != weighted) == training


@pytest.mark.parametrize("name", losses.LOSSES)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    logits, targets = case(3, 4, 5, scale=1.0)
    single = logits.float().requires_grad_()
    losses.LOSSES[name](single, targets, 0.1).backward()
    assert single.grad is not None
    oracle = BY_LOOPS[name]
    step = 1e-5
    for i, j in ((0, 0), (1, int(targets[1])), (3, 4)):
        up, down = logits.clone(), logits.clone()
        up[i, j] += step
        down[i, j] -= step
        slope = (oracle(up, targets, 0.1) - oracle(down, targets, 0.1)) / (2 * step)
        assert float(single.grad[i, j]) == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_losses_are_computed_in_float32_under_autocast(name: str) -> None:
    logits, targets = case(0, 16, 10)
    half = logits.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        found = losses.LOSSES[name](half, targets, 0.1)
    assert found.dtype == torch.float32
    assert torch.equal(found, losses.LOSSES[name](half.float(), targets, 0.1))


@pytest.mark.parametrize("name", losses.LOSSES)
@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_the_loss_of_ignorance(name: str, classes: int) -> None:
    known = losses.of_ignorance(name, classes)
    found = losses.LOSSES[name](torch.zeros(3, classes), torch.tensor([0, 1, classes - 1]))
    assert known == pytest.approx(float(found), rel=1e-5)
    share = 1 / classes
    if name == "cross-entropy":
        assert known == math.log(classes)
    elif name == "focal":
        assert known == pytest.approx((1 - share) ** 2 * math.log(classes))
    else:
        assert known == pytest.approx(-(math.log(share) + (classes - 1) * math.log(1 - share)) / classes)


# Scores


def batch_of(targets: Tensor) -> Batch:
    return Batch(torch.zeros(len(targets), 1, 1, 1), targets)


def evaluated(n: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    logits, targets = case(seed, n, classes, scale=1.0)
    logits[torch.arange(n), targets] += 0.7
    return logits.float(), targets


@given(
    cuts=st.lists(st.integers(1, 59), max_size=6, unique=True),
    seed=st.integers(0, 10_000),
    classes=st.integers(2, 5),
)
@settings(max_examples=40, deadline=None)
def test_scores_over_uneven_batches_equal_one_pass_and_scikit_learn(cuts: list[int], seed: int, classes: int) -> None:
    logits, targets = evaluated(60, classes, seed)
    whole, parts = Scores(classes), Scores(classes)

    def take_in(scores: Scores, rows: slice) -> None:
        loss = float(F.cross_entropy(logits[rows], targets[rows]))
        scores.update(batch_of(targets[rows]), logits[rows], loss)

    take_in(whole, slice(None))
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 60], strict=True):
        take_in(parts, slice(start, end))
    assert (parts.matrix == whole.matrix).all()
    found = parts.result()
    assert found["loss"] == pytest.approx(whole.result()["loss"], rel=1e-5)
    assert found["loss"] == pytest.approx(float(F.cross_entropy(logits.double(), targets)), rel=1e-5)
    true, predicted = targets.numpy(), logits.numpy().argmax(1)
    assert found["top1"] == pytest.approx(sklearn.metrics.accuracy_score(true, predicted), abs=1e-12)
    assert found["macro_f1"] == pytest.approx(
        sklearn.metrics.f1_score(true, predicted, average="macro", zero_division=0), abs=1e-12
    )
    if set(predicted) <= set(true):
        # where a class is predicted that has no rows, scikit-learn warns
        expected = sklearn.metrics.balanced_accuracy_score(true, predicted)
        assert found["balanced_accuracy"] == pytest.approx(expected, abs=1e-12)
    assert parts.matrix.tolist() == sklearn.metrics.confusion_matrix(true, predicted, labels=range(classes)).tolist()


def test_a_small_last_batch_does_not_count_as_much_as_a_full_one() -> None:
    scores = Scores(2)
    scores.update(batch_of(torch.tensor([0, 0, 0])), torch.tensor([[1.0, 0.0]] * 3), 0.1)
    scores.update(batch_of(torch.tensor([1])), torch.tensor([[1.0, 0.0]]), 4.0)
    found = scores.result()
    assert found["loss"] == pytest.approx((3 * 0.1 + 4.0) / 4)
    assert found["top1"] == 0.75
    assert found["balanced_accuracy"] == 0.5


def test_no_pictures_give_no_number() -> None:
    found = Scores(3).result()
    assert math.isnan(found["loss"])
    assert math.isnan(found["top1"])


def test_bf16_answers_are_counted() -> None:
    scores = Scores(3)
    scores.update(batch_of(torch.tensor([2, 1])), torch.eye(3, dtype=torch.bfloat16)[1:], 0.5)
    assert scores.matrix.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]


# The task


def task(smoothing: float = 0.0, loss: str = "cross-entropy", mode: str = "L") -> Classify:
    mean, std = ((0.25,), (0.5,)) if mode == "L" else ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    preprocess = Preprocess(mode=mode, height=4, width=5, mean=mean, std=std)
    targets = np.array([2, 0, 1, 1, 0], dtype=np.int64)
    return Classify(targets, 3, preprocess, ClassifyOptions(loss, smoothing), torch.device("cpu"))


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_collate_normalises_and_looks_labels_up_by_row(mode: str, channels: int) -> None:
    classify = task(mode=mode)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, channels), dtype=np.uint8)
    before = pixels.copy()
    batch = classify.collate(Pictures(pixels, np.array([4, 0, 3])))
    assert len(batch) == 3
    assert batch.targets.tolist() == [0, 2, 1]
    assert batch.targets.dtype == torch.int64
    assert batch.images.shape == (3, channels, 4, 5)
    assert batch.images.dtype == torch.float32
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert (pixels == before).all()
    mean, std = classify.preprocess.mean, classify.preprocess.std
    for b in range(3):
        for c in range(channels):
            for i in range(4):
                for j in range(5):
                    expected = (int(pixels[b, i, j, c]) / 255 - mean[c]) / std[c]
                    assert float(batch.images[b, c, i, j]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_labels_are_smoothed_in_training_only(loss: str) -> None:
    classify = task(smoothing=0.3, loss=loss)
    model = nn.Sequential(nn.Flatten(), nn.Linear(20, 3))
    nn.init.normal_(model[1].weight, generator=torch.Generator().manual_seed(0))
    pixels = np.random.default_rng(1).integers(0, 256, (5, 4, 5, 1), dtype=np.uint8)
    batch = classify.collate(Pictures(pixels, np.arange(5)))
    logits = model(batch.images)
    oracle = BY_LOOPS[loss]
    for training, smoothing in ((True, 0.3), (False, 0.0)):
        model.train(training)
        found, outputs = classify.loss(model, batch)
        assert float(found.detach()) == pytest.approx(oracle(logits, batch.targets, smoothing), rel=1e-5)
        assert torch.equal(outputs, logits)
    assert oracle(logits, batch.targets, 0.3) != pytest.approx(oracle(logits, batch.targets, 0.0), rel=1e-3)


def test_what_is_expected_of_a_network_that_knows_nothing() -> None:
    assert task().expected_loss() == math.log(3)
    assert task(loss="bce").expected_loss() == losses.of_ignorance("bce", 3)
    assert task().chance() == pytest.approx(1 / 3)
    assert set(task().monitors) == set(Scores(3).result())
    assert [name for name, higher in task().monitors.items() if not higher] == ["loss"]
