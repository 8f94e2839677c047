"""Scores against their definition as loops, against scikit-learn to 1e-12, and by properties."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from dojang.errors import ConfigError
from dojang.metrics.scores import (
    balanced_accuracy,
    confusion_matrix,
    log_loss,
    macro_f1,
    per_class,
    softmax,
    top_k_accuracy,
    weighted_f1,
)

CLOSE = {"rel": 1e-12, "abs": 1e-12}


@st.composite
def answers(draw):
    """(true, predicted, c): few rows and up to 8 classes, so empty and never predicted classes are the rule."""
    c = draw(st.integers(1, 8))
    pairs = draw(st.lists(st.tuples(st.integers(0, c - 1), st.integers(0, c - 1)), min_size=1, max_size=40))
    true, predicted = np.array(pairs, dtype=np.int64).T
    return true, predicted, c


@st.composite
def tables(draw):
    """(true, probabilities): values from a small set, so ties are the rule."""
    c, n = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    levels = draw(st.lists(st.integers(0, 3), min_size=n * c, max_size=n * c))
    true = draw(st.lists(st.integers(0, c - 1), min_size=n, max_size=n))
    return np.array(true), np.array(levels, dtype=np.float64).reshape(n, c)


def many(seed: int, n: int = 500, c: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """(true, probabilities) without ties; the truth is more probable than the rest, as in life."""
    draws = np.random.default_rng(seed)
    true = draws.integers(0, c, n)
    logits = draws.normal(size=(n, c))
    logits[np.arange(n), true] += 1.5
    return true, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@given(answers())
def test_confusion_matrix_is_its_definition(case):
    true, predicted, c = case
    matrix = confusion_matrix(true, predicted, c)
    for i in range(c):
        for j in range(c):
            assert matrix[i, j] == sum(t == i and p == j for t, p in zip(true, predicted, strict=True))
    assert matrix.sum() == len(true)
    assert matrix.dtype == np.int64
    # of a single label it warns, so it gets one more, without rows
    theirs = sklearn.metrics.confusion_matrix(true, predicted, labels=range(c + 1))
    assert np.array_equal(matrix, theirs[:c, :c])


@given(answers())
def test_scores_of_the_matrix_equal_scikit_learn(case):
    true, predicted, c = case
    matrix = confusion_matrix(true, predicted, c)
    ours = per_class(matrix)
    theirs = sklearn.metrics.precision_recall_fscore_support(true, predicted, labels=range(c), zero_division=0)
    for mine, other in zip((ours.precision, ours.recall, ours.f1, ours.support), theirs, strict=True):
        assert mine.shape == (c,)
        assert mine == pytest.approx(other, **CLOSE)
    for score, average in ((macro_f1, "macro"), (weighted_f1, "weighted")):
        assert score(matrix) == pytest.approx(
            sklearn.metrics.f1_score(true, predicted, average=average, zero_division=0), **CLOSE
        )
    with warnings.catch_warnings():
        # it warns of classes without rows and of one class alone, and leaves them out, as we do
        warnings.simplefilter("ignore")
        expected = sklearn.metrics.balanced_accuracy_score(true, predicted)
    assert balanced_accuracy(matrix) == pytest.approx(expected, **CLOSE)


@given(answers())
def test_per_class_is_its_definition(case):
    true, predicted, c = case
    scores = per_class(confusion_matrix(true, predicted, c))
    for k in range(c):
        right = sum(1 for t, p in zip(true, predicted, strict=True) if t == p == k)
        said, have = sum(p == k for p in predicted), sum(t == k for t in true)
        precision, recall = (right / said if said else 0.0), (right / have if have else 0.0)
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        assert (scores.precision[k], scores.recall[k], scores.support[k]) == (precision, recall, have)
        assert scores.f1[k] == pytest.approx(f1, **CLOSE)


@given(answers(), st.integers(1, 7))
def test_uneven_batches_add_up(case, size):
    true, predicted, c = case
    cuts = range(size, len(true), size)
    parts = zip(np.split(true, cuts), np.split(predicted, cuts), strict=True)
    total = sum(confusion_matrix(t, p, c) for t, p in parts)
    assert np.array_equal(total, confusion_matrix(true, predicted, c))


@given(answers(), st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_the_order_of_rows_or_classes(case, random):
    true, predicted, c = case
    rows, names = list(range(len(true))), list(range(c))
    random.shuffle(rows)
    random.shuffle(names)
    renamed = np.array(names)
    one = confusion_matrix(true, predicted, c)
    other = confusion_matrix(renamed[true[rows]], renamed[predicted[rows]], c)
    for score in (balanced_accuracy, macro_f1, weighted_f1):
        assert score(one) == pytest.approx(score(other), **CLOSE)
    assert per_class(other).f1[renamed] == pytest.approx(per_class(one).f1, **CLOSE)


@given(answers())
def test_an_empty_class_more_changes_nothing(case):
    true, predicted, c = case
    one, other = confusion_matrix(true, predicted, c), confusion_matrix(true, predicted, c + 1)
    for score in (balanced_accuracy, macro_f1, weighted_f1):
        assert score(one) == pytest.approx(score(other), **CLOSE)
    scores = per_class(other)
    assert scores.precision[c] == scores.recall[c] == scores.f1[c] == scores.support[c] == 0


@given(tables(), st.data())
def test_top_k_is_its_definition_with_ties(case, data):
    true, probabilities = case
    k = data.draw(st.integers(1, probabilities.shape[1]))
    hits = 0
    for label, row in zip(true, probabilities, strict=True):
        hits += label in sorted(range(len(row)), key=lambda j, row=row: (-row[j], j))[:k]
    assert top_k_accuracy(true, probabilities, k) == pytest.approx(hits / len(true), **CLOSE)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    assert top_k_accuracy(true, probabilities, k) == np.mean((best == true[:, None]).any(axis=1))


@given(tables())
def test_top_1_is_argmax_and_top_c_is_everything(case):
    true, probabilities = case
    assert top_k_accuracy(true, probabilities, 1) == np.mean(probabilities.argmax(axis=1) == true)
    shares = [top_k_accuracy(true, probabilities, k) for k in range(1, probabilities.shape[1] + 1)]
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_top_k_equals_scikit_learn_without_ties(k):
    true, probabilities = many(k)
    expected = sklearn.metrics.top_k_accuracy_score(true, probabilities, k=k, labels=range(7))
    assert top_k_accuracy(true, probabilities, k) == pytest.approx(expected, **CLOSE)
    assert top_k_accuracy(true, np.log(probabilities), k) == pytest.approx(expected, **CLOSE)


@pytest.mark.parametrize("values", [np.uint8([[1, 2, 3]]), np.float32([[-np.inf, 0, np.inf]]), [[False, False, True]]])
def test_top_k_reads_any_kind_of_number(values):
    # -x of uint8 would wrap around
    assert [top_k_accuracy([2], values, k) for k in (1, 2)] == [1.0, 1.0]
    assert [top_k_accuracy([0], values, k) for k in (1, 3)] == [0.0, 1.0]


@pytest.mark.parametrize("seed", range(5))
def test_log_loss_equals_scikit_learn(seed):
    true, probabilities = many(seed)
    # certain and right, and certain and wrong
    probabilities[:2] = 0
    probabilities[0, true[0]] = 1
    probabilities[1, (true[1] + 1) % 7] = 1
    ours = log_loss(true, probabilities)
    assert ours == pytest.approx(sklearn.metrics.log_loss(true, probabilities, labels=range(7)), **CLOSE)
    assert ours == pytest.approx(
        sum(-math.log(min(max(row[t], 2**-52), 1 - 2**-52)) for t, row in zip(true, probabilities, strict=True)) / 500,
        **CLOSE,
    )


def test_log_loss_of_guessing_is_ln_c():
    for c in (2, 3, 10, 1000):
        assert log_loss([0, 1], np.full((2, c), 1 / c)) == pytest.approx(math.log(c), **CLOSE)


def test_log_loss_takes_float32_as_it_is():
    true, probabilities = many(0)
    single = probabilities.astype(np.float32)
    assert log_loss(true, single) == log_loss(true, single.astype(np.float64))


def test_softmax_is_its_definition_and_shifts_change_nothing():
    draws = np.random.default_rng(0)
    logits = draws.normal(size=(4, 5, 6)) * 10
    ours = softmax(logits)
    for place in np.ndindex(4, 5):
        total = sum(math.exp(value) for value in logits[place])
        assert ours[place] == pytest.approx([math.exp(value) / total for value in logits[place]], **CLOSE)
    assert ours == pytest.approx(softmax(logits + 5000.0), rel=1e-9)
    assert ours.sum(axis=-1) == pytest.approx(np.ones((4, 5)), **CLOSE)
    assert softmax(np.float16([60000, -60000])).tolist() == [1, 0]
    assert softmax([[0.0, -2000.0]]).tolist() == [[1.0, 0.0]]


def test_inputs_are_read_only_and_unchanged():
    true, probabilities = many(1)
    matrix = confusion_matrix(true, probabilities.argmax(axis=1), 7)
    copies = [array.copy() for array in (true, probabilities, matrix)]
    for array in (true, probabilities, matrix):
        array.flags.writeable = False
    top_k_accuracy(true, probabilities, 2)
    log_loss(true, probabilities[:, ::-1])
    softmax(probabilities)
    for score in (per_class, balanced_accuracy, macro_f1, weighted_f1):
        score(matrix)
    assert all(np.array_equal(*pair) for pair in zip(copies, (true, probabilities, matrix), strict=True))


def test_zero_rows():
    matrix = confusion_matrix([], [], 3)
    assert matrix.tolist() == [[0] * 3] * 3
    scores = per_class(matrix)
    assert [array.tolist() for array in (scores.precision, scores.recall, scores.f1, scores.support)] == [[0] * 3] * 4
    assert all(math.isnan(score(matrix)) for score in (balanced_accuracy, macro_f1, weighted_f1))
    assert math.isnan(top_k_accuracy([], np.zeros((0, 3)), 1))
    assert math.isnan(log_loss([], np.zeros((0, 3))))
    assert softmax(np.zeros((0, 3))).shape == (0, 3)


NAN = [[0.5, float("nan")]]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: confusion_matrix([0, 1], [0], 2),
            "true has shape (2,) and predicted has shape (1,); expected one prediction a row.",
        ),
        (lambda: confusion_matrix([0, 2], [0, 0], 2), "true has the class id 2 in row 1; expected 0 to 1."),
        (lambda: confusion_matrix([0, 1], [0, -1], 2), "predicted has the class id -1 in row 1; expected 0 to 1."),
        (lambda: confusion_matrix([0.0], [0], 2), "true has type float64 and shape (1,); expected whole numbers."),
        (lambda: confusion_matrix([[0]], [0], 2), "true has shape (1, 1); expected (n,), one class id a row."),
        (lambda: confusion_matrix([[0], [0, 1]], [0], 2), "true is no array: "),
        (lambda: confusion_matrix([0], [0], 0), "n_classes is 0; expected a whole number from 1."),
        (lambda: confusion_matrix([0], [0], True), "n_classes is True; expected a whole number from 1."),
        (
            lambda: top_k_accuracy([0, 1], [[1, 0]], 1),
            "top_k_accuracy: true has shape (2,) and probabilities has shape (1, 2); expected (n,) and (n, c).",
        ),
        (lambda: top_k_accuracy([0], [[1, 0]], 0), "k is 0 and probabilities has shape (1, 2); expected k from 1 to 2"),
        (lambda: top_k_accuracy([0], [[1, 0]], 3), "k is 3 and probabilities has shape (1, 2); expected k from 1 to 2"),
        (lambda: top_k_accuracy([0], [[1, 0]], 1.0), "k is 1.0 and probabilities has shape (1, 2)"),
        (lambda: top_k_accuracy([2], [[1, 0]], 1), "true has the class id 2 in row 0; expected 0 to 1."),
        (lambda: top_k_accuracy([0], NAN, 1), "top_k_accuracy: row 0 of probabilities, shape (1, 2), holds nan."),
        (lambda: top_k_accuracy([0], [["a", "b"]], 1), "probabilities has type <U1 and shape (1, 2); expected numbers"),
        (lambda: log_loss([0], NAN), "log_loss: row 0 of probabilities, shape (1, 2), holds nan."),
        (
            lambda: log_loss([0, 0], [[1, 0], [3, -1]]),
            "row 1 of probabilities, shape (2, 2), sums to 2 and its least value is -1; expected values from 0 that "
            "sum to 1.\n  Fix: log_loss(true, softmax(logits))",
        ),
        (lambda: log_loss([0], [[1.5, -0.5]]), "sums to 1 and its least value is -0.5"),
        (lambda: log_loss([0], [1.0]), "true has shape (1,) and probabilities has shape (1,)"),
        (lambda: softmax([]), "softmax: logits has shape (0,); expected at least one class."),
        (lambda: softmax(1.0), "softmax: logits has shape (); expected at least one class."),
        (lambda: softmax(NAN), "softmax: logits of shape (1, 2) holds nan or infinity."),
        (lambda: per_class([[1, 2]]), "matrix has shape (1, 2) and least value 1; expected a confusion matrix"),
        (lambda: macro_f1([[1, -2], [0, 0]]), "matrix has shape (2, 2) and least value -2; expected a confusion"),
        (lambda: weighted_f1([[0.5]]), "matrix has type float64 and shape (1, 1); expected whole numbers."),
        (lambda: balanced_accuracy(np.zeros((0, 0), int)), "matrix has shape (0, 0); expected a confusion matrix"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_shapes(call, text):
    with pytest.raises(ConfigError) as caught:
        call()
    assert caught.value.code == "C220"
    assert text in str(caught.value)
