"""Comparing answers: pictures matched by their bytes, refused where they are others, counts by definition."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from dojang.errors import ConfigError, DataError
from dojang.evaluate import compare as comparing
from dojang.evaluate.compare import Asked, asked, compare, splits_of
from dojang.metrics.paired import difference, mcnemar

CLASSES = ("ant", "bee", "cow")


def folder(
    place: Path,
    true: list[str],
    predicted: list[str],
    *,
    digests: list[str] | None = None,
    prefix: str = "p",
    order: list[int] | None = None,
    probability: float = 0.9,
    learned: tuple[str, ...] = ("l1", "l2"),
    split: str = "test",
    shares: list[dict[str, float]] | None = None,
) -> Path:
    """A run folder with answers."""
    place.mkdir(parents=True)
    digests = digests or [f"d{i}" for i in range(len(true))]
    order = order or list(range(len(true)))
    with (place / "splits.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", "label", "split", "group", "sha256"])
        rows.writerows([f"{prefix}{i}", true[i], split, "", digests[i]] for i in order)
        rows.writerows([f"learned{digest}", "ant", "train", "", digest] for digest in learned)
    with (place / "predictions.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", "true", "predicted", "probability", "correct", "split"])
        for i in order:
            rows.writerow([f"{prefix}{i}", true[i], predicted[i], probability - i / 1000, "", split])
    if shares:
        with (place / "probabilities.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, ["path", *CLASSES], lineterminator="\n")
            table.writeheader()
            table.writerows({"path": f"{prefix}{i}"} | row for i, row in enumerate(shares))
    return place


def answers(n: int = 120) -> tuple[list[str], list[str], list[str]]:
    """Truths, and what a better and a worse network says."""
    draw = np.random.default_rng(0)
    true = draw.integers(0, 3, n)

    def wrong(share: float) -> list[str]:
        off = (draw.random(n) < share) * draw.integers(1, 3, n)
        return [CLASSES[i] for i in (true + off) % 3]

    return [CLASSES[i] for i in true], wrong(0.1), wrong(0.3)


def pair(tmp_path: Path, **of_the_second: object) -> comparing.Pair:
    true, good, bad = answers()
    one = asked(folder(tmp_path / "a", true, good), "test")
    other = asked(folder(tmp_path / "b", true, bad, **of_the_second), "test")  # type: ignore[arg-type]
    (found,) = compare([one, other], "test")
    return found


def test_counts_and_differences_by_their_definitions(tmp_path: Path) -> None:
    true, good, bad = answers()
    found = pair(tmp_path)
    a, b = ([t == p for t, p in zip(true, some, strict=True)] for some in (good, bad))
    both = list(zip(a, b, strict=True))
    counts = [both.count(one) for one in ((True, False), (False, True), (True, True), (False, False))]
    assert [found.first_only, found.second_only, found.both, found.neither] == counts
    assert found.differences["top1"] == difference(counts[0], counts[1], 120)
    assert found.p == found.corrected == mcnemar(counts[0], counts[1])
    balanced = balanced_accuracy_score(true, bad) - balanced_accuracy_score(true, good)
    assert found.differences["balanced_accuracy"].value == pytest.approx(balanced, abs=1e-12)
    macro = f1_score(true, bad, average="macro") - f1_score(true, good, average="macro")
    assert found.differences["macro_f1"].value == pytest.approx(macro, abs=1e-12)
    for score in found.differences.values():
        assert score.low < score.value < score.high < 0
    assert "log_loss" not in found.differences


def test_exchanged_runs_give_the_same_with_another_sign(tmp_path: Path) -> None:
    true, good, bad = answers()
    one, other = folder(tmp_path / "a", true, good), folder(tmp_path / "b", true, bad)
    (there,) = compare([asked(one, "test"), asked(other, "test")], "test")
    (back,) = compare([asked(other, "test"), asked(one, "test")], "test")
    for name, score in there.differences.items():
        other = back.differences[name]
        assert (other.value, other.low, other.high) == (-score.value, -score.high, -score.low)
    assert there.p == back.p and there.only(True).tolist() == back.only(False).tolist()


def test_pictures_are_matched_by_their_bytes_not_by_name_or_order(tmp_path: Path) -> None:
    moved = np.random.default_rng(1).permutation(120).tolist()
    found = pair(tmp_path, prefix="photos/elsewhere/", order=moved)
    plain = pair(tmp_path / "again")
    assert found.differences == plain.differences and found.only(False).tolist() == plain.only(False).tolist()
    named = found.as_dict()["first_only_right"][0]
    assert named["path"].startswith("p") and set(named) == {"path", "true", "first", "second"}


def test_a_picture_that_is_there_twice_is_asked_twice(tmp_path: Path) -> None:
    digests = ["same", "same", "c"]
    one = folder(tmp_path / "a", ["ant"] * 3, ["ant", "bee", "cow"], digests=digests)
    other = folder(tmp_path / "b", ["ant"] * 3, ["ant", "ant", "ant"], digests=digests, order=[2, 0, 1])
    (found,) = compare([asked(one, "test"), asked(other, "test")], "test")
    assert (found.first_only, found.second_only, found.both) == (0, 2, 1)
    once = folder(tmp_path / "c", ["ant"] * 2, ["ant"] * 2, digests=["same", "c"])
    with pytest.raises(DataError, match="3 and 2, of which they share 2"):
        compare([asked(one, "test"), asked(once, "test")], "test")


def test_those_come_first_where_the_other_is_surest(tmp_path: Path) -> None:
    found = pair(tmp_path)
    sure = found.second.probability[found.only(False)]
    assert len(sure) == found.first_only and (np.diff(sure) <= 0).all()
    right, wrong = found.first.right, found.second.right
    assert all(right[row] and not wrong[row] for row in found.only(False))


def test_log_loss_where_both_kept_probabilities(tmp_path: Path) -> None:
    true, good, bad = answers(30)

    def shares(predicted: list[str], sure: float) -> list[dict[str, float]]:
        return [{name: sure if name == one else (1 - sure) / 2 for name in CLASSES} for one in predicted]

    one = folder(tmp_path / "a", true, good, shares=shares(good, 0.8))
    other = folder(tmp_path / "b", true, bad, shares=shares(bad, 0.6))
    (found,) = compare([asked(one, "test"), asked(other, "test")], "test")
    losses = [
        -np.mean([np.log(row[t]) for row, t in zip(table, true, strict=True)])
        for table in (shares(good, 0.8), shares(bad, 0.6))
    ]
    assert found.differences["log_loss"].value == pytest.approx(losses[1] - losses[0], abs=1e-12)


def test_networks_that_answer_alike(tmp_path: Path) -> None:
    true, good, _ = answers()
    runs = [asked(folder(tmp_path / name, true, good), "test") for name in "ab"]
    (found,) = compare(runs, "test")
    assert found.p == 1 and found.differences["top1"].value == 0
    none = {"value": 0.0, "low": None, "high": None, "n": 120, "why": "no picture tells them apart"}
    assert [found.as_dict()["differences"][name] for name in ("top1", "balanced_accuracy", "macro_f1")] == [none] * 3


def test_several_are_corrected(tmp_path: Path) -> None:
    true, good, bad = answers()
    runs = [asked(folder(tmp_path / name, true, some), "test") for name, some in (("a", good), ("b", bad), ("c", good))]
    found = compare(runs, "test")
    assert [pair.second.run for pair in found] == [str(tmp_path / "b"), str(tmp_path / "c")]
    assert found[0].corrected == pytest.approx(2 * found[0].p) and found[1].corrected == 1


def test_different_pictures_are_refused(tmp_path: Path) -> None:
    true, good, bad = answers()
    one = asked(folder(tmp_path / "a", true, good), "test", "a")
    digests = [f"d{i}" if i < 50 else f"other{i}" for i in range(120)]
    other = asked(folder(tmp_path / "b", true, bad, digests=digests, learned=("d60", "d61", "x")), "test", "b")
    with pytest.raises(DataError) as caught:
        compare([one, other], "test", lambda number: f"command {number}")
    assert str(caught.value) == (
        "DataError[D141]: 'a' and 'b' were asked about different test pictures: 120 and 120, of which they share 50. "
        "The second was trained on 2 of the first's.\n"
        "  A difference between them would be one of pictures, too.\n"
        "  Fix: command 1"
    )
    strange = asked(folder(tmp_path / "c", true, bad, digests=[f"e{i}" for i in range(120)]), "test", "c")
    with pytest.raises(DataError, match=r"share 0\.\n.*\n  Fix: compare runs that were tested on the same data"):
        compare([one, strange], "test")


def test_other_labels_are_refused(tmp_path: Path) -> None:
    true, good, bad = answers()
    other = ["cow" if label == "ant" else label for label in true]
    runs = [
        asked(folder(tmp_path / "a", true, good), "test", "a"),
        asked(folder(tmp_path / "b", other, bad), "test", "b"),
    ]
    odd = true.count("ant")
    with pytest.raises(
        DataError, match=rf"D142\]: {odd} pictures of 120 have another label in 'b', e.g. p\d+: ant, and cow there"
    ):
        compare(runs, "test")


def test_what_is_not_there(tmp_path: Path) -> None:
    true, good, _ = answers()
    place = folder(tmp_path / "a", true, good, split="val")
    assert splits_of(place) == ["val"]
    with pytest.raises(DataError) as caught:
        asked(place, "test", "runs/a")
    assert str(caught.value) == (
        "DataError[D121]: 'runs/a' has no answers to 'test' pictures; it has those to val.\n  Fix: --split val"
    )
    # a run with weights and with such pictures can be asked
    (place / "weights").mkdir()
    (place / "weights" / "best.safetensors").touch()
    with pytest.raises(DataError, match=r"\n  Fix: dojang val 'my runs/a' --split train$"):
        asked(place, "train", "my runs/a")
    (place / "splits.csv").unlink()
    with pytest.raises(ConfigError, match=r"C221\]: cannot read .*splits.csv': No such file"):
        asked(place, "val")
    (place / "predictions.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"C223\]: .*predictions.csv' line 1 is not as dojang wrote it"):
        asked(place, "val")


def test_pictures_without_a_digest_are_known_by_name(tmp_path: Path) -> None:
    true, good, bad = answers(12)
    runs = [asked(folder(tmp_path / n, true, some, digests=[""] * 12), "test") for n, some in (("a", good), ("b", bad))]
    assert isinstance(runs[0], Asked) and len(set(runs[0].pictures)) == 12
    assert compare(runs, "test")[0].first_only >= 0
