"""What an evaluation leaves, against scikit-learn on the same answers; labels by name; pictures of any labels."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from PIL import Image
from torch import nn

from dojang.data.options import DataOptions
from dojang.data.pairs import from_pairs
from dojang.data.prepare import prepare
from dojang.data.preprocess import Preprocess
from dojang.errors import DataError
from dojang.evaluate import files as evaluation_files
from dojang.evaluate.curves import curves
from dojang.evaluate.evaluate import Evaluation, evaluate, match, otherwise_written
from dojang.predict.predictor import Predictor
from dojang.tasks.classify import pictures

LABELS = ("ant", "bee", "cat", "dog")


def answers(
    n: int = 61, labels: tuple[str, ...] = LABELS, split: str = "test", seed: int = 0, skill: float = 1.5
) -> Evaluation:
    draw = np.random.default_rng([seed, n])
    # the last class has no pictures, as it may be in data of one's own
    true = draw.integers(0, len(labels) - 1, n)
    logits = draw.normal(size=(n, len(labels)))
    logits[np.arange(n), true] += skill
    shares = np.exp(logits)
    shares = (shares / shares.sum(1, keepdims=True)).astype(np.float32)
    return Evaluation(split, tuple(f"{split}/{i}.png" for i in range(n)), true, shares, labels)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


# Scores


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_scikit_learns(seed: int) -> None:
    e = answers(seed=seed)
    found = e.metrics()
    predicted = e.probabilities.argmax(1)
    present = sorted(set(e.true) | set(predicted))
    recalls = [(predicted[e.true == c] == c).mean() for c in sorted(set(e.true))]
    assert found["n"] == 61
    assert found["top1"]["value"] == pytest.approx(sklearn.metrics.accuracy_score(e.true, predicted), abs=1e-12)
    assert found["balanced_accuracy"]["value"] == pytest.approx(float(np.mean(recalls)), abs=1e-12)
    expected = sklearn.metrics.f1_score(e.true, predicted, labels=present, average="macro", zero_division=0)
    assert found["macro_f1"]["value"] == pytest.approx(expected, abs=1e-12)
    shares = e.probabilities.astype(np.float64)
    loss = -np.mean([math.log(row[t]) for t, row in zip(e.true, shares, strict=True)])
    assert found["log_loss"]["value"] == pytest.approx(loss, rel=1e-12)
    loss = sklearn.metrics.log_loss(e.true, shares / shares.sum(1, keepdims=True), labels=range(len(LABELS)))
    # float32 shares sum to one within 1e-7
    assert found["log_loss"]["value"] == pytest.approx(loss, rel=1e-6)
    assert found["classes"] == {"known": 4, "with_pictures": 3}
    # the last class has no pictures, and is answered
    assert found["macro_f1"]["why"] == "a class without pictures was answered"
    for name in ("top1", "balanced_accuracy", "roc_auc", "log_loss", "brier"):
        score = found[name]
        assert score["n"] == 61
        assert score["low"] < score["value"] < score["high"]


def test_the_interval_of_top1_is_wilsons() -> None:
    e = answers()
    right, n, z = int((e.true == e.predicted).sum()), 61, 1.959963984540054
    p = right / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    top1 = e.metrics()["top1"]
    assert (top1["low"], top1["high"]) == pytest.approx((centre - half, centre + half), abs=1e-12)


def test_a_perfect_answer_and_a_wholly_wrong_one_have_scores() -> None:
    true = np.array([0, 1, 0, 1])
    shares = np.eye(2, dtype=np.float32)[true]
    right = Evaluation("test", tuple("abcd"), true, shares, ("x", "y")).metrics()
    assert right["top1"]["value"] == right["macro_f1"]["value"] == 1.0
    assert right["log_loss"]["value"] == pytest.approx(0.0, abs=1e-15)
    assert right["confused"] == []
    wrong = Evaluation("test", tuple("abcd"), 1 - true, shares, ("x", "y")).metrics()
    assert wrong["top1"]["value"] == 0.0
    # a probability of 0 for what is true costs much, but not everything: as with scikit-learn, that of the last bit
    assert wrong["log_loss"]["value"] == pytest.approx(-math.log(np.finfo(np.float64).eps))
    assert wrong["confused"][0] == {"true": "x", "predicted": "y", "n": 2, "share": 1.0}
    json.dumps([right, wrong], allow_nan=False)


# Files


def test_files_equal_scikit_learn_on_the_same_answers(tmp_path: Path) -> None:
    e = answers()
    evaluation_files.write(tmp_path, [e])
    names = ["metrics.json", "predictions.csv", "per_class.csv", "worst.csv"]
    names += ["confusion_matrix.csv", "confusion_matrix.png", "reliability.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics == {"format": 1, "test": e.metrics()}

    rows = table(tmp_path / "predictions.csv")
    assert list(rows[0]) == ["path", "true", "predicted", "probability", "correct", "split"]
    assert [row["path"] for row in rows] == list(e.paths)
    for row, true, shares in zip(rows, e.true, e.probabilities, strict=True):
        best = int(shares.argmax())
        assert (row["true"], row["predicted"], row["split"]) == (LABELS[true], LABELS[best], "test")
        assert float(row["probability"]) == pytest.approx(float(shares[best]), abs=5e-7)
        assert row["correct"] == ("1" if best == true else "0")
    true, predicted = ([row[name] for row in rows] for name in ("true", "predicted"))
    assert np.mean([row["correct"] == "1" for row in rows]) == pytest.approx(metrics["test"]["top1"]["value"])

    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        true, predicted, labels=LABELS, zero_division=0
    )
    per_class = table(tmp_path / "per_class.csv")
    assert [row["class"] for row in per_class] == list(LABELS)
    for i, row in enumerate(per_class):
        values = [float(row[name]) for name in ("precision", "recall", "f1")]
        assert values == pytest.approx([precision[i], recall[i], f1[i]], abs=5e-7)
        assert int(row["support"]) == support[i]
    assert per_class[3]["support"] == "0"

    with (tmp_path / "confusion_matrix.csv").open(newline="") as file:
        matrix = list(csv.reader(file))
    assert matrix[0] == ["true \\ predicted", *LABELS]
    assert [row[0] for row in matrix[1:]] == list(LABELS)
    expected = sklearn.metrics.confusion_matrix(true, predicted, labels=LABELS)
    assert [[int(cell) for cell in row[1:]] for row in matrix[1:]] == expected.tolist()


def test_a_split_replaces_its_own_rows_and_leaves_the_others(tmp_path: Path) -> None:
    val, test = answers(20, split="val"), answers(30, split="test")
    evaluation_files.write(tmp_path, [val, test])
    first = json.loads((tmp_path / "metrics.json").read_text())
    # what others put there stays too
    (tmp_path / "metrics.json").write_text(json.dumps(first | {"training": {"steps": 7}}))
    again = answers(25, split="val", seed=9)
    evaluation_files.write(tmp_path, [again])
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["test"] == first["test"]
    assert metrics["val"] == again.metrics() != first["val"]
    assert metrics["training"] == {"steps": 7}
    rows = table(tmp_path / "predictions.csv")
    assert [row["path"] for row in rows if row["split"] == "test"] == list(test.paths)
    assert [row["path"] for row in rows if row["split"] == "val"] == list(again.paths)
    assert len(rows) == 55
    per_class = table(tmp_path / "per_class.csv")
    assert sorted((row["split"], row["class"]) for row in per_class) == sorted(
        (split, name) for split in ("test", "val") for name in LABELS
    )


def test_the_matrix_shown_is_that_of_the_last_split(tmp_path: Path) -> None:
    val, test = answers(20, split="val"), answers(30, split="test")
    evaluation_files.write(tmp_path, [val, test])
    with (tmp_path / "confusion_matrix.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert sum(int(cell) for row in rows for cell in row[1:]) == 30


HOSTILE = (
    "=cmd()|' /C calc'!A0",
    'a "quoted", name',
    "line\nbreak",
    "<script>alert(1)</script>",
    "\x1b[31mred",
    "$x^2$",
)


def test_any_name_survives_the_files(tmp_path: Path) -> None:
    """X6: the CSV round-trips exactly, the picture is drawn."""
    e = answers(20, labels=HOSTILE)
    paths = (*e.paths[:-2], "caf\udce9/1.png", 'a,b\r\n"c".png')
    e = Evaluation("test", paths, e.true, e.probabilities, HOSTILE)
    evaluation_files.write(tmp_path, [e])
    rows = table(tmp_path / "predictions.csv")
    assert tuple(row["path"] for row in rows) == paths
    assert [row["true"] for row in rows] == [HOSTILE[i] for i in e.true]
    assert [row["class"] for row in table(tmp_path / "per_class.csv")] == list(HOSTILE)
    # and again, when a split is merged into it
    evaluation_files.write(tmp_path, [answers(3, labels=HOSTILE, split="val")])
    assert [row["path"] for row in table(tmp_path / "predictions.csv") if row["split"] == "test"] == list(paths)
    Image.open(tmp_path / "confusion_matrix.png").verify()


# Labels by name


class Level(nn.Module):
    """A network that knows three brightnesses; its outputs are in the order of its labels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # (b, 1, 2, 2) of 0..1 -> near 0, 0.5 and 1
        level = x.mean(dim=(1, 2, 3))[:, None]
        return -20 * (level - torch.tensor([[0.0, 0.5, 1.0]])).abs()


