"""The page: whole in itself, inert, the same in both languages, silent about what is not there."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import string
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dojang import files
from dojang.errors import ConfigError
from dojang.metrics.classes import per_class
from dojang.metrics.summary import summary
from dojang.models import weights
from dojang.report import figures, matrix, page, story
from dojang.report.report import Report
from dojang.report.text import LANGUAGES, Words, catalogue
from dojang.runs.pictures import Pictures

VOID = {"meta", "img", "input", "br", "wbr", "link"}


class Reader(HTMLParser):
    """What a page shows, where it leads, and whether its tags are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, bool]] = []
        self.words: list[str] = []
        self.said: list[str] = []
        self.places: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.places += [str(found[name]) for name in ("src", "href", "action", "data") if name in found]
        self.said += [str(found[name]) for name in ("aria-label", "alt", "title") if found.get(name)]
        self.ids += [str(found["id"])] if "id" in found else []
        self.targets += [str(found["popovertarget"])] if "popovertarget" in found else []
        if tag not in VOID:
            quiet = tag in ("style", "script", "code", "pre") or found.get("translate") == "no"
            self.open.append((tag, quiet))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop()[0] == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        if data.strip() and not any(quiet for _, quiet in self.open):
            self.words.append(data.strip())


def everything(make_run, **changes) -> Path:
    """A run of which there is something to say everywhere."""
    scores = {"leaked": 2, "new_score": {"value": 0.5, "low": None, "high": None}}
    given = {"classes": ("고양이", "dog", "owl"), "scores": scores, "options": {"monitor": "macro_f1"}}
    return make_run(**(given | changes))


def test_the_page_is_whole_in_itself(make_run) -> None:
    html = page.make(story.read(everything(make_run)), threads=0).html
    found = Reader(html)
    assert {place.split(",")[0].split(":")[0] for place in found.places if not place.startswith("#")} == {"data"}
    assert "http" not in re.sub(r'http-equiv="Content', "", html).replace("/tmp/", "")
    assert "default-src 'none'" in html and "@import" not in html and "url(" not in html
    assert {place[1:] for place in found.places if place.startswith("#")} <= set(found.ids)
    assert len(set(found.ids)) == len(found.ids)
    # each number that can be pressed opens something
    assert found.targets and set(found.targets) <= set(found.ids)
    assert found.tags.count("h1") == 1 and found.tags.count("main") == 1
    assert re.search(r'<html lang="en">', html)


def test_images_say_what_they_show(make_run) -> None:
    html = page.make(story.read(make_run()), threads=0).html
    images = re.findall(r"<img [^>]*>", html)
    assert images and all(re.search(r'alt="[^"]+"', image) for image in images)
    assert all("aria-label=" in drawing for drawing in re.findall(r'<svg class="chart"[^>]*>', html))


def test_the_same_run_gives_the_same_page(make_run) -> None:
    folder = make_run()
    assert page.make(story.read(folder), threads=0).html == page.make(story.read(folder), threads=2).html


def test_names_are_inert(make_run) -> None:
    names = ("<script>alert(1)</script>", "a\x1b[31m\nb", '"><img src=x onerror=1>', "{{ 7*7 }}", "고양이 \u202e")
    html = page.make(story.read(make_run(names, each=6, name="<b>")), threads=0).html
    found = Reader(html)
    assert html.count("<script>") == 1 and "\x1b" not in html and "onerror=1>" not in html and "\u202e" not in html
    assert "49" not in [word.strip() for word in found.words] and any("{{ 7*7 }}" in word for word in found.words)
    assert "&lt;script&gt;alert(1)&lt;/" in html and "고양이" in html and "&lt;b&gt;" in html


def test_both_languages_have_the_same_words() -> None:
    for key, said in catalogue().items():
        assert isinstance(key, str) and set(said) == set(LANGUAGES), key
        holes = {
            lang: {name for _, name, _, _ in string.Formatter().parse(text) if name} for lang, text in said.items()
        }
        assert holes["en"] == holes["ko"], key
        assert all(text.strip() for text in said.values()), key


