"""Whether a picture is like those that a network has learned, or none of these: how far it lies from all classes.

The features in front of the last layer are brought to length one; each class is the mean of its training pictures
there, and all classes share one covariance, that of Ledoit and Wolf, kept as its 64 widest directions and one variance
for all others.  A picture's distance is Mahalanobis's to the nearest class, and its familiarity the share of validation
pictures that lie at least as far out.
Sources: Lee, Lee, Lee, Shin, arXiv:1807.03888, for the distance; Mueller and Hein, arXiv:2505.18032, for the length of
one; Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", J. Multivariate Analysis
88, 2004; Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005, for the share.  What it was chosen
from: benchmarks/results/unknown.json.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from dojang.errors import many

#: directions in which the covariance is kept
DIRECTIONS = 64
#: bytes that go with weights at most
MOST_BYTES = 2**20
#: a picture with no larger a familiarity is none of these; so 95 % of pictures like the validation part's are known
UNFAMILIAR = 0.05
#: validation pictures from which on one of them can be that far out: 1 / (19 + 1)
FEWEST = 19
# distances of validation pictures that are kept
_KEPT = 2000
# numbers of a table that is worked on at once
_AT_ONCE = 2**22
_NAMES = ("means", "axes", "spread", "known")


@dataclass(frozen=True)
class Familiar:
    """What pictures of known classes look like to a network; saved with its weights.

    Args:
        means: float32 (c, d), of the features of each class that was learned.
        axes: float32 (d, k), directions at right angles.
        spread: float32 (k + 1,), the variance along each, and of all others.
        known: float32 (m,), the distances of validation pictures, ascending.
    """

    means: Float[Tensor, "c d"]
    axes: Float[Tensor, "d k"]
    spread: Float[Tensor, " k1"]
    known: Float[Tensor, " m"]

    def distances(self, features: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """Squared, to the nearest class; float64."""
        return torch.from_numpy(self._of(features.detach().cpu().double().numpy()))

    def familiarity(self, features: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """The share of validation pictures, the picture itself counted as one, that lie at least as far out."""
        return torch.from_numpy(self.shares(features.detach().cpu().double().numpy()))

    def shares(self, features: Float[np.ndarray, "b d"]) -> Float64[np.ndarray, " b"]:
        """:meth:`familiarity`, of arrays: a server asks for one picture at a time, and tensors would cost it more."""
        known = self._parts[-1]
        found: np.ndarray = (len(known) - np.searchsorted(known, self._of(features)) + 1) / (len(known) + 1)
        return found

    def _of(self, features: np.ndarray) -> np.ndarray:
        # a table of pictures by classes by directions: of a thousand classes a picture takes half a megabyte
        some = max(1, _AT_ONCE // max(1, self.means.numel()))
        found = [self._distances(features[at : at + some]) for at in range(0, len(features), some)]
        return found[0] if len(found) == 1 else np.concatenate([np.zeros(0), *found])

    def _distances(self, features: np.ndarray) -> np.ndarray:
        means, axes, centres, spread, last, _ = self._parts
        # ufuncs' own reductions: of one picture, numpy's functions around them take as long as the sums
        unit = features.astype(np.float64)
        # in place of zero, as torch's normalize has it
        unit /= np.maximum(np.sqrt(np.add.reduce(unit * unit, axis=1, keepdims=True)), 1e-12)
        # (b, c, k): of what lies between a picture and a class, the part in the kept directions
        inside = (unit @ axes)[:, None] - centres
        inside *= inside
        gaps = unit[:, None] - means
        gaps *= gaps
        rest = np.maximum(np.add.reduce(gaps, axis=2) - np.add.reduce(inside, axis=2), 0)
        found: np.ndarray = np.minimum.reduce(inside @ spread + rest * last, axis=1)
        return found

    @functools.cached_property
    def _parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float, np.ndarray]:
        """In float64: means, axes, means along the axes, one over each variance and over that of all others, known."""
        means, axes, spread, known = (getattr(self, name).cpu().double().numpy() for name in _NAMES)
        return means, axes, means @ axes, 1 / spread[:-1], float(1 / spread[-1]), known

    def tensors(self) -> dict[str, Tensor]:
        """By name, for a weights file."""
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Familiar | None:
        """Of what a weights file holds; None where that is not what :meth:`tensors` gave."""
        if set(tensors) != set(_NAMES):
            return None
        means, axes, spread, known = (tensors[name] for name in _NAMES)
        sound = [tensor.ndim for tensor in (means, axes, spread, known)] == [2, 2, 1, 1]
        sound &= all(t.dtype == torch.float32 and t.numel() and bool(t.isfinite().all()) for t in tensors.values())
        if not sound or means.shape[1] != axes.shape[0] or len(spread) != axes.shape[1] + 1 or float(spread.min()) <= 0:
            return None
        return cls(means, axes, spread, known)


def fit(learned: Float[Tensor, "n d"], labels: Int64[Tensor, " n"], held_out: Float[Tensor, "m d"]) -> Familiar | str:
    """What known pictures look like, or, where that cannot be said, why.

    Args:
        learned: Features of training pictures.
        labels: Their classes.
        held_out: Features of validation pictures: the network is at home with those it has learned by heart.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> seen = torch.randn(300, 8, generator=draw) + 9 * torch.eye(8)[torch.arange(300) % 3]
        >>> found = fit(seen[:200], torch.arange(200) % 3, seen[200:])
        >>> bool((found.familiarity(-seen) <= UNFAMILIAR).all())
        True
    """
    if len(held_out) < FEWEST:
        return f"{many(len(held_out), 'validation picture')}, fewer than {FEWEST}"
    classes, places = np.unique(labels.numpy(), return_inverse=True)
    own = torch.from_numpy(places.astype(np.int64))
    size = 4 * (len(classes) * learned.shape[1] + (learned.shape[1] + 1) * (DIRECTIONS + 1))
    if size > MOST_BYTES:
        of = f"{many(len(classes), 'class', 'classes')} of {learned.shape[1]:,} features"
        return f"{of} would take {size / 2**20:.1f} MiB, more than {MOST_BYTES / 2**20:g}"
    if not (bool(learned.isfinite().all()) and bool(held_out.isfinite().all())):
        return "features that are not finite"
    unit = _unit(learned)
    means = torch.zeros(len(classes), unit.shape[1], dtype=torch.float64).index_add_(0, own, unit)
    means /= own.bincount()[:, None]
    axes, spread = _covariance(unit - means[own])
    if not bool(spread.isfinite().all()) or float(spread.max()) <= 0:
        return "features that are the same for all pictures of a class"
    made = Familiar(means.float(), axes.float(), spread.float(), torch.zeros(1))
    known = made.distances(held_out).sort().values
    if len(known) > _KEPT:
        known = known[torch.linspace(0, len(known) - 1, _KEPT, dtype=torch.float64).round().long()]
    return Familiar(made.means, made.axes, made.spread, known.float())


def _unit(features: Tensor) -> Tensor:
    """At length one, float64 on the CPU."""
    return torch.nn.functional.normalize(features.cpu().double(), dim=1)


def _covariance(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The widest directions (d, k) of centred rows, and the variances (k + 1,) along them and of all others, shrunk.

    With more features than rows the eigenvectors are those of the rows' products, which are fewer.
    """
    n, d = rows.shape
    small = rows @ rows.T if n < d else rows.T @ rows
    values, vectors = torch.linalg.eigh(small / n)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    count = min(DIRECTIONS, d, int((values > values[0] * 1e-9).sum()))
    axes = vectors[:, :count]
    if n < d:
        axes = torch.nn.functional.normalize(rows.T @ axes, dim=0)
    # an eigenvector's sign is arbitrary, so it is fixed
    largest = axes.abs().argmax(dim=0)
    axes = axes * axes[largest, torch.arange(count)].sign()
    mean = float(values.sum()) / d
    share = shrinkage(rows)
    rest = (float(values.sum() - values[:count].sum()) / (d - count)) if d > count else float(values[-1])
    spread = torch.cat([values[:count], values.new_tensor([rest])]) * (1 - share) + share * mean
    # none is so narrow that rounding decides
    return axes, spread.clamp(min=1e-6 * mean)


def shrinkage(rows: Float[Tensor, "n d"]) -> float:
    """How much of the covariance of centred rows is replaced by a sphere of the same volume: Ledoit and Wolf's share.

    >>> rows = torch.randn(50, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> 0.5 < shrinkage(rows) < 1
    True
    """
    n, d = rows.shape
    lengths = rows.square().sum(dim=1)
    products = (rows @ rows.T if n < d else rows.T @ rows).square().sum()
    # squared sizes, over d as in the paper: of the covariance less the sphere, and of the noise in it
    apart = float(products / n**2 - (lengths.sum() / n) ** 2 / d)
    noise = float(lengths.square().sum() / n - products / n**2) / n
    return min(1.0, max(0.0, noise / apart)) if apart > 0 else 1.0