KNOWN = ("dark", "grey", "light")
PLAIN = Preprocess("L", 2, 2, mean=(0.0,), std=(1.0,))
SHADES = {"dark": 0, "grey": 128, "light": 255}


def scored(pairs: list[tuple[int, str]], classes: list[str] | None = None, split: str = "test") -> Evaluation:
    manifest = from_pairs([(np.full((2, 2), shade, np.uint8), name) for shade, name in pairs], classes)
    manifest = manifest.replace(splits=(split,) * len(manifest))
    made = prepare(manifest, DataOptions(), seed=0, default_size=2, threads=1, preprocess=PLAIN, assign=False)
    return evaluate(Predictor(Level(), KNOWN, PLAIN), made.store, made.manifest, split, batch_size=2)


@pytest.mark.parametrize(
    ("classes", "used"),
    [
        (None, ("dark", "grey", "light")),
        (["light", "grey", "dark"], ("dark", "grey", "light")),
        (None, ("grey", "light")),
        (["light", "dark"], ("light", "dark")),
        # a class that nobody has is no error, whatever its name
        (["light", "lynx", "dark"], ("light", "dark")),
    ],
)
def test_classes_that_are_fewer_or_in_another_order_are_matched_by_name(
    classes: list[str] | None, used: tuple[str, ...]
) -> None:
    """I7: matched by position, these would be scored as wrong, or as right by chance."""
    pairs = [(SHADES[name], name) for name in used for _ in range(3)]
    e = scored(pairs, classes)
    assert e.labels == KNOWN
    assert [KNOWN[i] for i in e.true] == [name for _, name in pairs]
    assert e.metrics()["top1"]["value"] == 1.0
    assert e.matrix.sum(1).tolist() == [3 * (name in used) for name in KNOWN]


