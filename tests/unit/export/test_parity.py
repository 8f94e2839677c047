"""A graph that answers otherwise is found out, and leaves no file (RELIABILITY S1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError, ExportError
from dojang.export import graph as graphs
from dojang.export.export import export
from dojang.export.parity import TOLERANCE, check
from dojang.export.real import Picture
from dojang.predict.predictor import Predictor

LABELS = ("cat", "dog", "\x1b[31mred")
Ask = Callable[[np.ndarray], np.ndarray]


class Known(nn.Module):
    """Gives the same scores to whatever it sees."""

    def __init__(self, probabilities: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("scores", torch.tensor(probabilities).double().log().float())

    def forward(self, x: Tensor) -> Tensor:
        return self.scores.expand(len(x), -1)


def predictor(*probabilities: float) -> Predictor:
    steps = Preprocess("RGB", 4, 4, mean=(0.0,) * 3, std=(1.0,) * 3)
    return Predictor(Known(probabilities), LABELS, steps)


def pictures(n: int = 40, sizes: tuple[tuple[int, int], ...] = ((4, 5),)) -> list[Picture]:
    made = []
    for i in range(n):
        pixels = np.full((*sizes[i % len(sizes)], 3), i, np.uint8)
        made.append(Picture(f"{i}.png", "val" if i < 30 else "train", 0, pixels, pixels))
    return made


def saying(*probabilities: float, when: Callable[[np.ndarray], bool] = lambda pixels: True) -> Ask:
    """A graph that says this (where not: half, a third and the rest)."""

    def ask(pixels: np.ndarray) -> np.ndarray:
        row = probabilities if when(pixels) else (0.5, 0.3, 0.2)
        return np.tile(np.array(row, np.float32), (len(pixels), 1))

    return ask


def test_what_agrees() -> None:
    found = check(saying(0.5, 0.3, 0.2), predictor(0.5, 0.3, 0.2), pictures())
    assert (found.n, found.pictures, found.ties) == (40, {"val": 30, "train": 10}, 0)
    assert found.gap < 1e-6 and found.sizes == 1 and found.side_by_side is None and found.size == (4, 5)
    told = found.as_dict()
    assert told["largest_probability_difference"] == found.gap and told["tolerance"] == TOLERANCE == 1e-4


def test_pictures_of_several_sizes_are_batched_at_the_commonest() -> None:
    seen = set[tuple[int, ...]]()

    def ask(pixels: np.ndarray) -> np.ndarray:
        seen.add(pixels.shape)
        return saying(0.5, 0.3, 0.2)(pixels)

    found = check(ask, predictor(0.5, 0.3, 0.2), pictures(40, ((4, 5), (3, 9), (4, 5), (700, 900))))
    assert found.sizes == 3 and found.side_by_side == (4, 5)
    # alone each at its own size; 40 are five sevens and a five, and one of 32 and an eight
    alone = {(1, 4, 5, 3), (1, 3, 9, 3), (1, 700, 900, 3)}
    assert seen == alone | {(n, 4, 5, 3) for n in (5, 7, 8, 32)}


def test_the_whole_text() -> None:
    with pytest.raises(ExportError) as caught:
        check(saying(0.25, 0.5, 0.25, when=lambda pixels: pixels.max() == 3), predictor(0.5, 0.3, 0.2), pictures())
    assert str(caught.value) == (
        "ExportError[E701]: the exported graph does not answer as the network does, e.g. 3.png (5 x 4): "
        "cat is 0.500000, and 0.250000 in the graph.\n"
        "  1 of 40 answers had another label, or a probability more than 0.0001 off. No file is left.\n"
        '  Fix: another --format; or other versions of the libraries: pip install --upgrade "dojang[export]"'
    )
    assert caught.value.exit_code == 1


def test_a_tie_may_fall_either_way() -> None:
    found = check(saying(0.39996, 0.40004, 0.2), predictor(0.40003, 0.39997, 0.2), pictures())
    assert found.ties == 3 * 40


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        # the label is the same, and a probability is not
        ((0.5 - 2e-4, 0.3 + 2e-4, 0.2), "cat is 0.500000, and 0.499800"),
        # not the label's, but the last one's, whose name must not paint the terminal
        ((0.5, 0.2999, 0.2005), r"\x1b[31mred is 0.200000, and 0.200500"),
        ((np.nan, 0.3, 0.2), "and nan in the graph"),
        ((0.5, 0.5), "3 classes, 2 in the graph"),
    ],
)
def test_what_does_not_agree(theirs: tuple[float, ...], said: str) -> None:
    with pytest.raises(ExportError, match=r"E701\]") as caught:
        check(saying(*theirs), predictor(0.5, 0.3, 0.2), pictures())
    assert said in str(caught.value) and "40 of 40 answers" in str(caught.value)


def test_another_label_is_no_tie_where_the_two_were_apart() -> None:
    """Each probability is within the tolerance, and still the answer is another one."""
    ours, theirs = (0.40008, 0.39993, 0.19999), (0.39999, 0.40002, 0.19999)
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < TOLERANCE
    with pytest.raises(ExportError, match="40 of 40 answers had another label"):
        check(saying(*theirs), predictor(*ours), pictures())


@pytest.mark.parametrize("batch", [7, 32])
def test_what_goes_wrong_in_batches_only(batch: int) -> None:
    with pytest.raises(ExportError) as caught:
        check(saying(0.3, 0.5, 0.2, when=lambda pixels: len(pixels) == batch), predictor(0.5, 0.3, 0.2), pictures())
    assert f"0.png (5 x 4, in a batch of {batch})" in str(caught.value)


def test_no_picture_at_all() -> None:
    with pytest.raises(ConfigError) as caught:
        check(saying(1, 0, 0), predictor(0.5, 0.3, 0.2), [])
    assert str(caught.value).startswith(
        "ConfigError[C218]: no picture of the data can be read, or is the one that it was."
    )


def off(self: graphs.Graph, pictures: Tensor) -> Tensor:
    """As Graph.forward, with scores 2 % larger."""
    scores: Tensor = self.network(self.preparation(pictures)) * 1.02
    return (scores / self.temperature).softmax(dim=1)


def bicubic(size: Tensor, pixels: Tensor, inner: Tensor, wanted: Tensor, interpolation: str) -> Tensor:
    """The filter of another library's resize, say."""
    return COEFFICIENTS(size, pixels, inner, wanted, "bicubic")


COEFFICIENTS = graphs.coefficients


@pytest.mark.parametrize(
    ("where", "format"), [("behind the network", "torch-export"), ("before the network", "torch-export")], ids=str
)
def test_a_sabotaged_graph_leaves_no_file(
    where: str, format: str, coloured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "behind the network":
        monkeypatch.setattr(graphs.Graph, "forward", off)
    else:
        monkeypatch.setattr(graphs, "coefficients", bicubic)
    place = tmp_path / ("bad.onnx" if format == "onnx" else "bad.pt2")
    place.write_bytes(b"what was there")
    with pytest.raises(ExportError, match=r"E701\]: the exported graph does not answer as the network does"):
        export(coloured, format, out=place, exist_ok=True)
    # nor is the one that was there touched
    assert [path.name for path in tmp_path.iterdir()] == [place.name] and place.read_bytes() == b"what was there"