def sentences(text: str) -> list[str]:
    """Runs of three words in Latin letters, without numbers and names of files."""
    return re.findall(r"(?:\b[a-z]{2,}\b[ ,]+){2,}\b[a-z]{2,}\b", text)


def test_no_english_is_left_in_the_korean_page(make_run) -> None:
    folder = everything(make_run)
    facts = (folder / "args.yaml").read_text().replace("segments: []", "segments: [{step: 1, changed: {epochs: 9}}]")
    (folder / "args.yaml").write_text(facts)
    korean = Reader(page.make(story.read(folder), "ko", threads=0).html)
    shown = [*korean.words, *korean.said]
    assert [found for text in shown for found in sentences(text)] == []
    english = {said["en"] for said in catalogue().values() if said["en"] != said["ko"] and len(said["en"].split()) > 1}
    assert not english & set(shown)
    # the test would see it
    other = Reader(page.make(story.read(folder), "en", threads=0).html)
    assert [found for text in other.words for found in sentences(text)]
    assert english & set(other.words)


def test_another_language_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"C202.*--lang cannot be 'de'; expected one of en, ko"):
        Words("de")


def test_a_run_without_scores_says_how_to_go_on(make_run) -> None:
    folder = make_run()
    for name in ("metrics.json", "predictions.csv", "per_class.csv"):
        (folder / name).unlink()
    made = page.make(story.read(folder), threads=0)
    assert f"dojang train --resume {folder}" in made.html and "no scores yet" in made.notes[0]
    assert 'id="mistakes"' not in made.html and 'id="learning"' in made.html


def test_nothing_but_args_is_needed(make_run) -> None:
    folder = make_run()
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.name != "args.yaml":
            path.unlink()
    found = Reader(page.make(story.read(folder), threads=0).html)
    assert not {"scores", "mistakes", "classes", "calibration", "learning"} & set(found.ids)
    assert {"data", "model", "recipe", "again"} <= set(found.ids)


def test_calibration_is_shown_where_it_is_measured(make_run) -> None:
    folder = make_run(each=40)
    metrics = json.loads((folder / "metrics.json").read_text())
    found = metrics["test"]["calibration"]
    html = page.make(story.read(folder), threads=0).html
    assert 'id="calibration"' in html and f"Calibration error (ECE): {found['ece']:.4f}" in html
    assert html.count('<circle class="dot train" cx=') >= len(found["bins"]) > 2
    one = found["bins"][-1]
    assert f"({one['low']:.2f} – {one['high']:.2f}), {one['n']} answers" in html
    # a run of an older dojang
    del metrics["test"]["calibration"]
    files.write_json(folder / "metrics.json", metrics)
    assert 'id="calibration"' not in page.make(story.read(folder), threads=0).html


def test_the_temperature_is_told_as_it_was_fitted(make_run) -> None:
    folder = make_run()
    path = folder / "weights" / "best.safetensors"
    tensors, card = weights.load(path)
    assert "are divided by" not in page.make(story.read(folder), threads=0).html
    files.write_bytes(path, weights.dump(tensors, dataclasses.replace(card, temperature=1.25)))
    assert "are divided by 1.2500, its temperature." in page.make(story.read(folder), threads=0).html
    metrics = json.loads((folder / "metrics.json").read_text())
    error = {"before": 0.1234, "after": 0.0567}
    metrics["calibration"] = {"temperature": 1.25, "n": 61, "val": {"calibration_error": error}}
    files.write_json(folder / "metrics.json", metrics)
    html = page.make(story.read(folder), threads=0).html
    assert "suits 61 validation pictures best" in html and "went from 0.1234 to 0.0567" in html
    # another temperature than the one that was fitted, as of weights that were replaced
    metrics["calibration"]["temperature"] = 1.5
    files.write_json(folder / "metrics.json", metrics)
    assert "its temperature." in page.make(story.read(folder), threads=0).html