def test_a_wrong_answer_is_wrong() -> None:
    e = scored([(255, "dark"), (0, "dark"), (128, "light")])
    assert [KNOWN[i] for i in e.predicted] == ["light", "dark", "grey"]
    assert e.metrics()["top1"]["value"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(("split", "word"), [("val", "validation"), ("test", "test"), ("train", "training")])
def test_a_class_that_the_model_does_not_know(split: str, word: str) -> None:
    with pytest.raises(DataError) as caught:
        scored([(0, "dark"), (0, "ligth"), (3, "ligth")], split=split)
    assert str(caught.value) == (
        f"DataError[D107]: the {word} set has a class the model does not know: 'ligth' (2 images; near 'light'). "
        "Known: dark, grey, light.\n"
        "  Scoring it would be meaningless.\n"
        "  Fix: rename the folder, or retrain with it in the training set."
    )
    assert caught.value.exit_code == 3


def test_one_picture_of_an_unknown_class_is_one_picture() -> None:
    with pytest.raises(DataError, match=r"'lynx' \(1 image\)\. Known: dark, grey, light\.\n  Scoring it would"):
        scored([(0, "dark"), (0, "lynx")])


def test_all_unknown_classes_are_named_and_what_is_near() -> None:
    with pytest.raises(DataError) as caught:
        scored([(0, "dark"), (0, "lynx"), (3, "ligth"), (3, "grey\x1b"), (3, "lynx")])
    assert "set has 3 classes the model does not know: 'grey\\x1b' (1 image; near 'grey'), 'ligth' (1 image; near " in (
        str(caught.value)
    )
    assert "'lynx' (2 images). Known: dark, grey, light.\n  Scoring them would" in str(caught.value)
    assert "Fix: rename the folders, or retrain with them in the training set." in str(caught.value)


def test_a_long_list_of_known_classes_is_cut() -> None:
    manifest = from_pairs([(np.zeros((2, 2), np.uint8), name) for name in ("a", "b")])
    manifest = manifest.replace(splits=("val", "val"))
    with pytest.raises(DataError, match=r"Known: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 20 more\."):
        match(manifest, tuple(f"c{i}" for i in range(30)), "val")


def test_a_split_without_pictures() -> None:
    manifest = from_pairs([(np.zeros((2, 2), np.uint8), name) for name in ("dark", "grey")])
    manifest = manifest.replace(splits=("val", "val"))
    made = prepare(manifest, DataOptions(), seed=0, default_size=2, threads=1, preprocess=PLAIN, assign=False)
    with pytest.raises(DataError, match=r"D121\]: the data has no 'test' pictures; it has val\.\n  Fix: --split val"):
        evaluate(Predictor(Level(), KNOWN, PLAIN), made.store, made.manifest, "test")


# Pictures


def opened(png: bytes) -> np.ndarray:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    image = Image.open(io.BytesIO(png))
    image.verify()
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize(
    "labels",
    [
        ("0", "1"),
        tuple(f"a class with a long name {i:02}" for i in range(60)),
        ("고양이", "개", "naïve", "😀", "$100", "$a$ $b$", "a_b^c", "\\frac{1}{2}", "", "x" * 300),
        HOSTILE,
    ],
    ids=["two", "sixty", "names", "hostile"],
)
def test_a_confusion_matrix_is_drawn_for_any_labels(labels: tuple[str, ...]) -> None:
    classes = len(labels)
    matrix = np.diag(np.arange(1, classes + 1))
    matrix[classes // 2, 0] = 3
    matrix[-1] = 0
    picture = opened(pictures.confusion_matrix(matrix, labels, "test: top-1 0.5"))
    assert min(picture.shape[:2]) > 300
    assert max(picture.shape[:2]) < 6000
    # something is drawn: white paper, black letters, the dark blue of the diagonal (the last of "Blues")
    seen = picture.reshape(-1, 3)
    for colour in ((255, 255, 255), (8, 48, 107)):
        assert (seen == colour).all(axis=1).any()
    assert seen.min() < 30


def test_the_same_scores_give_the_same_picture() -> None:
    matrix = np.array([[3, 1], [0, 4]])
    one, two = (pictures.confusion_matrix(matrix, ("a", "b"), "t") for _ in range(2))
    assert one == two != pictures.confusion_matrix(matrix.T, ("a", "b"), "t")


@pytest.mark.parametrize("parts", [("train", "val"), ("val",), ()])
@pytest.mark.parametrize("number", [0, 1, 5])
def test_curves_are_drawn_whatever_was_logged(parts: tuple[str, ...], number: int) -> None:
    results: list[dict[str, Any]] = [
        {"step": str(3 * i), "lr": "0.1"} | {f"{p}/{s}": str(1 / (i + 1)) for p in parts for s in ("loss", "top1")}
        for i in range(number)
    ]
    steps = [{"step": str(i), "loss": str(2 / (i + 1)), "lr": "0.1"} for i in range(3 * number)]
    assert opened(curves(results, steps)).shape[1] > 1000


def test_names_written_otherwise() -> None:
    labels = ["Old English sheepdog", "dingo", "Samoyed", "crane (134)", "crane (517)", "cat", "Cat"]
    classes = ["n02105641-Old_English_sheepdog", "dingo", "samoyed", "crane", "CAT"]
    expected = {"n02105641-Old_English_sheepdog": "Old English sheepdog", "samoyed": "Samoyed"}
    assert otherwise_written(classes, labels) == expected
    # two of the data for one of the network: neither
    assert otherwise_written(["Dingo", "DINGO"], labels) == {}
    assert otherwise_written(["Dingo", "dingo"], labels) == {}
