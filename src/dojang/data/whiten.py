"""Zero-centred, scaled, whitened: what preprocessing can do to data before a network sees it.

Rows are samples and columns are features, such as the pixels of a picture. Everything is measured on the rows that
:func:`fit` is given, which are to be those of the training part; other rows are then treated alike.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, appendix A (ZCA); the four stages as
in most courses on neural networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# of the largest eigenvalue: what is below is rounding, not data
_NOTHING = 1e-10


@dataclass(frozen=True)
class Whitening:
    """What was measured of n rows of d features, and what can be done with it.

    Args:
        mean: float64 (d,), of each feature.
        deviation: float64 (d,), of each feature; 1 for one that never changes.
        vectors: float64 (k, d), the eigenvectors of the covariance as rows, the widest direction first; k is its rank.
        values: float64 (k,), the variance along each.
        total: The sum of the variances of all features.
        epsilon: Added to each variance before its root divides: directions in which nearly nothing varies are not blown
            up.
    """

    mean: np.ndarray
    deviation: np.ndarray
    vectors: np.ndarray
    values: np.ndarray
    total: float
    epsilon: float = 0.0

    def centred(self, x: np.ndarray) -> np.ndarray:
        """Each feature minus its mean: float64 (n, d), around 0."""
        centred: np.ndarray = np.asarray(x, np.float64) - self.mean
        return centred

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """Centred, and divided by the deviation: float64 (n, d), of mean 0 and deviation 1."""
        scaled: np.ndarray = self.centred(x) / self.deviation
        return scaled

    def rotated(self, x: np.ndarray) -> np.ndarray:
        """Centred, and seen along the eigenvectors: float64 (n, k), no two of them correlated."""
        rotated: np.ndarray = self.centred(x) @ self.vectors.T
        return rotated

    def pca(self, x: np.ndarray) -> np.ndarray:
        """Rotated, and each direction divided by its deviation: float64 (n, k), whose covariance is the identity."""
        white: np.ndarray = self.rotated(x) / np.sqrt(self.values + self.epsilon)
        return white

    def zca(self, x: np.ndarray) -> np.ndarray:
        """Whitened and rotated back: float64 (n, d); of all whitenings the one nearest to the centred data."""
        white: np.ndarray = self.pca(x) @ self.vectors
        return white


def fit(x: np.ndarray, epsilon: float = 0.0) -> Whitening:
    """Measure rows of data.

    Args:
        x: (n, d), two rows or more.
        epsilon: In the unit of the variances; 0 whitens exactly.

    Returns:
        With the eigenvectors of the covariance (divided by n - 1) along which anything varies. Each is turned so that
        its largest component is positive.

    Raises:
        ValueError: For fewer than two rows.

    Example:
        >>> x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0], [7.0, 8.0]])
        >>> np.cov(fit(x).pca(x), rowvar=False).round(6) + 0.0
        array([[1., 0.],
               [0., 1.]])
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"whitening needs two rows or more of features, not an array of shape {x.shape}")
    mean = x.mean(axis=0)
    centred = x - mean
    n, d = x.shape
    if n > d:
        values, columns = np.linalg.eigh(centred.T @ centred / (n - 1))
        vectors = columns.T
    else:
        # of few rows the products among rows have the same eigenvalues, and are the smaller matrix
        values, columns = np.linalg.eigh(centred @ centred.T / (n - 1))
        vectors = columns.T @ centred
    # widest first; what does not vary has no direction
    order = [i for i in np.argsort(-values, kind="stable") if values[i] > _NOTHING * max(values.max(), 0.0)]
    values, vectors = values[order], vectors[order]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    deviation = x.std(axis=0)
    return Whitening(
        mean=mean,
        # a feature that never changes stays at 0
        deviation=np.where(deviation > 0, deviation, 1.0),
        vectors=vectors * np.sign(largest),
        values=values,
        total=float((centred**2).sum() / (n - 1)),
        epsilon=epsilon,
    )