def test_every_reason_for_no_interval_has_its_words() -> None:
    draw = np.random.default_rng(0)
    reasons = set()
    for n, c, sure in itertools.product((0, 1, 2, 4, 30, 60, 250), (1, 2, 3), (False, True)):
        for classes in (c, max(c - 1, 1)):
            true = draw.integers(0, classes, n)
            table = draw.dirichlet(np.ones(c), n) if n else np.zeros((0, c))
            if sure and n:
                table = 0.1 / c + 0.9 * np.eye(c)[true if n % 20 else (true + 1) % c]
            reasons |= {score.why for score in summary(true, table).scores.values()}
    reasons |= {"a handful of pictures decide it"}
    english = {catalogue()[key]["en"] for key in catalogue() if key.startswith("why_") and not key.startswith("why_t_")}
    assert {re.sub(r"{\w+}", "#", one) for one in english} == {re.sub(r"\d+", "#", one) for one in reasons - {""}}
    for reason in reasons - {""}:
        assert Words("en").why(reason) == reason
        korean = Words("ko").why(reason)
        assert not re.search("[a-z]{3}", korean) and re.findall(r"\d+", korean) == re.findall(r"\d+", reason)
    assert Words("ko").why("<new>") == "<new>"


def test_a_score_without_an_interval_says_why(make_run) -> None:
    folder = make_run()
    assert "none: fewer than 20 pictures a class" in page.make(story.read(folder), threads=0).html
    assert "없음: 클래스마다 사진이 20장보다 적음" in page.make(story.read(folder), "ko", threads=0).html


def test_the_bars_of_classes_are_those_of_the_table(make_run) -> None:
    folder = make_run(("a", "b", "c", "d"), each=3, right=0.3)
    kept = story.read(folder).kept
    assert kept is not None
    ends = per_class(kept.matrix)
    found = {bar.name: bar for bar in figures.class_bars(kept, Words("en"))}
    for i, name in enumerate(kept.labels):
        for shown, end in (
            (found[name].recall_interval, ends.recall),
            (found[name].precision_interval, ends.precision),
        ):
            low, high = float(end.low[i]), float(end.high[i])
            assert shown == ("" if low != low else f"{low:.3f} – {high:.3f}")


def test_weights_chosen_by_another_score_say_so_everywhere(make_run) -> None:
    folder = everything(make_run)
    for lang, words in (("en", "chosen by validation macro F1"), ("ko", "검증 macro F1 기준")):
        html = page.make(story.read(folder), lang, threads=0).html
        assert html.count(words) == 2
    assert "chosen by validation macro F1" in Report(folder).card()


def test_pictures_that_are_gone_leave_a_page_that_says_so(make_run, tmp_path) -> None:
    folder = make_run()
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    made = page.make(story.read(folder), threads=0)
    assert made.pictures == 0 and "This page has no pictures" in made.html and "D100" in made.html
    assert "popovertarget" not in made.html and 'class="matrix' in made.html
    # found again where they are now
    again = page.make(story.read(folder), pictures=str(tmp_path / "elsewhere"), threads=0)
    assert again.pictures > 10 and not again.notes


def test_pictures_given_in_python_are_not_looked_for(make_run) -> None:
    folder = make_run()
    text = (folder / "args.yaml").read_text()
    (folder / "args.yaml").write_text(re.sub(r"^data: .*$", "data: null", text, flags=re.MULTILINE))
    made = page.make(story.read(folder), threads=0)
    assert "pictures given in Python" in made.html and made.pictures == 0
    assert "read_file(" in made.html


def test_pictures_that_changed_are_not_shown(make_run, tmp_path) -> None:
    folder = make_run()
    shown = page.make(story.read(folder), threads=0)
    wrong = story.read(folder).kept
    path = wrong.paths[int(wrong.wrong(1)[0])]
    other = next(p for p in (tmp_path / "photos").rglob("*.png") if not p.as_posix().endswith(path))
    (tmp_path / "photos" / path).write_bytes(other.read_bytes())
    made = page.make(story.read(folder), threads=0)
    assert made.pictures == shown.pictures - 1 and "1 of the pictures looked up" in made.notes[0]


def test_a_run_folder_cannot_name_other_files(make_run, tmp_path) -> None:
    """A run folder from elsewhere may say that its pictures are called anything."""
    folder = make_run()
    secret = tmp_path / "secret.png"
    source = next((tmp_path / "photos").rglob("*.png"))
    secret.write_bytes(source.read_bytes())
    names = (str(secret), "../secret.png")
    found = Pictures(folder)
    assert found.thumbnails(names) == {} and found.unread == set(names)


