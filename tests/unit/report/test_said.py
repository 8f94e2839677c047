"""What a page says is true: of the share, of the probabilities, of who chose the weights, of runs put together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dojang.evaluate.temperature import Temperature, fit
from dojang.report import page, story
from dojang.report.text import Words, catalogue


def html(folder: Path, lang: str = "en") -> str:
    return page.make(story.read(folder), lang, threads=0).html


def changed(folder: Path, **values: Any) -> Path:
    metrics = json.loads((folder / "metrics.json").read_text()) | values
    (folder / "metrics.json").write_text(json.dumps({k: v for k, v in metrics.items() if v is not ...}))
    return folder


def scored(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())["test"]


def test_an_interval_is_of_the_long_run(make_run) -> None:
    folder = make_run(each=30)
    text = html(folder)
    assert re.search(r"In the long run about \d+ to \d+ of every 100 such pictures would be answered right", text)
    assert "as far as 90 pictures can tell" in text and "new pictures like these" not in text
    assert "아주 많이 모으면 100장에" in html(folder, "ko")


def test_nobody_knows_how_often_test_pictures_were_looked_at(make_run) -> None:
    folder = make_run()
    assert "not learned from, not chosen by." in html(folder)
    every = [text for said in catalogue().values() for text in said.values()]
    assert not [text for text in every if re.search("once at the end|한 번만", text)]


def test_a_temperature_of_one_says_why(make_run) -> None:
    """Every reason that fitting gives has its words in both languages."""
    draw = np.random.default_rng(0)
    reasons = {"--calibrate none", "scores that are not finite"}
    for n, wrong in ((0, 0), (1, 0), (20, 3), (1200, 0), (60, 1), (60, 4)):
        scores = 9 * np.eye(3)[draw.integers(0, 3, n)]
        true = scores.argmax(axis=1)
        true[:wrong] = (true[:wrong] + 1) % 3
        reasons.add(fit(true, scores).why)
    assert "" not in reasons
    folder = make_run()
    for why in reasons:
        changed(folder, calibration=Temperature(1.0, 3, why=why).as_dict())
        assert f"(temperature 1): {why}." in html(folder)
        korean = Words("ko").why(why)
        assert korean != why and re.findall(r"[\d,]+", korean).sort() == re.findall(r"[\d,]+", why).sort()
        assert f"이유: {korean}." in html(folder, "ko")


def calibrated(folder: Path, split: str = "test", **values: float) -> Path:
    found = scored(folder)
    found["calibration"] |= values
    return changed(folder, **({"test": ...} | {split: found}))


@pytest.mark.parametrize(
    ("confidence", "high", "words"),
    [
        (0.9, 1.0, "no more than chance makes"),
        (0.9, 0.0, "the network is too sure of its answers"),
        (0.2, 0.0, "the network is too careful, and right"),
    ],
)
def test_the_calibration_error_has_a_verdict(confidence: float, high: float, words: str, make_run) -> None:
    folder = make_run(each=40)
    found = scored(folder)
    one = {"from": 0, "to": 1, "n": 1797, "confidence": confidence, "accuracy": 0.6, "low": 0.5, "high": 0.7}
    found["calibration"] = {"ece": 0.3, "by_chance": 0.0, "by_chance_high": high, "bins": [one]}
    text = html(changed(folder, test=found))
    assert words in text and "With 1,797 pictures" in text and "so few" not in text
    assert sum(one in text for one in ("chance makes: nothing", "is too sure of", "is too careful, and")) == 1


def test_a_number_without_decimals_is_one(make_run) -> None:
    assert "With 120 pictures" in html(calibrated(make_run(each=40), ece=1, by_chance=0, by_chance_high=0))


def with_parts(make_run, kind: str, **more: Any) -> Path:
    folder = make_run()
    short = kind.removesuffix("s")
    values = [0.5, 0.6, 0.7, 0.65, 0.61, 0.62, 0.63]
    for i in range(2):
        make_run(name=f"train/{short}-{i}")
    score = {"values": values, "mean": 0.6, "sd": 0.0004, "low": 0.4, "high": 0.75, "method": "t"}
    other = score | {"values": [0.1] * 7, "mean": 0.1234}
    runs = [{"name": f"{short}-{i}", "n": 180} for i in range(7)]
    found = {"count": 7, "split": "test", "runs": runs, "scores": {"top1": score}, "others": {"val": {"top1": other}}}
    for path in ("predictions.csv", "per_class.csv", "results.csv", "weights/best.safetensors"):
        (folder / path).unlink()
    (folder / "metrics.json").write_text(json.dumps({"format": 1, kind: found, "training": {"steps": 9}} | more))
    return folder


@pytest.mark.parametrize("kind", ["seeds", "folds"])
def test_runs_put_together(kind: str, make_run) -> None:
    folder = with_parts(make_run, kind)
    text = html(folder)
    # what n counts is said
    assert "7 runs, 180 pictures each" in text and "n&nbsp;=&nbsp;7" not in text
    # validation scores, too
    assert "0.1234" in text
    # how many pictures there are is known of the split that judges
    assert text.count("n = 180") == 7
    # runs stand across, few enough for a page; digits are alike in a row
    assert text.count(f'<th scope="col" class="n">{kind.removesuffix("s")}-') == 14
    assert max(row.count("<td") for row in re.findall(r"<tr>.*?</tr>", text)) <= 8
    assert ">0.5000<" in text and ">0.0004<" in text
    # curves with validation
    learning = text[text.index('id="learning"') :]
    assert 'class="line val"' in learning and learning.count("<polyline") >= 8


@pytest.mark.parametrize("kind", ["seeds", "folds"])
def test_weights_of_runs_put_together_say_by_what_they_were_chosen(kind: str, make_run) -> None:
    by = {"weights": {"chosen_by": "macro_f1", "chosen_on": "val"}}
    assert html(with_parts(make_run, kind, **by)).count("chosen by validation macro F1") == 2


def test_older_runs_put_together_ask_their_parts(make_run) -> None:
    folder = with_parts(make_run, "seeds")
    for part in folder.glob("seed-*"):
        changed(part, weights={"file": "best.safetensors", "chosen_by": "log_loss", "chosen_on": "val"})
    assert html(folder).count("chosen by validation log loss") == 2


def test_weights_scored_again_say_by_what_they_were_chosen(make_run) -> None:
    """dojang val leaves no "training" behind where metrics.json was gone."""
    by = {"file": "best.safetensors", "chosen_by": "macro_f1", "chosen_on": "val"}
    text = html(changed(make_run(), training=..., weights=by))
    assert text.count("chosen by validation macro F1") == 2


@pytest.mark.parametrize("split", ["test", "val"])
def test_what_the_temperature_was_fitted_on(split: str, make_run) -> None:
    import dataclasses

    from dojang import files
    from dojang.models import weights

    folder = make_run(each=40)
    path = folder / "weights" / "best.safetensors"
    tensors, card = weights.load(path)
    files.write_bytes(path, weights.dump(tensors, dataclasses.replace(card, temperature=1.25)))
    error = {"before": 0.05, "after": 0.06}
    changed(folder, calibration={"temperature": 1.25, "n": 61, "val": {"calibration_error": error}})
    calibrated(folder, split)
    text = html(folder)
    assert "went from 0.0500 to 0.0600" in text and "error fell" not in text
    assert ("The test pictures took no part" in text) == (split == "test")
    assert ("it is on the kind side" in text.split('id="calibration"')[1]) == (split == "val")
