"""Whitening against its definition as loops, scikit-learn, and the covariance it is to give; places in a vector."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from dojang.data import flatten
from dojang.data.whiten import fit


def mixed(n: int, d: int, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, d)) @ draw.normal(size=(d, d)) + draw.normal(size=d)


def covariance(x: np.ndarray) -> np.ndarray:
    """The definition: one pair of features after the other, one row after the other."""
    n, d = x.shape
    means = [math.fsum(x[:, i]) / n for i in range(d)]
    found = np.empty((d, d))
    for i, j in itertools.product(range(d), range(d)):
        found[i, j] = math.fsum((x[r, i] - means[i]) * (x[r, j] - means[j]) for r in range(n)) / (n - 1)
    return found


@pytest.mark.parametrize(("n", "d"), [(40, 5), (200, 12), (7, 6)])
def test_the_covariance_becomes_the_identity(n: int, d: int) -> None:
    x = mixed(n, d)
    made = fit(x)
    for white in (made.pca(x), made.zca(x)):
        np.testing.assert_allclose(covariance(white), np.eye(d), atol=1e-8)
    np.testing.assert_allclose(covariance(made.rotated(x)), np.diag(made.values), atol=1e-8 * made.values[0])


@pytest.mark.parametrize(("n", "d"), [(40, 5), (200, 12), (6, 20)])
def test_as_scikit_learn(n: int, d: int) -> None:
    x = mixed(n, d, 1)
    made = fit(x)
    rank = min(d, n - 1)
    theirs = PCA(rank, whiten=True).fit(x)
    assert made.vectors.shape == (rank, d)
    np.testing.assert_allclose(made.values, theirs.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(made.values / made.total, theirs.explained_variance_ratio_, rtol=1e-9)
    # the sign of a direction is free
    signs = np.sign((made.vectors * theirs.components_).sum(axis=1))
    np.testing.assert_allclose(made.pca(x), theirs.transform(x) * signs, atol=1e-7)
    np.testing.assert_allclose(made.scaled(x), StandardScaler().fit_transform(x), atol=1e-9)
    np.testing.assert_allclose(made.centred(x), x - x.mean(axis=0), atol=1e-12)


def test_zca_is_the_symmetric_root_of_the_inverse() -> None:
    x = mixed(300, 6)
    values, vectors = np.linalg.eigh(covariance(x))
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    np.testing.assert_allclose(fit(x).zca(x), (x - x.mean(axis=0)) @ root, atol=1e-9)


def test_few_rows_and_many_rows_are_one_definition() -> None:
    # with as many rows as features both roads may be taken
    x = mixed(9, 8)
    many = fit(x)
    few = fit(np.hstack([x, np.zeros((9, 8))]))
    np.testing.assert_allclose(few.values, many.values, rtol=1e-9)
    np.testing.assert_allclose(few.vectors[:, :8], many.vectors, atol=1e-8)


def test_what_never_changes_stays_at_nothing() -> None:
    x = mixed(30, 3)
    x[:, 1] = 7.0
    made = fit(x)
    assert len(made.values) == 2
    for stage in (made.centred(x), made.scaled(x), made.zca(x)):
        np.testing.assert_allclose(stage[:, 1], 0, atol=1e-12)
    same = fit(np.ones((4, 3)))
    assert same.vectors.shape == (0, 3) and same.zca(np.ones((4, 3))).tolist() == [[0.0] * 3] * 4


def test_other_rows_are_treated_by_what_was_measured() -> None:
    x, other = mixed(50, 4), mixed(5, 4, 2)
    made = fit(x)
    np.testing.assert_allclose(made.scaled(other), (other - x.mean(axis=0)) / x.std(axis=0))
    assert np.abs(made.pca(other)).max() > 0


def test_epsilon_holds_small_directions_back() -> None:
    x = mixed(100, 5)
    made = fit(x, epsilon=0.5)
    expected = made.values / (made.values + 0.5)
    np.testing.assert_allclose(np.diag(covariance(made.pca(x))), expected, rtol=1e-9)


@pytest.mark.parametrize("x", [np.zeros((1, 3)), np.zeros(3), np.zeros((2, 2, 2))])
def test_what_cannot_be_measured(x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="two rows or more"):
        fit(x)


def test_places_in_a_vector() -> None:
    shape = (4, 5, 3)
    levels = np.arange(60).reshape(shape)
    last = [flatten.last(y, x, c, shape) for y in range(4) for x in range(5) for c in range(3)]
    first = [flatten.first(y, x, c, shape) for c in range(3) for y in range(4) for x in range(5)]
    # loops over all places in order count up
    assert last == first == list(range(60))
    planes = np.moveaxis(levels, 2, 0)
    for y, x, c in np.ndindex(shape):
        assert flatten.last(y, x, c, shape) == np.ravel_multi_index((y, x, c), shape)
        assert flatten.first(y, x, c, shape) == np.ravel_multi_index((c, y, x), (3, 4, 5))
        assert planes.reshape(-1)[flatten.first(y, x, c, shape)] == levels[y, x, c]
        for sum_ in flatten.written_out(y, x, c, shape):
            _, numbers, result = sum_.split(" = ")
            assert _evaluated(numbers) == int(result)


def _evaluated(text: str) -> int:
    """(a*b + c)*d + e"""
    a, b, c, d, e = (
        int(word) for word in text.replace("(", "").replace(")", "").replace("*", " ").replace("+", " ").split()
    )
    return (a * b + c) * d + e