def cells_by_loops(kept) -> dict[tuple[int, int], int]:
    count: dict[tuple[int, int], int] = {}
    for true, predicted in zip(kept.true.tolist(), kept.predicted.tolist(), strict=True):
        count[true, predicted] = count.get((true, predicted), 0) + 1
    return count


def test_cells_hold_what_was_answered(make_run) -> None:
    kept = story.read(make_run(("a", "b", "c", "d"), each=40, right=0.5)).kept
    found = matrix.cells(kept)
    assert {place: cell.count for place, cell in found.items()} == cells_by_loops(kept)
    of = dict(zip(kept.paths, zip(kept.true, kept.predicted, kept.probability, strict=True), strict=True))
    for (i, j), cell in found.items():
        assert 1 <= len(cell.paths) <= min(cell.count, matrix.RIGHT if i == j else matrix.EACH)
        assert all(of[path][:2] == (i, j) for path in cell.paths)
        inside = sorted(p for t, a, p in of.values() if (t, a) == (i, j))
        # the surest mistakes, and the least sure right answers
        assert list(cell.probabilities) == (inside if i == j else inside[::-1])[: len(cell.paths)]
    assert sum(cell.share for (i, _), cell in found.items() if i == 0) == pytest.approx(1)


def test_cells_share_the_room_there_is(make_run, monkeypatch) -> None:
    monkeypatch.setattr(matrix, "ALL", 20)
    kept = story.read(make_run(("a", "b", "c", "d"), each=40, right=0.5)).kept
    found = matrix.cells(kept)
    assert sum(len(cell.paths) for cell in found.values()) == 20
    assert min(len(cell.paths) for cell in found.values()) == 1


def test_many_classes_are_drawn(make_run) -> None:
    folder = make_run([f"k{i}" for i in range(matrix.TABLE + 1)], each=2, right=0.3)
    html = page.make(story.read(folder), threads=0).html
    found = Reader(html)
    assert 'class="matrix' not in html and 'class="drawn"' in html
    assert found.targets and len(set(found.targets)) <= matrix.LISTED


def test_a_file_that_is_broken_is_named(make_run) -> None:
    folder = make_run()
    (folder / "metrics.json").write_text('{"test": ')
    with pytest.raises(ConfigError, match=r"C223.*metrics.json.*not as dojang wrote it") as caught:
        story.read(folder)
    assert "dojang val" in caught.value.fix
    (folder / "metrics.json").write_text("{}")
    (folder / "predictions.csv").write_text("path,true\na,b\n")
    with pytest.raises(ConfigError, match=r"C223.*predictions.csv"):
        story.read(folder)


def test_a_cross_validation_has_a_line_for_each_fold(make_run) -> None:
    folder = make_run()
    part = make_run(name="train/fold-1")
    assert part.parent == folder and make_run(name="x").parent == folder.parent
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["out_of_fold"] = metrics.pop("test")
    score = {"values": [0.5, 0.6], "mean": 0.55, "sd": 0.07, "low": 0.4, "high": 0.7, "method": "t"}
    metrics["folds"] = {"count": 2, "runs": [{"name": "fold-1", "n": 4}, {"name": "../x", "n": 4}],
                        "scores": {"top1": score}, "set_aside": 3}  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(metrics))
    found = story.read(folder)
    # a name that leads out of the folder is not followed
    assert [one.name for one in found.parts] == ["fold-1"]
    html = page.make(found, threads=0).html
    assert "Cross-validation: 2 folds" in html and "0.4000 – 0.7000" in html and "did not look at: 3" in html
    for split in ("out_of_fold", "val"):
        metrics.pop(split, None)
    metrics["seeds"] = metrics.pop("folds")
    (folder / "metrics.json").write_text(json.dumps(metrics))
    html = page.make(story.read(folder), "ko", threads=0).html
    assert "시드 2개로 반복" in html and "실행 2번의 평균" in html
