"""The stages of preprocessing as a page: the mean picture, four stages side by side, eigenvectors, two pixels' dots."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from dojang.doctor.sheet import Section, figure, grid, sheet, table
from dojang.doctor.stages import EPSILON, STAGES, Stages
from dojang.errors import many

_VECTORS, _EDGE = 16, 110
_SAID = {
    "original": "as the file has it",
    "zero-centred": "minus the mean picture",
    "scaled": "and each number divided by its own deviation",
    "whitened": "no number tells anything of another (ZCA)",
}


def page(found: Stages) -> str:
    """The text of the page."""
    kind = "gray" if len(found.mean) == 1 else "red, green, blue"
    summary = [
        *found.notes,
        f"{many(len(found.manifest), 'picture')} of the training part, {found.height} x {found.width}, {kind}; levels "
        "are from 0 to 1. No other picture was measured: validation and test must not be known beforehand.",
    ]
    sections = [_measured(found), _stages(found), _dots(found), _vectors(found)]
    if found.permuted is not None:
        sections.insert(1, _permuted(found, found.permuted))
    return sheet(f"Preprocessing of {found.manifest.source.name}", summary, sections)


def signed(values: np.ndarray, most: float) -> np.ndarray:
    """Numbers around 0 as uint8 levels: gray is 0, white is ``most`` and black -``most``.

    >>> signed(np.array([-2.0, 0.0, 1.0, 2.0, 9.0]), 2.0).tolist()
    [0, 128, 191, 255, 255]
    """
    return np.clip(np.rint(127.5 + 127.5 * values / (most or 1.0)), 0, 255).astype(np.uint8)


def _measured(found: Stages) -> Section:
    names = ("gray",) if len(found.mean) == 1 else ("red", "green", "blue")
    rows = [
        (name, f"{mean:.4f}", f"{deviation:.4f}", f"{255 * mean:.1f}", f"{255 * deviation:.1f}")
        for name, mean, deviation in zip(names, found.mean, found.deviation, strict=True)
    ]
    body = table(("channel", "mean", "deviation", "mean of 255", "deviation of 255"), rows)
    levels = np.rint(255 * found.mean_picture).astype(np.uint8)
    words = [
        "dojang takes the mean of its channel from every number and divides by the channel's deviation: (x - mean) / "
        "deviation. Both are saved with the weights, so that every later picture is treated alike.",
    ]
    return "Measured", words, body + figure(levels, "the mean picture", style="width:9rem")


def _stages(found: Stages) -> Section:
    rows = []
    limits = []
    for name in STAGES:
        values = found.stage(name)
        most = float(np.quantile(np.abs(values), 0.995))
        shown = np.rint(255 * values).astype(np.uint8) if name == "original" else signed(values, most)
        limits.append("0 to 1" if name == "original" else f"gray is 0, white {most:.2g}, black -{most:.2g}")
        rows.append((f"{name} | {_SAID[name]}; {limits[-1]}", list(zip(shown, found.names, strict=True))))
    height, width, channels = found.shape
    features = height * width * channels
    words = [
        f"Measured on {many(found.pictures, 'training picture')} of {height} x {width} pixels ({features:,} numbers "
        f"each), here number by number. Whitening divides by the root of variance + {EPSILON:g}; along "
        f"{len(found.whitening.values):,} of {features:,} directions anything varies. What is left is what a pixel's "
        "neighbours do not tell: edges.",
    ]
    return "Four stages", words, grid(rows)


def _permuted(found: Stages, both: np.ndarray) -> Section:
    said = "original | as the file has it", "permuted | what the network is shown, then normalised"
    rows = [(words, list(zip(some, found.names, strict=True))) for words, some in zip(said, both, strict=True)]
    words = [
        "With --permute-pixels every pixel goes to a place of its own, the same in all pictures. No number is lost: "
        "to a dense network, whose every pixel has weights of its own, both are alike. A convolution goes by "
        "neighbours, and here there are none. All else on this page is measured before.",
    ]
    return "One fixed order", words, grid(rows)


def _dots(found: Stages) -> Section:
    (row, column, channel), (_, beside, _) = found.pixels
    green = " (green)" if channel else ""
    figures = []
    for name in STAGES:
        dots = found.dots[name]
        between = np.cov(dots, rowvar=False)
        words = f"{name}: variances {between[0, 0]:.3g} and {between[1, 1]:.3g}, covariance {between[0, 1] + 0.0:.2g}"
        axes = found.pair.vectors * np.sqrt(found.pair.values)[:, None] if name == "zero-centred" else np.empty((0, 2))
        svg = _scatter(dots, axes)
        figures.append(Markup("<figure>{}<figcaption>{}</figcaption></figure>").format(svg, words))
    words_above = [
        f"Across, the pixel at row {row}, column {column}{green}; up, its neighbour at column {beside}; a dot for each "
        f"of {many(len(found.dots['original']), 'picture')}. Neighbours are alike, so the dots lie along a line; the "
        "two lines in the second drawing are the eigenvectors of their covariance, as long as one deviation. Whitening "
        "turns them onto the axes and makes them equally long.",
    ]
    return "Two pixels", words_above, Markup('<div class="four">{}</div>').format(Markup("").join(figures))


def _scatter(dots: np.ndarray, axes: np.ndarray) -> Markup:
    """Dots around the origin, both axes on one scale.

    Args:
        dots: float64 (n, 2).
        axes: float64 (k, 2), lines from the origin.
    """
    most = float(np.abs(dots).max()) * 1.08 or 1.0
    scale = _EDGE / most
    circles = Markup("").join(
        Markup('<circle cx="{}" cy="{}" r="1.7"/>').format(f"{scale * x:.1f}", f"{-scale * y:.1f}")
        for x, y in dots.tolist()
    )
    lines = Markup("").join(
        Markup('<line x2="{}" y2="{}"/>').format(f"{scale * x:.1f}", f"{-scale * y:.1f}") for x, y in axes.tolist()
    )
    return Markup(
        '<svg viewBox="-{e} -{e} {d} {d}" role="img"><g stroke="currentColor" stroke-opacity=".35">'
        '<line x1="-{e}" x2="{e}"/><line y1="-{e}" y2="{e}"/></g><g fill="var(--dot)" fill-opacity=".55">{circles}</g>'
        '<g stroke="var(--mark)" stroke-width="2.5">{lines}</g>'
        '<text x="{x}" y="-4" font-size="11" text-anchor="end" fill="currentColor">{most}</text></svg>'
    ).format(e=_EDGE, d=2 * _EDGE, circles=circles, lines=lines, x=_EDGE - 2, most=f"{most:.2g}")


def _vectors(found: Stages) -> Section:
    values, vectors = found.whitening.values, found.whitening.vectors
    pictures = []
    for value, vector in zip(values[:_VECTORS], vectors[:_VECTORS], strict=True):
        shown = signed(vector.reshape(found.shape), float(np.abs(vector).max()))
        pictures.append((shown, f"{100 * value / found.whitening.total:.1f} %"))
    share = 100 * float(values[:_VECTORS].sum()) / (found.whitening.total or 1.0)
    words = [
        "The directions in which the pictures differ most, each with its share of all variance; gray is 0. Every "
        "picture is the mean picture plus so much of each.",
    ]
    return (
        "Eigenvectors",
        words,
        grid([(f"the first {len(pictures)} | together {share:.1f} % of the variance", pictures)]),
    )
