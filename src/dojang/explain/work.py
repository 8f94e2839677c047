"""The arithmetic behind one number of a network, with the numbers that went into it: what a layer did for one unit."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float64, Int64


@dataclasses.dataclass(frozen=True, eq=False)
class Terms:
    """A sum of products, term by term, in float64.

    Args:
        patch: What the layer was given there: (channels, rows, columns) of a convolution, (inputs,) of a dense layer.
        kernel: The weights, of the same shape.
        bias: Added at the end.
        inside: Where the patch lies on the map; what lies beside it is padding.  None where all of it does.
        places: Of a convolution the row of each row of the patch in the map, and the column of each column.
        channels: The first of the map's channels in the patch, which is not 0 where they are in groups.
        folded: Of a dense layer the shape (c, h, w) of the map that was laid out in a row for it; None of others.
    """

    patch: Float64[np.ndarray, "*sides"]
    kernel: Float64[np.ndarray, "*sides"]
    bias: float = 0.0
    inside: Bool[np.ndarray, "rows columns"] | None = None
    places: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    channels: int = 0
    folded: tuple[int, int, int] | None = None

    @property
    def products(self) -> Float64[np.ndarray, "*sides"]:
        """Patch times kernel, number by number."""
        found: np.ndarray = self.patch * self.kernel
        return found

    @property
    def sum(self) -> float:
        """Of the products."""
        return float(self.products.sum())

    @property
    def sums(self) -> Float64[np.ndarray, channels]:
        """Of each channel's products; of a dense layer the products themselves."""
        found: np.ndarray = self.products.reshape(len(self.patch), -1).sum(axis=1)
        return found

    def largest(self, most: int | None) -> Int64[np.ndarray, kept] | None:
        """The channels (or inputs) with the largest sums, that have no more than so many numbers; None where all do.

        >>> Terms(np.array([1.0, -3.0, 2.0]), np.ones(3)).largest(2).tolist()
        [1, 2]
        """
        if most is None or self.patch.size <= most:
            return None
        count = max(1, most // max(1, self.patch[0].size))
        return np.sort(np.argsort(-np.abs(self.sums), kind="stable")[:count])

    @property
    def size(self) -> float:
        """The sum of the products without their signs: rounding errors are a share of it."""
        return float(np.abs(self.products).sum()) + abs(self.bias)


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """What a pooling looked at.

    Args:
        values: (rows, columns), those of the window that lie on the map.
        rows, columns: Their places in the map.
        winner: The place of the largest, where only that counts; None where the mean is taken.
        divisor: What the sum is divided by for a mean.
    """

    values: Float64[np.ndarray, "rows columns"]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    winner: tuple[int, int] | None = None
    divisor: int = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Work:
    """What a layer did for one unit.

    Args:
        kind: "convolution", "dense", "maximum", "mean", "normalisation", "activation", "sum", "copy", or "other" where
            it is not written out.
        formula: In letters.
        filled: The same with the numbers.
        result: What it comes to, computed here in float64; None where it is not written out.
        terms, window: Of a weighted sum; of a pooling.
        numbers: What the letters stand for.
        source: The index of what was handed on, where one number was.
        part: Which of several inputs it came from.
    """

    kind: str
    formula: str = ""
    filled: str = ""
    result: float | None = None
    terms: Terms | None = None
    window: Window | None = None
    numbers: tuple[tuple[str, float], ...] = ()
    source: tuple[int, ...] | None = None
    part: int = 0
