"""A comparison in a terminal and as a page: intervals or why there is none, and by what weights were chosen."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from dojang.evaluate import compare as comparing
from dojang.evaluate.compare import Asked
from dojang.report import compared
from dojang.runs import comparison
from dojang.runs.comparison import Comparison, Entrant
from dojang.runs.pictures import Pictures

CLASSES = np.array(["ant", "bee"])


def asked(run: str, wrong: list[int], own: bool = False, n: int = 100) -> Asked:
    true = np.arange(n) % 2
    said = np.where(np.isin(np.arange(n), wrong), 1 - true, true)
    sure = np.full(n, 0.9)
    return Asked(
        run,
        tuple((f"d{i:03}", 0) for i in range(n)),
        tuple(f"{i}.png" for i in range(n)),
        tuple(CLASSES[true]),
        tuple(CLASSES[said]),
        sure,
        np.where(true == said, sure, 1 - sure) if own else None,
        frozenset(),
    )


def found(*runs: Asked, by: tuple[str | None, ...] = ()) -> Comparison:
    pairs = comparing.compare(runs, "test")
    scores = {"top1": 0.9, "balanced_accuracy": 0.9, "macro_f1": 0.9}
    chosen = by or (None,) * len(runs)
    entrants = [
        Entrant(run.run, scores, 0, 1.0, 1000, 1000, name, name and "val")
        for run, name in zip(runs, chosen, strict=True)
    ]
    return Comparison("test", len(runs[0].paths), tuple(entrants), tuple(pairs), "cpu")


def page(made: Comparison) -> str:
    return compared.page(made, Pictures(Path("nowhere")))


def test_an_interval_or_the_reason_why_there_is_none() -> None:
    made = found(asked("a", [], own=True), asked("b", [1, 2, 3], own=True), asked("c", list(range(12)), own=True))
    lines = compared.lines(made, 0)
    assert all(len(line) <= 80 for line in lines)
    few = "none: 3 pictures tell them apart, fewer than 5"
    assert f"  top-1      -0.0300   {few}   p 0.25" in lines
    assert f"  balanced   -0.0300   {few}" in lines and f"  macro F1   -0.0300   {few}" in lines
    assert sum("95 %: " in line for line in lines) == 5
    assert lines[-3:] == [
        "Intervals: top-1 Tango's; balanced accuracy and macro F1 Tango's, too, for as",
        "many pictures as their variance names; log loss Student's t on Hall's scale.",
        "p: McNemar's exact test of top-1.",
    ]


def test_the_page_says_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared, "_pictures", lambda *_: (compared.Markup(""), 0))
    made = found(asked("a", []), asked("b", [1, 2, 3]), by=("top1", "macro_f1"))
    text = page(made)
    assert "No interval of top-1, balanced, macro F1: 3 pictures tell them apart, fewer than 5." in text
    assert "<p>b: weights chosen by macro F1 on val</p>" in text and "chosen by top-1" not in text
    assert "nan" not in text and "Hall" not in text
    many = page(found(asked("a", []), asked("b", list(range(9)))))
    assert "No interval" not in many and "Nowhere." in many


def test_by_what_weights_were_chosen_where_it_was_not_top1() -> None:
    long = "runs/classify/a very long name indeed"
    names = ("average_precision", "top1", None)
    lines = compared.lines(found(asked(long, []), asked("b", [1]), asked("c", [2]), by=names))
    said = [line for line in lines if "chosen" in line]
    assert said == ["   ...ry long name indeed: weights chosen by average precision on val"]
    assert all(len(line) <= 80 for line in lines)
    # names that a file cannot have are not said
    assert not [
        line for line in compared.lines(found(asked("a", []), asked("b", [1]), by=("\x1b", None))) if "chosen" in line
    ]


def test_names_that_differ_at_their_end_are_told_apart() -> None:
    name = "runs/classify/a long one-"
    lines = compared.lines(found(asked(f"{name}1", []), asked(f"{name}2", [1])))
    assert [line[:26].split()[-1][-2:] for line in lines[3:5]] == ["-1", "-2"]


@pytest.mark.parametrize(
    ("runs", "names"),
    [
        (["runs/classify/seeds/seed-0/", "runs/classify/seeds/seed-1"], ["seed-0", "seed-1"]),
        (["runs/a/train", "runs/b/train", "runs/a/train2"], ["a/train", "b/train", "a/train2"]),
        (["runs/a", "runs/a/seed-0"], ["a", "a/seed-0"]),
        (["runs/a", "runs/a"], ["a", "a"]),
        (["/first/place", "other/train"], ["/first/place", "other/train"]),
        (
            [f"{x}/a very long name of a folder/train" for x in "ab"],
            ["a/a very ...lder/train", "b/a very ...lder/train"],
        ),
    ],
)
def test_names_are_short_and_tell_runs_apart(runs: list[str], names: list[str]) -> None:
    assert compared.told_apart(runs) == names


def test_the_verdict_is_of_top1_alone() -> None:
    """An interval of another score that is without 0 does not contradict it."""
    lines = compared.lines(found(asked("runs/seed-0", list(range(20, 30))), asked("runs/seed-1", list(range(10, 24)))))
    assert "  top-1: not told apart; chance alone may well make this difference." in lines
    lines = compared.lines(found(asked("runs/seed-0", []), asked("runs/seed-1", list(range(20)))))
    assert "  top-1: seed-0 is better; chance would seldom do this." in lines
    assert "2 less 1: seed-1 against seed-0" in lines


def test_a_page_without_pictures_says_so() -> None:
    text = page(found(asked("a", []), asked("b", list(range(9)))))
    assert "<p>Without pictures: &#39;nowhere&#39; is no run folder" in text or "<p>Without pictures: " in text
    assert "could not be read" not in text and "<img" not in text and "9 pictures" in text


def test_programs_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the run folder to the JSON, without a network."""
    from dojang.errors import ConfigError

    def none(*_: object, **__: object) -> None:
        raise ConfigError("C216", "no weights")

    monkeypatch.setattr(comparison.names, "weights_of", none)
    monkeypatch.setattr(comparison, "_advice", lambda *_: "")
    for run, wrong, weights in (
        ("a", [], {"chosen_by": "macro_f1", "chosen_on": "val"}),
        ("b", range(9), None),
        ("c", [1], {"chosen_by": "top1", "chosen_on": "val"}),
    ):
        place = tmp_path / run
        place.mkdir()
        (place / "args.yaml").write_text("")
        (place / "metrics.json").write_text(json.dumps({"format": 1} | ({"weights": weights} if weights else {})))
        one = asked(run, list(wrong))
        with (place / "splits.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["path", "label", "split", "group", "sha256"])
            rows.writerows(
                [p, t, "test", "", d] for p, t, (d, _) in zip(one.paths, one.true, one.pictures, strict=True)
            )
        with (place / "predictions.csv").open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["path", "true", "predicted", "probability", "correct", "split"])
            rows.writerows(
                [p, t, s, 0.9, 1, "test"] for p, t, s in zip(one.paths, one.true, one.predicted, strict=True)
            )
    made = comparison.compare([str(tmp_path / run) for run in "abc"]).as_dict()
    assert [(run["chosen_by"], run["chosen_on"]) for run in made["runs"]] == [
        ("macro_f1", "val"), (None, None), ("top1", "val"),
    ]  # fmt: skip
    assert made["runs"][1]["scores"] == pytest.approx(
        {"top1": 0.91, "balanced_accuracy": 0.91, "macro_f1": 0.91}, abs=1e-3
    )
    one, other = made["comparisons"]
    assert set(one["method"]) == {"top1", "balanced_accuracy", "macro_f1", "log_loss", "p"}
    assert one["differences"]["top1"]["low"] < one["differences"]["top1"]["high"] < 0
    assert other["differences"]["top1"]["low"] is None
    assert other["differences"]["top1"]["why"] == "1 picture tells them apart, fewer than 5"
    json.dumps(made, allow_nan=False)
