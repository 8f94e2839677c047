"""Where overfitting begins, by the rule that the page states."""

from __future__ import annotations

import pytest

from dojang.report.overfitting import begins


def rows(train: list[float], val: list[float]) -> list[dict[str, str]]:
    pairs = zip(train, val, strict=True)
    return [{"step": str(10 * i), "epoch": str(i), "train/loss": str(t), "val/loss": str(v)} for i, (t, v) in
            enumerate(pairs, 1)]  # fmt: skip


@pytest.mark.parametrize(
    ("train", "val", "step"),
    [
        ([1, 0.5, 0.2, 0.1], [1, 0.6, 0.7, 0.9], 20),
        # the first of two equal ones
        ([1, 0.5, 0.2, 0.1], [1, 0.6, 0.6, 0.9], 20),
        # by 5 % exactly, and by a little more
        ([1, 0.5, 0.2], [2.0, 1.0, 1.05], None),
        ([1, 0.5, 0.2], [2.0, 1.0, 1.0501], 20),
        # still falling; risen in between and come back
        ([1, 0.5, 0.2], [1, 0.9, 0.8], None),
        ([1, 0.5, 0.2, 0.1], [1, 0.6, 0.9, 0.61], None),
        # training went wrong: both rise
        ([1, 0.5, 0.8], [1, 0.6, 0.9], None),
        # too few to tell
        ([1, 0.5], [0.6, 0.9], None),
        ([], [], None),
    ],
)
def test_the_rule(train: list[float], val: list[float], step: int | None) -> None:
    found = begins(rows(train, val))
    assert (found.step if found else None) == step


def test_without_validation_nothing_is_said() -> None:
    assert begins([{"step": "1", "epoch": "1", "train/loss": "1"}] * 4) is None
    assert begins([{"step": "1", "epoch": "1", "train/loss": "1", "val/loss": ""}] * 4) is None


def test_what_is_told_of_it() -> None:
    found = begins(rows([1, 0.5, 0.2], [1, 0.6, 0.9]))
    assert found is not None
    assert vars(found) == {"row": 1, "step": 20, "epoch": 2, "lowest": 0.6, "last": 0.9, "train_then": 0.5,
                           "train_last": 0.2}  # fmt: skip
