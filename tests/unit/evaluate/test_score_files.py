"""What dojang val leaves beside scores: what is surely wrong, pictures of any names, what weights were chosen by."""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image
from rich.cells import cell_len

import dojang
from dojang import files
from dojang.cli import scores as shown_scores
from dojang.errors import ConfigError
from dojang.evaluate import files as evaluation_files
from dojang.evaluate import ours, worst
from dojang.evaluate.chosen import chosen, sentence
from dojang.evaluate.evaluate import Evaluation, confused
from dojang.evaluate.reliability import reliability
from dojang.metrics.calibration import calibration
from dojang.models import weights
from dojang.tasks.classify import letters, pictures

FONTS = letters._fonts
HANGUL = ("고양이", "개", "cat")


def evaluation(
    labels: tuple[str, ...] = ("a", "b", "c"), n: int = 40, split: str = "test", seed: int = 0
) -> Evaluation:
    draw = np.random.default_rng(seed)
    true = draw.integers(0, len(labels), n)
    powers = np.exp(draw.normal(size=(n, len(labels))) + 1.2 * np.eye(len(labels))[true])
    table = (powers / powers.sum(1, keepdims=True)).astype(np.float32)
    paths = tuple(f"{split}/{i}.png" for i in range(n))
    kept = {path: worst.small(draw.integers(0, 256, (30 + i, 20, 3), np.uint8)) for i, path in enumerate(paths)}
    return Evaluation(split, paths, true, table, labels, pictures=kept)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def opened(png: bytes) -> Image.Image:
    Image.open(io.BytesIO(png)).verify()
    return Image.open(io.BytesIO(png))


@pytest.fixture(autouse=True)
def fonts() -> Iterator[None]:
    """Fonts are looked for anew, before and after."""
    FONTS.cache_clear()
    yield
    FONTS.cache_clear()


