"""What an evaluation left is read back as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dojang.errors import DataError
from dojang.evaluate import files, kept
from dojang.evaluate.evaluate import Evaluation
from dojang.evaluate.kept import Kept
from dojang.files import write_text


def evaluation(split: str, labels: tuple[str, ...], n: int = 12) -> Evaluation:
    draw = np.random.default_rng(len(split))
    probabilities = draw.dirichlet(np.ones(len(labels)), n).astype(np.float32)
    paths = tuple(f'{split}/a "b", \n{i}.png' for i in range(n))
    return Evaluation(split, paths, draw.integers(0, len(labels), n), probabilities, labels)


def put(folder: Path, *several: Evaluation) -> None:
    rows = [files.PREDICTIONS, *(row for one in several for row in files.answers(one))]
    write_text(folder / "predictions.csv", files.table(rows))
    named = [[label, one.split, "0", "0", "0", "0"] for one in several for label in one.labels]
    write_text(folder / "per_class.csv", files.table([files.PER_CLASS, *named]))


def test_answers_come_back(tmp_path: Path) -> None:
    # a class that nobody answers and that no picture has keeps its place
    labels = ("z", "a,b", "=x()", "none has it")
    one = evaluation("val", labels)
    one = Evaluation("val", one.paths, one.true % 3, np.delete(one.probabilities, 3, 1).copy(), labels)
    put(tmp_path, one, evaluation("train", labels))
    found = kept.read(tmp_path)
    assert found is not None and (found.split, found.labels, found.paths) == ("val", labels, one.paths)
    assert (found.true == one.true).all() and (found.predicted == one.predicted).all()
    assert np.allclose(found.probability, one.probabilities.max(axis=1), atol=1e-6)
    assert (found.matrix == one.matrix).all()


def test_the_split_that_judges_best_is_taken(tmp_path: Path) -> None:
    put(tmp_path, *(evaluation(split, ("a", "b")) for split in ("train", "val", "test")))
    assert [kept.read(tmp_path, split).split for split in (None, "val")] == ["test", "val"]
    with pytest.raises(DataError, match="D121"):
        kept.read(tmp_path, "elsewhere")
    (tmp_path / "per_class.csv").unlink()
    assert kept.read(tmp_path).labels == ("a", "b")
    (tmp_path / "predictions.csv").unlink()
    assert kept.read(tmp_path) is None


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0, 1)), min_size=1, max_size=40))
def test_what_is_behind_a_cell(rows: list[tuple[int, int, float]]) -> None:
    true, predicted, probability = (np.array(column) for column in zip(*rows, strict=True))
    found = Kept("test", ("a", "b", "c"), tuple(map(str, range(len(rows)))), true, predicted, probability)
    everything = []
    for i in range(3):
        for j in range(3):
            inside = found.cell(i, j).tolist()
            everything += inside
            assert all(rows[row][:2] == (i, j) for row in inside)
            sure = [rows[row][2] for row in inside]
            assert sure == sorted(sure, reverse=i != j)
    assert sorted(everything) == list(range(len(rows)))
    wrong = found.wrong().tolist()
    assert sorted(wrong) == [i for i, (t, p, _) in enumerate(rows) if t != p]
    assert [rows[i][2] for i in wrong] == sorted((rows[i][2] for i in wrong), reverse=True)
    assert found.wrong(2).tolist() == wrong[:2]
    assert sum(n for _, _, n in found.confused()) == len(wrong)
    assert [n for _, _, n in found.confused()] == sorted((n for _, _, n in found.confused()), reverse=True)
