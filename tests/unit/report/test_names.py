"""Names of classes on pages, cards and pictures: long ones, wide ones, ImageNet's, and in which font."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest

from dojang import files
from dojang.models import weights
from dojang.report import page, story
from dojang.report.card import card
from dojang.tasks.classify import letters


@pytest.mark.parametrize(("names", "turned"), [(("cat1", "dog", "owl"), False), (("고양이", "개", "새"), True)])
def test_heads_are_turned_where_they_are_wide(names, turned, make_run) -> None:
    html = page.make(story.read(make_run(names)), threads=0).html
    assert ('class="matrix long"' in html) == turned


def test_long_names_are_cut_and_stay_apart() -> None:
    long = "a" * 30
    found = letters.drawn((long + "1", long + "2", "고양이" * 9, "b" * 22, "two\nlines"))
    assert [name.text for name in found][:2] == ["a" * 15 + "… #0", "a" * 15 + "… #1"]
    assert found[3].text == "b" * 22 and found[4].text == "two\\nlines"
    assert not found[4].numbered
    assert letters._cut("고양이" * 9, 22) == "고양이고양이고양이고…"


def test_the_usual_weight_of_a_font_is_taken(monkeypatch) -> None:
    from matplotlib import font_manager

    def entry(file: str, weight: object, style: str = "normal") -> SimpleNamespace:
        return SimpleNamespace(name="NanumGothic", fname=file, weight=weight, style=style)

    listed = [entry("light", 300), entry("usual", 400), entry("slanted", 400, "italic"), entry("bold", "bold")]
    for several in (listed, listed[::-1]):
        monkeypatch.setattr(font_manager, "fontManager", SimpleNamespace(ttflist=several))
        monkeypatch.setattr(font_manager, "findfont", lambda name: "dejavu")
        assert letters._fonts.__wrapped__()[-1] == "usual"


def test_imagenets_numbers_are_left_out(make_run) -> None:
    folder = make_run(("n02086240-Shih-Tzu", "n02087394-Ridgeback", "dingo"), each=4, right=0.3)
    html = page.make(story.read(folder), threads=0).html
    assert "Shih-" in html and "n02086240" not in html.split("<details class=")[0]
    text = card(story.read(folder))
    assert "Shih-Tzu" in text and "n02087394" not in text


def test_a_card_says_what_its_weights_can(make_run) -> None:
    folder = make_run(options={"model": "squeezenet1_1", "pretrained": "auto"})
    path = folder / "weights" / "best.safetensors"
    tensors, own = weights.load(path)
    assert "--none-of-these" not in card(story.read(folder))
    files.write_bytes(path, weights.dump(tensors, dataclasses.replace(own, temperature=1.25, extra={"familiar": ""})))
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["calibration"] = {"temperature": 1.25, "n": 61}
    metrics["weights"] = {"file": "best.safetensors", "chosen_by": "macro_f1", "chosen_on": "val"}
    files.write_json(folder / "metrics.json", metrics)
    text = card(story.read(folder))
    assert "--none-of-these" in text and "temperature of 1.25, fitted on 61 validation pictures" in text
    assert "begun from the weights for `squeezenet1_1` in dojang's cache" in text
    assert "chosen by validation macro F1, not by top-1" in text.split("## Evaluation")[1]