@pytest.fixture
def plain_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No font but the one of the drawing library."""
    monkeypatch.setattr(letters, "_FAMILIES", ())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


# What is surely wrong


def test_worst_is_in_the_order_of_its_definition() -> None:
    e = evaluation()
    expected = sorted(
        (i for i in range(40) if e.predicted[i] != e.true[i]),
        key=lambda i: (-e.probabilities[i].max(), e.probabilities[i, e.true[i]], i),
    )
    assert worst.order(e.true, e.probabilities).tolist() == expected
    assert 3 < len(expected) < 40
    assert worst.order(np.array([0]), np.array([[0.9, 0.1]])).tolist() == []


def test_worst_is_listed_of_each_split(tmp_path: Path) -> None:
    val, test = evaluation(split="val", seed=1), evaluation(n=400)
    evaluation_files.write(tmp_path, [val, test])
    listed = rows(tmp_path / "worst.csv")
    assert list(listed[0]) == ["path", "true", "predicted", "probability", "probability_of_true", "split"]
    mine = [row for row in listed if row["split"] == "test"]
    assert len(mine) == 100 < len(test.worst)
    for row, i in zip(mine, test.worst, strict=False):
        assert row["path"] == f"test/{i}.png"
        assert (row["true"], row["predicted"]) == (test.labels[test.true[i]], test.labels[test.predicted[i]])
        assert row["true"] != row["predicted"]
        assert float(row["probability"]) == pytest.approx(float(test.probabilities[i].max()), abs=1e-6)
        assert float(row["probability_of_true"]) == pytest.approx(float(test.probabilities[i, test.true[i]]), rel=1e-5)
    evaluation_files.write(tmp_path, [evaluation(split="val", n=5, seed=3)])
    assert [row for row in rows(tmp_path / "worst.csv") if row["split"] == "test"] == mine


def test_the_sheet_shows_the_pictures_in_order(tmp_path: Path) -> None:
    e = evaluation(n=400)
    evaluation_files.write(tmp_path, [e])
    image = np.asarray(Image.open(tmp_path / "worst.png").convert("RGB"))
    assert image.shape[1] < 1100
    for place, row in ((0, e.worst[0]), (23, e.worst[23])):
        picture = e.pictures[e.paths[row]]
        left, top = 12 + place % 6 * 162, 40 + place // 6 * 202
        left, top = left + (150 - picture.shape[1]) // 2, top + (150 - picture.shape[0]) // 2
        assert np.array_equal(image[top : top + picture.shape[0], left : left + picture.shape[1]], picture)
    # nothing wrong: an older sheet would be taken for this one's
    right = Evaluation("test", e.paths[:3], e.predicted[:3], e.probabilities[:3], e.labels)
    evaluation_files.write(tmp_path, [right])
    assert not (tmp_path / "worst.png").exists()
    assert rows(tmp_path / "worst.csv") == []


@pytest.mark.parametrize("shape", [(1, 1, 1), (600, 20, 3), (28, 28, 1), (150, 151, 3), (3, 2000, 1)])
def test_any_picture_fits_the_sheet(shape: tuple[int, int, int]) -> None:
    found = worst.small(np.full(shape, 7, np.uint8))
    assert found.dtype == np.uint8 and found.shape[2] == 3 and (found == 7).all()
    assert min(found.shape[:2]) >= 1 and 75 < max(found.shape[:2]) <= 150


@pytest.mark.usefixtures("plain_machine")
@pytest.mark.parametrize("name", ["", "x" * 300, "고양이", "<b>", "\x1b[31m", "a\nb", "$x^2$", "W" * 30])
def test_a_sheet_of_any_names(name: str) -> None:
    picture = worst.small(np.zeros((9, 9, 3), np.uint8))
    made = opened(worst.sheet([picture] * 2, [0, 1], [0.99996, 0.5], [1, 0], (name, "other"), "title"))
    assert made.size == (480, 2 * 12 + 40 + 196 - 12 + 6)


def test_certainty_is_not_made_by_rounding() -> None:
    assert [worst._share(value) for value in (0.99999, 1.0, 0.99951, 0.5)] == ["0.9999", "0.9999", "0.9995", "0.500"]


# Confused pairs


def test_confused_pairs() -> None:
    matrix = np.array([[90, 7, 3], [7, 10, 0], [0, 0, 4]])
    assert confused(matrix) == [(1, 0, 7, 7 / 17), (0, 1, 7, 0.07), (0, 2, 3, 0.03)]
    assert confused(matrix, most=1) == [(1, 0, 7, 7 / 17)]
    assert confused(np.diag([3, 4])) == []


# Names in pictures


@pytest.mark.usefixtures("plain_machine")
def test_names_that_no_font_has_are_numbers_and_a_file_names_them(tmp_path: Path) -> None:
    found = letters.drawn(("cat", "고양이", "$5", "naïve", "a\nb"))
    assert [name.text for name in found] == ["cat", "#1", "$5", "naïve", "a\\nb"]
    assert [name.numbered for name in found] == [False, True, False, False, False]
    assert found[2].plotted == r"\$5"
    evaluation_files.write(tmp_path, [evaluation(HANGUL)])
    assert rows(tmp_path / "legend.csv") == [{"number": f"#{i}", "class": name} for i, name in enumerate(HANGUL)]
    evaluation_files.write(tmp_path, [evaluation()])
    assert not (tmp_path / "legend.csv").exists()


def font(path: Path, text: str) -> Path:
    """A font that has these letters, each a block."""
    names = [".notdef", *(f"u{ord(c):x}" for c in text)]
    pen = TTGlyphPen(None)
    for i, point in enumerate(((100, 0), (100, 700), (900, 700), (900, 0))):
        (pen.lineTo if i else pen.moveTo)(point)
    pen.closePath()
    block = pen.glyph()
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder(names)
    made.setupCharacterMap({ord(c): f"u{ord(c):x}" for c in text})
    made.setupGlyf(dict.fromkeys(names, block))
    made.setupHorizontalMetrics(dict.fromkeys(names, (1000, 100)))
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": "NanumGothic", "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    path.parent.mkdir(parents=True)
    made.save(path)
    return path


def test_hangul_is_drawn_in_the_font_of_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "_FAMILIES", ())
    package = tmp_path / "site" / "koreanize_matplotlib"
    path = font(package / "fonts" / "NanumGothic.ttf", "고양이개")
    # to import it changes the settings of matplotlib
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    found = letters.drawn(("고양이", "개", "cat", "고양이와"))
    assert [name.text for name in found] == ["고양이", "개", "cat", "#3"]
    assert [name.font == str(path) for name in found] == [True, True, False, False]
    # the blocks that are its letters are on the sheet, in the colour of an answer
    picture = worst.small(np.zeros((9, 9, 3), np.uint8))
    sheet = np.asarray(opened(worst.sheet([picture], [0], [0.5], [2], HANGUL, "t")).convert("RGB"))
    line = sheet[40 + 150 + 3 :][:17, 12 : 12 + 39]
    assert ((line == (179, 60, 0)).all(axis=2).sum()) > 3 * 60
    opened(pictures.confusion_matrix(np.diag([3, 2, 1]), HANGUL, "t"))


def test_a_font_that_is_gone_has_no_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = letters._fonts()
    monkeypatch.setattr(letters, "_fonts", lambda: (*usual, "/nowhere/lost.ttf"))
    assert letters.drawn(("\U0001f642\U0010fffd",))[0].text == "#0"


# Reliability


def test_the_reliability_picture_of_anything(tmp_path: Path) -> None:
    e = evaluation(n=200)
    one, two = (reliability(e.summary.calibration, "t") for _ in range(2))
    assert one == two
    assert opened(one).size == (552, 648)
    for table in ([[1.0, 0.0]], [[0.5, 0.5]] * 3):
        opened(reliability(calibration([0] * len(table), table), "one bin"))


# Weights that were chosen


def card(metrics: dict[str, Any]) -> weights.Card:
    preprocess = {"mode": "L", "height": 2, "width": 2}
    return weights.Card(
        version="0", task="classify", architecture=None, labels=("a", "b", "c"), preprocess=preprocess, metrics=metrics
    )


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"val/macro_f1": 0.5}, "weights chosen by macro F1 on val"),
        ({"val/loss": 0.5}, "weights chosen by loss on val"),
        ({"val/top1": 0.5}, "weights chosen by top-1 on val"),
        ({}, ""),
        ({"elsewhere": 1.0}, ""),
        ({"val/\x1b[31mred": 0.5}, ""),
        ({"\x1b[31m/top1": 0.5}, ""),
    ],
)
def test_weights_tell_by_what_they_were_chosen(tmp_path: Path, metrics: dict[str, Any], words: str) -> None:
    path = tmp_path / "best.safetensors"
    files.write_bytes(path, weights.dump({"w": torch.zeros(1)}, card(metrics)))
    found = chosen(path)
    assert found["file"] == "best.safetensors"
    assert sentence({"weights": found}) == words
    assert (found["chosen_by"] is None) == (words == "")


def test_a_run_chosen_by_macro_f1_says_so_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    titles = []
    monkeypatch.setattr(pictures, "confusion_matrix", lambda matrix, labels, title: titles.append(title) or b"")
    by = {"file": "best.safetensors", "chosen_by": "macro_f1", "chosen_on": "val"}
    evaluation_files.write(tmp_path, [evaluation(split="val"), evaluation()], chosen=by)
    assert titles[0].endswith("\nweights chosen by macro F1 on val")
    assert json.loads((tmp_path / "metrics.json").read_text())["weights"] == by
    told = "weights chosen by macro F1 on val, where they look better than they are\n"
    for show, splits in ((shown_scores.show_run, ("val", "test")), (shown_scores.show_scores, ("test",))):
        show(tmp_path, False, splits)
        assert told in capsys.readouterr().out
    (tmp_path / "args.yaml").write_text("")
    assert repr(dojang.Run(tmp_path)).endswith("; weights chosen by macro F1 on val)")


# The terminal, and programs


def test_the_table_fits_a_terminal_whatever_the_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = ("x" * 300, "\x1b[31mred", "고양이 " * 20, "=cmd()")
    e = evaluation(labels, n=3000)
    long = tuple(f"{'deep/' * 50}{i}.png" for i in range(3000))
    e = Evaluation("test", long, e.true, e.probabilities, labels, leaked=3)
    evaluation_files.write(tmp_path, [e])
    shown_scores.show_scores(tmp_path, False, ("test",))
    out = capsys.readouterr().out.replace(str(tmp_path), "runs")
    assert "\x1b" not in out
    # a letter of Hangul is two columns wide
    assert max(map(cell_len, out.splitlines())) <= 80
    for word in (
        "top-1",
        "balanced accuracy",
        "ROC-AUC",
        "Brier score",
        "by chance alone 0.",
        "confused",
        "surely wrong",
    ):
        assert word in out
    assert "3 of these pictures were trained on" in out


def test_programs_get_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    e = evaluation(("a", "b", "=c", "nobody"), n=30)
    e = Evaluation("test", e.paths, e.true % 3, e.probabilities, e.labels)
    evaluation_files.write(tmp_path, [e])
    shown_scores.show_scores(tmp_path, True, ("test", "val"))
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"] == json.loads((tmp_path / "metrics.json").read_text())
    assert found["confusion_matrix"] == {"test": {"classes": list(e.labels), "counts": e.matrix.tolist()}}
    per_class = found["per_class"]["test"]
    assert [row["class"] for row in per_class] == list(e.labels)
    assert per_class[3]["support"] == 0 and per_class[3]["roc_auc"] is None and per_class[3]["recall_low"] is None
    assert per_class[0]["f1_low"] < per_class[0]["f1"] < per_class[0]["f1_high"]
    assert found["worst"]["test"][0]["path"] == e.paths[e.worst[0]]


# Older files


def test_a_folder_of_an_older_dojang_keeps_its_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = {"value": 0.5, "low": None, "high": None, "n": 2}
    metrics = {
        "format": 1,
        "test": {"n": 2, **dict.fromkeys(("top1", "balanced_accuracy", "macro_f1", "log_loss"), old)},
    }
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "per_class.csv").write_text("class,split,precision,recall,f1,support\na,test,1.0,0.5,0.66,2\n")
    shown_scores.show_scores(tmp_path, False, ("test",))
    out = capsys.readouterr().out
    assert out.startswith("test: 2 pictures; intervals of 95 %\n  top-1                0.5000   none: ")
    evaluation_files.write(tmp_path, [evaluation(split="val")])
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert (found["format"], found["test"]) == (1, metrics["test"])
    first = rows(tmp_path / "per_class.csv")[0]
    assert {name: first[name] for name in ("class", "split", "recall", "support", "recall_low")} == {
        "class": "a",
        "split": "test",
        "recall": "0.5",
        "support": "2",
        "recall_low": "",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"format": 1, "te', "(JSONDecodeError: Unterminated string"),
        ("[]", "(ValueError: no table)."),
        ('{"format": 2}', "(ValueError: format 2 is that of a newer dojang)."),
        ('{"test": null}', "(ValueError: test is 'None')."),
        ('{"test": {"n": 2}}', "(ValueError: test.top1 is 'None')."),
        ('{"val": {"top1": {"value": "0.9"}}}', "(ValueError: val.top1.value is '0.9')."),
        ('{"val": {"top1": {"value": NaN}}}', "(ValueError: NaN is no number)."),
        ('{"val": {"n": "9", "top1": {"value": 1}}}', "(ValueError: val.n is '9')."),
        ('{"weights": "x"}', "(ValueError: weights is 'x')."),
        ('{"folds": {"runs": [{"name": 3}]}}', "(ValueError: folds.runs[0].name is '3')."),
        ('{"seeds": []}', "(ValueError: seeds is '[]')."),
    ],
)
def test_a_metrics_file_that_is_broken_is_not_written_over(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        evaluation_files.write(tmp_path, [evaluation()])
    said = str(caught.value)
    assert f"ConfigError[C223]: cannot read {str(path)!r}: it is not as dojang wrote it {words}" in said
    assert f"Fix: bring back the file, or: mv {path} {path}.broken && dojang val {tmp_path}" in said
    assert [place.name for place in tmp_path.iterdir()] == ["metrics.json"] and path.read_text() == text


# What the user has


HEADS = {
    "predictions.csv": "path,true,predicted,probability,correct\np,a,a,0.5,1\n",
    "per_class.csv": "class,precision\na,1\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_table_without_splits_is_named_before_anything_is_written(tmp_path: Path, name: str) -> None:
    evaluation_files.write(tmp_path, [evaluation(split="val")])
    (tmp_path / name).write_text(HEADS[name])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError) as caught:
        evaluation_files.write(tmp_path, [evaluation()])
    assert f"ConfigError[C223]: '{tmp_path}/{name}' line 1 is not as dojang wrote it: it has no column" in str(
        caught.value
    )
    assert f".broken && dojang val {tmp_path}" in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    # the fix works
    (tmp_path / name).unlink()
    evaluation_files.write(tmp_path, [evaluation(), evaluation(split="val")])
    assert {row["split"] for row in rows(tmp_path / name)} == {"val", "test"}


def test_a_number_that_is_none_is_named(tmp_path: Path) -> None:
    evaluation_files.write(tmp_path, [evaluation()])
    path = tmp_path / "worst.csv"
    path.write_text("path,true,predicted,probability,probability_of_true,split\np,a,b,high,0.1,test\n")
    with pytest.raises(
        ConfigError, match=r"C223\]: .*worst.csv' line 2 .*: 'high' in the column probability is no number"
    ):
        shown_scores.show_scores(tmp_path, False, ("test",))


@pytest.mark.parametrize("name", ["worst.csv", "worst.png", "reliability.png", "legend.csv"])
def test_what_a_user_put_there_is_neither_overwritten_nor_removed(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (3, 3)).save(picture, "PNG")
    theirs = picture.getvalue() if name.endswith("png") else b"picture,note\na.png,blurred\n"
    (tmp_path / name).write_bytes(theirs)
    monkeypatch.setattr(letters, "_FAMILIES", ())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        evaluation_files.write(tmp_path, [evaluation(HANGUL)])
    assert str(caught.value) == (
        f"ConfigError[C202]: '{tmp_path}/{name}' is there already, and dojang did not make it; it is not "
        f"overwritten.\n  Nothing was changed.\n  Fix: mv {tmp_path}/{name} {tmp_path}/my-{name}"
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]
    # where it is not needed it stays, and stands in nobody's way
    if name in ("worst.png", "legend.csv"):
        e = evaluation()
        evaluation_files.write(tmp_path, [Evaluation("test", e.paths, e.predicted, e.probabilities, e.labels)])
    assert (tmp_path / name).read_bytes() == theirs


def test_all_files_of_others_are_named_at_once(tmp_path: Path) -> None:
    for name in ("worst.png", "reliability.png"):
        (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(ConfigError) as caught:
        evaluation_files.write(tmp_path, [evaluation()])
    assert "reliability.png', '" in str(caught.value) and "are there already" in str(caught.value)
    a, b = (f"mv {tmp_path}/{name} {tmp_path}/my-{name}" for name in ("reliability.png", "worst.png"))
    assert caught.value.fix == f"{a} && {b}"


def test_pictures_carry_the_mark_and_stay_pictures(tmp_path: Path) -> None:
    evaluation_files.write(tmp_path, [evaluation()])
    for name in ("confusion_matrix.png", "reliability.png", "worst.png"):
        assert opened((tmp_path / name).read_bytes()).text["Software"] == "dojang"  # type: ignore[attr-defined]
        assert ours.is_ours(tmp_path / name)
    evaluation_files.write(tmp_path, [evaluation(seed=1)])


def test_pictures_are_of_the_split_that_judges(tmp_path: Path) -> None:
    kinds = ("confusion_matrix.png", "confusion_matrix.csv", "reliability.png", "worst.png")

    def looks() -> list[bytes]:
        return [(tmp_path / name).read_bytes() for name in kinds]

    evaluation_files.write(tmp_path, [evaluation(split="val", seed=1)])
    of_val = looks()
    evaluation_files.write(tmp_path, [evaluation(), evaluation(split="val")])
    of_test = looks()
    assert all(a != b for a, b in zip(of_val, of_test, strict=True))
    evaluation_files.write(tmp_path, [evaluation(split="val", seed=2)])
    evaluation_files.write(tmp_path, [evaluation(split="train", seed=2)])
    assert looks() == of_test


def test_metrics_are_written_once_and_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    real = files.write_bytes
    monkeypatch.setattr(
        files, "write_bytes", lambda path, data, **k: (written.append(path.name), real(path, data, **k))
    )
    found = evaluation_files.write(tmp_path, [evaluation()], extra={"training": {"steps": 3}})
    assert written.count("metrics.json") == 1 and written[-1] == "metrics.json"
    assert json.loads((tmp_path / "metrics.json").read_text()) == found
    assert list(found)[-1] == "training" and found["training"] == {"steps": 3}


@pytest.mark.parametrize(
    ("beside", "fix"),
    [
        ("fold-1/args.yaml", ": mv {0}/metrics.json {0}/metrics.json.broken && dojang train --resume {0}"),
        ("seed-0/args.yaml", ": mv {0}/metrics.json {0}/metrics.json.broken && dojang train --resume {0}"),
        ("val.json", " score those pictures again, in a new folder: dojang val RUN DATA"),
    ],
)
def test_the_fix_suits_the_folder(tmp_path: Path, beside: str, fix: str) -> None:
    (tmp_path / beside).parent.mkdir(exist_ok=True)
    (tmp_path / beside).write_text("")
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(ConfigError) as caught:
        evaluation_files.metrics_in(tmp_path)
    assert str(caught.value).endswith(f"\n  Fix: bring back the file, or{fix.format(tmp_path)}")


def test_what_was_scored(tmp_path: Path) -> None:
    assert evaluation_files.scored(tmp_path) == []
    evaluation_files.write(tmp_path, [evaluation(split="train"), evaluation(), evaluation(split="val")])
    assert evaluation_files.scored(tmp_path) == ["train", "val", "test"]
    (tmp_path / "metrics.json").unlink()
    assert evaluation_files.scored(tmp_path) == ["train", "val", "test"]


def test_names_that_metrics_cannot_have_are_not_said() -> None:
    for by, on in (("\x1b[31mred", "val"), ("top1", "\x1b[31m"), (3, "val")):
        assert sentence({"weights": {"chosen_by": by, "chosen_on": on}}) == ""
