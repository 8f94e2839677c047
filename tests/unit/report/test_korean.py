"""Korean that reads as Korean: particles by what stands before them, one word for what is and one for what was said."""

from __future__ import annotations

import re

import pytest

from dojang.report import page, story
from dojang.report.text import Words, catalogue, particle


@pytest.mark.parametrize(
    ("words", "both", "right"),
    [
        ("0 3 6 강 밥 10 1.2500 100", "(으)로", "으로"),
        ("1 2 4 5 7 8 9 21 고양이 물 서울", "(으)로", "로"),
        ("0 1 3 6 7 8 물 밥", "을(를)", "을"),
        ("2 4 5 9 개 나무", "을(를)", "를"),
        ("밥 1", "은(는)", "은"),
        ("개 2", "은(는)", "는"),
        ("밥 7", "이(가)", "이"),
        ("개 5", "과(와)", "와"),
        # either may be right
        ("cat <b> é", "(으)로", "(으)로"),
    ],
)
def test_particles(words: str, both: str, right: str) -> None:
    for word in words.split():
        assert particle(word, f"{both} 갑니다") == f"{right} 갑니다", word
    assert particle("", both) == both and particle("밥", "에서") == "에서"


def test_particles_of_what_is_put_in() -> None:
    t = Words("ko")
    assert t("made_by", version="1.1") == "dojang 1.1로 만듦"
    assert "온도 0.3833으로" in t("temperature", value=0.3833) and "온도 0.3832로" in t("temperature", value=0.3832)
    # a name that looks like a particle stays a name
    assert "밥(으)로" in t("alt_sample", true="밥(으)로")


def test_no_particle_stands_fixed_after_a_number() -> None:
    said = [text["ko"] for text in catalogue().values()]
    assert [text for text in said if re.search(r"}(으로|로|은|는|이|가|을|를|과|와)(?=[ ,.]|$)", text)] == []


def test_what_was_said_is_no_truth(make_run) -> None:
    html = page.make(story.read(make_run()), "ko", threads=0).html
    assert "행은 실제 클래스, 열은 예측" in html and "실제 클래스 대비 %" in html
    assert re.search("실제 (cat|dog|owl) → 예측 (cat|dog|owl)", html)
    assert not re.search(r"답|참 (cat|dog|owl|클래스)", html.split("<main", 1)[1].replace("정답", ""))


def test_scores_are_called_the_same() -> None:
    from dojang.evaluate.chosen import WORDS

    t = Words("en")
    assert {name: t.brief(name) for name in ("roc_auc", "brier", "macro_f1", "log_loss", "top1")} == {
        name: WORDS[name] for name in ("roc_auc", "brier", "macro_f1", "log_loss", "top1")
    }
